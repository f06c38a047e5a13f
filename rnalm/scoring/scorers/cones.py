"""The incremental scorer of outputs for tokens: compute only what lies between an edit and an explained position.

What an edit changes widens by the reach of each convolution on its way up to the outputs; what an output depends on widens
likewise on the way down to the tokens. Of each perturbed sequence only positions within both cones are computed again. All
others are those of the sequence itself: left of the edit as they stand, right of it shifted by what the edit adds or removes.
An edit out of reach of every explained position changes nothing, and costs nothing.
"""

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from rnalm.compute import SHARE, allocating, fetch, fitting, free_memory, multiplying, send
from rnalm.models.cone import Block, Cone
from rnalm.models.registry import pad_id
from rnalm.prediction.predict import too_long
from rnalm.scoring.edits import NOWHERE, Edits
from rnalm.scoring.precision import EXACT
from rnalm.scoring.scorers.base import Scorer
from rnalm.scoring.scorers.material import Material, apply
from rnalm.scoring.scorers.naive import at_places
from rnalm.tokens.dataset import Encoded

log = logging.getLogger(__name__)

#: Positions computed together, at most. On a CPU more would only spill its caches.
MOST_ROWS = {"cpu": 2**13, "cuda": 2**20}


class ConeScorer(Scorer):
    """Scores perturbed sequences of a chain of residual convolutions by what changes at explained positions.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode, with outputs for tokens and a method ``cone`` (see :mod:`rnalm.models.cone`).
    batch_tokens : int, optional
        Changed positions computed together, at most; None: a power of two that free memory allows.
    precision : {'float32', 'tf32', 'bf16'}
        In which to multiply; with bf16, convolutions.
    """

    name = "incremental"

    def __init__(self, model: PreTrainedModel, batch_tokens: int | None = None, precision: str = EXACT) -> None:
        self.cone: Cone = model.cone()  # pyright: ignore[reportCallIssue]
        self.device, self.precision, self.pad = model.device, precision, pad_id(model)
        self.modifier_channels = getattr(model.config, "modifier_channels", 0)
        self.vocab_size = getattr(model.config, "vocab_size", None)
        self.layers = [_Layer(block, torch.bfloat16 if precision == "bf16" else None) for block in self.cone.blocks]
        each = max(layer.bytes for layer in self.layers)
        self.rows = batch_tokens or fitting(
            MOST_ROWS[self.device.type], each, SHARE * free_memory(self.device), "changed positions"
        )

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate the cost of scoring every token: a pass over the sequence, and a cone of one size; see :meth:`Scorer.cost`.

        Parameters
        ----------
        lengths : numpy.ndarray
            Tokens of each sequence ``(sequences,)``.
        """
        return lengths.astype(np.float64) + self.cone.reach

    @torch.inference_mode()
    def launch(self, sequence: Encoded, edits: Edits, at: np.ndarray | None = None) -> Callable[[], np.ndarray]:
        """Begin to score; see :meth:`Scorer.launch`.

        Parameters
        ----------
        sequence, edits, at
            The sequence, its perturbations, and whose outputs are asked for.
        """
        assert at is not None, "these models have outputs for tokens"
        edits.check(sequence, self.vocab_size)
        while True:
            try:
                with allocating(), multiplying(self.precision):
                    return fetch(self._outputs(sequence, edits, at))
            except torch.OutOfMemoryError:
                if self.rows <= 1:
                    raise too_long(sequence) from None
                self.rows //= 2
                log.warning("out of memory; going on with %d changed positions at a time", self.rows)

    def _outputs(self, sequence: Encoded, edits: Edits, at: np.ndarray) -> Tensor:
        """Compute the outputs of every perturbation, and last of the sequence ``(edits + 1, positions, outputs)``."""
        material = Material(sequence, edits, self.modifier_channels, self.device, self.pad)
        logits, levels = self._whole(material)
        outputs = logits[send(at, self.device)].repeat(len(edits) + 1, 1, 1)
        places = edits.moved(at)
        outputs[:-1].masked_fill_(send(places == NOWHERE, self.device)[:, :, None], torch.nan)
        cones = find_cones(edits, places, self.cone)
        for part in cones.batches(edits.growth, self.rows):
            self._score(material, edits, cones.take(part), levels, places, outputs)
        return outputs

    def _whole(self, material: Material) -> tuple[Tensor, list["_Level"]]:
        """Pass over the sequence: its logits ``(length, outputs)``, and what each block reads."""
        ids, modifiers = material.take(torch.arange(material.length, device=self.device)[None])
        x, levels = self.cone.inputs(ids, modifiers)[0], []
        for block in self.cone.blocks:
            levels.append(_Level(x, block.before(x)))
            x = x + block.after(block.convolution(levels[-1].prepared.T[None])[0].T)
        return self.cone.head(x), levels

    def _score(
        self, material: Material, edits: Edits, cones: "Cones", levels: list["_Level"], places: np.ndarray, outputs: Tensor
    ) -> None:
        """Score some perturbations, all of one growth."""
        growth = int(edits.growth[cones.owner[0]])
        after, *starts = send(np.concatenate([cones.after[None], cones.start]), self.device)
        index = starts[0][:, None] + torch.arange(int(cones.width[0].max()), device=self.device)
        # Beyond the ends of a sequence anything may be computed: convolutions read zeros in its place.
        index = index.clamp(0, max(0, material.length + growth - 1))
        x = self.cone.inputs(*material.take(apply(material, edits, cones.owner, index)))
        for number, (layer, level) in enumerate(zip(self.layers, levels, strict=True)):
            rows = _Rows(after, growth, starts[number], starts[number + 1], int(cones.width[number + 1].max()))
            x = layer(level, x, rows)
        wanted = places[cones.owner] - cones.start[-1][:, None]
        inside = (places[cones.owner] != NOWHERE) & (wanted >= 0) & (wanted < cones.width[-1][:, None])
        found = at_places(self.cone.head(x), np.where(inside, wanted, NOWHERE))
        own = send(cones.owner, self.device)
        outputs[own] = torch.where(send(inside, self.device)[:, :, None], found, outputs[own])


class Cones(NamedTuple):
    """Which positions are computed again, level by level: the inputs, and what each block puts out.

    Attributes
    ----------
    owner : numpy.ndarray
        Perturbation of each ``(cones,)``.
    after : numpy.ndarray
        First position right of what comes ``(cones,)``.
    start, width : numpy.ndarray
        First position and number of positions ``(levels, cones)``.
    """

    owner: np.ndarray
    after: np.ndarray
    start: np.ndarray
    width: np.ndarray

    def take(self, chosen: np.ndarray) -> "Cones":
        """Choose some.

        Parameters
        ----------
        chosen : numpy.ndarray
            Their numbers ``(chosen,)``.
        """
        return Cones(self.owner[chosen], self.after[chosen], self.start[:, chosen], self.width[:, chosen])

    def batches(self, growth: np.ndarray, rows: int) -> Iterator[np.ndarray]:
        """Divide into batches of one growth and of like widths, of so many positions in a level at most, if possible.

        Parameters
        ----------
        growth : numpy.ndarray
            That of every perturbation ``(edits,)``.
        rows : int
            Positions in a level.
        """
        widest, own = self.width.max(axis=0, initial=1), growth[self.owner]
        order = np.lexsort((self.width.sum(axis=0), own))
        while len(order):
            alike = order[own[order] == own[order[0]]]
            total = np.arange(1, len(alike) + 1) * np.maximum.accumulate(widest[alike])
            count = max(1, int(np.searchsorted(total, rows, side="right")))
            yield alike[:count]
            order = order[count:]


def find_cones(edits: Edits, places: np.ndarray, cone: Cone) -> Cones:
    """Find what edits change of what explained positions depend on; none of edits out of their reach.

    Parameters
    ----------
    edits : Edits
        Perturbations of one sequence.
    places : numpy.ndarray
        Where explained positions stand after each, or :data:`rnalm.scoring.edits.NOWHERE` ``(edits, positions)``.
    cone : Cone
        The model, in parts.
    """
    some = np.flatnonzero(np.diff(edits.first))
    begin, end = edits.start[edits.first[some]], edits.end[edits.first[some + 1] - 1] + edits.growth[some]
    places = places[some]
    reached = (places != NOWHERE) & (places >= begin[:, None] - cone.reach) & (places < end[:, None] + cone.reach)
    first = np.where(reached, places, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
    last = np.where(reached, places, -1).max(axis=1, initial=-1)
    kept = reached.any(axis=1)
    begin, end, first, last = (each[kept] for each in (begin, end, first, last))
    up = np.cumsum([0, *(block.reach for block in cone.blocks)])[:, None]  # (levels, 1): how far an edit has come
    down = cone.reach - up
    start, stop = np.maximum(begin - up, first - down), np.minimum(end + up, last + 1 + down)
    return Cones(some[kept], end, start, stop - start)


class _Level(NamedTuple):
    """What a block reads of the sequence itself: states ``(length, channels)``, and what its convolution reads of them."""

    x: Tensor
    prepared: Tensor


class _Rows(NamedTuple):
    """Where the windows of some perturbations stand, below a layer and above it."""

    after: Tensor  #: First position right of what comes ``(rows,)``.
    growth: int  #: By how much these are shifted against the sequence.
    below: Tensor  #: First position of each window below ``(rows,)``.
    above: Tensor  #: First position of each window above ``(rows,)``.
    width: int  #: Positions of a window above.


class _Layer:
    """A block on windows: one gathering of what its taps read, and one matrix product."""

    def __init__(self, block: Block, dtype: torch.dtype | None) -> None:
        self.block, weight = block, block.convolution.weight
        # (taps · channels, filters)
        self.weight = weight.permute(2, 1, 0).flatten(0, 1).to(dtype or weight.dtype).contiguous()
        self.bias = weight.new_zeros(len(weight)) if block.convolution.bias is None else block.convolution.bias
        taps = weight.shape[2]
        self.distance = (torch.arange(taps, device=weight.device) - taps // 2) * block.dilation
        #: What a position needs, with an index for each tap.
        self.bytes = 4 * (len(self.weight) + 6 * len(weight)) + 32 * taps

    def __call__(self, level: _Level, x: Tensor, rows: _Rows) -> Tensor:
        """Take windows ``(rows, width below, channels)`` to ``(rows, width above, channels)``."""
        index = self._index(x.shape[1], len(level.x), rows)  # (rows, width, taps)
        read = _table(level.prepared, self.block.before(x)).index_select(0, index.flatten())
        read = read.view(-1, len(self.weight)).to(self.weight.dtype)
        out = torch.addmm(self.bias, read, self.weight) if read.dtype == self.bias.dtype else (read @ self.weight) + self.bias
        own = _table(level.x, x).index_select(0, index[:, :, len(self.distance) // 2].flatten())
        return (own + self.block.after(out)).view(len(index), rows.width, -1)

    def _index(self, width: int, length: int, rows: _Rows) -> Tensor:
        """Find in :func:`_table` what each tap reads."""
        place = rows.above[:, None, None] + torch.arange(rows.width, device=rows.above.device)[:, None] + self.distance
        within = place - rows.below[:, None, None]
        number = torch.arange(len(place), device=place.device)[:, None, None]
        index = torch.where(place >= rows.after[:, None, None], place - rows.growth, place)
        index = torch.where((within >= 0) & (within < width), length + 1 + number * width + within, index)
        return index.masked_fill_((place < 0) | (place >= length + rows.growth), length)


def _table(whole: Tensor, windows: Tensor) -> Tensor:
    """Put the rows of a sequence, one of zeros, and those of windows below each other ``(…, channels)``."""
    return torch.cat([whole, whole.new_zeros(1, whole.shape[1]), windows.flatten(0, 1)])
