"""How good predictions are."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics as sk

from rnalm.errors import RnalmError
from rnalm.labels.labels import Labels

#: Numbers that are looked at together.
BLOCK = 2**22

#: Of labels and predictions and, for classes, perhaps of how many rows each row stands for.
Metric = Callable[..., float]


def score(labels: Labels, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Compare model outputs with labels.

    Parameters
    ----------
    labels : Labels
        What the outputs mean.
    truth : numpy.ndarray
        Labels as in the source, numbers or names of classes ``(rows,)``, or of several targets numbers or NaN
        ``(rows, targets)``.
    outputs : numpy.ndarray
        Raw outputs of the model ``(rows, outputs)``.

    Returns
    -------
    dict
        See :func:`regression`, in the units of the labels and, with the prefix ``scaled_``, as the model sees them;
        or :func:`classification`. For multilabel, :func:`rnalm.labels.tally.score` does the same.

    Raises
    ------
    RnalmError
        If predictions are not finite in the units of the labels, or a class is none that the model knows.
    """
    if labels.task == "classification":
        return classification(labels.to_targets(truth), labels.to_scores(outputs))
    values, truth, outputs = check_finite(labels.to_scores(outputs)), truth.astype(np.float64), outputs.astype(np.float64)
    if not labels.several:
        values, outputs = values[:, 0], outputs[:, 0]
    scaled = regression(labels.scaler.transform(truth), outputs)
    return regression(truth, values) | {f"scaled_{name}": value for name, value in scaled.items()}


def check_finite(predictions: np.ndarray) -> np.ndarray:
    """Refuse predictions that are not finite, such as logarithms that were too large to be undone.

    Parameters
    ----------
    predictions : numpy.ndarray
        ``(rows,)``, in the units of the labels.

    Returns
    -------
    numpy.ndarray
        The same.

    Raises
    ------
    RnalmError
        If one of them is infinite or NaN.
    """
    if not np.isfinite(predictions).all():
        raise RnalmError(
            "predictions are not finite in the units of the labels: training diverged; lower finetune.learning_rate"
        )
    return predictions


def regression(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Compare predicted with true numbers.

    Parameters
    ----------
    labels, predictions : numpy.ndarray
        In the same units ``(rows,)``; or of several targets, where labels that are not known are NaN ``(rows, targets)``.

    Returns
    -------
    dict
        Each metric of :data:`METRICS` by name; NaN where one is not defined (fewer than two rows, or no variation). Of several
        targets the mean over those whose labels let it be defined, where predictions that do not vary correlate by 0; and with
        ``_micro`` behind its name that of all known pairs of row and target together.

    Examples
    --------
    >>> values = regression(np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 3.0]))
    >>> {name: round(value, 3) for name, value in values.items()}
    {'mse': 1.667, 'mae': 1.0, 'r2': -0.071, 'pearson': 0.5, 'spearman': 0.5}
    """
    if labels.ndim == 1:
        return {name: float(metric(labels, predictions)) for name, metric in METRICS["regression"].items()}
    each, known = each_target(labels, predictions), ~np.isnan(labels)
    pooled = regression(labels[known], predictions[known])
    values = np.array([[own[name] for name in pooled] for own in each])  # (targets, metrics)
    varied = [_vary(own[there]) for own, there in zip(labels.T, known.T, strict=True)]
    # Left out, a target of which a model predicts the same for all would make the mean greater.
    values[np.isnan(values) & np.array(varied)[:, None]] = 0
    means = dict(zip(pooled, map(mean_of_defined, values.T), strict=True))
    return means | {f"{name}_micro": value for name, value in pooled.items()}


def each_target(labels: np.ndarray, predictions: np.ndarray) -> list[dict[str, float]]:
    """Compare predicted with true numbers of each of several targets by itself.

    Parameters
    ----------
    labels, predictions : numpy.ndarray
        As for :func:`regression` ``(rows, targets)``.

    Returns
    -------
    list of dict
        One a target: what :func:`regression` gives for the rows of which it is known, and ``rows``, how many these are.
    """
    known = ~np.isnan(labels)
    pairs = [(labels[own, k], predictions[own, k]) for k, own in enumerate(known.T)]
    return [regression(*pair) | {"rows": len(pair[0])} for pair in pairs]


def classification(targets: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Compare class probabilities with true classes.

    Parameters
    ----------
    targets : numpy.ndarray
        Class indices ``(rows,)``.
    probabilities : numpy.ndarray
        ``(rows, classes)``

    Returns
    -------
    dict
        Each metric of :data:`METRICS` by name. Areas under curves are, for more than two classes, the mean over the classes
        that occur, one against the rest; NaN where only one class occurs.
    """
    return {name: float(metric(targets, probabilities)) for name, metric in METRICS["classification"].items()}


def choose_thresholds(labels: Labels, truth: np.ndarray, outputs: np.ndarray) -> Labels:
    """Let each class of multilabel be told from that probability on which has the greatest F1; 0.5 where none has one.

    Parameters
    ----------
    labels : Labels
        What the outputs mean; of other tasks as it stands.
    truth : numpy.ndarray
        1, 0 or NaN ``(rows, classes)``, of rows that were not learned from.
    outputs : numpy.ndarray
        Raw outputs of the model ``(rows, classes)``.
    """
    if labels.task != "multilabel":
        return labels
    # Some classes at a time: of many, the probabilities of all would take twice the memory of the outputs.
    blocks = np.array_split(np.arange(labels.n_outputs), -(-truth.size // BLOCK))
    probabilities = (own for block in blocks for own in labels.to_scores(outputs[:, block]).T)
    return replace(labels, thresholds=tuple(map(_best_threshold, truth.T, probabilities)))


def _best_threshold(truth: np.ndarray, probability: np.ndarray) -> float:
    """Give the threshold of the greatest F1, 0.5 if there is none: midway from the last row that is taken to the next one."""
    known = ~np.isnan(truth)
    positive = truth[known] == 1
    if not 0 < positive.sum() < len(positive):
        return 0.5
    precision, recall, thresholds = sk.precision_recall_curve(positive, probability[known])
    best = int(f1_of_rates(precision, recall)[:-1].argmax())
    return float(thresholds[max(best - 1, 0) : best + 1].mean())


def f1_of_rates(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Compute F1, 0 where both are.

    Parameters
    ----------
    precision, recall : numpy.ndarray
        Of one shape.
    """
    # Both are 0 or neither is, so that nothing else is divided by the tiny number.
    return 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)


def mean_of_defined(values: Sequence[float] | np.ndarray) -> float:
    """Average what is defined; NaN where nothing is.

    Parameters
    ----------
    values : sequence of float
        NaN where one is not defined.
    """
    values = np.asarray(values, dtype=np.float64)
    return float(np.nanmean(values)) if not np.isnan(values).all() else math.nan


def _vary(*values: np.ndarray) -> bool:
    """Say whether there are several rows, and each of some columns has different values in them."""
    return all(len(column) > 1 and np.ptp(column) > 0 for column in values)


def _correlation(correlate: Callable) -> Metric:
    """Make a metric of a correlation of scipy, which is defined where labels and predictions vary."""
    return lambda labels, predictions: correlate(labels, predictions).statistic if _vary(labels, predictions) else math.nan


def _averaged(score: Callable, average: str) -> Metric:
    """Make a metric of a score of scikit-learn for the likeliest class, averaged over classes; 0 where it is not defined."""
    options = {"average": average, "zero_division": 0}
    return lambda targets, probabilities, weights=None: score(
        targets, probabilities.argmax(axis=1), sample_weight=weights, **options
    )


def _area(score: Callable) -> Metric:
    """Make a metric of the area under a curve, as scikit-learn computes it for one class against the rest."""

    def mean_area(targets: np.ndarray, probabilities: np.ndarray) -> float:
        n_classes = probabilities.shape[1]
        positives = [1] if n_classes == 2 else range(n_classes)
        areas = [score(targets == c, probabilities[:, c]) for c in positives if 0 < np.sum(targets == c) < len(targets)]
        return float(np.mean(areas)) if areas else math.nan

    return mean_area


#: Areas under curves, for one class against the rest.
AREAS: dict[str, Callable] = {"roc_auc": sk.roc_auc_score, "pr_auc": sk.average_precision_score}

#: The metrics of each task, in the order of result files: labels and predictions ``(rows,)``, or class indices ``(rows,)`` and
#: probabilities ``(rows, classes)``, ─► a number, NaN where it is not defined. A new metric is a function and an entry here;
#: :data:`rnalm.config.METRICS` says whether greater is better.
METRICS: dict[str, dict[str, Metric]] = {
    "regression": {
        "mse": lambda labels, predictions: np.mean((labels - predictions) ** 2) if len(labels) else math.nan,
        "mae": lambda labels, predictions: np.mean(np.abs(labels - predictions)) if len(labels) else math.nan,
        "r2": lambda labels, predictions: sk.r2_score(labels, predictions) if _vary(labels) else math.nan,
        "pearson": _correlation(stats.pearsonr),
        "spearman": _correlation(stats.spearmanr),
    },
    "classification": {
        "accuracy": lambda targets, probabilities, weights=None: sk.accuracy_score(
            targets, probabilities.argmax(axis=1), sample_weight=weights
        ),
        "precision_macro": _averaged(sk.precision_score, "macro"),
        "recall_macro": _averaged(sk.recall_score, "macro"),
        "f1_macro": _averaged(sk.f1_score, "macro"),
        "precision_weighted": _averaged(sk.precision_score, "weighted"),
        "recall_weighted": _averaged(sk.recall_score, "weighted"),
        "f1_weighted": _averaged(sk.f1_score, "weighted"),
        **{name: _area(score) for name, score in AREAS.items()},
    },
}


def per_class(targets: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Compute precision, recall and F1 of each class.

    Parameters
    ----------
    targets : numpy.ndarray
        Class indices ``(rows,)``.
    probabilities : numpy.ndarray
        ``(rows, classes)``
    classes : sequence of str
        Their names, in the order of their indices.

    Returns
    -------
    dict
        For each class by name: ``precision``, ``recall``, ``f1``, and ``rows``, how many are of it; 0 where one is not defined.
    """
    predicted = probabilities.argmax(axis=1)
    options = {"labels": range(len(classes)), "zero_division": 0}
    scores = np.array(sk.precision_recall_fscore_support(targets, predicted, **options), dtype=np.float64)  # (4, classes)
    names = ("precision", "recall", "f1", "rows")
    return {name: dict(zip(names, values, strict=True)) for name, values in zip(classes, scores.T.tolist(), strict=True)}


def finite(values: dict[str, Any]) -> dict[str, Any]:
    """Replace what is not finite, for which JSON has no word, by None.

    Parameters
    ----------
    values : dict
        Metrics by name, or such dicts; what is no float stays as it is.
    """

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return finite(value)
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {key: replaced(value) for key, value in values.items()}
