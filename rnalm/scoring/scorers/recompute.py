"""Recompute windows, layer by layer: only changed positions are multiplied, the rest comes from the passes.

Windows of one width are computed together, ``(position, window, channel)``: so the rows that meet one tap of a kernel lie
side by side, and a convolution is one matrix product a tap, summed in place.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rnalm.models.local import Layer, Local
from rnalm.scoring.scorers import fused
from rnalm.scoring.scorers.passes import Junctions
from rnalm.scoring.scorers.windows import descents, through


class Sides(NamedTuple):
    """Which pass continues each window to the left and to the right.

    Attributes
    ----------
    left, right : Tensor
        Index in ``Junctions.left`` and ``Junctions.right`` ``(windows,)``.
    left_pass, right_pass : Tensor
        Index in ``Junctions.outputs`` ``(windows,)``.
    """

    left: Tensor
    right: Tensor
    left_pass: Tensor
    right_pass: Tensor


class Recomputer:
    """Computes the bins of windows.

    Parameters
    ----------
    local : Local
        The model, in parts.
    dtype : torch.dtype, optional
        In which to multiply; None: the model's own. In bfloat16 what each tap gives is rounded, before it is summed in float32.
    """

    def __init__(self, local: Local, dtype: torch.dtype | None = None) -> None:
        self.local = local
        self.layers = [_WindowLayer(layer, dtype) for layer in local.layers]
        descent = torch.tensor(descents(local.layers), device=local.layers[0].convolution.weight.device)
        self.back, self.pool = descent.T[:, :, None]  # (layers + 1, 1): where windows begin before each layer, and at last

    def __call__(self, rows: Tensor, start: Tensor, sides: Sides, junctions: list[Junctions]) -> Tensor:
        """Compute bins.

        Parameters
        ----------
        rows : Tensor
            Model input in the windows ``(width, windows, channels)``.
        start : Tensor
            Position of their first tokens ``(windows,)``.
        sides : Sides
            The passes to their left and right.
        junctions : list of Junctions
            What each layer needs of these passes.

        Returns
        -------
        Tensor
            ``(bins, windows, channels)``
        """
        starts = (start - self.back).div_(self.pool, rounding_mode="floor")
        for number, (layer, junction) in enumerate(zip(self.layers, junctions, strict=True)):
            rows = layer(rows, starts[number], starts[number + 1], sides, junction)
        return self.local.last(rows)


def window_rows(local: Local, width: int) -> int:
    """Count the positions of a window of tokens in the layer where it is widest.

    Parameters
    ----------
    local : Local
        The model, in parts.
    width : int
        Tokens in the window.
    """
    widest = max(1, width)
    for layer in local.layers:
        widest = max(widest, width + layer.span + 2 * (layer.pool - 1))
        _, width = through(0, width, layer)
    return widest


def window_bytes(local: Local, channels: int) -> int:
    """Say how much memory a position of a window needs, with all copies of it and of its model input, in bytes.

    Parameters
    ----------
    local : Local
        The model, in parts.
    channels : int
        Channels of the model input.
    """
    return 32 * max(channels, *(layer.convolution.out_channels for layer in local.layers))


class _WindowLayer:
    """A layer on windows."""

    def __init__(self, layer: Layer, dtype: torch.dtype | None) -> None:
        self.layer = layer
        weight = layer.convolution.weight
        self.kernels = weight.permute(2, 1, 0).to(dtype or weight.dtype).contiguous()  # (taps, channels, filters)
        self.bias = weight.new_zeros(len(weight)) if layer.convolution.bias is None else layer.convolution.bias
        # Outputs that read across a junction: how far left of it each stands, and how many of its taps do.
        self.distance = torch.arange(layer.span, 0, -1, device=weight.device)[:, None]
        self.left_taps = (self.distance + layer.dilation - 1) // layer.dilation

    def __call__(self, rows: Tensor, start: Tensor, after: Tensor, sides: Sides, junctions: Junctions) -> Tensor:
        """Take ``(width, windows, channels)`` through the layer; windows start at ``start`` before it, then at ``after``."""
        layer, (width, size, _) = self.layer, rows.shape
        _, bins = through(0, width, layer)
        if width and self.kernels.dtype == torch.float32 and (fast := fused.for_layer(layer, rows.device)):
            return fast.window_layer(layer, self.kernels, self.bias, layer.before(rows), start, bins, sides, junctions)
        margin = layer.pool - 1  # the first pool begins at most so far left of what changed
        changed = width + layer.span
        out = rows.new_empty(margin + bins * layer.pool if layer.pool > 1 else changed, size, len(self.bias))
        window = out[margin : margin + changed]
        self._fill(window, width, start, sides, junctions)
        self._multiply(window, layer.before(rows))
        activated = layer.after(window)
        if layer.pool == 1:
            return activated
        if activated is not window:
            window.copy_(activated)
        first = start - layer.span
        _copy(junctions.outputs, sides.left_pass, first - margin, out[:margin])
        _copy(junctions.outputs, sides.right_pass, start + width, out[margin + changed :])
        return self._pool(out, margin - (first - after * layer.pool), bins)

    def _fill(self, window: Tensor, width: int, start: Tensor, sides: Sides, junctions: Junctions) -> None:
        """Write what the taps on unchanged positions sum to, and the bias."""
        span = self.layer.span
        self._gather(junctions.left, sides.left, start, window[:span])
        if width >= span:
            window[span:width] = self.bias
            self._gather(junctions.right, sides.right, start + width, window[width:])
        else:  # some outputs read across both junctions; both tables have the bias, which counts once
            right = torch.empty_like(window[width:])
            self._gather(junctions.right, sides.right, start + width, right)
            window[width:span] += right[: span - width].sub_(self.bias)
            window[span:] = right[span - width :]

    def _gather(self, table: Tensor, row: Tensor, junction: Tensor, out: Tensor) -> None:
        """Gather the sums for the outputs that read across a junction ``(span, windows, filters)``."""
        _, kinds, length, filters = table.shape
        index = (junction - self.distance).clamp_(0, length - 1) + (row * kinds + (self.left_taps - 1)) * length
        torch.index_select(table.view(-1, filters), 0, index.view(-1), out=out.view(-1, filters))

    def _multiply(self, window: Tensor, rows: Tensor) -> None:
        """Add the taps on changed positions."""
        width, _, channels = rows.shape
        rows = rows.reshape(-1, channels).to(self.kernels.dtype)
        for tap, kernel in enumerate(self.kernels if width else ()):
            low = self.layer.span - tap * self.layer.dilation
            sums = window[low : low + width].view(-1, window.shape[2])
            if kernel.dtype == sums.dtype:
                sums.addmm_(rows, kernel)
            else:
                sums += rows @ kernel

    def _pool(self, out: Tensor, offset: Tensor, bins: int) -> Tensor:
        """Pool; each window's pools begin at its own offset ``(windows,)``: ``(bins, windows, filters)``."""
        _, size, filters = out.shape
        numbers = torch.arange(size, device=out.device)
        pools = torch.arange(bins, device=out.device)[:, None] * self.layer.pool
        index = ((pools + offset) * size + numbers).view(-1)
        pooled = out.view(-1, filters).index_select(0, index)
        for _ in range(1, self.layer.pool):
            index += size
            other = out.view(-1, filters).index_select(0, index)
            pooled = pooled.add_(other) if self.layer.mean else torch.maximum(pooled, other, out=pooled)
        pooled = pooled.div_(self.layer.pool) if self.layer.mean else pooled
        return pooled.view(bins, size, filters)


def _copy(table: Tensor, row: Tensor, first: Tensor, out: Tensor) -> None:
    """Copy runs of rows of a table ``(shifts, length, filters)`` into ``(run, windows, filters)``."""
    _, length, filters = table.shape
    index = (first + torch.arange(len(out), device=first.device)[:, None]).clamp_(0, length - 1) + row * length
    torch.index_select(table.view(-1, filters), 0, index.view(-1), out=out.view(-1, filters))
