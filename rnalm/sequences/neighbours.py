"""The list of alleles on haplotypes ─► those that stand near an allele on its haplotype."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rnalm.sequences.edited import Change

#: What is read of an allele.
READ = ("chrom", "pos", "ref", "alt", "start", "goes", "comes", "reason", "sample", "haplotype", "phase")
#: Row groups that are kept, at most: that of a block of alleles, and the next one.
KEPT = 2


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An allele that a sample carries.

    Attributes
    ----------
    start, end : int
        The bases that it replaces, or those that REF has where it could not be put on the haplotype.
    haplotype : int or None
        Which; None: it is not known.
    phase : str or None
        Set of records that are phased together; None: haplotypes are alike in this record.
    change : Change or None
        What it changes; None: it could not be put on the haplotype.
    """

    start: int
    end: int
    haplotype: int | None
    phase: str | None
    change: Change | None


@dataclass
class _Loaded:
    """Part of a contig, and the alleles of each sample there, by where they begin."""

    chrom: str = ""
    low: int = 0
    high: int = -1
    found: dict[str, list[Neighbour]] = field(default_factory=dict)


class Neighbours:
    """Reads the alleles around others, as many as a block of these needs.

    Parameters
    ----------
    path : str
        From :func:`rnalm.sequences.alleles.list_file`, of samples.
    """

    def __init__(self, path: str) -> None:
        self.file = pq.ParquetFile(path)
        self.group = lru_cache(KEPT)(self._group)
        # How far an allele reaches from POS to the right, and how far to the left: indels are moved.
        self.right = self.left = 0
        for batch in self.file.iter_batches(columns=["pos", "ref", "start"]):
            moved = pc.subtract(batch["pos"], batch["start"])  # pyright: ignore[reportAttributeAccessIssue]
            self.left = max(self.left, pc.max(moved).as_py() or 0)  # pyright: ignore[reportAttributeAccessIssue]
            longest = pc.max(pc.utf8_length(batch["ref"]))  # pyright: ignore[reportAttributeAccessIssue]
            self.right = max(self.right, longest.as_py() or 0)
        self.loaded = _Loaded()
        self.wanted: dict[str, tuple[int, int]] = {}

    def prepare(self, block: pa.RecordBatch, margin: int) -> None:
        """Say which alleles are asked for next, so that all that is near them is read at once.

        Parameters
        ----------
        block : pyarrow.RecordBatch
            Rows of the list.
        margin : int
            Bases on either side of each.
        """
        self.wanted = {}
        for chrom, pos in zip(block["chrom"].to_pylist(), block["pos"].to_pylist(), strict=True):
            low, high = self.wanted.get(chrom, (pos, pos))
            self.wanted[chrom] = min(low, pos), max(high, pos)
        self.wanted = {chrom: (low - margin, high + margin) for chrom, (low, high) in self.wanted.items()}

    def near(self, chrom: str, sample: str, low: int, high: int) -> Sequence[Neighbour]:
        """Find the alleles of a sample that touch a stretch, by where they begin.

        Parameters
        ----------
        chrom, sample : str
            Contig, as the file calls it, and sample.
        low, high : int
            The stretch, 0-based; what ends where it begins, or begins where it ends, touches it.
        """
        held = self.loaded
        if chrom != held.chrom or low < held.low or high > held.high:
            first, last = self.wanted.get(chrom, (low, high))
            self.loaded = held = self._load(chrom, min(low, first), max(high, last))
        every = held.found.get(sample, [])
        first = bisect_left(every, low - self.right, key=lambda own: own.start)
        last = bisect_right(every, high, key=lambda own: own.start)
        return [own for own in every[first:last] if own.end >= low]

    def _load(self, chrom: str, low: int, high: int) -> _Loaded:
        """Read the alleles of a part of a contig."""
        loaded = _Loaded(chrom, low, high)
        bounds = low - self.right, high + self.left + 1
        for number in range(self.file.num_row_groups):
            if self._has(number, chrom, *bounds):
                own, pos = pc.field("chrom") == chrom, pc.field("pos")
                for row in self.group(number).filter(own & (pos >= bounds[0]) & (pos <= bounds[1])).to_pylist():
                    # What a deletion has removed is no allele of its own.
                    if row["alt"] != "*":
                        loaded.found.setdefault(row["sample"], []).append(_neighbour(row))
        for own in loaded.found.values():
            own.sort(key=lambda one: (one.start, one.end))
        return loaded

    def _has(self, number: int, chrom: str, low: int, high: int) -> bool:
        """Say whether a row group may have alleles of a part of a contig."""
        group = self.file.metadata.row_group(number)
        names, positions = (group.column(self.file.schema_arrow.names.index(name)).statistics for name in ("chrom", "pos"))
        if not names.min <= chrom <= names.max:
            return False
        return names.min != names.max or (positions.min <= high and low <= positions.max)

    def _group(self, number: int) -> pa.Table:
        return self.file.read_row_group(number, columns=list(READ))


def _neighbour(row: dict) -> Neighbour:
    """Read a row of the list."""
    change = Change(row["start"], row["goes"], row["comes"]) if row["reason"] is None else None
    bounds = (change.start, change.end) if change else (row["pos"] - 1, row["pos"] - 1 + len(row["ref"]))
    return Neighbour(*bounds, row["haplotype"], row["phase"], change)
