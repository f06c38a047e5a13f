"""Edited sequences as letters: what stays as it is, and windows around what changes.

Left of an edit the letters of a sequence stand where they did, right of it as many places further as the edits up to there
have added: these are *pieces*. A run of letters that no piece holds begins in a *window*: as many letters before those that
come as a run may have but one, these themselves, and as many behind them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnalm.scoring.edits import NOWHERE, Edits, offsets, ranges
from rnalm.scoring.scorers.material import modifiers_of
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.ngrams import Ngrams


class Speller:
    """Writes sequences, and the tokens that come, as letters.

    Parameters
    ----------
    ngrams : Ngrams
        Which letters tokens stand for, and what marks them.
    channels : int
        Modifiers of a token that the model has.
    """

    def __init__(self, ngrams: Ngrams, channels: int) -> None:
        self.ngrams, self.channels = ngrams, channels
        self.whole = np.array([len(own) for own in ngrams.spelled])
        self.table = np.full((len(self.whole), self.whole.max()), -1)
        for token, own in enumerate(ngrams.spelled):
            self.table[token, : len(own)] = own

    def fits(self, sequence: Encoded, edits: Edits) -> np.ndarray:
        """Say which edits change only the letters of the tokens that they change, bool ``(edits,)``.

        Of tokens that overlap, the last one has letters that it has nowhere else.

        Parameters
        ----------
        sequence, edits
            The sequence and its perturbations.
        """
        if not self.ngrams.stride:
            return np.ones(len(edits), dtype=bool)
        changed = edits.owner[edits.end == len(sequence.input_ids)]
        return np.bincount(changed, minlength=len(edits)) == 0

    def __call__(self, sequence: Encoded, edits: Edits) -> "Letters":
        """Write a sequence, and edits that fit it, as letters.

        Parameters
        ----------
        sequence, edits
            The sequence and its perturbations.
        """
        length = len(sequence.input_ids)
        tokens = np.concatenate([sequence.input_ids.astype(np.int64), edits.token])
        widths = self.whole[tokens]
        if self.ngrams.stride:
            widths = np.minimum(widths, self.ngrams.stride)
            widths[length - 1 : length] = self.whole[tokens[length - 1 : length]]
        place = offsets(widths)
        symbols = self.table[np.repeat(tokens, widths), ranges(np.zeros_like(widths), widths)]
        letters, comes = place[length], place[length + edits.offset] - place[length]
        numbers = np.arange(comes[-1])  # of the letters that come, by which they are found wherever edits are chosen
        changed = Edits(edits.first, place[edits.start], place[edits.end], comes, symbols[letters:], numbers)
        marks = {mark: self._marked(mark, tokens, sequence, edits) for mark in self.ngrams.marks}
        return Letters(len(self.ngrams.letters), int(letters), np.append(symbols, -1), marks, changed)

    def _marked(self, mark: int, tokens: np.ndarray, sequence: Encoded, edits: Edits) -> np.ndarray:
        """Say which letters have a mark, where each token is a letter."""
        if mark < 0:
            return np.append(np.isin(tokens, self.ngrams.capital), False)
        if mark >= self.channels:
            return np.zeros(len(tokens) + 1, dtype=bool)
        return modifiers_of(sequence, edits, self.channels)[mark] != 0


@dataclass(frozen=True)
class Letters:
    """The letters of a sequence, of the tokens that come, and one that is not known.

    Attributes
    ----------
    base : int
        How many different ones there are.
    length : int
        Letters of the sequence.
    symbols : numpy.ndarray
        Their numbers, -1 where one is not known ``(letters,)``.
    marks : dict
        Of each kind of mark, which letters have it, bool ``(letters,)``.
    edits : Edits
        In letters: ``token`` are symbols that come, and ``keep`` are the numbers of these.
    """

    base: int
    length: int
    symbols: np.ndarray
    marks: dict[int, np.ndarray]
    edits: Edits


class Runs:
    """Runs of letters, one after the other, by their numbers.

    Parameters
    ----------
    base : int
        How many letters there are.
    symbols : numpy.ndarray
        Letters of sequences or of windows ``(letters,)``.
    """

    def __init__(self, base: int, symbols: np.ndarray) -> None:
        self.base, self.symbols = base, symbols
        self.found: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Give the number of the run that begins at each letter, and whether all of its letters are known ``(letters,)``.

        Parameters
        ----------
        n : int
            Letters of a run.
        """
        if n not in self.found:
            size = len(self.symbols)
            padded = np.append(self.symbols, np.full(n - 1, -1))
            code, known = np.zeros(size, dtype=np.int64), np.ones(size, dtype=bool)
            for shift in range(n):
                symbols = padded[shift : shift + size]
                code, known = code * self.base + np.maximum(symbols, 0), known & (symbols >= 0)
            self.found[n] = code, known
        return self.found[n]


class Edited:
    """Edited sequences: their pieces and windows.

    Parameters
    ----------
    letters : Letters
        Of the sequence.
    edits : Edits
        Some of those of the letters.
    longest : int
        Letters of the longest run that is looked at.

    Attributes
    ----------
    length : numpy.ndarray
        Letters of each edited sequence ``(edits,)``.
    low, begin, stop : numpy.ndarray
        Of each span, in letters of the edited sequence: behind what came before it, the first that comes, and behind those that
        come ``(spans,)``.
    owner, position, index : numpy.ndarray
        Of each letter of the windows: whose it is, where it stands in the edited sequence, and which it is among all letters
        ``(window letters,)``; ``span`` tells of which window.
    """

    def __init__(self, letters: Letters, edits: Edits, longest: int) -> None:
        self.letters, self.edits, self.owners = letters, edits, edits.owner
        self.length = letters.length + edits.growth
        total = offsets(edits.shift)
        self.left = total[:-1] - total[edits.first[:-1]][self.owners]
        self.begin = edits.start + self.left
        self.stop = self.begin + edits.count
        again = np.append(False, self.owners[1:] == self.owners[:-1])[: len(self.owners)]
        self.low = np.where(again, np.append(0, self.stop)[: len(again)], 0)
        first = np.maximum(self.low, self.begin - (longest - 1))
        size = np.minimum(self.stop + longest - 1, self.length[self.owners]) - first
        self.span, self.position = np.repeat(np.arange(len(size)), size), ranges(first, size)
        self.owner = self.owners[self.span]
        self.index = self._index()

    def _index(self) -> np.ndarray:
        """Find the letters of windows, which reach into those of the spans behind them."""
        index, after = self._seen(np.arange(len(self.span)), self.span), self.span + 1
        reached = np.arange(len(index))
        while True:
            reached = reached[after[reached] < len(self.owners)]
            reached = reached[self.owners[after[reached]] == self.owner[reached]]
            reached = reached[self.position[reached] >= self.begin[after[reached]]]
            if not len(reached):
                return index
            index[reached] = self._seen(reached, after[reached])
            after[reached] += 1

    def _seen(self, chosen: np.ndarray, span: np.ndarray) -> np.ndarray:
        """Say which letters some of windows are, as far as spans up to these have changed the sequence."""
        position, edits = self.position[chosen], self.edits
        within = position - self.begin[span]
        comes = (within >= 0) & (position < self.stop[span])
        moved = np.where(within >= 0, self.left[span] + edits.shift[span], self.left[span])
        index = position - moved
        index[comes] = self.letters.length + edits.keep[edits.offset[span[comes]] + within[comes]]
        return index

    @cached_property
    def runs(self) -> Runs:
        """Runs in windows; those that begin where :meth:`begins` says do not reach beyond theirs."""
        return Runs(self.letters.base, self.letters.symbols[self.index])

    def begins(self, n: int) -> np.ndarray:
        """Say at which letters of windows runs begin that no piece holds, bool ``(window letters,)``.

        Parameters
        ----------
        n : int
            Letters of a run.
        """
        inside = self.position < self.stop[self.span]
        return inside & (self.position > self.begin[self.span] - n) & (self.position + n <= self.length[self.owner])

    @cached_property
    def comes(self) -> np.ndarray:
        """Which letters of windows come, bool ``(window letters,)``."""
        return (self.position >= self.begin[self.span]) & (self.position < self.stop[self.span])

    def pieces(self, n: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """List the pieces: those before each span, and the last one of each edited sequence.

        Parameters
        ----------
        n : int
            Letters of runs, of which all are in the piece.

        Returns
        -------
        owner : numpy.ndarray
            Whose it is ``(spans + edits,)``.
        low, high : numpy.ndarray
            At which letters of the edited sequence such runs begin: a half-open range ``(spans + edits,)``.
        shift : numpy.ndarray
            How many letters further these stand than in the sequence ``(spans + edits,)``.
        """
        edits, spans = self.edits, np.diff(self.edits.first)
        last = np.append(self.stop, 0)[np.where(spans > 0, edits.first[1:] - 1, len(self.stop))]
        low = np.concatenate([self.low, last])
        high = np.maximum(low, np.concatenate([self.begin, self.length]) - (n - 1))
        return np.concatenate([self.owners, np.arange(len(edits))]), low, high, np.concatenate([self.left, edits.growth])

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Add up what each edited sequence has of its pieces: ``(edits, …)``.

        Parameters
        ----------
        values : numpy.ndarray
            Of the pieces, in their order ``(spans + edits, …)``.
        """
        first, spans = self.edits.first, len(self.owners)
        before, last = values[:spans], values[spans:]
        if (np.diff(first) == 1).all():
            return before + last
        added = np.concatenate([np.zeros_like(values[:1]), np.cumsum(before, axis=0)])
        return last + added[first[1:]] - added[first[:-1]]


def with_itself(edits: Edits) -> Edits:
    """Add a perturbation that changes nothing.

    Parameters
    ----------
    edits : Edits
        Of any sequence.
    """
    first = np.append(edits.first, edits.first[-1])
    return Edits(first, edits.start, edits.end, edits.offset, edits.token, edits.keep)


def made(sequence: Encoded, edits: Edits, chosen: Sequence[int]) -> list[Encoded]:
    """Make some edited sequences, whole.

    Parameters
    ----------
    sequence, edits
        The sequence and its perturbations.
    chosen : sequence of int
        Which of them.
    """
    return [_made(sequence, edits, number) for number in chosen]


def _made(sequence: Encoded, edits: Edits, number: int) -> Encoded:
    """Put one together."""
    ids, modifiers, after = [], [], 0
    own = None if sequence.modifiers is None else np.pad(sequence.modifiers, ((0, 0), (0, 1)))
    for span in range(edits.first[number], edits.first[number + 1]):
        comes = slice(edits.offset[span], edits.offset[span + 1])
        ids += [sequence.input_ids[after : edits.start[span]], edits.token[comes]]
        if own is not None:
            keep = np.where(edits.keep[comes] == NOWHERE, own.shape[1] - 1, edits.keep[comes])
            modifiers += [own[:, after : edits.start[span]], own[:, keep]]
        after = edits.end[span]
    ids.append(sequence.input_ids[after:])
    joined = None if own is None else np.concatenate([*modifiers, own[:, after:-1]], axis=1)
    return Encoded(sequence.row, sequence.id, np.concatenate(ids).astype(np.int32), joined, None, 1.0, None)
