"""One fine-tuning: what decides it, what it learns from, its loss and its validation."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from rnalm.config import METRICS
from rnalm.errors import RnalmError
from rnalm.labels import losses, metrics, tally
from rnalm.labels.labels import Labels
from rnalm.labels.targets import any_known
from rnalm.models import registry
from rnalm.prediction.predict import predict
from rnalm.tokens.tokenizer import all_special_ids, load_tokenizer
from rnalm.training.ahead import Ahead
from rnalm.training.calibrate import calibrate
from rnalm.training.checkpoints import Checkpoints, settings_hash
from rnalm.training.loop import EpochTrainer, Run
from rnalm.training.masking import Blanking
from rnalm.training.start import TrainingJob
from rnalm.training.training_set import TrainingSet

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job(TrainingJob):
    """Everything that decides one fine-tuning.

    Attributes
    ----------
    folds : str
        File with the part of each row in each fold.
    fold, replicate : int
        Which training of the experiment it is.
    task : {'regression', 'classification'}
        What the labels are.
    scaling : {'none', 'log', 'minmax', 'standard'}
        Of labels that are numbers.
    class_weights : bool
        Whether classes weigh the more, the rarer they are.
    positive_weight : float or None
        What the second of two classes weighs, where the first weighs 1; for multilabel, the positives of every class.
    positive_weights : dict of str to float
        For multilabel: what the positives of single classes weigh instead.
    per : {'sequence', 'token'}
        What has a label.
    encoded, tokenizer, output, model, options, seed, threads, gpus, code
        As in :class:`~rnalm.training.start.TrainingJob`; ``options`` is the ``finetune`` section.
    """

    FILES: ClassVar[tuple[str, ...]] = ("encoded", "folds", "tokenizer")

    folds: str
    fold: int
    replicate: int
    task: str
    scaling: str
    class_weights: bool
    positive_weight: float | None = None
    positive_weights: dict[str, float] = field(default_factory=dict)
    per: str = "sequence"

    @property
    def fold_seed(self) -> int:
        """Seed of this training; the first replicate has that of the fold, so that more can join it."""
        numbers = [self.seed, self.fold] + ([self.replicate] if self.replicate else [])
        return int(np.random.SeedSequence(numbers).generate_state(1)[0])

    def settings_hash(self) -> str:
        """Hash what decides the course of training; epochs that are added to it do not."""
        options = {key: value for key, value in self.options.items() if key != "extra_epochs"}
        return settings_hash(self, self.FILES, options=options)

    @property
    def run(self) -> Run:
        """What the Trainer needs to know."""
        metric = self.options["metric"]
        greater_is_better = METRICS[self.task][metric]
        return Run("finetune", self.options, self.checkpoints_folder, metric, greater_is_better, self.fold_seed, self.gpus)


@dataclass(frozen=True)
class FoldData:
    """What a fine-tuning learns from, and what it is judged by.

    Attributes
    ----------
    meaning : Labels
        What the outputs of the model mean; of the training rows alone.
    training, validation : TrainingSet
        Rows of the fold; those that test are in neither.
    truth : numpy.ndarray
        Labels of the validation rows, or of their tokens, as they were encoded.
    counts : numpy.ndarray
        Of the training rows by class, from :func:`rnalm.labels.targets.count`.
    class_weights : torch.Tensor or None
        float32 ``(classes,)``; None: all weigh the same.
    """

    meaning: Labels
    training: TrainingSet
    validation: TrainingSet
    truth: np.ndarray
    counts: np.ndarray
    class_weights: torch.Tensor | None


class FoldTrainer(EpochTrainer):
    """Trains with weighted rows and classes, and the model's own penalty.

    Parameters
    ----------
    job : Job
        What to train.
    model : PreTrainedModel
        Changed in place.
    data : FoldData
        What to train it with.
    checkpoints : Checkpoints
        Of the job.
    epochs : int
        Where training ends.
    """

    def __init__(self, job: Job, model: PreTrainedModel, data: FoldData, checkpoints: Checkpoints, epochs: int) -> None:
        self.data, self.blanking = data, blanking(job)
        super().__init__(job.run, model, data.training, data.validation, checkpoints, epochs)

    def get_train_dataloader(self) -> DataLoader:
        """Batch by length; the sampler itself divides batches among processes."""
        training, sampler = self.data.training, self.sampler
        channels, pad = self.network.config.modifier_channels, registry.pad_id(self.network)

        def collate(rows: list[int]) -> dict[str, torch.Tensor]:
            batch = training.batch(rows, channels, pad)
            if self.blanking.prob:
                batch["input_ids"] = self.blanking(batch["input_ids"], rows, sampler.epoch)
            return batch

        return Ahead(training, batch_sampler=sampler, collate_fn=collate)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Compute the weighted loss of a batch, and the model's own penalty."""
        targets, weights = inputs.pop("labels"), inputs.pop("weights")
        outputs = model(**inputs)
        loss = self._loss(outputs.logits, targets, weights)
        if penalty := getattr(self.network, "penalty", None):
            loss = loss + penalty()
        return (loss, outputs) if return_outputs else loss

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        task, network = self.data.meaning.task, self.network
        if own := own_loss(network, logits, targets):
            return own()
        return losses.of_batch(task, logits, targets, weights, self.data.class_weights, unit(network))

    def create_optimizer(self, model=None):
        """Make the optimizer: that of a network's own file, or Adam.

        Parameters
        ----------
        model : PreTrainedModel, optional
            As the Trainer hands it over.
        """
        given = getattr(self.network, "optimizer", lambda rate: None)(self.args.learning_rate)
        if given is None:
            return super().create_optimizer(model)
        kind, options = given
        try:
            self.optimizer = kind(self.network.parameters(), **options)
        except Exception as error:
            raise RnalmError(f"model.path: the optimizer of this file cannot be made ({error})") from error
        log.info("the optimizer is %s, of the network's own file", kind.__name__)
        return self.optimizer

    def validate(self) -> dict[str, float]:
        """Compute the loss, weighted as in training, and all metrics on the validation rows, by a calibrated model."""
        calibrate(self.network, self.data.training.sequences, self.batch_tokens, self.data.meaning)
        return validate(self.network, self.data, self.batch_tokens)


def own_loss(model: PreTrainedModel, logits: torch.Tensor, targets: torch.Tensor) -> Callable[[], torch.Tensor] | None:
    """Give the loss that the file of a user's own network has, if it has one.

    Parameters
    ----------
    model : PreTrainedModel
        Any model.
    logits, targets : Tensor
        As for :func:`rnalm.labels.losses.of_batch`.

    Returns
    -------
    callable or None
        Computes it of what the network gives.

    Raises
    ------
    RnalmError
        If a label is not known, of which such a loss knows nothing.
    """
    criterion = getattr(model, "criterion", None)
    if criterion is None:
        return None
    if targets.is_floating_point() and targets.isnan().any():
        raise RnalmError("model.path: the loss of this file (criterion) knows no unknown labels; expected known ones, or none")
    own = targets if targets.dim() > 1 or not targets.is_floating_point() else targets[:, None]
    return lambda: criterion(model.native(logits), own)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]


def blanking(job: Job) -> Blanking:
    """Say which tokens a job masks in training.

    Parameters
    ----------
    job : Job
        With the share of tokens, and the tokenizer that knows ``[MASK]``.
    """
    tokenizer = load_tokenizer(job.tokenizer)
    special = all_special_ids(tokenizer)
    return Blanking(job.options["mask_prob"], tuple(special.values()), special["mask"], job.fold_seed)


def unit(model: PreTrainedModel) -> float | list[float]:
    """Give the standard deviation of the targets that a model was made for, or of each of several.

    Parameters
    ----------
    model : PreTrainedModel
        Any model.
    """
    return getattr(model.config, "output_sd", 1.0)


def validate(model: PreTrainedModel, data: FoldData, batch_tokens: int = 2**16) -> dict[str, float]:
    """Compute the loss, weighted as in training, and all metrics on validation rows, or on their tokens.

    Parameters
    ----------
    model : PreTrainedModel
        On the device on which to compute.
    data : FoldData
        Whose validation rows are predicted.
    batch_tokens : int
        Tokens in one forward pass, at most.

    Returns
    -------
    dict of str to float
        By name, in scaled units and in those of the labels; ``loss`` is among them.
    """
    return judge(model, data, *predict_validation(model, data, batch_tokens))


def predict_validation(model: PreTrainedModel, data: FoldData, batch_tokens: int = 2**16) -> tuple[np.ndarray, np.ndarray]:
    """Predict validation rows, or those of their tokens of which a label is known.

    Parameters
    ----------
    model, data, batch_tokens
        As for :func:`validate`.

    Returns
    -------
    outputs : numpy.ndarray
        ``(rows, outputs)``
    truth : numpy.ndarray
        Their labels, as they were encoded.
    """
    outputs = predict(model, data.validation.sequences, batch_tokens, data.meaning)
    if data.meaning.per == "token":
        outputs = np.concatenate(outputs)
        known = any_known(data.meaning.to_targets(data.truth))
        return outputs[known], data.truth[known]
    return np.asarray(outputs), data.truth


def judge(model: PreTrainedModel, data: FoldData, outputs: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Compare what was predicted for validation rows with their labels.

    Parameters
    ----------
    model, data
        As for :func:`validate`.
    outputs, truth : numpy.ndarray
        From :func:`predict_validation`.

    Returns
    -------
    dict of str to float
        As from :func:`validate`.
    """
    compare = tally.score if data.meaning.task == "multilabel" else metrics.score
    return {"loss": _loss_of(model, data, outputs), **compare(data.meaning, truth, outputs)}


def _loss_of(model: PreTrainedModel, data: FoldData, outputs: np.ndarray) -> float:
    """Average the loss of validation rows, in the unit that a model computes in, or as its own file has it."""
    if hasattr(model, "criterion"):
        targets = torch.from_numpy(np.concatenate([some for some, _ in data.validation.known()]))
        if own := own_loss(model, torch.from_numpy(outputs), targets):
            return own().item()
    return average_loss(data, outputs, unit(model))


def average_loss(data: FoldData, outputs: np.ndarray, sd: float | list[float]) -> float:
    """Average the loss of validation rows by weight, some rows at a time.

    Parameters
    ----------
    data : FoldData
        Whose validation rows they are.
    outputs : numpy.ndarray
        As from :func:`predict_validation`.
    sd : float or list of float
        Standard deviation of the training targets, for regression.

    Returns
    -------
    float
        0 where all weights are 0.
    """
    sums, first = np.zeros(2), 0
    for block in data.validation.known():
        targets, weights = map(torch.from_numpy, block)
        logits = torch.from_numpy(outputs[first : first + len(targets)])
        each = losses.per_row(data.meaning.task, logits, targets, sd, data.class_weights)
        own = losses.weigh(weights, targets, data.class_weights).double()
        sums += [(each * own).sum().item(), own.sum().item()]
        first += len(targets)
    return float(sums[0] / sums[1]) if sums[1] > 0 else 0.0
