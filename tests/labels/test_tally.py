"""What is counted batch by batch is what scikit-learn says of all rows at once."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multilabel_oracle import each_label, multilabel

from rnalm.labels import metrics
from rnalm.labels import tally as tallies
from rnalm.labels.labels import Labels
from rnalm.labels.tally import LabelTally, Tally, kind


def meaning(n_classes: int, task: str = "classification") -> Labels:
    return Labels(task, classes=tuple("abcd"[:n_classes]), per="token")


def counted(
    targets, probabilities, task: str = "classification", batches: int = 3, labels: Labels | None = None
) -> Tally | LabelTally:
    """Count rows in batches."""
    parts = [rows for rows in np.array_split(np.arange(len(targets)), batches) if len(rows)]
    labels = labels or meaning(probabilities.shape[1], task)
    counting = kind(labels)
    tally = counting(counting.thresholds(((targets[rows], probabilities[rows]) for rows in parts), labels), labels)
    for rows in parts:
        tally.add(targets[rows], probabilities[rows])
    return tally


@given(st.integers(2, 4), st.integers(1, 80), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_metrics_are_those_of_scikit_learn_ties_included(n_classes, rows, digits, seed):
    draw = np.random.default_rng(seed)
    targets = draw.choice(n_classes, rows, p=draw.dirichlet(np.ones(n_classes)))
    probabilities = draw.dirichlet(np.ones(n_classes), rows).round(digits).astype(np.float32)
    tally, names = counted(targets, probabilities), meaning(n_classes).classes
    expected = metrics.classification(targets, probabilities)
    assert tally.scores() == pytest.approx(expected, abs=1e-12, nan_ok=True)
    each = metrics.per_class(targets, probabilities, names)
    for name, values in tally.per_class().items():
        assert values == pytest.approx(each[name], abs=1e-12)


@given(st.integers(1, 4), st.integers(1, 80), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_metrics_of_any_number_of_classes_are_those_of_scikit_learn_too(n_classes, rows, digits, seed):
    draw = np.random.default_rng(seed)
    targets = draw.choice([0.0, 1.0, np.nan], (rows, n_classes), p=draw.dirichlet(np.ones(3)))
    probabilities = draw.random((rows, n_classes)).round(digits).astype(np.float32)
    labels = replace(meaning(n_classes, "multilabel"), thresholds=tuple(draw.random(n_classes).round(digits)))
    tally = counted(targets, probabilities, labels=labels)
    assert tally.rows == rows
    expected = multilabel(targets, probabilities, labels)
    assert tally.scores() == pytest.approx(expected, abs=1e-12, nan_ok=True)
    each = each_label(targets, probabilities, labels)
    for name, values in tally.per_class().items():
        assert values == pytest.approx(each[name], abs=1e-12, nan_ok=True)


def test_outputs_are_scored_some_rows_at_a_time(monkeypatch):
    draw = np.random.default_rng(2)
    targets, outputs = draw.choice([0.0, 1.0, np.nan], (50, 3)), draw.normal(size=(50, 3)).astype(np.float32)
    labels = meaning(3, "multilabel")
    expected = multilabel(targets, labels.to_scores(outputs), labels)
    for block in (1, 20, 2**20):
        monkeypatch.setattr(metrics, "BLOCK", block)
        assert tallies.score(labels, targets, outputs) == pytest.approx(expected, abs=1e-12)


def test_a_subset_is_counted_between_scores_of_all():
    draw = np.random.default_rng(1)
    targets, positive = draw.integers(0, 2, 500), draw.random(500).round(2).astype(np.float32)
    probabilities = np.stack([1 - positive, positive], axis=1)
    tally = Tally(Tally.thresholds([(targets, probabilities)], meaning(2)), meaning(2))
    tally.add(targets[:50], probabilities[:50])
    expected = metrics.classification(targets[:50], probabilities[:50])
    assert tally.scores() == pytest.approx(expected, abs=1e-12)


def test_without_rows_or_with_one_class_areas_are_not_defined():
    tally = counted(np.array([0, 0]), np.array([[0.5, 0.5], [1, 0]]))
    assert math.isnan(tally.scores()["roc_auc"])
    assert tally.scores()["accuracy"] == 1
    assert math.isnan(Tally([np.empty(0)], meaning(2)).scores()["accuracy"])
    assert math.isnan(LabelTally([np.empty(0)], meaning(1, "multilabel")).scores()["accuracy"])


def test_of_millions_of_pairs_some_count_as_equal(monkeypatch):
    monkeypatch.setattr(tallies, "MOST_PAIRS", 100)
    draw = np.random.default_rng(1)
    targets = (draw.random((3000, 4)) < [0.02, 0.1, 0.3, 0.5]).astype(float)
    probabilities = 1 / (1 + np.exp(1 - targets - draw.normal(size=targets.shape)))
    labels = meaning(4, "multilabel")
    counts = counted(targets, probabilities, labels=labels)
    assert counts.pairs.counts.shape[1] <= 201
    expected, found = multilabel(targets, probabilities, labels), counts.scores()
    for name in ("roc_auc_micro", "pr_auc_micro"):
        assert found.pop(name) == pytest.approx(expected.pop(name), abs=0.01)
    assert found == pytest.approx(expected, abs=1e-12)


def test_memory_grows_with_the_rare_class_alone():
    targets = np.zeros(100_000, dtype=int)
    targets[:10] = 1
    probabilities = np.random.default_rng(0).dirichlet([1, 1], len(targets))
    [curve] = counted(targets, probabilities).curves
    assert curve.counts.shape == (2, 21)
