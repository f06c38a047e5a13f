"""Predictions ─► labels against predictions, of all models together and of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn import metrics as sk

from rnalm.labels.labels import Labels, together
from rnalm.labels.metrics import f1_of_rates
from rnalm.labels.tally import f1_of
from rnalm.prediction.columns import label_columns, score_columns

#: Where curves are sampled: closer than the pixels of a screen are, and at no more points for a million rows.
GRID = np.linspace(0, 1, 501)
#: ROC, precision-recall, and F1 by threshold.
KINDS = ("roc", "pr", "f1")


def read(path: str | Path, labels: Labels, models: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Read what models predicted for the rows that have a label, holding no more than those of two models.

    Parameters
    ----------
    path : path
        ``predictions.parquet``, from :func:`rnalm.prediction.evaluate.merge`.
    labels : Labels
        What the outputs of the models mean.
    models : mapping of str to sequence of int
        By name, numbers of models whose mean is asked for; none: what all predict together.

    Yields
    ------
    str
        A name whose models predicted rows with a label.
    numpy.ndarray
        Labels of these rows, or their class indices ``(rows,)``; of several targets ``(rows, targets)``.
    numpy.ndarray
        Predictions ``(rows,)`` or ``(rows, targets)``, or probabilities ``(rows, classes)``.
    """
    column = pd.read_parquet(path, columns=["label"])["label"]
    known = column.notna().to_numpy()
    if labels.several:
        truth = _columns(path, label_columns(labels))[known]
    else:
        values = column.dropna().to_numpy()
        truth = labels.to_targets(values) if labels.classes else values.astype(float)
    for name, numbers in models.items() if known.any() else ():
        each = (_columns(path, score_columns(labels, model)) for model in numbers or [None])
        predicted = sum(each, np.zeros(()))[known] / max(1, len(numbers))
        saw = ~np.isnan(predicted[:, 0])
        if saw.any():
            yield name, truth[saw], predicted[saw] if labels.classes else predicted[saw, 0]


def _columns(path: str | Path, columns: list[str]) -> np.ndarray:
    """Read columns of numbers: float64 ``(rows, columns)``."""
    return pd.read_parquet(path, columns=columns)[columns].to_numpy(float)


@dataclass(frozen=True)
class Measured:
    """How well probabilities tell classes apart: each class from the rest or, of two, the last from the first.

    Attributes
    ----------
    name : str
        Of the model.
    counts : numpy.ndarray
        Rows by true and most probable class ``(classes, classes)``; or as :func:`measure_labels` has them.
    lines : dict of str to numpy.ndarray
        By kind, the height of each curve over :data:`GRID` ``(curves, points)``; NaN for a class that no row has, or every.
    scores : dict of str to numpy.ndarray
        Area under the ROC curve, average precision and greatest F1 ``(curves,)``.
    thresholds : numpy.ndarray
        Where F1 is greatest ``(curves,)``.
    """

    name: str
    counts: np.ndarray
    lines: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    thresholds: np.ndarray


def measure_labels(
    path: str | Path, labels: Sequence[Labels], models: Mapping[str, Sequence[int]], whole: Labels
) -> Iterator[tuple[Measured, dict[str, float]]]:
    """Measure predictions of which a row may have any number of classes, holding no more than those of one class.

    Parameters
    ----------
    path, models
        As for :func:`read`.
    labels : sequence of Labels
        What the outputs of each model mean, with thresholds of its own.
    whole : Labels
        What the predictions of all together mean.

    Yields
    ------
    Measured
        Each class told from its own negatives; ``counts`` are the rows of each by whether they are of it, and whether they are
        told to be ``(classes, 2, 2)``.
    dict of str to float
        ``accuracy``, ``f1_macro``, ``roc_auc`` and ``pr_auc`` (see :meth:`rnalm.labels.tally.LabelTally.scores`), and ``rows``.
    """
    file = pq.ParquetFile(path)  # once: of many classes its footer is long
    labelled = file.read(["label"])["label"].to_pandas().notna().to_numpy()
    for name, numbers in models.items() if labelled.any() else ():
        saw, each, counts = np.zeros(len(labelled), dtype=bool), [], []
        own = together([labels[number] for number in numbers]) if numbers else whole
        for index, (column, limit) in enumerate(zip(label_columns(own), own.limits, strict=True)):
            truth = file.read([column]).to_pandas()[column].to_numpy(float)
            columns = [score_columns(own, model)[index] for model in numbers or [None]]
            probability = file.read(columns).to_pandas()[columns].to_numpy(float).mean(axis=1)
            saw |= ~np.isnan(probability)
            known = ~np.isnan(truth) & ~np.isnan(probability)
            positive, probability = truth[known] == 1, probability[known]
            each.append(measure_class(positive, probability))
            counts.append(np.bincount(2 * positive + (probability >= limit), minlength=4).reshape(2, 2))
        measured = _gathered(name, np.array(counts), each)
        if rows := int((saw & labelled).sum()):
            yield measured, _means(measured) | {"rows": rows}


def _means(measured: Measured) -> dict[str, float]:
    """Average over classes what is known of each."""
    found = {"f1_macro": [f1_of(told) for told in measured.counts]}
    found |= {"roc_auc": measured.scores["roc"], "pr_auc": measured.scores["pr"]}
    told = measured.counts.sum(axis=0)
    means = {key: float(np.nanmean(values)) if np.isfinite(values).any() else np.nan for key, values in found.items()}
    return {"accuracy": float(np.trace(told) / told.sum()), **means}


def measure(name: str, targets: np.ndarray, probabilities: np.ndarray) -> Measured:
    """Reduce the probabilities of many rows to what can be drawn of them.

    Parameters
    ----------
    name : str
        Of the model.
    targets : numpy.ndarray
        Class indices ``(rows,)``.
    probabilities : numpy.ndarray
        ``(rows, classes)``

    Examples
    --------
    Two rows of two classes, told apart without a mistake:

    >>> measured = measure("model", np.array([0, 1]), np.array([[0.75, 0.25], [0.5, 0.5]]))
    >>> measured.scores["roc"], measured.thresholds
    (array([1.]), array([0.5]))
    """
    n_classes = probabilities.shape[1]
    counts = sk.confusion_matrix(targets, probabilities.argmax(axis=1), labels=range(n_classes))
    positives = [1] if n_classes == 2 else range(n_classes)
    return _gathered(name, counts, [measure_class(targets == c, probabilities[:, c]) for c in positives])


def _gathered(name: str, counts: np.ndarray, each: list) -> Measured:
    """Put the curves of all classes together."""
    lines, scores, thresholds = zip(*each, strict=True)
    return Measured(
        name,
        counts,
        {kind: np.stack([of[kind] for of in lines]) for kind in KINDS},
        {kind: np.array([of[kind] for of in scores]) for kind in KINDS},
        np.array(thresholds),
    )


def measure_class(positive: np.ndarray, probability: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, float], float]:
    """Reduce the probabilities of one class to what can be drawn of them.

    Parameters
    ----------
    positive : numpy.ndarray
        Whether rows are of the class ``(rows,)``.
    probability : numpy.ndarray
        ``(rows,)``

    Returns
    -------
    lines : dict of str to numpy.ndarray
        By kind, the height of the curve over :data:`GRID`; NaN where all rows are of the class, or none is.
    scores : dict of str to float
        Area under the ROC curve, average precision and greatest F1.
    threshold : float
        Where F1 is greatest.
    """
    if not 0 < positive.sum() < len(positive):
        return dict.fromkeys(KINDS, np.full(len(GRID), np.nan)), dict.fromkeys(KINDS, np.nan), np.nan
    false_rate, true_rate, _ = sk.roc_curve(positive, probability)
    precision, recall, thresholds = sk.precision_recall_curve(positive, probability)
    f1 = f1_of_rates(precision, recall)
    # Precision steps from one recall to the next: a straight line between them would promise too much (Davis & Goadrich,
    # ICML 2006). At recall 0 is drawn what precision comes to there, not the 1 that scikit-learn appends.
    steps = np.searchsorted(recall[-2::-1], np.maximum(GRID, np.finfo(float).tiny))
    lines = {
        "roc": np.interp(GRID, false_rate, true_rate),
        "pr": precision[-2::-1][steps],
        "f1": f1[np.searchsorted(thresholds, GRID)],
    }
    best = f1[:-1].argmax()
    areas = sk.roc_auc_score(positive, probability), sk.average_precision_score(positive, probability)
    return lines, dict(zip(KINDS, (*areas, f1[best]), strict=True)), thresholds[best]
