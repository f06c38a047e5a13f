import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.utils.class_weight import compute_class_weight

from rnalm.labels import labels
from rnalm.labels.labels import Labels
from rnalm.labels.scaling import Scaler, check_positive
from rnalm.labels.targets import class_weights, count

NUMBERS = st.lists(st.integers(-(10**9), 10**9).map(lambda number: number / 1000), min_size=2, max_size=30, unique=True)
POSITIVE = st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=30, unique=True)


# Scaling


@given(st.sampled_from(["none", "minmax", "standard"]), NUMBERS, NUMBERS)
def test_what_was_scaled_comes_back_in_the_units_of_the_labels(method, training, others):
    scaler = Scaler.fit(method, np.array(training))
    for values in map(np.array, (training, others)):
        tolerance = 1e-9 * max(np.abs(values).max(), np.abs(training).max())
        np.testing.assert_allclose(scaler.inverse(scaler.transform(values)), values, rtol=1e-9, atol=tolerance)
    scaled = scaler.transform(np.array(training))
    if method == "minmax":
        assert (scaled.min(), scaled.max()) == pytest.approx((0, 1))
    if method == "standard":
        assert (scaled.mean(), scaled.std()) == pytest.approx((0, 1), abs=1e-6)


@given(POSITIVE, POSITIVE)
def test_a_logarithm_comes_back_in_the_units_of_the_labels(training, others):
    scaler = Scaler.fit("log", np.array(training))
    np.testing.assert_allclose(scaler.inverse(scaler.transform(np.array(others))), others, rtol=1e-9)


@pytest.mark.parametrize("method", ["none", "log", "minmax", "standard"])
@pytest.mark.parametrize("far", [1e8, 1e8 + 2**-20, 1e12])
def test_labels_far_from_0_stay_apart_as_targets_and_come_back(method, far):
    truth = far + np.arange(50.0)
    meaning = labels.fit("regression", method, truth)
    targets = meaning.to_targets(truth)
    assert targets.dtype == np.float32
    assert np.corrcoef(targets, np.arange(50))[0, 1] > 1 - (1e-6 if method != "log" or far < 1e9 else 1e-2)
    np.testing.assert_allclose(meaning.to_scores(targets[:, None])[:, 0] - far, np.arange(50), atol=0.1 if far > 1e9 else 1e-3)


@pytest.mark.parametrize("method", ["none", "log"])
@pytest.mark.parametrize("values", [[1.0, 2.0, 900.0], [7.0, 7.0]])
def test_labels_near_0_or_all_the_same_are_not_centred(method, values):
    assert Scaler.fit(method, np.array(values)) == Scaler(method)


@pytest.mark.parametrize(
    ("method", "labels", "scaled"),
    [("log", [1, np.e, np.e**2], [0, 1, 2]), ("minmax", [-2, 4], [-1, 2]), ("standard", [-2, 4], [-3, 3])],
)
def test_labels_beyond_the_training_labels_are_not_cut(method, labels, scaled):
    scaler = Scaler.fit(method, np.array([1.0, 2.0] if method == "log" else [0.0, 2.0]))
    np.testing.assert_allclose(scaler.transform(np.array(labels)), scaled)


@pytest.mark.parametrize("method", ["minmax", "standard"])
@pytest.mark.parametrize(("value", "rows"), [(2.0, 1), (0.1, 3), (0.1, 10), (1e-3, 1000), (1 / 3, 10), (1 / 3, 1000)])
def test_labels_that_do_not_vary_cannot_be_scaled(refusal, method, value, rows):
    message = refusal(Scaler.fit, method, np.full(rows, value))
    assert message == f"labels.scaling: all training labels are {value:g}, so {method} scaling is not possible"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1, 0, 2, np.nan], "1 that are not: b (0)"),
        ([-0.5, 1, -2], "2 that are not: a (-0.5), c (-2)"),
        ([0] * 6, "6 that are not: a (0), b (0), c (0), d (0), e (0), …"),
    ],
)
def test_rows_of_which_there_is_no_logarithm_are_named(refusal, values, shown):
    message = refusal(check_positive, np.array(values, dtype=float), lambda rows: ["abcdef"[row] for row in rows])
    assert message == f"labels.scaling: log needs labels > 0, found {shown}"


# What outputs mean


@pytest.mark.parametrize(
    ("method", "scaled"),
    [("none", [1, 3, 5]), ("log", np.log([1, 3, 5])), ("minmax", [0, 1 / 2, 1]), ("standard", [-(1.5**0.5), 0, 1.5**0.5])],
)
def test_regression_targets_are_scaled_numbers_and_outputs_come_back_as_labels(method, scaled):
    training = np.array([1.0, 3.0, 5.0])
    fitted = labels.fit("regression", method, training)
    targets = fitted.to_targets(training)
    assert (targets.dtype, fitted.n_outputs) == (np.float32, 1)
    np.testing.assert_allclose(targets, scaled, rtol=1e-6)
    np.testing.assert_allclose(fitted.to_scores(targets[:, None]), training[:, None], rtol=1e-6)


def test_classes_are_sorted_and_independent_of_the_training_rows():
    fitted = labels.fit("classification", "none", np.array(["b", "b"], dtype=object), classes=["b", "c", "a", "b"])
    assert fitted.classes == ("a", "b", "c")
    assert fitted.n_outputs == 3
    targets = fitted.to_targets(np.array(["c", "a"], dtype=object))
    assert (targets.dtype, targets.tolist()) == (np.int64, [2, 0])


@pytest.mark.parametrize(("classes", "found"), [(["a", "a"], "1: a"), ([], "0: ")])
def test_fewer_than_two_classes_are_refused(refusal, classes, found):
    message = refusal(labels.fit, "classification", "none", np.array(classes, dtype=object), classes)
    assert message.strip() == f"classification needs at least 2 classes, found {found}".strip()


def test_a_class_that_the_model_does_not_know_is_refused(refusal):
    message = refusal(Labels("classification", classes=("nucleus", "cytosol")).to_targets, np.array(["Nucleus"], dtype=object))
    hint = "did you mean 'nucleus'? (valid: nucleus, cytosol)"
    assert message == f"class 'Nucleus' is not among the classes of the model; {hint}"


@given(st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=1, max_size=5))
def test_outputs_become_probabilities_however_large_they_are(logits):
    probabilities = Labels("classification", classes=("a", "b", "c")).to_scores(np.array(logits, dtype=np.float32))
    np.testing.assert_allclose(probabilities, softmax(np.array(logits, dtype=np.float32).astype(float), axis=-1), atol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1)


MEANINGS = [Labels("regression", Scaler(*fit)) for fit in [(), ("log",), ("standard", 1.25, 1 / 3), ("minmax", -1.0, 5.0)]]


@given(
    meaning=st.sampled_from([*MEANINGS, Labels("classification", classes=("a", "b", "c"))]),
    scale=st.sampled_from(["probability", "logit"]),
    values=st.lists(st.floats(-20, 20, width=32), min_size=3, max_size=3),
)
def test_outputs_of_arrays_and_tensors_mean_the_same(meaning, scale, values):
    outputs = torch.tensor([values], requires_grad=True)
    of_array, of_tensor = meaning.to_scores(outputs.detach().numpy(), scale), meaning.to_scores(outputs, scale)
    assert (of_array.dtype, of_tensor.dtype, of_tensor.requires_grad) == (np.float64, torch.float64, True)
    np.testing.assert_allclose(of_tensor.detach().numpy(), of_array, rtol=1e-12)
    if (meaning.task, scale) == ("classification", "logit"):
        assert of_array.tolist() == [values]


@pytest.mark.parametrize("fitted", [*MEANINGS, Labels("classification", classes=("a", "β", "c d"))])
def test_labels_come_back_from_their_file(tmp_path, fitted):
    fitted.save(tmp_path / "labels.json")
    assert Labels.load(tmp_path / "labels.json") == fitted
    content = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    assert (content["task"], content["classes"]) == (fitted.task, list(fitted.classes))


@pytest.mark.parametrize("content", ["{}", "[1]", '{"task": "regression", "scaler": {"centre": 1}, "classes": []}'])
def test_a_file_of_something_else_is_refused(tmp_path, refusal, content):
    path = tmp_path / "labels.json"
    path.write_text(content)
    assert refusal(Labels.load, path).startswith(f"{path}: not a labels file of rnalm (")


# Class weights


def test_classes_weigh_inversely_to_their_frequency_and_nothing_if_they_do_not_occur():
    targets = np.array([0, 2, 1, 0, 2, 2, 2])
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    np.testing.assert_allclose(
        class_weights(count(Labels("classification", classes=tuple("abc")), [(targets, np.ones(7))])), balanced
    )
    np.testing.assert_allclose(class_weights(np.array([[1, 2], [3, 0], [2, 1], [3, 0]])), [3 / 8, 0, 3 / 4, 0])
