"""Weights of models are those with the least loss, none below 0, and 1 together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from rnalm.labels.labels import Labels
from rnalm.labels.scaling import Scaler
from rnalm.training.stack import least


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_no_other_weights_have_less_loss(count, seed):
    draw = np.random.default_rng(seed)
    truth, members = draw.normal(size=60), draw.normal(size=(count, 60)) + draw.normal(size=60) * 0.5
    members += truth * draw.random((count, 1))

    def loss(weights) -> float:
        return float(np.mean((weights @ members - truth) ** 2))

    weights = least(loss, count)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    rule = {"type": "eq", "fun": lambda own: own.sum() - 1}
    start, bounds = np.full(count, 1 / count), [(0, 1)] * count
    best = minimize(loss, start, bounds=bounds, constraints=[rule], method="SLSQP").fun
    assert loss(weights) <= best + 2e-4
    assert loss(weights) <= min(map(loss, np.eye(count))) + 2e-4, "and so no one alone is better"


def test_a_loss_that_is_not_defined_ends_the_search():
    assert least(lambda weights: float("nan"), 3).tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    "labels",
    [
        Labels("regression", Scaler("standard", 3.0, 2.0)),
        Labels("regression", Scaler("log")),
        Labels("classification", classes=("a", "b", "c")),
        Labels("multilabel", classes=("a", "b", "c")),
    ],
    ids=["numbers", "logarithms", "classes", "several classes"],
)
def test_what_is_weighed_are_label_units_and_probabilities(labels):
    outputs = [*np.random.default_rng(0).normal(size=(3, 5, labels.n_outputs)).astype(np.float32)]
    weights = [0.5, 0.0, 0.5]
    scores = labels.to_scores(labels.average(outputs, weights))
    assert scores == pytest.approx((labels.to_scores(outputs[0]) + labels.to_scores(outputs[2])) / 2, rel=1e-5)
    assert labels.average(outputs) == pytest.approx(labels.average(outputs, [1 / 3] * 3))
