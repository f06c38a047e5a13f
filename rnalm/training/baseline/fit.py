"""Training rows of a fold ─► the baseline that predicts its validation rows best, and what it predicts."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from rnalm.config import contract
from rnalm.files import write_json
from rnalm.labels import folds, metrics, tally
from rnalm.models.baseline import Baseline, mean_of
from rnalm.prediction.evaluate import evaluate_fold, stack
from rnalm.prediction.predict import predict_with
from rnalm.training import fold
from rnalm.training.baseline import boosting
from rnalm.training.baseline.candidates import Candidate, Judge, Material
from rnalm.training.trainer import FoldData, Job

log = logging.getLogger(__name__)


def fit(job: Job) -> None:
    """Fit a baseline to a fold, and write its folder: the model, its predictions, and what it achieves on validation rows.

    The same seed gives the same numbers, however many threads there are: all is computed in one.

    Parameters
    ----------
    job : Job
        Whose fold; models and how they are trained do not matter.

    Raises
    ------
    RnalmError
        On labels that cannot be scaled, or weights for classes that there are not.
    """
    output = Path(job.output)
    with threadpool_limits(1):
        data = fold.load(job)
        baseline, chosen, train_loss = _choose(job, data)
        baseline.save(output, chosen)
        parts = folds.read(job.folds)[job.fold]
        for part, name in ((folds.VALIDATION, contract.VALIDATED_PART), (folds.TEST, contract.TESTED_PART)):
            if (parts == part).any() or part == folds.VALIDATION:
                predict_with(baseline, baseline.labels, job.encoded, output / name, np.flatnonzero(parts == part))
        _write_results(output, data, chosen, train_loss)
    if (parts == folds.TEST).any():
        evaluate_fold(output / contract.TESTED_PART, output)
    best = chosen["chosen"]
    how = ", ".join(f"{key} {best[key]:g}" for key in ("strength", "trees") if key in best)
    log.info("fold %d: %s (%s), validation loss %.4g", job.fold, best["model"], how, best["validation_loss"])


def _choose(job: Job, data: FoldData) -> tuple[Baseline, dict[str, Any], float]:
    """Try all that there is, and keep what predicts validation rows best."""
    material = Material.of(job, data)
    training, judge = material.training, material.judge
    tried = material.linear()
    best = min(tried, key=lambda one: one.loss)
    seed = int(material.seed.generate_state(1)[0])
    boosted = boosting.boost(training, data.meaning, material.class_weights, seed)
    if boosted is not None:
        trees = _boosted(boosted, judge)
        both = {**best.parts, **trees.parts}
        loss = judge(list(both.values()))
        tried += [trees, Candidate(f"mean of {best.name} and boosting", best.strength, trees.trees, loss, both)]
    best = min(tried, key=lambda one: one.loss)
    counted = material.counted
    told = {
        "chosen": best.told(),
        "tried": [one.told() for one in tried],
        "train_rows": len(training.targets),
        "validation_rows": len(judge.targets),
        "blocks": {kind.name: size for kind, size in zip(counted.kinds, counted.sizes, strict=True)},
    }
    baseline = Baseline(counted, data.meaning, material.average, best.parts)
    outputs = mean_of([part(training.found, training.placed) for part in best.parts.values()])
    return baseline, told, judge.loss(outputs, training)


def _boosted(boosted: boosting.Boosted, judge: Judge) -> Candidate:
    """Take as many rounds as are best."""
    stages = zip(*(boosted.staged(own.found) for own in judge.strands), strict=True)
    each = [judge.of(list(outputs)) for outputs in stages]
    rounds = int(np.argmin(each)) + 1
    return Candidate("boosting", None, rounds, each[rounds - 1], {"boosting": boosted.trees(rounds)})


def _write_results(output: Path, data: FoldData, chosen: dict[str, Any], train_loss: float) -> None:
    """Write figures of training and validation rows, under the names that those of models have."""
    outputs = stack(pq.read_table(output / contract.VALIDATED_PART, columns=["outputs"])["outputs"])
    labels = metrics.choose_thresholds(data.meaning, data.truth, outputs)
    labels.save(output / contract.LABELS)
    compare = tally.score if labels.task == "multilabel" else metrics.score
    values = {"loss": chosen["chosen"]["validation_loss"], **compare(labels, data.truth, outputs)}
    results = {f"eval_{name}": value for name, value in values.items()} | {"eval_rows": len(data.validation)}
    write_json(output / contract.EVAL_RESULTS, metrics.finite(results))
    write_json(output / contract.TRAIN_RESULTS, metrics.finite({"train_loss": train_loss, "train_rows": chosen["train_rows"]}))
