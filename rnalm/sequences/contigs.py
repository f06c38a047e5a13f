"""The contigs of a genome: how they are called, how long they are, and their letters."""

import fnmatch
import logging
from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from rnalm.config.genome import Contigs, Genome
from rnalm.config.variants import Variants
from rnalm.errors import RnalmError, nearest
from rnalm.sequences.index import open_indexed
from rnalm.sequences.intervals import Union

log = logging.getLogger(__name__)

#: Bases that are known.
KNOWN = b"ACGTacgt"
#: Letters that are looked at together, where unknown ones are searched for.
BLOCK = 2**24


class Reference:
    """A genome that is open for reading.

    Parameters
    ----------
    source : Genome or Variants
        Which says where it is, and which contigs are read.

    Attributes
    ----------
    lengths : dict of str to int
        Bases of the contigs that are read, in the order of the file.

    Raises
    ------
    RnalmError
        If there is no such file, it is no FASTA, its index is older than it is, or none of its contigs is to be read.
    """

    def __init__(self, source: Genome | Variants) -> None:
        self.path = source.genome if isinstance(source, Genome) else source.letters
        self.fasta = open_indexed(Path(self.path), Path(source.index or f"{self.path}.index"))
        every = dict(zip(self.fasta.references, self.fasta.lengths, strict=True))
        self.lengths = {name: length for name, length in every.items() if _wanted(name, source.contigs)}
        if not self.lengths:
            given = f"include {source.contigs.include}, exclude {source.contigs.exclude}"
            raise RnalmError(f"{self.path}: source.contigs ({given}) leaves none of {', '.join(list(every)[:5])}")
        if left := [name for name in every if name not in self.lengths]:
            log.info("%s: %d contigs are passed over (source.contigs), such as %s", self.path, len(left), left[0])
        self.every = every
        self.contigs = source.contigs

    def letters(self, contig: str, start: int, end: int) -> str:
        """Read a part of a contig.

        Parameters
        ----------
        contig : str
            Its name.
        start, end : int
            Half-open, 0-based.
        """
        return self.fasta.fetch(contig, start, end)

    def bases(self, contig: str, start: int, end: int) -> str:
        """Read a part of a contig, as DNA in capitals: in the letters of alleles.

        Parameters
        ----------
        contig : str
            Its name.
        start, end : int
            Half-open, 0-based.
        """
        return self.letters(contig, start, end).upper().replace("U", "T")

    def named(self, frame: pd.DataFrame, path: str) -> pd.DataFrame:
        """Call the contigs of intervals as they are called here, and leave out those of contigs that are not read.

        Parameters
        ----------
        frame : pandas.DataFrame
            From :func:`rnalm.sequences.intervals.read`.
        path : str
            Its file, for messages.

        Raises
        ------
        RnalmError
            If an interval is on a contig that there is not, or reaches beyond its end.
        """
        given = [str(name) for name in frame["contig"].cat.categories]
        own = {name: self.call(name) for name in given}
        if other := next((name for name in given if own[name] and own[name] != name), None):
            log.info("%s: contigs are called as in %s, which has %r, not %r", path, self.path, own[other], other)
        for name in given:
            if own[name] is None and _wanted(name, self.contigs):
                known = f"{nearest(name, self.every)}; or set source.contigs.exclude"
                raise RnalmError(f"{path}: has the contig {name!r}, which {self.path} has not; {known}")
        kept, every = {name: called for name, called in own.items() if called in self.lengths}, len(frame)
        frame = frame.loc[frame["contig"].isin(list(kept))]
        if left := every - len(frame):
            log.warning("%s: %d of %d intervals are on contigs that are passed over (source.contigs)", path, left, every)
        contig = frame["contig"].astype(str).replace(kept)
        beyond = np.flatnonzero(frame["end"].to_numpy() > np.array([self.every[name] for name in contig]))
        if len(beyond):
            name, (start, end) = contig.iloc[beyond[0]], frame[["start", "end"]].iloc[beyond[0]]
            problem = f"{name}:{start}-{end} reaches beyond the contig, of {self.every[name]} bases"
            raise RnalmError(f"{path}: {problem}; is it of another version of the genome than {self.path}?")
        return frame.assign(contig=contig.astype("category"))

    def call(self, name: str) -> str | None:
        """Give the name that a contig has here, with ``chr`` or without; None: it is not here.

        Parameters
        ----------
        name : str
            As it is called elsewhere.
        """
        return call(name, self.every)

    def unknown(self, contig: str) -> Union:
        """Find the bases of a contig that are not known.

        Parameters
        ----------
        contig : str
            Its name.
        """
        starts, ends = [], []
        for first in range(0, self.lengths[contig], BLOCK):
            text = self.fasta.fetch(contig, first, first + BLOCK).encode()
            unknown = ~np.isin(np.frombuffer(text, dtype=np.uint8), np.frombuffer(KNOWN, dtype=np.uint8))
            edges = np.flatnonzero(np.diff(np.concatenate([[False], unknown, [False]]).astype(np.int8)))
            starts.append(first + edges[::2])
            ends.append(first + edges[1::2])
        return Union.of(np.concatenate(starts), np.concatenate(ends))


def call(name: str, known: Container[str]) -> str | None:
    """Give the name that a contig has elsewhere, with ``chr`` or without; None: it is not there.

    Parameters
    ----------
    name : str
        As it is called here.
    known : container of str
        How contigs are called there.

    Examples
    --------
    >>> call("chr7", ["6", "7"]), call("7", ["chr7"]), call("MT", ["chr7"])
    ('7', 'chr7', None)
    """
    return next((own for own in (name, name.removeprefix("chr"), f"chr{name}") if own in known), None)


def _wanted(name: str, contigs: Contigs) -> bool:
    """Say whether a contig is to be read; patterns match with and without ``chr``."""
    bare = name.removeprefix("chr")

    def matches(patterns: Iterable[str]) -> bool:
        return any(fnmatch.fnmatchcase(own, pattern) for pattern in patterns for own in (name, bare, f"chr{bare}"))

    return (contigs.include is None or matches(contigs.include)) and not matches(contigs.exclude)
