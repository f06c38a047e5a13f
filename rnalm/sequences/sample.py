"""Which windows of a genome are taken."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnalm.config.genome import Genome
from rnalm.errors import RnalmError
from rnalm.sequences import intervals
from rnalm.sequences.contigs import Reference
from rnalm.sequences.intervals import NOWHERE, Union

log = logging.getLogger(__name__)

#: Places among which all are tried, in random order; of more, some are drawn until there are enough.
MOST_PLACES = 2**25
#: Why windows are not taken.
REASONS = ("leave their contig, or its part", "touch the blacklist", "have too many unknown letters", "have no class")
#: Draws for a window, on average, after which there is said to be no room for more.
MOST_DRAWS = 200


@dataclass(frozen=True)
class Windows:
    """Windows, or places where they might be.

    Attributes
    ----------
    part : numpy.ndarray
        Which part of the genome each is in ``(windows,)``; see :func:`parts`.
    start, end : numpy.ndarray
        Where it is on the contig, half-open ``(windows,)``.
    line : numpy.ndarray or None
        Its row in the file of regions ``(windows,)``; None where there is none.
    """

    part: np.ndarray
    start: np.ndarray
    end: np.ndarray
    line: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.part)

    def take(self, chosen: np.ndarray) -> "Windows":
        """Choose some.

        Parameters
        ----------
        chosen : numpy.ndarray
            Their numbers, or whether each is chosen.
        """
        line = None if self.line is None else self.line[chosen]
        return Windows(self.part[chosen], self.start[chosen], self.end[chosen], line)

    @classmethod
    def joined(cls, windows: list["Windows"]) -> "Windows":
        """Put windows one after the other.

        Parameters
        ----------
        windows : list of Windows
            At least one; none is of a file.
        """
        part, start, end = (np.concatenate([getattr(one, key) for one in windows]) for key in ("part", "start", "end"))
        return cls(part, start, end)


@dataclass(frozen=True)
class Part:
    """A contig, or a part of it, which no window leaves.

    Attributes
    ----------
    contig, name : str
        The contig, and the name of the part: the split of its windows.
    start, end : int
        Where it is on the contig, half-open.
    """

    contig: str
    name: str
    start: int
    end: int


def parts(lengths: Mapping[str, int], each: int) -> list[Part]:
    """Divide contigs.

    Parameters
    ----------
    lengths : mapping of str to int
        Bases of contigs.
    each : int
        Parts of each.

    Examples
    --------
    >>> [(part.name, part.start, part.end) for part in parts({"chrIV": 10}, 2)]
    [('chrIV.1', 0, 5), ('chrIV.2', 5, 10)]
    """
    return [
        Part(contig, f"{contig}.{number + 1}" if each > 1 else contig, number * length // each, (number + 1) * length // each)
        for contig, length in lengths.items()
        for number in range(each)
    ]


class Legal:
    """Tells which windows may be taken, and counts why others are not.

    Parameters
    ----------
    source : Genome
        Which says what is not.
    reference : Reference
        The genome.
    parts : list of Part
        Of it.
    label : callable, optional
        Labels windows, ``(windows, classes)``; None: there are no features.
    """

    def __init__(
        self,
        source: Genome,
        reference: Reference,
        parts: list[Part],
        label: Callable[[Windows], np.ndarray] | None = None,
    ) -> None:
        self.source, self.reference, self.parts = source, reference, parts
        self.label = None if source.sample.negatives else label
        self.blacklist: Mapping[str, Union] = {}
        if source.blacklist:
            self.blacklist = intervals.unions(reference.named(intervals.read(source.blacklist, 3), source.blacklist))
        self.unknown: dict[str, Union] = {}
        self.refused = dict.fromkeys(REASONS, 0)

    def __call__(self, windows: Windows) -> np.ndarray:
        """Tell which of some windows may be taken: bool ``(windows,)``."""
        legal = np.ones(len(windows), dtype=bool)
        for number in np.unique(windows.part):
            own = np.flatnonzero(windows.part == number)
            part, start, end = self.parts[number], windows.start[own], windows.end[own]
            inside = (start >= part.start) & (end <= part.end)
            touched = self.blacklist.get(part.contig, NOWHERE).covered(start, end) > 0
            # Shares are decimal numbers: what is lost in their rounding must not cost a letter.
            most = np.floor(self.source.max_unknown * (end - start) + 1e-9)
            vague = self._unknown(part.contig).covered(start, end) > most
            without = np.zeros(len(own), dtype=bool)
            if self.label is not None:
                without = ~self.label(windows.take(own)).any(axis=1)
            for reason, wrong in zip(REASONS, (~inside, touched, vague, without), strict=True):
                self.refused[reason] += int((legal[own] & wrong).sum())
                legal[own] &= ~wrong
        return legal

    def told(self, before: str = "") -> str:
        """Say how many windows were refused, and why.

        Parameters
        ----------
        before : str
            Stands before it, if there were any.
        """
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.refused.items() if count)
        return f"{before}{reasons}" if reasons else ""

    def _unknown(self, contig: str) -> Union:
        if self.source.max_unknown == 1:
            return NOWHERE  # any number is allowed, so that the genome need not be read for it
        if contig not in self.unknown:
            self.unknown[contig] = self.reference.unknown(contig)
        return self.unknown[contig]


def draw(source: Genome, reference: Reference, legal: Legal, regions: pd.DataFrame | None) -> Windows:
    """Choose the windows of a source, each once, in the order of the genome.

    Parameters
    ----------
    source : Genome
        Which says how.
    reference : Reference
        The genome.
    legal : Legal
        Says which may be taken.
    regions : pandas.DataFrame or None
        Intervals or regions, where the source names a file of them.

    Raises
    ------
    RnalmError
        If there are no windows, or fewer than are asked for.
    """
    method, length = source.sample.method, source.length or 0
    if method in ("random", "intervals") and source.sample.n is not None:
        windows = _some(source, _territory(legal.parts, regions, length), legal)
    else:
        step = source.sample.step
        every = _tiles(legal.parts, step, length) if step is not None else _regions(legal.parts, regions, length)
        windows = every.take(legal(every))
        _report(source, len(every), legal)
    if not len(windows):
        why = _no_room(legal.parts, length) or legal.told() or _nowhere(source)
        raise RnalmError(f"{reference.path}: no window can be taken: {why}")
    return windows.take(np.lexsort((windows.end, windows.start, windows.part)))


def _no_room(parts: list[Part], length: int) -> str:
    """Say that no contig, or part of one, is as long as a window, if so."""
    longest = max(parts, key=lambda part: part.end - part.start)
    bases = longest.end - longest.start
    return f"a window has {length} bases, and the longest contig or part, {longest.name}, {bases}" if bases < length else ""


def _nowhere(source: Genome) -> str:
    """Say that there is no place for a window."""
    return f"none of {source.sample.path} is on a contig that is read" if source.sample.path else "there is no place for one"


def _report(source: Genome, every: int, legal: Legal) -> None:
    """Tell how many windows are left out, and why."""
    if refused := sum(legal.refused.values()):
        log.warning("%s: %d of %d windows are left out: %s", source.sample.path or source.genome, refused, every, legal.told())


@dataclass(frozen=True)
class _Territory:
    """Runs of starts that a window may have: number of the part, first start, and how many ``(runs,)``."""

    part: np.ndarray
    first: np.ndarray
    count: np.ndarray


def _territory(parts: list[Part], regions: pd.DataFrame | None, length: int) -> _Territory:
    """List where windows may begin: anywhere in parts, or so that their centre is in an interval."""
    if regions is None:
        count = np.array([max(0, part.end - part.start - length + 1) for part in parts])
        return _Territory(np.arange(len(parts)), np.array([part.start for part in parts]), count)
    unions, rows = intervals.unions(regions), []
    for number, part in enumerate(parts):
        own = unions.get(part.contig, NOWHERE)
        # Centres within both the interval and the part.
        first, after = np.maximum(own.start, part.start), np.minimum(own.end, part.end)
        kept = first < after
        rows.append((np.full(kept.sum(), number), first[kept] - length // 2, (after - first)[kept]))
    return _Territory(*(np.concatenate(values) for values in zip(*rows, strict=True)))


def _some(source: Genome, territory: _Territory, legal: Legal) -> Windows:
    """Draw windows, each legal place as likely as another, and none twice."""
    wanted, length, draw = source.sample.n or 0, source.length or 0, np.random.default_rng(source.sample.seed or 0)
    bounds = np.cumsum(territory.count)
    total = int(bounds[-1]) if len(bounds) else 0
    found, drawn, kept, seen = 0, 0, [], np.zeros(0, dtype=np.int64)
    order = draw.permutation(total) if total <= MOST_PLACES else None
    while found < wanted and drawn < (total if order is not None else MOST_DRAWS * wanted):
        size = max(1024, 2 * (wanted - found))
        if order is not None:
            places = order[drawn : drawn + size]
        else:
            places = draw.integers(0, total, size)
            _, first = np.unique(places, return_index=True)
            places = places[np.sort(first)]
            places = places[~np.isin(places, seen)]
            seen = np.union1d(seen, places)
        drawn += size
        run = np.searchsorted(bounds, places, side="right")
        start = territory.first[run] + places - (bounds[run] - territory.count[run])
        windows = Windows(territory.part[run], start, start + length)
        windows = windows.take(np.flatnonzero(legal(windows))[: wanted - found])
        kept.append(windows)
        found += len(windows)
    if found < wanted:
        tried = legal.told("of the places that were tried, ") or (f"there are {total:,} places for them" if total else "")
        why = _no_room(legal.parts, length) or tried or _nowhere(source)
        raise RnalmError(f"source.sample.n: {wanted} windows are wanted, and {found} were found in {source.genome}; {why}")
    return Windows.joined(kept)


def _tiles(parts: list[Part], step: int, length: int) -> Windows:
    starts = [np.arange(part.start, part.end - length + 1, step) for part in parts]
    number = np.repeat(np.arange(len(parts)), [len(own) for own in starts])
    start = np.concatenate(starts) if starts else np.zeros(0, dtype=np.int64)
    return Windows(number, start, start + length)


def _regions(parts: list[Part], regions: pd.DataFrame | None, length: int) -> Windows:
    """Centre a window on each region, or take it as it is; it belongs to the part in which its middle is."""
    assert regions is not None, "there is a file of regions"
    left, right = (regions[key].to_numpy() for key in ("start", "end"))
    start, end = around(left, right, length)
    middle = left + (right - left) // 2
    contig, number = regions["contig"].astype(str).to_numpy(), np.zeros(len(regions), dtype=np.int64)
    for place, part in enumerate(parts):
        number[(contig == part.contig) & (middle >= part.start) & (middle < part.end)] = place
    return Windows(number, start, end, np.arange(len(regions)))


def around(left: np.ndarray, right: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the windows of regions: start and end ``(regions,)``, which may leave the contig.

    Parameters
    ----------
    left, right : numpy.ndarray
        Start and end of each region ``(regions,)``.
    length : int
        Bases of a window, centred on the middle; 0: the region as it is.

    Examples
    --------
    >>> [one.tolist() for one in around(np.array([10]), np.array([13]), 4)]
    [[9], [13]]
    """
    start = left + (right - left) // 2 - length // 2
    return (start, start + length) if length else (left, right)


def runs(windows: Windows) -> np.ndarray:
    """Say of which run of overlapping windows each is: int64 ``(windows,)``, from 0 on.

    Parameters
    ----------
    windows : Windows
        In the order of the genome.
    """
    number = np.zeros(len(windows), dtype=np.int64)
    for part in np.unique(windows.part):
        own = np.flatnonzero(windows.part == part)
        furthest = np.maximum.accumulate(windows.end[own])
        number[own[1:]] = windows.start[own[1:]] >= furthest[:-1]
        number[own[0]] = 1
    return np.cumsum(number) - 1
