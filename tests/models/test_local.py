import pytest
import torch
from torch import nn

from rnalm.models.local import Layer, Local, Pooled, Recurrent


@pytest.mark.parametrize("option", [{"stride": 2}, {"padding": 1}, {"padding": "same"}, {"groups": 2}], ids=str)
def test_a_convolution_that_cannot_be_scored_incrementally_is_refused(option):
    with pytest.raises(ValueError, match="expected a convolution with stride 1, one group and no padding, found Conv1d"):
        Layer(nn.Conv1d(4, 4, 3, **option))


def test_pooling_over_no_position_is_refused():
    with pytest.raises(ValueError, match="expected pooling over one position or more, found 0"):
        Layer(nn.Conv1d(4, 4, 3), pool=0)


@pytest.mark.parametrize(
    "gru", [nn.GRU(4, 4, num_layers=2), nn.GRU(4, 4, bidirectional=True), nn.GRU(4, 4, bias=False)], ids=str
)
def test_a_gru_that_cannot_be_walked_is_refused(gru):
    with pytest.raises(ValueError, match="expected a GRU of one layer and one direction, with biases, found GRU"):
        Recurrent(gru)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="expected mean, sum or max, found 'median'"):
        Pooled("median", 4, torch.zeros(1))


@torch.no_grad()
def test_steps_of_a_gru_are_those_of_torch():
    torch.manual_seed(0)
    gru = nn.GRU(3, 5, batch_first=True)
    x = torch.randn(4, 20, 3) * 3
    readout = Recurrent(gru)
    state = readout.start(4)
    for bins in readout.project(x).unbind(1):
        readout.step(bins.clone(), state)
    torch.testing.assert_close(state, gru(x)[1][0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "expected"), [("mean", [2.0, 3.0]), ("sum", [4.0, 6.0]), ("max", [3.0, 4.0])])
def test_steps_of_a_pooling_are_those_over_all_bins(kind, expected):
    readout = Pooled(kind, 2, torch.zeros(1))
    state = readout.start(1)
    for bins in ([1.0, 2.0], [3.0, 4.0]):
        readout.step(readout.project(torch.tensor([bins])), state)
    assert readout.finish(state, torch.tensor([2])).tolist() == [expected]


def test_bins_are_counted_through_all_layers_from_the_minimum_on():
    layers = (Layer(nn.Conv1d(4, 4, 3)), Layer(nn.Conv1d(4, 4, 3, dilation=2), pool=3))
    local = Local(lambda ids, modifiers: ids, layers, lambda x: x, Pooled("max", 4, torch.zeros(1)), lambda x: x, 9)
    assert [local.bins(length) for length in (1, 9, 11, 12, 30)] == [1, 1, 1, 2, 8]
