import math

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from rnalm.labels import certainty
from rnalm.labels.certainty import averaged, by_chance, interval, pearson, r2, resample, roc_auc, value

RANDOM = np.random.default_rng(0)
#: What each metric is of the rows that a draw has, with those that it has several times.
ORACLES = {
    r2: lambda truth, predicted: sk.r2_score(truth, predicted) if np.ptp(truth) else math.nan,
    pearson: lambda truth, predicted: np.corrcoef(truth, predicted)[0, 1] if np.ptp(truth) and np.ptp(predicted) else math.nan,
    roc_auc: lambda truth, scores: sk.roc_auc_score(truth, scores) if np.ptp(truth) else math.nan,
}


@st.composite
def answers(draw):
    """A metric, labels of two outputs of which some are unknown, predictions with ties, and how often rows are drawn."""
    metric, rows = draw(st.sampled_from(list(ORACLES))), draw(st.integers(2, 12))
    truth = st.sampled_from([0.0, 1.0, math.nan] if metric is roc_auc else [0.5, 1.0, 4.0, -3.0, math.nan])
    columns = [draw(st.lists(one, min_size=2 * rows, max_size=2 * rows)) for one in (truth, st.integers(-3, 3))]
    weights = draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    return metric, *(np.array(column, dtype=float).reshape(rows, 2) for column in columns), np.array(weights)


@given(answers())
@examples(200)
def test_a_metric_by_weights_is_that_of_repeated_rows(answer):
    metric, truth, scores, weights = answer
    expected = []
    for own, predicted in zip(truth.T, scores.T, strict=True):
        drawn = [row for row, times in enumerate(weights) for _ in range(times) if not np.isnan(own[row])]
        found = ORACLES[metric](own[drawn], predicted[drawn]) if drawn else math.nan
        expected += [] if math.isnan(found) else [found]
    [found] = averaged(metric, truth, scores)(weights[None].astype(float))
    assert found == pytest.approx(np.mean(expected) if expected else math.nan, abs=1e-6, nan_ok=True)


def test_groups_are_drawn_whole_and_all_metrics_see_the_same_draws(monkeypatch):
    monkeypatch.setattr(certainty, "BLOCK", 70)
    groups = np.array([0, 0, 1, 2, 2, 2, 1])
    seen = []

    def watch(weights: np.ndarray) -> np.ndarray:
        seen.append(weights)
        return weights[:, 0]

    drawn = resample({"one": watch, "other": lambda weights: weights[:, 1]}, groups, seed=3, draws=25)
    weights = np.concatenate(seen)
    assert [len(own) for own in seen] == [10, 10, 5]
    np.testing.assert_array_equal(drawn["one"], drawn["other"])
    for own in weights:
        each = [set(own[groups == group]) for group in range(3)]
        assert all(len(times) == 1 for times in each)
        assert sum(next(iter(times)) for times in each) == 3
    assert len(np.unique(weights, axis=0)) > 5


def test_an_interval_is_that_of_a_plain_bootstrap():
    truth = RANDOM.normal(size=60)
    predicted = truth + RANDOM.normal(size=60)
    groups = np.arange(60) // 3
    draw, plain = np.random.default_rng(9), []
    for _ in range(1000):
        rows = [row for group in draw.integers(20, size=20) for row in np.flatnonzero(groups == group)]
        plain.append(np.corrcoef(truth[rows], predicted[rows])[0, 1])
    ends = interval(resample({"": averaged(pearson, truth[:, None], predicted[:, None])}, groups, seed=1)[""])
    assert ends == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.03)


def test_nothing_is_an_interval_of_nothing():
    assert interval(np.full(5, np.nan)) is None


@pytest.mark.parametrize("classes", [False, True])
def test_chance_is_how_often_a_random_order_of_labels_does_as_well(classes):
    truth = RANDOM.normal(size=(9, 1))
    truth = (truth > np.median(truth)).astype(float) if classes else truth
    scores = truth + RANDOM.normal(size=(9, 1)) * 1.5
    metric = sk.roc_auc_score if classes else lambda one, other: np.corrcoef(one, other)[0, 1]
    reached, found = metric(truth[:, 0], scores[:, 0]), 0
    for _ in range(2000):
        found += metric(RANDOM.permutation(truth[:, 0]), scores[:, 0]) >= reached - 1e-9
    assert by_chance(truth, scores, classes, seed=1) == pytest.approx(found / 2000, abs=0.05)


def test_labels_that_are_predicted_exactly_are_no_chance_and_constant_predictions_are_all_chance():
    truth = np.arange(50.0)[:, None]
    assert by_chance(truth, 2 * truth, classes=False, seed=1) == 1 / 1001
    assert by_chance(truth, np.full((50, 1), 0.1), classes=False, seed=1) == 1
    assert math.isnan(value(averaged(pearson, truth, np.full((50, 1), 0.1)), 50))


def test_true_chance_is_seldom_taken_for_knowledge():
    draws = [by_chance(RANDOM.normal(size=(30, 2)), RANDOM.normal(size=(30, 2)), False, seed, 99) for seed in range(200)]
    assert np.mean(np.array(draws) <= 0.05) < 0.1
