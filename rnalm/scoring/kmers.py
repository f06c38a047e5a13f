"""Effects along sequences ─► what each k-mer does to the prediction: how much, how surely, and where."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from rnalm.scoring.lines import REGIONS, Line, Survey

log = logging.getLogger(__name__)

#: K-mers of letters have up to so many; of tokens of several letters, up to so many tokens.
LONGEST, LONGEST_OF_TOKENS = 6, 2
#: Different k-mers of one length, and of all lengths and classes together, at most.
MOST, MOST_IN_ALL = 2**18, 2**20
#: A mean is told where so many sequences have the k-mer.
FEWEST = 5
#: Differences that are smaller, as a share of what differs, are rounding.
ROUNDING = 1e-9
#: Occurrences in one sequence that are kept apart before they are summed.
BUFFER = 2**20
#: Contexts: anywhere, by third of the sequence, and by position in the codon.
CONTEXTS = ("effect", *REGIONS, "frame_0", "frame_1", "frame_2")


@dataclass(frozen=True)
class Words:
    """Which k-mers there can be; their numbers run through all of one symbol, of two, and so on.

    Attributes
    ----------
    symbols : tuple of str
        What they consist of, the most frequent first.
    sizes : tuple of int
        For each length from 1, of how many of the symbols k-mers are made.
    joint : str
        What stands between symbols in a k-mer.
    """

    symbols: tuple[str, ...]
    sizes: tuple[int, ...]
    joint: str = ""

    @property
    def firsts(self) -> np.ndarray:
        """Number of the first k-mer of each length, and how many there are: int64 ``(lengths + 1,)``."""
        return np.cumsum([0, *(size**k for k, size in enumerate(self.sizes, 1))])

    def numbers(self, symbols: np.ndarray, begins: np.ndarray, k: int) -> np.ndarray:
        """Give k-mers that begin at some places numbers, -1 to those with symbols that are not counted: int64 ``(begins,)``.

        Parameters
        ----------
        symbols : numpy.ndarray
            Numbers of symbols ``(places,)``.
        begins : numpy.ndarray
            Where k-mers begin.
        k : int
            How many symbols they have.
        """
        size = self.sizes[k - 1]
        window = symbols[begins[:, None] + np.arange(k)]
        code = window @ size ** np.arange(k)[::-1]
        return np.where(((window >= 0) & (window < size)).all(axis=1), self.firsts[k - 1] + code, -1)

    def written(self, number: int) -> str:
        """Write a k-mer.

        Parameters
        ----------
        number : int
            From :meth:`numbers`.

        Examples
        --------
        >>> Words(("a", "c"), (2, 2)).written(3)
        'ac'
        """
        k = int(np.searchsorted(self.firsts, number, side="right"))
        code, size, letters = number - int(self.firsts[k - 1]), self.sizes[k - 1], []
        for _ in range(k):
            code, letter = divmod(code, size)
            letters.append(self.symbols[letter])
        return self.joint.join(reversed(letters))


def words(found: Survey) -> Words:
    """Choose the k-mers that are counted, and log where these are not all.

    Parameters
    ----------
    found : Survey
        What there is in a table of scores.
    """
    symbols, room = found.symbols, min(MOST, MOST_IN_ALL // (2 * max(1, len(found.classes))))
    if found.lettered:
        lengths = [k for k in range(1, LONGEST + 1) if k == 1 or len(symbols) ** k <= room]
        return Words(tuple(symbols), tuple(len(symbols) for _ in lengths))
    sizes = tuple(min(len(symbols), max(1, int(room ** (1 / k) + 1e-9))) for k in range(1, LONGEST_OF_TOKENS + 1))
    for k, size in enumerate(sizes, 1):
        if size < len(symbols):
            log.info("k-mers of %d tokens are counted of the %d most frequent ones, of %d", k, size, len(symbols))
    return Words(tuple(symbols), sizes, " ")


@dataclass
class _Sums:
    """Sums over sequences for one class; the last axis has a number for each k-mer.

    ``mean`` and ``squares`` are Welford's, of effects and of what these exceed the usual by ``(2, k-mers)``.
    """

    size: int
    occurrences: np.ndarray = field(init=False)
    sequences: np.ndarray = field(init=False)
    totals: np.ndarray = field(init=False)
    mean: np.ndarray = field(init=False)
    squares: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.occurrences = np.zeros(self.size, np.int64)
        self.sequences = np.zeros((len(CONTEXTS), self.size), np.int32)
        self.totals = np.zeros((len(CONTEXTS), self.size))
        self.mean, self.squares = np.zeros((2, self.size)), np.zeros((2, self.size))

    def add(self, tally: "_Tally") -> None:
        """Add what was counted in a sequence."""
        keys, (count, effect, excess) = tally.reduced()
        number, context = np.divmod(keys, len(CONTEXTS))
        self.sequences[context, number] += 1
        self.totals[context, number] += effect / count
        anywhere = context == 0
        own, count = number[anywhere], count[anywhere]
        values = np.stack([effect[anywhere], excess[anywhere]]) / count
        self.occurrences[own] += count.astype(np.int64)
        before = values - self.mean[:, own]
        self.mean[:, own] += before / self.sequences[0, own]
        self.squares[:, own] += before * (values - self.mean[:, own])


@dataclass
class _Tally:
    """Counts the k-mers of one sequence, in however many lines, by context; keys are ``number * len(CONTEXTS) + context``."""

    keys: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    waiting: int = 0

    def add(self, line: Line, words: Words) -> None:
        """Count the k-mers of a line."""
        parts = [_occurrences(line, words, k) for k in range(1, len(words.sizes) + 1)]
        number, effect, excess, region, frame = (np.concatenate(column) for column in zip(*parts, strict=True))
        inside = np.flatnonzero(frame >= 0)
        contexts = (0 * region, 1 + region, 1 + len(REGIONS) + frame[inside])
        rows = np.concatenate([*2 * [np.arange(len(number))], inside])
        self.keys.append(number[rows] * len(CONTEXTS) + np.concatenate(contexts))
        self.values.append(np.stack([np.ones(len(rows)), effect[rows], excess[rows]]))
        self.waiting += len(rows)
        if self.waiting > BUFFER:
            keys, values = self.reduced()
            self.keys, self.values, self.waiting = [keys], [values], 0

    def reduced(self) -> tuple[np.ndarray, np.ndarray]:
        """Give each key once, sorted ``(keys,)``; and how often it occurs, its effects and their excess ``(3, keys)``."""
        own, inverse = np.unique(np.concatenate(self.keys), return_inverse=True)
        values = np.concatenate(self.values, axis=1)
        return own, np.stack([np.bincount(inverse, row, len(own)) for row in values])


def _occurrences(line: Line, words: Words, k: int) -> tuple[np.ndarray, ...]:
    """List the k-mers of a line: number, effect, by how much it exceeds that of k usual places, third, and frame."""
    begins = line.spans(k)
    number = words.numbers(line.symbols, begins, k)
    begins, number = begins[number >= 0], number[number >= 0]
    sums = np.r_[0.0, np.cumsum(line.effects)]
    effect = sums[begins + k] - sums[begins]
    usual = line.effects.mean() if len(line.effects) else 0.0
    excess = effect - k * usual
    # What is left of a difference by rounding is none.
    excess[np.abs(excess) <= ROUNDING * (np.abs(effect) + abs(k * usual))] = 0.0
    return number, effect, excess, line.regions[begins + (k - 1) // 2], line.frames[begins]


class Kmers:
    """Counts k-mers in effects along sequences, class by class.

    Parameters
    ----------
    found : Survey
        What there is in the table of scores.
    """

    def __init__(self, found: Survey) -> None:
        self.words = words(found)
        self.named = found.classes != [""]
        self.sums = {name: _Sums(int(self.words.firsts[-1])) for name in found.classes}

    def add(self, lines: Iterable[Line]) -> None:
        """Add the effects along one sequence.

        Parameters
        ----------
        lines : iterable of Line
            All its lines, one in memory at a time: several positions of a sequence may be explained, and several classes.
        """
        tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
        for line in lines:
            tallies[line.explained].add(line, self.words)
        for name, tally in tallies.items():
            self.sums[name].add(tally)

    def table(self) -> pd.DataFrame:
        """Tabulate the k-mers of :data:`FEWEST` sequences or more, and log how many are left out.

        Returns
        -------
        pandas.DataFrame
            Class by class, where they have names; the largest effects, up or down, first.
        """
        tables = [_tabulate(sums, self.words).assign(**{"class": name}) for name, sums in self.sums.items()]
        rare = sum(int(((own.sequences[0] > 0) & (own.sequences[0] < FEWEST)).sum()) for own in self.sums.values())
        table = pd.concat(tables, ignore_index=True)
        log.info("%d k-mers are told of; %d are left out, as fewer than %d sequences have them", len(table), rare, FEWEST)
        return table if self.named else table.drop(columns="class")


def _tabulate(sums: _Sums, words: Words) -> pd.DataFrame:
    """Tabulate the k-mers of one class."""
    kept = np.flatnonzero(sums.sequences[0] >= FEWEST)
    count = sums.sequences[0, kept]
    deviation = np.sqrt(sums.squares[:, kept] / (count - 1))
    mean = sums.mean[:, kept]
    t, p = t_test(mean[1], deviation[1], count)
    written = [words.written(int(number)) for number in kept]
    table = {
        **{"kmer": written, "class": "", "k": np.searchsorted(words.firsts, kept, side="right")},
        **{"occurrences": sums.occurrences[kept], "sequences": count, "effect": mean[0], "sd": deviation[0]},
        **{"excess": mean[1], "t": t, "p": p, "q": stats.false_discovery_control(p) if len(p) else p},
    }
    for number, name in enumerate(CONTEXTS[1:], 1):
        own = sums.sequences[number, kept]
        table[name] = np.where(own >= FEWEST, sums.totals[number, kept] / np.maximum(own, 1), np.nan)
    frame = pd.DataFrame(table)
    return frame.iloc[np.lexsort((frame["kmer"], -frame["effect"].abs()))]


def t_test(mean: np.ndarray, deviation: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Test whether means differ from 0, two-sided.

    Parameters
    ----------
    mean, deviation : numpy.ndarray
        Of samples ``(samples,)``; deviations are those with one degree of freedom less.
    count : numpy.ndarray
        Size of each sample, 2 or more ``(samples,)``.

    Returns
    -------
    t, p : numpy.ndarray
        ``(samples,)``; where all values of a sample are the same, which tells nothing of how they vary, t is 0 and p is 1.
    """
    varies = deviation > ROUNDING * np.abs(mean)
    t = np.where(varies, mean / np.where(varies, deviation / np.sqrt(count), 1.0), 0.0)
    return t, 2 * stats.t.sf(np.abs(t), count - 1)
