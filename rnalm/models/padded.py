"""Convolutions with padding ─► convolutions without, which know of each position whether the sequence has it.

A padded convolution reads zeros beyond the ends of what it gets. After the first layer, these are not what zeros around the
sequence would have become; so of what stands around it, one more channel tells that it is outside, and before each convolution
it is set to 0. A chain of such layers is one of layers without padding, which are scored incrementally.
"""

import torch
from torch import Tensor, nn

from rnalm.models.local import Layer, Positionwise


def padding_of(convolution: nn.Conv1d) -> tuple[int, int]:
    """Say how many zeros a convolution puts left and right of what it gets.

    Parameters
    ----------
    convolution : torch.nn.Conv1d
        Any.

    Raises
    ------
    ValueError
        If it puts something else there.
    """
    if convolution.padding == "valid":
        return 0, 0
    if convolution.padding == "same":
        span = convolution.dilation[0] * (convolution.kernel_size[0] - 1)
        found = span // 2, span - span // 2
    else:
        found = int(convolution.padding[0]), int(convolution.padding[0])
    if any(found) and convolution.padding_mode != "zeros":
        raise ValueError(f"expected padding with zeros, found {convolution}")
    return found


def marked(x: Tensor) -> Tensor:
    """Add a channel to letters: 1 where there is one, 0 where there is padding.

    Parameters
    ----------
    x : Tensor
        ``(batch, channels, length)``, all 0 at padding and nowhere else.
    """
    return torch.cat([x, (x != 0).any(1, keepdim=True).to(x)], dim=1)


def without_padding(
    convolution: nn.Conv1d, before: Positionwise, after: Positionwise, pool: int, mean: bool, first: bool
) -> Layer:
    """Make a layer without padding of one with or without it, of which the last channel tells what is outside.

    Parameters
    ----------
    convolution, before, after, pool, mean
        As for :class:`rnalm.models.local.Layer`, for values without that channel.
    first : bool
        Whether it reads letters, from :func:`marked`. In all others, what is outside is more than 0.

    Raises
    ------
    ValueError
        If the padding is beyond the kernel, or between two of its taps.
    """
    left, right = padding_of(convolution)
    dilation, span = convolution.dilation[0], convolution.dilation[0] * (convolution.kernel_size[0] - 1)
    # An output is there where the inputs are that are as far from the ends of the kernel as these stand out.
    taps = [left, span - right]
    if left + right > span or any(tap % dilation for tap in taps):
        raise ValueError(f"expected padding within the kernel, found {convolution}")
    inputs, outputs = convolution.in_channels, convolution.out_channels
    weight, bias = convolution.weight, convolution.bias
    wider = nn.Conv1d(inputs + 1, outputs + 1, convolution.kernel_size[0], dilation=dilation).to(weight)
    with torch.no_grad():
        wider.weight.zero_()
        wider.bias.zero_()  # pyright: ignore[reportOptionalMemberAccess]
        wider.weight[:outputs, :inputs] = weight
        if bias is not None:
            wider.bias[:outputs] = bias  # pyright: ignore[reportOptionalSubscript]
        for tap in taps:
            wider.weight[outputs, inputs, tap // dilation] += 1

    def inner(x: Tensor) -> Tensor:
        outside = 1 - x[..., -1:] if first else x[..., -1:]
        return torch.cat([before(x[..., :-1]) * (outside == 0), outside], dim=-1)

    def outer(x: Tensor) -> Tensor:
        x[..., :-1] = after(x[..., :-1])
        return x

    return Layer(wider, inner, outer, pool, mean)


def bins_inside(last: Positionwise, outside: float) -> Positionwise:
    """Give bins without the channel that tells what is outside.

    Parameters
    ----------
    last : callable
        What is done with them before the readout.
    outside : float
        What all channels of bins are that are outside.
    """

    def given(bins: Tensor) -> Tensor:
        return torch.where(bins[..., -1:] == 0, last(bins[..., :-1]), outside)

    return given
