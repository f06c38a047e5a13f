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

from rnalm.models.local import Layer, Local, Readout


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
        Sorted.
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


def passes(local: Local, x: Tensor, lefts: Sequence[int], rights: Sequence[int]) -> Passes:
    """Compute the passes over a sequence.

    Parameters
    ----------
    local : Local
    x : Tensor
        Model input of the sequence ``(channels, length)``.
    lefts, rights : sequence of int
        Shifts left and right of windows.
    """
    lefts, rights = np.unique(lefts), np.unique(rights)
    shifts = np.union1d(lefts, rights)
    length = max(local.minimum_length, x.shape[1] + int(shifts[-1]))
    rows = torch.stack([F.pad(x, (shift, length - x.shape[1] - shift)).T for shift in shifts.tolist()])
    junctions = []
    for layer in local.layers:
        found = _junctions(layer, rows, _run(shifts, lefts), _run(shifts, rights))
        junctions.append(found)
        rows = _pool(found.outputs, layer.pool)
    bins = np.array([local.bins(x.shape[1] + shift) for shift in shifts.tolist()])
    inputs = local.readout.project(local.last(rows))
    states = torch.stack([scan(local.readout, own, count) for own, count in zip(inputs, bins.tolist(), strict=True)])
    return Passes(junctions, shifts, lefts, rights, bins, inputs, states)


def pass_bytes(local: Local, length: int) -> int:
    """Say how much memory the pass of one shift needs, in bytes."""
    values, length = 0, max(length, local.minimum_length)
    for layer in local.layers:
        # Both tables, the outputs, and for a while what each tap gives.
        values += length * layer.convolution.out_channels * (3 * layer.taps - 1)
        length = layer.length(length)
    return 4 * values


def _run(shifts: np.ndarray, some: np.ndarray) -> slice | np.ndarray:
    """Find the indices of some shifts; as a slice, which copies nothing, where they stand together."""
    index = np.searchsorted(shifts, some)
    return slice(index[0], index[-1] + 1) if index[-1] - index[0] + 1 == len(index) else index


def _junctions(layer: Layer, x: Tensor, lefts: slice | np.ndarray, rights: slice | np.ndarray) -> Junctions:
    """Compute a layer's outputs of all passes ``(shifts, length, channels)``, and the tables of its junctions."""
    weight, bias, taps, length = layer.convolution.weight, layer.convolution.bias, layer.taps, x.shape[1]
    filters, reach = len(weight), length - layer.span
    bias = weight.new_zeros(filters) if bias is None else bias
    products = torch.matmul(layer.before(x), weight.permute(1, 2, 0).flatten(1))  # (shifts, length, taps · filters)
    # Of each tap, what outputs 0, 1, … get from it ``(shifts, outputs, filters)``.
    parts = [part[:, tap * layer.dilation :] for tap, part in enumerate(products.split(filters, dim=2))]
    outputs = parts[0][:, :reach] + bias
    for part in parts[1:]:
        outputs += part[:, :reach]
    left = products.new_zeros(len(products[lefts]), taps - 1, length, filters)
    right = products.new_zeros(len(products[rights]), taps - 1, length, filters)
    total = bias
    for taken, part in zip(left.unbind(1), parts, strict=False):
        total = torch.add(
            part[lefts], total[..., : part.shape[1], :] if total is not bias else bias, out=taken[:, : part.shape[1]]
        )
    total = bias
    for taken, part in zip(reversed(right.unbind(1)), reversed(parts), strict=False):
        total = torch.add(part[rights, :reach], total, out=taken[:, :reach])
    return Junctions(left, right, layer.after(outputs))


def _pool(x: Tensor, pool: int) -> Tensor:
    """Take maxima over runs of positions: ``(shifts, length, filters)`` ─► ``(shifts, length // pool, filters)``."""
    return x[:, : x.shape[1] // pool * pool].unflatten(1, (-1, pool)).amax(2) if pool > 1 else x


def scan(readout: Readout, inputs: Tensor, count: int) -> Tensor:
    """Read bins from the 3′ end and keep every state: ``(bins + 1, features)``, the last ones as at the start.

    Parameters
    ----------
    readout : Readout
    inputs : Tensor
        Projected bins ``(bins, inputs)``.
    count : int
        How many of them the sequence has.
    """
    state = readout.start(1)
    states = state.repeat(len(inputs) + 1, 1)
    for place in range(count - 1, -1, -1):
        readout.step(inputs[place : place + 1].clone(), state)
        states[place] = state[0]
    return states
