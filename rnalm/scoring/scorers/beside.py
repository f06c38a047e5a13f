"""Sequences side by side: numbered as if they were one, so that one launch of a kernel works on all of them.

What a window needs is found by indices: its tokens in the material, what lies beside it in a pass, the state of its
perturbation in a row. Of several sequences the materials, the passes and the rows are joined, and the indices moved by what
stands before.
"""

from collections.abc import Sequence
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
    ids, modifiers : numpy.ndarray
        Of the joined materials: int64 ``(tokens,)``, float32 ``(modifier_channels, tokens)``.
    windows : Windows
        Those of all items: ``owner`` is the row of a perturbation, ``source`` a place in the joined materials.
    item : numpy.ndarray
        To which item each window belongs ``(windows,)``.
    left, right : numpy.ndarray
        The passes left and right of each ``(windows,)``.
    lefts, rights : numpy.ndarray
        The passes of which junctions are needed on the left and right; of several sequences all, as one run.
    own : numpy.ndarray
        The pass of each sequence itself ``(items,)``.
    first_row : numpy.ndarray
        Rows ``first_row[i]:first_row[i + 1]`` are those of the perturbations of item i and, last, of the sequence itself
        ``(items + 1,)``.
    bins : numpy.ndarray
        Bins of each pass ``(passes,)``.
    """

    def __init__(self, items: Sequence[Item], local: Local, modifier_channels: int, pad: int) -> None:
        self.items, self.local = items, local
        self.ids = _joined([ids_of(item.sequence, item.edits, pad) for item in items])
        self.modifiers = _joined([modifiers_of(item.sequence, item.edits, modifier_channels) for item in items])
        self.first_row = offsets([len(item.edits) + 1 for item in items])
        #: Where the material of each item begins, and its passes.
        self.first_token = offsets([len(item.sequence.input_ids) + len(item.edits.token) + 1 for item in items])
        self.first_pass = offsets([len(item.shifts) for item in items])
        self.windows = self._windows()
        self.item = np.repeat(np.arange(len(items)), [len(item.windows.owner) for item in items])
        self.left, self.right = (
            _joined([at + np.searchsorted(item.shifts, side(item)) for at, item in zip(self.first_pass, items, strict=False)])
            for side in (lambda item: item.windows.left, lambda item: item.windows.right)
        )
        every = np.arange(self.first_pass[-1])
        self.lefts, self.rights = (every, every) if len(items) > 1 else (distinct(self.left), distinct(self.right))
        self.own = self.first_pass[:-1] + np.array([np.searchsorted(item.shifts, 0) for item in items])
        lengths = np.array([len(item.sequence.input_ids) for item in items])
        tokens = np.repeat(lengths, np.diff(self.first_pass)) + self.shifts
        self.length = max(local.minimum_length, int(tokens.max()))
        self.bins = np.array([local.bins(count - sum(local.margin)) for count in tokens.tolist()])

    @cached_property
    def shifts(self) -> np.ndarray:
        """By how much each pass is shifted ``(passes,)``."""
        return _joined([item.shifts for item in self.items])

    @cached_property
    def most_bins(self) -> int:
        """Bins of the longest pass, with those that only padding has."""
        count = self.length
        for layer in self.local.layers:
            count = layer.length(count)
        return count

    def _windows(self) -> Windows:
        """Join the windows."""
        first, *others = (item.windows for item in self.items)
        if not others:
            return first
        moved = zip(self.first_row.tolist(), self.first_token.tolist(), (first, *others), strict=False)
        owner, source = zip(*((row + each.owner, token + each.source) for row, token, each in moved), strict=True)
        same = ("rank", "start", "width", "left", "right", "top", "top_width")
        joined = {name: _joined([getattr(each, name) for each in (first, *others)]) for name in same}
        return Windows(owner=_joined(owner), source=_joined(source), offset=offsets(joined["width"]), **joined)

    def places(self) -> np.ndarray:
        """Find the tokens of all passes in the joined materials: padding at both ends, int64 ``(passes, length)``."""
        count = np.diff(self.first_pass)
        lengths = np.repeat([len(item.sequence.input_ids) for item in self.items], count)
        position = np.arange(self.length) - self.shifts[:, None]
        inside = (position >= 0) & (position < lengths[:, None])
        first, padding = np.repeat(self.first_token[:-1], count), np.repeat(self.first_token[1:] - 1, count)
        return np.where(inside, first[:, None] + position, padding[:, None])

    def read_bins(self) -> np.ndarray:
        """Count the bins of the perturbed sequence of each row, int64 ``(rows,)``."""
        return _joined([self._read_bins(item) for item in self.items])

    def _read_bins(self, item: Item) -> np.ndarray:
        growth = np.append(item.edits.growth, 0)
        bins = np.zeros(np.ptp(growth) + 1, dtype=np.int64)  # of sequences that have grown by the least, by one more, …
        for each in distinct(growth).tolist():
            bins[each - growth.min()] = self.local.bins(len(item.sequence.input_ids) - sum(self.local.margin) + each)
        return bins[growth - growth.min()]


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Put arrays one after the other, or take the only one as it is."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)
