"""Signals along a genome ─► a number of each for every bin."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pybigtools

from rnalm.config.genome import Features, Genome
from rnalm.errors import RnalmError
from rnalm.sequences.contigs import Reference
from rnalm.sequences.sample import Part, Windows


class Signals:
    """Labels windows by what bigWig files have of their bins.

    Parameters
    ----------
    source : Genome
        With features that are signals.
    reference : Reference
        The genome.
    parts : sequence of Part
        Of it.

    Attributes
    ----------
    classes : list of str
        Names of several signals; none where there is one.

    Raises
    ------
    RnalmError
        If a file is no bigWig, or has none of the contigs that are read, or one of another length.
    """

    def __init__(self, source: Genome, reference: Reference, parts: Sequence[Part]) -> None:
        assert source.features is not None, "it has features"
        self.features, self.span, self.parts = source.features, source.span, parts
        self.classes = list(source.features.signals)
        paths = [*source.features.signals.values()] or [source.features.path or ""]
        self.files = [_File(path, source.genome, reference) for path in paths]

    def __call__(self, windows: Windows) -> np.ndarray:
        """Label windows: float32 ``(windows, signals)``, NaN where nothing is known."""
        start, end = windows.start, windows.end
        if self.span is not None:
            start, end = windows.start + self.span[0], windows.start + self.span[1]
        contigs = [self.parts[number].contig for number in windows.part]
        bins = list(zip(contigs, start.tolist(), end.tolist(), strict=True))
        labels = [[summarized(file.bases(*place), self.features) for file in self.files] for place in bins]
        return np.array(labels, dtype=np.float32).reshape(len(bins), len(self.files))


class _File:
    """A bigWig file of a genome."""

    def __init__(self, path: str, genome: str, reference: Reference) -> None:
        self.file = _opened(path)
        theirs = self.file.chroms()
        #: What the file calls each contig that it has.
        self.contigs: dict[str, str] = {}
        for contig, length in reference.lengths.items():
            name = next((own for own in (contig, contig.removeprefix("chr"), f"chr{contig}") if own in theirs), None)
            if name is None:
                continue
            if theirs[name] != length:
                problem = f"{name} has {theirs[name]} bases, in {genome} {length}"
                raise RnalmError(f"{path}: {problem}; is it of another version of the genome?")
            self.contigs[contig] = name
        if not self.contigs:
            found = ", ".join(list(theirs)[:3])
            raise RnalmError(f"{path}: has none of the contigs of {genome} that are read; found {found}")

    def bases(self, contig: str, start: int, end: int) -> np.ndarray:
        """Read the value of each base of a bin, NaN where there is none."""
        if contig not in self.contigs:
            return np.full(end - start, np.nan)
        return self.file.values(self.contigs[contig], start, end, fillna=None)


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
