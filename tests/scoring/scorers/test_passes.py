import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rnalm.models.local import Layer, Local, Pooled, Recurrent
from rnalm.scoring.scorers.passes import Passes, passes, scan


def local_of(dilation: int = 1, readout=None) -> Local:
    torch.manual_seed(0)
    layers = (
        Layer(nn.Conv1d(4, 3, 5, dilation=dilation, bias=False), pool=2),
        Layer(nn.Conv1d(3, 2, 3), before=torch.tanh, after=F.relu),
    )
    readout = readout or Pooled("sum", 2, torch.zeros(1))
    return Local(lambda ids, modifiers: ids, layers, lambda x: x, readout, lambda x: x, 8 * dilation + 6)


def passes_of(local: Local, x: torch.Tensor, shifts: list[int], lefts=(), rights=()) -> Passes:
    """Compute the passes over ``x`` (channels, length) under some shifts."""
    length = x.shape[1] + shifts[-1]
    rows = torch.stack([F.pad(x, (shift, length - x.shape[1] - shift)).T for shift in shifts])
    bins = np.array([local.bins(x.shape[1] + shift) for shift in shifts])
    return passes(local, rows, bins, np.array(lefts, dtype=np.int64), np.array(rights, dtype=np.int64))


@torch.no_grad()
@pytest.mark.parametrize("dilation", [1, 3])
def test_a_pass_is_that_of_the_shifted_sequence(dilation):
    local, x = local_of(dilation), torch.randn(4, 60)
    found = passes_of(local, x, [-2, 0, 3], [1], [0, 2])
    for number, shifted in enumerate([x[:, 2:], x, F.pad(x, (3, 0))]):
        for layer, junctions in zip(local.layers, found.junctions, strict=True):
            outputs = layer.after(layer.convolution(layer.before(shifted)))
            torch.testing.assert_close(junctions.outputs[number, : outputs.shape[1]].T, outputs)
            shifted = F.max_pool1d(outputs, layer.pool)
        own = local.readout.project(shifted.T)
        torch.testing.assert_close(found.inputs[number, : len(own)], own)


@torch.no_grad()
@pytest.mark.parametrize("dilation", [1, 3])
def test_both_sides_of_a_junction_sum_to_the_outputs(dilation):
    local, x = local_of(dilation), torch.randn(4, 60)
    found = passes_of(local, x, [0, 3], [0, 1], [0, 1])
    for layer, junctions in zip(local.layers, found.junctions, strict=True):
        bias = 0.0 if layer.convolution.bias is None else layer.convolution.bias
        reach = junctions.outputs.shape[1]
        for m in range(layer.kernel_size - 1):
            outputs = layer.after(junctions.left[:, m, :reach] + junctions.right[:, m, :reach] - bias)
            torch.testing.assert_close(outputs, junctions.outputs, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_only_the_tables_that_are_needed_are_made():
    found = passes_of(local_of(), torch.randn(4, 60), [-1, 0], [1], [0])
    assert [(len(j.left), len(j.right), len(j.outputs)) for j in found.junctions] == [(1, 1, 2)] * 2
    none = passes_of(local_of(), torch.randn(4, 60), [0])
    assert [(len(j.left), len(j.right)) for j in none.junctions] == [(0, 0)] * 2


@torch.no_grad()
@pytest.mark.parametrize("counts", [[4, 6, 7], [7, 2, 5]], ids=["ascending", "in no order"])
def test_states_are_those_after_the_bins_of_each_pass(counts):
    gru = nn.GRU(2, 3, batch_first=True)
    readout = Recurrent(gru)
    bins = torch.randn(3, 7, 2)
    states = scan(readout, readout.project(bins), np.array(counts))
    assert states.shape == (3, 8, 3)
    for shift, count in enumerate(counts):
        assert (states[shift, count:] == 0).all()
        for place in range(count):
            expected = gru(bins[shift : shift + 1, place:count].flip(1))[1][0, 0]
            torch.testing.assert_close(states[shift, place], expected, rtol=1e-5, atol=1e-6)
