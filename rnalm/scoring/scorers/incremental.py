"""The incremental scorer: compute only what an edit changes. As exact as the naive scorer, at a fraction of its cost.

Of each perturbed sequence it recomputes windows, from the tokens up to the bins; then the readout goes on from the state in
which it comes to the window from the 3′ end, reads the window's own bins, and walks on over the bins of the sequence to the
5′ end. Everything else is shared by all perturbations. ``README.md`` beside this file shows how the parts work together.
"""

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from rnalm.compute import SHARE, allocating, fetch, fitting, free_memory, multiplying, send
from rnalm.errors import RnalmError
from rnalm.models.local import Flattened, Local
from rnalm.models.registry import pad_id
from rnalm.prediction.predict import too_long
from rnalm.scoring.edits import Edits, distinct, offsets, surrounded
from rnalm.scoring.precision import EXACT
from rnalm.scoring.scorers import fused
from rnalm.scoring.scorers.base import Scorer
from rnalm.scoring.scorers.beside import Beside, Item
from rnalm.scoring.scorers.passes import pass_bytes
from rnalm.scoring.scorers.reading import Reading
from rnalm.scoring.scorers.recompute import Recomputer, window_bytes
from rnalm.tokens.dataset import Encoded

log = logging.getLogger(__name__)

#: Positions recomputed together, at most. On a CPU more would only spill its caches.
MOST_ROWS = {"cpu": 2**14, "cuda": 2**19}

#: Sequences that are launched together, at most: to begin a kernel takes a GPU longer than most sequences take to run. On a CPU
#: they would only spill its caches.
MOST_TOGETHER = {"cpu": 1, "cuda": 8}

#: Passes of sequences that go together are all as long as the longest, which may make so much more of them, at most.
MOST_PADDING = 2

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
        self.together = MOST_TOGETHER[self.device.type] if self._is_alike() else 1
        self.waiting = _Group(self._begin)

    def _is_alike(self) -> bool:
        """Tell whether each number is computed alike however many there are, so that sequences can go together.

        The products of libraries are not: for other shapes they may be summed in another order. Those of our kernels are.
        """
        own = [fused.for_reading(self.local.readout, self.device)]
        own += [fused.for_layer(layer, self.device) for layer in self.local.layers]
        return self.local.alike and self.precision != "bf16" and all(own)

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

    def launch(self, sequence: Encoded, edits: Edits, at: np.ndarray | None = None) -> Callable[[], np.ndarray]:
        """Begin to score, on a GPU as soon as there are several sequences or one is waited for; see :meth:`Scorer.launch`.

        Parameters
        ----------
        sequence, edits
            The sequence and its perturbations.
        at
            None: these models have outputs for sequences.
        """
        edits.check(sequence, self.vocab_size)
        self._check_length(sequence, edits)
        item = Item.of(*surrounded(sequence, edits, self.local.margin, self.pad), self.local.layers)
        if not self._go_together([*self.waiting.items, item]):
            self._launch_waiting()
        group = self.waiting
        number = group.add(item)
        if len(group.items) >= self.together:
            self._launch_waiting()
        return lambda: group.wait(number)

    def _launch_waiting(self) -> None:
        """Begin with the sequences that wait, and let others gather."""
        group, self.waiting = self.waiting, _Group(self._begin)
        group.launch()

    def _go_together(self, items: Sequence[Item]) -> bool:
        """Tell whether sequences fit into one launch."""
        count, longest = sum(len(item.shifts) for item in items), max(item.longest for item in items)
        padded = count * longest > MOST_PADDING * sum(len(item.shifts) * item.longest for item in items)
        small = sum(item.rows(self.local) for item in items) <= self.rows
        return len(items) == 1 or (small and not padded and count * pass_bytes(self.local, longest) <= self.memory)

    @torch.inference_mode()
    def _begin(self, items: Sequence[Item]) -> list[Callable[[], np.ndarray]]:
        """Begin to score sequences, in smaller parts if memory runs out: what waits for each of their outputs."""
        while True:
            try:
                with allocating(), multiplying(self.precision):
                    wait = fetch(self._outputs(items))
                    break
            except torch.OutOfMemoryError:
                if self.rows < FEWEST_ROWS:
                    raise too_long(max(items, key=lambda item: item.longest).sequence) from None
                self.rows, self.memory = self.rows // 2, self.memory / 2
                log.warning("out of memory; going on with %d changed positions at a time", self.rows)
        first = offsets([len(item.edits) + 1 for item in items]).tolist()
        return [lambda low=low, high=high: wait()[low:high] for low, high in pairwise(first)]

    def _outputs(self, items: Sequence[Item]) -> Tensor:
        """Compute the outputs of all perturbations of each sequence and, after them, of itself ``(rows, outputs)``."""
        need = sum(len(item.shifts) for item in items) * pass_bytes(self.local, max(item.longest for item in items))
        if need > self.memory and len(items) > 1:
            middle = len(items) // 2
            return torch.cat([self._outputs(items[:middle]), self._outputs(items[middle:])])
        if need > self.memory and len(distinct(items[0].edits.growth)) > 1:
            return self._in_parts(items[0])
        beside = Beside(items, self.local, self.modifier_channels, self.pad)
        return Reading(beside, self.local, self.recompute, self.rows, self.device).outputs()

    def _in_parts(self, item: Item) -> Tensor:
        """Score edits that grow the sequence by fewer different numbers of tokens, which need fewer passes at a time."""
        log.warning(
            "memory is short: edits of sequence %r are scored in parts; last digits may differ from those of other jobs",
            item.sequence.id,
        )
        growth, edits = distinct(item.edits.growth), item.edits
        low = edits.growth < growth[len(growth) // 2]
        parts = [Item.of(item.sequence, edits[np.flatnonzero(half)], self.local.layers) for half in (low, ~low)]
        halves = [self._outputs([part]) for part in parts]
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


class _Group:
    """Sequences that wait to be launched together, and what waits for their outputs once they are.

    Parameters
    ----------
    begin : callable
        Launches them, and gives what waits for the outputs of each.
    """

    def __init__(self, begin: Callable[[Sequence[Item]], list[Callable[[], np.ndarray]]]) -> None:
        self.begin = begin
        self.items: list[Item] = []
        self.pending: list[Callable[[], np.ndarray]] = []

    def add(self, item: Item) -> int:
        """Take a sequence, and give its number."""
        self.items.append(item)
        return len(self.items) - 1

    def launch(self) -> None:
        """Begin, once."""
        if self.items:
            self.pending, self.items = self.begin(self.items), []

    def wait(self, number: int) -> np.ndarray:
        """Wait for the outputs of a sequence."""
        self.launch()
        return self.pending[number]()
