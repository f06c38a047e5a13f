"""Weights and configurations of strangers: whether they are of the model that is made, and that nothing of them is run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertModel

from rnalm.config import HuggingFace
from rnalm.models import masked, registry
from rnalm.models.pretrained import read_config

SPECIAL = {"unk": 0, "pad": 1, "cls": 2, "sep": 3, "mask": 4, "bos": 5, "eos": 6}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
QUERY = "encoder.layer.0.attention.self.query.weight"
FEED_FORWARD = "encoder.layer.1.intermediate.dense.weight"


def rewrite(folder: Path, change: Callable[[dict], dict]) -> None:
    """Change the weights in a model folder."""
    weights = change(load_file(folder / "model.safetensors"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def configure(folder: Path, **entries) -> None:
    """Add entries to the configuration in a model folder."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@pytest.fixture(params=[BertForMaskedLM, BertModel])
def bert(tmp_path, request) -> Path:
    """Write a pretrained model: with the head of a language model, or none and names without a prefix."""
    torch.manual_seed(1)
    request.param(BertConfig(**SIZES, vocab_size=11, pad_token_id=1)).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def classify(folder: Path, **settings):
    options = HuggingFace(name="hf", pretrained=str(folder), config=settings).model_dump()
    return registry.create(options, 11, 0, 1, SPECIAL)


def fill_in(folder: Path):
    return masked.create(HuggingFace(name="hf", pretrained=str(folder)).model_dump(), 11, SPECIAL)


def gated(weights: dict) -> dict:
    """Give the feed-forward part of one layer a gate, as GLU variants have."""
    return {name: weight.repeat(2, 1) if name.endswith(FEED_FORWARD) else weight for name, weight in weights.items()}


def fused(weights: dict) -> dict:
    """Rename a weight of attention, as code with one matrix for query, key and value does."""
    return {name.replace(QUERY, "encoder.layer.0.attention.self.Wqkv.weight"): weight for name, weight in weights.items()}


def test_a_body_whose_weights_are_missing_left_over_or_of_another_shape_is_refused(bert, refusal):
    rewrite(bert, lambda weights: gated(fused(weights)))
    for make in (classify, fill_in):
        message = refusal(make, bert)
        assert message.startswith(
            f"model.pretrained: {bert}: its weights are not those of a bert: of the body 1 is missing (bert."
        )
        assert f"(bert.{QUERY}), 1 is left over (" in message
        assert "encoder.layer.0.attention.self.Wqkv.weight), 1 is of another shape (" in message
        assert message.endswith(f"{FEED_FORWARD} (32, 16), expected (16, 16))")


def test_code_that_a_refused_model_brings_along_is_named(bert, refusal):
    rewrite(bert, gated)
    configure(bert, auto_map={"AutoConfig": "esm_config.EsmConfig", "AutoModel": "modeling_esm.EsmModel"})
    named = "it comes with code of its own (auto_map: esm_config.EsmConfig, modeling_esm.EsmModel), which is not run"
    assert refusal(classify, bert).endswith(f"; {named}")


def test_a_model_of_an_architecture_that_only_its_own_code_has_is_refused(bert, refusal):
    configure(bert, model_type="stranger", auto_map={"AutoConfig": "code.Config"})
    assert refusal(read_config, str(bert)) == (
        f"model.pretrained: {bert} is for code of its own (auto_map: code.Config), which is not run; "
        "expected an architecture of transformers"
    )


def test_a_body_that_fits_is_taken_with_a_warning_about_its_code_which_is_not_kept(bert, tmp_path, caplog):
    configure(bert, auto_map={"AutoModel": "code.Model"})
    model = classify(bert)
    assert "comes with code of its own (auto_map: code.Model), which is not run; its weights fit a bert" in caplog.text
    model.save_pretrained(tmp_path / "again")
    assert "auto_map" not in json.loads((tmp_path / "again" / "config.json").read_text())


def test_poolers_and_computed_buffers_may_be_missing_or_left_over(bert):
    def change(weights: dict) -> dict:
        kept = {name: weight for name, weight in weights.items() if "pooler" not in name}
        prefix = "bert." if any(name.startswith("bert.") for name in kept) else ""
        return kept | {f"{prefix}embeddings.position_ids": torch.arange(4), f"{prefix}pooler.other": torch.zeros(2)}

    rewrite(bert, change)
    classify(bert)


def test_kernels_and_quantization_that_a_config_asks_for_are_left_out(bert):
    configure(bert, _attn_implementation="stranger/kernel", quantization_config={"quant_method": "hqq"})
    config = read_config(str(bert))
    assert config._attn_implementation is None
    assert not hasattr(config, "quantization_config")
    assert classify(bert).config._attn_implementation in ("eager", "sdpa")


@pytest.mark.parametrize("kind", ["saluki", "hf"])
def test_a_trained_model_whose_weights_are_not_its_own_is_refused(kind, tmp_path, refusal):
    sizes = {"type": "bert", "config": SIZES, "pretrained": None} if kind == "hf" else {"filters": 4, "layers": 1}
    model = registry.create({"name": kind, **sizes}, 11, 0, 1, SPECIAL)
    model.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "labels.json"):
        (tmp_path / name).write_text("{}")
    registry.load(tmp_path)
    [first, *_] = model.state_dict()
    rewrite(tmp_path, lambda weights: {f"other.{name}" if name == first else name: weights[name] for name in weights})
    message = refusal(registry.load, tmp_path)
    assert message == (
        f"{tmp_path}: the weights are not those of the model in config.json: 1 is missing ({first}), "
        f"1 is left over (other.{first})"
    )


def test_code_beside_a_trained_model_is_not_run(tmp_path, refusal):
    registry.create({"name": "saluki", "filters": 4, "layers": 1}, 11, 0, 1, SPECIAL).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "labels.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: pass\n")
    configure(tmp_path, model_type="stranger", auto_map={"AutoConfig": "code.Config"})
    assert refusal(registry.load, tmp_path).startswith(f"{tmp_path}: the model cannot be loaded (")
    assert not (tmp_path / "ran").exists()
