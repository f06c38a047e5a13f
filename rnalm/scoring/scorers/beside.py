"""Sequences side by side: numbered as if they were one, so that one launch of a kernel works on all of them.

What a window needs is found by indices: its tokens in the material, what lies beside it in a pass, the state of its
perturbation in a row. Of several sequences the materials, the passes and the rows are joined, and the indices moved by what
stands before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnalm.models.local import Layer, Local
from rnalm.scoring.edits import Edits, distinct, offsets
from rnalm.scoring.scorers.material import ids_of, modifiers_of
from rnalm.scoring.scorers.recompute import window_rows
from rnalm.scoring.scorers.windows import Windows, find_windows
from rnalm.tokens.dataset import Encoded


@dataclass(frozen=True)
class Item:
    """A sequence with its perturbations.

    Attributes
    ----------
    sequence, edits
        With the margin that the model needs around them.
    windows : Windows
        What the edits change.
    shifts : numpy.ndarray
        By how much passes over the sequence are shifted, in ascending order; 0 for the sequence itself ``(passes,)``.
    """

    sequence: Encoded
    edits: Edits
    windows: Windows
    shifts: np.ndarray

    @classmethod
    def of(cls, sequence: Encoded, edits: Edits, layers: Sequence[Layer]) -> "Item":
        """Find windows and shifts.

        Parameters
        ----------
        sequence, edits
            With the margin that the model needs around them.
        layers : sequence of Layer
            The layers of the model, from the tokens on.
        """
        windows = find_windows(edits, len(sequence.input_ids), layers)
        return cls(sequence, edits, windows, distinct(np.concatenate([windows.left, windows.right, [0]])))

    @property
    def longest(self) -> int:
        """Tokens of the longest pass."""
        return len(self.sequence.input_ids) + int(self.shifts[-1])

    def rows(self, local: Local) -> int:
        """Count the positions of its windows, in the layer where they are widest.

        Parameters
        ----------
        local : Local
            The model, in parts.
        """
        return len(self.windows.owner) * window_rows(local, int(self.windows.width.max(initial=0)))


class Beside:
    """Sequences side by side.

    Parameters
    ----------
    items : sequence of Item
        One or more.
    local : Local
        The model, in parts.
    modifier_channels : int
        Channels that the model has.
    pad : int
        Id of ``[PAD]``.

    Raises
    ------
    RnalmError
        If a sequence has more modifiers than the model has channels for.

    Attributes
    ----------
    ids : list of numpy.ndarray
        Those of the joined materials, int64, in parts.
    modifiers : numpy.ndarray
        Theirs, float32 ``(modifier_channels, tokens)``.
    lefts, rights : numpy.ndarray
        The passes of which junctions are needed on the left and right; of several sequences all, as one run.
    own : numpy.ndarray
        The pass of each sequence itself ``(items,)``.
    first_row, first_window : numpy.ndarray
        Rows ``first_row[i]:first_row[i + 1]`` are those of the perturbations of item i and, last, of the sequence itself;
        likewise windows ``(items + 1,)``.
    bins : numpy.ndarray
        Bins of each pass ``(passes,)``.
    """

    def __init__(self, items: Sequence[Item], local: Local, modifier_channels: int, pad: int) -> None:
        self.items, self.local = items, local
        self.ids = [ids_of(item.sequence, item.edits, pad) for item in items]
        self.modifiers = _joined([modifiers_of(item.sequence, item.edits, modifier_channels) for item in items])
        self.first_row = offsets([len(item.edits) + 1 for item in items])
        self.first_window = offsets([len(item.windows.owner) for item in items])
        #: Where the material of each item begins, and its passes.
        self.first_token = offsets([len(ids) for ids in self.ids])
        self.first_pass = offsets([len(item.shifts) for item in items])
        self.shifts = _joined([item.shifts for item in items])
        self.left = self._parts(lambda item: np.searchsorted(item.shifts, item.windows.left), self.first_pass)
        self.right = self._parts(lambda item: np.searchsorted(item.shifts, item.windows.right), self.first_pass)
        every = np.arange(self.first_pass[-1])
        several = len(items) > 1
        self.lefts, self.rights = (every, every) if several else (distinct(self.left[0]), distinct(self.right[0]))
        self.own = self.first_pass[:-1] + np.array([np.searchsorted(item.shifts, 0) for item in items])
        lengths = np.array([len(item.sequence.input_ids) for item in items])
        tokens = np.repeat(lengths, np.diff(self.first_pass)) + self.shifts
        self.length = max(local.minimum_length, int(tokens.max()))
        self.bins = np.array([local.bins(count - sum(local.margin)) for count in tokens.tolist()])

    def _parts(self, of: Callable[[Item], np.ndarray], first: np.ndarray) -> list[np.ndarray]:
        """Take numbers of each item, and count them on from those of the items before it."""
        return [of(item) + at if at else of(item) for item, at in zip(self.items, first.tolist(), strict=False)]

    @cached_property
    def most_bins(self) -> int:
        """Bins of the longest pass, with those that only padding has."""
        count = self.length
        for layer in self.local.layers:
            count = layer.length(count)
        return count

    @cached_property
    def item(self) -> np.ndarray:
        """To which item each window belongs ``(windows,)``."""
        return np.repeat(np.arange(len(self.items)), np.diff(self.first_window))

    def of_windows(self, name: str) -> np.ndarray:
        """Join a field of the windows of all items.

        Parameters
        ----------
        name : str
            Of :class:`rnalm.scoring.scorers.windows.Windows`, and none that numbers something.
        """
        return _joined([getattr(item.windows, name) for item in self.items])

    def owner(self) -> list[np.ndarray]:
        """Give the row of the perturbation of each window, int64, in parts."""
        return self._parts(lambda item: item.windows.owner, self.first_row)

    def source(self) -> list[np.ndarray]:
        """Give the places of the windows' tokens in the joined materials, int64, in parts."""
        return self._parts(lambda item: item.windows.source, self.first_token)

    def offset(self) -> list[np.ndarray]:
        """Tell where the tokens of each window begin among these, int64, in parts."""
        first = offsets([len(item.windows.source) for item in self.items])
        return self._parts(lambda item: item.windows.offset[:-1], first)

    def in_order(self) -> int | None:
        """Give the width of all windows, if it is one, each perturbation has one at most, and they go from left to right."""
        widths = {width for item in self.items for width in _ends(item.windows.width)}
        rank = max(item.windows.rank.max(initial=0) for item in self.items)
        ascend = all((item.windows.top[1:] >= item.windows.top[:-1]).all() for item in self.items)
        return widths.pop() if len(widths) == 1 and not rank and ascend else None

    def places(self) -> np.ndarray:
        """Find the tokens of all passes in the joined materials: padding at both ends, int64 ``(passes, length)``."""
        count = np.diff(self.first_pass)
        lengths = np.repeat([len(item.sequence.input_ids) for item in self.items], count)
        position = np.arange(self.length) - self.shifts[:, None]
        inside = (position >= 0) & (position < lengths[:, None])
        first, padding = np.repeat(self.first_token[:-1], count), np.repeat(self.first_token[1:] - 1, count)
        return np.where(inside, first[:, None] + position, padding[:, None])

    def read_bins(self) -> list[np.ndarray]:
        """Count the bins of the perturbed sequence of each row, int64, in parts."""
        return [self._read_bins(item) for item in self.items]

    def _read_bins(self, item: Item) -> np.ndarray:
        growth = np.append(item.edits.growth, 0)
        bins = np.zeros(np.ptp(growth) + 1, dtype=np.int64)  # of sequences that have grown by the least, by one more, …
        for each in distinct(growth).tolist():
            bins[each - growth.min()] = self.local.bins(len(item.sequence.input_ids) - sum(self.local.margin) + each)
        return bins[growth - growth.min()]


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Put arrays one after the other, or take the only one as it is."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)


def _ends(numbers: np.ndarray) -> set[int]:
    """Give the least and the greatest of numbers, if there are any."""
    return {int(numbers.min()), int(numbers.max())} if len(numbers) else set()
