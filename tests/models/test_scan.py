"""Recurrences without a step a position are those with one, and so are their gradients."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnalm.models.scan import STRETCH, scan


def one_by_one(keep: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Compute the states of the recurrence, position by position."""
    states = [0 * keep[:, 0] + new[:, 0]]
    for t in range(1, new.shape[1]):
        states.append(keep[:, t] * states[-1] + new[:, t])
    return torch.stack(states, dim=1)


@given(st.integers(1, 3), st.integers(1, 2 * STRETCH**2 + 3), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_states_and_gradients_are_those_of_the_recurrence(rows, length, channels, backwards, seed):
    torch.manual_seed(seed)
    keep, new, weight = (torch.rand(rows, length, channels, dtype=torch.float64) for _ in range(3))
    found = []
    for function in (partial(scan, backwards=backwards), one_by_one):
        arguments = keep.clone().requires_grad_(), new.clone().requires_grad_()
        turned = backwards and function is one_by_one
        states = function(*(x.flip(1) for x in arguments)).flip(1) if turned else function(*arguments)
        (states * weight).sum().backward()
        found.append([states.detach(), *(argument.grad for argument in arguments)])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("keep", [0.0, 1.0])
def test_ends_of_what_gates_can_keep(keep):
    ones = torch.ones(1, 1000, 1)
    expected = torch.arange(1.0, 1001) if keep else torch.ones(1000)
    torch.testing.assert_close(scan(keep * ones, ones)[0, :, 0], expected)


@pytest.mark.gpu
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("shape", [(2, 1, 3), (3, 700, 20), (1, 25_000, 32)])
def test_a_gpu_computes_the_same(device, shape, backwards):
    torch.manual_seed(0)
    keep, new, weight = (torch.rand(*shape) for _ in range(3))
    found = []
    for where, dtype in ((device, torch.float32), (torch.device("cpu"), torch.float64)):
        arguments = [x.to(where, dtype, copy=True).requires_grad_() for x in (keep, new)]
        states = scan(*arguments, backwards)
        (states * weight.to(where, dtype)).sum().backward()
        found.append([x.detach().cpu().double() for x in (states, *(argument.grad for argument in arguments))])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-5)
