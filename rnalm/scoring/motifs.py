"""Seqlets ─► motifs: groups of alike ones, laid over each other, as matrices of letters and of effects.

Seqlets that raise the prediction and those that lower it are grouped apart, as :mod:`rnalm.scoring.alike` has it.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rnalm.scoring.alike import CANVAS, Group, groups
from rnalm.scoring.kmers import FEWEST
from rnalm.scoring.lines import REGIONS, Line
from rnalm.scoring.seqlets import SIGNS, Seqlet

#: The strongest seqlets of one sign that are grouped, of one class and of all classes together, and of one sequence: of a long
#: one, or of one whose many predictions are explained, there could be so many that nothing else were left.
MOST_SITES, MOST_SITES_IN_ALL, MOST_OF_ONE = 2000, 2**16, 100
#: Letters to each side of a seqlet that are kept.
FLANK = 10
#: Places at the ends of a motif are cut off where effects add up to less than this share of those of the strongest place.
WEAK = 0.1
#: What share of the effect of a motif one of its places has, at most.
MOST_ALONE = 0.5
#: Symbols of which motifs are made, at most.
MOST_SYMBOLS = 64


@dataclass(frozen=True, slots=True)
class Site:
    """A seqlet, with what stands beside it.

    Attributes
    ----------
    sequence : str
        Id of the sequence.
    effect : float
        Sum of its effects.
    region : int
        Number of its third in :data:`rnalm.scoring.lines.REGIONS`.
    length : int
        Letters of the seqlet itself.
    symbols : numpy.ndarray
        Numbers of its letters and of :data:`FLANK` to each side, -1 where there is none: int64 ``(length + 2 · FLANK,)``.
    effects : numpy.ndarray
        Likewise, 0 where there is no letter.
    """

    sequence: str
    effect: float
    region: int
    length: int
    symbols: np.ndarray
    effects: np.ndarray

    def weights(self, symbols: int) -> np.ndarray:
        """Give the effects of the seqlet itself in its own direction, of length 1: float64 ``(length, symbols)``.

        Parameters
        ----------
        symbols : int
            How many there are.
        """
        own = slice(FLANK, FLANK + self.length)
        known = np.flatnonzero(self.symbols[own] >= 0)
        table = np.zeros((self.length, symbols))
        table[known, self.symbols[own][known]] = np.maximum(np.sign(self.effect) * self.effects[own][known], 0)
        return table / max(np.linalg.norm(table), 1e-300)


def site(line: Line, seqlet: Seqlet) -> Site:
    """Cut a seqlet out of a line.

    Parameters
    ----------
    line : Line
        The effects along its sequence.
    seqlet : Seqlet
        Where it lies.
    """
    places = np.arange(seqlet.first - FLANK, seqlet.after + FLANK)
    there = np.clip(places, 0, len(line.runs) - 1)
    own = (places == there) & (line.runs[there] == line.runs[seqlet.first])
    middle = (seqlet.first + seqlet.after - 1) // 2
    return Site(
        line.sequence,
        seqlet.effect,
        int(line.regions[middle]),
        seqlet.after - seqlet.first,
        np.where(own, line.symbols[there], -1),
        np.where(own, line.effects[there], 0.0),
    )


@dataclass(frozen=True)
class Motif:
    """Seqlets that are alike, laid over each other.

    Attributes
    ----------
    name : str
        As in ``down_1``: what it does to the prediction, and its number among those that do, the one with most effect first.
    explained : str
        The class or target; empty where there is one without a name.
    sites : list of Site
        Its seqlets, the strongest first.
    counts : numpy.ndarray
        How often each letter stands at each place: int64 ``(places, letters)``.
    effects : numpy.ndarray
        Mean effect of each letter at each place, over all its seqlets: float64 ``(places, letters)``.
    """

    name: str
    explained: str
    sites: list[Site]
    counts: np.ndarray
    effects: np.ndarray

    @property
    def effect(self) -> float:
        """Mean effect of its seqlets."""
        return float(np.mean([site.effect for site in self.sites]))

    @property
    def sequences(self) -> int:
        """How many sequences have it."""
        return len({site.sequence for site in self.sites})

    @property
    def alone(self) -> float:
        """Share of the effect that the strongest place has."""
        sizes = np.abs(self.effects.sum(axis=1))
        return float(sizes.max() / max(sizes.sum(), 1e-300))

    @property
    def regions(self) -> list[float]:
        """Share of its seqlets in each of :data:`rnalm.scoring.lines.REGIONS`."""
        return (np.bincount([site.region for site in self.sites], minlength=len(REGIONS)) / len(self.sites)).tolist()


@dataclass
class Sites:
    """Keeps the strongest seqlets of each class and sign.

    Attributes
    ----------
    classes : list of str
        What is explained.
    kept, newest : dict
        Heaps of seqlets by class and sign, with what orders them: of sequences that were read, and of the one that is.
    sequence : str or None
        The sequence that is read.
    passed : int
        How many were left out, as too many others are stronger.
    """

    classes: Sequence[str]
    kept: dict[tuple[str, int], list] = field(default_factory=dict)
    newest: dict[tuple[str, int], list] = field(default_factory=dict)
    sequence: str | None = None
    passed: int = 0

    def add(self, line: Line, seqlets: Sequence[Seqlet]) -> None:
        """Add the seqlets of a line.

        Parameters
        ----------
        line : Line
            The effects along a sequence.
        seqlets : sequence of Seqlet
            Those that are in it.
        """
        if line.sequence != self.sequence:
            self._end()
            self.sequence = line.sequence
        for seqlet in seqlets:
            # By these, two of the same strength are told apart, whatever the order of sequences.
            item = (abs(seqlet.effect), line.sequence, line.position or 0, seqlet.first, site(line, seqlet))
            self._hold(self.newest.setdefault((line.explained, int(np.sign(seqlet.effect))), []), item, MOST_OF_ONE)

    def _end(self) -> None:
        """Put what a sequence has to that of others."""
        most = min(MOST_SITES, max(FEWEST, MOST_SITES_IN_ALL // (len(SIGNS) * len(self.classes))))
        for key, items in self.newest.items():
            held = self.kept.setdefault(key, [])
            for item in items:
                self._hold(held, item, most)
        self.newest = {}

    def _hold(self, held: list, item: tuple, most: int) -> None:
        """Put a seqlet on a heap, from which the weakest falls where there are too many."""
        self.passed += len(held) == most
        (heapq.heappush if len(held) < most else heapq.heappushpop)(held, item)

    def motifs(self, symbols: int) -> list[Motif]:
        """Group what is kept, class by class; the motif whose seqlets have most effect together is the first of its class.

        Parameters
        ----------
        symbols : int
            How many letters there are.
        """
        self._end()
        found = []
        for explained in self.classes:
            both = []
            for sign in SIGNS:
                held = sorted(self.kept.get((explained, sign), []), key=lambda item: (-item[0], *item[1:4]))
                both += group([item[-1] for item in held], symbols, explained)
            found += sorted(both, key=lambda motif: -abs(motif.effect) * len(motif.sites))
        return found


def group(sites: Sequence[Site], symbols: int, explained: str = "") -> list[Motif]:
    """Group seqlets of one sign into motifs.

    Parameters
    ----------
    sites : sequence of Site
        The strongest first; each with an effect on a known letter.
    symbols : int
        How many letters there are.
    explained : str
        The class or target.

    Returns
    -------
    list of Motif
        Those of :data:`rnalm.scoring.kmers.FEWEST` sequences or more in which no place has more than :data:`MOST_ALONE` of the
        effect; the sum of effects is the largest in the first.
    """
    alike = groups([site.weights(symbols) for site in sites], symbols)
    found = [_motif(explained, own, sites, symbols) for own in alike]
    # One place with a large effect, wherever it is, makes a span strong: what only shares the letter there is no motif.
    found = [motif for motif in found if motif.sequences >= FEWEST and motif.alone <= MOST_ALONE]
    found = sorted(found, key=lambda motif: -abs(motif.effect) * len(motif.sites))
    way = "up" if sites and sites[0].effect > 0 else "down"
    return [replace(motif, name=f"{way}_{rank}") for rank, motif in enumerate(found, 1)]


def _motif(explained: str, group: Group, sites: Sequence[Site], symbols: int) -> Motif:
    """Count letters and sum effects at the places of a motif, but for weak ones at its ends."""
    columns = _deep(group, sites)
    counts, effects = np.zeros((len(columns), symbols), np.int64), np.zeros((len(columns), symbols))
    for number, place in group.places.items():
        own, within = sites[number], columns - place + FLANK
        there = np.flatnonzero((within >= 0) & (within < len(own.symbols)))
        there = there[own.symbols[within[there]] >= 0]
        letters = own.symbols[within[there]]
        counts[there, letters] += 1
        effects[there, letters] += own.effects[within[there]]
    size = np.abs(effects.sum(axis=1))
    strong = np.flatnonzero(size >= WEAK * size.max())
    kept = slice(strong[0], strong[-1] + 1)
    members = [sites[number] for number in sorted(group.places)]
    return Motif("", explained, members, counts[kept], effects[kept] / len(members))


def _deep(group: Group, sites: Sequence[Site]) -> np.ndarray:
    """List the places where a third as many seqlets lie over each other as anywhere, or more, and those between."""
    depth = np.zeros(CANVAS, np.int64)
    for number, place in group.places.items():
        depth[place : place + sites[number].length] += 1
    used = np.flatnonzero(3 * depth >= depth.max())
    return np.arange(used[0], used[-1] + 1)
