"""What is counted batch by batch is what scikit-learn says of all rows at once."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.labels import metrics
from rnalm.labels.tally import Tally, thresholds


def counted(targets, probabilities, batches: int = 3) -> Tally:
    """Count rows in batches."""
    parts = [rows for rows in np.array_split(np.arange(len(targets)), batches) if len(rows)]
    n_classes = probabilities.shape[1]
    tally = Tally(thresholds(((targets[rows], probabilities[rows]) for rows in parts), n_classes), n_classes)
    for rows in parts:
        tally.add(targets[rows], probabilities[rows])
    return tally


@given(st.integers(2, 4), st.integers(1, 80), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_metrics_are_those_of_scikit_learn_ties_included(n_classes, rows, digits, seed):
    draw = np.random.default_rng(seed)
    targets = draw.choice(n_classes, rows, p=draw.dirichlet(np.ones(n_classes)))
    probabilities = draw.dirichlet(np.ones(n_classes), rows).round(digits).astype(np.float32)
    tally, names = counted(targets, probabilities), "abcd"[:n_classes]
    expected = metrics.classification(targets, probabilities)
    assert tally.scores() == pytest.approx(expected, abs=1e-12, nan_ok=True)
    each = metrics.per_class(targets, probabilities, names)
    for name, values in tally.per_class(names).items():
        assert values == pytest.approx(each[name], abs=1e-12)


def test_a_subset_is_counted_between_scores_of_all():
    draw = np.random.default_rng(1)
    targets, positive = draw.integers(0, 2, 500), draw.random(500).round(2).astype(np.float32)
    probabilities = np.stack([1 - positive, positive], axis=1)
    tally = Tally(thresholds([(targets, probabilities)], 2), 2)
    tally.add(targets[:50], probabilities[:50])
    expected = metrics.classification(targets[:50], probabilities[:50])
    assert tally.scores() == pytest.approx(expected, abs=1e-12)


def test_without_rows_or_with_one_class_areas_are_not_defined():
    tally = counted(np.array([0, 0]), np.array([[0.5, 0.5], [1, 0]]))
    assert math.isnan(tally.scores()["roc_auc"])
    assert tally.scores()["accuracy"] == 1
    assert math.isnan(Tally([np.empty(0)], 2).scores()["accuracy"])


def test_memory_grows_with_the_rare_class_alone():
    targets = np.zeros(100_000, dtype=int)
    targets[:10] = 1
    probabilities = np.random.default_rng(0).dirichlet([1, 1], len(targets))
    [table] = counted(targets, probabilities).counts
    assert table.shape == (2, 21)
