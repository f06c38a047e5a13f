"""Dilated convolutions: how far a position sees, and the parts by which it is scored."""

import pytest
import torch
from torch import nn

from rnalm.models import registry
from rnalm.models.cone import Block


def model(**options):
    torch.manual_seed(0)
    sizes = {"name": "dilated", "width": 8, "kernel_size": 5, "dilations": [1, 3]}
    return registry.create(sizes | options, 11, 0, 2, per="token").eval()


@pytest.mark.parametrize(("dilations", "reach"), [([1], 2), ([1, 3], 8), ([2, 1, 4], 14)])
def test_a_position_sees_as_far_as_the_convolutions_reach_and_no_further(dilations, reach):
    network = model(dilations=dilations)
    ids = torch.randint(7, 11, (1, 60), generator=torch.manual_seed(0))
    with torch.inference_mode():
        before = network(ids).logits[0]
        ids[0, 30] = 7 + (ids[0, 30] - 6) % 4
        changed = (network(ids).logits[0] != before).any(dim=1).nonzero()[:, 0].tolist()
    assert network.reach == network.cone().reach == reach
    assert (changed[0], changed[-1]) == (30 - reach, 30 + reach)


def test_the_usual_reach_is_a_hundred_tokens():
    network = registry.create({"name": "dilated"}, 11, 0, 1)
    assert network.reach == 100
    assert network.num_parameters() < 250_000


def test_the_parts_together_are_the_model():
    network, ids = model(), torch.randint(7, 11, (1, 40))
    cone = network.cone()
    with torch.inference_mode():
        x = cone.inputs(ids, None)
        for block in cone.blocks:
            x = x + block.after(block.convolution(block.before(x).transpose(1, 2)).transpose(1, 2))
        torch.testing.assert_close(cone.head(x), network(ids).logits)


@pytest.mark.parametrize("options", [{"padding": 0}, {"kernel_size": 4, "padding": 2}, {"stride": 2}, {"groups": 2}])
def test_a_convolution_that_does_not_stand_in_the_middle_is_refused(options):
    with pytest.raises(
        ValueError, match="expected a convolution of odd width that keeps the length, in one group, found Conv1d"
    ):
        Block(nn.Conv1d(4, 4, **{"kernel_size": 5, "padding": 2} | options), abs, abs)
