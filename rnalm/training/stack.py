"""Predictions of validation rows by the models of a fold and its baseline ─► how much each counts in the mean of all."""

import logging
from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.files import write_json
from rnalm.labels import metrics, targets
from rnalm.prediction.evaluate import stack
from rnalm.training import fold
from rnalm.training.trainer import Job, average_loss

log = logging.getLogger(__name__)

#: Weight that is moved from one to another: first much, then less.
STEPS = (0.2, 0.1, 0.05, 0.02, 0.01)


def weigh(job: Job, members: Mapping[str, str | Path]) -> None:
    """Say how much each counts, by validation rows alone, and write it into the folder of the fold.

    Weights are none below 0, and 1 together. They make the loss of validation rows least that models are trained with, of the
    weighted mean of label units or probabilities.

    Parameters
    ----------
    job : Job
        Whose fold; models and how they are trained do not matter.
    members : mapping
        Folders of the models, and of the baseline, by name.

    Raises
    ------
    RnalmError
        If predictions are so large that their loss is not finite.
    """
    data = fold.load(job)
    outputs = [
        stack(pq.read_table(Path(one) / contract.VALIDATED_PART, columns=["outputs"])["outputs"]) for one in members.values()
    ]
    sd = targets.mean_and_sd(data.training.known)[1].tolist() if job.task == "regression" else 1.0

    def loss(weights: np.ndarray) -> float:
        return average_loss(data, data.meaning.average(outputs, weights.tolist()), sd)

    if not np.isfinite(loss(np.full(len(outputs), 1 / len(outputs)))):
        problem = f"the loss of {', '.join(members)} together is not finite on validation rows"
        raise RnalmError(f"fold {job.fold}: {problem}; expected ensemble: mean, or models that do not diverge")
    weights = least(loss, len(outputs))
    each = {name: loss(own) for name, own in zip(members, np.eye(len(outputs)), strict=True)}
    meaning = metrics.choose_thresholds(data.meaning, data.truth, data.meaning.average(outputs, weights.tolist()))
    meaning.save(Path(job.output) / contract.LABELS)
    told = {
        "weights": dict(zip(members, weights.tolist(), strict=True)),
        "validation_loss": loss(weights),
        "validation_loss_of_each": each,
        "validation_rows": len(data.validation),
    }
    write_json(Path(job.output) / contract.STACK, metrics.finite(told))
    shares = ", ".join(f"{name} {weight:.2f}" for name, weight in told["weights"].items())
    log.info("fold %d: %s; validation loss %.4g", job.fold, shares, told["validation_loss"])


def least(loss: Callable[[np.ndarray], float], count: int) -> np.ndarray:
    """Find weights with the least loss: move some weight from one to another as long as that is better, then less.

    Parameters
    ----------
    loss : callable
        Of weights ``(count,)``.
    count : int
        How many weights there are; all are the same at first.

    Returns
    -------
    numpy.ndarray
        float64 ``(count,)``, none below 0, and 1 together.

    Examples
    --------
    >>> least(lambda weights: float(np.sum((weights - [0.0, 0.3, 0.7]) ** 2)), 3).round(2).tolist()
    [0.0, 0.3, 0.7]
    """
    weights = np.full(count, 1 / count)
    best = loss(weights)
    for step in STEPS:
        while True:
            moved = [_move(weights, source, target, step) for source, target in permutations(range(count), 2)]
            losses = [loss(other) for other in moved]
            if not losses or not min(losses) < best:
                break
            best, weights = min(losses), moved[int(np.argmin(losses))]
    return weights


def _move(weights: np.ndarray, source: int, target: int, step: float) -> np.ndarray:
    """Move weight, no more than there is."""
    moved = weights.copy()
    moved[target] += min(step, weights[source])
    moved[source] = max(0.0, weights[source] - step)
    return moved
