"""A Performer: linear attention against the sum that it stands for, padding, features that are stored, memory in training."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rnalm.models import registry
from rnalm.models.attention import EPSILON, draw_projection, linear_attention, local_attention, turn, waves
from rnalm.tokens.batches import collate
from rnalm.tokens.dataset import Encoded

SIZES = {
    "name": "performer",
    "width": 12,
    "layers": 2,
    "heads": 3,
    "local_heads": 1,
    "head_size": 4,
    "features": 8,
    "window": 8,
}


def model(modifiers: int = 0, outputs: int = 1, **options):
    torch.manual_seed(0)
    return registry.create(SIZES | options, 11, modifiers, outputs).eval()


def sequences(*lengths: int) -> list[Encoded]:
    draw = np.random.default_rng(0)
    return [Encoded(k, f"s{k}", draw.integers(7, 11, n), None, 1.0, 1.0, None) for k, n in enumerate(lengths)]


def heads(length: int = 20, size: int = 4, scale: float = 1.0) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [scale * torch.randn(2, 3, length, size) for _ in range(3)]


def test_linear_attention_is_the_sum_over_all_pairs():
    query, key, value = heads()
    own, projection = torch.ones(2, 20), draw_projection(8, 4, seed=1)
    own[1, 15:] = 0
    q, k = (F.relu(4**-0.25 * x @ projection.T) + EPSILON["relu"] for x in (query, key))
    weights = (q @ k.transpose(2, 3)) * own[:, None, None]
    expected = (weights / weights.sum(3, keepdim=True)) @ value
    torch.testing.assert_close(linear_attention(query, key, value, own, projection, "relu"), expected)


def test_many_features_come_near_to_softmax():
    query, key, value = heads(scale=0.5)
    expected = F.scaled_dot_product_attention(query, key, value)
    found = linear_attention(query, key, value, torch.ones(2, 20), draw_projection(4096, 4, seed=1), "softmax")
    assert (found - expected).abs().max() < 0.1 * expected.abs().max()


@pytest.mark.parametrize("length", [1, 7, 8, 9, 40])
def test_local_attention_sees_its_window_and_those_beside_it(length):
    query, key, value = heads(length)
    window = 8
    number = torch.arange(length) // window
    seen = (number[:, None] - number).abs() <= 1
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
    torch.testing.assert_close(local_attention(query, key, value, torch.ones(2, length), window), expected)


@pytest.mark.parametrize(
    "options", [{}, {"kernel": "softmax"}, {"norm": "scale", "glu": False}, {"local_heads": 3}, {"local_heads": 0}]
)
def test_a_sequence_is_predicted_the_same_alone_and_beside_others(options):
    network, some = model(**options), sequences(1, 3, 8, 9, 30, 200)
    with torch.inference_mode():
        together = network(**collate(some)).logits
        alone = torch.cat([network(**collate([one])).logits for one in some])
        far = network(**collate([*some, *sequences(2000)])).logits[: len(some)]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(far, alone, atol=1e-5, rtol=1e-5)
    assert together.std() > 1e-4


def test_products_of_turned_states_depend_on_how_far_they_are_apart():
    angles = waves(50, 4, torch.device("cpu"))
    a, b = (turn(torch.randn(4).expand(50, 4), angles) for _ in range(2))
    torch.testing.assert_close(a[10] @ b[13], a[30] @ b[33])


def test_features_are_stored_and_drawn_again_in_training_alone(tmp_path):
    network, inputs = model(redraw=2), collate(sequences(30, 12))
    first = network.layers[0].layer.projection.clone()
    network(**inputs)
    assert torch.equal(network.layers[0].layer.projection, first)
    network.train()
    for _ in range(3):
        network(**inputs)
    second = network.layers[0].layer.projection.clone()
    assert not torch.equal(second, first)
    assert not torch.equal(second, network.layers[2].layer.projection), "each layer has its own"
    network.eval().save_pretrained(tmp_path)
    for name in ("tokenizer.json", "labels.json"):
        (tmp_path / name).write_text("{}")
    again = registry.load(tmp_path)
    assert torch.equal(again.layers[0].layer.projection, second)
    with torch.inference_mode():
        torch.testing.assert_close(again(**inputs).logits, network(**inputs).logits, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("norm", ["layer", "scale", "rezero"])
def test_recomputed_layers_have_the_gradients_of_kept_ones(norm):
    found = []
    for recompute in (True, False):
        network = model(norm=norm, recompute=recompute, dropout=0.0).train()
        network(**collate(sequences(30, 12))).logits.sum().backward()
        found.append({name: each.grad for name, each in network.named_parameters() if each.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert len(found[0]) > 20
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name])


def test_a_modifier_changes_what_is_predicted():
    [one] = sequences(20)
    network, inputs = model(modifiers=1), collate([one], 1)
    with torch.inference_mode():
        assert (network(**inputs | {"modifiers": inputs["modifiers"] + 1}).logits - network(**inputs).logits).abs() > 1e-5


def test_a_sequence_without_a_token_is_predicted_the_same_alone_and_beside_others():
    """As when leave-one-out deletes the only token."""
    network, none, some = model(), sequences(0), sequences(20)
    with torch.inference_mode():
        alone = network(**collate(none)).logits
        beside = network(**collate([*none, *some])).logits[:1]
    assert alone.isfinite().all()
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=1e-5)
