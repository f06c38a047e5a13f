"""Transcripts on a genome: from positions of the one to those of the other, and back."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rnalm.sequences.contigs import call

log = logging.getLogger(__name__)

#: The place in a transcript of what is in none of its exons.
NOWHERE = -1
#: Names whose end is a version: those of Ensembl, GENCODE and RefSeq. ``AT1G01010.2`` is no version of ``AT1G01010.1``.
VERSIONED = re.compile(r"((?:ENS[A-Z]*T|[NX][MR]_)\d+)\.\d+", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Transcript:
    """A transcript, laid on the genome; all intervals are 0-based and half-open.

    Attributes
    ----------
    id : str
        What it is called, with its version where there is one.
    contig : str
        As its file writes it.
    strand : {'+', '-'}
        On which it is read.
    starts, ends : numpy.ndarray
        int64 ``(exons,)``, of its exons, ascending on the genome and disjoint.
    cds : tuple of int or None
        Start and end on the genome of what is translated, the stop codon included; None: nothing is.
    phase : {0, 1, 2}
        Nucleotides at the 5′ end of ``cds`` before its first whole codon: not 0 where a transcript is known in part only.
    """

    id: str
    contig: str
    strand: str
    starts: np.ndarray
    ends: np.ndarray
    cds: tuple[int, int] | None = None
    phase: int = 0

    @property
    def start(self) -> int:
        """Where it begins on the genome, whatever its strand."""
        return int(self.starts[0])

    @property
    def end(self) -> int:
        """Where it ends on the genome, whatever its strand."""
        return int(self.ends[-1])

    @property
    def length(self) -> int:
        """Nucleotides of all exons."""
        return int((self.ends - self.starts).sum())

    def place(self, positions: np.ndarray) -> np.ndarray:
        """Find positions of the genome in the transcript.

        Parameters
        ----------
        positions : numpy.ndarray
            Any ``(positions,)``.

        Returns
        -------
        numpy.ndarray
            int64 ``(positions,)``, counted from the 5′ end; :data:`NOWHERE` in introns and outside.

        Examples
        --------
        >>> spliced = Transcript("t", "chr1", "-", np.array([10, 20]), np.array([12, 23]))
        >>> spliced.place(np.array([9, 10, 15, 20, 22])).tolist()
        [-1, 4, -1, 2, 0]
        """
        positions = np.asarray(positions, dtype=np.int64)
        exon = np.maximum(np.searchsorted(self.starts, positions, side="right") - 1, 0)
        inside = (positions >= self.starts[exon]) & (positions < self.ends[exon])
        return np.where(inside, self._turned(self._before()[exon] + positions - self.starts[exon]), NOWHERE)

    def genomic(self, positions: np.ndarray) -> np.ndarray:
        """Find positions of the transcript on the genome.

        Parameters
        ----------
        positions : numpy.ndarray
            From 0 to below its length, counted from the 5′ end ``(positions,)``.

        Returns
        -------
        numpy.ndarray
            int64 ``(positions,)``

        Raises
        ------
        IndexError
            If a position is not in the transcript.
        """
        positions = np.asarray(positions, dtype=np.int64)
        if len(beyond := positions[(positions < 0) | (positions >= self.length)]):
            raise IndexError(f"{self.id}: has no position {beyond[0]}; it has {self.length} nucleotides")
        positions = self._turned(positions)
        before = self._before()
        exon = np.searchsorted(before, positions, side="right") - 1
        return self.starts[exon] + positions - before[exon]

    def blocks(self, start: int, end: int) -> list[tuple[int, int]]:
        """Cut a part of the transcript into intervals of the genome, one for each exon that it touches.

        Parameters
        ----------
        start, end : int
            Half-open, counted from the 5′ end; what is not in the transcript is left out.

        Returns
        -------
        list of tuple of int
            Start and end, ascending on the genome.

        Examples
        --------
        >>> Transcript("t", "chr1", "-", np.array([10, 20]), np.array([12, 23])).blocks(1, 4)
        [(11, 12), (20, 22)]
        """
        if self.strand == "-":
            start, end = self.length - end, self.length - start
        before = self._before()
        first, last = np.maximum(start - before, 0), np.minimum(end - before, self.ends - self.starts)
        touched = np.flatnonzero(first < last)
        return [(int(self.starts[exon] + first[exon]), int(self.starts[exon] + last[exon])) for exon in touched]

    def coding(self) -> tuple[int, int] | None:
        """Give start and end of what is translated, counted from the 5′ end of the transcript; None: nothing is."""
        if self.cds is None:
            return None
        first, last = sorted(self.place(np.array([self.cds[0], self.cds[1] - 1])).tolist())
        return first, last + 1

    def coding_starts(self) -> np.ndarray:
        """Mark the first nucleotide of each codon that is translated, the stop codon included, as Saluki's coding track does.

        Returns
        -------
        numpy.ndarray
            uint8 ``(length,)``, 0 or 1.
        """
        marks = np.zeros(self.length, dtype=np.uint8)
        if coding := self.coding():
            marks[coding[0] + self.phase : coding[1] : 3] = 1
        return marks

    def junctions(self) -> np.ndarray:
        """Mark the last nucleotide of each exon, that of the transcript included, as Saluki's splice-site track does.

        Tables in which the first nucleotide behind a junction is marked, such as ``gej``, have these marks one further right.

        Returns
        -------
        numpy.ndarray
            uint8 ``(length,)``, 0 or 1.
        """
        lengths = (self.ends - self.starts)[:: 1 if self.strand == "+" else -1]
        marks = np.zeros(self.length, dtype=np.uint8)
        marks[np.cumsum(lengths) - 1] = 1
        return marks

    def _before(self) -> np.ndarray:
        """Count the nucleotides in exons further left on the genome ``(exons,)``."""
        lengths = self.ends - self.starts
        return np.cumsum(lengths) - lengths

    def _turned(self, positions: np.ndarray) -> np.ndarray:
        """Count from the 5′ end what was counted from the left on the genome, or the other way round."""
        return positions if self.strand == "+" else self.length - 1 - positions


class Transcripts:
    """Many transcripts, found by name or by place.

    Parameters
    ----------
    transcripts : sequence of Transcript
        In any order; of several that are called alike, the first is found by name.
    where : str
        Their file, for messages.
    """

    def __init__(self, transcripts: Sequence[Transcript], where: str) -> None:
        self.where = where
        self.all = list(transcripts)
        self._named = _first(self.all, lambda transcript: transcript.id)
        self._bare = _first(self.all, lambda transcript: _bare(transcript.id))
        if twice := len(self.all) - len(self._named):
            seen = set()
            name = next(each.id for each in self.all if each.id in seen or seen.add(each.id))
            log.warning("%s: %d names are those of several transcripts, such as %s: the first is taken", where, twice, name)
        by_contig: dict[str, list[Transcript]] = {}
        for transcript in sorted(self.all, key=lambda transcript: transcript.start):
            by_contig.setdefault(transcript.contig, []).append(transcript)
        self._placed = {name: _Placed.of(own) for name, own in by_contig.items()}
        self._told = False

    def __len__(self) -> int:
        """Count them."""
        return len(self.all)

    @property
    def contigs(self) -> list[str]:
        """The contigs on which there are any, as their file writes them."""
        return list(self._placed)

    def find(self, name: str) -> Transcript | None:
        """Find a transcript by its name; where none is called just so, by its name without the version.

        Parameters
        ----------
        name : str
            Such as ``ENST00000025301.4`` or ``ENST00000025301``.

        Returns
        -------
        Transcript or None
            None: there is none.
        """
        if exact := self._named.get(name):
            return exact
        other = self._bare.get(_bare(name))
        if other and not self._told:
            self._told = True
            log.warning(
                "%s: has %s, which is taken for %s; versions of further names are passed over too", self.where, other.id, name
            )
        return other

    def overlapping(self, contig: str, start: int, end: int) -> list[Transcript]:
        """Find the transcripts that an interval touches, be it in an intron.

        Parameters
        ----------
        contig : str
            Its name, with or without ``chr``.
        start, end : int
            Half-open, 0-based.

        Returns
        -------
        list of Transcript
            Ascending by start.
        """
        own = call(contig, self._placed)
        return self._placed[own].overlapping(start, end) if own is not None else []


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Transcripts of one contig ascending by start, and how far they and those before them reach ``(transcripts,)``."""

    transcripts: list[Transcript]
    starts: np.ndarray
    furthest: np.ndarray

    @classmethod
    def of(cls, transcripts: list[Transcript]) -> "_Placed":
        """Prepare transcripts that are in order."""
        starts = np.array([transcript.start for transcript in transcripts])
        return cls(transcripts, starts, np.maximum.accumulate([transcript.end for transcript in transcripts]))

    def overlapping(self, start: int, end: int) -> list[Transcript]:
        """Find those that an interval touches."""
        # None before the first that reaches beyond its start, none that begins at its end.
        first, after = np.searchsorted(self.furthest, start, side="right"), np.searchsorted(self.starts, end)
        return [transcript for transcript in self.transcripts[first:after] if transcript.end > start]


def _bare(name: str) -> str:
    """Leave out the version of a name, if it has one."""
    versioned = VERSIONED.fullmatch(name)
    return versioned.group(1) if versioned else name


def _first(transcripts: Iterable[Transcript], name: Callable[[Transcript], str]) -> dict[str, Transcript]:
    """Keep the first transcript of each name."""
    named: dict[str, Transcript] = {}
    for transcript in transcripts:
        named.setdefault(name(transcript), transcript)
    return named
