"""Effects along sequences ─► seqlets: spans in which letters together do more than chance would have it.

A span is taken for a seqlet where its effects add up to more than those of nearly all spans of as many letters, in the same
sequences with their effects in random order, and where that is so of every span of :data:`SHORTEST` letters or more inside it
(the recursive seqlets of tangermeme). The longest are taken first, and none lies over another of the same sign.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np

from rnalm.scoring.lines import Line

#: Letters of a seqlet, at least and at most, and the share of spans in random order that are as strong, at most.
SHORTEST, LONGEST, MOST_BY_CHANCE = 4, 25, 0.01
LENGTHS = range(SHORTEST, LONGEST + 1)
#: Sums are counted in bins, each so much wider than the one before, from this share of the largest effect.
STEP, SMALLEST = np.log(1.02), np.log(1e-6)
BINS = int((np.log(LONGEST) - SMALLEST) / STEP) + 2
#: Effects that are put in random order, at least: of few, the order changes many times, but never more often than this.
ENOUGH, MOST_ORDERS = 2**18, 64
#: Signs of effects: what raises the prediction, and what lowers it.
SIGNS = (1, -1)


@dataclass(frozen=True, slots=True)
class Seqlet:
    """A span in which letters together raise or lower the prediction.

    Attributes
    ----------
    first, after : int
        Its bounds among the places of a line.
    effect : float
        Sum of its effects.
    p : float
        Largest share of spans in random order that are as strong as it, or as a span inside it.
    """

    first: int
    after: int
    effect: float
    p: float


@dataclass
class Chance:
    """How strong spans are where effects stand in random order, for one class.

    Attributes
    ----------
    largest : float
        Size of the largest effect.
    orders : int
        How often the order of each line changes.
    counts : numpy.ndarray
        Spans by sign, length and bin ``(2, lengths, BINS)``; the first bin has those that are too weak for any other.
    totals : numpy.ndarray
        All spans of each length ``(lengths,)``.
    """

    largest: float
    orders: int = 1
    counts: np.ndarray = field(init=False)
    totals: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((len(SIGNS), len(LENGTHS), BINS), np.int64)
        self.totals = np.zeros(len(LENGTHS), np.int64)

    def add(self, line: Line, spell: Callable[[Line], Line] = lambda line: line) -> None:
        """Count the spans of a line whose effects change places.

        Parameters
        ----------
        line : Line
            The effects along a sequence; what is drawn depends on these and its name alone.
        spell : callable
            Gives letters the effects of tokens: it is these that change places, with all of their letters.
        """
        seed = sha256(f"{line.sequence} {line.position} {line.explained}".encode()).digest()[:8]
        draw = np.random.default_rng(int.from_bytes(seed))
        permuted = draw.permuted(np.tile(line.effects, (self.orders, 1)), axis=1)
        permuted = np.stack([spell(replace(line, effects=order)).effects for order in permuted])
        line = spell(line)
        sums = np.pad(np.cumsum(permuted, axis=1), ((0, 0), (1, 0)))
        for number, length in enumerate(LENGTHS):
            begins = line.spans(length)
            effects = sums[:, begins + length] - sums[:, begins]
            self.totals[number] += effects.size
            bins = self._bins(np.abs(effects))
            for sign, own in zip(SIGNS, self.counts, strict=True):
                own[number] += np.bincount(bins[sign * effects > 0], minlength=BINS)

    def shares(self, number: int, sign: int, effects: np.ndarray) -> np.ndarray:
        """Give the share of spans that are as strong: float64 ``(spans,)``.

        Parameters
        ----------
        number : int
            Which of :data:`LENGTHS` they have.
        sign : {1, -1}
            Which way they change the prediction.
        effects : numpy.ndarray
            Sums of their effects ``(spans,)``.
        """
        stronger = np.cumsum(self.counts[SIGNS.index(sign), number, ::-1])[::-1]
        bins = self._bins(sign * effects)
        # The sequence's own order is one of those that chance may bring: no share is 0.
        return np.where(bins > 0, (1 + stronger[bins]) / (1 + self.totals[number]), 1.0)

    def _bins(self, sizes: np.ndarray) -> np.ndarray:
        """Give the bin of each sum, of the same shape: 0 where it is no larger than the smallest that is told apart."""
        smallest = np.exp(SMALLEST) * max(self.largest, 1e-300)
        relative = np.log(np.maximum(sizes, smallest) / smallest)
        return np.minimum(np.ceil(relative / STEP), BINS - 1).astype(np.int64)


def orders(rows: int) -> int:
    """Say how often effects change places, so that there are enough of them.

    Parameters
    ----------
    rows : int
        How many effects there are.

    Examples
    --------
    >>> orders(2**17), orders(10), orders(10**9)
    (2, 64, 1)
    """
    return max(1, min(MOST_ORDERS, -(-ENOUGH // max(1, rows))))


def find(line: Line, chance: Chance) -> list[Seqlet]:
    """Find the seqlets of a line, from left to right.

    Parameters
    ----------
    line : Line
        The effects along a sequence.
    chance : Chance
        That of all lines.
    """
    found = [seqlet for sign in SIGNS for seqlet in _of_sign(line, chance, sign)]
    return sorted(found, key=lambda one: (one.first, one.after))


def _of_sign(line: Line, chance: Chance, sign: int) -> Iterator[Seqlet]:
    """Find the seqlets that raise the prediction, or those that lower it: the longest first, of these the surest."""
    sums = np.r_[0.0, np.cumsum(line.effects)]
    taken = np.zeros(len(line.effects), dtype=bool)
    levels = list(_levels(line, chance, sign, sums))
    for length, begins, shares in reversed(levels):
        for own in _ordered(shares, sign * (sums[begins + length] - sums[begins])):
            first = int(begins[own])
            if not taken[first : first + length].any():
                taken[first : first + length] = True
                yield Seqlet(first, first + length, float(sums[first + length] - sums[first]), float(shares[own]))


def _levels(line: Line, chance: Chance, sign: int, sums: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Go through lengths: where spans begin, and the largest share of any span inside each; until none is strong."""
    inside = np.zeros(len(line.effects) + 1)
    for number, length in enumerate(LENGTHS):
        begins = line.spans(length)
        own = chance.shares(number, sign, sums[begins + length] - sums[begins])
        shares = np.ones(len(inside))
        shares[begins] = own if length == SHORTEST else np.maximum(own, np.maximum(inside[begins], inside[begins + 1]))
        if not (shares <= MOST_BY_CHANCE).any():
            return
        inside = shares
        yield length, begins, shares[begins]


def _ordered(shares: np.ndarray, sizes: np.ndarray) -> Iterable[int]:
    """Order the spans that are strong enough: the surest first, of those alike the largest, then the leftmost."""
    strong = np.flatnonzero(shares <= MOST_BY_CHANCE)
    return strong[np.lexsort((strong, -sizes[strong], shares[strong]))].tolist()
