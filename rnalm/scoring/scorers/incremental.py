"""The incremental scorer: compute only what an edit changes. As exact as the naive scorer, at a fraction of its cost.

Of each perturbed sequence it recomputes windows, from the tokens up to the bins; then the readout goes on from the state in
which it comes to the window from the 3′ end, reads the window's own bins, and walks on over the bins of the sequence to the
5′ end. Everything else is shared by all perturbations. ``README.md`` beside this file shows how the parts work together.
"""

import logging
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from rnalm.compute import SHARE, allocating, fetch, fitting, free_memory, multiplying, send
from rnalm.errors import RnalmError
from rnalm.models.local import Flattened, Local
from rnalm.models.registry import pad_id
from rnalm.prediction.predict import too_long
from rnalm.scoring.edits import Edits, distinct, surrounded
from rnalm.scoring.precision import EXACT
from rnalm.scoring.scorers import fused
from rnalm.scoring.scorers.base import Scorer
from rnalm.scoring.scorers.material import Material
from rnalm.scoring.scorers.passes import Passes, pass_bytes, passes
from rnalm.scoring.scorers.recompute import Recomputer, Sides, window_bytes, window_rows
from rnalm.scoring.scorers.windows import Windows, find_windows
from rnalm.tokens.dataset import Encoded

log = logging.getLogger(__name__)

#: Positions recomputed together, at most, and states that walk together. On a CPU more would only spill its caches.
MOST_ROWS = {"cpu": 2**14, "cuda": 2**18}
MOST_STATES = {"cpu": 2**13, "cuda": 2**18}

#: Where memory runs out with fewer positions than this at a time, the shared passes fill it, and the sequence is refused.
FEWEST_ROWS = 2**8

#: Length at which the walk of an edit in the middle costs as much as its window, in tokens (full-size Saluki on a CPU).
WALK = 12_000


class IncrementalScorer(Scorer):
    """Scores perturbed sequences of a local architecture by what changes in them.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode, with a method ``local`` (see :mod:`rnalm.models.local`); work is done on its device.
    batch_tokens : int, optional
        Changed positions recomputed together, at most; None: a power of two that free memory allows.
    precision : {'float32', 'tf32', 'bf16'}
        In which convolutions of windows are multiplied and, with tf32, everything.

    Raises
    ------
    ValueError
        If the model's input for ``[PAD]`` is not zeros, as short sequences are padded with.
    """

    name = "incremental"

    def __init__(self, model: PreTrainedModel, batch_tokens: int | None = None, precision: str = EXACT) -> None:
        self.local: Local = model.local()  # pyright: ignore[reportCallIssue]
        self.device, self.precision = model.device, precision
        self.modifier_channels = getattr(model.config, "modifier_channels", 0)
        self.vocab_size, self.pad = getattr(model.config, "vocab_size", None), pad_id(model)
        self.recompute = Recomputer(self.local, torch.bfloat16 if precision == "bf16" else None)
        self.memory = SHARE * free_memory(self.device)
        padding = self.local.inputs(*self._padding())
        if padding.any():
            raise ValueError(f"expected a model input of zeros for [PAD], found {padding.flatten().tolist()}")
        each = window_bytes(self.local, channels=padding.shape[1])
        self.rows = batch_tokens or fitting(MOST_ROWS[self.device.type], each, self.memory, "changed positions")

    def _padding(self) -> tuple[Tensor, Tensor | None]:
        """Make ids and modifiers of one ``[PAD]``."""
        ids = torch.full((1, 1), self.pad, device=self.device)
        channels = self.modifier_channels
        return ids, torch.zeros(1, channels, 1, device=self.device) if channels else None

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate the cost of scoring every token: that of a window is always the same, that of a walk grows with length.

        Parameters
        ----------
        lengths : numpy.ndarray
            Tokens of each sequence ``(sequences,)``.
        """
        return lengths * (1 + lengths / WALK)

    @torch.inference_mode()
    def launch(self, sequence: Encoded, edits: Edits, at: np.ndarray | None = None) -> Callable[[], np.ndarray]:
        """Begin to score; see :meth:`Scorer.launch`.

        Parameters
        ----------
        sequence, edits
            The sequence and its perturbations.
        at
            None: these models have outputs for sequences.
        """
        edits.check(sequence, self.vocab_size)
        self._check_length(sequence, edits)
        sequence, edits = surrounded(sequence, edits, self.local.margin, self.pad)
        while True:
            try:
                with allocating(), multiplying(self.precision):
                    return fetch(self._outputs(sequence, edits))
            except torch.OutOfMemoryError:
                if self.rows < FEWEST_ROWS:
                    raise too_long(sequence) from None
                self.rows, self.memory = self.rows // 2, self.memory / 2
                log.warning("out of memory; going on with %d changed positions at a time", self.rows)

    def _outputs(self, sequence: Encoded, edits: Edits) -> Tensor:
        """Compute the outputs of every perturbation, and last of the sequence ``(edits + 1, outputs)``."""
        windows = find_windows(edits, len(sequence.input_ids), self.local.layers)
        shifts = distinct(np.concatenate([windows.left, windows.right, [0]]))
        need = len(shifts) * pass_bytes(self.local, len(sequence.input_ids) + int(shifts[-1]))
        growths = distinct(edits.growth)
        if need <= self.memory or len(growths) < 2:
            return _Scoring(self, sequence, edits, windows).outputs()
        log.warning(
            "memory is short: edits of sequence %r are scored in parts; last digits may differ from those of other jobs",
            sequence.id,
        )
        # Edits that grow the sequence by fewer different numbers of tokens need fewer passes at a time.
        low = edits.growth < growths[len(growths) // 2]
        halves = [self._outputs(sequence, edits[np.flatnonzero(half)]) for half in (low, ~low)]
        place = np.append(np.argsort(np.concatenate([np.flatnonzero(low), np.flatnonzero(~low)])), len(edits))
        return torch.cat([halves[0][:-1], halves[1]])[send(place, self.device)]

    def _check_length(self, sequence: Encoded, edits: Edits) -> None:
        """Refuse what a model does not take that has one length, or a least one."""
        readout, length = self.local.readout, len(sequence.input_ids)
        if isinstance(readout, Flattened):
            if edits.growth.any():
                problem = "edits change its length, and the model takes one; expected mask or replace"
                raise RnalmError(f"{sequence.id}: {problem}")
            if (bins := self.local.bins(length)) != readout.count:
                found = f"its {length} tokens leave {bins} positions to the model"
                raise RnalmError(f"{sequence.id}: {found}, which takes {readout.count}")
        least = length + int(edits.growth.min(initial=0))
        if not self.local.pads and least < self.local.minimum_length:
            expected = f"expected {self.local.minimum_length} or more"
            raise RnalmError(f"{sequence.id}: the model does not take {least} tokens, {expected}")


class _Scoring:
    """The scoring of one sequence."""

    def __init__(self, scorer: IncrementalScorer, sequence: Encoded, edits: Edits, windows: Windows) -> None:
        self.scorer, self.local, self.device = scorer, scorer.local, scorer.device
        self.edits, self.windows = edits, windows
        self.material = Material(sequence, edits, scorer.modifier_channels, scorer.device, scorer.pad)
        ids, modifiers = self.material.take(torch.arange(self.material.length, device=self.device)[None])
        x = self.local.inputs(ids, modifiers)[0]
        self.passes: Passes = passes(self.local, x, windows.left, windows.right)

    def outputs(self) -> Tensor:
        """Compute the outputs; those of a perturbation start from the 3′ end and go on from window to window."""
        if isinstance(self.local.readout, Flattened):
            return self.local.head(self._sum(self.local.readout))
        unchanged = self.passes.states[np.searchsorted(self.passes.shifts, 0), 0]
        states = unchanged.repeat(len(self.edits) + 1, 1)
        for rank in range(self.windows.rank.max(initial=-1) + 1):
            states = self._read(np.flatnonzero(self.windows.rank == rank), states)
        growth = np.append(self.edits.growth, 0)
        bins = np.zeros(np.ptp(growth) + 1, dtype=np.int64)  # of sequences that have grown by the least, by one more, …
        for each in distinct(growth).tolist():
            bins[each - growth.min()] = self.local.bins(self.material.length - sum(self.local.margin) + each)
        return self.local.head(self.local.readout.finish(states, send(bins[growth - growth.min()], self.device)))

    def _sum(self, readout: Flattened) -> Tensor:
        """Add what changed bins add to the features of the sequence: ``(edits + 1, features)``."""
        own = self.passes.inputs[np.searchsorted(self.passes.shifts, 0)]  # no edit changes the length
        features, top = readout.features(own[None]).repeat(len(self.edits) + 1, 1), self.windows.top
        for block in self._blocks(np.arange(len(top))):
            bins = self._recompute(block)[0]
            place = top[block] + np.arange(len(bins))[:, None]  # (bins, windows)
            was = own[send(np.clip(place, 0, readout.count - 1), self.device)]
            owner = np.broadcast_to(self.windows.owner[block], place.shape)
            readout.move(features, (bins.float() - was).flatten(0, 1), place.ravel(), owner.ravel())
        return features

    def _blocks(self, chosen: np.ndarray) -> Iterator[np.ndarray]:
        """Divide windows into blocks of one width, from left to right, that are computed together."""
        windows = self.windows
        chosen = chosen[np.lexsort((windows.top[chosen], windows.width[chosen]))]
        widths, first = np.unique(windows.width[chosen], return_index=True)
        for width, alike in zip(widths.tolist(), np.split(chosen, first)[1:], strict=True):
            size = max(1, self.scorer.rows // window_rows(self.local, width))
            yield from (alike[at : at + size] for at in range(0, len(alike), size))

    def _read(self, chosen: np.ndarray, states: Tensor) -> Tensor:
        """Take the states on over some windows, at most one a perturbation, and on to the next ones."""
        windows, blocks = self.windows, list(self._blocks(chosen))
        chosen = np.concatenate(blocks) if blocks else chosen
        parts = [self._cross(block, states) for block in blocks]
        state = self._walk(chosen, torch.cat(parts))
        # Written by way of a selection: on a GPU, to write to places in a definite order is to sort them first.
        source = np.arange(len(states))
        source[windows.owner[chosen]] = len(states) + np.arange(len(chosen))
        return torch.cat([states, state]).index_select(0, send(source, self.device))

    def _cross(self, block: np.ndarray, states: Tensor) -> Tensor:
        """Recompute windows of one width and rank, and read their bins: the states after them ``(windows, features)``."""
        bins, right_pass = self._recompute(block)
        return self._cross_bins(block, right_pass, self.local.readout.project(bins), states)

    def _recompute(self, block: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Recompute windows of one width: their bins ``(bins, windows, channels)``, and the passes to their right."""
        windows, shared = self.windows, self.passes
        sides = np.stack(
            [
                np.searchsorted(shared.lefts, windows.left[block]),
                np.searchsorted(shared.rights, windows.right[block]),
                np.searchsorted(shared.shifts, windows.left[block]),
                np.searchsorted(shared.shifts, windows.right[block]),
            ]
        )
        start, *on_device = send(np.concatenate([windows.start[None, block], sides]), self.device)
        source = windows.source[windows.offset[block, None] + np.arange(int(windows.width[block[0]]))]
        rows = self.local.inputs(*self.material.take(send(source, self.device))).permute(2, 0, 1)
        return self.scorer.recompute(rows, start, Sides(*on_device), shared.junctions), sides[3]

    def _cross_bins(self, block: np.ndarray, right_pass: np.ndarray, inputs: Tensor, states: Tensor) -> Tensor:
        """Read the projected bins of windows ``(bins, windows, inputs)`` from right to left."""
        windows, shared, readout = self.windows, self.passes, self.local.readout
        top, count = windows.top[block], shared.bins[right_pass]
        rightmost = windows.rank[block[0]] == 0
        if rightmost:  # right of it only the shifted sequence has been read, whose states the pass holds
            begin = right_pass * shared.states.shape[1] + np.clip(top + len(inputs), 0, count)
            state = shared.states.flatten(0, 1)[send(begin, self.device)]
        else:
            state = states[send(windows.owner[block], self.device)]
        if fast := fused.for_reading(readout, self.device):
            # Of the bins of a window, which stand as many places apart as there are windows, those that exist.
            stop = np.minimum(len(inputs), count - top) if rightmost else np.full_like(top, len(inputs))
            steps = np.maximum(stop - np.maximum(-top, 0), 0)
            ends = send(np.stack([stop * len(block) + np.arange(len(block)), steps]), self.device)
            return fast.read(readout, inputs.flatten(0, 1), *ends, state, stride=len(block))
        for number in range(len(inputs) - 1, -1, -1):
            # Windows reach beyond the ends of the sequence, beyond the 3′ end only rightmost ones: there are no bins to read.
            exists = (top + number >= 0) & ((top + number < count) | (not rightmost))
            kept = None if exists.all() else state.clone()
            readout.step(inputs[number], state)
            if kept is not None:
                state = torch.where(send(exists, self.device)[:, None], state, kept)
        return state

    def _walk(self, chosen: np.ndarray, state: Tensor) -> Tensor:
        """Read on from each window down to the next one to its left, or to the first bin."""
        windows, readout, shared = self.windows, self.local.readout, self.passes
        follows = (chosen > 0) & (windows.owner[chosen - 1] == windows.owner[chosen])
        stop = np.where(follows, (windows.top + windows.top_width)[chosen - 1], 0)
        steps = np.maximum(windows.top[chosen] - stop, 0)
        first = np.searchsorted(shared.shifts, windows.left[chosen]) * shared.inputs.shape[1] + windows.top[chosen]
        table = shared.inputs.flatten(0, 1)
        if fast := fused.for_reading(readout, self.device):
            return fast.read(readout, table, *send(np.stack([first, steps]), self.device), state)
        order = np.argsort(-steps, kind="stable")
        for at in range(0, len(order), MOST_STATES[self.device.type]):
            part = order[at : at + MOST_STATES[self.device.type]]
            place, index = send(np.stack([part, first[part]]), self.device)
            moving, inputs = state[place], table.new_empty(len(part), table.shape[1])
            # In the order of their ways, the longest first: those that have arrived drop out at the end.
            active = np.searchsorted(-steps[part], -np.arange(int(steps[part[0]])))
            for count in active.tolist():
                index -= 1
                torch.index_select(table, 0, index[:count], out=inputs[:count])
                readout.step(inputs[:count], moving[:count])
            state[place] = moving
        return state
