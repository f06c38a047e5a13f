"""Several numbers a row: each target is scaled, learned, measured and explained by itself, as far as it is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics as sk

from rnalm.config import Columns, Encode, Finetune, Folds, Labels, Saluki, Table
from rnalm.config.load import load
from rnalm.labels import check, folds, losses, metrics
from rnalm.labels import labels as meanings
from rnalm.labels.scaling import Scaler, check_positive
from rnalm.labels.targets import mean_and_sd, vary
from rnalm.models import registry
from rnalm.prediction import evaluate, measure
from rnalm.prediction.predict import check_fit, predict, predict_file
from rnalm.scoring.job import Job as ScoringJob
from rnalm.scoring.shard import score_shard
from rnalm.tokens import dataset, encode, learn
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenizer import load_tokenizer, save_tokenizer
from rnalm.training import finetune, fold
from rnalm.training.trainer import Job
from rnalm.training.training_set import TrainingSet

TARGETS = ["liver", "brain", "heart"]
COLUMNS = {"id": "id", "sequence": "sequence", "label": TARGETS}
ROWS = [("a", "ACGT", "1.5", "0", ""), ("b", "GGT", "-2", "1e3", "7"), ("c", "TTTT", "", "NA", "0")]
NAN = float("nan")
CONFIG = {"output": "out", "source": {"path": "t.tsv", "columns": COLUMNS}}


@pytest.fixture
def table(tmp_path):
    def write(rows=ROWS, **options) -> Table:
        lines = ["\t".join(["id", "sequence", *TARGETS]), *("\t".join(row) for row in rows)]
        (tmp_path / "t.tsv").write_text("\n".join(lines) + "\n")
        return Table(path=str(tmp_path / "t.tsv"), **{"columns": COLUMNS, "missing": ["NA"]} | options)

    return write


def encoded(source, folder) -> str:
    output = folder / "encoded.parquet"
    encode.encode(source, learn.learn(source), output, Encode(), "regression", Labels(), require_labels=True)
    return str(output)


# Reading


def test_each_target_has_a_column_and_what_is_empty_is_not_known(table, tmp_path):
    path = encoded(table(), tmp_path)
    assert encode.metadata(path)["classes"] == TARGETS
    found = np.array([sequence.label for group in dataset.read(path) for sequence in group])
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[1.5, 0, NAN], [-2, 1000, 7], [NAN, NAN, 0]])


def test_a_list_of_one_column_is_a_number(table, tmp_path):
    rows = [(*row[:2], str(number), *row[3:]) for number, row in enumerate(ROWS)]
    path = encoded(table(rows, columns=COLUMNS | {"label": ["liver"]}), tmp_path)
    assert "classes" not in encode.metadata(path)
    assert [sequence.label for group in dataset.read(path) for sequence in group] == [0, 1, 2]


def test_what_is_no_number_is_told_with_its_target(table, tmp_path, refusal):
    message = refusal(encoded, table([("a", "ACGT", "1", "high", "2")]), tmp_path)
    assert message == f"{tmp_path}/t.tsv, line 2: 'brain' of 'a' is 'high', expected a number"


def test_a_row_of_which_no_target_is_known_has_no_label(table, tmp_path, refusal):
    rows = [*ROWS, ("d", "ACGT", "", "NA", "")]
    assert "'d' has no label" in refusal(encoded, table(rows), tmp_path)
    assert encode.metadata(encoded(table(rows, unlabelled="drop"), tmp_path))["sequences"] == 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"task": "classification"}, "source.columns.label: found ['liver', 'brain', 'heart']; task: classification has one"),
        ({"labels": {"per": "token"}, "model": {"name": "frames"}}, "task: regression with labels.per: token has one column"),
        ({"inference": {"new": {"path": "n.tsv", "columns": COLUMNS | {"label": ["liver", "heart"]}}}}, "those of source"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(refusal, changes, problem):
    assert problem in refusal(load, CONFIG | changes)


def test_one_number_has_nothing_to_choose_from(refusal):
    one = {"source": {"path": "t.tsv", "columns": COLUMNS | {"label": "liver"}}}
    message = refusal(load, CONFIG | one | {"interpret": {"explain": "liver"}})
    assert "interpret.explain is for classes, or several targets; found one number" in message


def test_check_tells_a_target_that_does_not_vary(table):
    source = table([("a", "ACGT", "1", "5", "2"), ("b", "AC", "2", "5", ""), ("c", "GT", "", "5", "1")])
    settings = load(CONFIG | {"source": {"path": source.path, "columns": COLUMNS}, "labels": {"scaling": "standard"}})
    found = check.check(settings.training_source, settings, trains=True)
    assert found.problems.lines == [
        "target brain: labels.scaling: all training labels are 5, so standard scaling is not possible"
    ]


# Units


numbers = arrays(np.float64, st.tuples(st.integers(3, 20), st.integers(2, 4)), elements=st.floats(0.1, 1000))


@given(numbers, st.sampled_from(["none", "log", "minmax", "standard"]), st.data())
def test_targets_are_scaled_each_as_if_it_were_alone(labels, method, data):
    labels = labels + np.arange(len(labels))[:, None]  # they vary
    unknown = data.draw(arrays(bool, labels.shape))
    unknown[:2] = False
    given_labels = np.where(unknown, np.nan, labels)
    scaler = Scaler.fit_each(method, given_labels, [str(k) for k in range(labels.shape[1])])
    scaled = scaler.transform(labels)
    for k, (own, wanted) in enumerate(zip(given_labels.T, labels.T, strict=True)):
        alone = Scaler.fit(method, own[~np.isnan(own)])
        np.testing.assert_array_equal(scaled[:, k], alone.transform(wanted))
    np.testing.assert_allclose(scaler.inverse(scaled), labels, rtol=1e-9)
    np.testing.assert_allclose(scaler.inverse(torch.from_numpy(scaled)), labels, rtol=1e-9)


def test_a_target_that_no_row_has_stays_as_it_is():
    scaler = Scaler.fit_each("standard", np.array([[1.0, NAN], [3.0, NAN]]), ["a", "b"])
    assert (scaler.center, scaler.scale) == ((2, 0), (1, 1))


def test_labels_come_back_from_their_file(tmp_path):
    labels = meanings.Labels("regression", Scaler("standard", (1.0, 2.0), (3.0, 4.0)), ("a", "b"))
    labels.save(tmp_path / "labels.json")
    assert meanings.Labels.load(tmp_path / "labels.json") == labels


def test_a_logarithm_that_is_not_there_is_told_with_its_row(refusal):
    labels = np.array([[1, NAN], [2, 0], [NAN, 3]])
    message = refusal(check_positive, labels, lambda rows: [f"s{row}" for row in rows])
    assert message == "labels.scaling: log needs labels > 0, found 1 that are not: s1 (0)"


def test_mean_and_spread_are_weighted_and_of_what_is_known():
    draw = np.random.default_rng(0)
    targets, weights = draw.normal(3, 2, (50, 3)), draw.uniform(0, 2, 50)
    targets[draw.random((50, 3)) < 0.4] = np.nan
    targets[:, 2] = np.nan
    mean, sd = mean_and_sd(lambda: [(targets[:20], weights[:20]), (targets[20:], weights[20:])])
    for k in range(2):
        known = ~np.isnan(targets[:, k])
        expected = np.average(targets[known, k], weights=weights[known])
        spread = np.sqrt(np.average((targets[known, k] - expected) ** 2, weights=weights[known]))
        np.testing.assert_allclose([mean[k], sd[k]], [expected, spread])
    assert (mean[2], sd[2]) == (0, 1)


# Learning


def test_the_loss_is_the_mean_over_known_targets_in_their_own_units():
    logits = torch.tensor([[1.0, 10.0], [2.0, 30.0], [0.0, 5.0]], requires_grad=True)
    targets = torch.tensor([[0.0, NAN], [4.0, 10.0], [NAN, NAN]])
    each = losses.per_row("regression", logits, targets, [2.0, 10.0])
    assert each.tolist() == [0.25, (1 + 4) / 2, 0]
    loss = losses.of_batch("regression", logits, targets, torch.tensor([1.0, 2.0, 1.0]), None, [2.0, 10.0])
    assert loss.item() == pytest.approx((0.25 + 2 * 2.5) / 3)
    loss.backward()
    assert torch.equal(logits.grad != 0, ~targets.isnan())


def test_metrics_are_those_of_each_target_and_their_means():
    draw = np.random.default_rng(1)
    truth = draw.normal(size=(40, 3)) * [1, 10, 100]
    predicted = truth + draw.normal(size=(40, 3)) * [1, 5, 300]
    truth[draw.random((40, 3)) < 0.3] = np.nan
    values, each = metrics.regression(truth, predicted), metrics.each_target(truth, predicted)
    for k, own in enumerate(each):
        known = ~np.isnan(truth[:, k])
        assert own["rows"] == known.sum()
        assert own["mse"] == pytest.approx(sk.mean_squared_error(truth[known, k], predicted[known, k]))
        assert own["spearman"] == pytest.approx(stats.spearmanr(truth[known, k], predicted[known, k]).statistic)
    for name in ("mse", "mae", "r2", "pearson", "spearman"):
        assert values[name] == pytest.approx(np.mean([own[name] for own in each]))
    known = ~np.isnan(truth)
    assert values["r2_micro"] == pytest.approx(sk.r2_score(truth[known], predicted[known]))


def test_a_target_that_is_not_defined_is_left_out_of_means():
    truth = np.array([[1.0, 5.0, NAN], [2.0, 5.0, NAN], [3.0, 5.0, NAN]])
    values = metrics.regression(truth, np.array([[1.0, 5.0, 0.0], [2.0, 6.0, 0.0], [4.0, 5.0, 0.0]]))
    assert values["pearson"] == pytest.approx(np.corrcoef([1, 2, 3], [1, 2, 4])[0, 1])
    assert values["mse"] == pytest.approx((1 / 3 + 1 / 3) / 2)


def test_a_target_that_is_predicted_the_same_for_all_counts_as_not_correlated():
    truth = np.array([[1.0, 1.0], [2.0, 3.0], [3.0, 2.0]])
    values = metrics.regression(truth, np.array([[1.0, 7.0], [2.0, 7.0], [3.0, 7.0]]))
    assert (values["pearson"], values["spearman"]) == pytest.approx((0.5, 0.5))


def test_equal_targets_have_no_spread_however_they_are_weighted():
    targets = np.stack([np.full(50, 0.1), np.where(np.arange(50) < 40, 0.1, 5.0)], axis=1)
    weights = np.where(np.arange(50) < 40, np.random.default_rng(0).uniform(0.1, 2, 50), 0)
    mean, sd = mean_and_sd(lambda: [(targets, weights)])
    assert sd.tolist() == [1, 1], "of the second, what differs weighs nothing"
    np.testing.assert_allclose(mean, 0.1)


@pytest.mark.parametrize(
    ("targets", "each", "pooled"),
    [
        ([[1.0, 2.0], [1.0, 2.0]], False, True),
        ([[1.0, 2.0], [1.0, 3.0]], True, True),
        ([[1.0, NAN], [NAN, 1.0]], False, False),
        ([1.0, NAN], False, False),
        ([1.0, 2.0], True, True),
    ],
)
def test_targets_vary_each_by_itself(targets, each, pooled):
    blocks = [(np.array([one]), np.ones(1)) for one in targets]
    assert (vary(blocks), vary(blocks, pooled=True)) == (each, pooled)


def test_a_metric_is_refused_where_no_target_has_different_labels(tmp_path, refusal):
    for task, kind in (("regression", "target"), ("multilabel", "class")):
        rows = TrainingSet(tmp_path, 9, meanings.Labels(task, classes=("a", "b")))
        labels = [np.array([1.0, 0.0]), np.array([1.0, NAN])]
        rows.extend([Encoded(row, "s", np.array([7]), None, label, 1.0, None) for row, label in enumerate(labels)])
        metric = {"regression": "pearson", "multilabel": "f1_macro"}[task]
        message = refusal(fold.check_metric, metric, 3, rows)
        told = f"on the 2 validation rows of fold 3, which have the same label of each {kind}"
        assert message == f"finetune.metric: {metric} is not defined {told}"
    fold.check_metric("roc_auc_micro", 3, rows)  # of all pairs together, it is
    fold.check_metric("loss", 3, rows)


# From a table to scores


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Job:
    """A model of three targets, of which the second is often unknown, on scales of their own."""
    folder, draw = tmp_path_factory.mktemp("numbers"), np.random.default_rng(0)
    rows = []
    for row in range(80):
        text = "".join(draw.choice(list("ACGT"), draw.integers(12, 24)))
        a, c, g = (text.count(letter) / len(text) for letter in "ACG")
        rows.append((f"s{row}", text, f"{10 * a:.4f}", "" if row % 3 else f"{1000 * c:.4f}", f"{g + 50:.4f}"))
    pd.DataFrame(rows, columns=["id", "sequence", *TARGETS]).to_csv(folder / "t.tsv", sep="\t", index=False)
    source = Table(path=str(folder / "t.tsv"), columns=Columns(**COLUMNS))
    tokenizer = learn.learn(source)
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    encode.encode(source, tokenizer, folder / "encoded.parquet", task="regression")
    folds.assign_file(folder / "encoded.parquet", folder / "folds.parquet", Folds(), "regression", seed=1)
    files = {name: str(folder / f"{name}.parquet") for name in ("encoded", "folds")}
    job = Job(
        **files | {"tokenizer": str(folder / "tokenizer.json"), "output": str(folder / "model"), "fold": 0, "replicate": 0},
        **{"task": "regression", "scaling": "none", "class_weights": False, "seed": 1, "threads": 1},
        model=Saluki(filters=8, layers=1, kernel_size=3, dropout=0).model_dump(),
        options=Finetune(epochs=40, batch_size=8, learning_rate=0.01, patience=None).model_dump(mode="json"),
    )
    finetune.finetune(job)
    return job


def test_every_target_is_learned_in_its_own_units(trained):
    results = json.loads(Path(trained.output, "eval_results.json").read_text())
    assert results["eval_pearson"] > 0.8
    config = json.loads(Path(trained.output, "config.json").read_text())
    assert list(config["id2label"].values()) == TARGETS
    training = fold.load(trained).training
    [(targets, _)] = training.known()
    np.testing.assert_allclose(config["output_mean"], np.nanmean(targets, axis=0), rtol=1e-5)


def test_predictions_are_tabulated_by_target(trained, tmp_path):
    model = Path(trained.output)
    predict_file(model, trained.encoded, tmp_path / "part.parquet")
    evaluate.evaluate_fold(tmp_path / "part.parquet", model)
    evaluate.merge([tmp_path / "part.parquet"] * 2, [model] * 2, tmp_path)
    sequences = [sequence for group in dataset.read(trained.encoded) for sequence in group]
    outputs, truth = predict(registry.load(model), sequences), np.array([sequence.label for sequence in sequences])
    table = pd.read_csv(tmp_path / "test_predictions.csv")
    np.testing.assert_allclose(table[[f"pred_{name}" for name in TARGETS]], outputs, rtol=1e-6)
    np.testing.assert_array_equal(table[[f"label_{name}" for name in TARGETS]], truth)
    assert table["label"][1] == ";".join("" if np.isnan(own) else f"{own:.15g}" for own in truth[1])
    results = json.loads((tmp_path / "results.json").read_text())
    of_fold = json.loads((model / "test_results.json").read_text())
    for k, name in enumerate(TARGETS):
        known = ~np.isnan(truth[:, k])
        expected = stats.pearsonr(truth[known, k], outputs[known, k]).statistic
        assert results["per_target"][name]["pearson"] == pytest.approx(expected)
        assert of_fold["test_per_target"][name]["pearson"] == pytest.approx(expected)
    ranks = pd.read_csv(tmp_path / "rank_deltas.csv")
    assert ranks.groupby("target").size().to_dict() == {"liver": 80, "brain": 27, "heart": 80}
    pd.testing.assert_frame_equal(ranks, pd.read_csv(model / "rank_deltas.csv"))
    labels = meanings.Labels.load(model / "labels.json")
    [(_, known, shown)] = measure.read(tmp_path / "predictions.parquet", labels, {"all": []})
    np.testing.assert_array_equal(known, truth)
    np.testing.assert_allclose(shown, outputs, rtol=1e-6)


def save_labels(table: pa.Table, labels: list, encoded: str, path: Path) -> None:
    """Write an encoded file with other labels."""
    field, stored = table.schema.field("label"), pq.read_metadata(encoded).metadata[encode.METADATA]
    table = table.set_column(table.column_names.index("label"), field, pa.array(labels, field.type))
    pq.write_table(table.replace_schema_metadata({encode.METADATA: stored}), path)


def test_logarithms_are_of_each_target(trained, refusal, tmp_path):
    logarithmic = replace(trained, scaling="log", output=str(tmp_path / "model"))
    assert refusal(fold.load, logarithmic).startswith("labels.scaling: log needs labels > 0, found ")
    table = pq.read_table(trained.encoded)
    labels = [[None if own is None else own + 1 for own in row] for row in table["label"].to_pylist()]
    save_labels(table, labels, trained.encoded, tmp_path / "encoded.parquet")
    data = fold.load(replace(logarithmic, encoded=str(tmp_path / "encoded.parquet")))
    [(targets, _)] = data.training.known()
    parts = folds.read(trained.folds)[0]
    expected = np.array(labels, dtype=float)[parts == folds.TRAIN]
    np.testing.assert_allclose(data.meaning.scaler.inverse(targets.astype(float)), expected, rtol=1e-5)


def test_sequences_without_labels_are_predicted_too(trained, tmp_path):
    (tmp_path / "new.tsv").write_text("id\tsequence\n" + "".join(f"n{row}\tACGTACGTACGT{'A' * row}\n" for row in range(5)))
    source = Table(path=str(tmp_path / "new.tsv"), columns=Columns(id="id", sequence="sequence"))
    encode.encode(source, load_tokenizer(trained.output), tmp_path / "new.parquet", task="regression")
    predict_file(trained.output, tmp_path / "new.parquet", tmp_path / "part.parquet")
    evaluate.merge([tmp_path / "part.parquet"] * 2, [trained.output] * 2, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/test_predictions.csv")
    assert table["label"].isna().all()
    assert table[[f"pred_{name}" for name in TARGETS]].notna().all(axis=None)
    assert json.loads((tmp_path / "out/results.json").read_text()) == {"rows": 0}


@pytest.mark.parametrize(
    ("explain", "names"), [(None, TARGETS), ("brain", ["brain"]), (["heart", "liver"], ["heart", "liver"])]
)
def test_scores_are_what_an_edit_changes_in_each_target(trained, tmp_path, explain, names):
    job = ScoringJob(
        **{"mode": "remove", "scorer": "incremental", "encoded": trained.encoded, "model_folders": [trained.output]},
        **{"shard": 0, "shards": 1, "explain": explain, "sample_size": 4, "folds": None, "replacements": {}},
        **{"replace_modifiers": False, "scale": "probability"},
    )
    score_shard(job, tmp_path / "scores.parquet")
    table = pd.read_parquet(tmp_path / "scores.parquet")
    model = registry.load(trained.output)
    sequences = {sequence.id: sequence for group in dataset.read(trained.encoded) for sequence in group}
    units = np.array(json.loads(Path(trained.output, "config.json").read_text())["output_sd"])
    for (name, start), rows in table.groupby(["sequence", "start_offset"]):
        sequence = sequences[name]
        ids = np.delete(sequence.input_ids, start)
        changed = dataset.Encoded(0, "", ids, None, None, 1.0, None)
        own, [before] = [TARGETS.index(own) for own in names], predict(model, [sequence])
        difference = predict(model, [changed])[0] - before
        assert rows["class"].tolist() == names
        np.testing.assert_array_equal(rows["label"], sequence.label[own])
        np.testing.assert_allclose(rows["pred"], before[own], rtol=1e-5)
        # Scorers agree to 1e-5 before outputs are scaled; numbers of 32 bits do not tell label units more finely than this.
        most = 1e-5 * units[own] + 2 * np.spacing(before[own].astype(np.float32))
        assert (np.abs(rows["loo"] - difference[own]) <= most).all()


def test_files_of_other_targets_are_refused(trained, table, tmp_path, refusal):
    labels = meanings.Labels.load(Path(trained.output) / "labels.json")
    source = table(columns=COLUMNS | {"label": ["brain", "liver"]})
    tokenizer = learn.learn(Table(path=str(Path(trained.encoded).parent / "t.tsv"), columns=Columns(**COLUMNS)))
    for columns, problem in (
        (["brain", "liver"], "columns.label has the targets brain, liver, but the model"),
        ("heart", "one number is known of each sequence, but the model"),
    ):
        source = table(columns=COLUMNS | {"label": columns}, unlabelled="drop")
        encode.encode(source, tokenizer, tmp_path / "other.parquet", task="regression")
        message = refusal(check_fit, trained.output, tmp_path / "other.parquet", labels)
        assert problem in message
        assert message.endswith(" in this order")


def test_a_target_of_which_no_training_row_has_a_number_is_told(trained, tmp_path, caplog):
    table = pq.read_table(trained.encoded)
    parts = folds.read(trained.folds)[0]
    rows = zip(table["label"].to_pylist(), parts == folds.TRAIN, strict=True)
    labels = [[*own[:2], None if trains else own[2]] for own, trains in rows]
    save_labels(table, labels, trained.encoded, tmp_path / "encoded.parquet")
    fold.load(replace(trained, encoded=str(tmp_path / "encoded.parquet"), output=str(tmp_path / "model")))
    assert "fold 0: no training row has a number of these targets: heart; nothing is learned of them" in caplog.text
