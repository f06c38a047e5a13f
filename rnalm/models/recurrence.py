"""Gated linear recurrences (:mod:`rnalm.models.scan`) in one step of a GPU: Triton, of torch there, compiles it."""

# pyright: reportIndexIssue=false

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

#: Positions and channels that a program computes at a time.
POSITIONS, CHANNELS = 128, 16


@triton.jit
def _after(keep, new, next_keep, next_new):
    """Put two runs of positions together: what both keep of what came before, and the state after them."""
    return keep * next_keep, new * next_keep + next_new


@triton.jit(do_not_specialize=["length"])
def _states(
    keep, new, states, length, channels, BACKWARDS: tl.constexpr, POSITIONS: tl.constexpr, CHANNELS: tl.constexpr
):  # fmt: skip
    """Compute the states of some channels of a row, some positions at a time, each from the last state before them."""
    first_of_row = tl.program_id(0).to(tl.int64) * length * channels
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    step = tl.arange(0, POSITIONS)
    carried = tl.zeros([CHANNELS], tl.float32)
    for first in range(0, length, POSITIONS):
        number = first + step
        place = length - 1 - number if BACKWARDS else number
        inside = (number < length)[:, None] & (channel < channels)[None, :]
        at = first_of_row + place[:, None] * channels + channel[None, :]
        pair = tl.load(keep + at, mask=inside, other=1.0), tl.load(new + at, mask=inside, other=0.0)
        kept, found = tl.associative_scan(pair, 0, _after)
        found += kept * carried[None, :]
        tl.store(states + at, found, mask=inside)
        carried = tl.sum(tl.where((step == POSITIONS - 1)[:, None], found, 0.0), 0)


def states(keep: Tensor, new: Tensor, backwards: bool) -> Tensor:
    """Compute all states.

    Parameters
    ----------
    keep, new : Tensor
        float32 ``(rows, length, channels)``
    backwards : bool
        Whether each state follows from the next.

    Returns
    -------
    Tensor
        ``(rows, length, channels)``
    """
    rows, length, channels = new.shape
    out = torch.empty_like(new, memory_format=torch.contiguous_format)
    if out.numel():
        grid = (rows, triton.cdiv(channels, CHANNELS))
        _states[grid](keep.contiguous(), new.contiguous(), out, length, channels, backwards, POSITIONS, CHANNELS)
    return out


def try_out(device: torch.device) -> None:
    """Compute two states, to see whether Triton can compile anything here.

    Parameters
    ----------
    device : torch.device
        Where.
    """
    ones = torch.ones(1, 2, 1, device=device)
    states(ones, ones, False)
