"""A signal along a genome ─► a number for each bin."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pybigtools

from rnalm.config.genome import Features, Genome
from rnalm.errors import RnalmError
from rnalm.sequences.contigs import Reference
from rnalm.sequences.sample import Part, Windows


class Signal:
    """Labels windows by what a bigWig file has of their bins.

    Parameters
    ----------
    source : Genome
        With features that are a signal.
    reference : Reference
        The genome.
    parts : sequence of Part
        Of it.

    Attributes
    ----------
    classes : list of str
        None: the label is a number.

    Raises
    ------
    RnalmError
        If the file is no bigWig, or has none of the contigs that are read, or one of another length.
    """

    classes: Sequence[str] = ()

    def __init__(self, source: Genome, reference: Reference, parts: Sequence[Part]) -> None:
        assert source.features is not None, "it has features"
        self.features, self.span, self.parts = source.features, source.span, parts
        self.path = source.features.path or ""
        self.file = _opened(self.path)
        theirs = self.file.chroms()
        #: What the file calls each contig that it has.
        self.contigs: dict[str, str] = {}
        for contig, length in reference.lengths.items():
            name = next((own for own in (contig, contig.removeprefix("chr"), f"chr{contig}") if own in theirs), None)
            if name is None:
                continue
            if theirs[name] != length:
                problem = f"{name} has {theirs[name]} bases, in {source.genome} {length}"
                raise RnalmError(f"{self.path}: {problem}; is it of another version of the genome?")
            self.contigs[contig] = name
        if not self.contigs:
            found = ", ".join(list(theirs)[:3])
            raise RnalmError(f"{self.path}: has none of the contigs of {source.genome} that are read; found {found}")

    def __call__(self, windows: Windows) -> np.ndarray:
        """Label windows: float32 ``(windows, 1)``, NaN where nothing is known."""
        start, end = windows.start, windows.end
        if self.span is not None:
            start, end = windows.start + self.span[0], windows.start + self.span[1]
        names = [self.contigs.get(self.parts[number].contig) for number in windows.part]
        bins = zip(names, start.tolist(), end.tolist(), strict=True)
        return np.array([[self._of(name, low, high)] for name, low, high in bins], dtype=np.float32)

    def _of(self, contig: str | None, start: int, end: int) -> float:
        """Give the number of a bin."""
        return summarized(np.full(end - start, np.nan) if contig is None else self._bases(contig, start, end), self.features)

    def _bases(self, contig: str, start: int, end: int) -> np.ndarray:
        """Read the value of each base, NaN where there is none."""
        return self.file.values(contig, start, end, fillna=None)


def summarized(bases: np.ndarray, features: Features) -> float:
    """Give the mean or the greatest value of the bases of a bin.

    Parameters
    ----------
    bases : numpy.ndarray
        Their values, NaN where there is none ``(bases,)``.
    features : Features
        Which of both, and what a base counts that has no value.

    Examples
    --------
    >>> bases = np.array([1.0, np.nan, 4.0, 1.0])
    >>> summarized(bases, Features(path="a.bw")), summarized(bases, Features(path="a.bw", uncovered=None))
    (1.5, 2.0)
    """
    known = ~np.isnan(bases)
    if features.uncovered is not None:
        bases = np.where(known, bases, features.uncovered)
    elif not known.any():
        return np.nan
    else:
        bases = bases[known]
    return float(bases.max() if features.statistic == "max" else bases.mean())


def _opened(path: str) -> Any:
    """Open a bigWig file."""
    if not Path(path).is_file():
        raise RnalmError(f"{path}: no such file")
    try:
        file = pybigtools.open(path)
    except Exception as error:  # of whatever kind the reader's are
        raise RnalmError(f"{path}: cannot be read as bigWig ({error})") from None
    if not file.is_bigwig:
        raise RnalmError(f"{path}: found bigBed, expected bigWig, or a BED file")
    return file
