import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import softmax

from rnalm.errors import RnalmError
from rnalm.files import read_json, write_json
from rnalm.labels.labels import Labels
from rnalm.labels.scaling import Scaler
from rnalm.prediction import evaluate
from rnalm.prediction.stacked import Stacked

CLASSES = ("early", "late", "mid")
LOG = Labels("regression", Scaler("log"))


def write_part(path, rows, truth, outputs) -> str:
    """Write what one model predicted: raw outputs for some rows of a source; the id of row 3 is r3."""
    text = any(isinstance(label, str) for label in truth)
    label = pa.array(truth, pa.string() if text else pa.float64())
    outputs = pa.array([np.atleast_1d(output).tolist() for output in outputs], pa.list_(pa.float32()))
    ids = pa.array([f"r{row}" for row in rows], pa.string())
    table = pa.table({"row": pa.array(rows, pa.int64()), "id": ids, "label": label, "outputs": outputs})
    with pq.ParquetWriter(path, table.schema) as writer:
        for batch in table.to_batches():
            if len(batch):
                writer.write_batch(batch)
    return str(path)


@pytest.fixture
def model_folder(tmp_path):
    """Make a folder that says what a model's outputs mean."""

    def make(labels: Labels) -> str:
        folder = tmp_path / f"model_{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        labels.save(folder / "labels.json")
        write_json(folder / "train_results.json", {"train_loss": 0.5})
        write_json(folder / "eval_results.json", {"eval_loss": 0.25})
        return str(folder)

    return make


@pytest.fixture
def merged(tmp_path, model_folder):
    """Merge what models predicted, given as (rows, labels, outputs), and read the tables."""

    def make(parts, labels: list[Labels], stacked: Stacked | None = None):
        paths = [write_part(tmp_path / f"part_{index}.parquet", *part) for index, part in enumerate(parts)]
        output = tmp_path / "predict"
        evaluate.merge(paths, [model_folder(meaning) for meaning in labels], output, stacked)
        table = pd.read_csv(output / "test_predictions.csv").rename(columns={"sequence": "id", "prediction": "pred"})
        return pd.read_parquet(output / "predictions.parquet"), table, output

    return make


# One fold


def test_a_fold_is_evaluated_in_the_units_of_its_labels(tmp_path, model_folder):
    truth, logs = np.array([1.0, 10.0, 100.0]), np.log([2.0, 8.0, 50.0])
    folder = model_folder(LOG)
    evaluate.evaluate_fold(write_part(tmp_path / "part.parquet", [4, 7, 9], truth, logs), folder)

    predictions = pd.read_csv(f"{folder}/test_predictions.csv")
    assert list(predictions.columns) == ["sequence", "label", "prediction"]
    assert predictions["sequence"].tolist() == ["r4", "r7", "r9"]
    assert predictions["prediction"].tolist() == pytest.approx([2, 8, 50])
    assert pd.read_csv(f"{folder}/rank_deltas.csv")["rank_delta"].tolist() == [0, 0, 0]
    results = read_json(f"{folder}/test_results.json")
    assert results["test_mae"] == pytest.approx((1 + 2 + 50) / 3)
    assert results["test_scaled_mae"] == pytest.approx(np.mean(np.abs(logs - np.log(truth))))
    assert results["test_spearman"] == pytest.approx(1)
    assert results["test_rows"] == 3


def test_metrics_that_are_not_defined_are_null_and_all_results_hold_those_of_training_validation_and_test(
    tmp_path, model_folder
):
    folder = model_folder(LOG)
    evaluate.evaluate_fold(write_part(tmp_path / "part.parquet", [0], [1.0], [0.0]), folder)
    tested = read_json(f"{folder}/test_results.json")
    assert tested["test_pearson"] is None
    assert read_json(f"{folder}/all_results.json") == {"train_loss": 0.5, "eval_loss": 0.25} | tested


def test_a_fold_of_classes_has_probabilities_and_metrics_by_class(tmp_path, model_folder):
    folder = model_folder(Labels("classification", classes=CLASSES))
    logits = np.array([[2.0, 0, 0], [0, 3, 1], [1, 0, 4], [5, 0, 0]])
    evaluate.evaluate_fold(write_part(tmp_path / "p.parquet", range(4), ["early", "late", "mid", "mid"], logits), folder)
    predictions = pd.read_csv(f"{folder}/test_predictions.csv")
    assert list(predictions.columns) == ["sequence", "label", "prediction", "prob_early", "prob_late", "prob_mid"]
    assert predictions["prediction"].tolist() == ["early", "late", "mid", "early"]
    np.testing.assert_allclose(predictions.filter(like="prob_"), softmax(logits, axis=1), rtol=1e-6)
    results = read_json(f"{folder}/test_results.json")
    assert results["test_accuracy"] == 0.75
    assert results["test_per_class"]["mid"]["recall"] == 0.5
    report = pd.read_csv(f"{folder}/classification_report.csv", index_col=0)
    assert list(report.index) == [*CLASSES, "accuracy", "macro avg", "weighted avg"]
    assert report.loc["mid"].to_dict() == {"precision": 1, "recall": 0.5, "f1-score": pytest.approx(2 / 3), "support": 2}
    assert report.loc["accuracy", "precision"] == 0.75


# Several models


def test_the_ensemble_is_mean_and_sample_deviation_in_label_units_in_input_order(merged):
    outputs = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    truth = [1.0, 2.0, 3.0, 4.0, 5.0]
    parquet, table, _ = merged([(range(5), truth, row) for row in outputs], [LOG, LOG, LOG])
    each = np.exp(outputs.astype(np.float64))
    assert list(table.columns) == ["id", "label", "pred", "pred_sd", "models"]
    assert table["id"].tolist() == [f"r{row}" for row in range(5)]
    assert table["label"].tolist() == truth
    np.testing.assert_allclose(table["pred"], each.mean(axis=0))
    np.testing.assert_allclose(table["pred_sd"], each.std(axis=0, ddof=1))
    assert set(table["models"]) == {3}
    for model in range(3):
        np.testing.assert_allclose(parquet[f"pred.{model}"], each[model])


def test_each_model_has_its_own_scaler(merged):
    labels = [Labels("regression", Scaler("standard", 10.0, 2.0)), Labels("regression", Scaler("minmax", 0.0, 100.0))]
    _, table, _ = merged([([0], [1.0], [1.0]), ([0], [1.0], [0.5])], labels)
    assert table["pred"].tolist() == [(12 + 50) / 2]


def test_models_count_by_their_weights_among_those_that_saw_a_row(merged):
    parts = [([0, 1], [2.0, 3.0], np.log([2.0, 4.0])), ([0, 1], [2.0, 3.0], np.log([6.0, 8.0])), ([1], [3.0], np.log([16.0]))]
    frame, *_ = merged(parts, [LOG] * 3, Stacked([0.25, 0.75, 1.0], LOG))
    assert frame["pred"].to_numpy() == pytest.approx([5.0, (0.25 * 4 + 0.75 * 8 + 16) / 2])
    squares = 0.25 * (2 - 5) ** 2 + 0.75 * (6 - 5) ** 2
    assert frame["pred_sd"][0] == pytest.approx(np.sqrt(squares / (1 - 0.25**2 - 0.75**2)))
    frame, *_ = merged(parts[:2], [LOG] * 2, Stacked([1.0, 0.0], LOG))
    assert frame["pred"].to_numpy() == pytest.approx([2.0, 4.0])
    assert frame["pred_sd"].isna().all(), "one model alone has no spread"


def test_weights_are_those_of_the_folds(tmp_path, refusal):
    for fold, weights in enumerate(({"0": 0.2, "baseline-0": 0.8}, {"1": 1.0, "baseline-1": 0.0})):
        (tmp_path / str(fold)).mkdir()
        LOG.save(tmp_path / str(fold) / "labels.json")
        write_json(tmp_path / str(fold) / "weights.json", {"weights": weights})
    folders = [tmp_path / "0", tmp_path / "1"]
    stacked = Stacked.read(folders, ["1", "baseline-0", "0", "baseline-1"])
    assert (stacked.weights, stacked.meaning) == ([1.0, 0.8, 0.2, 0.0], LOG)
    assert "no weight of 2; found those of 0, baseline-0" in refusal(Stacked.read, folders, ["2"])
    write_json(tmp_path / "0" / "weights.json", {})
    assert "0/weights.json: no weights of models" in refusal(Stacked.read, folders, ["1"])


def test_rows_that_some_models_predict_have_the_mean_of_these(merged):
    labels = [Labels("regression")] * 2
    parquet, table, _ = merged([([1, 4], [1.0, 4.0], [10.0, 20.0]), ([2, 4], [2.0, 4.0], [30.0, 40.0])], labels)
    assert table["id"].tolist() == ["r1", "r2", "r4"]
    assert table["label"].tolist() == [1, 2, 4]
    assert table["pred"].tolist() == [10, 30, 30]
    assert table["models"].tolist() == [1, 1, 2]
    assert table["pred_sd"].isna().tolist() == [True, True, False]
    assert table["pred_sd"][2] == pytest.approx(np.std([20, 40], ddof=1))
    assert parquet["pred.0"].isna().tolist() == [False, True, False]
    assert parquet["pred.1"].isna().tolist() == [True, False, False]


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("window", [1, 3, 7])
def test_the_size_of_the_window_does_not_matter(merged, monkeypatch, task, window):
    random = np.random.default_rng(1)
    rows = [np.sort(random.choice(40, size, replace=False)) for size in (9, 15)]
    labels = LOG if task == "regression" else Labels("classification", classes=CLASSES)
    values = [None, *(CLASSES if task == "classification" else (1.5, 2.5, 0.5))]
    parts = [(r, [values[x % len(values)] for x in r], random.normal(size=(len(r), labels.n_outputs))) for r in rows]
    whole, _, output = merged(parts, [labels] * 2)
    names = ["test_predictions.csv", "results.json", "rank_deltas.csv" if task == "regression" else "classification_report.csv"]
    texts = {name: (output / name).read_text() for name in names}
    monkeypatch.setattr(evaluate, "WINDOW", window)
    pieces, _, output = merged(parts, [labels] * 2)
    pd.testing.assert_frame_equal(pieces, whole, check_exact=True)
    assert {name: (output / name).read_text() for name in names} == texts


def test_rows_without_labels_are_predicted_and_not_evaluated(merged):
    _, table, output = merged([([0, 1, 2], [1.0, None, 3.0], [2.0, 9.0, 3.0])], [Labels("regression")])
    assert table["pred"].tolist() == [2, 9, 3]
    assert table["pred_sd"].isna().all(), "a single model has no deviation"
    assert table["label"].isna().tolist() == [False, True, False]
    assert pd.read_csv(output / "rank_deltas.csv")["seqs"].tolist() == ["r0", "r2"]
    results = read_json(output / "results.json")
    assert results["rows"] == 2
    assert results["mae"] == 0.5


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_source_without_any_labels_is_predicted(merged, task):
    labels = Labels("regression") if task == "regression" else Labels("classification", classes=CLASSES)
    _, table, output = merged([([0, 1], [None, None], np.ones((2, labels.n_outputs)))] * 2, [labels] * 2)
    assert len(table) == 2
    assert read_json(output / "results.json") == {"rows": 0}
    assert (output / "rank_deltas.csv").exists() == (task == "regression")
    assert (output / "classification_report.csv").exists() == (task == "classification")


def test_the_ensemble_of_classes_is_the_mean_of_probabilities(merged):
    logits = np.array([[[4.0, 0, 0], [0, 1, 0]], [[0, 1, 0], [0, 0, 3]]], dtype=np.float32)
    parts = [(range(2), ["early", None], each) for each in logits]
    parquet, table, output = merged(parts, [Labels("classification", classes=CLASSES)] * 2)
    each = softmax(logits.astype(np.float64), axis=2)
    names = [f"prob_{name}" for name in CLASSES]
    assert list(table.columns) == ["id", "label", "pred", *names, *(f"{name}_sd" for name in names), "models"]
    np.testing.assert_allclose(table[names], each.mean(axis=0))
    np.testing.assert_allclose(table[[f"{name}_sd" for name in names]], each.std(axis=0, ddof=1))
    assert table["pred"].tolist() == ["early", "mid"]
    np.testing.assert_allclose(parquet[[f"{name}.1" for name in names]], each[1])
    results = read_json(output / "results.json")
    assert results["accuracy"] == 1
    assert results["per_class"]["early"]["recall"] == 1


@pytest.mark.parametrize(
    "classes",
    [("E. coli", "H. sapiens"), ("B.1", "B.1.1"), ("A", "A_sd", "A__sd"), ("a", "a.0", "a..0"), ("A", "A_sd", "A.1")],
)
def test_no_column_has_two_meanings_whatever_classes_are_called(merged, classes):
    labels = Labels("classification", classes=classes)
    draw = np.random.default_rng(0)
    outputs = draw.normal(size=(2, 4, len(classes)))
    truth = [classes[row % len(classes)] for row in range(4)]
    predictions, _, _ = merged([(range(4), truth, each) for each in outputs], [labels, labels])
    assert predictions.columns.is_unique
    for model, each in enumerate(outputs):
        columns = evaluate.score_columns(labels, model)
        np.testing.assert_allclose(predictions[columns], softmax(each, axis=1), rtol=1e-6)
    both = softmax(outputs, axis=2)
    np.testing.assert_allclose(predictions[evaluate.score_columns(labels)], both.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(predictions[evaluate.spread_columns(labels)], both.std(axis=0, ddof=1), rtol=1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_prediction_that_is_not_finite_is_told(merged):
    with pytest.raises(RnalmError, match="predictions are not finite in the units of the labels"):
        merged([([0, 1], [1.0, 2.0], [0.5, 1e6])], [LOG])


def test_models_that_predict_different_things_are_not_combined(merged):
    first, other = (Labels("classification", classes=("early", name)) for name in ("late", "mid"))
    with pytest.raises(RnalmError, match=r"predicts the classes early, mid, but .* predicts the classes early, late"):
        merged([([0], ["early"], [[1.0, 0.0]])] * 2, [first, other])
    with pytest.raises(RnalmError, match=r"predicts the classes early, late, but .* predicts a number"):
        merged([([0], [None], [1.0])] * 2, [Labels("regression"), first])


def test_merging_no_predictions_is_an_error_and_leaves_no_file(merged, tmp_path):
    with pytest.raises(RnalmError, match="no predictions to merge"):
        merged([([], [], [])], [Labels("regression")])
    assert not list((tmp_path / "predict").iterdir())


def test_a_model_that_predicted_nothing_does_not_count(merged):
    _, table, _ = merged([([], [], []), ([0, 2], [1.0, 2.0], [3.0, 4.0])], [Labels("regression")] * 2)
    assert table["pred"].tolist() == [3, 4]
    assert table["models"].tolist() == [1, 1]


# Summary of the folds


def test_the_summary_holds_each_metric_of_each_fold_and_mean_and_deviation(tmp_path):
    for fold, (mse, pearson) in enumerate([(1.0, 0.5), (2.0, 0.7), (6.0, None)]):
        write_json(tmp_path / f"{fold}.json", {"test_mse": mse, "test_pearson": pearson, "test_per_class": {"a": {}}})
    names = {0: "0", 1: "0.1", 2: "1"}
    evaluate.summarize({name: tmp_path / f"{fold}.json" for fold, name in names.items()}, tmp_path / "summary.csv")
    found = pd.read_csv(tmp_path / "summary.csv", index_col="metric")
    assert list(found.columns) == ["fold_0", "fold_0.1", "fold_1", "mean", "sd"]
    assert list(found.index) == ["test_mse", "test_pearson"]
    assert found.loc["test_mse"].tolist() == pytest.approx([1, 2, 6, 3, np.std([1, 2, 6], ddof=1)])
    assert found.loc["test_pearson", ["mean", "sd"]].tolist() == pytest.approx([0.6, np.std([0.5, 0.7], ddof=1)])
    assert np.isnan(found.loc["test_pearson", "fold_1"])
    evaluate.summarize({"0": tmp_path / "0.json"}, tmp_path / "summary.csv")
    alone = pd.read_csv(tmp_path / "summary.csv", index_col="metric")
    assert alone.loc["test_mse", "mean"] == 1
    assert np.isnan(alone.loc["test_mse", "sd"])


def test_metrics_of_baselines_stand_below_those_of_models_and_each_once(tmp_path):
    values = {"0": 1.0, "0.1": 2.0, "1": 6.0}
    for name, value in values.items():
        write_json(tmp_path / f"{name}.json", {"test_mse": value, "best_epoch": 3})
    for name, value in (("a", 4.0), ("b", 8.0)):
        write_json(tmp_path / f"{name}.json", {"test_mse": value})
    files = {"0": tmp_path / "a.json", "1": tmp_path / "b.json"}
    evaluate.summarize({name: tmp_path / f"{name}.json" for name in values}, tmp_path / "summary.csv", files)
    table = pd.read_csv(tmp_path / "summary.csv", index_col="metric")
    assert list(table.columns) == ["fold_0", "fold_0.1", "fold_1", "mean", "sd"]
    assert table.loc["test_mse"].tolist() == pytest.approx([1, 2, 6, 3, 7**0.5])
    assert table.loc["baseline_test_mse", ["fold_0", "fold_1", "mean", "sd"]].tolist() == pytest.approx([4, 8, 6, 8**0.5])
    assert np.isnan(table.loc["baseline_test_mse", "fold_0.1"])
    assert list(table.index) == ["test_mse", "best_epoch", "baseline_test_mse"]


def test_metrics_of_stacks_follow_those_of_baselines(tmp_path):
    files = {}
    for name, content in {
        "0": {"test_mse": 3.0},
        "baseline": {"test_mse": 2.0},
        "stack": {"mse": 1.0, "per_class": {}},
    }.items():
        files[name] = tmp_path / f"{name}.json"
        write_json(files[name], content)
    evaluate.summarize({"0": files["0"]}, tmp_path / "summary.csv", {"0": files["baseline"]}, {"0": files["stack"]})
    table = pd.read_csv(tmp_path / "summary.csv", index_col="metric")
    assert table["mean"].to_dict() == {"test_mse": 3.0, "baseline_test_mse": 2.0, "stack_test_mse": 1.0}


def test_a_baseline_that_is_lacking_is_told(tmp_path, caplog):
    caplog.set_level("INFO")
    write_json(tmp_path / "0.json", {"test_mse": 1.0})
    evaluate.summarize({"0": tmp_path / "0.json"}, tmp_path / "summary.csv", lacking=True)
    assert "no baseline: tokens have labels" in caplog.text
