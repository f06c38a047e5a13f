"""How good the predictions for a great many positions are, in memory that grows with the rare class alone.

Areas under curves need no more of the rows of other classes than how many of them lie between two scores of the class itself:
so much is counted, batch by batch, and scikit-learn is given the counts as weights. It says of them what it would of all rows.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from sklearn import metrics as sk

from rnalm.labels import metrics
from rnalm.labels.labels import Labels

#: What a table of counts holds: whether rows are of the class, their score, and how many they are.
Table = tuple[np.ndarray, np.ndarray, np.ndarray]

#: Scores between which pairs of row and class are counted, at most: of a hundred thousand rows and a thousand classes there are
#: millions. What lies between two that are left counts as equal, which moves an area by about one in a million.
MOST_PAIRS = 2**20

#: Class indices ``(rows,)``, or 1, 0 or NaN ``(rows, classes)``, and probabilities ``(rows, classes)``.
Batch = tuple[np.ndarray, np.ndarray]


class Counts:
    """Counts rows that are of a class and rows that are not, by their score for it.

    Parameters
    ----------
    scores : numpy.ndarray
        Those of rows of the class, ascending, each once.
    """

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores
        # Of rows that are not of the class, and of those that are: below the first score, at it, between it and the second, …
        self.counts = np.zeros((2, 2 * len(scores) + 1), dtype=np.int64)
        self._areas: dict[Callable, float] = {}

    def add(self, positive: np.ndarray, scores: np.ndarray) -> None:
        """Count further rows.

        Parameters
        ----------
        positive : numpy.ndarray
            Whether they are of the class ``(rows,)``.
        scores : numpy.ndarray
            Their scores ``(rows,)``.
        """
        self._areas.clear()
        for of_class, rows in enumerate((~positive, positive)):
            own = np.sort(scores[rows])  # of which places are found several times as fast
            below = np.searchsorted(self.scores, own)
            at = np.zeros(len(own), dtype=bool)
            inside = below < len(self.scores)
            at[inside] = self.scores[below[inside]] == own[inside]
            # Twice the number of scores below, and one more at a score itself.
            self.counts[of_class] += np.bincount(2 * below + at, minlength=self.counts.shape[1])

    def table(self) -> Table:
        """Give the counts as rows with weights.

        Returns
        -------
        positive : numpy.ndarray
            Whether rows are of the class ``(rows,)``.
        score : numpy.ndarray
            Their score; of those between two scores, one between.
        weight : numpy.ndarray
            How many they are.
        """
        each = self.scores.astype(np.float64)
        ends = np.concatenate([[0], each, [1]])  # between which probabilities are
        score = np.empty(self.counts.shape[1])
        score[1::2], score[::2] = each, (ends[:-1] + ends[1:]) / 2
        positive = np.repeat([False, True], len(score))
        rows = np.flatnonzero(self.counts.reshape(-1))
        return positive[rows], np.tile(score, 2)[rows], self.counts.reshape(-1)[rows]

    def area(self, of: Callable) -> float:
        """Compute an area under a curve; NaN where all rows are of the class, or none is.

        Parameters
        ----------
        of : callable
            One of :data:`rnalm.labels.metrics.AREAS`.
        """
        if of not in self._areas:
            positive, score, weight = self.table()
            both = 0 < positive.sum() < len(positive)
            self._areas[of] = float(of(positive, score, sample_weight=weight)) if both else math.nan
        return self._areas[of]


class Tally:
    """Counts predictions of classes of which one is right, so that metrics over all of them can be computed.

    Parameters
    ----------
    scores : list of numpy.ndarray
        From :meth:`thresholds`, of these rows or of more.
    labels : Labels
        Which classes there are.

    Attributes
    ----------
    curves : list of Counts
        Of each class that tells more than others, in the order of :attr:`rnalm.labels.labels.Labels.measured`.

    Examples
    --------
    >>> targets, probabilities = np.array([0, 1, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.6, 0.4]])
    >>> labels = Labels("classification", classes=("no", "yes"))
    >>> tally = Tally(Tally.thresholds([(targets, probabilities)], labels), labels)
    >>> tally.add(targets, probabilities)
    >>> {name: round(value, 3) for name, value in tally.scores().items() if name in ("accuracy", "roc_auc", "pr_auc")}
    {'accuracy': 0.75, 'roc_auc': 0.875, 'pr_auc': 0.833}
    """

    def __init__(self, scores: list[np.ndarray], labels: Labels) -> None:
        self.labels, n_classes = labels, len(labels.classes)
        #: Rows by true and most probable class.
        self.confusion = np.zeros((n_classes, n_classes), dtype=np.int64)
        self.curves = [Counts(own) for own in scores]

    @staticmethod
    def thresholds(batches: Iterable[Batch], labels: Labels) -> list[np.ndarray]:
        """Collect the scores of rows of each class for it, which is what others are counted between.

        Parameters
        ----------
        batches : iterable of tuple
            Class indices ``(rows,)`` and probabilities ``(rows, classes)``.
        labels : Labels
            Which classes there are.

        Returns
        -------
        list of numpy.ndarray
            For each class that is measured, ascending, each score once.
        """
        found: list[list[np.ndarray]] = [[] for _ in labels.measured]
        for targets, probabilities in batches:
            for scores, index in zip(found, labels.measured, strict=True):
                scores.append(np.unique(probabilities[targets == index, index]))
        return [_distinct(scores) for scores in found]

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return int(self.confusion.sum())

    def add(self, targets: np.ndarray, probabilities: np.ndarray) -> None:
        """Count further rows.

        Parameters
        ----------
        targets : numpy.ndarray
            Class indices ``(rows,)``.
        probabilities : numpy.ndarray
            ``(rows, classes)``
        """
        cells = targets * len(self.confusion) + probabilities.argmax(axis=1)
        self.confusion += np.bincount(cells, minlength=self.confusion.size).reshape(self.confusion.shape)
        for index, counts in zip(self.labels.measured, self.curves, strict=True):
            counts.add(targets == index, probabilities[:, index])

    def scores(self) -> dict[str, float]:
        """Compute what :func:`rnalm.labels.metrics.classification` does, of all rows that were counted."""
        truth, predicted = np.indices(self.confusion.shape).reshape(2, -1)
        weight = self.confusion.reshape(-1)
        rows = np.flatnonzero(weight)
        chosen = np.eye(len(self.confusion))[predicted[rows]]
        values = {}
        for name, metric in metrics.METRICS["classification"].items():
            if area := metrics.AREAS.get(name):
                values[name] = metrics.mean_of_defined([counts.area(area) for counts in self.curves])
            else:
                values[name] = float(metric(truth[rows], chosen, weight[rows])) if len(rows) else math.nan
        return values

    def per_class(self) -> dict[str, dict[str, float]]:
        """Compute precision, recall and F1 of each class, as :func:`rnalm.labels.metrics.per_class` does."""
        truth, predicted = np.indices(self.confusion.shape).reshape(2, -1)
        options = {"labels": range(len(self.confusion)), "zero_division": 0, "sample_weight": self.confusion.reshape(-1)}
        scores = np.array(sk.precision_recall_fscore_support(truth, predicted, **options), dtype=np.float64)
        names = ("precision", "recall", "f1", "rows")
        return {
            name: dict(zip(names, values, strict=True))
            for name, values in zip(self.labels.classes, scores.T.tolist(), strict=True)
        }


class LabelTally:
    """Counts predictions of which a row may have any number of classes: of each class, and of all pairs of row and class.

    Parameters
    ----------
    scores : list of numpy.ndarray
        From :meth:`thresholds`, of these rows or of more.
    labels : Labels
        Which classes there are.

    Attributes
    ----------
    curves : list of Counts
        Of each class.
    """

    def __init__(self, scores: list[np.ndarray], labels: Labels) -> None:
        self.labels, self.rows = labels, 0
        self.curves = [Counts(own) for own in scores]
        every = _distinct(scores)
        self.pairs = Counts(every[:: max(1, -(-len(every) // MOST_PAIRS))])
        #: Known pairs by class, whether it is right, and whether it is told ``(classes, 2, 2)``.
        self.told = np.zeros((len(labels.classes), 2, 2), dtype=np.int64)

    @staticmethod
    def thresholds(batches: Iterable[Batch], labels: Labels) -> list[np.ndarray]:
        """Collect the scores of rows of each class for it, as :meth:`Tally.thresholds` does.

        Parameters
        ----------
        batches : iterable of tuple
            1, 0 or NaN ``(rows, classes)``, and probabilities ``(rows, classes)``.
        labels : Labels
            Which classes there are.
        """
        found: list[list[np.ndarray]] = [[] for _ in labels.classes]
        for targets, probabilities in batches:
            for scores, truth, own in zip(found, targets.T, probabilities.T, strict=True):
                scores.append(np.unique(own[truth == 1]))
        return [_distinct(scores) for scores in found]

    def add(self, targets: np.ndarray, probabilities: np.ndarray) -> None:
        """Count further rows.

        Parameters
        ----------
        targets : numpy.ndarray
            1, 0 or NaN ``(rows, classes)``.
        probabilities : numpy.ndarray
            ``(rows, classes)``
        """
        self.rows += len(targets)
        # All pairs at once: their table is as long as all classes have scores.
        known = ~np.isnan(targets)
        self.pairs.add(targets[known] == 1, probabilities[known])
        for number, (truth, own, limit) in enumerate(zip(targets.T, probabilities.T, self.labels.limits, strict=True)):
            known = ~np.isnan(truth)
            positive, scores = truth[known] == 1, own[known]
            self.curves[number].add(positive, scores)
            self.told[number] += np.bincount(2 * positive + (scores >= limit), minlength=4).reshape(2, 2)

    def scores(self) -> dict[str, float]:
        """Compute the metrics of :data:`rnalm.config.METRICS`, of all rows that were counted.

        ``macro`` are means over classes, as are areas without a word; ``micro`` are of all known pairs of row and class
        together. A class without positives or without negatives is left out of the former.
        """
        told, areas = self.told.sum(axis=0), metrics.AREAS.items()
        return {
            "accuracy": float(np.trace(told) / told.sum()) if told.sum(axis=1).all() else math.nan,
            "f1_macro": metrics.mean_of_defined([f1_of(own) for own in self.told]),
            "f1_micro": f1_of(told),
            **{name: metrics.mean_of_defined([counts.area(area) for counts in self.curves]) for name, area in areas},
            **{f"{name}_micro": self.pairs.area(area) for name, area in areas},
        }

    def per_class(self) -> dict[str, dict[str, float]]:
        """Compute what is asked of each class by itself.

        Returns
        -------
        dict
            For each class by name: ``roc_auc``, ``pr_auc``, ``f1``, each NaN for a class without positives or without
            negatives; ``threshold``, from which on F1 takes a row to be of it; ``positives``, and ``rows``, of which it is
            known.
        """
        found = {}
        each = zip(self.labels.classes, self.told, self.curves, self.labels.limits.tolist(), strict=True)
        for name, told, counts, limit in each:
            areas = {area: counts.area(of) for area, of in metrics.AREAS.items()}
            rows = {"positives": int(told[1].sum()), "rows": int(told.sum())}
            found[name] = {**areas, "f1": f1_of(told), "threshold": limit, **rows}
        return found


def kind(labels: Labels) -> type[Tally] | type[LabelTally]:
    """Choose what counts the predictions of a model.

    Parameters
    ----------
    labels : Labels
        What its outputs mean.
    """
    return LabelTally if labels.task == "multilabel" else Tally


def score(labels: Labels, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Compare a model's outputs for several classes with which of them rows have.

    Parameters
    ----------
    labels : Labels
        What the outputs mean.
    truth : numpy.ndarray
        1, 0 or NaN ``(rows, classes)``.
    outputs : numpy.ndarray
        Raw outputs of the model ``(rows, classes)``.

    Returns
    -------
    dict
        From :meth:`LabelTally.scores`.
    """
    size = max(1, metrics.BLOCK // labels.n_outputs)

    def batches() -> Iterable[Batch]:
        for first in range(0, len(truth), size):
            yield truth[first : first + size], labels.to_scores(outputs[first : first + size])

    tally = LabelTally(LabelTally.thresholds(batches(), labels), labels)
    for batch in batches():
        tally.add(*batch)
    return tally.scores()


def _distinct(scores: Sequence[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate(scores)) if scores else np.empty(0)


def f1_of(told: np.ndarray) -> float:
    """Compute F1 of a class; NaN without positives or without negatives.

    Parameters
    ----------
    told : numpy.ndarray
        Rows by whether they are of the class, and whether they are told to be ``(2, 2)``.
    """
    if not told.sum(axis=1).all():
        return math.nan
    return float(2 * told[1, 1] / (2 * told[1, 1] + told[0, 1] + told[1, 0]))
