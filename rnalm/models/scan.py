"""Gated linear recurrences, computed without a step a position."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

#: Positions that are gone through one by one, in all such stretches of a sequence at once.
STRETCH = 16


def scan(keep: Tensor, new: Tensor) -> Tensor:
    """Compute ``h[t] = keep[t] · h[t − 1] + new[t]`` from ``h[−1] = 0``, with gradients.

    Parameters
    ----------
    keep, new : Tensor
        float32 ``(rows, length, channels)``

    Returns
    -------
    Tensor
        All states, ``(rows, length, channels)``.

    Examples
    --------
    >>> ones = torch.ones(1, 4, 1)
    >>> scan(0.5 * ones, ones).flatten().tolist()
    [1.0, 1.5, 1.75, 1.875]
    """
    return _Scan.apply(keep, new)


class _Scan(torch.autograd.Function):
    """The recurrence, and its gradient, which is the same recurrence from the other end."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor) -> Tensor:
        """Compute all states."""
        states = _states(keep, new)
        ctx.save_for_backward(keep, states)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Pass on what states depend on: each state reaches the next by what that keeps of it."""
        keep, states = ctx.saved_tensors
        following = F.pad(keep[:, 1:], (0, 0, 0, 1))
        due = _states(following.flip(1), gradients[0].flip(1)).flip(1)
        return due * F.pad(states[:, :-1], (0, 0, 1, 0)), due


def _states(keep: Tensor, new: Tensor) -> Tensor:
    """Compute all states: within stretches side by side, then what each stretch takes over from those before it."""
    rows, length, channels = new.shape
    if length <= 1:
        return new.clone()
    fill = (0, 0, 0, -length % STRETCH)
    keep, states = (F.pad(x, fill).reshape(rows, -1, STRETCH, channels).clone() for x in (keep, new))
    for t in range(1, STRETCH):
        states[:, :, t].addcmul_(keep[:, :, t], states[:, :, t - 1])
        keep[:, :, t].mul_(keep[:, :, t - 1])  # what is left, so far, of what came before the stretch
    if states.shape[1] > 1:
        ends = _states(keep[:, :, -1], states[:, :, -1])
        states[:, 1:].addcmul_(keep[:, 1:], ends[:, :-1, None])
    return states.view(rows, -1, channels)[:, :length]
