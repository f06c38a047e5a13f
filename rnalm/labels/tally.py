"""How good the predictions for a great many positions are, in memory that grows with the rare class alone.

Areas under curves need no more of the rows of other classes than how many of them lie between two scores of the class itself:
so much is counted, batch by batch, and scikit-learn is given the counts as weights. It says of them what it would of all rows.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from sklearn import metrics as sk

from rnalm.labels import metrics

#: What a table of counts holds: whether rows are of the class, their score, and how many they are.
Table = tuple[np.ndarray, np.ndarray, np.ndarray]


def measured(n_classes: int) -> Sequence[int]:
    """List the classes that curves are drawn for: of two the last, else each against the rest.

    Parameters
    ----------
    n_classes : int
        How many there are.
    """
    return [1] if n_classes == 2 else range(n_classes)


def thresholds(batches: Iterable[tuple[np.ndarray, np.ndarray]], n_classes: int) -> list[np.ndarray]:
    """Collect the scores of rows of each class for it, which is what a :class:`Tally` counts others between.

    Parameters
    ----------
    batches : iterable of tuple
        Class indices ``(rows,)`` and probabilities ``(rows, classes)``.
    n_classes : int
        How many classes there are.

    Returns
    -------
    list of numpy.ndarray
        For each class of :func:`measured`, ascending, each score once.
    """
    found: list[list[np.ndarray]] = [[] for _ in measured(n_classes)]
    for targets, probabilities in batches:
        for scores, index in zip(found, measured(n_classes), strict=True):
            scores.append(np.unique(probabilities[targets == index, index]))
    return [np.unique(np.concatenate(scores)) if scores else np.empty(0) for scores in found]


class Tally:
    """Counts predictions, so that metrics over all of them can be computed.

    Parameters
    ----------
    scores : list of numpy.ndarray
        From :func:`thresholds`, of these rows or of more.
    n_classes : int
        How many classes there are.

    Examples
    --------
    >>> targets, probabilities = np.array([0, 1, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.6, 0.4]])
    >>> tally = Tally(thresholds([(targets, probabilities)], 2), 2)
    >>> tally.add(targets, probabilities)
    >>> {name: round(value, 3) for name, value in tally.scores().items() if name in ("accuracy", "roc_auc", "pr_auc")}
    {'accuracy': 0.75, 'roc_auc': 0.875, 'pr_auc': 0.833}
    """

    def __init__(self, scores: list[np.ndarray], n_classes: int) -> None:
        self.n_classes, self.thresholds = n_classes, scores
        #: Rows by true and most probable class.
        self.confusion = np.zeros((n_classes, n_classes), dtype=np.int64)
        # Of rows that are not of the class, and of those that are: below the first score, at it, between it and the second, …
        self.counts = [np.zeros((2, 2 * len(each) + 1), dtype=np.int64) for each in scores]

    def add(self, targets: np.ndarray, probabilities: np.ndarray) -> None:
        """Count further rows.

        Parameters
        ----------
        targets : numpy.ndarray
            Class indices ``(rows,)``.
        probabilities : numpy.ndarray
            ``(rows, classes)``
        """
        cells = targets * self.n_classes + probabilities.argmax(axis=1)
        self.confusion += np.bincount(cells, minlength=self.n_classes**2).reshape(self.confusion.shape)
        for index, each, counts in zip(measured(self.n_classes), self.thresholds, self.counts, strict=True):
            own = probabilities[:, index]
            # Twice the number of scores below, and one more at a score itself.
            place = np.searchsorted(each, own, side="left") + np.searchsorted(each, own, side="right")
            for of_class, rows in enumerate((targets != index, targets == index)):
                counts[of_class] += np.bincount(place[rows], minlength=counts.shape[1])

    def table(self, number: int) -> Table:
        """Give the counts for one of the measured classes, as rows with weights.

        Parameters
        ----------
        number : int
            Its place among :func:`measured` classes.

        Returns
        -------
        positive : numpy.ndarray
            Whether rows are of the class ``(rows,)``.
        score : numpy.ndarray
            Their score; of those between two scores, one between.
        weight : numpy.ndarray
            How many they are.
        """
        each, counts = self.thresholds[number].astype(np.float64), self.counts[number]
        ends = np.concatenate([[0], each, [1]])  # between which probabilities are
        score = np.empty(counts.shape[1])
        score[1::2], score[::2] = each, (ends[:-1] + ends[1:]) / 2
        positive = np.repeat([False, True], len(score))
        rows = np.flatnonzero(counts.reshape(-1))
        return positive[rows], np.tile(score, 2)[rows], counts.reshape(-1)[rows]

    def scores(self) -> dict[str, float]:
        """Compute what :func:`rnalm.labels.metrics.classification` does, of all rows that were counted."""
        truth, predicted = np.indices(self.confusion.shape).reshape(2, -1)
        weight = self.confusion.reshape(-1)
        rows = np.flatnonzero(weight)
        chosen = np.eye(self.n_classes)[predicted[rows]]
        values = {}
        for name, metric in metrics.METRICS["classification"].items():
            if area := metrics.AREAS.get(name):
                values[name] = self._mean(area)
            else:
                values[name] = float(metric(truth[rows], chosen, weight[rows])) if len(rows) else math.nan
        return values

    def _mean(self, area) -> float:
        """Average an area over the measured classes that occur, and do not occur alone."""
        areas = []
        for number in range(len(self.thresholds)):
            positive, score, weight = self.table(number)
            if 0 < positive.sum() < len(positive):
                areas.append(area(positive, score, sample_weight=weight))
        return float(np.mean(areas)) if areas else math.nan

    def per_class(self, classes: Sequence[str]) -> dict[str, dict[str, float]]:
        """Compute precision, recall and F1 of each class, as :func:`rnalm.labels.metrics.per_class` does.

        Parameters
        ----------
        classes : sequence of str
            Their names, in the order of their indices.
        """
        truth, predicted = np.indices(self.confusion.shape).reshape(2, -1)
        options = {"labels": range(len(classes)), "zero_division": 0, "sample_weight": self.confusion.reshape(-1)}
        scores = np.array(sk.precision_recall_fscore_support(truth, predicted, **options), dtype=np.float64)
        names = ("precision", "recall", "f1", "rows")
        return {name: dict(zip(names, values, strict=True)) for name, values in zip(classes, scores.T.tolist(), strict=True)}
