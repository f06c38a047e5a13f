import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from interruption import killed_before, results
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForMaskedLM, AutoTokenizer

from rnalm.config import Folds, Pretrain, Table
from rnalm.config import Tokenizer as Options
from rnalm.labels import folds
from rnalm.models import masked, registry
from rnalm.tokens import encode, learn
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenizer import load_tokenizer, save_tokenizer, special_ids
from rnalm.training import pretrain
from rnalm.training.masking import MaskedSet, Masking

SMALL = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 64}
MODEL = {"name": "hf", "type": "distilbert", "config": SMALL, "pretrained": None}
#: Knows how far tokens are from each other, and so learns in seconds what follows from a neighbour.
ROTARY = {
    **{"hidden_size": 32, "embedding_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32},
    **{"max_position_embeddings": 64, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
}
SPECIAL = {"unk": 0, "pad": 1, "cls": 2, "sep": 3, "mask": 4, "bos": 5, "eos": 6}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Encode sequences in which each letter follows from the one before it."""
    folder = tmp_path_factory.mktemp("pretrain")
    draw = np.random.default_rng(0)
    rows = [("ACGT" * 20)[a : a + n] for a, n in zip(draw.integers(0, 4, 60), draw.integers(8, 40, 60), strict=True)]
    (folder / "table.tsv").write_text("id\tsequence\n" + "".join(f"s{i}\t{row}\n" for i, row in enumerate(rows)))
    source = Table(path=str(folder / "table.tsv"), columns={"id": 1, "sequence": 2})
    save_tokenizer(learn.learn(source), folder / "tokenizer.json")
    encode.encode(source, load_tokenizer(folder / "tokenizer.json"), folder / "encoded.parquet")
    return folder


def job(files, output, model=None, **options) -> pretrain.Job:
    section = Pretrain(**{"epochs": 2, "batch_size": 8, "learning_rate": 0.01, "validation": 20, "gpus": 0} | options)
    options = section.model_dump(mode="json", exclude={"source"})
    encoded, tokenizer = str(files / "encoded.parquet"), str(files / "tokenizer.json")
    places = {"encoded": encoded, "tokenizer": tokenizer, "output": str(output)}
    return pretrain.Job(**places, model=model or MODEL, options=options, seed=1, threads=1, gpus=0)


@pytest.fixture(scope="module")
def pretrained(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    model = MODEL | {"type": "roformer", "config": ROTARY}
    pretrain.pretrain(job(files, folder, model, epochs=60, learning_rate=0.005, scheduler="constant"))
    return folder


@pytest.mark.slow
def test_what_follows_from_its_neighbours_is_found(pretrained):
    results = json.loads((pretrained / "eval_results.json").read_text())
    assert results["eval_masked_accuracy"] > 0.8 > 0.5 > results["baseline_masked_accuracy"]
    assert results["eval_perplexity"] < 2 < 3 < results["baseline_perplexity"]
    assert results["eval_perplexity"] == pytest.approx(math.exp(results["eval_loss"]))


@pytest.mark.slow
def test_the_folder_loads_by_itself(pretrained, files):
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(pretrained).eval(), AutoTokenizer.from_pretrained(pretrained)
    assert (pretrained / "tokenizer.json").read_bytes() == (files / "tokenizer.json").read_bytes()
    inputs = tokenizer("ACGTAC[MASK]TACGT", return_tensors="pt")
    place = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero().item()
    assert tokenizer.decode(model(**inputs).logits[0, place].argmax()) == "G"


def test_a_killed_pretraining_goes_on_and_ends_the_same(files, tmp_path, monkeypatch):
    pretrain.pretrain(job(files, tmp_path / "whole"))
    with killed_before(1, monkeypatch):
        pretrain.pretrain(job(files, tmp_path / "killed"))
    pretrain.pretrain(job(files, tmp_path / "killed"))
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


def test_the_baseline_knows_how_frequent_tokens_are():
    tokens = [np.array(ids) for ids in ([7, 7, 7, 8], [7, 8])]
    rows = [Encoded(i, str(i), ids, None, None, 1.0, None) for i, ids in enumerate(tokens)]
    # Everything has to be found.
    masking = Masking(1 - 1e-12, 0.0, 0.0, special=tuple(range(7)), mask=4, vocab_size=10)
    data = MaskedSet(rows, masking, {"start": [2], "end": [3]}, 1, seed=1)
    achieved = pretrain.baseline(data, data)
    # Counts 4, 2 and 0, each one more.
    losses = [-math.log(5 / 9)] * 4 + [-math.log(3 / 9)] * 2
    assert achieved["baseline_loss"] == pytest.approx(np.mean(losses))
    assert achieved["baseline_perplexity"] == pytest.approx(math.exp(np.mean(losses)))
    assert achieved["baseline_masked_accuracy"] == pytest.approx(4 / 6)


@pytest.mark.slow
def test_rows_that_validate_do_not_train_and_the_batch_does_not_matter(pretrained, files):
    model, small = AutoModelForMaskedLM.from_pretrained(pretrained), job(files, "")
    training, validation = pretrain.load_rows(small, load_tokenizer(small.tokenizer), model)
    assert not {s.id for s in training.sequences} & {s.id for s in validation.sequences}
    assert (len(training), len(validation)) == (48, 12)
    one, other = (pretrain.validate(model, validation, tokens) for tokens in (1, 10_000))
    assert one == pytest.approx(other, rel=1e-5)


@examples(30)
@given(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=4, max_size=60), st.integers(1, 50), st.integers(0, 99))
def test_groups_are_whole_unless_they_are_larger_than_what_validates(groups, percent, seed):
    part = pretrain.set_aside(groups, percent, seed)
    wanted = max(1, round(len(groups) * percent / 100))
    assert {folds.TRAIN, folds.VALIDATION} <= set(part)
    assert np.sum(part == folds.VALIDATION) <= 2 * wanted
    for name in set(groups) - {None}:
        mine = part[[group == name for group in groups]]
        if len(mine) <= wanted:
            assert len(set(mine)) == 1
        # No row trains beside one that validates: they may overlap.
        beside = set(pairwise(mine))
        assert not beside & {(folds.TRAIN, folds.VALIDATION), (folds.VALIDATION, folds.TRAIN)}


def test_rows_that_validate_are_drawn_apart_from_those_of_folds():
    [part] = folds.assign(Folds(ratio=[90, 10]), 1000, seed=1)
    both = (part == folds.VALIDATION) & (pretrain.set_aside([None] * 1000, 10, seed=1) == folds.VALIDATION)
    assert both.sum() < 30  # 10 by chance, 100 if drawn alike


def test_a_pretraining_of_a_fold_sees_only_what_trains_it(files, tmp_path):
    folds.assign_file(files / "encoded.parquet", tmp_path / "folds.parquet", Folds(ratio=[60, 20, 20]), "regression", seed=1)
    one = replace(job(files, tmp_path / "model"), folds=str(tmp_path / "folds.parquet"), fold=0)
    tokenizer = load_tokenizer(one.tokenizer)
    model = masked.create(MODEL, tokenizer.get_vocab_size(), special_ids(tokenizer))
    training, validation = pretrain.load_rows(one, tokenizer, model)
    [part] = folds.read(tmp_path / "folds.parquet")
    seen = sorted(sequence.row for sequence in (*training.sequences, *validation.sequences))
    assert seen == np.flatnonzero(part == folds.TRAIN).tolist()
    # Of other folds, another training: its checkpoints are not gone on from.
    assert len({replace(one, **other).settings_hash() for other in ({}, {"fold": 1}, {"folds": None, "fold": None})}) == 3


def test_one_chromosome_in_chunks_is_enough_to_pretrain_on():
    part = pretrain.set_aside(["chr1"] * 100, 5, seed=1)
    assert np.bincount(part + 1).tolist() in ([2, 93, 5], [1, 94, 5])  # at an end, a run has one neighbour


def test_tokens_may_have_any_ids(tmp_path):
    tokenizer = Tokenizer(WordLevel({"<s>": 0, "<pad>": 1, "A": 2, "C": 3, "G": 4, "T": 5, "<unk>": 6, "<mask>": 7}, "<unk>"))
    tokenizer.add_special_tokens(["<s>", "<pad>", "<unk>", "<mask>"])
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    (tmp_path / "table.tsv").write_text("id\tsequence\n" + "".join(f"s{i}\tACGTACGT\n" for i in range(9)) + "s9\tNNN\n")
    source = Table(path=str(tmp_path / "table.tsv"), columns={"id": 1, "sequence": 2})
    encode.encode(source, tokenizer, tmp_path / "encoded.parquet")
    one = job(tmp_path, "")
    model = masked.create(MODEL, 8, special_ids(tokenizer))
    training, validation = pretrain.load_rows(one, tokenizer, model)
    assert training.masking.plain.tolist() == [2, 3, 4, 5]
    # One of unknown letters alone teaches nothing.
    assert "s9" not in {sequence.id for sequence in (*training.sequences, *validation.sequences)}


@pytest.mark.parametrize(("k", "stride", "together"), [(4, 1, 4), (3, 3, 1), (5, 2, 3), (2, 3, 1)])
def test_kmers_are_hidden_with_all_that_share_a_letter(files, k, stride, together):
    source = Table(path=str(files / "table.tsv"), columns={"id": 1, "sequence": 2})
    assert pretrain.overlap(learn.learn(source, Options(type="kmer", k=k, stride=stride))) == together


def test_pretraining_goes_on_in_full_precision_from_weights_in_half(pretrained, tmp_path):
    AutoModelForMaskedLM.from_pretrained(pretrained, dtype=torch.bfloat16).save_pretrained(tmp_path)
    again = masked.create({"type": None, "config": {}, "pretrained": str(tmp_path)}, 11, SPECIAL)
    assert {weight.dtype for weight in again.parameters()} == {torch.float32}


BART = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
XLNET = {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16}


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        ("bart", BART, "pretrain: bart writes tokens one after the other; expected"),
        ("xlnet", XLNET, "pretrain: xlnet has no masked language model; "),
    ],
)
def test_architectures_that_do_not_fill_in_tokens_are_refused(kind, config, message, refusal):
    assert refusal(masked.create, MODEL | {"type": kind, "config": config}, 11, SPECIAL).startswith(message)


OURS = {
    "frames": {"name": "frames", "width": 8, "layers": 1},
    "performer": {"name": "performer", "width": 8, "layers": 1, "heads": 2, "local_heads": 1, "head_size": 4},
}


# The second learns more slowly than a test should last.
@pytest.mark.slow
@pytest.mark.parametrize(("name", "epochs", "times"), [("frames", 12, 1.5), ("performer", 2, 0)])
def test_our_own_architectures_learn_to_fill_in_tokens_and_training_starts_from_that(
    files, tmp_path, refusal, monkeypatch, name, epochs, times
):
    one = job(files, tmp_path / "language", OURS[name], epochs=epochs, learning_rate=0.02, scheduler="constant")
    pretrain.pretrain(one)
    found = json.loads((tmp_path / "language" / "eval_results.json").read_text())
    assert found["eval_masked_accuracy"] > times * found["baseline_masked_accuracy"]
    with killed_before(1, monkeypatch):
        pretrain.pretrain(replace(one, output=str(tmp_path / "again")))
    pretrain.pretrain(replace(one, output=str(tmp_path / "again")))
    assert results(tmp_path / "again") == results(tmp_path / "language")

    language = AutoModelForMaskedLM.from_pretrained(tmp_path / "language")
    started = registry.create(OURS[name] | {"pretrained": str(tmp_path / "language")}, 11, 0, 2, SPECIAL)
    body = {key: value for key, value in language.state_dict().items() if not key.startswith("head.")}
    assert len(body) > 10
    assert all(torch.equal(value, started.state_dict()[key]) for key, value in body.items())

    other = OURS[name] | {"pretrained": str(tmp_path / "language"), "width": 4}
    assert f"has other sizes than the model (width: {OURS[name]['width']}); expected the same" in refusal(
        registry.create, other, 11, 0, 2, SPECIAL
    )
    [(_, kind)] = [(key, value) for key, value in OURS.items() if key != name]
    message = refusal(registry.create, kind | {"pretrained": str(tmp_path / "language")}, 11, 0, 2, SPECIAL)
    assert f"is a {name}, expected a {kind['name']}" in message


def test_fine_tuning_starts_from_the_pretrained_body(pretrained):
    model = registry.create({"name": "hf", "type": None, "config": {}, "pretrained": str(pretrained)}, 11, 0, 2, SPECIAL)
    body = AutoModelForMaskedLM.from_pretrained(pretrained).base_model.state_dict()
    assert all(torch.equal(weight, body[name]) for name, weight in model.base_model.state_dict().items())


def test_sequences_longer_than_the_model_takes_are_refused(files, tmp_path, refusal):
    short = replace(job(files, tmp_path), model=MODEL | {"config": SMALL | {"max_position_embeddings": 16}})
    message = refusal(pretrain.pretrain, short)
    assert message.startswith("encode.block_size: sequences have up to 37 tokens, but distilbert takes 14 and 2 special tokens")
