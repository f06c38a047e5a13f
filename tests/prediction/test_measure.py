import numpy as np
import pandas as pd
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from rnalm.labels.labels import Labels
from rnalm.prediction import measure as compare
from rnalm.prediction.measure import GRID, Measured, read

RANDOM = np.random.default_rng(0)


@st.composite
def answers(draw):
    """Labels of two classes, both there, and probabilities with ties."""
    rows = draw(st.integers(2, 60))
    steps = draw(st.sampled_from([1, 4, 1000]))
    probability = np.array(draw(st.lists(st.integers(0, steps), min_size=rows, max_size=rows))) / steps
    positive = np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))
    positive[:2] = [False, True]
    return positive, probability


def measure(positive: np.ndarray, probability: np.ndarray) -> Measured:
    return compare.measure("", positive.astype(int), np.stack([1 - probability, probability], axis=1))


@given(answers())
@examples(30)
def test_curves_are_those_of_each_threshold(answer):
    positive, probability = answer
    measured = measure(*answer)
    assert measured.scores["roc"] == [sk.roc_auc_score(*answer)]
    assert measured.scores["pr"] == [sk.average_precision_score(*answer)]

    def f1(threshold: float) -> float:
        return 2 * np.sum(positive & (probability >= threshold)) / (positive.sum() + np.sum(probability >= threshold))

    np.testing.assert_allclose(measured.lines["f1"][0, ::50], [f1(threshold) for threshold in GRID[::50]], atol=1e-12)
    assert measured.scores["f1"][0] == pytest.approx(max(map(f1, probability)))
    assert f1(measured.thresholds[0]) == pytest.approx(measured.scores["f1"][0])
    # Precision is that of the highest threshold with the recall.
    thresholds = np.unique(probability)[::-1]
    recalls = np.array([(positive & (probability >= t)).sum() / positive.sum() for t in thresholds])
    precisions = np.array([positive[probability >= t].mean() for t in thresholds])
    wanted = recalls >= GRID[::50, None]
    wanted[0] = recalls > 0
    np.testing.assert_allclose(measured.lines["pr"][0, ::50], precisions[wanted.argmax(axis=1)])
    # A sampled ROC curve is never off by more than a step of the grid.
    line = measured.lines["roc"][0]
    assert (np.diff(line) >= 0).all()
    for t in {2.0, *probability}:
        false_rate, true_rate = np.mean(probability[~positive] >= t), np.mean(probability[positive] >= t)
        before, after = np.floor(false_rate * 500 - 1e-6), np.ceil(false_rate * 500 + 1e-6)
        assert line[max(int(before), 0)] * (before >= 0) <= true_rate + 1e-9
        assert true_rate <= line[min(int(after), 500)] + 1e-9


def test_hundreds_of_thousands_of_rows_make_no_longer_curves():
    positive = RANDOM.random(300_000) < 0.01
    measured = measure(positive, 1 / (1 + np.exp(-RANDOM.normal(size=300_000) - positive)))
    assert {line.shape for line in measured.lines.values()} == {(1, 501)}
    assert np.trapezoid(measured.lines["roc"][0], GRID) == pytest.approx(measured.scores["roc"][0], abs=0.002)
    assert measured.lines["pr"][0].mean() == pytest.approx(measured.scores["pr"][0], abs=0.002)


def test_equal_probabilities_are_a_diagonal():
    measured = measure(np.array([True, False, False]), np.full(3, 0.5))
    np.testing.assert_allclose(measured.lines["roc"][0], GRID)
    assert measured.counts.tolist() == [[2, 0], [1, 0]], "the first of equally probable classes"


def test_a_class_that_no_row_or_every_row_has_gives_no_curve():
    probabilities = np.full((4, 3), 1 / 3)
    found = compare.measure("", np.array([0, 0, 1, 1]), probabilities)
    assert np.isfinite(found.scores["roc"]).tolist() == [True, True, False]
    assert np.isnan(found.lines["f1"][2]).all()
    alone = compare.measure("", np.zeros(4, dtype=int), probabilities)
    assert all(np.isnan(scores).all() for scores in alone.scores.values())
    assert alone.counts.tolist() == [[4, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_confusion_is_of_the_most_probable_class():
    found = compare.measure("", np.array([0, 1, 2]), np.array([[0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0, 0.1, 0.9]]))
    assert found.counts.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]


@pytest.fixture
def predictions(tmp_path):
    def write(**columns):
        pd.DataFrame(columns).to_parquet(tmp_path / "predictions.parquet")
        return tmp_path / "predictions.parquet"

    return write


def test_each_model_has_the_labelled_rows_that_it_predicted(predictions):
    path = predictions(
        **{"label": [1.0, np.nan, 3.0], "pred": [1.5, 2.5, 3.5], "pred.0": [1.5, 2.5, np.nan], "pred.1": [np.nan, np.nan, 3.5]}
    )
    models = {"all": [], "first": [0], "second": [1]}
    found = {name: (truth.tolist(), predicted.tolist()) for name, truth, predicted in read(path, Labels("regression"), models)}
    assert found == {"all": ([1, 3], [1.5, 3.5]), "first": ([1], [1.5]), "second": ([3], [3.5])}


def test_classes_are_read_as_indices_and_probabilities(predictions):
    path = predictions(**{"label": ["b.c", None, "a"], "prob_a": [0.25, 0.5, 0.75], "prob_b.c": [0.75, 0.5, 0.25]})
    [(name, truth, predicted)] = read(path, Labels("classification", classes=("a", "b.c")), {"all": []})
    assert name == "all"
    assert truth.tolist() == [1, 0]
    assert predicted.tolist() == [[0.25, 0.75], [0.75, 0.25]]


def test_models_of_one_name_count_by_their_mean(predictions):
    path = predictions(**{"label": [1.0, 2.0], "pred": [9.0, 9.0], "pred.0": [1.0, np.nan], "pred.1": [2.0, np.nan]})
    [(_, truth, predicted)] = read(path, Labels("regression"), {"fold 0": [0, 1]})
    assert (truth.tolist(), predicted.tolist()) == ([1], [1.5])


@pytest.mark.parametrize("label", [None, np.nan])
def test_without_labels_there_is_nothing_to_compare(predictions, label):
    path = predictions(label=[label, label], pred=[1.0, 2.0])
    assert list(read(path, Labels("regression"), {"all": []})) == []


def test_a_model_that_predicted_no_labelled_row_is_left_out(predictions):
    path = predictions(**{"label": [1.0, np.nan], "pred": [1.0, 2.0], "pred.0": [1.0, np.nan], "pred.1": [np.nan, 2.0]})
    found = read(path, Labels("regression"), {"first": [0], "second": [1]})
    assert [name for name, *_ in found] == ["first"]
