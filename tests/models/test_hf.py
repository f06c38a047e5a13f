import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModelForMaskedLM, DistilBertConfig, DistilBertForSequenceClassification

from rnalm.config import Columns, HuggingFace, Table
from rnalm.models import registry
from rnalm.models.framed import plain_class, put_frame
from rnalm.models.pretrained import check_pretrained, read_config
from rnalm.scoring.edits import Edits
from rnalm.scoring.scorers.choose import choose
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.tokens import learn
from rnalm.tokens.dataset import Encoded

SPECIAL = {"unk": 0, "pad": 1, "cls": 2, "sep": 3, "mask": 4, "bos": 5, "eos": 6}
DISTILBERT = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16, "max_position_embeddings": 64}
WIDE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


def section(kind: str | None = "distilbert", pretrained: str | Path | None = None, **config) -> dict:
    """Give the section of the configuration, as a rule gets it."""
    if kind == "distilbert":
        config = DISTILBERT | config
    pretrained = str(pretrained) if pretrained else None
    return HuggingFace(name="hf", type=kind, config=config, pretrained=pretrained).model_dump()


def create(options: dict, special: dict = SPECIAL, **extra):
    return registry.create(options, 11, 0, extra.pop("n_outputs", 1), special, **extra)


# What a configuration can say.


def test_a_new_model_is_as_large_as_its_config_says_and_knows_its_tokens():
    model = create(section())
    assert isinstance(model, DistilBertForSequenceClassification)
    config = model.config
    assert (config.dim, config.vocab_size, config.num_labels, config.problem_type) == (16, 11, 1, "regression")
    ids = (config.pad_token_id, config.cls_token_id, config.sep_token_id, config.bos_token_id, config.eos_token_id)
    assert ids == (1, 2, 3, 5, 6)


def test_a_name_that_transformers_has_for_all_architectures_is_understood():
    assert create(section("gpt2", hidden_size=8, num_hidden_layers=1, n_head=2)).config.n_embd == 8
    model = create(section("modernbert", **WIDE, intermediate_size=8, global_attn_every_n_layers=1))
    assert model.config.layer_types == ["full_attention"] * 2


def test_random_weights_are_those_that_transformers_draws():
    # Asking the model about padding leaves weights and generator as they were.
    torch.manual_seed(5)
    model, after = create(section()), torch.rand(1)
    torch.manual_seed(5)
    theirs = DistilBertForSequenceClassification(DistilBertConfig(**DISTILBERT, vocab_size=11, num_labels=1, pad_token_id=1))
    assert torch.equal(after, torch.rand(1))
    for name, weight in theirs.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name])


def test_further_entries_and_classes_survive_saving_and_loading(tmp_path):
    extra = {"block_size": 40, "truncate": "left", "center_token": None, "output_mean": 2.5, "output_sd": 0.1}
    names = {"id2label": {0: "weak", 1: "strong", 2: "other"}, "label2id": {"weak": 0, "strong": 1, "other": 2}}
    create(section(), n_outputs=3, **extra, **names).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert {key: saved[key] for key in extra} == extra
    assert saved["id2label"] == {"0": "weak", "1": "strong", "2": "other"}
    assert (saved["architectures"], saved["modifier_channels"]) == (["DistilBertForSequenceClassification"], 0)
    assert saved["frame"] == {"start": [2], "end": [3], "padding_side": "right"}


SET_HERE = "it is set here, from tokenizer, task and labels; leave it out"


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        ("distillbert", {}, "type: 'distillbert' is no architecture of transformers that classifies sequences; did you mean"),
        ("whisper", {}, "type: 'whisper' is no architecture of transformers that classifies sequences"),
        ("gemma3", {}, "type: gemma3 is put together of text_config, vision_config; expected an architecture for sequences"),
        ("minimax", {}, "type: minimax has an entry block_size of its own, which is ours here; expected another type"),
        ("distilbert", {"n_layer": 2}, "config.n_layer: distilbert has no such entry; did you mean 'n_layers'?"),
        ("bert", {"hidden_sizes": 8}, "config.hidden_sizes: bert has no such entry; did you mean 'hidden_size'?"),
        ("distilbert", {"vocab_size": 9}, f"config.vocab_size: {SET_HERE}"),
        ("distilbert", {"pad_token_id": 0}, f"config.pad_token_id: {SET_HERE}"),
        ("distilbert", {"num_labels": 2}, f"config.num_labels: {SET_HERE}"),
        ("distilbert", {"block_size": 2}, f"config.block_size: {SET_HERE}"),
        ("distilbert", {"n_heads": 3}, "config: no distilbert can be made of it (config.n_heads 3 must divide config.dim 16"),
        ("distilbert", {"n_layers": "x"}, "config: no distilbert can be made of it (Validation error for field 'n_layers'"),
        ("distilbert", {"max_position_embeddings": 3}, "config.max_position_embeddings: too small; distilbert would take 1"),
        ("big_bird", {"attention_type": "block_sparse"}, "config.attention_type: 'block_sparse' makes predictions depend"),
    ],
)
def test_a_mistake_in_the_config_is_told_in_one_line(kind, config, message, refusal):
    assert refusal(create, section(kind, **config), block_size=100).startswith(f"model.{message}")


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("convbert", WIDE | {"intermediate_size": 16, "embedding_size": 16}),
        ("fnet", {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 16}),
        ("funnel", {"d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 16, "block_sizes": [2, 2]}),
        ("nystromformer", WIDE | {"intermediate_size": 16}),
        ("reformer", {"hidden_size": 32, "attention_head_size": 16, "axial_pos_embds": False, "feed_forward_size": 32}),
        ("yoso", WIDE | {"intermediate_size": 16}),
    ],
)
def test_an_architecture_whose_predictions_depend_on_padding_is_refused(kind, config, refusal):
    message = f"model: what a {kind} says of a sequence depends on its padding; expected one of which this is not so"
    assert refusal(create, section(kind, **config)).startswith(message)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there its kernel may be found")
def test_an_architecture_that_cannot_compute_here_is_refused(refusal):
    # Without a kernel for GPUs its attention gives zeros.
    message = "model: what a mra says of a sequence does not depend on it; expected one of which this is not so"
    assert refusal(create, section("mra", **WIDE, intermediate_size=16)).startswith(message)


def test_modifiers_are_refused(refusal):
    assert refusal(registry.create, section(), 11, 2, 1, SPECIAL) == (
        "model.name: hf has no modifiers, but tokens have 2 (source.modifier_sep); expected saluki, frames or performer"
    )


def test_encoder_and_decoder_need_an_end(refusal):
    sizes = {"d_model": 16, "num_layers": 1, "num_heads": 2, "d_kv": 8, "d_ff": 16}
    special = {role: SPECIAL[role] for role in ("unk", "pad", "mask", "cls")}
    message = refusal(create, section("t5", **sizes), special)
    assert message == "tokenizer.special_tokens: t5 needs [EOS] or [SEP], which are not there"
    config = create(section("t5", **sizes), special | {"sep": 3}).config
    assert (config.eos_token_id, config.decoder_start_token_id, config.frame["end"]) == (3, 3, [3])


# Pretrained models.


def learned(folder: Path, letters: str) -> Tokenizer:
    (folder / "table.tsv").write_text(f"id\tsequence\nall\t{letters}\n")
    return learn.learn(Table(path=str(folder / "table.tsv"), columns=Columns(id="id", sequence="sequence")))


@pytest.fixture
def language_model(tmp_path) -> Path:
    """Write the folder of a masked language model, as transformers does."""
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_config(DistilBertConfig(**DISTILBERT, vocab_size=11, pad_token_id=1))
    model.save_pretrained(tmp_path / "language")
    learned(tmp_path, "ACGT").save(str(tmp_path / "language" / "tokenizer.json"))
    return tmp_path / "language"


def test_the_body_is_pretrained_and_the_head_is_new(language_model, caplog):
    caplog.set_level("INFO")
    torch.manual_seed(2)
    model = create(section(None, language_model), n_outputs=3, block_size=40)
    theirs = load_file(language_model / "model.safetensors")
    body = {name: weight for name, weight in model.state_dict().items() if name.startswith("distilbert.")}
    assert body
    for name, weight in body.items():
        assert torch.equal(weight, theirs[name])
    assert model.classifier.out_features == 3
    assert model.classifier.weight.std() > 0
    assert "new are classifier.bias, classifier.weight, pre_classifier.bias, pre_classifier.weight" in caplog.text
    assert (model.config.block_size, model.config.frame["start"]) == (40, [2])


def test_a_model_that_was_fine_tuned_can_be_tuned_again_for_another_task(tmp_path):
    create(section(), output_mean=5.0, output_sd=2.0, block_size=30).save_pretrained(tmp_path)
    model = create(section(None, tmp_path), n_outputs=3, id2label={0: "a", 1: "b", 2: "c"}, label2id={"a": 0, "b": 1, "c": 2})
    config = model.config
    assert (config.output_mean, config.output_sd, config.num_labels) == (0, 1, 3)
    assert (config.problem_type, config.id2label[2]) == ("single_label_classification", "c")


def test_dropout_of_a_pretrained_model_can_be_set_and_its_shape_cannot(language_model, refusal):
    assert create(section(None, language_model, dropout=0.3)).config.dropout == 0.3
    for key, value in {"dim": 32, "n_layers": 3, "max_position_embeddings": 128}.items():
        message = refusal(create, section(None, language_model, **{key: value}))
        assert message == f"model.config.{key}: {value} does not fit the weights of {language_model}; leave it out"


def test_another_tokenizer_than_that_of_the_pretrained_model_is_refused(language_model, tmp_path, refusal):
    own, other = learned(tmp_path, "ACGT"), learned(tmp_path, "ACGU")
    check_pretrained(str(language_model), own)
    assert refusal(check_pretrained, str(language_model), other) == (
        f"model.pretrained: {language_model} has another tokenizer than this experiment: id 10 is 'T' there, 'U' here"
    )
    other.add_tokens(["N"])
    (language_model / "tokenizer.json").unlink()
    (language_model / "vocab.txt").write_text("\n".join(sorted(own.get_vocab(), reverse=True)))
    assert "has another tokenizer than this experiment: id 1 is" in refusal(check_pretrained, str(language_model), own)
    (language_model / "vocab.txt").unlink()
    message = refusal(check_pretrained, str(language_model), other)
    assert message == f"model.pretrained: {language_model} knows 11 tokens, the tokenizer of this experiment has 12"
    assert refusal(registry.create, section(None, language_model), 12, 0, 1, SPECIAL) == (
        f"model.pretrained: {language_model} knows 11 tokens, the tokenizer has 12"
    )


def test_a_folder_that_is_no_model_is_told_in_one_line(language_model, tmp_path, refusal, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refusal(read_config, str(tmp_path / "gone"))
    assert message.startswith(
        f"model.pretrained: {tmp_path / 'gone'}: no folder here, nor does the Hugging Face hub give it to us"
    )
    message = refusal(read_config, "nobody/nothing")
    assert message.startswith("model.pretrained: nobody/nothing: no folder here, nor does the Hugging Face hub give it to us (")
    (tmp_path / "empty").mkdir()
    assert refusal(read_config, str(tmp_path / "empty")).endswith("without its config; expected the file config.json in it")
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "distilbert"')
    assert "empty: its config.json cannot be read (" in refusal(read_config, str(tmp_path / "empty"))
    (language_model / "model.safetensors").unlink()
    assert f"{language_model}: its weights cannot be loaded (" in refusal(create, section(None, language_model))


def test_weights_of_something_else_are_refused(language_model, refusal):
    save_file({"other.weight": torch.zeros(2)}, language_model / "model.safetensors", metadata={"format": "pt"})
    message = refusal(create, section(None, language_model))
    own = "its weights are not those of a distilbert: of the body 36 are missing (distilbert."
    assert message.startswith(f"model.pretrained: {language_model}: {own}")


# Scores.


@pytest.mark.parametrize(
    "options", [section(), section("xlnet", d_model=16, n_layer=1, n_head=2, d_inner=16)], ids=["distilbert", "xlnet"]
)
def test_scores_are_those_of_passes_over_perturbed_sequences(options):
    torch.manual_seed(0)
    model = create(options, output_mean=1.0, output_sd=2.0).eval()
    scorer = choose(model)
    assert isinstance(scorer, NaiveScorer)
    for ids, token in product(([7, 8, 9, 10, 7], [9]), ([], [4], [8])):  # remove, mask, replace
        sequence = Encoded(0, "s", np.array(ids, dtype=np.int32), None, None, 1.0, None)
        places = range(len(ids))
        base, scores = scorer.score(sequence, Edits.of([[(at, at + 1, token)] for at in places], len(ids)))
        expected = []
        for perturbed in [ids, *([*ids[:at], *token, *ids[at + 1 :]] for at in places)]:
            row = torch.tensor([perturbed], dtype=torch.int64)
            framed, mask = put_frame(row, torch.ones_like(row), model.config)
            with torch.no_grad():
                standard = plain_class(model.config).forward(model, input_ids=framed, attention_mask=mask).logits
            expected.append((standard * 2 + 1)[0].numpy())
        np.testing.assert_allclose([base, *scores], expected, rtol=1e-5)
