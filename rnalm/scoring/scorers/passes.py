"""What perturbed sequences share: the activations of the sequence itself, and of the sequence shifted.

A perturbed sequence is, left of a change, the sequence; right of it, the sequence shifted by what it has grown: with its
first tokens dropped, or with zeros before them. So one pass a shift holds everything outside the windows, for all edits
and on every level, wherever the shift puts the pooling grid.

Where a window meets what is unchanged, a convolution reads some taps on this side of the junction and some on that. Their
sums over the unchanged side depend on the junction alone; they are kept as tables, so that only changed positions are
multiplied.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rnalm.compute import send
from rnalm.models.local import Layer, Local, Readout
from rnalm.scoring.edits import distinct
from rnalm.scoring.scorers import fused


@dataclass(frozen=True)
class Junctions:
    """What a layer's windows need of the unchanged positions around them.

    Attributes
    ----------
    left : Tensor
        ``[shift, m - 1, j]``: the first m taps of output j, and the bias ``(shifts, taps - 1, length, filters)``.
    right : Tensor
        ``[shift, m - 1, j]``: all taps but the first m, and the bias, likewise.
    outputs : Tensor
        The layer's outputs before pooling ``(shifts, length, filters)``.
    """

    left: Tensor
    right: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class Passes:
    """Passes over a sequence under several shifts.

    Attributes
    ----------
    junctions : list of Junctions
        One a layer; ``left`` has the shifts of ``lefts`` only, ``right`` those of ``rights``, ``outputs`` those of ``shifts``.
    shifts, lefts, rights : numpy.ndarray
        All shifts, and those left and right of windows, each sorted and without repetition.
    bins : numpy.ndarray
        Bins under each shift ``(shifts,)``.
    inputs : Tensor
        Projected bins ``(shifts, bins, inputs)``.
    states : Tensor
        ``[shift, b]``: the state when bins b and on have been read ``(shifts, bins + 1, features)``.
    """

    junctions: list[Junctions]
    shifts: np.ndarray
    lefts: np.ndarray
    rights: np.ndarray
    bins: np.ndarray
    inputs: Tensor
    states: Tensor


def passes(local: Local, x: Tensor, left: Sequence[int] | np.ndarray, right: Sequence[int] | np.ndarray) -> Passes:
    """Compute the passes over a sequence.

    Parameters
    ----------
    local : Local
        The model, in parts.
    x : Tensor
        Model input of the sequence, with the margin that the model needs around it ``(channels, length)``.
    left, right : sequence of int
        Shifts left and right of windows.
    """
    lefts, rights = (distinct(np.asarray(side, dtype=np.int64)) for side in (left, right))
    shifts = distinct(np.concatenate([lefts, rights, [0]]))  # 0 for the sequence itself
    length = max(local.minimum_length, x.shape[1] + int(shifts[-1]))
    rows = torch.stack([F.pad(x, (shift, length - x.shape[1] - shift)).T for shift in shifts.tolist()])
    chosen = [_Subset(shifts, some, x.device) for some in (lefts, rights)]
    junctions = []
    for layer in local.layers:
        junctions.append(_junctions(layer, rows, *chosen))
        rows = _pool(junctions[-1].outputs, layer)
    tokens = x.shape[1] - sum(local.margin)
    bins = np.array([local.bins(tokens + shift) for shift in shifts.tolist()])
    inputs = local.readout.project(local.last(rows))
    return Passes(junctions, shifts, lefts, rights, bins, inputs, scan(local.readout, inputs, bins))


class _Subset:
    """Some of the shifts, by which parts of tensors ``(shifts, …)`` are taken."""

    def __init__(self, shifts: np.ndarray, some: np.ndarray, device: torch.device) -> None:
        self.count = len(some)
        index = np.searchsorted(shifts, some)
        # Shifts that follow each other are a view of the tensor; only others have to be copied.
        is_run = not self.count or index[-1] - index[0] + 1 == self.count
        self.run = slice(index[0], index[-1] + 1) if self.count and is_run else slice(0, 0)
        self.index = None if is_run else send(index, device)

    def of(self, x: Tensor) -> Tensor:
        """Take the part of these shifts ``(some, …)``."""
        return x[self.run] if self.index is None else x.index_select(0, self.index)


def pass_bytes(local: Local, length: int) -> int:
    """Say how much memory the pass of one shift needs, in bytes.

    Parameters
    ----------
    local : Local
        The model, in parts.
    length : int
        Tokens of the shifted sequence.
    """
    values, length = 0, max(length, local.minimum_length)
    for layer in local.layers:
        # The layer's input, both tables, the outputs, and for a while what each tap gives.
        values += length * (layer.convolution.in_channels + layer.convolution.out_channels * (3 * layer.kernel_size - 1))
        length = layer.length(length)
    return 4 * values


def _junctions(layer: Layer, x: Tensor, lefts: _Subset, rights: _Subset) -> Junctions:
    """Compute a layer's outputs of all passes ``(shifts, length, channels)``, and the tables of its junctions."""
    weight, bias, length = layer.convolution.weight, layer.convolution.bias, x.shape[1]
    filters, reach = len(weight), length - layer.span
    bias = weight.new_zeros(filters) if bias is None else bias
    x = layer.before(x)
    if fast := fused.for_layer(layer, x.device):
        left, right, outputs = fast.sums(layer, x, bias)
        return Junctions(lefts.of(left), rights.of(right), outputs)
    products = torch.matmul(x, weight.permute(1, 2, 0).flatten(1))  # (shifts, length, taps · filters)
    # For each tap, what it adds to outputs 0, 1, … ``(shifts, outputs, filters)``.
    parts = [part[:, tap * layer.dilation :] for tap, part in enumerate(products.split(filters, dim=2))]
    outputs = parts[0][:, :reach] + bias
    for part in parts[1:]:
        outputs += part[:, :reach]
    left = _sums(parts[:-1], lefts, bias, length)
    right = _sums([part[:, :reach] for part in parts[1:]], rights, bias, length, backwards=True)
    return Junctions(left, right, layer.after(outputs))


def _sums(parts: list[Tensor], subset: _Subset, bias: Tensor, length: int, backwards: bool = False) -> Tensor:
    """Sum the bias, the parts ``(shifts, outputs, filters)`` up to each, or with ``backwards`` from each on.

    Returns
    -------
    Tensor
        ``(some, parts, length, filters)``, zeros where a part has ended.
    """
    table = bias.new_zeros(subset.count, len(parts), length, len(bias))
    order = slice(None, None, -1 if backwards else 1)
    total = bias.expand(length, -1)
    for sums, part in zip(table.unbind(1)[order], parts[order], strict=True):
        kept = part.shape[1]
        total = torch.add(subset.of(part), total[..., :kept, :], out=sums[:, :kept])
    return table


def _pool(x: Tensor, layer: Layer) -> Tensor:
    """Pool runs of positions: ``(shifts, length, filters)`` ─► ``(shifts, length // pool, filters)``."""
    if layer.pool == 1:
        return x
    runs = x[:, : x.shape[1] // layer.pool * layer.pool].unflatten(1, (-1, layer.pool))
    return runs.mean(2) if layer.mean else runs.amax(2)


def scan(readout: Readout, inputs: Tensor, bins: np.ndarray) -> Tensor:
    """Read bins from the 3′ end and keep every state: ``(shifts, bins + 1, features)``, from the last on as at the start.

    Parameters
    ----------
    readout : Readout
        Reads the bins.
    inputs : Tensor
        Projected bins ``(shifts, bins, inputs)``.
    bins : numpy.ndarray
        How many of them there are under each shift, in ascending order ``(shifts,)``.
    """
    state = readout.start(len(inputs))
    states = state[:, None].repeat(1, inputs.shape[1] + 1, 1)
    if fast := fused.for_reading(readout, inputs.device):
        ends = send(np.stack([np.arange(len(bins)) * inputs.shape[1] + bins, bins]), inputs.device)
        fast.read(readout, inputs.flatten(0, 1), *ends, state, kept=states)
        return states
    for place in range(bins[-1] - 1, -1, -1):
        first = np.searchsorted(bins, place, side="right")  # the passes before it have fewer bins than this
        readout.step(inputs[first:, place].clone(), state[first:])
        states[first:, place] = state[first:]
    return states
