"""Many windows of one stretch of tokens, edited or not: what they share is computed once.

Windows that overlap read the same tokens, but each has a grid of its own on which it is pooled. So a layer is computed once
for each place of the grid that occurs among them, which is less than once for each window, where they lie close together. An
edited window is that of the stretch left of its edit, and one that may begin elsewhere right of it; of each layer only what
reads the edit is computed anew.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from rnalm.compute import allocating, send
from rnalm.models.local import Flattened, Layer, Local
from rnalm.models.registry import pad_id
from rnalm.models.wide import is_wide
from rnalm.prediction.predict import Predictor, too_long
from rnalm.scoring.edits import NOWHERE, offsets, ranges
from rnalm.scoring.scorers.windows import through
from rnalm.sequences.edited import Window
from rnalm.tokens.batches import collate, fit_modifiers
from rnalm.tokens.dataset import Encoded

log = logging.getLogger(__name__)

#: Positions of edited windows that are computed together, at most, those of windows side by side, and numbers of the bins that
#: are read together.
MOST_ROWS = {"cpu": 2**14, "cuda": 2**18}
MOST_TABLE = 2**15
MOST_NUMBERS = {"cpu": 2**23, "cuda": 2**27}


@dataclass(frozen=True, slots=True)
class Joined:
    """Sequences that are put together of a stretch: tokens of it, tokens that come, and tokens of it again.

    Attributes
    ----------
    left, right : numpy.ndarray
        Where each would begin on the stretch by what stands left of what comes, and by what stands right of it, int64
        ``(sequences,)``.
    at : numpy.ndarray
        How many tokens stand before what comes, int64 ``(sequences,)``.
    length : numpy.ndarray
        Tokens of each, int64 ``(sequences,)``.
    offset : numpy.ndarray
        Tokens ``offset[i]:offset[i + 1]`` come in sequence i, int64 ``(sequences + 1,)``.
    token : numpy.ndarray
        Ids of the tokens that come, int64 ``(tokens,)``.
    keep : numpy.ndarray
        Place on the stretch whose modifiers such a token takes, or ``NOWHERE``, int64 ``(tokens,)``.
    """

    left: np.ndarray
    right: np.ndarray
    at: np.ndarray
    length: np.ndarray
    offset: np.ndarray
    token: np.ndarray
    keep: np.ndarray

    @classmethod
    def of(cls, windows: Sequence[Window], to_ids: Callable[[str], np.ndarray]) -> "Joined":
        """Write windows as tokens.

        Tokens that come take the modifiers of those in whose place they stand, one by one from the left; what is beyond has
        none.

        Parameters
        ----------
        windows : sequence of Window
            Of the letters that are the tokens of the stretch.
        to_ids : callable
            From letters to the ids of their tokens, one each.
        """
        sides = ("left", "right", "at", "length")
        left, right, at, length = (np.array([getattr(own, side) for own in windows], dtype=np.int64) for side in sides)
        width = np.array([len(own.comes) for own in windows], dtype=np.int64)
        token = to_ids("".join(own.comes for own in windows)).astype(np.int64)
        place = ranges(left + at, width)
        keep = np.where(place < np.repeat(right + at + width, width), place, NOWHERE)
        return cls(left, right, at, length, offsets(width), token, keep)

    def __len__(self) -> int:
        return len(self.at)

    @property
    def width(self) -> np.ndarray:
        """How many tokens come ``(sequences,)``."""
        return np.diff(self.offset)

    @property
    def edited(self) -> np.ndarray:
        """Whether each is another than a part of the stretch, bool ``(sequences,)``."""
        whole = (self.at == 0) | (self.at == self.length) | (self.left == self.right)
        return (self.width > 0) | ~whole

    def __getitem__(self, chosen: np.ndarray) -> "Joined":
        """Choose some by their numbers."""
        width = self.width[chosen]
        tokens = ranges(self.offset[chosen], width)
        left, right, at, length = (side[chosen] for side in (self.left, self.right, self.at, self.length))
        return Joined(left, right, at, length, offsets(width), self.token[tokens], self.keep[tokens])

    def sequence(self, stretch: Encoded, number: int) -> Encoded:
        """Put one of them together.

        Parameters
        ----------
        stretch : Encoded
            The stretch.
        number : int
            Which.
        """
        left, right, at, length = (int(side[number]) for side in (self.left, self.right, self.at, self.length))
        comes = slice(self.offset[number], self.offset[number + 1])
        behind = at + len(self.token[comes])
        ids = [stretch.input_ids[left : left + at], self.token[comes], stretch.input_ids[right + behind : right + length]]
        modifiers = stretch.modifiers
        if modifiers is not None:
            kept = np.where(self.keep[comes] == NOWHERE, 0, modifiers[:, self.keep[comes]])
            parts = [modifiers[:, left : left + at], kept, modifiers[:, right + behind : right + length]]
            modifiers = np.concatenate(parts, axis=1)
        return Encoded(number, stretch.id, np.concatenate(ids).astype(np.int32), modifiers, None, 1.0, None)


class WholeScorer:
    """Computes the outputs of sequences that are put together of a stretch, each by a whole pass of the model.

    Parameters
    ----------
    model : PreTrainedModel
        On the device on which to compute.
    batch_tokens : int
        Tokens in one forward pass, at most.
    """

    name = "naive"

    def __init__(self, model: PreTrainedModel, batch_tokens: int = 2**18) -> None:
        self.predict = Predictor(model, batch_tokens).outputs

    @torch.inference_mode()
    def __call__(self, stretch: Encoded, joined: Joined) -> np.ndarray:
        """Compute the outputs.

        Parameters
        ----------
        stretch : Encoded
            The stretch.
        joined : Joined
            What is made of it.

        Returns
        -------
        numpy.ndarray
            float32 ``(sequences, outputs)``
        """
        return self.predict([joined.sequence(stretch, number) for number in range(len(joined))])


class StretchScorer:
    """Computes the outputs of sequences that are put together of a stretch, for a local architecture.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode, with a method ``local`` (see :mod:`rnalm.models.local`); work is done on its device.
    batch_tokens : int
        Tokens in one forward pass, at most, where whole passes are needed: of sequences that are shorter than the model reads,
        and of those that grow, where its convolutions are padded.
    """

    name = "incremental"

    def __init__(self, model: PreTrainedModel, batch_tokens: int = 2**18) -> None:
        self.local: Local = model.local()  # pyright: ignore[reportCallIssue]
        self.model, self.device = model, model.device
        self.channels = getattr(model.config, "modifier_channels", 0)
        self.pad = pad_id(model)
        #: Of each layer ``(taps, channels, filters)``.
        self.kernels = [layer.convolution.weight.detach().permute(2, 1, 0).contiguous() for layer in self.local.layers]
        self.whole, self.whole_tokens = WholeScorer(model, batch_tokens), batch_tokens
        #: Sequences that are computed together at most, as far as is known.
        self.together = sys.maxsize

    @torch.inference_mode()
    def __call__(self, stretch: Encoded, joined: Joined) -> np.ndarray:
        """Compute the outputs; see :meth:`WholeScorer.__call__`.

        Parameters
        ----------
        stretch : Encoded
            The stretch.
        joined : Joined
            What is made of it.
        """
        outputs = np.empty((len(joined), self.model.config.num_labels or 1), dtype=np.float32)
        other = (joined.length < self.local.minimum_length) | (len(stretch.input_ids) < self.local.minimum_length)
        if any(self.local.margin):
            other |= joined.edited & (joined.left != joined.right)
        if other.any():
            chosen = np.flatnonzero(other)
            outputs[chosen] = self.whole(stretch, joined[chosen])
        # Where convolutions are padded, what stands right of a sequence depends on its length.
        lengths = joined.length if any(self.local.margin) else np.zeros_like(joined.length)
        for length in np.unique(lengths[~other]).tolist():
            alike = np.flatnonzero(~other & (lengths == length))
            # There, windows lie side by side: as many at a time as fill a stretch.
            most = max(1, MOST_TABLE // (length + sum(self.local.margin))) if length else len(alike)
            for chosen in np.array_split(alike[np.argsort(joined.left[alike], kind="stable")], -(-len(alike) // most)):
                outputs[chosen] = self._score(stretch, joined[chosen])
        if is_wide(self.model) and not other.all():
            self._add_linear(outputs, stretch, joined, np.flatnonzero(~other))
        return outputs

    def _add_linear(self, outputs: np.ndarray, stretch: Encoded, joined: Joined, chosen: np.ndarray) -> None:
        """Add the linear part to what the network gives of some sequences: it is so fast that it reads them whole."""
        most = max(1, self.whole_tokens // int(joined.length[chosen].max()))
        for part in np.array_split(chosen, -(-len(chosen) // most)):
            batch = collate([joined.sequence(stretch, number) for number in part.tolist()], self.channels, self.pad)
            inputs = {name: own.to(self.device) for name, own in batch.items()}
            outputs[part] += self.model.wide(**inputs).cpu().numpy()  # pyright: ignore[reportCallIssue]

    def _score(self, stretch: Encoded, joined: Joined) -> np.ndarray:
        """Score sequences that are computed together; where memory runs out, one half after the other."""
        if len(joined) <= self.together:
            try:
                with allocating():
                    return _Scoring(self, stretch, joined).outputs()
            except torch.OutOfMemoryError:
                if len(joined) == 1:
                    raise too_long(joined.sequence(stretch, 0)) from None
                self.together = len(joined) // 2
                log.warning("out of memory; going on with %d windows at a time", self.together)
        halves = np.array_split(np.arange(len(joined)), 2)
        return np.concatenate([self._score(stretch, joined[half]) for half in halves])


@dataclass(frozen=True)
class _Table:
    """What a layer reads, or gives, of windows of the stretch: position i of window k is row ``base[k] + i``.

    Attributes
    ----------
    rows : Tensor
        ``(phases, size, channels)``; windows of a phase lie on the same grid.
    phase, offset : Tensor
        On which phase a window is, and where on it it begins ``(windows,)``.
    """

    rows: Tensor
    phase: Tensor
    offset: Tensor

    def take(self, windows: Tensor, first: Tensor, count: int) -> Tensor:
        """Take rows of windows: ``(count, windows, channels)``. What is beyond the ends is any row: nothing reads it."""
        base = self.phase[windows] * self.rows.shape[1] + self.offset[windows] + first
        index = base + torch.arange(count, device=base.device)[:, None]
        flat = self.rows.flatten(0, 1)
        return flat.index_select(0, index.clamp_(0, len(flat) - 1).view(-1)).view(count, len(windows), flat.shape[1])

    def apart(self, size: int) -> "_Table":
        """Lay windows of a size side by side, each on a phase of its own."""
        every = torch.arange(len(self.phase), device=self.phase.device)
        rows = self.take(every, torch.zeros_like(every), size).transpose(0, 1).contiguous()
        return _Table(rows, every, torch.zeros_like(every))


@dataclass
class _Edit:
    """Windows whose edits are of one width, on their way through the layers.

    Attributes
    ----------
    numbers : numpy.ndarray
        Which sequences they are ``(windows,)``.
    left, right : Tensor
        Windows of the stretch that they are left and right of the edit ``(windows,)``.
    start : Tensor
        First position that the edit reaches ``(windows,)``.
    rows : Tensor
        What it reaches ``(width, windows, channels)``.
    """

    numbers: np.ndarray
    left: Tensor
    right: Tensor
    start: Tensor
    rows: Tensor


class _Scoring:
    """The scoring of the sequences of one stretch."""

    def __init__(self, scorer: StretchScorer, stretch: Encoded, joined: Joined) -> None:
        self.local, self.kernels, self.device, self.joined = scorer.local, scorer.kernels, scorer.device, joined
        margin = self.local.margin
        ids = np.concatenate([stretch.input_ids.astype(np.int64), joined.token, [scorer.pad]])
        x = self.local.inputs(send(ids, self.device)[None], self._modifiers(stretch, scorer.channels))[0].T
        size = len(stretch.input_ids)
        # Where nothing of one side is read, it is where the other is.
        left = np.where(joined.at == 0, joined.right, joined.left)
        right = np.where(joined.at + joined.width == joined.length, left, joined.right)
        starts, number = np.unique(np.concatenate([left, right]), return_inverse=True)
        self.left, self.right = number[: len(joined)], number[len(joined) :]
        self.longest = int(joined.length.max()) + sum(margin)
        begin = send(starts, self.device)
        self.table = _Table(x[None, :size], torch.zeros_like(begin), begin)
        if any(margin):
            # Convolutions that are padded: around each window, tokens [PAD] stand that no other has.
            place = np.arange(-margin[0], self.longest - margin[0])
            inside = (place >= 0) & (place < self.longest - sum(margin))
            index = np.where(inside, np.minimum(starts[:, None] + place, size - 1), len(ids) - 1)
            every = torch.arange(len(starts), device=self.device)
            self.table = _Table(x[send(index, self.device)], every, torch.zeros_like(every))
        self.edits = list(self._edits(x[size:-1], scorer.local, margin[0]))

    def _modifiers(self, stretch: Encoded, channels: int) -> Tensor | None:
        """Give modifiers of all tokens ``(1, channels, tokens)``."""
        if not channels:
            return None
        own = np.pad(fit_modifiers(stretch, channels), ((0, 0), (0, 1)))  # the last column, zeros, is that of NOWHERE
        keep = np.where(self.joined.keep == NOWHERE, own.shape[1] - 1, self.joined.keep)
        return send(np.concatenate([own[:, :-1], own[:, keep], own[:, -1:]], axis=1), self.device)[None]

    def _edits(self, comes: Tensor, local: Local, before: int) -> Iterator[_Edit]:
        """Divide edited sequences into groups of one width that are computed together."""
        joined, edited = self.joined, np.flatnonzero(self.joined.edited)
        for width in np.unique(joined.width[edited]).tolist():
            alike, widest, size = edited[joined.width[edited] == width], max(1, width), width
            for layer in local.layers:
                widest = max(widest, size + 2 * layer.span + 2 * (layer.pool - 1))
                _, size = through(0, size, layer)
            most = max(1, MOST_ROWS[self.device.type] // widest)
            for first in range(0, len(alike), most):
                part = alike[first : first + most]
                sides = np.stack([self.left[part], self.right[part], joined.at[part] + before])
                left, right, start = send(sides, self.device)
                tokens = joined.offset[part] + np.arange(width)[:, None]
                rows = comes[send(tokens, self.device).view(-1)].view(width, len(part), comes.shape[1])
                yield _Edit(part, left, right, start, rows)

    def outputs(self) -> np.ndarray:
        """Compute the outputs ``(sequences, outputs)``."""
        length = self.longest
        for layer, kernels in zip(self.local.layers, self.kernels, strict=True):
            if len(self.table.phase) * length < self.table.rows.shape[:2].numel():
                self.table = self.table.apart(length)
            length = layer.length(length)
            self._layer(layer, kernels)
        self.table = _Table(self.local.last(self.table.rows), self.table.phase, self.table.offset)
        for edit in self.edits:
            edit.rows = self.local.last(edit.rows)
        lengths, which = np.unique(self.joined.length, return_inverse=True)
        bins = np.array([self.local.bins(length) for length in lengths.tolist()])[which]
        outputs: np.ndarray | None = None
        for count in np.unique(bins).tolist():
            alike = np.flatnonzero(bins == count)
            most = max(1, MOST_NUMBERS[self.device.type] // (count * self.table.rows.shape[2]))
            for part in np.array_split(alike, -(-len(alike) // most)):
                read = self._read(part, count).float().cpu().numpy()
                outputs = np.empty((len(self.joined), read.shape[1]), np.float32) if outputs is None else outputs
                outputs[part] = read
        assert outputs is not None, "there is a sequence"
        return outputs

    def _read(self, part: np.ndarray, count: int) -> Tensor:
        """Read the bins of some sequences that have so many: ``(sequences, outputs)``."""
        readout = self.local.readout
        if not isinstance(readout, Flattened) or (self.left[part] != self.right[part]).any():
            return self.local.read(self._bins(part, count), count)
        # Features are a sum over bins: of that of a window, edits change some terms.
        windows, which = np.unique(self.left[part], return_inverse=True)
        chosen = send(windows, self.device)
        whole = readout.total(self.table.take(chosen, torch.zeros_like(chosen), count).transpose(0, 1))
        features = whole[send(which, self.device)]
        for edit, numbers, place in self._edited(part):
            bins, was = edit.rows[:, numbers], self.table.take(edit.left[numbers], edit.start[numbers], len(edit.rows))
            at = edit.start[numbers].cpu().numpy() + np.arange(len(bins))[:, None]
            owner = np.broadcast_to(place, at.shape)
            readout.move(features, (bins - was).flatten(0, 1), at.ravel(), owner.ravel())
        return self.local.head(features)

    def _edited(self, part: np.ndarray) -> Iterator[tuple[_Edit, Tensor, np.ndarray]]:
        """Find the edits among some sequences: their group, their numbers in it, and their places among the sequences."""
        place = np.full(len(self.joined), -1)
        place[part] = np.arange(len(part))
        for edit in self.edits:
            numbers = np.flatnonzero(place[edit.numbers] >= 0)
            if len(numbers):
                yield edit, send(numbers, self.device), place[edit.numbers[numbers]]

    def _bins(self, part: np.ndarray, count: int) -> Tensor:
        """Put bins of sequences together: ``(sequences, bins, channels)``."""
        left, right = send(np.stack([self.left[part], self.right[part]]), self.device)
        begin = torch.zeros_like(left)
        bins = self.table.take(left, begin, count)
        moved = torch.full_like(left, count)  # from which bin on each is as it is seen from the right
        for edit, numbers, place in self._edited(part):
            moved[send(place, self.device)] = edit.start[numbers] + len(edit.rows)
        if (self.left[part] != self.right[part]).any():
            behind = torch.arange(count, device=self.device)[:, None] >= moved
            bins = torch.where(behind[:, :, None], self.table.take(right, begin, count), bins)
        for edit, numbers, place in self._edited(part):
            rows, start = edit.rows[:, numbers], edit.start[numbers]
            at = start + torch.arange(len(rows), device=self.device)[:, None]
            row, which = torch.nonzero((at >= 0) & (at < count), as_tuple=True)
            bins[at[row, which], send(place, self.device)[which]] = rows[row, which]
        return bins.transpose(0, 1)

    def _layer(self, layer: Layer, kernels: Tensor) -> None:
        """Take the table, and all edits, through a layer."""
        read = _Table(layer.before(self.table.rows), self.table.phase, self.table.offset)
        phases, size, _ = read.rows.shape
        # What would read beyond the end of a phase reads of the next one: no window has it.
        rows = layer.after(_products(layer, kernels, read.rows.flatten(0, 1), 1).view(phases, size, kernels.shape[2]))
        given = _Table(rows, read.phase, read.offset)
        for edit in self.edits:
            edit.rows, edit.start = _recomputed(layer, kernels, edit, read, given)
        self.table = _pooled(given, layer)


def _products(layer: Layer, kernels: Tensor, rows: Tensor, step: int) -> Tensor:
    """Multiply rows with the taps of a layer, of which each reads so many rows further: as many rows, the last ones without."""
    bias = kernels.new_zeros(kernels.shape[2]) if layer.convolution.bias is None else layer.convolution.bias
    out, count = rows.new_empty(len(rows), kernels.shape[2]), len(rows) - layer.span * step
    out[count:] = bias
    torch.addmm(bias, rows[:count], kernels[0], out=out[:count])
    for tap, kernel in enumerate(kernels[1:], start=1):
        low = tap * layer.dilation * step
        out[:count].addmm_(rows[low : low + count], kernel)
    return out


def _pooled(table: _Table, layer: Layer) -> _Table:
    """Pool, on each grid that a window has."""
    if layer.pool == 1:
        return table
    phases, phase = torch.unique(table.phase * layer.pool + table.offset % layer.pool, return_inverse=True)
    size = table.rows.shape[1] // layer.pool
    own = torch.div(phases, layer.pool, rounding_mode="floor")
    first = own * table.rows.shape[1] + phases % layer.pool
    index = first[:, None] + layer.pool * torch.arange(size, device=first.device)
    rows = _over_runs(table.rows.flatten(0, 1), index.view(-1), 1, layer).view(len(phases), size, table.rows.shape[2])
    return _Table(rows, phase, torch.div(table.offset, layer.pool, rounding_mode="floor"))


def _over_runs(rows: Tensor, index: Tensor, step: int, layer: Layer) -> Tensor:
    """Pool runs of rows that begin at some places, and go on in steps: ``(runs, channels)``."""
    pooled = rows.index_select(0, index)
    for number in range(1, layer.pool):
        other = rows.index_select(0, (index + number * step).clamp_(max=len(rows) - 1))
        pooled = pooled.add_(other) if layer.mean else torch.maximum(pooled, other, out=pooled)
    return pooled.div_(layer.pool) if layer.mean else pooled


def _recomputed(layer: Layer, kernels: Tensor, edit: _Edit, read: _Table, given: _Table) -> tuple[Tensor, Tensor]:
    """Compute what a layer gives of what edits reach: rows and first positions, as ``windows.through`` tells them."""
    width, size, span = len(edit.rows), len(edit.numbers), layer.span
    before, behind = read.take(edit.left, edit.start - span, span), read.take(edit.right, edit.start + width, span)
    rows = torch.cat([before, layer.before(edit.rows), behind]).flatten(0, 1)
    changed, filters = width + span, kernels.shape[2]
    out = _products(layer, kernels, rows, size)[: changed * size]
    out = layer.after(out.view(changed, size, filters))
    first = edit.start - span
    if layer.pool == 1:
        return out, first
    after, bins = through(edit.start, width, layer)
    margin = layer.pool - 1  # the first pool begins at most so far left of what changed
    left, right = given.take(edit.left, first - margin, margin), given.take(edit.right, edit.start + width, 2 * margin)
    out = torch.cat([left, out, right])
    index = (margin - (first - after * layer.pool) + layer.pool * torch.arange(bins, device=first.device)[:, None]) * size
    index = (index + torch.arange(size, device=first.device)).view(-1)
    return _over_runs(out.flatten(0, 1), index, size, layer).view(bins, size, filters), after
