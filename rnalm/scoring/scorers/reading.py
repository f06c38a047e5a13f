"""From the windows of perturbations to the model's outputs: bins are read from the 3′ end, from window to window.

Which numbers are needed where is arithmetic on indices, and done first, on the host: all of it goes to the device in one copy.
"""

from collections.abc import Iterator
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
        self.arrays: list[np.ndarray] = []
        self.there: list[Tensor] = []

    def put(self, array: np.ndarray) -> int:
        """Take an int64 array, and give its number."""
        self.arrays.append(array)
        return len(self.arrays) - 1

    def send(self, device: torch.device) -> None:
        """Begin the copy."""
        self.there, self.arrays = send_all(self.arrays, device), []

    def __getitem__(self, number: int) -> Tensor:
        return self.there[number]


@dataclass(frozen=True, slots=True)
class _Block:
    """Windows of one width and rank that are computed together.

    Attributes
    ----------
    windows : numpy.ndarray
        Their numbers.
    low, stop : numpy.ndarray
        Of the bins of each, those that exist: windows reach beyond the ends of the sequence ``(windows,)``.
    start, sides, source, begin, ends : int
        Numbers in the parcel: first positions, passes beside them, tokens, places of the states before their bins and, for
        kernels, where the bins of each end, and how many there are.
    """

    windows: np.ndarray
    low: np.ndarray
    stop: np.ndarray
    start: int
    sides: list[int]
    source: int
    begin: int
    ends: list[int]


@dataclass(frozen=True, slots=True)
class _Rank:
    """Windows of one rank, at most one a perturbation, and the way from each to the next one to its left.

    Attributes
    ----------
    blocks : list of _Block
        All of them.
    first, steps : numpy.ndarray
        Place of the bin after the first one on the way, and how many bins there are ``(windows,)``.
    way : list of int
        Numbers of both in the parcel.
    source : int
        In the parcel: for each row where its state is, among all states and, after them, those of the windows.
    """

    blocks: list[_Block]
    first: np.ndarray
    steps: np.ndarray
    way: list[int]
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
        self.beside, self.windows, self.local, self.recompute = beside, beside.windows, local, recompute
        self.rows, self.device, self.parcel = rows, device, _Parcel()

    def outputs(self) -> Tensor:
        """Compute the outputs ``(rows, outputs)``; those of a perturbation start from the 3′ end."""
        beside, parcel, readout = self.beside, self.parcel, self.local.readout
        ids, places = parcel.put(beside.ids), parcel.put(beside.places())
        rank, rows = self.windows.rank, np.diff(beside.first_row)
        ranks = [] if isinstance(readout, Flattened) else range(rank.max(initial=-1) + 1)
        planned = [self._planned(np.flatnonzero(rank == number), rows.sum()) for number in ranks]
        single = [*self._blocks(np.arange(len(rank)))] if isinstance(readout, Flattened) else []
        begin = parcel.put(np.repeat(beside.own * (beside.most_bins + 1), rows))
        bins = parcel.put(beside.read_bins())
        parcel.send(self.device)
        self.ids, self.modifiers = parcel[ids], send(beside.modifiers, self.device) if len(beside.modifiers) else None
        model_input = self.local.inputs(*look_up(self.ids, self.modifiers, parcel[places])).transpose(1, 2).contiguous()
        self.passes: Passes = passes(self.local, model_input, beside.bins, beside.lefts, beside.rights)
        if isinstance(readout, Flattened):
            return self._heads(self._sum(readout, single))
        states = self.passes.states.flatten(0, 1).index_select(0, parcel[begin])
        for each in planned:
            states = self._read(each, states)
        return self._heads(readout.finish(states, parcel[bins]))

    def _heads(self, features: Tensor) -> Tensor:
        """Apply the head to the rows of one sequence after another: products of other shapes could be summed otherwise."""
        first = self.beside.first_row.tolist()
        if len(first) == 2:
            return self.local.head(features)
        return torch.cat([self.local.head(features[low:high].clone()) for low, high in pairwise(first)])

    def _sum(self, readout: Flattened, blocks: list[_Block]) -> Tensor:
        """Add what changed bins add to the features of the sequences: ``(rows, features)``; no edit changes the length."""
        own, top = self.passes.inputs.flatten(0, 1), self.windows.top
        rows = send(np.repeat(self.beside.own, np.diff(self.beside.first_row)), self.device)
        features = readout.features(self.passes.inputs).index_select(0, rows)
        for block in blocks:
            bins = self._recompute(block)
            place = top[block.windows] + np.arange(len(bins))[:, None]  # (bins, windows)
            of = self.beside.right[block.windows] * self.beside.most_bins
            was = own[send(of + np.clip(place, 0, readout.count - 1), self.device)]
            owner = np.broadcast_to(self.windows.owner[block.windows], place.shape)
            readout.move(features, (bins.float() - was).flatten(0, 1), place.ravel(), owner.ravel())
        return features

    def _blocks(self, chosen: np.ndarray) -> Iterator[_Block]:
        """Divide windows into blocks of one width that are computed together, of each sequence from left to right."""
        windows, item = self.windows, self.beside.item[chosen]
        width, top = windows.width[chosen], windows.top[chosen]
        is_sorted = not len(width) or (width[0] == width).all()
        is_sorted = is_sorted and ((np.diff(top) >= 0) | (np.diff(item) > 0)).all()
        chosen = chosen if is_sorted else chosen[np.lexsort((top, item, width))]
        widths, first = np.unique(windows.width[chosen], return_index=True)
        for each, alike in zip(widths.tolist(), np.split(chosen, first)[1:], strict=True):
            size = max(1, self.rows // window_rows(self.local, each))
            yield from (self._block(alike[at : at + size], each) for at in range(0, len(alike), size))

    def _block(self, chosen: np.ndarray, width: int) -> _Block:
        """Find what a block needs, and put it into the parcel."""
        windows, beside, put = self.windows, self.beside, self.parcel.put
        top, owner, right = windows.top[chosen], windows.owner[chosen], beside.right[chosen]
        count, bins = beside.bins[right], int(windows.top_width[chosen[0]])
        # Beyond the 3′ end reach only rightmost windows; right of these only the shifted sequence has been read.
        rightmost = windows.rank[chosen[0]] == 0
        stop = np.minimum(bins, count - top) if rightmost else np.full_like(top, bins)
        low = np.maximum(-top, 0)
        source = windows.offset[chosen, None] + np.arange(width)
        left = beside.left[chosen]
        sides = np.searchsorted(beside.lefts, left), np.searchsorted(beside.rights, right), left, right
        return _Block(
            windows=chosen,
            low=low,
            stop=stop,
            start=put(windows.start[chosen]),
            sides=[put(side) for side in sides],
            source=put(windows.source[source]),
            begin=put(right * (beside.most_bins + 1) + np.clip(top + bins, 0, count) if rightmost else owner),
            # Of the bins of a window, which stand as many places apart as there are windows, those that exist.
            ends=[put(stop * len(chosen) + np.arange(len(chosen))), put(np.maximum(stop - low, 0))],
        )

    def _planned(self, chosen: np.ndarray, rows: int) -> _Rank:
        """Find what windows of one rank need, and put it into the parcel."""
        windows, beside, blocks = self.windows, self.beside, [*self._blocks(chosen)]
        chosen = np.concatenate([block.windows for block in blocks]) if len(blocks) > 1 else blocks[0].windows
        follows = (chosen > 0) & (windows.owner[chosen - 1] == windows.owner[chosen])
        stop = np.where(follows, (windows.top + windows.top_width)[chosen - 1], 0)
        steps = np.maximum(windows.top[chosen] - stop, 0)
        first = beside.left[chosen] * beside.most_bins + windows.top[chosen]
        # Written by way of a selection: on a GPU, to write to places in a definite order is to sort them first.
        source = np.arange(rows)
        source[windows.owner[chosen]] = rows + np.arange(len(chosen))
        return _Rank(blocks, first, steps, [self.parcel.put(first), self.parcel.put(steps)], self.parcel.put(source))

    def _read(self, rank: _Rank, states: Tensor) -> Tensor:
        """Take the states on over some windows, at most one a perturbation, and on to the next ones."""
        state = self._walk(rank, torch.cat([self._cross(block, states) for block in rank.blocks]))
        return torch.cat([states, state]).index_select(0, self.parcel[rank.source])

    def _recompute(self, block: _Block) -> Tensor:
        """Recompute windows: their bins ``(bins, windows, channels)``."""
        parcel = self.parcel
        rows = self.local.inputs(*look_up(self.ids, self.modifiers, parcel[block.source])).permute(2, 0, 1)
        sides = Sides(*(parcel[side] for side in block.sides))
        return self.recompute(rows, parcel[block.start], sides, self.passes.junctions)

    def _cross(self, block: _Block, states: Tensor) -> Tensor:
        """Recompute windows, and read their bins from right to left: the states after them ``(windows, features)``."""
        readout = self.local.readout
        inputs = fused.project(readout, self._recompute(block))
        before = self.passes.states.flatten(0, 1) if self.windows.rank[block.windows[0]] == 0 else states
        state = before[self.parcel[block.begin]]
        if fast := fused.for_reading(readout, self.device):
            ends = (self.parcel[end] for end in block.ends)
            return fast.read(readout, inputs.flatten(0, 1), *ends, state, stride=len(block.windows))
        for number in range(len(inputs) - 1, -1, -1):
            exists = (number >= block.low) & (number < block.stop)
            kept = None if exists.all() else state.clone()
            readout.step(inputs[number], state)
            if kept is not None:
                state = torch.where(send(exists, self.device)[:, None], state, kept)
        return state

    def _walk(self, rank: _Rank, state: Tensor) -> Tensor:
        """Read on from each window down to the next one to its left, or to the first bin."""
        readout, table = self.local.readout, self.passes.inputs.flatten(0, 1)
        if fast := fused.for_reading(readout, self.device):
            return fast.read(readout, table, *(self.parcel[number] for number in rank.way), state)
        order = np.argsort(-rank.steps, kind="stable")
        for at in range(0, len(order), MOST_STATES[self.device.type]):
            part = order[at : at + MOST_STATES[self.device.type]]
            place, index = send(np.stack([part, rank.first[part]]), self.device)
            moving, inputs = state[place], table.new_empty(len(part), table.shape[1])
            # In the order of their ways, the longest first: those that have arrived drop out at the end.
            steps = rank.steps[part]
            active = np.searchsorted(-steps, -np.arange(int(steps[0])))
            for count in active.tolist():
                index -= 1
                torch.index_select(table, 0, index[:count], out=inputs[:count])
                readout.step(inputs[:count], moving[:count])
            state[place] = moving
        return state
