"""Features and targets ─► ridge or logistic regression, from strong penalties to weak ones."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from rnalm.labels.labels import Labels
from rnalm.models.baseline import Linear
from rnalm.training.baseline.counts import Counts

#: Penalties that are tried, from strong to weak: of ridge regression, which has them all for the price of one, and of those
#: that are solved step by step.
RIDGE = tuple(10.0 ** np.arange(5, -1.5, -0.5))
STEPWISE = (1000.0, 300.0, 100.0, 30.0, 10.0, 1.0)
#: Steps of a solver, at most, and how small a gradient ends it.
STEPS, TOLERANCE = 200, 1e-3
#: Rows that are multiplied together.
BLOCK = 8192


class Scaled:
    """Features as a linear model is given them: centred, and each block divided by one number.

    The number is the root mean square of the standard deviations of its features, times the fourth root of how many these are:
    frequent runs count more than rare ones, and a block of many features more than one of few, but not by as much as it has.

    Parameters
    ----------
    found : numpy.ndarray
        Of the training rows ``(rows, features)``.
    sizes : sequence of int
        Features of each block, of all that there are, one after the other.
    used : sequence of bool
        Which blocks are looked at.
    """

    def __init__(self, found: np.ndarray, sizes: Sequence[int], used: Sequence[bool]) -> None:
        self.columns = np.flatnonzero(np.repeat(np.array(used), sizes))
        own = found[:, self.columns].astype(np.float64)
        self.center, spread = own.mean(axis=0), own.std(axis=0)
        ends = np.cumsum([size for size, kept in zip(sizes, used, strict=True) if kept])
        each = np.split(spread, ends[:-1])
        scales = [np.sqrt(np.mean(block**2)) * len(block) ** 0.25 for block in each]
        self.scale = np.concatenate([np.full(len(block), scale or 1.0) for block, scale in zip(each, scales, strict=True)])
        self.total = len(found[0])

    def __call__(self, found: np.ndarray) -> np.ndarray:
        """Scale the features of rows: float64 ``(rows, columns)``."""
        return (found[:, self.columns] - self.center) / self.scale

    def unscaled(self, weights: np.ndarray, bias: np.ndarray, placed: np.ndarray) -> Linear:
        """Bring weights back to features as they are counted.

        Parameters
        ----------
        weights : numpy.ndarray
            Of scaled features ``(columns, outputs)``.
        bias : numpy.ndarray
            ``(outputs,)``
        placed : numpy.ndarray
            Of runs by position, which are not scaled ``(features, outputs)``.
        """
        raw = weights / self.scale[:, None]
        everywhere = np.zeros((self.total, weights.shape[1]))
        everywhere[self.columns] = raw
        return Linear(everywhere, bias - self.center @ raw, placed.astype(np.float32))


def path(
    counts: Counts, labels: Labels, sizes: Sequence[int], used: Sequence[bool], placed: bool, class_weights: np.ndarray | None
) -> Iterator[tuple[float, Linear]]:
    """Fit a model for each strength of its penalty, the sum of squared weights.

    Parameters
    ----------
    counts : Counts
        Of the training rows.
    labels : Labels
        What is learned.
    sizes, used
        As for :class:`Scaled`.
    placed : bool
        Whether runs by position are looked at too.
    class_weights : numpy.ndarray or None
        What classes, or the positives of each class, weigh.

    Yields
    ------
    float
        The strength.
    Linear
        The model.
    """
    scaled = Scaled(counts.found, sizes, used)
    own = scaled(counts.found)
    matrix = hstack([csr_array(own), counts.placed]).tocsr() if placed and counts.placed is not None else own
    width = own.shape[1]
    fit = {"regression": _numbers, "classification": _classes, "multilabel": _several}[labels.task]
    for strength, weights, bias in fit(matrix, counts.targets, counts.weights.astype(np.float64), labels, class_weights):
        yield strength, scaled.unscaled(weights[:width], bias, weights[width:])


Path = Iterator[tuple[float, np.ndarray, np.ndarray]]


def _numbers(matrix, targets: np.ndarray, weights: np.ndarray, labels: Labels, _: object) -> Path:
    """Fit ridge regression, of several targets each on the rows in which it is known."""
    columns = targets.reshape(len(targets), -1).astype(np.float64)
    if isinstance(matrix, np.ndarray):
        each = [_ridge(matrix[rows], own[rows], weights[rows]) for own in columns.T for rows in [~np.isnan(own)]]
        for number, strength in enumerate(RIDGE):
            yield strength, np.stack([own[0][number] for own in each], axis=1), np.array([own[1][number] for own in each])
        return
    for strength in STEPWISE:
        fitted = [
            Ridge(strength, solver="sparse_cg", tol=1e-4, max_iter=STEPS).fit(matrix[rows], own[rows], weights[rows])
            for own in columns.T
            for rows in [np.flatnonzero(~np.isnan(own))]
        ]
        yield strength, np.stack([one.coef_ for one in fitted], axis=1), np.array([one.intercept_ for one in fitted])


def _ridge(matrix: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
    """Solve for all strengths by the eigenvectors of the weighted second moments."""
    weights = weights if weights.sum() > 0 else np.ones(len(weights))
    if not len(targets):
        return [np.zeros(matrix.shape[1])] * len(RIDGE), [0.0] * len(RIDGE)
    mean, center = np.average(targets, weights=weights), np.average(matrix, axis=0, weights=weights)
    moments = np.zeros((matrix.shape[1],) * 2)
    for first in range(0, len(matrix), BLOCK):
        some = matrix[first : first + BLOCK] - center
        moments += some.T @ (some * weights[first : first + BLOCK, None])
    values, vectors = np.linalg.eigh(moments)
    toward = vectors.T @ ((matrix - center).T @ (weights * (targets - mean)))
    solved = [vectors @ (toward / (np.maximum(values, 0) + strength)) for strength in RIDGE]
    return solved, [float(mean - center @ own) for own in solved]


def _classes(matrix, targets: np.ndarray, weights: np.ndarray, labels: Labels, class_weights: np.ndarray | None) -> Path:
    """Fit logistic regression of classes of which one is right; a class that no row has is the least likely one."""
    weights = weights if class_weights is None else weights * class_weights[targets]
    present: np.ndarray = np.unique(targets)
    if len(present) < 2:
        bias = np.full(labels.n_outputs, -20.0)
        bias[present] = 0.0
        yield STEPWISE[0], np.zeros((matrix.shape[1], labels.n_outputs)), bias
        return
    fitted = LogisticRegression(solver="lbfgs", max_iter=STEPS, tol=TOLERANCE, warm_start=True)
    for strength in STEPWISE:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.set_params(C=1 / strength).fit(matrix, targets, weights)
        every = np.zeros((matrix.shape[1], labels.n_outputs))
        bias = np.full(labels.n_outputs, -20.0)
        if len(present) == 2:
            # One logit, which is that of the second class against the first.
            every[:, present[1]], bias[present] = fitted.coef_[0], [0.0, float(np.ravel(fitted.intercept_)[0])]
        else:
            every[:, present], bias[present] = fitted.coef_.T, fitted.intercept_
        yield strength, every, bias


def _several(matrix, targets: np.ndarray, weights: np.ndarray, labels: Labels, class_weights: np.ndarray | None) -> Path:
    """Fit logistic regressions of classes of which any may be right, all at once: one product of matrices serves all."""
    known, positive = ~np.isnan(targets), np.nan_to_num(targets)
    counted = known * weights[:, None] * (1 if class_weights is None else np.where(positive == 1, class_weights, 1.0))
    single = matrix.astype(np.float32)
    counted, positive = counted.astype(np.float32), positive.astype(np.float32)
    shape, share = (matrix.shape[1] + 1, targets.shape[1]), (counted * positive).sum(0) / np.maximum(counted.sum(0), 1)
    values = np.zeros(shape)
    values[-1] = np.log(np.maximum(share, 1e-6)) - np.log(np.maximum(1 - share, 1e-6))
    for strength in STEPWISE:

        def loss(flat: np.ndarray, strength: float = strength) -> tuple[float, np.ndarray]:
            own = flat.reshape(shape)
            logits = single @ own[:-1].astype(np.float32) + own[-1].astype(np.float32)
            # log(1 + exp(-|z|)) does not overflow.
            each = np.log1p(np.exp(-np.abs(logits))) + np.maximum(logits, 0) - logits * positive
            slope = counted * (1 / (1 + np.exp(-np.clip(logits, -80, 80))) - positive)
            gradient = np.concatenate([single.T @ slope, slope.sum(axis=0, dtype=np.float64)[None]]).astype(np.float64)
            gradient[:-1] += strength * own[:-1]
            penalty = strength / 2 * float(np.sum(own[:-1] ** 2))
            return float(np.sum(counted * each, dtype=np.float64)) + penalty, gradient.ravel()

        options = {"maxiter": STEPS // 4, "gtol": TOLERANCE * max(1.0, float(counted.sum()) / targets.shape[1] / 100)}
        values = minimize(loss, values.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)
        yield strength, values[:-1], values[-1]
