"""How good predictions are."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats
from sklearn import metrics as sk

from rnalm.errors import RnalmError
from rnalm.labels.labels import Labels


def score(labels: Labels, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Compare model outputs with labels.

    Parameters
    ----------
    labels : Labels
        What the outputs mean.
    truth : numpy.ndarray
        Labels ``(rows,)`` as in the source.
    outputs : numpy.ndarray
        Raw outputs of the model ``(rows, outputs)``.

    Returns
    -------
    dict
        See :func:`regression`, in the units of the labels and, with the prefix ``scaled_``, as the model sees them;
        or :func:`classification`.
    """
    if labels.task == "classification":
        return classification(labels.to_targets(truth), labels.to_scores(outputs))
    values = check_finite(labels.to_scores(outputs)[:, 0])
    scaled = regression(labels.scaler.transform(truth.astype(np.float64)), outputs[:, 0].astype(np.float64))
    return regression(truth.astype(np.float64), values) | {f"scaled_{k}": v for k, v in scaled.items()}


def check_finite(predictions: np.ndarray) -> np.ndarray:
    """Refuse predictions that are not finite, such as logarithms that were too large to be undone.

    Raises
    ------
    RnalmError
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
        ``(rows,)``

    Returns
    -------
    dict
        ``mse``, ``mae``, ``r2``, ``pearson``, ``spearman``; NaN where one is not defined (fewer than two rows, or no
        variation).
    """
    varies = len(labels) > 1 and np.ptp(labels) > 0
    both_vary = varies and np.ptp(predictions) > 0
    return {
        "mse": float(np.mean((labels - predictions) ** 2)),
        "mae": float(np.mean(np.abs(labels - predictions))),
        "r2": float(sk.r2_score(labels, predictions)) if varies else math.nan,
        "pearson": float(stats.pearsonr(labels, predictions).statistic) if both_vary else math.nan,
        "spearman": float(stats.spearmanr(labels, predictions).statistic) if both_vary else math.nan,
    }


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
        ``accuracy``; ``f1``, ``precision`` and ``recall``, macro and weighted; ``roc_auc`` and ``pr_auc``, for more than
        two classes the mean over the classes that occur, one against the rest. NaN where one is not defined.
    """
    predicted = probabilities.argmax(axis=1)
    found = {"accuracy": float(sk.accuracy_score(targets, predicted))}
    for average in ("macro", "weighted"):
        scores = sk.precision_recall_fscore_support(targets, predicted, average=average, zero_division=0)
        found |= dict(zip((f"precision_{average}", f"recall_{average}", f"f1_{average}"), map(float, scores[:3]), strict=True))
    n_classes = probabilities.shape[1]
    positives = [1] if n_classes == 2 else range(n_classes)
    defined = [c for c in positives if 0 < np.sum(targets == c) < len(targets)]
    for name, score in (("roc_auc", sk.roc_auc_score), ("pr_auc", sk.average_precision_score)):
        each = [score(targets == c, probabilities[:, c]) for c in defined]
        found[name] = float(np.mean(each)) if each else math.nan
    return found


def per_class(targets: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Report precision, recall, F1 and number of rows for each class by name."""
    predicted = probabilities.argmax(axis=1)
    columns = sk.precision_recall_fscore_support(targets, predicted, labels=range(len(classes)), zero_division=0)
    names = ("precision", "recall", "f1", "rows")
    return {
        name: dict(zip(names, map(float, values), strict=True))
        for name, values in zip(classes, zip(*columns, strict=True), strict=True)
    }


def finite(values: dict[str, float]) -> dict[str, float | None]:
    """Replace NaN, for which JSON has no word, by None."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()}
