"""What the incremental scorer would do on a GPU in many small steps, of which each takes longer to start than to run.

Triton, which torch for CUDA brings, compiles them. Each computes what the operations of torch in the function that calls it
compute, in one step; products are multiplied as torch is told to, exactly or in TensorFloat-32.
"""

# pyright: reportIndexIssue=false

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from rnalm.models.local import Layer, MeanState, Recurrent

#: Rows that a program works on, and the warps that do it (the fastest of 32 to 128 rows on an H200).
BLOCK, WARPS = 64, 4

#: Warps that take a state over its bins, and between which the weights of a GRU are divided.
READING_WARPS = 4


def _precision() -> str:
    """Say how products are multiplied at the moment."""
    return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "ieee"


def _padded(channels: int) -> int:
    """Round channels up to what a product of a program can have."""
    return max(16, triton.next_power_of_2(channels))


# Numbers that differ from call to call are not specialized: for some, such as 1, Triton would compile a kernel of its own.
@triton.jit(do_not_specialize=["stride", "places"])
def _read(
    table, at, steps, state, total, kept, gates, new, bias, stride, places,
    HIDDEN: tl.constexpr, WIDTH: tl.constexpr, MEAN: tl.constexpr, KEEP: tl.constexpr,
):  # fmt: skip
    """Take one state over its bins, one after the other; the weights stay in registers, spread over the warps."""
    row = tl.program_id(0).to(tl.int64)
    left, place = tl.load(steps + row), tl.load(at + row)
    into, out = tl.arange(0, WIDTH), tl.arange(0, WIDTH)
    within = out < HIDDEN
    square = (into < HIDDEN)[:, None] & within[None, :]
    weight = into[:, None] * 2 * HIDDEN + out[None, :]
    to_reset = tl.load(gates + weight, mask=square, other=0.0)
    to_update = tl.load(gates + weight + HIDDEN, mask=square, other=0.0)
    to_new = tl.load(new + into[:, None] * HIDDEN + out[None, :], mask=square, other=0.0)
    offset = tl.load(bias + out, mask=within, other=0.0)
    h = tl.load(state + row * HIDDEN + out, mask=within, other=0.0)
    if MEAN:
        added = tl.load(total + row * HIDDEN + out, mask=within, other=0.0)
    for step in range(left):
        place -= stride
        x = table + place * 3 * HIDDEN + out
        before = h[:, None]
        reset = tl.sigmoid(tl.load(x, mask=within, other=0.0) + tl.sum(before * to_reset, 0))
        update = tl.sigmoid(tl.load(x + HIDDEN, mask=within, other=0.0) + tl.sum(before * to_update, 0))
        inner = tl.sum(before * to_new, 0) + offset
        fresh = 2.0 * tl.sigmoid(tl.load(x + 2 * HIDDEN, mask=within, other=0.0) + reset * inner) - 1.0
        h = fresh + update * (h - fresh)
        if MEAN:
            added += h.to(tl.float64)
        if KEEP:
            target = kept + (row * places + left - 1 - step) * (2 * HIDDEN if MEAN else HIDDEN) + out
            if MEAN:
                tl.store(target, h.to(tl.float64), mask=within)
                tl.store(target + HIDDEN, added, mask=within)
            else:
                tl.store(target, h, mask=within)
    tl.store(state + row * HIDDEN + out, h, mask=within)
    if MEAN:
        tl.store(total + row * HIDDEN + out, added, mask=within)


def read(
    readout: Recurrent, table: Tensor, at: Tensor, steps: Tensor, state: Tensor, stride: int = 1, kept: Tensor | None = None
) -> Tensor:
    """Read several bins into each of many states, as :meth:`rnalm.models.local.Readout.step` does it bin by bin.

    Parameters
    ----------
    readout : Recurrent
        Reads bins.
    table : Tensor
        Projected bins ``(places, inputs)``.
    at : Tensor
        Place after that of the first bin of each state, int64 ``(rows,)``.
    steps : Tensor
        How many bins each reads, int64 ``(rows,)``.
    state : Tensor
        Where each begins ``(rows, features)``; unchanged.
    stride : int
        How many places further down the next bin stands.
    kept : Tensor, optional
        ``(rows, places, features)``: the states after each step are written to places ``steps - 1``, …, 0.

    Returns
    -------
    Tensor
        The states after the last step ``(rows, features)``.
    """
    hidden, is_mean = readout.gru.hidden_size, isinstance(readout, MeanState)
    _, _, gates, new, bias = readout.weights
    # A mean has the sum of all states beside the state, in float64.
    now = (state[:, :hidden].float() if is_mean else state.clone()).contiguous()
    total = state[:, hidden:].contiguous() if is_mean else now
    _read[(len(state),)](
        *(table, at, steps, now, total, now if kept is None else kept, gates, new, bias, stride),
        1 if kept is None else kept.shape[1],
        *(hidden, _padded(hidden), is_mean, kept is not None),
        num_warps=READING_WARPS,
    )
    return torch.cat([now.double(), total], dim=1) if is_mean else now


@triton.jit(do_not_specialize=["rows"])
def _project(
    x, weight, bias, out, rows,
    CHANNELS: tl.constexpr, DEPTH: tl.constexpr, OUTPUTS: tl.constexpr, WIDTH: tl.constexpr,
    BLOCK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Multiply a block of rows by a block of columns."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    channel, column = tl.arange(0, DEPTH), tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    here, inside, within = (row < rows)[:, None], (channel < CHANNELS), (column < OUTPUTS)
    own = tl.load(x + row[:, None] * CHANNELS + channel[None, :], mask=here & inside[None, :], other=0.0)
    columns = weight + channel[:, None] * OUTPUTS + column[None, :]
    weights = tl.load(columns, mask=inside[:, None] & within[None, :], other=0.0)
    total = tl.dot(own, weights, input_precision=PRECISION) + tl.load(bias + column, mask=within, other=0.0)[None, :]
    tl.store(out + row[:, None] * OUTPUTS + column[None, :], total, mask=here & within[None, :])


def project(readout: Recurrent, bins: Tensor) -> Tensor:
    """Multiply bins with the input weights, each alike however many there are, as :meth:`Recurrent.project` does.

    Parameters
    ----------
    readout : Recurrent
        Has the weights.
    bins : Tensor
        ``(…, channels)``

    Returns
    -------
    Tensor
        ``(…, inputs)``
    """
    weight, bias, *_ = readout.weights
    (channels, outputs), hidden = weight.shape, readout.gru.hidden_size
    rows = bins.reshape(-1, channels)
    out = rows.new_empty(len(rows), outputs)
    width = _padded(hidden)
    if len(rows):
        _project[(triton.cdiv(len(rows), BLOCK), triton.cdiv(outputs, width))](
            *(rows.contiguous(), weight, bias, out, len(rows), channels, _padded(channels), outputs, width),
            *(BLOCK, _precision()),
            num_warps=WARPS,
        )
    return out.unflatten(0, bins.shape[:-1])


@triton.jit
def _tap(
    x, kernels, place, tap, exists,
    CHANNELS: tl.constexpr, DEPTH: tl.constexpr, FILTERS: tl.constexpr, WIDTH: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Multiply what stands at some places by a tap of a kernel."""
    channel, column = tl.arange(0, DEPTH), tl.arange(0, WIDTH)
    source = x + place[:, None] * CHANNELS + channel[None, :]
    rows = tl.load(source, mask=exists[:, None] & (channel < CHANNELS)[None, :], other=0.0)
    weight = kernels + (tap * CHANNELS + channel)[:, None] * FILTERS + column[None, :]
    weights = tl.load(weight, mask=(channel < CHANNELS)[:, None] & (column < FILTERS)[None, :], other=0.0)
    return tl.dot(rows, weights, input_precision=PRECISION)


@triton.jit(do_not_specialize=["length"])
def _sums(
    x, kernels, bias, left, right, outputs, length,
    CHANNELS: tl.constexpr, DEPTH: tl.constexpr, FILTERS: tl.constexpr, WIDTH: tl.constexpr,
    TAPS: tl.constexpr, DILATION: tl.constexpr, BLOCK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Sum what taps give from the first one on, and from the last one back."""
    shift = tl.program_id(1).to(tl.int64)
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    column = tl.arange(0, WIDTH)
    there = (place < length)[:, None] & (column < FILTERS)[None, :]
    reach = length - (TAPS - 1) * DILATION
    offset = tl.load(bias + column, mask=column < FILTERS, other=0.0)[None, :]
    own = x + shift * length * CHANNELS
    cell = place[:, None] * FILTERS + column[None, :]
    table = shift * (TAPS - 1) * length * FILTERS + cell
    total = tl.zeros((BLOCK, WIDTH), tl.float32) + offset
    for tap in range(TAPS):
        read = place + tap * DILATION
        exists = read < length
        total += _tap(own, kernels, read, tap, exists, CHANNELS, DEPTH, FILTERS, WIDTH, PRECISION)
        # A table ends where its last tap does.
        stored = there & (tap < TAPS - 1)
        tl.store(left + table + tap * length * FILTERS, tl.where(exists[:, None], total, 0.0), mask=stored)
    tl.store(outputs + shift * reach * FILTERS + cell, total, mask=there & (place < reach)[:, None])
    total = tl.zeros((BLOCK, WIDTH), tl.float32) + offset
    for number in range(TAPS - 1):
        tap = TAPS - 1 - number
        total += _tap(
            own, kernels, place + tap * DILATION, tap, place < reach, CHANNELS, DEPTH, FILTERS, WIDTH, PRECISION
        )  # fmt: skip
        target = right + table + (tap - 1) * length * FILTERS
        tl.store(target, tl.where((place < reach)[:, None], total, 0.0), mask=there)


def sums(layer: Layer, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum the products of a layer's taps: the tables of its junctions, and its outputs (see ``passes.Junctions``).

    Parameters
    ----------
    layer : Layer
        With a kernel of more than one tap.
    x : Tensor
        What the convolution reads ``(shifts, length, channels)``.
    bias : Tensor
        ``(filters,)``

    Returns
    -------
    left, right : Tensor
        ``(shifts, taps - 1, length, filters)``, of all shifts.
    outputs : Tensor
        ``(shifts, length - span, filters)``
    """
    (shifts, length, channels), taps, filters = x.shape, layer.kernel_size, len(bias)
    left, right = (x.new_empty(shifts, taps - 1, length, filters) for _ in range(2))
    outputs = x.new_empty(shifts, length - layer.span, filters)
    kernels = layer.convolution.weight.permute(2, 1, 0).contiguous()  # (taps, channels, filters)
    _sums[(triton.cdiv(length, BLOCK), shifts)](
        *(x.contiguous(), kernels, bias, left, right, outputs, length, channels, _padded(channels)),
        *(filters, _padded(filters), taps, layer.dilation, BLOCK, _precision()),
        num_warps=WARPS,
    )
    return left, right, outputs


def try_out(device: torch.device) -> None:
    """Compile a kernel and run it; what goes wrong with the others goes wrong with this one.

    Parameters
    ----------
    device : torch.device
        On which to run it.
    """
    convolution = torch.nn.Conv1d(1, 1, 2, device=device)
    with torch.no_grad():
        sums(Layer(convolution), torch.zeros(1, 2, 1, device=device), torch.zeros(1, device=device))


# What is said of each window is read item by item, and need not begin at a multiple of 16 bytes.
@triton.jit(
    do_not_specialize=["windows", "length", "outputs"],
    do_not_specialize_on_alignment=["start", "left_row", "right_row", "left_pass", "right_pass"],
)
def _window(
    rows, start, left_row, right_row, left_pass, right_pass, left, right, unchanged, kernels, bias, out,
    windows, length, outputs,
    SIZE: tl.constexpr, CHANNELS: tl.constexpr, DEPTH: tl.constexpr, FILTERS: tl.constexpr, WIDTH: tl.constexpr,
    TAPS: tl.constexpr, DILATION: tl.constexpr, POOL: tl.constexpr, BLOCK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Compute one bin of a block of windows."""
    SPAN: tl.constexpr = (TAPS - 1) * DILATION
    CHANGED: tl.constexpr = SIZE + SPAN
    number = tl.program_id(1)
    window = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    own = window < windows
    column = tl.arange(0, WIDTH)
    here = own[:, None] & (column < FILTERS)[None, :]
    first = tl.load(start + window, mask=own, other=0) - SPAN
    # Pools begin at multiples of their size; of negative numbers, too, the remainder is to be positive.
    shift = ((first % POOL) + POOL) % POOL
    sides = tl.load(left_row + window, mask=own, other=0), tl.load(right_row + window, mask=own, other=0)
    passes = tl.load(left_pass + window, mask=own, other=0), tl.load(right_pass + window, mask=own, other=0)
    offset = tl.load(bias + column, mask=column < FILTERS, other=0.0)[None, :]
    best = tl.full((BLOCK, WIDTH), float("-inf"), tl.float32)
    for member in tl.static_range(POOL):
        j = number * POOL + member - shift  # which of the outputs that change, from the first one on
        changes = (j >= 0) & (j < CHANGED)
        place = first + j
        inside = tl.minimum(tl.maximum(place, 0), length - 1)
        # Taps on unchanged positions to the left of the window, and to the right of it.
        reads_left, reads_right = changes & (j < SPAN), changes & (j >= SIZE)
        taps_left = (SPAN - j + DILATION - 1) // DILATION
        taps_right = (SPAN - (j - SIZE) + DILATION - 1) // DILATION
        row_left = (sides[0] * (TAPS - 1) + tl.where(reads_left, taps_left - 1, 0)) * length + inside
        row_right = (sides[1] * (TAPS - 1) + tl.where(reads_right, taps_right - 1, 0)) * length + inside
        at_left = reads_left[:, None] & here
        at_right = reads_right[:, None] & here
        total = tl.load(left + row_left[:, None] * FILTERS + column[None, :], mask=at_left, other=0.0)
        total += tl.load(right + row_right[:, None] * FILTERS + column[None, :], mask=at_right, other=0.0)
        # Both tables have the bias, and it counts once.
        total += (1 - reads_left.to(tl.float32) - reads_right.to(tl.float32))[:, None] * offset
        for tap in range(TAPS):
            i = j - SPAN + tap * DILATION
            reads = changes & (i >= 0) & (i < SIZE) & own
            if tl.max(reads.to(tl.int32), 0) > 0:
                row = i * windows + window
                total += _tap(rows, kernels, row, tap, reads, CHANNELS, DEPTH, FILTERS, WIDTH, PRECISION)
        if POOL > 1:
            # Beside what changes, a pool holds outputs of the passes.
            near = tl.minimum(tl.maximum(place, 0), outputs - 1)
            which = tl.where(j < 0, passes[0], passes[1]) * outputs + near
            beside = (j < 0) | (j >= CHANGED)
            other = tl.load(unchanged + which[:, None] * FILTERS + column[None, :], mask=beside[:, None] & here, other=0.0)
            total = tl.where(beside[:, None], other, total)
        best = tl.maximum(best, total)
    tl.store(out + (number * windows + window)[:, None] * FILTERS + column[None, :], best, mask=here)


def window_layer(
    layer: Layer, kernels: Tensor, bias: Tensor, rows: Tensor, start: Tensor, bins: int, sides: Any, junctions: Any
) -> Tensor:
    """Compute the bins of windows, as ``recompute`` does it.

    Parameters
    ----------
    layer : Layer
        With nothing to do after its convolution.
    kernels : Tensor
        ``(taps, channels, filters)``
    bias : Tensor
        ``(filters,)``
    rows : Tensor
        What the convolution reads ``(width, windows, channels)``.
    start : Tensor
        First position of each window ``(windows,)``.
    bins : int
        Bins of a window.
    sides : Sides
        The passes to their left and right.
    junctions : Junctions
        What the layer needs of these passes.

    Returns
    -------
    Tensor
        ``(bins, windows, filters)``
    """
    (width, windows, channels), filters = rows.shape, len(bias)
    out = rows.new_empty(bins, windows, filters)
    grid = (triton.cdiv(windows, BLOCK), bins)
    _window[grid](
        *(rows.contiguous(), start, *sides, junctions.left, junctions.right, junctions.outputs, kernels, bias, out),
        *(windows, junctions.left.shape[2], junctions.outputs.shape[1], width, channels, _padded(channels)),
        *(filters, _padded(filters), layer.kernel_size, layer.dilation, layer.pool, BLOCK, _precision()),
        num_warps=WARPS,
    )
    return out
