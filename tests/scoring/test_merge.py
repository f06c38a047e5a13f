import json
import pickle
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shap

from rnalm.config.contract import SCORES
from rnalm.errors import RnalmError
from rnalm.labels.labels import Labels
from rnalm.scoring import gradients
from rnalm.scoring import merge as merging
from rnalm.scoring.shard import SEQUENCES, score_shard
from rnalm.scoring.table import columns

CLASSES = ("early", "late", "mid")
REPLACEMENTS = {"a": ["t", "c"], "c": ["g"], "g": ["g"]}
SUFFIXES = SCORES


def random_rows(count: int = 12, seed: int = 0, labels=None) -> list[tuple]:
    """Make sequences of 2 to 15 letters; the ids are in no order."""
    random = np.random.default_rng(seed)
    names = random.permutation(count)
    return [
        (
            f"s{names[row]}",
            "a" + "".join(random.choice(list("acgt"), random.integers(1, 15))),
            labels[row % len(labels)] if labels else round(float(random.normal()), 3),
        )
        for row in range(count)
    ]


def explanations_of(folder) -> list[shap.Explanation]:
    return pickle.loads((folder / "scores.pkl").read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "task", "options"),
    [
        ("remove", "regression", {}),
        ("remove", "regression", {"sample_size": 5}),
        ("replace", "classification", {"replacements": REPLACEMENTS}),
        ("integrated_gradients", "classification", {"steps": 8}),
    ],
)
def test_the_number_of_shards_never_matters(encode_rows, model_folder, score_and_merge, monkeypatch, mode, task, options):
    monkeypatch.setattr(gradients, "MOST_STEPS", 8)  # of networks that have learned nothing, no number of steps is enough
    classes = CLASSES if task == "classification" else ()
    encoded = encode_rows(random_rows(9, labels=classes), task=task)
    models = [model_folder(seed, classes=classes) for seed in range(2 if classes else 1)]
    options = {"mode": mode, "explain": "all"} | options
    first = score_and_merge(models, encoded, **options)
    assert len(explanations_of(first)) == options.get("sample_size", 9)
    for shards in (3, 10):  # the last: more shards than sequences
        folder = score_and_merge(models, encoded, shards=shards, **options)
        for suffix in SUFFIXES:
            assert (folder / f"scores.{suffix}").read_bytes() == (first / f"scores.{suffix}").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("size", [1500, 2**19])
def test_how_rows_were_cut_into_shards_does_not_show_in_a_file_of_many_pages(tmp_path, monkeypatch, size):
    monkeypatch.setattr(merging, "GROUP_ROWS", size)
    schema, length, count = columns("remove", Labels("regression"), False, False), 10, 200
    random = np.random.default_rng(0)
    names = [f"{index}" * 3000 for index in range(count)]  # long, so that few rows fill a page
    frame = pd.DataFrame({"sequence": np.repeat(names, length), "label": 1.0, "pred": 2.0})
    frame["token"] = random.choice(list("acgt"), len(frame))
    frame["start_offset"] = np.tile(np.arange(length), count)
    frame = frame.assign(end_offset=frame["start_offset"] + 1, loo=random.normal(size=len(frame)))
    whole = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    merged = []
    for cuts in ([], [1], [13, 13, 150, 199]):
        folder = tmp_path / str(len(merged))
        parts = []
        for start, stop in zip([0, *cuts], [*cuts, count], strict=True):
            parts.append(folder / f"{len(parts)}.parquet")
            folder.mkdir(exist_ok=True)
            metadata = {SEQUENCES: json.dumps([[name, [2.0]] for name in names[start:stop]])}
            part = whole.slice(start * length, (stop - start) * length)
            pq.write_table(part.replace_schema_metadata(metadata), parts[-1])
        merging.merge(parts, [folder / f"scores.{suffix}" for suffix in SUFFIXES])
        merged.append([(folder / f"scores.{suffix}").read_bytes() for suffix in SUFFIXES])
    assert merged[1] == merged[0]
    assert merged[2] == merged[0]


def test_every_format_that_the_workflow_asks_for_can_be_written():
    assert set(merging.EXPORTERS) == {f".{suffix}" for suffix in SCORES}


def test_merged_scores_are_in_the_order_of_the_input(encode_rows, model_folder, score_and_merge):
    rows = random_rows()
    folder = score_and_merge(model_folder(), encode_rows(rows), shards=5)
    frame = pd.read_parquet(folder / "scores.parquet")
    assert list(frame["sequence"].unique()) == [name for name, *_ in rows]
    assert "".join(frame["token"]) == "".join(sequence for _, sequence, _ in rows)


@pytest.mark.parametrize("labelled", [True, False])
def test_csv_and_parquet_hold_the_same(encode_rows, model_folder, score_and_merge, labelled):
    rows = [*random_rows(), ('one, "two"', "ga", 1.0), ("NA", "ca", 2.0)]  # names that need quotes, and one that looks missing
    rows = rows if labelled else [row[:2] for row in rows]
    folder = score_and_merge([model_folder(seed) for seed in range(2)], encode_rows(rows))
    from_csv = pd.read_csv(folder / "scores.csv", keep_default_na=False, na_values=[""], float_precision="round_trip")
    pd.testing.assert_frame_equal(from_csv, pd.read_parquet(folder / "scores.parquet"), check_dtype=False, check_exact=True)


@pytest.mark.parametrize(("classes", "explain"), [((), "predicted"), (CLASSES, "predicted"), (CLASSES, "late")])
@pytest.mark.parametrize("n_models", [1, 2])
def test_the_pickle_is_a_plain_list_of_one_explanation_a_sequence(
    encode_rows, model_folder, score_and_merge, classes, explain, n_models
):
    rows = random_rows(4, labels=classes)
    models = [model_folder(seed, classes=classes) for seed in range(n_models)]
    encoded = encode_rows(rows, task="classification" if classes else "regression")
    folder = score_and_merge(models, encoded, explain=explain)
    found = explanations_of(folder)
    assert type(found) is list
    assert all(type(item) is shap.Explanation for item in found)
    frame = pd.read_parquet(folder / "scores.parquet")
    for explanation, (name, sequence, _) in zip(found, rows, strict=True):
        scores = frame[frame["sequence"] == name]
        assert "".join(explanation.data) == sequence
        assert explanation.values.tolist() == scores["loo"].tolist()
        assert (explanation.error_std.tolist() == scores["loo_sd"].tolist()) if n_models > 1 else explanation.error_std is None
        assert classes or explanation.base_values == scores["pred"].iloc[0]


def test_in_mode_replace_values_have_an_axis_of_replacements(encode_rows, model_folder, score_and_merge):
    rows = [("one", "acta", 1.0), ("two", "c", 2.0)]
    folder = score_and_merge(model_folder(), encode_rows(rows), mode="replace", replacements={"a": ["t", "c"], "c": ["g"]})
    loo = pd.read_parquet(folder / "scores.parquet").set_index(["sequence", "start_offset", "replacement"])["loo"]
    one, two = explanations_of(folder)
    assert one.output_names == two.output_names == ["c", "g", "t"]
    nan = np.nan
    expected = [
        [loo["one", 0, "c"], nan, loo["one", 0, "t"]],
        [nan, loo["one", 1, "g"], nan],
        [loo["one", 3, "c"], nan, loo["one", 3, "t"]],
    ]
    np.testing.assert_array_equal(one.values, expected)
    assert list(one.data) == ["a", "c", "a"]
    np.testing.assert_array_equal(two.values, [[nan, loo["two", 0, "g"], nan]])


def test_a_sequence_in_which_nothing_is_replaced_keeps_its_place_in_the_pickle(encode_rows, model_folder, score_and_merge):
    rows = [("one", "gat", 1.0), ("without", "cgcg", 2.0), ("two", "tac", 3.0)]
    folder = score_and_merge(model_folder(), encode_rows(rows), mode="replace", replacements={"a": ["t"]})
    found = explanations_of(folder)
    assert len(found) == 3
    assert [list(found[index].data) for index in (0, 2)] == [["a"], ["a"]]


def test_when_all_classes_are_explained_values_have_an_axis_of_classes(encode_rows, model_folder, score_and_merge):
    encoded = encode_rows(random_rows(4, labels=CLASSES), task="classification")
    folder = score_and_merge(model_folder(classes=CLASSES), encoded, explain="all")
    frame = pd.read_parquet(folder / "scores.parquet")
    for explanation, (_, scores) in zip(explanations_of(folder), frame.groupby("sequence", sort=False), strict=True):
        assert explanation.output_names == list(CLASSES)
        expected = scores.pivot(index="start_offset", columns="class", values="loo")
        np.testing.assert_array_equal(explanation.values, expected[list(CLASSES)])


def test_replacements_and_classes_have_an_axis_each(encode_rows, model_folder, score_and_merge):
    encoded = encode_rows([("s", "ac", "mid")], task="classification")
    options = {"mode": "replace", "replacements": {"a": ["t", "c"], "c": ["t"]}, "explain": "all"}
    folder = score_and_merge(model_folder(classes=CLASSES), encoded, **options)
    loo = pd.read_parquet(folder / "scores.parquet").set_index(["start_offset", "replacement", "class"])["loo"]
    [found] = explanations_of(folder)
    assert found.values.shape == (2, 2, 3)
    for (token, replacement, name), value in loo.items():
        assert found.values[token, ["c", "t"].index(replacement), CLASSES.index(name)] == value
    assert np.isnan(found.values[1, 0]).all()


def drawn(explanation: shap.Explanation) -> list[str]:
    """Draw an explanation as shap does, and list the tokens that the page shows."""
    with np.printoptions(legacy="1.25"):  # without it, shap before 0.52 with NumPy 2 leaves all colours out
        page = shap.plots.text(explanation, display=False)
    assert re.fullmatch(r"[\d.e-]+(, [\d.e-]+){3}", re.search(r"_ind_0'[^>]*background: rgba\(([^)]*)\)", page)[1])
    return re.findall(r"<div id='_tp_[a-z]+_ind_\d+'[^>]*>([^<]*)</div>", page)


@pytest.mark.parametrize(("classes", "explain"), [((), "predicted"), (CLASSES, "predicted"), (CLASSES, "late")])
def test_shap_draws_an_explanation_of_one_output(encode_rows, model_folder, score_and_merge, classes, explain):
    rows = [*random_rows(3, labels=classes), ("one token", "a", classes[0] if classes else 1.0)]
    encoded = encode_rows(rows, task="classification" if classes else "regression")
    models = [model_folder(seed, classes=classes) for seed in range(2)]
    found = explanations_of(score_and_merge(models, encoded, explain=explain))
    for explanation, (_, sequence, _) in zip(found, rows, strict=True):
        assert all(type(token) is str for token in explanation.data)
        assert drawn(explanation) == list(sequence)
        # With the sign of shap, where what raises the output is positive.
        assert drawn(shap.Explanation(-explanation.values, explanation.base_values, explanation.data)) == list(sequence)


def test_shap_draws_all_classes_or_one(encode_rows, model_folder, score_and_merge):
    rows = random_rows(3, labels=CLASSES)
    encoded = encode_rows(rows, task="classification")
    found = explanations_of(score_and_merge(model_folder(classes=CLASSES), encoded, explain="all"))
    for explanation, (_, sequence, _) in zip(found, rows, strict=True):
        assert set(drawn(explanation)) == set(sequence)
        for index, name in enumerate(CLASSES):
            assert explanation[:, index].values.tolist() == explanation.values[:, index].tolist()
            assert explanation[:, index].base_values == explanation.base_values[index]
            assert drawn(explanation[:, index]) == drawn(explanation[:, name]) == list(sequence)


@pytest.mark.parametrize("explain", ["predicted", "all"])
def test_shap_draws_the_mean_over_replacements(encode_rows, model_folder, score_and_merge, explain):
    # Not every token has every replacement.
    options = {"mode": "replace", "replacements": {"a": ["c", "t"], "c": ["g"]}, "explain": explain}
    encoded = encode_rows([("s", "acca", "mid")], task="classification")
    folder = score_and_merge(model_folder(classes=CLASSES), encoded, **options)
    [found] = explanations_of(folder)
    frame = pd.read_parquet(folder / "scores.parquet")
    if explain == "all":
        assert found.output_names == list(CLASSES)
        found, frame = found[:, :, "late"], frame[frame["class"] == "late"]
    mean = shap.Explanation(np.nanmean(found.values, axis=1), found.base_values, found.data)
    assert mean.values.tolist() == pytest.approx(frame.groupby("start_offset")["loo"].mean().tolist())
    assert drawn(mean) == list("acca")


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("mode", ["remove", "replace"])
def test_a_sequence_may_span_several_row_groups(encode_rows, model_folder, score_and_merge, monkeypatch, size, mode):
    rows = random_rows(6)
    encoded, model = encode_rows(rows), model_folder()
    options = {"mode": mode, "replacements": REPLACEMENTS, "shards": 3}
    whole = score_and_merge(model, encoded, **options)
    monkeypatch.setattr(merging, "GROUP_ROWS", size)
    pieces = score_and_merge(model, encoded, **options)

    metadata = pq.read_metadata(pieces / "scores.parquet")
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert len(sizes) > 6
    assert set(sizes[:-1]) == {size}
    frame = pd.read_parquet(whole / "scores.parquet")
    assert pd.read_parquet(pieces / "scores.parquet").equals(frame)
    for suffix in ("csv", "pkl"):
        assert (pieces / f"scores.{suffix}").read_bytes() == (whole / f"scores.{suffix}").read_bytes()
    frames = list(merging.read(pieces / "scores.parquet"))
    assert [frame["sequence"].unique().tolist() for frame in frames] == [[name] for name in frame["sequence"].unique()]
    assert pd.concat(frames, ignore_index=True).equals(frame)


def test_merging_nothing_is_an_error_and_leaves_no_file(encode_rows, model_folder, job, tmp_path):
    part = tmp_path / "part.parquet"
    score_shard(job(model_folder(), encode_rows(random_rows(2)), shard=30, shards=64), part)
    outputs = [tmp_path / "out" / f"scores.{suffix}" for suffix in SUFFIXES]
    with pytest.raises(RnalmError, match="no sequence was scored"):
        merging.merge([part, part], outputs)
    assert not list(tmp_path.glob("out/*"))


def test_an_interrupted_merge_leaves_nothing_half_written(encode_rows, model_folder, job, tmp_path, monkeypatch):
    part = tmp_path / "part.parquet"
    score_shard(job(model_folder(), encode_rows(random_rows(3))), part)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(merging, "explanation", stop)
    with pytest.raises(KeyboardInterrupt):
        merging.merge([part], [tmp_path / "out" / f"scores.{suffix}" for suffix in SUFFIXES])
    assert not (tmp_path / "out" / "scores.pkl").exists()
    assert not list(tmp_path.glob("out/.*"))
