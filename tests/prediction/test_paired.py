"""Differences and their intervals are those of plain loops, and what cannot be compared is refused."""

import math

import numpy as np
import pytest
from finished_experiments import example, write_experiment
from scipy import stats
from sklearn import metrics as sk

from rnalm.files import write_json
from rnalm.labels.labels import Labels
from rnalm.prediction import finished, paired

ROWS = 30
GROUPS = [None if k % 5 == 0 else f"row{k // 3}" for k in range(ROWS)]  # named as rows are


def truth_and_predictions(labels: Labels, seed: int) -> tuple[dict, np.ndarray]:
    """Draw labels, always the same ones, and predictions of another experiment for each seed."""
    random = np.random.default_rng(1)
    count, drawn = labels.n_outputs, np.random.default_rng(seed)
    if labels.task == "classification":
        truth = random.integers(0, count, ROWS)
        predicted = drawn.random((ROWS, count)) + 0.6 * np.eye(count)[truth]
        known = [labels.classes[own] for own in truth]
        return {f"row{k}": own for k, own in enumerate(known)}, predicted / predicted.sum(axis=1, keepdims=True)
    own = random.standard_normal((ROWS, count)) if labels.task == "regression" else random.integers(0, 2, (ROWS, count)) * 1.0
    predicted = own + drawn.standard_normal((ROWS, count))
    predicted = predicted if labels.task == "regression" else 1 / (1 + np.exp(-predicted))
    if labels.several:
        own[::7, 0] = math.nan
        return {f"row{k}": one.tolist() for k, one in enumerate(own)}, predicted
    return {f"row{k}": float(one[0]) for k, one in enumerate(own)}, predicted


def expected(labels: Labels, metric: str, truth: dict, predicted: np.ndarray, rows: list[int]) -> float:
    """Compute a metric over some rows, target by target."""
    ids = list(truth)
    own = [truth[ids[row]] for row in rows]
    if labels.task == "classification":
        return float(np.mean([labels.classes[predicted[row].argmax()] == name for row, name in zip(rows, own, strict=True)]))
    values = []
    for k in range(labels.n_outputs):
        pairs = [(one[k] if labels.several else one, predicted[row][k]) for row, one in zip(rows, own, strict=True)]
        left, right = np.array([pair for pair in pairs if not math.isnan(pair[0])]).T
        if labels.task == "multilabel":
            values += [sk.roc_auc_score(left, right)] if 0 < left.sum() < len(left) else []
        else:
            values.append(np.mean((left - right) ** 2))
    return float(np.mean(values))


KINDS = [
    (Labels("regression"), "mse"),
    (Labels("regression", classes=("liver", "brain")), "mse"),
    (Labels("classification", classes=("a", "b", "c")), "accuracy"),
    (Labels("multilabel", classes=("a", "b")), "roc_auc"),
]


@pytest.mark.parametrize(("labels", "metric"), KINDS, ids=lambda value: getattr(value, "task", value))
def test_differences_and_intervals_are_those_of_a_plain_loop(tmp_path, labels, metric):
    made = [truth_and_predictions(labels, seed) for seed in (2, 3, 4)]
    folders = [write_experiment(tmp_path / str(k), labels, *each, groups=GROUPS) for k, each in enumerate(made)]
    experiments = finished.read(folders)
    found = paired.differences(experiments, paired.common(experiments), resamples=40, seed=5)[metric]

    groups: dict = {}
    for row, group in enumerate(GROUPS):
        groups.setdefault(("alone", row) if group is None else group, []).append(row)
    named = sorted((key for key in groups if isinstance(key, str)), key=lambda key: groups[key][0])
    members = [groups[key] for key in named] + [rows for key, rows in groups.items() if not isinstance(key, str)]
    random = np.random.default_rng(5)
    apart = []
    for _ in range(40):
        drawn = [row for k in random.integers(0, len(members), len(members)) for row in members[k]]
        values = [expected(labels, metric, *each, drawn) for each in made]
        apart.append([value - values[0] for value in values[1:]])
    whole = [expected(labels, metric, *each, list(range(ROWS))) for each in made]
    assert found["values"] == pytest.approx(whole)
    assert found["difference"] == pytest.approx([value - whole[0] for value in whole[1:]])
    assert found["low"] == pytest.approx(np.percentile(apart, 2.5, axis=0))
    assert found["high"] == pytest.approx(np.percentile(apart, 97.5, axis=0))


def test_rows_are_matched_by_id_whatever_their_order(tmp_path):
    labels = Labels("regression")
    truth, predicted = truth_and_predictions(labels, 2)
    first = write_experiment(tmp_path / "a", labels, truth, predicted)
    back = write_experiment(tmp_path / "b", labels, dict(reversed(truth.items())), predicted[::-1])
    experiments = finished.read([first, back])
    found = paired.differences(experiments, paired.common(experiments), resamples=20)
    assert found["pearson"]["values"][0] == pytest.approx(found["pearson"]["values"][1])
    assert found["mse"]["low"] == found["mse"]["high"] == [0.0]


def test_rows_of_other_labels_are_left_out_and_told(tmp_path, caplog):
    labels = Labels("regression")
    truth, predicted = truth_and_predictions(labels, 2)
    first = write_experiment(tmp_path / "a", labels, truth, predicted)
    changed = {name: value + (name in ("row3", "row8")) for name, value in truth.items()} | {"more": 1.0}
    second = write_experiment(tmp_path / "b", labels, changed, np.concatenate([predicted, [[1.0]]]))
    rows = paired.common(finished.read([first, second]))
    assert (len(rows.ids), rows.alone, rows.changed) == (28, [2, 3], 2)
    assert caplog.messages == ["2 rows are left out, as their labels differ; the first is 'row3'"]


def test_of_few_groups_there_is_no_interval(tmp_path):
    labels = Labels("regression")
    made = [truth_and_predictions(labels, seed) for seed in (2, 3)]
    groups = [f"g{k % 9}" for k in range(ROWS)]
    experiments = finished.read(
        [write_experiment(tmp_path / str(k), labels, *each, groups=groups) for k, each in enumerate(made)]
    )
    found = paired.differences(experiments, paired.common(experiments), resamples=20)
    assert found["mse"]["low"] == found["mse"]["high"] == [None]


def test_folds_are_compared_by_the_corrected_test_where_they_test_the_same_rows(tmp_path):
    folders = [example(tmp_path / name, noise) for name, noise in (("a", 1.0), ("b", 2.0))]
    given = [[4.0, 6.0], [3.5, 4.5]]
    for folder, values in zip(folders, given, strict=True):
        for fold, value in enumerate(values):
            write_json(folder / f"fine-tune/{fold}/test_results.json", {"test_mse": value, "test_rows": 20})
    found = paired.by_fold(finished.read(folders))
    # Differences -0.5 and -1.5: mean -1, variance 0.5; as many rows test a fold as train it.
    half = stats.t.ppf(0.975, 1) * math.sqrt((1 / 2 + 1) * 0.5)
    assert found["mse"]["values"] == given
    assert (found["mse"]["folds"], found["mse"]["difference"]) == (["0", "1"], [-1.0])
    assert (found["mse"]["low"][0], found["mse"]["high"][0]) == pytest.approx((-1 - half, -1 + half))


def test_other_folds_are_not_compared(tmp_path):
    labels = Labels("regression")
    truth, predicted = truth_and_predictions(labels, 2)
    folders = [write_experiment(tmp_path / str(folds), labels, truth, predicted, folds=folds) for folds in (2, 3)]
    assert paired.by_fold(finished.read(folders)) == {}


def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path, refusal):
    first = example(tmp_path / "study", 1.0)
    assert refusal(finished.read, [first]) == f"compare: found {first}, expected two or more folders, each another one"
    assert refusal(finished.read, [first, first]).endswith("expected two or more folders, each another one")
    assert refusal(finished.read, [first, tmp_path / "stdy"]) == (
        f"{tmp_path / 'stdy'}: no such folder; did you mean '{first}'? (valid: {first})"
    )
    (tmp_path / "empty").mkdir()
    assert refusal(finished.read, [first, tmp_path / "empty"]).startswith(
        f"{tmp_path / 'empty'}: no experiment, expected the output of one, with fine-tune/*/labels.json; "
    )
    truth = {f"row{k}": "ab"[k % 2] for k in range(4)}
    other = write_experiment(tmp_path / "other", Labels("classification", classes=("a", "b")), truth, np.full((4, 2), 0.5))
    assert refusal(finished.read, [first, other]) == f"{other}: task is classification, expected regression, as of {first}"
    third = write_experiment(tmp_path / "third", Labels("classification", classes=("a", "c")), truth, np.full((4, 2), 0.5))
    assert refusal(finished.read, [other, third]) == f"{third}: classes are a, c, expected a, b, as of {other}"
    apart = write_experiment(tmp_path / "apart", Labels("regression"), {"x": 1.0, "y": 2.0}, np.ones((2, 1)))
    assert refusal(paired.common, finished.read([first, apart])) == (
        f"{first} and {apart} have no test row with a label in common; expected rows of the same ids"
    )
    moved = write_experiment(tmp_path / "moved", Labels("regression"), {"row1": 7.0, "row2": 9.0}, np.ones((2, 1)))
    assert refusal(paired.common, finished.read([first, moved])) == (
        f"{first}: all 2 rows in common have other labels in another experiment, the first 'row1'; expected the same labels"
    )
    (moved / "predict/predictions.parquet").unlink()
    assert refusal(finished.read, [first, moved]).startswith(f"{moved}/predict/predictions.parquet: no such file; ")


def test_names_are_the_shortest_that_tell_experiments_apart(tmp_path):
    folders = [example(tmp_path / name / "out", 1.0) for name in ("one", "two")]
    assert [one.name for one in finished.read(folders)] == ["one/out", "two/out"]
