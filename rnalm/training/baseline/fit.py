"""Training rows of a fold ─► the baseline that predicts its validation rows best, and what it predicts."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from threadpoolctl import threadpool_limits

from rnalm.config import contract
from rnalm.files import write_json
from rnalm.labels import folds, losses, metrics, tally, targets
from rnalm.models.baseline import Baseline, Linear, Trees, mean_of
from rnalm.prediction.evaluate import evaluate_fold, stack
from rnalm.prediction.predict import predict_with
from rnalm.tokens import encode, ngrams
from rnalm.tokens.ngrams import Ngrams
from rnalm.tokens.tokenizer import load_tokenizer
from rnalm.training import fold
from rnalm.training.baseline import boosting, linear
from rnalm.training.baseline.counts import Counts, count, draw, known
from rnalm.training.trainer import FoldData, Job

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """Something that was tried.

    Attributes
    ----------
    name : str
        What it looks at, and how.
    strength : float or None
        Of the penalty of a linear model.
    trees : int or None
        Rounds of boosting.
    loss : float
        On the validation rows, in the unit in which models are trained.
    parts : dict
        Of :data:`rnalm.models.baseline.KINDS`, by name.
    """

    name: str
    strength: float | None
    trees: int | None
    loss: float
    parts: dict[str, Linear | Trees]

    def told(self) -> dict[str, Any]:
        """Give what a person wants to know of it."""
        told = {"model": self.name, "strength": self.strength, "trees": self.trees, "validation_loss": self.loss}
        return {key: value for key, value in told.items() if value is not None}


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
    average = encode.metadata(job.encoded)["reverse_complement"] == "average"
    counted = ngrams.look_at(ngrams.of_tokenizer(load_tokenizer(job.tokenizer)), ngrams.groups(data.training.sequences))
    probe = counted.blocks([data.training.sequences[0]])
    width, placed = sum(own.shape[1] for own in probe.values()), counted.longest_placed > 0
    seeds = np.random.SeedSequence([job.seed, job.fold]).spawn(3)
    outputs = data.meaning.n_outputs if data.meaning.several else 1
    learned = draw(len(data.training), max(width, outputs), seeds[0], "train")
    training = known(count(counted, data.training, learned, placed), data.meaning)
    judged = draw(len(data.validation), max(width, outputs), seeds[1], "validate")
    judge = _Judge(data, counted, judged, placed, average)
    weights = None if data.class_weights is None else data.class_weights.numpy().astype(np.float64)
    sets = _sets({name: own.shape[1] for name, own in probe.items()}, placed)
    sizes = [own.shape[1] for own in probe.values()]
    tried = []
    for name, (used, by_place) in sets.items():
        way = {"regression": "ridge"}.get(job.task, "logistic") + " regression"
        fits = linear.path(training, data.meaning, sizes, used, by_place, weights)
        tried.append(min(_judged(f"{way} on {name}", fits, judge), key=lambda one: one.loss))
    best = min(tried, key=lambda one: one.loss)
    boosted = boosting.boost(training, data.meaning, weights, int(seeds[2].generate_state(1)[0]))
    if boosted is not None:
        trees = _boosted(boosted, judge)
        both = {**best.parts, **trees.parts}
        loss = judge(list(both.values()))
        tried += [trees, Candidate(f"mean of {best.name} and boosting", best.strength, trees.trees, loss, both)]
    best = min(tried, key=lambda one: one.loss)
    told = {
        "chosen": best.told(),
        "tried": [one.told() for one in tried],
        "train_rows": len(training.targets),
        "validation_rows": len(judge.targets),
        "blocks": {name: own.shape[1] for name, own in probe.items()},
    }
    baseline = Baseline(counted, data.meaning, average, best.parts)
    outputs = mean_of([part(training.found, training.placed) for part in best.parts.values()])
    return baseline, told, judge.loss(outputs, training)


def _sets(sizes: dict[str, int], placed: bool) -> dict[str, tuple[list[bool], bool]]:
    """Name the sets of features that linear models look at: which blocks, and whether runs by position too."""
    runs = [name == "length" or name.endswith("-grams") for name in sizes]
    frame = [name == "length" or "-grams" not in name for name in sizes]
    sets = {"n-grams": (runs, False)}
    if sum(frame) > 1:
        sets["triplets and lengths"] = (frame, False)
        sets["n-grams, triplets and lengths"] = ([own or other for own, other in zip(runs, frame, strict=True)], False)
    if len(sizes) > sum(own or other for own, other in zip(runs, frame, strict=True)):
        sets["n-grams, triplets, lengths and regions"] = ([True] * len(sizes), False)
    return sets | ({"n-grams anywhere and by position": ([True] * len(sizes), True)} if placed else {})


class _Judge:
    """Says how far outputs are from the labels of validation rows."""

    def __init__(self, data: FoldData, counted: Ngrams, chosen: np.ndarray | None, placed: bool, average: bool) -> None:
        self.data, self.labels = data, data.meaning
        self.sd = targets.mean_and_sd(data.training.known)[1].tolist() if data.meaning.task == "regression" else 1.0
        self.strands: list[Counts] = [count(counted, data.validation, chosen, placed)]
        self.targets = self.strands[0].targets
        if average:
            self.strands.append(count(counted, data.validation, chosen, placed, twins=True))

    def __call__(self, parts: list[Linear | Trees]) -> float:
        """Give the loss of the mean of parts."""
        return self.of([mean_of([part(own.found, own.placed) for part in parts]) for own in self.strands])

    def of(self, strands: list[np.ndarray]) -> float:
        """Give the loss of outputs for each strand."""
        own = [strand.astype(np.float32) for strand in strands]
        return self.loss(self.labels.average(own) if len(own) > 1 else own[0], self.strands[0])

    def loss(self, outputs: np.ndarray, counts: Counts) -> float:
        """Average the loss of rows by weight, as models have it."""
        weights, own = self.data.class_weights, torch.from_numpy(counts.targets)
        each = losses.per_row(self.labels.task, torch.from_numpy(outputs), own, self.sd, weights)
        share = losses.weigh(torch.from_numpy(counts.weights), own, weights).double()
        return float((each * share).sum() / share.sum()) if share.sum() > 0 else 0.0


def _judged(name: str, fits: Iterator[tuple[float, Linear]], judge: _Judge) -> Iterator[Candidate]:
    """Judge models from strong penalties to weak ones, until two in a row are worse than the best."""
    best, worse = np.inf, 0
    for strength, model in fits:
        loss = judge([model])
        yield Candidate(name, float(strength), None, loss, {"linear": model})
        worse = 0 if loss < best else worse + 1
        best = min(best, loss)
        if worse == 2:
            return


def _boosted(boosted: boosting.Boosted, judge: _Judge) -> Candidate:
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
