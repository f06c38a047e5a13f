"""Training rows of a fold ─► linear models of them, each as good as it can be on validation rows."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from rnalm.errors import RnalmError
from rnalm.labels import losses, targets
from rnalm.models.baseline import Linear, Trees, mean_of
from rnalm.models.wide import Wide
from rnalm.tokens import encode, ngrams
from rnalm.tokens.ngrams import Ngrams
from rnalm.tokens.tokenizer import load_tokenizer
from rnalm.training.baseline.counts import Counts, count, draw, known
from rnalm.training.baseline.linear import path
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


class Judge:
    """Says how far outputs are from the labels of validation rows.

    Parameters
    ----------
    data : FoldData
        Of the fold.
    counted : Ngrams
        What is counted.
    chosen : numpy.ndarray or None
        Numbers of rows, from :func:`rnalm.training.baseline.counts.draw`.
    placed : bool
        Whether runs are counted by position too.
    average : bool
        Whether what is reported is the mean over both strands.
    """

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
        """Give the loss of outputs for each strand.

        Parameters
        ----------
        strands : list of numpy.ndarray
            ``(rows, outputs)`` each.
        """
        own = [strand.astype(np.float32) for strand in strands]
        return self.loss(self.labels.average(own) if len(own) > 1 else own[0], self.strands[0])

    def loss(self, outputs: np.ndarray, counts: Counts) -> float:
        """Average the loss of rows by weight, as models have it.

        Parameters
        ----------
        outputs : numpy.ndarray
            ``(rows, outputs)``
        counts : Counts
            Of the rows, with their targets and weights.
        """
        weights, own = self.data.class_weights, torch.from_numpy(counts.targets)
        each = losses.per_row(self.labels.task, torch.from_numpy(outputs), own, self.sd, weights)
        share = losses.weigh(torch.from_numpy(counts.weights), own, weights).double()
        return float((each * share).sum() / share.sum()) if share.sum() > 0 else 0.0


@dataclass(frozen=True)
class Material:
    """What is counted in the rows of a fold.

    Attributes
    ----------
    data : FoldData
        Of the fold.
    counted : Ngrams
        What is counted.
    training : Counts
        Of the training rows.
    judge : Judge
        Knows the validation rows.
    class_weights : numpy.ndarray or None
        What classes weigh.
    average : bool
        Whether what is reported is the mean over both strands.
    seed : numpy.random.SeedSequence
        For what else is random.
    """

    data: FoldData
    counted: Ngrams
    training: Counts
    judge: Judge
    class_weights: np.ndarray | None
    average: bool
    seed: np.random.SeedSequence

    @classmethod
    def of(cls, job: Job, data: FoldData) -> Self:
        """Count runs of letters in the rows of a fold, or of many in a random sample of them.

        Parameters
        ----------
        job : Job
            Whose fold.
        data : FoldData
            Its rows.
        """
        average = encode.metadata(job.encoded)["reverse_complement"] == "average"
        counted = ngrams.look_at(ngrams.of_tokenizer(load_tokenizer(job.tokenizer)), ngrams.groups(data.training.sequences))
        placed, outputs = counted.longest_placed > 0, data.meaning.n_outputs if data.meaning.several else 1
        seeds = np.random.SeedSequence([job.seed, job.fold]).spawn(3)
        width = max(sum(counted.sizes), outputs)
        learned = draw(len(data.training), width, seeds[0], "train")
        training = known(count(counted, data.training, learned, placed), data.meaning)
        judge = Judge(data, counted, draw(len(data.validation), width, seeds[1], "validate"), placed, average)
        weights = None if data.class_weights is None else data.class_weights.numpy().astype(np.float64)
        return cls(data, counted, training, judge, weights, average, seeds[2])

    def linear(self) -> list[Candidate]:
        """Fit a linear model on each set of features, with the penalty that is best on validation rows."""
        sizes, meaning = self.counted.sizes, self.data.meaning
        way = f"{'ridge' if meaning.task == 'regression' else 'logistic'} regression"
        tried = []
        for name, (used, by_place) in _sets(self.counted).items():
            fits = path(self.training, meaning, sizes, used, by_place, self.class_weights)
            tried.append(min(_judged(f"{way} on {name}", fits, self.judge), key=lambda one: one.loss))
        return tried


def _sets(counted: Ngrams) -> dict[str, tuple[list[bool], bool]]:
    """Name the sets of features that linear models look at: which blocks, and whether runs by position too."""
    names = [kind.name for kind in counted.kinds]
    runs = [name == "length" or name.endswith("-grams") for name in names]
    frame = [name == "length" or "-grams" not in name for name in names]
    sets = {"n-grams": (runs, False)}
    if sum(frame) > 1:
        sets["triplets and lengths"] = (frame, False)
        sets["n-grams, triplets and lengths"] = ([own or other for own, other in zip(runs, frame, strict=True)], False)
    if len(names) > sum(own or other for own, other in zip(runs, frame, strict=True)):
        sets["n-grams, triplets, lengths and regions"] = ([True] * len(names), False)
    return sets | ({"n-grams anywhere and by position": ([True] * len(names), True)} if counted.longest_placed else {})


def _judged(name: str, fits: Iterator[tuple[float, Linear]], judge: Judge) -> Iterator[Candidate]:
    """Judge models from strong penalties to weak ones, until two in a row are worse than the best."""
    best, worse = np.inf, 0
    for strength, model in fits:
        loss = judge([model])
        yield Candidate(name, float(strength), None, loss, {"linear": model})
        worse = 0 if loss < best else worse + 1
        best = min(best, loss)
        if worse == 2:
            return


def linear_part(job: Job, data: FoldData) -> Wide:
    """Fit the linear model that predicts validation rows best, for a network to add to it.

    The same seed gives the same numbers, however many threads or processes there are: all is computed in one.

    Parameters
    ----------
    job : Job
        Whose fold.
    data : FoldData
        Its rows.

    Raises
    ------
    RnalmError
        If tokens have labels, of which runs of letters say nothing.
    """
    if data.meaning.per == "token":
        raise RnalmError("model.wide: runs of letters are counted in whole sequences; expected labels.per: sequence")
    with threadpool_limits(1):
        material = Material.of(job, data)
        best = min(material.linear(), key=lambda one: one.loss)
    told = "fold %d: the linear part is a %s (strength %g), validation loss %.4g"
    log.info(told, job.fold, best.name, best.strength, best.loss)
    linear = best.parts["linear"]
    assert isinstance(linear, Linear)
    return Wide.of(material.counted, linear)
