"""Models with outputs for tokens: each of them, and none for what stands around a sequence."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification

from rnalm.models import registry
from rnalm.tokens.batches import collate
from rnalm.tokens.dataset import Encoded

SMALL = {
    "frames": {"name": "frames", "width": 8, "layers": 2},
    "dilated": {"name": "dilated", "width": 8, "kernel_size": 5, "dilations": [1, 3]},
    "performer": {"name": "performer", "width": 8, "layers": 2, "heads": 2, "local_heads": 1, "head_size": 4, "window": 8},
}
HF = {
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16, "max_position_embeddings": 512},
    "modernbert": {
        **{"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16},
        **{"local_attention": 16},
    },
    "xlnet": {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16},
}
SPECIAL = {"unk": 0, "pad": 1, "cls": 2, "sep": 3, "mask": 4, "bos": 5, "eos": 6}


def model(name: str, outputs: int = 2, **extra):
    torch.manual_seed(0)
    options = SMALL.get(name) or {"name": "hf", "type": name, "config": HF[name], "pretrained": None}
    return registry.create(options, 11, 0, outputs, SPECIAL, per="token", **extra).eval()


def sequences(*lengths: int) -> list[Encoded]:
    draw = np.random.default_rng(0)
    return [Encoded(k, f"s{k}", draw.integers(7, 11, n), None, None, 1.0, None) for k, n in enumerate(lengths)]


@pytest.mark.parametrize("name", [*SMALL, *HF])
def test_each_token_is_predicted_the_same_alone_and_beside_others(name):
    network, some = model(name), sequences(1, 2, 5, 33, 70)
    with torch.inference_mode():
        together = network(**collate(some)).logits
        assert together.shape == (5, 70, 2)
        for row, one in zip(together, some, strict=True):
            [alone] = network(**collate([one])).logits
            torch.testing.assert_close(row[: len(one.input_ids)], alone, atol=1e-5, rtol=1e-4)
            assert alone.shape == (len(one.input_ids), 2)
    assert together[4].std(dim=0).min() > 1e-5, "tokens differ"


@pytest.mark.parametrize("name", [*SMALL, *HF])
def test_the_folder_loads_by_itself_and_gives_the_same(name, tmp_path):
    network, [one] = model(name, 3), sequences(9)
    network.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "labels.json").write_text("{}")
    ids = torch.from_numpy(one.input_ids)[None]
    with torch.inference_mode():
        expected = network(ids).logits
        torch.testing.assert_close(registry.load(tmp_path)(ids).logits, expected)
        theirs = AutoModelForTokenClassification.from_pretrained(tmp_path).eval()
        if name in SMALL:
            torch.testing.assert_close(theirs(ids).logits, expected)
        elif name != "xlnet":
            framed = torch.cat([torch.tensor([[2]]), ids, torch.tensor([[3]])], dim=1)
            torch.testing.assert_close(theirs(framed).logits[:, 1:-1], expected)


def test_numbers_are_in_units_of_the_training_targets():
    [one] = sequences(6)
    for name in ("frames", "distilbert"):
        plain, scaled = model(name, 1), model(name, 1, output_mean=5.0, output_sd=2.0)
        with torch.inference_mode():
            [first, second] = [network(**collate([one])).logits for network in (plain, scaled)]
        torch.testing.assert_close(second, first * 2 + 5)


def test_an_architecture_without_a_classifier_of_tokens_is_refused(refusal):
    options = {"name": "hf", "type": "reformer", "config": {}, "pretrained": None}
    message = refusal(registry.create, options, 11, 0, 2, SPECIAL, per="token")
    assert message.startswith("model.type: 'reformer' is no architecture of transformers that classifies tokens; ")


def test_a_model_of_which_tokens_depend_on_padding_is_refused(refusal):
    config = {
        **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
        **{"embedding_size": 16, "max_position_embeddings": 512},
    }
    options = {"name": "hf", "type": "convbert", "config": config, "pretrained": None}
    assert "a convbert says of a sequence depends on its padding" in refusal(
        registry.create, options, 11, 0, 2, SPECIAL, per="token"
    )
