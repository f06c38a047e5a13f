"""Targets of training rows ─► which are known, how many there are of a class, and what that makes classes weigh."""

from collections.abc import Callable, Iterable

import numpy as np

from rnalm.labels.labels import Labels
from rnalm.tokens.dataset import UNKNOWN

#: Known targets and the weights of their rows, some rows at a time.
Blocks = Iterable[tuple[np.ndarray, np.ndarray]]


def is_known(targets: np.ndarray) -> np.ndarray:
    """Tell which targets are known.

    Parameters
    ----------
    targets : numpy.ndarray
        Numbers or class indices, of any shape.
    """
    return ~np.isnan(targets) if targets.dtype.kind == "f" else targets != UNKNOWN


def any_known(targets: np.ndarray) -> np.ndarray:
    """Tell of which rows or tokens a target is known ``(rows,)``.

    Parameters
    ----------
    targets : numpy.ndarray
        Numbers or class indices ``(rows,)``, or of several classes or targets ``(rows, classes)``.
    """
    known = is_known(targets)
    return known if targets.ndim == 1 else np.asarray(known.any(axis=1))


def vary(blocks: Blocks, pooled: bool = False) -> bool:
    """Tell whether known targets differ, of several those of at least one.

    Parameters
    ----------
    blocks : iterable of tuple
        Of the rows.
    pooled : bool
        Whether those of several targets are looked at together.
    """
    low, high = _range(blocks)
    return bool(high.max() > low.min() if pooled else (high > low).any())


def _range(blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """Give the least and greatest known target, of several of each: float64 ``()`` or ``(targets,)``."""
    low, high = np.array(np.inf), np.array(-np.inf)
    for targets, _ in blocks:
        known = is_known(targets)
        low = np.minimum(low, np.where(known, targets, np.inf).min(axis=0, initial=np.inf))
        high = np.maximum(high, np.where(known, targets, -np.inf).max(axis=0, initial=-np.inf))
    return low, high


def count(labels: Labels, blocks: Blocks) -> np.ndarray:
    """Count the rows, or tokens, that are of each class, and those that are not.

    Parameters
    ----------
    labels : Labels
        Which classes there are.
    blocks : iterable of tuple
        Of the training rows.

    Returns
    -------
    numpy.ndarray
        int64 ``(classes, 2)``: those that are not, then those that are.
    """
    counts = np.zeros((labels.n_outputs, 2), dtype=np.int64)
    for targets, _ in blocks:
        if labels.task == "multilabel":
            counts += np.stack([(targets == 0).sum(axis=0), (targets == 1).sum(axis=0)], axis=1)
        else:
            own = np.bincount(targets, minlength=labels.n_outputs)
            counts += np.stack([len(targets) - own, own], axis=1)
    return counts


def class_weights(counts: np.ndarray) -> np.ndarray:
    """Weigh classes by inverse frequency.

    Parameters
    ----------
    counts : numpy.ndarray
        From :func:`count` ``(classes, 2)``.

    Returns
    -------
    numpy.ndarray
        float64 ``(classes,)``: ``rows / (classes · count)``, as scikit-learn's ``balanced``; 0 for a class that does not occur.
    """
    own = counts[:, 1]
    return np.where(own > 0, counts.sum(axis=1) / (len(counts) * np.maximum(own, 1)), 0.0)


def positive_weights(counts: np.ndarray) -> np.ndarray:
    """Weigh the positives of each class as much as its negatives, together.

    Parameters
    ----------
    counts : numpy.ndarray
        From :func:`count` ``(classes, 2)``.

    Returns
    -------
    numpy.ndarray
        float64 ``(classes,)``; 1 for a class without positives.
    """
    negative, positive = counts.T
    return np.where(positive > 0, negative / np.maximum(positive, 1), 1.0)


def expected(labels: Labels, counts: np.ndarray) -> np.ndarray:
    """Give outputs that say how frequent classes are, and nothing else.

    Parameters
    ----------
    labels : Labels
        What the outputs mean.
    counts : numpy.ndarray
        From :func:`count` ``(classes, 2)``.

    Returns
    -------
    numpy.ndarray
        float64 ``(classes,)``; a class counts once more than it occurs, so that none is impossible.

    Examples
    --------
    >>> labels = Labels("classification", classes=("no", "yes"))
    >>> labels.to_scores(expected(labels, count(labels, [(np.array([0, 0, 1]), np.ones(3))]))).round(2).tolist()
    [0.6, 0.4]
    """
    if labels.task == "multilabel":
        return np.log(counts[:, 1] + 1) - np.log(counts[:, 0] + 1)
    own = counts[:, 1] + 1
    return np.log(own / own.sum())


def mean_and_sd(known: Callable[[], Blocks]) -> tuple[np.ndarray, np.ndarray]:
    """Compute weighted mean and standard deviation; the latter is 1 where there is no spread.

    Parameters
    ----------
    known : callable
        Gives targets ``(rows,)``, or several ``(rows, targets)``, NaN where one is not known, and weights of the training rows,
        each time that it is called; if all weights are 0, rows count the same.

    Returns
    -------
    mean, sd : numpy.ndarray
        float64 ``()``, or ``(targets,)``; 0 and 1 where none is known.

    Examples
    --------
    >>> mean, sd = mean_and_sd(lambda: [(np.array([1.0, 3.0, 100.0]), np.array([1.0, 1.0, 0.0]))])
    >>> float(mean), float(sd)
    (2.0, 1.0)
    """
    even = not sum(weights.sum() for _, weights in known()) > 0

    def counted() -> Blocks:
        for targets, weights in known():
            own = np.ones(len(weights)) if even else weights.astype(np.float64)
            yield targets[own > 0], own[own > 0]

    def mean_of(function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        total, weight = np.zeros(()), np.zeros(())
        for targets, weights in counted():
            own = weights.reshape(-1, *[1] * (targets.ndim - 1))
            total = total + np.nansum(function(targets.astype(np.float64)) * own, axis=0)
            weight = weight + np.sum(is_known(targets) * own, axis=0)
        return np.where(weight > 0, total / np.where(weight > 0, weight, 1), 0)

    mean = mean_of(lambda targets: targets)
    sd = np.sqrt(mean_of(lambda targets: (targets - mean) ** 2))
    # Rounding can give equal targets a tiny standard deviation, but not a range.
    low, high = _range(counted())
    return mean, np.where(high > low, sd, 1)
