"""What perturbed sequences share: the activations of a sequence itself, and of the sequence shifted.

A perturbed sequence is, left of a change, the sequence; right of it, the sequence shifted by what it has grown: with its
first tokens dropped, or with zeros before them. So one pass a shift holds everything outside the windows, for all edits
and on every level, wherever the shift puts the pooling grid.

Where a window meets what is unchanged, a convolution reads some taps on this side of the junction and some on that. Their
sums over the unchanged side depend on the junction alone; they are kept as tables, so that only changed positions are
multiplied.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rnalm.compute import send
from rnalm.models.local import Layer, Local, Readout
from rnalm.scoring.scorers import fused


@dataclass(frozen=True)
class Junctions:
    """What a layer's windows need of the unchanged positions around them.

    Attributes
    ----------
    left : Tensor
        ``[pass, m - 1, j]``: the first m taps of output j, and the bias ``(passes, taps - 1, length, filters)``.
    right : Tensor
        ``[pass, m - 1, j]``: all taps but the first m, and the bias, likewise.
    outputs : Tensor
        The layer's outputs before pooling ``(passes, length, filters)``.
    """

    left: Tensor
    right: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class Passes:
    """Passes over sequences under several shifts.

    Attributes
    ----------
    junctions : list of Junctions
        One a layer; ``left`` and ``right`` have the passes that were asked for, ``outputs`` all.
    inputs : Tensor
        Projected bins ``(passes, bins, inputs)``.
    states : Tensor
        ``[pass, b]``: the state when bins b and on have been read ``(passes, bins + 1, features)``.
    """

    junctions: list[Junctions]
    inputs: Tensor
    states: Tensor


def passes(local: Local, rows: Tensor, bins: np.ndarray, lefts: np.ndarray, rights: np.ndarray) -> Passes:
    """Compute passes.

    Parameters
    ----------
    local : Local
        The model, in parts.
    rows : Tensor
        Model input of the shifted sequences, with the margin that the model needs around each, and zeros beyond
        ``(passes, length, channels)``.
    bins : numpy.ndarray
        How many bins each has ``(passes,)``.
    lefts, rights : numpy.ndarray
        Numbers of those whose junctions are needed on the left and on the right, in ascending order.
    """
    chosen = [_Subset(some, rows.device) for some in (lefts, rights)]
    junctions = []
    for layer in local.layers:
        junctions.append(_junctions(layer, rows, *chosen))
        rows = _pool(junctions[-1].outputs, layer)
    inputs = fused.project(local.readout, local.last(rows))
    return Passes(junctions, inputs, scan(local.readout, inputs, bins))


class _Subset:
    """Some of the passes, of which parts of tensors ``(passes, …)`` are taken."""

    def __init__(self, some: np.ndarray, device: torch.device) -> None:
        self.count = len(some)
        # Passes that follow each other are a view of the tensor; only others have to be copied.
        is_run = not self.count or some[-1] - some[0] + 1 == self.count
        self.run = slice(some[0], some[-1] + 1) if self.count and is_run else slice(0, 0)
        self.index = None if is_run else send(some, device)

    def of(self, x: Tensor) -> Tensor:
        """Take the part of these passes ``(some, …)``."""
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
    """Compute a layer's outputs of all passes ``(passes, length, channels)``, and the tables of its junctions."""
    weight, bias, length = layer.convolution.weight, layer.convolution.bias, x.shape[1]
    filters, reach = len(weight), length - layer.span
    bias = weight.new_zeros(filters) if bias is None else bias
    x = layer.before(x)
    if fast := fused.for_layer(layer, x.device):
        left, right, outputs = fast.sums(layer, x, bias)
        return Junctions(lefts.of(left), rights.of(right), outputs)
    products = torch.matmul(x, weight.permute(1, 2, 0).flatten(1))  # (passes, length, taps · filters)
    # For each tap, what it adds to outputs 0, 1, … ``(passes, outputs, filters)``.
    parts = [part[:, tap * layer.dilation :] for tap, part in enumerate(products.split(filters, dim=2))]
    outputs = parts[0][:, :reach] + bias
    for part in parts[1:]:
        outputs += part[:, :reach]
    left = _sums(parts[:-1], lefts, bias, length)
    right = _sums([part[:, :reach] for part in parts[1:]], rights, bias, length, backwards=True)
    return Junctions(left, right, layer.after(outputs))


def _sums(parts: list[Tensor], subset: _Subset, bias: Tensor, length: int, backwards: bool = False) -> Tensor:
    """Sum the bias, the parts ``(passes, outputs, filters)`` up to each, or with ``backwards`` from each on.

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
    """Pool runs of positions: ``(passes, length, filters)`` ─► ``(passes, length // pool, filters)``."""
    if layer.pool == 1:
        return x
    runs = x[:, : x.shape[1] // layer.pool * layer.pool].unflatten(1, (-1, layer.pool))
    return runs.mean(2) if layer.mean else runs.amax(2)


def scan(readout: Readout, inputs: Tensor, bins: np.ndarray) -> Tensor:
    """Read bins from the 3′ end and keep every state: ``(passes, bins + 1, features)``, from the last on as at the start.

    Parameters
    ----------
    readout : Readout
        Reads the bins.
    inputs : Tensor
        Projected bins ``(passes, bins, inputs)``.
    bins : numpy.ndarray
        How many of them each has ``(passes,)``.
    """
    state = readout.start(len(inputs))
    states = state[:, None].repeat(1, inputs.shape[1] + 1, 1)
    if fast := fused.for_reading(readout, inputs.device):
        ends = send(np.stack([np.arange(len(bins)) * inputs.shape[1] + bins, bins]), inputs.device)
        fast.read(readout, inputs.flatten(0, 1), *ends, state, kept=states)
        return states
    if (np.diff(bins) < 0).any():
        order = np.argsort(bins, kind="stable")
        sorted_states = scan(readout, inputs.index_select(0, send(order, inputs.device)), bins[order])
        return sorted_states.index_select(0, send(np.argsort(order), inputs.device))
    for place in range(bins[-1] - 1, -1, -1):
        first = np.searchsorted(bins, place, side="right")  # the passes before it have fewer bins than this
        readout.step(inputs[first:, place].clone(), state[first:])
        states[first:, place] = state[first:]
    return states
