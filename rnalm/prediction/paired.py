"""Predictions of several experiments for the same rows ─► differences of metrics, with intervals."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from rnalm.config import METRICS
from rnalm.errors import RnalmError
from rnalm.labels import metrics
from rnalm.labels.labels import Labels
from rnalm.prediction.columns import label_columns, score_columns
from rnalm.prediction.finished import Finished

log = logging.getLogger(__name__)

#: What is compared of each task; the first decides where the configuration does not say.
COMPARED = {
    "regression": ("pearson", "spearman", "r2", "mse", "mae"),
    "classification": ("pr_auc", "roc_auc", "accuracy", "f1_macro"),
    "multilabel": ("pr_auc", "roc_auc"),
}
#: Share of resamples that an interval holds.
LEVEL = 0.95
#: Of fewer groups, resamples would only repeat each other: there is no interval.
FEWEST = 10


@dataclass(frozen=True)
class Common:
    """Rows with a label that all experiments predicted without having seen them.

    Attributes
    ----------
    ids : numpy.ndarray
        Of the rows, in the order of the first experiment ``(rows,)``.
    groups : numpy.ndarray
        Number of the group of each row ``(rows,)``.
    places : list of numpy.ndarray
        Where the rows stand among the predictions of each experiment ``(rows,)``.
    alone : list of int
        How many rows of each experiment are not among them.
    changed : int
        Rows that are left out as their labels differ.
    """

    ids: np.ndarray
    groups: np.ndarray
    places: list[np.ndarray]
    alone: list[int]
    changed: int

    def outputs(self, experiments: Sequence[Finished]) -> Iterator[tuple[str, np.ndarray, list[np.ndarray]]]:
        """Read labels and predictions: of several targets or classes one after the other, so that few are held at a time.

        Parameters
        ----------
        experiments : sequence of Finished
            The same ones.

        Yields
        ------
        str
            Name of the target or class; of one number or one class a row, nothing.
        numpy.ndarray
            Numbers, 1 or 0, NaN where it is not known, or class indices ``(rows,)``.
        list of numpy.ndarray
            Predictions of each experiment ``(rows,)``, or for classification ``(rows, classes)``.
        """
        labels = experiments[0].labels
        first, at = experiments[0].predictions, self.places[0]
        if labels.several:
            for name, own, column in zip(labels.classes, label_columns(labels), score_columns(labels), strict=True):
                truth = pd.read_parquet(first, columns=[own])[own].to_numpy(float)[at]
                yield name, truth, [each[:, 0] for each in self._predicted(experiments, [column])]
            return
        truth = pd.read_parquet(first, columns=["label"])["label"].to_numpy()[at]
        predicted = self._predicted(experiments, score_columns(labels))
        if labels.classes:
            yield "", labels.to_targets(truth), predicted
        else:
            yield "", truth.astype(float), [each[:, 0] for each in predicted]

    def _predicted(self, experiments: Sequence[Finished], columns: list[str]) -> list[np.ndarray]:
        tables = (pd.read_parquet(one.predictions, columns=columns)[columns].to_numpy(float) for one in experiments)
        return [table[at] for table, at in zip(tables, self.places, strict=True)]


def common(experiments: Sequence[Finished]) -> Common:
    """Find the rows that all experiments predicted, by id; those whose labels differ are left out, which is said.

    Parameters
    ----------
    experiments : sequence of Finished
        From :func:`rnalm.prediction.finished.read`.

    Raises
    ------
    RnalmError
        If there is no such row.
    """
    tables = [_known(one) for one in experiments]
    ids = tables[0].index[np.logical_and.reduce([tables[0].index.isin(other.index) for other in tables[1:]])]
    if not len(ids):
        names = " and ".join(str(one.folder) for one in experiments)
        raise RnalmError(f"{names} have no test row with a label in common; expected rows of the same ids")
    same = np.ones(len(ids), dtype=bool)
    expected = tables[0].loc[ids].drop(columns="row").to_numpy()
    for other in tables[1:]:
        same &= _alike(expected, other.loc[ids].drop(columns="row").to_numpy())
    changed, shared = int((~same).sum()), ids[same]
    if not len(shared):
        raise RnalmError(
            f"{experiments[0].folder}: all {changed:,} rows in common have other labels in another experiment, "
            f"the first {ids[0]!r}; expected the same labels"
        )
    if changed:
        log.warning("%d rows are left out, as their labels differ; the first is %r", changed, ids[~same][0])
    places = [table.loc[shared, "row"].to_numpy() for table in tables]
    alone = [len(table) - len(shared) for table in tables]
    return Common(shared.to_numpy(), experiments[0].groups(shared), places, alone, changed)


def _known(experiment: Finished) -> pd.DataFrame:
    """Read the labels of rows that have one, by id, and ``row``, where they stand."""
    columns = label_columns(experiment.labels) or ["label"]
    frame = pd.read_parquet(experiment.predictions, columns=["id", *columns])
    frame["row"] = np.arange(len(frame))
    known = frame[columns].notna().to_numpy().any(axis=1)
    return frame.set_index("id").iloc[np.flatnonzero(known)]


def _alike(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Say of each row whether all its labels are the same ``(rows,)``."""
    if expected.dtype == object:
        return np.all(expected == found, axis=1)
    return np.all(np.isclose(expected.astype(float), found.astype(float), rtol=1e-6, equal_nan=True), axis=1)


def measured(labels: Labels) -> tuple[str, ...]:
    """Name the metrics that are compared.

    Parameters
    ----------
    labels : Labels
        What is predicted.
    """
    return COMPARED[labels.task]


def differences(experiments: Sequence[Finished], rows: Common, resamples: int, seed: int = 0) -> dict[str, dict]:
    """Compare metrics over the same rows, each experiment with the first.

    Intervals are those between percentiles of a paired bootstrap (Efron & Tibshirani, An Introduction to the Bootstrap, 1993,
    chapter 13): whole groups of rows are drawn with replacement, the same ones for all experiments. Metrics of several targets
    or classes are means over those of which they are defined.

    Parameters
    ----------
    experiments : sequence of Finished
        What is compared.
    rows : Common
        Over which rows.
    resamples : int
        How often groups are drawn.
    seed : int
        Of the draws.

    Returns
    -------
    dict
        For each metric lists: the ``values`` of all experiments and, of all but the first, ``difference``, ``low`` and
        ``high``, which are None for fewer than :data:`FEWEST` groups, and where a metric is not defined.
    """
    names, labels = measured(experiments[0].labels), experiments[0].labels
    enough = rows.groups.max() + 1 >= FEWEST
    drawn = [np.arange(len(rows.ids)), *_draws(rows.groups, resamples if enough else 0, seed)]
    total = np.zeros((len(drawn), len(experiments), len(names)))
    defined = np.zeros_like(total)
    for _, truth, predicted in rows.outputs(experiments):
        for number, chosen in enumerate(drawn):
            own = chosen[~np.isnan(truth[chosen])] if labels.several else chosen
            for which, scores in enumerate(predicted):
                values = np.array([_metric(labels, name, truth[own], scores[own]) for name in names])
                total[number, which] += np.nan_to_num(values)
                defined[number, which] += ~np.isnan(values)
    values = np.where(defined > 0, total / np.maximum(defined, 1), np.nan)
    return {name: _compared(values[:, :, k]) for k, name in enumerate(names)}


def _compared(values: np.ndarray) -> dict[str, list]:
    """Reduce values of a metric ``(1 + resamples, experiments)``, those of the rows as they are first."""
    apart = values[:, 1:] - values[:, :1]
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.array([_percentiles(of, tails) for of in apart[1:].T]).T
    found = {"values": values[0], "difference": apart[0], "low": low, "high": high}
    return {key: [None if math.isnan(one) else float(one) for one in each] for key, each in found.items()}


def _percentiles(values: np.ndarray, at: Sequence[float]) -> np.ndarray:
    """Give percentiles of the values that are defined, NaN where fewer than half are."""
    known = values[~np.isnan(values)]
    return np.quantile(known, at) if len(known) and 2 * len(known) >= len(values) else np.full(len(at), np.nan)


def _draws(groups: np.ndarray, resamples: int, seed: int) -> list[np.ndarray]:
    """Draw groups with replacement, as many as there are; give the rows of each draw."""
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(groups))[:-1])
    random = np.random.default_rng(seed)
    return [np.concatenate([members[k] for k in random.integers(0, len(members), len(members))]) for _ in range(resamples)]


def _metric(labels: Labels, name: str, truth: np.ndarray, scores: np.ndarray) -> float:
    """Compute a metric of one target, of a class against its negatives, or of all classes of which one is right."""
    if not len(truth):
        return math.nan
    if labels.task == "multilabel":
        return metrics.AREAS[name](truth == 1, scores) if 0 < (truth == 1).sum() < len(truth) else math.nan
    value = metrics.METRICS[labels.task][name](truth, scores)
    # Left out, a target of which a model predicts the same for all would make the mean greater.
    return 0.0 if labels.several and math.isnan(value) and np.ptp(truth) > 0 else float(value)


def by_fold(experiments: Sequence[Finished]) -> dict[str, dict]:
    """Compare folds that have the same test rows, each experiment with the first.

    Models of different folds share most of their training rows, so that their differences vary less than those of new data
    would. The interval is that of the corrected resampled t-test, which adds the ratio of test to training rows to 1 / folds
    (Nadeau & Bengio, Machine Learning 52, 2003).

    Parameters
    ----------
    experiments : sequence of Finished
        What is compared.

    Returns
    -------
    dict
        For each metric ``folds``, the names of those that are the same in all experiments; ``values`` of each experiment in
        each of these; and of all but the first ``difference``, their mean, ``low`` and ``high``, None for fewer than two.
    """
    parts = [one.parts() for one in experiments]
    tested = [one.tested() for one in experiments]
    sets = [{str(fold): frozenset(own["id"]) for fold, own in of[of["part"] == "test"].groupby("fold")} for of in parts]
    folds = [fold for fold in sets[0] if all(of.get(fold) == sets[0][fold] for of in sets) and all(fold in of for of in tested)]
    if not folds:
        return {}
    part = parts[0].loc[parts[0]["fold"].isin(folds), "part"].to_numpy()
    ratio = float(np.sum(part == "test") / max(1, np.sum(part == "train")))
    known = [name for name in METRICS[experiments[0].labels.task] if all(name in of[fold] for of in tested for fold in folds)]
    found = {}
    for name in known:
        values = np.array([[of[fold][name] for fold in folds] for of in tested], dtype=float)
        intervals = [_corrected(own - values[0], ratio) for own in values[1:]]
        found[name] = {"folds": folds, "values": values.tolist()}
        found[name] |= {key: [one[k] for one in intervals] for k, key in enumerate(("difference", "low", "high"))}
    return found


def _corrected(apart: np.ndarray, ratio: float) -> tuple[float, float | None, float | None]:
    """Give the mean of differences, and the ends of its interval."""
    mean, count = float(apart.mean()), len(apart)
    if count < 2:
        return mean, None, None
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * math.sqrt((1 / count + ratio) * float(apart.var(ddof=1)))
    return mean, mean - half, mean + half
