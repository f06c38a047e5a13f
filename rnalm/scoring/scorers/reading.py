"""From the windows of perturbations to the model's outputs: bins are read from the 3′ end, from window to window.

Which windows are read in which order is planned first, on the host: all numbers go to the device in one copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from rnalm.compute import send, send_all
from rnalm.models.local import Flattened, Local
from rnalm.scoring.scorers import fused
from rnalm.scoring.scorers.beside import Beside
from rnalm.scoring.scorers.material import look_up
from rnalm.scoring.scorers.passes import Passes, passes
from rnalm.scoring.scorers.recompute import Recomputer, Sides, window_rows

#: States that walk together, at most. On a CPU more would only spill its caches.
MOST_STATES = {"cpu": 2**13, "cuda": 2**18}


class _Parcel:
    """Arrays that go to the device in one copy, and then are found there by their numbers."""

    def __init__(self) -> None:
        self.arrays: list[Sequence[np.ndarray]] = []

    def put(self, *parts: np.ndarray) -> int:
        """Take an int64 array, or the parts of one, and give its number."""
        self.arrays.append(parts)
        return len(self.arrays) - 1


@dataclass(frozen=True, slots=True)
class _Block:
    """Windows of one width and rank that are computed together.

    Attributes
    ----------
    which : slice or int
        The windows: a run of all, or the number in the parcel of a list of theirs.
    width : int
        Tokens of each.
    rightmost : bool
        Whether they are the first that are read of their perturbations.
    """

    which: slice | int
    width: int
    rightmost: bool


@dataclass(frozen=True, slots=True)
class _Rank:
    """Windows of one rank, at most one a perturbation, and the way from each to the next one to its left.

    Attributes
    ----------
    blocks : list of _Block
        All of them.
    until : int or None
        In the parcel: the bin at which each way ends; None: all go on to the first bin.
    source : int
        In the parcel: for each row where its state is, among all states and, after them, those of the windows.
    """

    blocks: list[_Block]
    until: int | None
    source: int


class Reading:
    """The way from windows to outputs.

    Parameters
    ----------
    beside : Beside
        The sequences, their windows and passes.
    local : Local
        The model, in parts.
    recompute : Recomputer
        Computes the bins of windows.
    rows : int
        Positions that are recomputed together, at most.
    device : torch.device
        Where the model is.
    """

    def __init__(self, beside: Beside, local: Local, recompute: Recomputer, rows: int, device: torch.device) -> None:
        self.beside, self.local, self.recompute = beside, local, recompute
        self.rows, self.device, self.parcel = rows, device, _Parcel()
        self.count = int(beside.first_window[-1])
        self.fast = fused.for_reading(local.readout, device)
        #: Where is reckoned with places of bins: there where they are used.
        self.near = device if self.fast else torch.device("cpu")

    def outputs(self) -> Tensor:
        """Compute the outputs ``(rows, outputs)``; those of a perturbation start from the 3′ end."""
        beside, put, readout = self.beside, self.parcel.put, self.local.readout
        is_sum, rows = isinstance(readout, Flattened), np.diff(beside.first_row)
        ids, places = put(*beside.ids), put(beside.places())
        self.columns = {
            "owner": put(*beside.owner()),
            "left": put(*beside.left),
            "right": put(*beside.right),
            "offset": put(*beside.offset()),
            "source": put(*beside.source()),
            "bins": put(beside.bins),
            "left row": put(np.searchsorted(beside.lefts, np.arange(len(beside.bins)))),
            "right row": put(np.searchsorted(beside.rights, np.arange(len(beside.bins)))),
        } | {name: put(*(getattr(item.windows, name) for item in beside.items)) for name in ("start", "top")}
        blocks = self._blocks(None) if is_sum else []
        ranks = [] if is_sum else self._ranks()
        begin, bins = put(np.repeat(beside.own * (beside.most_bins + 1), rows)), put(*beside.read_bins())
        self.there = send_all(self.parcel.arrays, self.device)
        self.here = self.there if self.near == self.device else send_all(self.parcel.arrays, self.near)
        self.ids, self.modifiers = self.there[ids], send(beside.modifiers, self.device) if len(beside.modifiers) else None
        place = self.there[places].view(len(beside.bins), -1)
        model_input = self.local.inputs(*look_up(self.ids, self.modifiers, place)).transpose(1, 2).contiguous()
        self.passes: Passes = passes(self.local, model_input, beside.bins, beside.lefts, beside.rights)
        if isinstance(readout, Flattened):
            return self._heads(self._sum(readout, blocks))
        states = self.passes.states.flatten(0, 1).index_select(0, self.there[begin])
        for rank in ranks:
            states = self._read(rank, states)
        return self._heads(readout.finish(states, self.there[bins]))

    def _heads(self, features: Tensor) -> Tensor:
        """Apply the head to the rows of one sequence after another: products of other shapes could be summed otherwise."""
        first = self.beside.first_row.tolist()
        if len(first) == 2:
            return self.local.head(features)
        return torch.cat([self.local.head(features[low:high].clone()) for low, high in pairwise(first)])

    def _ranks(self) -> list[_Rank]:
        """Plan from which windows to which the states go."""
        beside, rows = self.beside, int(self.beside.first_row[-1])
        if beside.in_order() is not None:
            source = [np.arange(low, high) for low, high in pairwise(beside.first_row.tolist())]
            for part, item, first in zip(source, beside.items, beside.first_window.tolist(), strict=False):
                part[item.windows.owner] = rows + first + np.arange(len(item.windows.owner))
            return [_Rank(self._blocks(None), None, self.parcel.put(*source))]
        rank, owner = beside.of_windows("rank"), np.concatenate([*beside.owner(), np.arange(0)])
        return [self._rank(np.flatnonzero(rank == number), owner) for number in range(rank.max(initial=-1) + 1)]

    def _rank(self, chosen: np.ndarray, owner: np.ndarray) -> _Rank:
        """Plan the way of the states over some windows, at most one a perturbation, and on to the next ones."""
        chosen = self._sorted(chosen)
        top, width, rows = self.beside.of_windows("top"), self.beside.of_windows("top_width"), int(self.beside.first_row[-1])
        follows = (chosen > 0) & (owner[chosen - 1] == owner[chosen])
        until = self.parcel.put(np.where(follows, (top + width)[chosen - 1], 0)) if follows.any() else None
        # Written by way of a selection: on a GPU, to write to places in a definite order is to sort them first.
        source = np.arange(rows)
        source[owner[chosen]] = rows + np.arange(len(chosen))
        return _Rank(self._blocks(chosen), until, self.parcel.put(source))

    def _sorted(self, chosen: np.ndarray) -> np.ndarray:
        """Sort windows by width, and those of each sequence from left to right."""
        width, top = self.beside.of_windows("width"), self.beside.of_windows("top")
        return chosen[np.lexsort((top[chosen], self.beside.item[chosen], width[chosen]))]

    def _blocks(self, chosen: np.ndarray | None) -> list[_Block]:
        """Divide sorted windows, all for None, into blocks of one width that are computed together."""
        if chosen is None and (width := self.beside.in_order()) is not None:
            size = max(1, self.rows // window_rows(self.local, width))
            return [_Block(slice(at, min(at + size, self.count)), width, True) for at in range(0, self.count, size)]
        chosen = self._sorted(np.arange(self.count)) if chosen is None else chosen
        width, rank = self.beside.of_windows("width")[chosen], self.beside.of_windows("rank")
        widths, first = np.unique(width, return_index=True)
        blocks = []
        for each, alike in zip(widths.tolist(), np.split(chosen, first)[1:], strict=True):
            size = max(1, self.rows // window_rows(self.local, each))
            parts = [alike[at : at + size] for at in range(0, len(alike), size)]
            blocks += [_Block(self.parcel.put(part), each, bool(rank[part[0]] == 0)) for part in parts]
        return blocks

    def _of(self, name: str, block: _Block, near: bool = False) -> Tensor:
        """Take what a column says of the windows of a block, on the device or where is reckoned."""
        columns = self.here if near else self.there
        column, which = columns[self.columns[name]], block.which
        return column[which] if isinstance(which, slice) else column.index_select(0, columns[which])

    def _used(self, numbers: Tensor) -> Tensor:
        """Bring what was reckoned to the device."""
        return numbers if self.near == self.device else send(numbers.numpy(), self.device)

    def _sum(self, readout: Flattened, blocks: list[_Block]) -> Tensor:
        """Add what changed bins add to the features of the sequences: ``(rows, features)``; no edit changes the length."""
        own, most = self.passes.inputs.flatten(0, 1), self.beside.most_bins
        rows = send(np.repeat(self.beside.own, np.diff(self.beside.first_row)), self.device)
        features = readout.features(self.passes.inputs).index_select(0, rows)
        for block in blocks:
            bins = self._recompute(block)
            top, right, owner = (self._of(name, block, near=True).numpy() for name in ("top", "right", "owner"))
            place = top + np.arange(len(bins))[:, None]  # (bins, windows)
            was = own[send(right * most + np.clip(place, 0, readout.count - 1), self.device)]
            owner = np.broadcast_to(owner, place.shape).ravel()
            readout.move(features, (bins.float() - was).flatten(0, 1), place.ravel(), owner)
        return features

    def _read(self, rank: _Rank, states: Tensor) -> Tensor:
        """Take the states on over some windows, at most one a perturbation, and on to the next ones."""
        crossed = [self._cross(block, states) for block in rank.blocks]
        first, left = (_joined([self._of(name, block, near=True) for block in rank.blocks]) for name in ("top", "left"))
        steps = (first if rank.until is None else first - self.here[rank.until]).clamp(min=0)
        state = self._walk(left * self.beside.most_bins + first, steps, _joined(crossed))
        return torch.cat([states, state]).index_select(0, self.there[rank.source])

    def _recompute(self, block: _Block) -> Tensor:
        """Recompute windows: their bins ``(bins, windows, channels)``."""
        source, which, width = self.there[self.columns["source"]], block.which, block.width
        if isinstance(which, slice):  # all windows have one width
            place = source[which.start * width : which.stop * width].view(which.stop - which.start, width)
        else:
            place = source[self._of("offset", block)[:, None] + torch.arange(width, device=self.device)]
        left, right = self._of("left", block), self._of("right", block)
        left_row, right_row = (self.there[self.columns[name]] for name in ("left row", "right row"))
        sides = Sides(left_row[left], right_row[right], left, right)
        rows = self.local.inputs(*look_up(self.ids, self.modifiers, place)).permute(2, 0, 1)
        return self.recompute(rows, self._of("start", block), sides, self.passes.junctions)

    def _cross(self, block: _Block, states: Tensor) -> Tensor:
        """Recompute windows, and read their bins from right to left: the states after them ``(windows, features)``."""
        readout, inputs = self.local.readout, fused.project(self.local.readout, self._recompute(block))
        top, bins = self._of("top", block, near=True), len(inputs)
        # Windows reach beyond the ends of the sequence, beyond the 3′ end only rightmost ones: there are no bins to read.
        low, stop = (-top).clamp(min=0), torch.full_like(top, bins)
        if block.rightmost:  # right of it only the shifted sequence has been read, whose states the pass holds
            right = self._of("right", block, near=True)
            count = self.here[self.columns["bins"]][right]
            stop = (count - top).clamp(max=bins)
            begin = right * (self.beside.most_bins + 1) + torch.minimum((top + bins).clamp(min=0), count)
            state = self.passes.states.flatten(0, 1)[self._used(begin)]
        else:
            state = states[self._of("owner", block)]
        if self.fast:
            # The bins of a window stand as many places apart as there are windows.
            end = stop * len(top) + torch.arange(len(top), device=self.near)
            return self.fast.read(readout, inputs.flatten(0, 1), end, (stop - low).clamp(min=0), state, stride=len(top))
        for number in range(bins - 1, -1, -1):
            exists = (number >= low) & (number < stop)
            kept = None if exists.all() else state.clone()
            readout.step(inputs[number], state)
            if kept is not None:
                state = torch.where(self._used(exists)[:, None], state, kept)
        return state

    def _walk(self, first: Tensor, steps: Tensor, state: Tensor) -> Tensor:
        """Read on from each window, so many bins down from the place after the first."""
        readout, table = self.local.readout, self.passes.inputs.flatten(0, 1)
        if self.fast:
            return self.fast.read(readout, table, first, steps, state)
        ways, begin = steps.numpy(), first.numpy()
        order = np.argsort(-ways, kind="stable")
        for at in range(0, len(order), MOST_STATES[self.device.type]):
            part = order[at : at + MOST_STATES[self.device.type]]
            place, index = send(np.stack([part, begin[part]]), self.device)
            moving, inputs = state[place], table.new_empty(len(part), table.shape[1])
            # In the order of their ways, the longest first: those that have arrived drop out at the end.
            active = np.searchsorted(-ways[part], -np.arange(int(ways[part[0]])))
            for count in active.tolist():
                index -= 1
                torch.index_select(table, 0, index[:count], out=inputs[:count])
                readout.step(inputs[:count], moving[:count])
            state[place] = moving
        return state


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Put tensors one after the other, or take the only one as it is."""
    return parts[0] if len(parts) == 1 else torch.cat([*parts])
