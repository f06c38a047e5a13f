import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from rnalm.labels.labels import Labels
from rnalm.prediction import verdict
from rnalm.prediction.said import BANNER, left_out, sentences
from rnalm.prediction.verdict import Rows, judge

ENCODED = {"sequences": 300, "dropped": 0, "labelled": 300, "truncated": 0, "unknown": 0, "tokens": 9000, "block_size": 512}
RANDOM = np.random.default_rng(0)


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """Judge made predictions, with what was found when rows were encoded, and groups of three rows."""
    monkeypatch.setattr(verdict.encode, "metadata", lambda path: ENCODED)
    monkeypatch.setattr(Rows, "groups", lambda self: np.arange(300) // (3 if self.by == "column" else 1))

    def make(
        labels: Labels, frame: pd.DataFrame, bar: pd.DataFrame | None = None, by: str = "column", trained=True, stacked=False
    ) -> dict:
        labels.save(tmp_path / "labels.json")
        frame.to_parquet(tmp_path / "predictions.parquet")
        baseline = None
        if bar is not None:
            bar.to_parquet(tmp_path / "baseline.parquet")
            baseline = (tmp_path / "baseline.parquet", [tmp_path])
        rows = Rows(encoded="encoded", folds="folds" if trained else None, by=by)
        judge(tmp_path / "predictions.parquet", [tmp_path], rows, tmp_path / "verdict.json", baseline, 1, stacked)
        return json.loads((tmp_path / "verdict.json").read_text())

    return make


def regressed(noise: float) -> pd.DataFrame:
    label = np.random.default_rng(1).normal(5, 1, 300)
    return pd.DataFrame({"label": label, "pred": label + RANDOM.normal(size=300) * noise})


def test_numbers_are_judged_by_the_variation_that_is_explained_and_held_against_the_baseline(judged):
    frame, bar = regressed(0.3), regressed(0.9)
    found = judged(Labels("regression"), frame, bar)
    assert found["value"] == pytest.approx(sk.r2_score(frame["label"], frame["pred"]))
    assert found["tested"]["value"] == pytest.approx(frame["label"].corr(frame["pred"]))
    assert found["baseline"]["difference"] == pytest.approx(found["value"] - sk.r2_score(bar["label"], bar["pred"]))
    assert found["groups"] == 100
    assert found["readable"] is True
    low, high = (f"{100 * end:.0f}" for end in found["interval"])
    first, second, third = found["sentences"]
    assert first.startswith(
        f"On 300 sequences that no model had seen in training, predictions explain {100 * found['value']:.0f} % of the "
        f"variation of labels (95 % interval {low} % to {high} %, from resampling 100 groups); chance explains none, and "
        "the baseline explains "
    )
    assert "the models are better (difference " in first
    ends = " to ".join(f"{end:.2f}" for end in found["tested"]["interval"])
    assert second == (
        "Scores may be read: labels in random order came as close to the predictions in none of 1,000 tries (p = 0.001), and "
        f"the 95 % interval of Pearson’s r goes from {ends}; chance is 0."
    )
    behind = judged(Labels("regression"), bar, frame)["sentences"][0]
    assert "the models are worse (difference −" in behind
    assert behind.endswith("); `model.wide` and `ensemble: stack` build on it.")
    assert third == "Of 300 sequences none was left out or cut, and all tokens are in the vocabulary."


def test_shuffled_labels_are_no_better_than_chance(judged):
    frame = regressed(0.3)
    found = judged(Labels("regression"), frame.assign(label=RANDOM.permutation(frame["label"])), by="none")
    assert found["readable"] is False
    assert "explain nothing (r² −" in found["sentences"][0]
    assert "resampling 300 sequences" in found["sentences"][0]
    assert found["sentences"][1].startswith(f"{BANNER} Labels in random order came as close to the predictions in ")


def test_scores_of_models_that_know_nothing_are_not_read_although_the_baseline_beside_them_does(judged):
    frame = regressed(0.3)
    frame["pred.0"] = RANDOM.permutation(frame["pred"])
    found = judged(Labels("regression"), frame, regressed(0.3), by="none", stacked=True)
    assert found["value"] > 0.8
    assert found["tested"]["value"] == pytest.approx(frame["label"].corr(frame["pred.0"]))
    assert found["readable"] is False
    assert "to the predictions of the models alone in" in found["sentences"][1]
    frame["pred.0"] = frame["pred"]
    assert judged(Labels("regression"), frame, stacked=True)["readable"] is True


def test_predictions_that_are_all_the_same_tell_nothing(judged):
    found = judged(Labels("regression"), regressed(0.3).assign(pred=1.5))
    assert found["readable"] is False
    assert found["sentences"][1] == f"{BANNER} All predictions are the same, or all labels."


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c")])
def test_classes_are_judged_by_the_area_under_the_curve(judged, classes):
    truth = RANDOM.integers(len(classes), size=300)
    scores = np.eye(len(classes))[truth] + RANDOM.random((300, len(classes)))
    scores /= scores.sum(axis=1, keepdims=True)
    frame = pd.DataFrame(scores, columns=[f"prob_{name}" for name in classes]).assign(label=np.array(classes)[truth])
    found = judged(Labels("classification", classes=classes), frame, trained=False)
    measured = [1] if len(classes) == 2 else range(len(classes))
    assert found["value"] == pytest.approx(np.mean([sk.roc_auc_score(truth == k, scores[:, k]) for k in measured]))
    assert found["readable"] is True
    assert "which given models may have seen" in found["sentences"][0]
    assert f"area under the ROC curve of {found['value']:.2f}" in found["sentences"][0]


def test_several_classes_are_judged_on_average_each_by_the_rows_of_which_it_is_known(judged, monkeypatch):
    truth = RANDOM.integers(2, size=(300, 2)).astype(float)
    scores = RANDOM.random((300, 2))
    truth[:50, 1] = np.nan
    frame = pd.DataFrame({"label": ["a"] * 300, "label_a": truth[:, 0], "label_b": truth[:, 1]})
    frame = frame.assign(prob_a=scores[:, 0], prob_b=scores[:, 1])
    areas = [sk.roc_auc_score(truth[:, 0], scores[:, 0]), sk.roc_auc_score(truth[50:, 1], scores[50:, 1])]
    labels = Labels("multilabel", classes=("a", "b"))
    assert judged(labels, frame)["value"] == pytest.approx(np.mean(areas))
    monkeypatch.setattr(verdict, "PAIRS", 120)
    found = judged(labels, frame)
    assert (found["rows"], found["sampled"]) == (300, 60)
    assert "60 rows of them" in found["sentences"][0]


def test_without_labels_nothing_is_known(judged):
    found = judged(Labels("regression"), regressed(0.1).assign(label=np.nan), trained=False)
    assert found["readable"] is None
    assert found["sentences"][0] == "No sequence has a label: nothing is known of how good the models are."


def test_what_was_left_out_is_counted():
    found = ENCODED | {"dropped": 12, "truncated": 3, "unknown": 45, "labelled": 290}
    assert left_out(found) == (
        "Of 312 sequences, 12 without a label were left out, 10 have no label, 3 were cut to 512 tokens and 0.50 % of tokens "
        "are not in the vocabulary."
    )


def test_an_undefined_metric_is_told():
    verdict = {"rows": 3, "held_out": True, "metric": "r2", "outputs": 1, "value": float("nan"), "readable": False}
    verdict["stacked"] = False
    verdict["tested"] = {"p": 1.0, "interval": None}
    assert sentences(verdict, ENCODED)[0].endswith("predictions cannot be held against labels: these do not differ.")
