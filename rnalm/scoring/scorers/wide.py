"""The linear part of a model, for edited sequences: of its sums over runs of letters, compute only what an edit changes.

What stays where it was, or moved as a whole, is the difference of two cumulative sums; around each edit runs are counted anew
(see :mod:`rnalm.scoring.scorers.letters`). All is added up in double precision, on the CPU, while a GPU works on the network.
"""

import copy
from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array
from transformers import PreTrainedModel

from rnalm.models.wide import Wide
from rnalm.scoring.edits import Edits, distinct, offsets
from rnalm.scoring.scorers.base import Scorer
from rnalm.scoring.scorers.letters import Edited, Letters, Runs, Speller, made, with_itself
from rnalm.tokens.batches import collate
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.ngrams import Kind, numbers

#: Numbers of edited sequences that are held at once, about, and edited sequences that are made whole together.
MOST_NUMBERS, MOST_WHOLE = 2**20, 64


class WideScorer(Scorer):
    """Adds the linear part of a model to what a scorer computes for its network.

    Parameters
    ----------
    network : Scorer
        Of the network.
    model : PreTrainedModel
        With the linear part.
    """

    def __init__(self, network: Scorer, model: PreTrainedModel) -> None:
        self.network, self.name, self.precision = network, network.name, network.precision
        self.linear = EditedLinear(model.wide, getattr(model.config, "modifier_channels", 0))  # pyright: ignore[reportArgumentType]

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate the cost of scoring every token: that of the network; see :meth:`Scorer.cost`.

        Parameters
        ----------
        lengths : numpy.ndarray
            Tokens of each sequence ``(sequences,)``.
        """
        return self.network.cost(lengths)

    def launch(self, sequence: Encoded, edits: Edits, at: np.ndarray | None = None) -> Callable[[], np.ndarray]:
        """Begin to score; see :meth:`Scorer.launch`.

        Parameters
        ----------
        sequence, edits, at
            The sequence, its perturbations, and None: these models have outputs for sequences.
        """
        wait = self.network.launch(sequence, edits, at)
        linear = self.linear(sequence, edits)
        return lambda: wait() + linear


class EditedLinear:
    """Computes a linear part for edited sequences.

    Parameters
    ----------
    wide : Wide
        The linear part.
    channels : int
        Modifiers of a token that the model has.
    """

    def __init__(self, wide: Wide, channels: int) -> None:
        self.whole, self.channels, self.spell = copy.deepcopy(wide).cpu(), channels, Speller(wide.ngrams, channels)
        weights = self.whole.weights.double().split(wide.sizes)
        self.kinds = [(kind, own.numpy()) for kind, own in zip(wide.kinds, weights, strict=True)]
        self.bias = self.whole.bias.double().numpy()
        sizes = [wide.places(n) * wide.base**n for n in wide.placed_runs]
        tables = self.whole.placed.double().split(sizes) if sizes else ()
        self.placed = {n: (wide.places(n), own.numpy()) for n, own in zip(wide.placed_runs, tables, strict=True)}
        self.longest = max([1, *self.placed, *(kind.n for kind in wide.kinds)])

    def __call__(self, sequence: Encoded, edits: Edits) -> np.ndarray:
        """Compute what it adds to the outputs.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        edits : Edits
            Its perturbations.

        Returns
        -------
        numpy.ndarray
            For the perturbations and, last, the sequence: float32 ``(edits + 1, outputs)``.
        """
        edits = with_itself(edits)
        outputs = np.empty((len(edits), len(self.bias)), np.float32)
        fits = self.spell.fits(sequence, edits)
        if (own := np.flatnonzero(fits)).size:
            letters = self.spell(sequence, edits if fits.all() else edits[own])
            outputs[own] = self._sums(letters)
        for chosen in np.array_split(np.flatnonzero(~fits), -(-int((~fits).sum()) // MOST_WHOLE) or 1):
            if chosen.size:
                outputs[chosen] = self.of_whole(made(sequence, edits, chosen.tolist()))
        return outputs

    def of_whole(self, sequences: list[Encoded]) -> np.ndarray:
        """Compute it for whole sequences.

        Parameters
        ----------
        sequences : list of Encoded
            Some.

        Returns
        -------
        numpy.ndarray
            float32 ``(sequences, outputs)``
        """
        return self.whole(**collate(sequences, self.channels)).numpy()

    def _sums(self, letters: Letters) -> np.ndarray:
        """Compute it for all edits, some at a time ``(edits, outputs)``."""
        itself = _Sums(self, letters)
        each = max(1, MOST_NUMBERS // (len(self.bias) + 4 * self.longest))
        parts = [letters.edits[first : first + each] for first in range(0, len(letters.edits), each)]
        return np.concatenate([itself.of(Edited(letters, part, self.longest)) for part in parts])


class _Sums:
    """Cumulative sums over the letters of a sequence, and with them those over edited sequences."""

    def __init__(self, linear: EditedLinear, letters: Letters) -> None:
        self.linear, self.letters = linear, letters
        self.runs, self.found = Runs(letters.base, letters.symbols[: letters.length]), {}

    def of(self, edited: Edited) -> np.ndarray:
        """Compute the linear part for edited sequences ``(edits, outputs)``."""
        total = np.tile(self.linear.bias, (len(edited.edits), 1))
        regions = {mark: _Marks(self.letters, edited, mark) for mark in self.letters.marks}
        for kind, weights in self.linear.kinds:
            own = regions.get(kind.mark) if kind.where in ("marks", "marked", "regions", "before", "behind") else None
            total += self._shares(kind, weights, edited, own) if kind.n else self._numbers(kind, edited, own) @ weights
        for n, (places, table) in self.linear.placed.items():
            total += self._by_place(n, places, table, edited)
        return total

    def _numbers(self, kind: Kind, edited: Edited, marks: "_Marks | None") -> np.ndarray:
        """Give a block of numbers ``(edits, numbers)``."""
        if marks is None:
            return numbers(kind, edited.length)
        if kind.where == "marks":
            return numbers(kind, edited.length, marks.count)
        return numbers(kind, marks.before, edited.length - marks.before - marks.behind, marks.behind)

    def _shares(self, kind: Kind, weights: np.ndarray, edited: Edited, marks: "_Marks | None") -> np.ndarray:
        """Average the weights of the runs of a block ``(edits, outputs)``."""
        owner, low, high, shift = edited.pieces(kind.n)
        code, known = edited.runs(kind.n)
        counted = known & edited.begins(kind.n)
        if kind.where == "frame":
            counted &= edited.position % 3 == 0
        elif kind.where == "marked":
            counted &= self.letters.marks[kind.mark][edited.index]
        elif marks is not None:
            first, last = (np.zeros_like(marks.before), marks.before) if kind.where == "before" else marks.ends
            low = np.minimum(np.maximum(low, first[owner]), high)
            high = np.maximum(low, np.minimum(high, last[owner]))
            counted &= (edited.position >= first[edited.owner]) & (edited.position < last[edited.owner])
        low, high = low - shift, high - shift
        count, total = np.zeros(len(low), np.int64), np.zeros((len(low), weights.shape[1]))
        phases = -shift % 3 if kind.where == "frame" else np.zeros_like(shift)
        for phase in distinct(phases).tolist():
            own = phases == phase
            counts, sums = self._cumulated(kind, weights, phase)
            count[own], total[own] = counts[high[own]] - counts[low[own]], sums[high[own]] - sums[low[own]]
        around, windows = _looked_up(edited, counted, code, weights)
        return (edited.summed(total) + around) / np.maximum(edited.summed(count) + windows, 1)[:, None]

    def _cumulated(self, kind: Kind, weights: np.ndarray, phase: int) -> tuple[np.ndarray, np.ndarray]:
        """Count the runs of a block, and sum their weights, up to each letter: of those that begin in a phase, if in frame."""
        if (kind.name, phase) not in self.found:
            code, known = self.runs(kind.n)
            if kind.where == "frame":
                known = known & (np.arange(len(known)) % 3 == phase)
            elif kind.where == "marked":
                known = known & self.letters.marks[kind.mark][: len(known)]
            self.found[kind.name, phase] = offsets(known), _cumulated(weights[code] * known[:, None])
        return self.found[kind.name, phase]

    def _by_place(self, n: int, places: int, table: np.ndarray, edited: Edited) -> np.ndarray:
        """Sum the weights of runs at their positions ``(edits, outputs)``."""
        owner, low, high, shift = edited.pieces(n)
        total, width = np.zeros((len(owner), table.shape[1])), self.letters.base**n
        for by in distinct(shift).tolist():
            if ("place", n, by) not in self.found:
                code, known = self.runs(n)
                position = np.arange(len(code)) + by
                known = known & (position >= 0) & (position < places)
                index = np.where(known, position * width + code, 0)
                self.found["place", n, by] = None, _cumulated(table[index] * known[:, None])
            own, sums = shift == by, self.found["place", n, by][1]
            total[own] = sums[high[own] - by] - sums[low[own] - by]
        code, known = edited.runs(n)
        counted = known & edited.begins(n) & (edited.position < places)
        return edited.summed(total) + _looked_up(edited, counted, edited.position * width + code, table)[0]


class _Marks:
    """Where in edited sequences marks are: ``count``, and letters ``before`` all codons and ``behind`` them ``(edits,)``."""

    def __init__(self, letters: Letters, edited: Edited, mark: int) -> None:
        marks, places = letters.marks[mark], np.arange(letters.length)
        own, none = marks[: letters.length], letters.length
        owner, low, high, shift = edited.pieces()
        counts = offsets(own)
        count = edited.summed(counts[high - shift] - counts[low - shift])
        comes = marks[edited.index] & edited.comes
        self.count = count + np.bincount(edited.owner[comes], minlength=len(count))
        # The next mark from each letter on, and the last one before it.
        following = np.minimum.accumulate(np.append(np.where(own, places, none), none)[::-1])[::-1]
        preceding = np.maximum.accumulate(np.insert(np.where(own, places, -1), 0, -1))
        first, last = edited.length.copy(), np.full(len(count), -1)
        there = np.flatnonzero((following[low - shift] < high - shift) & (low < high))
        np.minimum.at(first, owner[there], (following[low - shift] + shift)[there])
        np.maximum.at(last, owner[there], (preceding[high - shift] + shift)[there])
        np.minimum.at(first, edited.owner[comes], edited.position[comes])
        np.maximum.at(last, edited.owner[comes], edited.position[comes])
        self.before = first
        self.behind = np.where(last < 0, 0, np.maximum(edited.length - last - 3, 0))
        self.ends = edited.length - self.behind, edited.length


def _cumulated(terms: np.ndarray) -> np.ndarray:
    """Sum terms up to each letter ``(letters + 1, outputs)``."""
    return np.concatenate([np.zeros((1, terms.shape[1])), np.cumsum(terms, axis=0)])


def _looked_up(edited: Edited, counted: np.ndarray, index: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum what a table has for letters of windows that are counted ``(edits, outputs)``, and count these ``(edits,)``."""
    chosen = np.flatnonzero(counted)
    count = np.bincount(edited.owner[chosen], minlength=len(edited.edits))
    if table.shape[1] == 1:
        sums = np.bincount(edited.owner[chosen], weights=table[index[chosen], 0], minlength=len(count))
        return sums[:, None], count
    shape = (len(count), len(table))
    return csr_array((np.ones(len(chosen)), index[chosen], offsets(count)), shape=shape) @ table, count
