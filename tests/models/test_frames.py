"""Frames: what each position sees, and what a prediction does not depend on."""

import numpy as np
import pytest
import torch

from rnalm.models import registry
from rnalm.models.frames import Scan
from rnalm.tokens.batches import collate
from rnalm.tokens.dataset import Encoded

SIZES = {"name": "frames", "width": 8, "layers": 2}


def model(modifiers: int = 0, outputs: int = 1, **options):
    torch.manual_seed(0)
    return registry.create(SIZES | options, 11, modifiers, outputs).eval()


def sequences(lengths: list[int], modifiers: int = 0) -> list[Encoded]:
    draw = np.random.default_rng(0)
    return [
        Encoded(
            k,
            f"s{k}",
            draw.integers(7, 11, n),
            draw.random((modifiers, n)).astype(np.float32) if modifiers else None,
            1.0,
            1.0,
            None,
        )
        for k, n in enumerate(lengths)
    ]


@pytest.mark.parametrize("modifiers", [0, 2])
def test_a_sequence_is_predicted_the_same_alone_and_beside_others(modifiers):
    network, all_of_them = model(modifiers), sequences([1, 2, 3, 4, 29, 30, 31, 500], modifiers)
    with torch.inference_mode():
        together = network(**collate(all_of_them, modifiers)).logits
        alone = torch.cat([network(**collate([one], modifiers)).logits for one in all_of_them])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert together.std() > 1e-3


def test_a_scan_meets_the_positions_of_its_own_frame_alone_however_far():
    torch.manual_seed(0)
    layer = Scan(4)
    x = torch.rand(1, 300, 4, requires_grad=True)
    layer(x, torch.ones(1, 300, 1))[0, 150].sum().backward()
    met = x.grad[0].abs().sum(1).nonzero()[:, 0]
    assert (met % 3 == 0).all()
    assert len(met) > 50


def test_special_tokens_are_zero_vectors():
    network = model()
    ids = torch.tensor([[7, 3, 8]])
    assert not network.letters(ids)[0, 1].any()
    assert network.letters(ids)[0, [0, 2]].any(dim=1).all()


def test_a_modifier_changes_what_is_predicted():
    network, [one] = model(modifiers=1), sequences([50], 1)
    inputs = collate([one], 1)
    with torch.inference_mode():
        changed = network(**inputs | {"modifiers": inputs["modifiers"] + 1}).logits
        assert (changed - network(**inputs).logits).abs() > 1e-4


def test_a_saved_model_is_the_same(tmp_path):
    network = model(outputs=3, context=5)
    network.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "labels.json").write_text("{}")
    inputs = collate(sequences([40, 7]))
    with torch.inference_mode():
        torch.testing.assert_close(registry.load(tmp_path)(**inputs).logits, network(**inputs).logits, atol=0, rtol=0)


def test_a_model_of_the_usual_size_is_small():
    assert 40_000 < registry.create({"name": "frames"}, 11, 0, 1).num_parameters() < 70_000


def test_a_sequence_without_a_token_is_predicted_the_same_alone_and_beside_others():
    """As when leave-one-out deletes the only token."""
    network, none, some = model(), sequences([0]), sequences([20])
    with torch.inference_mode():
        alone = network(**collate(none)).logits
        beside = network(**collate([*none, *some])).logits[:1]
    assert alone.isfinite().all()
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=1e-5)
