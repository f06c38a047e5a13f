"""A baseline learns what runs of letters tell, from training rows alone, and predicts anew from numbers and text."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge

from rnalm.labels.labels import Labels
from rnalm.models.baseline import Baseline
from rnalm.tokens import ngrams
from rnalm.tokens.dataset import Encoded
from rnalm.training.baseline import boosting, linear
from rnalm.training.baseline.counts import Counts, draw


@pytest.fixture
def counts() -> Counts:
    draw = np.random.default_rng(1)
    found = draw.random((60, 6)).astype(np.float32)
    targets = (found[:, 0] - 2 * found[:, 4] + 0.1 * draw.normal(size=60)).astype(np.float32)
    return Counts(found, None, targets, draw.random(60).astype(np.float32))


def test_ridge_regression_is_that_of_scikit_learn_on_scaled_blocks(counts):
    sizes, used = [1, 2, 3], [True, False, True]
    scaled = linear.Scaled(counts.found, sizes, used)
    table = scaled(counts.found)
    parts = [counts.found[:, :1].astype(float), counts.found[:, 3:].astype(float)]
    expected = [(own - own.mean(0)) / np.sqrt(own.var(0).mean()) / own.shape[1] ** 0.25 for own in parts]
    assert table == pytest.approx(np.concatenate(expected, axis=1))
    for strength, model in linear.path(counts, Labels("regression"), sizes, used, False, None):
        sklearn = Ridge(strength).fit(table, counts.targets, counts.weights)
        assert model(counts.found, None)[:, 0] == pytest.approx(sklearn.predict(table), abs=1e-5)


def test_a_target_that_a_row_lacks_does_not_count(counts):
    both = np.stack([counts.targets, counts.targets], axis=1)
    both[::2, 1] = np.nan
    labels, every = Labels("regression", classes=("a", "b")), [True]
    together = list(linear.path(Counts(counts.found, None, both, counts.weights), labels, [6], every, False, None))
    alone = Counts(counts.found, None, counts.targets, counts.weights)
    (first, *_), (other, *_) = together, list(linear.path(alone, Labels("regression"), [6], every, False, None))
    assert first[1](counts.found, None)[:, 0] == pytest.approx(other[1](counts.found, None)[:, 0])
    assert not np.allclose(first[1](counts.found, None)[:, 1], first[1](counts.found, None)[:, 0])


def test_logistic_regressions_of_several_classes_have_no_slope_where_they_end(counts):
    truth = np.stack([counts.targets > 0, counts.found[:, 1] > 0.5], axis=1).astype(np.float32)
    truth[:5, 1] = np.nan
    labels = Labels("multilabel", classes=("a", "b"))
    for strength, model in linear.path(Counts(counts.found, None, truth, counts.weights), labels, [6], [True], False, None):
        scaled = linear.Scaled(counts.found, [6], [True])
        weights = model.weights * scaled.scale[:, None]
        probability = labels.to_scores(model(counts.found, None))
        gap = np.where(np.isnan(truth), 0, probability - truth) * counts.weights[:, None]
        assert scaled(counts.found).T @ gap + strength * weights == pytest.approx(np.zeros((6, 2)), abs=0.05)


@pytest.mark.parametrize("task", ["regression", "two", "three"])
def test_trees_predict_what_scikit_learn_does(counts, task, tmp_path):
    if task == "regression":
        labels, targets, kind = Labels("regression"), counts.targets, HistGradientBoostingRegressor
    else:
        classes = ("a", "b", "c")[: 2 if task == "two" else 3]
        labels, kind = Labels("classification", classes=classes), HistGradientBoostingClassifier
        targets = np.digitize(counts.targets, [-0.5, 0.2][: len(classes) - 1])
    boosted = boosting.boost(Counts(counts.found, None, targets, counts.weights), labels, None, 3)
    fitted = kind(**boosting.OPTIONS, random_state=3).fit(counts.found, targets, counts.weights)
    trees = boosted.trees(300)
    outputs = trees(counts.found, None)
    if task == "regression":
        assert outputs[:, 0] == pytest.approx(fitted.predict(counts.found))
    else:
        assert labels.to_scores(outputs) == pytest.approx(fitted.predict_proba(counts.found))
    *_, last = boosted.staged(counts.found)
    assert last == pytest.approx(outputs)


def test_a_baseline_that_is_read_again_predicts_the_same(tmp_path):
    spelled = ((-1,), *((number,) for number in range(4)))
    own = ngrams.Ngrams(tuple("acgt"), spelled, length=8)
    generator = np.random.default_rng(0)
    rows = [Encoded(row, str(row), generator.integers(1, 5, 8).astype(np.int32), None, None, 1.0, None) for row in range(40)]
    found = np.concatenate(list(own.blocks(rows).values()), axis=1)
    placed = own.placed(rows)
    counts = Counts(found, placed, found[:, 2] - found[:, 9], np.ones(40, np.float32))
    labels = Labels("regression")
    *_, (_, model) = linear.path(counts, labels, [found.shape[1]], [True], True, None)
    parts = {"linear": model, "boosting": boosting.boost(counts, labels, None, 1).trees(20)}
    baseline = Baseline(own, labels, False, parts)
    baseline.save(tmp_path, {"chosen": "both"})
    outputs = baseline(rows)
    assert outputs.dtype == np.float32
    assert np.array_equal(Baseline.load(tmp_path)(rows), outputs)
    assert np.array_equal(baseline(rows[7:8]), outputs[7:8]), "alone or beside others"


def test_where_there_are_too_many_rows_a_sample_is_looked_at_and_told(caplog):
    seed = np.random.SeedSequence(1)
    assert draw(1000, 10, seed, "train") is None
    chosen = draw(10**6, 10**4, seed, "train")
    assert len(chosen) == 2**26 // 10**4
    assert np.array_equal(chosen, np.sort(chosen))
    assert "of 1000000 rows that train, a random sample of 6710 is looked at" in caplog.text


def test_a_folder_of_something_else_is_refused(tmp_path, refusal):
    Labels("regression").save(tmp_path / "labels.json")
    (tmp_path / "baseline.json").write_text("{}")
    assert "no baseline of rnalm" in refusal(Baseline.load, tmp_path)
