import json
import math
import warnings

import numpy as np
import pytest

from rnalm.config import METRICS
from rnalm.labels import metrics
from rnalm.labels.labels import Labels
from rnalm.labels.scaling import Scaler

TRUTH = np.array([1.0, 2.0, 4.0])


def test_regression_metrics_are_what_they_are_called():
    assert metrics.regression(TRUTH, TRUTH) == pytest.approx({"mse": 0, "mae": 0, "r2": 1, "pearson": 1, "spearman": 1})
    scores = metrics.regression(TRUTH, np.array([1.0, 4.0, 3.0]))
    assert scores == pytest.approx({"mse": 5 / 3, "mae": 1, "r2": 1 - 5 / (14 / 3), "pearson": 0.5, "spearman": 0.5}, abs=1e-12)


@pytest.mark.parametrize(
    ("truth", "predictions", "undefined"),
    [
        ([1.0], [2.0], {"r2", "pearson", "spearman"}),
        ([1.0, 1.0], [1.0, 2.0], {"r2", "pearson", "spearman"}),
        ([1.0, 2.0], [1.0, 1.0], {"pearson", "spearman"}),
    ],
    ids=["one row", "labels do not vary", "predictions do not vary"],
)
def test_a_metric_that_is_not_defined_is_nan_without_a_warning(truth, predictions, undefined):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = metrics.regression(np.array(truth), np.array(predictions))
    assert {name for name, value in scores.items() if math.isnan(value)} == undefined


def test_regression_is_scored_in_the_units_of_the_labels_and_as_the_model_sees_them():
    outputs = np.array([[0.0], [1.0], [1.0]])
    scores = metrics.score(Labels("regression", Scaler("log")), np.exp([0.0, 1.0, 2.0]), outputs)
    assert scores["scaled_mse"] == pytest.approx(1 / 3)
    assert scores["mse"] == pytest.approx((np.exp(2) - np.exp(1)) ** 2 / 3)
    assert scores["scaled_spearman"] == scores["spearman"]
    assert list(scores) == [prefix + name for prefix in ("", "scaled_") for name in metrics.METRICS["regression"]]


def test_every_metric_can_select_a_model():
    assert all({"loss", *names} == set(METRICS[task]) for task, names in metrics.METRICS.items())


def test_classification_metrics_are_what_they_are_called():
    labels = Labels("classification", classes=("a", "b"))
    right = metrics.score(labels, np.array(["a", "b"], dtype=object), np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert right == dict.fromkeys(metrics.METRICS["classification"], 1.0)
    positive = np.array([0.1, 0.6, 0.2, 0.55])
    assert metrics.classification(np.array([0, 0, 0, 1]), np.stack([1 - positive, positive], axis=1)) == pytest.approx(
        {"accuracy": 3 / 4, "roc_auc": 2 / 3, "pr_auc": 1 / 2}
        | {"recall_macro": (2 / 3 + 1) / 2, "precision_macro": (1 + 1 / 2) / 2, "f1_macro": (0.8 + 2 / 3) / 2}
        | {"recall_weighted": 3 / 4, "precision_weighted": (3 + 1 / 2) / 4, "f1_weighted": (3 * 0.8 + 2 / 3) / 4}
    )


def test_areas_for_several_classes_are_the_mean_over_those_that_occur():
    targets = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.3, 0.2, 0.5]])
    scores = metrics.classification(targets, probabilities)
    assert scores["roc_auc"] == pytest.approx((1 / 2 + 1 / 4) / 2)  # pairs in the right order


def test_areas_are_nan_where_only_one_class_occurs():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = metrics.classification(np.array([1, 1]), np.array([[0.2, 0.8], [0.4, 0.6]]))
    assert {name for name, value in scores.items() if math.isnan(value)} == {"roc_auc", "pr_auc"}
    assert scores["accuracy"] == 1


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("accuracy", "macro avg", "weighted avg")])
def test_every_class_is_reported_by_name_also_one_that_does_not_occur(classes):
    probabilities = np.eye(3)[[0, 1, 1]]
    scores = metrics.per_class(np.array([0, 0, 1]), probabilities, classes)
    assert list(scores) == list(classes)
    assert scores[classes[0]] == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3, "rows": 2})
    assert scores[classes[2]] == {"precision": 0, "recall": 0, "f1": 0, "rows": 0}


def test_json_gets_null_for_what_is_not_defined():
    values = metrics.finite({"mse": 0.5, "r2": math.nan, "rows": 3, "loss": math.inf})
    assert json.dumps(values, allow_nan=False) == '{"mse": 0.5, "r2": null, "rows": 3, "loss": null}'
