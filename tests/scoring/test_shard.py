import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from rnalm.config import Table, Tokenizer
from rnalm.labels.scaling import Scaler
from rnalm.models import registry
from rnalm.prediction import evaluate
from rnalm.prediction.predict import predict_file
from rnalm.scoring.shard import score_shard, shard_rows
from rnalm.tokens import dataset, learn
from rnalm.tokens.tokenizer import special_ids

ROWS = [("first", "gattacagatta", 1.5), ("second", "cgat", 0.5), ("third", "acgtnacg", 2.0)]
CLASSES = ("early", "late", "mid")
REPLACEMENTS = {"a": ["c", "g"], "t": ["a"]}
REPLACEMENT_IDS = {7: [8, 9], 10: [7]}
AVERAGE = {"reverse_complement": "average"}


def close(found, expected) -> None:
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def ids_of(encoded: str) -> dict[str, list[int]]:
    return {sequence.id: sequence.input_ids.tolist() for group in dataset.read(encoded) for sequence in group}


def write_folds(path, tests: list[list[bool]]) -> str:
    """Write a folds file in which fold k tests the rows where ``tests[k]`` is true."""
    tests = np.array(tests)
    parts = np.where(tests, "test", "train").ravel()
    pd.DataFrame(
        {"fold": np.repeat(np.arange(len(tests), dtype=np.int32), tests.shape[1]), "id": "unused", "part": parts}
    ).to_parquet(path)
    return str(path)


@pytest.mark.parametrize("mode", ["remove", "mask", "replace"])
@pytest.mark.parametrize(
    ("scaler", "to_units"),
    [
        (Scaler(), lambda x: x),
        (Scaler("log"), np.exp),
        (Scaler("standard", 3.0, 2.0), lambda x: 3 + 2 * x),
        (Scaler("minmax", -1.0, 5.0), lambda x: -1 + 5 * x),
    ],
    ids=["none", "log", "standard", "minmax"],
)
def test_a_score_is_the_prediction_for_the_changed_sequence_minus_the_original_in_units_of_the_labels(
    encode_rows, model_folder, run, by_hand, score, mode, scaler, to_units
):
    model, encoded = model_folder(scaler=scaler), encode_rows(ROWS)
    found = score(model, encoded, mode=mode, replacements=REPLACEMENTS)
    expected = []
    for name, ids in ids_of(encoded).items():
        original = to_units(run(model, ids)[0])
        for position, changed, _ in by_hand(ids, [], mode, REPLACEMENT_IDS):
            expected.append((name, position, original, to_units(run(model, changed)[0]) - original))
    assert found["sequence"].tolist() == [name for name, *_ in expected]
    assert found["start_offset"].tolist() == [position for _, position, *_ in expected]
    close(found["pred"], [original for *_, original, _ in expected])
    close(found["loo"], [difference for *_, difference in expected])
    assert found["loo"].abs().max() > 1e-3


def test_replaced_tokens_and_their_replacements_are_named(encode_rows, model_folder, field_tokenizer, score):
    encoded = encode_rows([("s", "c#2,a#1,a,t", 1.0)], field_tokenizer, token_sep=",", modifier_sep="#")
    model = model_folder(using=field_tokenizer, modifier_channels=1)
    found = score(model, encoded, mode="replace", replacements={"a": ["g"]}, replace_modifiers=True)
    assert found[["token", "replacement"]].values.tolist() == [["c", "c"], ["a", "g"], ["a", "a"], ["a", "g"]]
    assert found[["start_offset", "end_offset"]].values.tolist() == [[0, 1], [1, 2], [1, 2], [2, 3]]


@pytest.mark.parametrize("mode", ["remove", "mask", "replace"])
def test_modifiers_go_and_stay_with_their_tokens(encode_rows, model_folder, field_tokenizer, run, by_hand, score, mode):
    rows = [("s", "a#1.5#-2,c,g#0.5,t,a#2,c#1#1,g,t", 1.0)]
    encoded = encode_rows(rows, field_tokenizer, token_sep=",", modifier_sep="#")
    model = model_folder(using=field_tokenizer, modifier_channels=2)
    ids = [7, 8, 9, 10, 7, 8, 9, 10]
    modifiers = [[1.5, 0, 0.5, 0, 2, 1, 0, 0], [-2, 0, 0, 0, 0, 1, 0, 0]]
    options = {"replacements": REPLACEMENTS, "replace_modifiers": True}
    found = score(model, encoded, mode=mode, **options)
    expected = [
        run(model, *changed)[0] - run(model, ids, modifiers)[0]
        for _, *changed in by_hand(ids, modifiers, mode, REPLACEMENT_IDS, True)
    ]
    close(found["loo"], expected)


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_for_classes_the_predicted_one_is_explained(encode_rows, model_folder, run, by_hand, score, scale):
    rows = [("first", "gattacagatta", "early"), ("second", "cgat", "mid")]
    model, encoded = model_folder(classes=CLASSES), encode_rows(rows, task="classification")
    found = score(model, encoded, scale=scale)
    to_scale = softmax if scale == "probability" else np.asarray
    expected = []
    for ids in ids_of(encoded).values():
        original = to_scale(run(model, ids))
        best = original.argmax()
        expected += [
            (CLASSES[best], to_scale(run(model, ids_))[best] - original[best]) for _, ids_, _ in by_hand(ids, [], "remove")
        ]
    assert found["pred"].tolist() == [name for name, _ in expected]
    close(found["loo"], [difference for _, difference in expected])
    assert "class" not in found


def test_a_named_class_or_each_is_explained_whatever_is_predicted(encode_rows, model_folder, run, by_hand, score):
    model, encoded = model_folder(classes=CLASSES), encode_rows([("s", "gattacagatta", "mid")], task="classification")
    [ids] = ids_of(encoded).values()
    original, every = softmax(run(model, ids)), score(model, encoded, explain="all")
    assert every["class"].tolist() == list(CLASSES) * len(ids)
    assert every["start_offset"].tolist() == np.repeat(range(len(ids)), 3).tolist()
    for index, name in enumerate(CLASSES):
        found = score(model, encoded, explain=name)
        close(found["loo"], [softmax(run(model, i))[index] - original[index] for _, i, _ in by_hand(ids, [], "remove")])
        assert set(found["class"]) == {name}
        assert set(found["pred"]) == {CLASSES[original.argmax()]}
        assert every.loc[every["class"] == name].reset_index(drop=True).equals(found)


@pytest.mark.parametrize("mode", ["remove", "integrated_gradients"])
def test_several_models_score_by_their_mean_and_standard_deviation(encode_rows, model_folder, score, mode):
    models = [model_folder(seed, Scaler("standard", seed, 2.0)) for seed in range(3)]
    encoded = encode_rows(ROWS)
    found, each = score(models, encoded, mode=mode), [score(model, encoded, mode=mode) for model in models]
    values = np.array([frame["loo"] for frame in each])
    np.testing.assert_allclose(found["loo"], values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["loo_sd"], values.std(axis=0, ddof=1), rtol=1e-9)
    np.testing.assert_allclose(found["pred"], np.mean([frame["pred"] for frame in each], axis=0), rtol=1e-12)
    assert all("loo_sd" not in frame for frame in each)


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_the_predicted_class_is_that_of_the_predictions(encode_rows, model_folder, score, tmp_path, scale):
    # One model is sure of the first class, two lean to the second: so does the mean probability, not the mean logit.
    models = [model_folder(classes=("no", "yes"), logits=logits) for logits in ([10.0, 0.0], [0.0, 2.0], [0.0, 2.0])]
    encoded = encode_rows([("s", "cgat", "yes")], task="classification")
    parts = [tmp_path / f"part_{index}.parquet" for index in range(3)]
    for model, part in zip(models, parts, strict=True):
        predict_file(model, encoded, part)
    evaluate.merge(parts, models, tmp_path / "predict")
    [predicted] = pd.read_csv(tmp_path / "predict" / "test_predictions.csv")["prediction"]
    assert set(score(models, encoded, scale=scale)["pred"]) == {predicted}


def test_with_folds_each_model_scores_only_its_test_rows(encode_rows, model_folder, score, tmp_path):
    models, encoded = [model_folder(seed) for seed in range(2)], encode_rows(ROWS)
    folds = write_folds(tmp_path / "folds.parquet", [[True, False, False], [False, False, True]])
    found = score(models, encoded, folds=folds)
    assert list(found["sequence"].unique()) == ["first", "third"]
    for model, name in zip(models, ["first", "third"], strict=True):
        alone = score(model, encoded)
        assert found["loo"][found["sequence"] == name].tolist() == alone["loo"][alone["sequence"] == name].tolist()
    assert "loo_sd" not in found


def test_rows_that_test_several_folds_have_a_standard_deviation_and_others_none(encode_rows, model_folder, score, tmp_path):
    models, encoded = [model_folder(seed) for seed in range(2)], encode_rows(ROWS)
    folds = write_folds(tmp_path / "folds.parquet", [[True, True, False], [True, False, True]])
    found = score(models, encoded, folds=folds)
    both = score(models, encoded)
    shared = found["sequence"] == "first"
    assert found[shared].reset_index(drop=True).equals(both[both["sequence"] == "first"].reset_index(drop=True))
    assert found.loc[~shared, "loo_sd"].isna().all()
    second = score(models[0], encoded)
    assert found["loo"][found["sequence"] == "second"].tolist() == second["loo"][second["sequence"] == "second"].tolist()


@pytest.mark.parametrize(
    ("cut", "kept", "first"),
    [
        ({"block_size": 8}, "gattacag", 0),
        ({"block_size": 8, "truncate": "left"}, "cagattcc", 5),
        ({"block_size": 8, "truncate": "both"}, "ttacagat", 2),
        ({"block_size": 5, "center_token": "c"}, "tacag", 3),
    ],
    ids=["right", "left", "both", "center"],
)
@pytest.mark.parametrize("mode", ["remove", "mask"])
def test_nothing_from_beyond_a_cut_moves_in_and_offsets_count_from_the_uncut_start(
    encode_rows, model_folder, run, by_hand, score, tokenizer, cut, kept, first, mode
):
    model, encoded = model_folder(), encode_rows([("s", "gattacagattcc", 1.0)], cut=cut)
    ids = [tokenizer.token_to_id(letter) for letter in kept]
    found = score(model, encoded, mode=mode)
    assert "".join(found["token"]) == kept
    assert found["start_offset"].tolist() == list(range(first, first + len(kept)))
    assert found["end_offset"].tolist() == list(range(first + 1, first + len(kept) + 1))
    close(found["loo"], [run(model, changed)[0] - run(model, ids)[0] for _, changed, _ in by_hand(ids, [], mode)])


@pytest.mark.parametrize("separated", [False, True])
def test_the_a_in_cgat_is_from_2_to_3_and_offsets_count_tokens_where_these_are_separated(
    encode_rows, model_folder, tokenizer, field_tokenizer, score, separated
):
    using, text, options = tokenizer, "cgat", {}
    if separated:
        using, text, options = field_tokenizer, "c#1,g,a#2,t,t", {"token_sep": ",", "modifier_sep": "#"}
    found = score(model_folder(using=using, modifier_channels=int(separated)), encode_rows([("s", text)], using, **options))
    assert found.loc[found["token"] == "a", ["start_offset", "end_offset"]].values.tolist() == [[2, 3]]


@pytest.mark.parametrize(("classes", "label"), [((), 2.0), (CLASSES, "mid")])
def test_labels_may_be_missing_from_a_row_or_from_all(encode_rows, model_folder, score, classes, label):
    model, task = model_folder(classes=classes), "classification" if classes else "regression"
    some = score(model, encode_rows([("s", "gat", None), ("t", "tac", label)], task=task))
    none = score(model, encode_rows([("s", "gat"), ("t", "tac")], task=task))
    assert [None if pd.isna(found) else found for found in some["label"]] == [None] * 3 + [label] * 3
    assert none["label"].isna().all()
    assert some.drop(columns="label").equals(none.drop(columns="label"))


@pytest.mark.parametrize(
    ("mode", "classes", "explain", "several", "expected"),
    [
        ("remove", (), "predicted", False, "sequence token label pred start_offset end_offset loo"),
        ("integrated_gradients", (), "predicted", False, "sequence token label pred start_offset end_offset loo"),
        ("replace", (), "predicted", False, "sequence token replacement label pred start_offset end_offset loo"),
        ("remove", (), "predicted", True, "sequence token label pred start_offset end_offset loo loo_sd"),
        ("remove", CLASSES, "predicted", False, "sequence token label pred start_offset end_offset loo"),
        ("remove", CLASSES, "mid", False, "sequence token label pred start_offset end_offset loo class"),
        ("replace", CLASSES, "all", True, "sequence token replacement label pred start_offset end_offset loo loo_sd class"),
    ],
)
def test_columns_are_those_that_users_scripts_know(encode_rows, model_folder, score, mode, classes, explain, several, expected):
    encoded = encode_rows([("s", "gat", None)], task="classification" if classes else "regression")
    models = [model_folder(seed, classes=classes) for seed in range(2 if several else 1)]
    found = score(models, encoded, mode=mode, explain=explain, replacements=REPLACEMENTS)
    assert list(found.columns) == expected.split()
    assert found["loo"].dtype == np.float64


def test_the_same_shard_is_the_same_bytes_twice(encode_rows, model_folder, job, tmp_path):
    this = job(model_folder(), encode_rows(ROWS))
    for name in ("once", "twice"):
        score_shard(this, tmp_path / name)
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()


LENGTHS = st.lists(st.integers(1, 2000), min_size=1, max_size=60)


@examples(100)
@given(
    lengths=LENGTHS,
    shards=st.integers(1, 80),
    seed=st.integers(0, 100),
    sample_size=st.one_of(st.none(), st.integers(1, 70)),
)
def test_every_row_with_a_model_is_in_exactly_one_shard_and_shards_are_consecutive(job, lengths, shards, seed, sample_size):
    lengths = np.array(lengths)
    cost = lengths * (np.random.default_rng(seed).random(len(lengths)) < 0.6)
    cost[0] = 1
    described = replace(job([], ""), sample_size=sample_size, shards=shards, seed=seed)
    found = [shard_rows(cost, replace(described, shard=shard)) for shard in range(shards)]
    together = np.concatenate(found)
    scored = np.flatnonzero(cost)
    if sample_size is None or sample_size >= len(scored):
        assert together.tolist() == scored.tolist()
    else:
        assert len(together) == sample_size
        assert set(together) <= set(scored)
    assert np.all(np.diff(together) > 0)


@examples(100)
@given(costs=LENGTHS, shards=st.integers(1, 80))
def test_no_shard_costs_more_than_its_share_and_one_sequence(job, costs, shards):
    cost = np.array(costs, dtype=float)
    for shard in range(shards):
        rows = shard_rows(cost, replace(job([], ""), shards=shards, shard=shard))
        assert cost[rows].sum() <= (cost.sum() / shards + cost.max()) * (1 + 1e-9)


def test_a_sample_is_drawn_by_the_seed_whatever_the_shards(job):
    described, cost = job([], "", sample_size=10), np.arange(1, 101)
    sample = shard_rows(cost, described).tolist()
    assert len(sample) == 10
    assert shard_rows(cost, described).tolist() == sample
    assert shard_rows(cost, replace(described, seed=2)).tolist() != sample
    parts = [shard_rows(cost, replace(described, shards=3, shard=shard)).tolist() for shard in range(3)]
    assert [row for part in parts for row in part] == sample


@pytest.mark.parametrize("scorer", ["naive", "incremental"])
def test_shards_weigh_rows_by_the_cost_of_their_scorer_and_by_their_models(encode_rows, model_folder, job, tmp_path, scorer):
    lengths = [100] * 3 + [10] * 100
    encoded = encode_rows([(f"s{number}", "a" * length) for number, length in enumerate(lengths)])
    score_shard(job(model_folder(), encoded, shards=2, scorer=scorer), tmp_path / "first.parquet")
    scored = pd.read_parquet(tmp_path / "first.parquet")["sequence"].nunique()
    # Naive: 3 · 100² are more than half of 3 · 100² + 100 · 10²; of the tokens they are less than a quarter.
    assert (scored == 2) if scorer == "naive" else (scored > 30)

    one, two = model_folder(), model_folder()
    equal = encode_rows([(f"s{number}", "a" * 20) for number in range(8)])
    folds = write_folds(tmp_path / "folds.parquet", [[True] * 8, [True] * 2 + [False] * 6])
    score_shard(job([one, two], equal, folds=folds, shards=5, scorer=scorer), tmp_path / "second.parquet")
    assert pd.read_parquet(tmp_path / "second.parquet")["sequence"].nunique() == 1


def test_a_lower_precision_is_used_and_its_error_logged(encode_rows, model_folder, score, caplog):
    encoded = encode_rows([("long", "gattacagattacag" * 20)])
    model = model_folder(layers=2, filters=16)
    exact = score(model, encoded)
    for scorer in ("incremental", "naive"):
        caplog.clear()
        rough = score(model, encoded, precision="bf16", scorer=scorer)
        error = np.abs(rough["loo"] - exact["loo"]).max()
        assert 1e-6 < error < 0.1
        told = float(caplog.text.split("errs in these changes by up to ")[1].split()[0])
        assert told == pytest.approx(error, rel=0.1)


def other_strand(ids: list[int]) -> list[int]:
    return [{7: 10, 8: 9, 9: 8, 10: 7}.get(token, token) for token in reversed(ids)]


@pytest.mark.parametrize("mode", ["remove", "mask", "replace"])
def test_on_both_strands_a_score_is_of_the_mean_label(encode_rows, model_folder, run, by_hand, score, mode):
    model = model_folder(scaler=Scaler("log"), **AVERAGE)
    encoded = encode_rows(ROWS[:2], cut=AVERAGE)
    found = score(model, encoded, mode=mode, replacements=REPLACEMENTS)

    def predict(ids: list[int]) -> float:
        return (np.exp(run(model, ids)[0]) + np.exp(run(model, other_strand(ids))[0])) / 2

    rows = list(ids_of(encoded).values())
    expected = [predict(changed) - predict(ids) for ids in rows for _, changed, _ in by_hand(ids, [], mode, REPLACEMENT_IDS)]
    close(found["loo"], expected)
    close(found["pred"].unique(), [predict(ids) for ids in rows])


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_on_both_strands_a_score_of_a_class_is_of_the_mean_probability(encode_rows, model_folder, run, by_hand, score, scale):
    model = model_folder(classes=CLASSES, **AVERAGE)
    encoded = encode_rows([("s", "gattacagatta", "mid")], task="classification", cut=AVERAGE)
    found = score(model, encoded, explain="all", scale=scale)

    def predict(ids: list[int]) -> np.ndarray:
        mean = (softmax(run(model, ids)) + softmax(run(model, other_strand(ids)))) / 2
        return mean if scale == "probability" else np.log(mean)

    [ids] = ids_of(encoded).values()
    expected = [predict(changed) - predict(ids) for _, changed, _ in by_hand(ids, [], "remove")]
    for index, name in enumerate(CLASSES):
        close(found.loc[found["class"] == name, "loo"], [difference[index] for difference in expected])


@pytest.mark.parametrize("cut", [{}, AVERAGE], ids=["one strand", "both strands"])
@pytest.mark.parametrize("mode", ["remove", "replace"])
def test_the_score_of_a_base_is_the_prediction_for_the_edited_letters(
    encode_rows, model_folder, score, kmers, tmp_path, mode, cut
):
    text = "gattacagatta"
    model = model_folder(using=kmers, **cut)
    found = score(model, encode_rows([("s", text)], kmers, cut=cut), mode=mode, level="base", replacements=REPLACEMENTS)
    come = REPLACEMENTS if mode == "replace" else {letter: [""] for letter in "acgt"}
    edited = [(place, other) for place, letter in enumerate(text) for other in come.get(letter, [])]
    assert found["start_offset"].tolist() == [place for place, _ in edited]
    assert "".join(found["token"]) == "".join(text[place] for place, _ in edited)
    if mode == "replace":
        assert found["replacement"].tolist() == [other for _, other in edited]
    texts = [text, *(text[:place] + other + text[place + 1 :] for place, other in edited)]
    again = encode_rows([(f"s{number}", changed) for number, changed in enumerate(texts)], kmers, cut=cut)
    predict_file(model, again, tmp_path / "predictions.parquet")
    original, *changed = np.concatenate(pd.read_parquet(tmp_path / "predictions.parquet")["outputs"].to_numpy())
    close(found["loo"], changed - original)
    close(found["pred"], original)


@pytest.mark.parametrize(("level", "cut"), [("token", {}), ("base", {}), ("base", AVERAGE)])
@pytest.mark.parametrize("mode", ["remove", "mask", "replace"])
def test_neither_scorer_nor_shards_matter(encode_rows, model_folder, score, tokenizer, kmers, level, mode, cut):
    using = tokenizer if level == "token" else kmers
    encoded = encode_rows([("long", "gattacagattacag" * 10, 1.0), *ROWS], using, cut=cut)
    model = model_folder(using=using, layers=3, kernel_size=5, filters=32, **cut)
    options = {"mode": mode, "level": level, "replacements": REPLACEMENTS}
    fast, slow = (score(model, encoded, **options, scorer=scorer) for scorer in ("auto", "naive"))
    close(fast["loo"], slow["loo"])
    assert fast.drop(columns=["loo", "pred"]).equals(slow.drop(columns=["loo", "pred"]))
    parts = [score(model, encoded, **options, shards=3, shard=shard) for shard in range(3)]
    assert pd.concat(parts, ignore_index=True).equals(fast)


@pytest.mark.parametrize("level", ["token", "base"])
def test_a_transformer_is_scored_by_whole_forward_passes(encode_rows, model_folder, run, score, kmers, level):
    sizes = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 32}
    options = {"name": "hf", "type": "distilbert", "config": sizes, "pretrained": None}
    folder = model_folder(using=kmers)  # with tokenizer and labels; the model is replaced
    torch.manual_seed(0)
    model = registry.create(options, kmers.get_vocab_size(), 0, 1, special_ids(kmers))
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    text = "gattacagatta"
    encoded = encode_rows([("s", text)], kmers)
    found, [ids] = score(folder, encoded, level=level), ids_of(encoded).values()
    if level == "token":
        changed = [ids[:place] + ids[place + 1 :] for place in range(len(ids))]
    else:
        edited = encode_rows([(f"s{place}", text[:place] + text[place + 1 :]) for place in range(len(text))], kmers)
        changed = list(ids_of(edited).values())
    close(found["loo"], [run(folder, other)[0] - run(folder, ids)[0] for other in changed])
    assert found["loo"].abs().max() > 1e-3


def test_a_sample_as_large_as_the_file_is_all_of_it(encode_rows, model_folder, score):
    model, encoded = model_folder(), encode_rows(ROWS)
    assert score(model, encoded, sample_size=3).equals(score(model, encoded))
    assert score(model, encoded, sample_size=2)["sequence"].nunique() == 2


def test_a_shard_without_sequences_is_a_whole_file_without_rows(encode_rows, model_folder, score):
    model, encoded = model_folder(), encode_rows(ROWS)
    whole, empty = score(model, encoded), score(model, encoded, shard=30, shards=64)
    assert list(empty.columns) == list(whole.columns)
    assert len(empty) == 0


#: What is refused: the model's options, those of encoding, those of scoring, and the message.
REFUSED = {
    "a replacement": (
        *({}, {}, {"mode": "replace", "replacements": {"a": ["C"]}}),
        r"interpret\.replacements: token 'C' is not .*did you mean 'c'\?",
    ),
    "a class": (
        *({"classes": CLASSES}, {"task": "classification"}, {"explain": "Early"}),
        r"interpret\.explain: .*'Early'.*did you mean 'early'\?",
    ),
    "a task": ({"classes": CLASSES}, {}, {}, "a model for classification, but the configuration says task: regression"),
    "a precision": ({}, {}, {"precision": "tf32"}, r"interpret\.precision: tf32 needs a GPU, and none is used here"),
    "a strand": ({}, {"cut": AVERAGE}, {}, "encode.reverse_complement is average, but the model"),
    "a vocabulary": ({"using": "kmers"}, {}, {}, "encoded with another tokenizer than that of the model"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line_and_leaves_no_file(
    encode_rows, model_folder, job, refusal, kmers, tmp_path, name
):
    of_model, of_source, of_job, message = REFUSED[name]
    model = model_folder(**(of_model | ({"using": kmers} if "using" in of_model else {})))
    described = job(model, encode_rows([("s", "gat")], **of_source), **of_job)
    assert re.search(message, refusal(score_shard, described, tmp_path / "out" / "scores.parquet"))
    assert not list(tmp_path.glob("out/*"))


def test_models_that_do_not_fit_together_or_are_not_whole_are_refused(encode_rows, model_folder, score, refusal):
    encoded = encode_rows([("s", "gat", "mid")], task="classification")
    models = [model_folder(classes=CLASSES), model_folder(classes=("early", "late"))]
    assert re.search("predicts the classes early, late, but .* the classes early, late, mid", refusal(score, models, encoded))
    Path(models[0], "labels.json").unlink()
    assert "expected the file labels.json in it" in refusal(score, models, encoded)


def test_rows_are_scored_group_by_group(encode_rows, model_folder, score, tmp_path):
    model, encoded = model_folder(), encode_rows(ROWS)
    table, metadata = pq.read_table(encoded), pq.read_metadata(encoded).metadata or {}
    with pq.ParquetWriter(tmp_path / "grouped.parquet", pq.read_schema(encoded)) as writer:
        for row in range(len(table)):
            writer.write_table(table.slice(row, 1))
        writer.add_key_value_metadata({key: value for key, value in metadata.items() if key == b"rnalm"})
    assert pq.read_metadata(tmp_path / "grouped.parquet").num_row_groups == 3
    assert score(model, str(tmp_path / "grouped.parquet")).equals(score(model, encoded))


def test_special_tokens_may_be_others_with_other_ids(model_folder, encode_rows, score, run, tmp_path):
    path = tmp_path / "other.tsv"
    path.write_text("id\tsequence\nall\tacgt\n")
    special = Tokenizer(special_tokens=["<mask>", "<unk>", "<pad>"])
    other = learn.learn(Table(path=str(path), columns={"id": 1, "sequence": 2}), special)
    model, encoded = model_folder(using=other), encode_rows([("s", "gattacagatta")], other)
    [ids] = ids_of(encoded).values()
    masked = [run(model, [*ids[:place], 0, *ids[place + 1 :]])[0] - run(model, ids)[0] for place in range(len(ids))]
    for scorer in ("naive", "incremental"):
        close(score(model, encoded, mode="mask", scorer=scorer)["loo"], masked)


@pytest.mark.parametrize("scorer", ["naive", "incremental"])
def test_shards_of_long_sequences_are_the_same_bits(encode_rows, model_folder, score, scorer):
    random = np.random.default_rng(0)
    rows = [(f"s{number}", "".join(random.choice(list("acgt"), 400 + 40 * number)), 1.0) for number in range(4)]
    encoded, model = encode_rows(rows), model_folder(filters=8, layers=3)
    whole = score(model, encoded, mode="mask", scorer=scorer)
    parts = [score(model, encoded, mode="mask", scorer=scorer, shards=3, shard=shard) for shard in range(3)]
    assert pd.concat(parts, ignore_index=True).equals(whole)


def test_the_log_tells_how_far_a_shard_is(encode_rows, model_folder, score, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("rnalm.scoring.shard.LOG_SECONDS", 0)
    score(model_folder(), encode_rows(ROWS))
    assert "incremental scorer for saluki, in float32" in caplog.text
    assert re.search(r"50 % done, \d+ scores per second, \d+ s left", caplog.text)
    assert re.search(r"24 scores, \d+ per second", caplog.text)


def test_a_shard_that_cannot_be_finished_leaves_no_file(encode_rows, model_folder, job, tmp_path, monkeypatch):
    def fail(writer):
        raise OSError("No space left on device")

    monkeypatch.setattr("rnalm.scoring.shard._Writer._flush", fail)
    with pytest.raises(OSError, match="No space left"):
        score_shard(job(model_folder(), encode_rows(ROWS)), tmp_path / "shard" / "0.parquet")
    assert not [path for path in (tmp_path / "shard").rglob("*") if path.is_file()]
