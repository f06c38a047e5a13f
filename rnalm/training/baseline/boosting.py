"""Features and targets ─► gradient boosting."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from rnalm.labels.labels import Labels
from rnalm.models.baseline import Trees
from rnalm.training.baseline.counts import Counts

#: Of more outputs, of which each needs trees of its own, there is no boosting.
MOST_OUTPUTS = 8
#: How trees grow. Each division chooses among a tenth of all features, which makes trees unlike each other, and is quick.
OPTIONS: dict[str, Any] = {
    **{"max_iter": 300, "learning_rate": 0.05, "max_leaf_nodes": 15, "min_samples_leaf": 10, "l2_regularization": 1.0},
    **{"max_features": 0.1, "max_bins": 64, "early_stopping": False},
}


@dataclass(frozen=True)
class Boosted:
    """Trees of one or several fits, of which the first ones may be taken.

    Attributes
    ----------
    fits : list of tuple
        A fit of scikit-learn, and the outputs that its trees add to, one in each round.
    outputs : int
        How many there are.
    bias : numpy.ndarray
        What trees add to ``(outputs,)``.
    """

    fits: list
    outputs: int
    bias: np.ndarray

    def staged(self, found: np.ndarray) -> Iterator[np.ndarray]:
        """Give outputs after each round.

        Parameters
        ----------
        found : numpy.ndarray
            Features ``(rows, features)``.

        Yields
        ------
        numpy.ndarray
            float64 ``(rows, outputs)``
        """
        outputs = np.tile(self.bias, (len(found), 1))
        each = [_stages(fit)(found) for fit, _ in self.fits]
        for stages in zip(*each, strict=True):
            for (_, columns), stage in zip(self.fits, stages, strict=True):
                outputs[:, columns] = stage.reshape(len(found), -1)
            yield outputs.copy()

    def trees(self, rounds: int) -> Trees:
        """Give the trees of the first rounds.

        Parameters
        ----------
        rounds : int
            How many.
        """
        nodes, roots, of, total = [], [], [], 0
        bias = self.bias.copy()
        for fit, columns in self.fits:
            bias[columns] = np.ravel(fit._baseline_prediction)
            for trees in fit._predictors[:rounds]:
                for column, tree in zip(columns, trees, strict=True):
                    nodes.append((tree.nodes, total))
                    roots.append(total)
                    of.append(column)
                    total += len(tree.nodes)

        def gather(value: Callable[[np.ndarray, int], np.ndarray], kind: type) -> np.ndarray:
            return np.concatenate([value(own, first) for own, first in nodes] or [np.zeros(0)]).astype(kind)

        return Trees(
            np.array(roots, dtype=np.int64),
            np.array(of, dtype=np.int64),
            gather(lambda own, _: np.where(own["is_leaf"], -1, own["feature_idx"].astype(np.int64)), np.int64),
            gather(lambda own, first: own["left"].astype(np.int64) + first, np.int64),
            gather(lambda own, first: own["right"].astype(np.int64) + first, np.int64),
            gather(lambda own, _: own["num_threshold"], np.float64),
            gather(lambda own, _: own["value"], np.float64),
            bias,
        )


def _stages(fit: HistGradientBoostingRegressor | HistGradientBoostingClassifier) -> Callable:
    """Choose what gives outputs after each round: numbers, or logits."""
    numbers = isinstance(fit, HistGradientBoostingRegressor)
    return fit.staged_predict if numbers else fit.staged_decision_function


def boost(counts: Counts, labels: Labels, class_weights: np.ndarray | None, seed: int) -> Boosted | None:
    """Grow trees; None where there are too many outputs, or what there is to learn does not vary.

    Parameters
    ----------
    counts : Counts
        Of the training rows.
    labels : Labels
        What is learned.
    class_weights : numpy.ndarray or None
        What classes, or the positives of each class, weigh.
    seed : int
        Which features trees choose among.
    """
    if labels.n_outputs > MOST_OUTPUTS:
        return None
    weights, bias = counts.weights.astype(np.float64), np.zeros(labels.n_outputs)
    options: dict[str, Any] = OPTIONS | {"random_state": seed}
    if labels.task == "classification":
        present = np.unique(counts.targets)
        if len(present) < 2:
            return None
        weights = weights if class_weights is None else weights * class_weights[counts.targets]
        bias[:] = -20.0
        bias[present] = 0.0
        fit = HistGradientBoostingClassifier(**options).fit(counts.found, counts.targets, weights)
        return Boosted([(fit, present[1:] if len(present) == 2 else present)], labels.n_outputs, bias)
    fits = []
    for output, own in enumerate(counts.targets.reshape(len(weights), -1).T):
        known = ~np.isnan(own)
        if not known.any() or np.ptp(own[known]) == 0:
            if labels.several:
                return None
            continue
        kind = HistGradientBoostingRegressor if labels.task == "regression" else HistGradientBoostingClassifier
        factor = 1 if class_weights is None else np.where(own == 1, class_weights[output], 1.0)
        fits.append((kind(**options).fit(counts.found[known], own[known], (weights * factor)[known]), np.array([output])))
    return Boosted(fits, labels.n_outputs, bias) if fits else None
