"""Values along sequences ─► runs of positions with one value, in their own coordinates or on a genome."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rnalm.errors import RnalmError
from rnalm.sequences.transcripts import Transcript
from rnalm.tracks.values import Track

log = logging.getLogger(__name__)

#: Positions of contigs that are held at once, unless one contig alone has more.
MOST = 2**24
#: How windows of a genome, and parts of sequences, are called.
WINDOW = re.compile(r"(.+):(\d+)-(\d+)(\(-\))?")

#: Finds where a sequence lies, by its id.
Find = Callable[[str], Transcript | None]
#: Values at positions of a contig, and its name.
Points = tuple[str, np.ndarray, np.ndarray]


class Run(NamedTuple):
    """Positions that have one value.

    Attributes
    ----------
    contig : str
        Contig, or sequence.
    start, end : int
        0-based, half-open.
    value : float
        As precise as float32.
    """

    contig: str
    start: int
    end: int
    value: float


def window(name: str) -> Transcript | None:
    """Find where a window of a genome lies; None: its name does not say.

    Parameters
    ----------
    name : str
        Such as ``chr1:100-200``, or ``chr1:100-200(-)`` where the other strand was read.

    Examples
    --------
    >>> window("chr1:100-200(-)").genomic(np.array([0])).tolist()
    [199]
    """
    told = WINDOW.fullmatch(name)
    if told is None or int(told[2]) >= int(told[3]):
        return None
    return Transcript(name, told[1], "-" if told[4] else "+", np.array([int(told[2])]), np.array([int(told[3])]))


def in_own(tracks: Iterable[Track]) -> Iterator[Run]:
    """Let each sequence be a contig.

    Parameters
    ----------
    tracks : iterable of Track
        In any order.

    Yields
    ------
    Run
        A sequence after the other, ascending.
    """
    for track in tracks:
        yield from runs(track.id, *track.along())


def runs(contig: str, positions: np.ndarray, values: np.ndarray) -> Iterator[Run]:
    """Join neighbours that have one value.

    Parameters
    ----------
    contig : str
        Where they are.
    positions : numpy.ndarray
        Ascending ``(positions,)``.
    values : numpy.ndarray
        ``(positions,)``

    Yields
    ------
    Run
        Ascending.

    Examples
    --------
    >>> [run[1:] for run in runs("s", np.array([2, 3, 5]), np.array([0.5, 0.5, 0.5]))]
    [(2, 4, 0.5), (5, 6, 0.5)]
    """
    values = values.astype(np.float32)
    cuts = np.flatnonzero((np.diff(positions) != 1) | (values[1:] != values[:-1])) + 1
    bounds = [0, *cuts.tolist(), len(positions)] if len(positions) else []
    starts, ends = positions[bounds[:-1]].tolist(), (positions[[end - 1 for end in bounds[1:]]] + 1).tolist()
    for (first, _), start, end in zip(pairwise(bounds), starts, ends, strict=True):
        yield Run(contig, start, end, float(values[first]))


class Placing:
    """Finds where sequences lie on the genome, and counts those for which there is no place.

    Parameters
    ----------
    find : callable
        From the id of a sequence to its transcript or window; None: there is none.
    where : str
        The file of the transcripts, or what else tells, for messages.
    """

    def __init__(self, find: Find, where: str) -> None:
        self.find, self.where = find, where
        self.told: dict[str, list[str]] = {"missing": [], "longer": [], "shorter": []}
        self.count: Counter[str] = Counter()

    def __call__(self, track: Track) -> Transcript | None:
        """Find where a sequence lies: None, where it has no place or does not fit.

        Parameters
        ----------
        track : Track
            The sequence.
        """
        self.count["all"] += 1
        found, end = self.find(track.id), int(track.ends.max(initial=0))
        if found is None:
            return self._note("missing", track.id)
        if end > found.length:
            return self._note("longer", f"{track.id} ({end} of {found.length} nucleotides)")
        if end < found.length:
            self._note("shorter", f"{track.id} ({end} of {found.length} nucleotides)")
        return found

    def _note(self, kind: str, example: str) -> None:
        self.count[kind] += 1
        self.told[kind] = self.told[kind] or [example]

    def conclude(self) -> None:
        """Tell what was left out, and what may be wrong.

        Raises
        ------
        RnalmError
            If no sequence has a place.
        """
        example = {kind: names[0] for kind, names in self.told.items() if names}
        every, where = self.count["all"], self.where
        if self.count["missing"] + self.count["longer"] == every:
            first = example.get("missing") or f"{example['longer']}, which is longer there"
            raise RnalmError(f"{where}: none of the {every} sequences fits there, such as {first}")
        told = {
            "missing": "%s: does not tell where %d of %d sequences lie, such as %s: left out",
            "longer": "%s: %d of %d sequences are longer than their transcript there, such as %s: left out",
            "shorter": "%s: %d of %d sequences end before their transcript does, such as %s: laid from its 5′ end",
        }
        for kind in example:
            log.warning(told[kind], where, self.count[kind], every, example[kind])


def on_genome(tracks: Callable[[], Iterable[Track]], find: Find, where: str) -> Iterator[Run]:
    """Lay sequences on a genome; where several overlap, their mean is taken, and it is told for how many positions.

    Parameters
    ----------
    tracks : callable
        Gives the sequences, each time that it is called: some contigs at a time are held in memory.
    find, where
        As for :class:`Placing`.

    Yields
    ------
    Run
        A contig after the other, by name, ascending.

    Raises
    ------
    RnalmError
        If no sequence has a place.
    """
    placing, counts, mean = Placing(find, where), Counter(), Mean()
    for track in tracks():
        if found := placing(track):
            counts[found.contig] += int((track.ends - track.starts).sum())
    placing.conclude()
    again = Placing(find, where)

    def points() -> Iterator[Points]:
        for track in tracks():
            if found := again(track):
                positions, values = track.along()
                yield found.contig, found.genomic(positions), values

    yield from gathered(points, counts, mean)
    if mean.shared:
        log.warning("%s: at %d of %d positions several sequences overlap; their mean is taken", where, mean.shared, mean.every)


def gathered(
    points: Callable[[], Iterable[Points]],
    counts: Counter[str],
    join: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> Iterator[Run]:
    """Put values in the order of the genome, some contigs at a time.

    Parameters
    ----------
    points : callable
        Gives all values, in any order, each time that it is called.
    counts : Counter
        Of the values of each contig.
    join : callable
        From the positions and values of a contig to positions that ascend, each once, and their values.

    Yields
    ------
    Run
        A contig after the other, by name, ascending.
    """
    for batch in _batches(counts):
        held: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
        for contig, positions, values in points():
            if contig in batch:
                held[contig].append((positions, values))
        for contig in batch:
            positions, values = (np.concatenate(parts) for parts in zip(*held.pop(contig), strict=True))
            yield from runs(contig, *join(positions, values))


def _batches(counts: Counter[str]) -> Iterator[list[str]]:
    """Divide contigs among passes through the values."""
    batch: list[str] = []
    for contig in sorted(counts):
        if batch and sum(counts[name] for name in (*batch, contig)) > MOST:
            yield batch
            batch = []
        batch.append(contig)
    if batch:
        yield batch


class Mean:
    """Averages the values of each position.

    Attributes
    ----------
    shared, every : int
        Positions that had several values, and all.
    """

    def __init__(self) -> None:
        self.shared = self.every = 0

    def __call__(self, positions: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Average the values of each position.

        Parameters
        ----------
        positions, values : numpy.ndarray
            In any order ``(values,)``.

        Returns
        -------
        tuple of numpy.ndarray
            Positions, ascending, and the mean at each.
        """
        order = np.argsort(positions, kind="stable")
        where, first, count = np.unique(positions[order], return_index=True, return_counts=True)
        self.shared, self.every = self.shared + int((count > 1).sum()), self.every + len(where)
        return where, np.add.reduceat(values[order], first) / count if len(where) else values


def strongest(positions: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep at each position the value that is furthest from 0; of two alike, the greater.

    Parameters
    ----------
    positions, values : numpy.ndarray
        In any order ``(values,)``.

    Returns
    -------
    tuple of numpy.ndarray
        Positions, ascending, and the value at each.

    Examples
    --------
    >>> [part.tolist() for part in strongest(np.array([7, 3, 7]), np.array([0.5, 1.0, -2.0]))]
    [[3, 7], [1.0, -2.0]]
    """
    order = np.lexsort((values, np.abs(values), positions))
    positions, values = positions[order], values[order]
    last = np.flatnonzero(np.append(positions[1:] != positions[:-1], True))
    return positions[last], values[last]
