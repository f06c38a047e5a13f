"""Gated linear recurrences, computed without a step a position."""

from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rnalm.models.compiled import kernels

#: Positions that are gone through one by one, in all such stretches of a sequence at once.
STRETCH = 16


def scan(keep: Tensor, new: Tensor, backwards: bool = False) -> Tensor:
    """Compute ``h[t] = keep[t] · h[t − 1] + new[t]`` from ``h[−1] = 0``, with gradients; or the same from the other end.

    Parameters
    ----------
    keep, new : Tensor
        float32 ``(rows, length, channels)``
    backwards : bool
        Whether each state follows from the next, ``h[t + 1]``, and the last from 0.

    Returns
    -------
    Tensor
        All states, ``(rows, length, channels)``.

    Examples
    --------
    >>> ones = torch.ones(1, 4, 1)
    >>> scan(0.5 * ones, ones).flatten().tolist()
    [1.0, 1.5, 1.75, 1.875]
    >>> scan(0.5 * ones, ones, backwards=True).flatten().tolist()
    [1.875, 1.75, 1.5, 1.0]
    """
    return _Scan.apply(keep, new, backwards)


class _Scan(torch.autograd.Function):
    """The recurrence, and its gradient, which is the same recurrence from the other end."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor, backwards: bool) -> Tensor:
        """Compute all states."""
        states = _states(keep, new, backwards)
        ctx.save_for_backward(keep, states)
        ctx.backwards = backwards
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        """Pass on what states depend on: each state reaches the next by what that keeps of it."""
        keep, states = ctx.saved_tensors
        due = _states(_moved(keep, not ctx.backwards), gradients[0], not ctx.backwards)
        return due * _moved(states, ctx.backwards), due, None


def _kernels() -> ModuleType:
    """Import what computes all states in one step of a GPU."""
    from rnalm.models import recurrence

    return recurrence


def _moved(x: Tensor, left: bool) -> Tensor:
    """Move all by one position; 0 moves in."""
    return F.pad(x[:, 1:], (0, 0, 0, 1)) if left else F.pad(x[:, :-1], (0, 0, 1, 0))


def _states(keep: Tensor, new: Tensor, backwards: bool) -> Tensor:
    """Compute all states: within stretches side by side, then what each stretch takes over from those before it."""
    if new.dtype == torch.float32 and (fast := kernels(_kernels, new.device)):
        return fast.states(keep, new, backwards)
    rows, length, channels = new.shape
    if length <= 1:
        return new.clone()
    missing = -length % STRETCH
    fill = (0, 0, missing, 0) if backwards else (0, 0, 0, missing)
    keep, states = (F.pad(x, fill).view(rows, -1, STRETCH, channels) for x in (keep, new))  # copies, to work in
    first, last, step = (STRETCH - 1, 0, -1) if backwards else (0, STRETCH - 1, 1)
    for t in range(first + step, last + step, step):
        states[:, :, t].addcmul_(keep[:, :, t], states[:, :, t - step])
        keep[:, :, t].mul_(keep[:, :, t - step])  # what is left, so far, of what came before the stretch
    if states.shape[1] > 1:
        ends = _states(keep[:, :, last], states[:, :, last], backwards)
        if backwards:
            states[:, :-1].addcmul_(keep[:, :-1], ends[:, 1:, None])
        else:
            states[:, 1:].addcmul_(keep[:, 1:], ends[:, :-1, None])
    states = states.view(rows, -1, channels)
    return states[:, missing:] if backwards else states[:, :length]
