"""Predictions of several classes are evaluated in the files that Selene writes."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from rnalm.config import Evaluate, contract
from rnalm.labels.labels import Labels
from rnalm.report import performance

LABELS = Labels("multilabel", classes=("Abf1", "Cbf1", "Rap1", "all"))


@pytest.fixture
def predictions(tmp_path):
    """Write predictions of 60 rows: of Rap1 only 3 are known to be, of one class all; nothing is known of the last row."""
    draw = np.random.default_rng(0)
    scores = draw.random((60, 4)).astype(np.float32)
    truth = (draw.random((60, 4)) < scores).astype(float)
    truth[:, 2] = np.arange(60) < 3
    truth[:, 3] = 1
    truth[draw.random((60, 4)) < 0.1] = np.nan
    truth[-1] = np.nan
    columns = {f"label_{name}": truth[:, k] for k, name in enumerate(LABELS.classes)}
    columns |= {f"prob_{name}": scores[:, k] for k, name in enumerate(LABELS.classes)}
    pd.DataFrame({"id": [f"s{k}" for k in range(60)], **columns}).to_parquet(tmp_path / "predictions.parquet")
    return tmp_path / "predictions.parquet", truth[:-1], scores[:-1]


def test_files_hold_what_those_of_selene_do(predictions, monkeypatch):
    path, truth, scores = predictions
    monkeypatch.setattr(performance, "NUMBERS", 30)  # several batches
    performance.write(path, LABELS, Evaluate(), path.parent)
    np.testing.assert_array_equal(np.load(path.parent / "test_targets.npz")["data"], truth.astype(np.float32))
    np.testing.assert_array_equal(np.load(path.parent / "test_predictions.npz")["data"], scores)
    lines = (path.parent / "test_performance.txt").read_text().splitlines()
    assert lines[0] == "class\troc_auc\taverage_precision"
    for number, name in enumerate(LABELS.classes[:2]):
        known = ~np.isnan(truth[:, number])
        own = truth[known, number], scores[known, number]
        assert lines[number + 1] == f"{name}\t{sk.roc_auc_score(*own):.4f}\t{sk.average_precision_score(*own):.4f}"
    # Too few positives; no negatives.
    assert lines[3:] == ["Rap1\tNA\tNA", "all\tNA\tNA"]
    assert {file.name for file in path.parent.iterdir()} == {path.name, *contract.PERFORMANCE}
    assert "2 classes" in (path.parent / "roc_curves.svg").read_text()


def test_classes_stand_in_the_order_that_is_asked_for(predictions, tmp_path):
    path, truth, _ = predictions
    (tmp_path / "some.txt").write_text("Rap1\n\nAbf1\n")
    for classes in (["Rap1", "Abf1"], str(tmp_path / "some.txt")):
        performance.write(path, LABELS, Evaluate(classes=classes, min_positives=2), tmp_path / "evaluated")
        found = np.load(tmp_path / "evaluated/test_targets.npz")["data"]
        known = ~np.isnan(truth).all(axis=1)
        np.testing.assert_array_equal(found, truth[known][:, [2, 0]].astype(np.float32))
        lines = (tmp_path / "evaluated/test_performance.txt").read_text().splitlines()
        assert [line.split("\t")[0] for line in lines] == ["class", "Rap1", "Abf1"]
        assert "NA" not in "".join(lines)


def test_the_same_predictions_have_the_same_bytes(predictions, tmp_path):
    path = predictions[0]
    for folder in ("one", "other"):
        performance.write(path, LABELS, Evaluate(), tmp_path / folder)
    for name in contract.PERFORMANCE:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_no_class_needs_to_have_enough_positives(predictions):
    path = predictions[0]
    performance.write(path, LABELS, Evaluate(min_positives=1000), path.parent)
    assert "no class has enough positives" in (path.parent / "roc_curves.svg").read_text()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["Rap2"], "evaluate.classes: the models do not know the class 'Rap2'; did you mean 'Rap1'?"),
        (["all", "all"], "evaluate.classes: the class 'all' is named twice"),
    ],
)
def test_wrong_classes_are_refused(predictions, tmp_path, refusal, classes, message):
    assert refusal(performance.write, predictions[0], LABELS, Evaluate(classes=classes), tmp_path).startswith(message)
