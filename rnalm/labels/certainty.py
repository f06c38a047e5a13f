"""How sure a metric is: what it comes to on resampled groups of rows, and how often labels in random order do as well.

Metrics here are functions of weights, that is, how often each row was drawn, and take many draws at a time.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy import stats

#: Times that groups are drawn, and that labels are put into a random order.
DRAWS = 1000
#: What an interval leaves out on both sides together; a greater chance than this is no proof.
LEVEL = 0.05
#: Weights that are held at a time, at most.
BLOCK = 2**22
#: A variance of less than this share of that of all rows is one of rounding.
ROUNDING = 1e-12

#: From weights ``(draws, rows)`` to what a metric is of each draw ``(draws,)``, NaN where it is not defined.
Measure = Callable[[np.ndarray], np.ndarray]


def r2(truth: np.ndarray, predicted: np.ndarray) -> Measure:
    """Measure which share of the variation of numbers is explained: 1 − Σ(y − ŷ)² / Σ(y − ȳ)².

    Parameters
    ----------
    truth, predicted : numpy.ndarray
        Numbers ``(rows,)``.
    """
    own = truth - truth.mean()
    columns = np.stack([np.ones(len(own)), own, own**2, (truth - predicted) ** 2], axis=1)

    def measure(weights: np.ndarray) -> np.ndarray:
        rows, total, squares, missed = (weights @ columns).T
        return 1 - missed / rows / _variance(own, rows, total, squares)

    return measure


def pearson(truth: np.ndarray, predicted: np.ndarray) -> Measure:
    """Measure how numbers correlate (Pearson).

    Parameters
    ----------
    truth, predicted : numpy.ndarray
        Numbers ``(rows,)``.
    """
    one, other = truth - truth.mean(), predicted - predicted.mean()
    columns = np.stack([np.ones(len(one)), one, other, one**2, other**2, one * other], axis=1)

    def measure(weights: np.ndarray) -> np.ndarray:
        rows, ones, others, squares, other_squares, products = (weights @ columns).T
        together = products / rows - ones * others / rows**2
        both = _variance(one, rows, ones, squares) * _variance(other, rows, others, other_squares)
        return np.clip(together / np.sqrt(both), -1, 1)

    return measure


def _variance(centred: np.ndarray, rows: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Give the variance of each draw from its sums; NaN where its rows are all alike."""
    variance = squares / rows - (total / rows) ** 2
    least = ROUNDING * np.mean(centred**2) if np.ptp(centred) > 0 else np.inf
    return np.where(variance > least, variance, np.nan)


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> Measure:
    """Measure the area under the ROC curve: how often a row of the class has a higher score than another; ties count half.

    Parameters
    ----------
    truth : numpy.ndarray
        1 where a row is of the class, else 0 ``(rows,)``.
    scores : numpy.ndarray
        Its score for the class ``(rows,)``.
    """
    order = np.argsort(scores, kind="stable")
    positive, ordered = truth[order] == 1, scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] > ordered[:-1]]) if len(ordered) else np.empty(0, dtype=int)

    def measure(weights: np.ndarray) -> np.ndarray:
        if not 0 < positive.sum() < len(positive):
            return np.full(len(weights), np.nan)
        drawn = weights[:, order]
        of_class = np.add.reduceat(drawn * positive, starts, axis=1)
        others = np.add.reduceat(drawn, starts, axis=1) - of_class
        below = np.cumsum(others, axis=1) - others / 2
        pairs = of_class.sum(axis=1) * others.sum(axis=1)
        return np.sum(of_class * below, axis=1) / np.where(pairs > 0, pairs, np.nan)

    return measure


def averaged(metric: Callable[[np.ndarray, np.ndarray], Measure], truth: np.ndarray, scores: np.ndarray) -> Measure:
    """Average a metric over outputs, each of the rows of which it is known; outputs of which it is not defined are left out.

    Parameters
    ----------
    metric : callable
        Such as :func:`r2`.
    truth : numpy.ndarray
        Labels, NaN where none is known ``(rows, outputs)``.
    scores : numpy.ndarray
        What is predicted ``(rows, outputs)``.
    """
    known = [np.flatnonzero(~np.isnan(own)) for own in truth.T]
    each = [metric(truth[rows, k], scores[rows, k]) if len(rows) else None for k, rows in enumerate(known)]

    def measure(weights: np.ndarray) -> np.ndarray:
        total, count = np.zeros(len(weights)), np.zeros(len(weights))
        with np.errstate(invalid="ignore", divide="ignore"):
            for rows, own in zip(known, each, strict=True):
                values = np.full(len(weights), np.nan) if own is None else own(weights[:, rows])
                total += np.nan_to_num(values)
                count += ~np.isnan(values)
            return np.where(count > 0, total / count, np.nan)

    return measure


def value(measure: Measure, rows: int) -> float:
    """Give what a metric is of all rows, each once.

    Parameters
    ----------
    measure : callable
        From :func:`averaged`.
    rows : int
        How many there are.
    """
    return float(measure(np.ones((1, rows)))[0])


def resample(measures: Mapping[str, Measure], groups: np.ndarray, seed: int, draws: int = DRAWS) -> dict[str, np.ndarray]:
    """Draw as many groups as there are, with replacement, and measure them, again and again (the bootstrap, Efron 1979).

    Parameters
    ----------
    measures : mapping of str to callable
        What is measured, all on the same draws.
    groups : numpy.ndarray
        Number of the group of each row, from 0 without gaps ``(rows,)``.
    seed : int
        Of what is drawn.
    draws : int
        How often.

    Returns
    -------
    dict of str to numpy.ndarray
        By name, what each draw came to ``(draws,)``.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in measures}
    for weights in _weights(groups, seed, draws):
        for name, measure in measures.items():
            found[name].append(measure(weights))
    return {name: np.concatenate(values) for name, values in found.items()}


def _weights(groups: np.ndarray, seed: int, draws: int) -> Iterator[np.ndarray]:
    """Yield how often each draw has each row, some draws at a time: float64 ``(draws, rows)``."""
    random, count = np.random.default_rng(seed), groups.max() + 1
    size = max(1, BLOCK // len(groups))
    for first in range(0, draws, size):
        drawn = random.integers(count, size=(min(size, draws - first), count))
        cells = (drawn + count * np.arange(len(drawn))[:, None]).ravel()
        counts = np.bincount(cells, minlength=drawn.size).reshape(drawn.shape)
        yield counts[:, groups].astype(np.float64)


def interval(values: np.ndarray) -> tuple[float, float] | None:
    """Give the ends between which 95 % of all draws lie; None where none is defined.

    Parameters
    ----------
    values : numpy.ndarray
        From :func:`resample` ``(draws,)``.
    """
    if np.isnan(values).all():
        return None
    low, high = np.nanquantile(values, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def by_chance(truth: np.ndarray, scores: np.ndarray, classes: bool, seed: int, draws: int = DRAWS) -> float:
    """Say how likely labels in random order agree with the predictions at least as well: a permutation test.

    Rows keep together what is known of them. Agreement is the sum over outputs: of numbers, of their correlation; of
    classes, of the difference between the mean ranks of rows that are of a class and that are not, which grows with the area
    under the ROC curve.

    Parameters
    ----------
    truth : numpy.ndarray
        Labels, or 1 and 0 for classes; NaN where none is known ``(rows, outputs)``.
    scores : numpy.ndarray
        What is predicted ``(rows, outputs)``.
    classes : bool
        Whether outputs are classes.
    seed : int
        Of the orders.
    draws : int
        How many orders there are.

    Returns
    -------
    float
        From 1 / (draws + 1) to 1.
    """
    marks = np.nan_to_num(_shares(truth) if classes else _standard(truth))
    values = _standard(stats.rankdata(scores, axis=0) if classes else scores)
    found, random = np.vdot(marks, values), np.random.default_rng(seed)
    least = found - 1e-9 * np.sqrt(np.vdot(marks, marks) * np.vdot(values, values))  # of which rounding takes none away
    orders = (random.permutation(len(marks)) for _ in range(draws))
    return (1 + sum(int(np.vdot(marks[order], values) >= least) for order in orders)) / (1 + draws)


def _shares(truth: np.ndarray) -> np.ndarray:
    """Weigh rows of a class with 1 / their number, and others with −1 / theirs; with 0 where all are alike."""
    positive, negative = (truth == 1).sum(axis=0), (truth == 0).sum(axis=0)
    both = ((positive > 0) & (negative > 0)).astype(float)
    return np.where(truth == 1, both / np.maximum(positive, 1), np.where(truth == 0, -both / np.maximum(negative, 1), 0))


def _standard(numbers: np.ndarray) -> np.ndarray:
    """Centre the columns, and scale them so that a product of two is their correlation; 0 where nothing varies."""
    centred = numbers - np.nanmean(numbers, axis=0)
    size = np.sqrt(np.nansum(centred**2, axis=0))
    varies = np.nanmax(numbers, axis=0) > np.nanmin(numbers, axis=0)
    return np.where(varies, centred / np.where(size > 0, size, 1), 0)
