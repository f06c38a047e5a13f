"""One fine-tuning: what decides it, its loss and its validation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from rnalm.config import METRICS
from rnalm.labels import losses, metrics
from rnalm.labels.labels import Labels
from rnalm.prediction.predict import predict
from rnalm.tokens.dataset import TrainingSet
from rnalm.tokens.tokenizer import load_tokenizer, special_ids, special_tokens
from rnalm.training.checkpoints import Checkpoints, identify
from rnalm.training.loop import EpochTrainer, Run
from rnalm.training.masking import Blanking


@dataclass(frozen=True)
class Job:
    """Everything that decides one fine-tuning.

    Attributes
    ----------
    encoded, folds, tokenizer : str
        Files.
    output : str
        The model folder to write.
    fold, replicate : int
    task : {'regression', 'classification'}
    scaling : str
    class_weights : bool
    model, options : dict
        The ``model`` and ``finetune`` sections of the configuration.
    seed : int
    threads, gpus : int
        What the job may use.
    code : str
        Fingerprint of the code that trains.
    """

    encoded: str
    folds: str
    tokenizer: str
    output: str
    fold: int
    replicate: int
    task: str
    scaling: str
    class_weights: bool
    model: dict
    options: dict
    seed: int
    threads: int
    gpus: int = 1
    code: str = ""

    @property
    def fold_seed(self) -> int:
        """Seed of this training; the first replicate has that of the fold, so that more can join it."""
        numbers = [self.seed, self.fold] + ([self.replicate] if self.replicate else [])
        return int(np.random.SeedSequence(numbers).generate_state(1)[0])

    def identity(self) -> str:
        """Hash what decides the course of training, so that only a run of the same is resumed."""
        options = {key: value for key, value in self.options.items() if key != "extra_epochs"}
        return identify(self, ("encoded", "folds", "tokenizer"), options=options)

    def run(self, folder: Path) -> Run:
        """Say what the Trainer needs to know, with the folder of checkpoints."""
        metric = self.options["metric"]
        return Run("finetune", self.options, folder, metric, METRICS[self.task][metric], self.fold_seed, self.gpus)


class FoldTrainer(EpochTrainer):
    """Trains with weighted rows and classes, and the model's own penalty."""

    def __init__(
        self,
        job: Job,
        model: PreTrainedModel,
        meaning: Labels,
        training: TrainingSet,
        validation: TrainingSet,
        class_weights: torch.Tensor | None,
        checkpoints: Checkpoints,
        epochs: int,
    ) -> None:
        self.meaning, self.class_weights, self.blanking = meaning, class_weights, blanking(job)
        super().__init__(job.run(checkpoints.folder), model, training, validation, checkpoints, epochs)

    def get_train_dataloader(self) -> DataLoader:
        """Batch by length; the sampler itself divides batches among processes."""
        training, channels, sampler = self.train_dataset, self.model.config.modifier_channels, self.sampler

        def batch(rows: list[int]) -> dict[str, torch.Tensor]:
            found = training.batch(rows, channels)
            shown = self.blanking(found["input_ids"], rows, sampler.epoch) if self.blanking.prob else found["input_ids"]
            return found | {"input_ids": shown}

        return DataLoader(training, batch_sampler=sampler, collate_fn=batch)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Compute the weighted loss of a batch, and the model's own penalty."""
        targets, weights = inputs.pop("labels"), inputs.pop("weights")
        outputs = model(**inputs)
        weights = losses.weigh(weights, targets, self.class_weights)
        loss = (losses.per_row(self.meaning.task, outputs.logits, targets, unit(self.model)) * weights).mean()
        if hasattr(self.model, "penalty"):
            loss = loss + self.model.penalty()
        return (loss, outputs) if return_outputs else loss

    def validate(self) -> dict[str, float]:
        """Compute the loss, weighted as in training, and all metrics on the validation rows."""
        return validate(self.model, self.meaning, self.eval_dataset, self.class_weights, self.batch_tokens)


def blanking(job: Job) -> Blanking:
    """Say which tokens a job masks in training."""
    tokenizer = load_tokenizer(job.tokenizer)
    never = tuple(map(tokenizer.token_to_id, special_tokens(tokenizer)))
    return Blanking(job.options["mask_prob"], never, special_ids(tokenizer)["mask"], job.fold_seed)


def unit(model: PreTrainedModel) -> float:
    """Give the standard deviation of the targets that a model was made for."""
    return getattr(model.config, "output_sd", 1.0)


def validate(
    model: PreTrainedModel,
    meaning: Labels,
    validation: TrainingSet,
    class_weights: torch.Tensor | None,
    batch_tokens: int = 2**16,
) -> dict[str, float]:
    """Compute the loss, weighted as in training, and all metrics on validation rows."""
    outputs = predict(model, validation.sequences, batch_tokens)
    targets, weights = torch.from_numpy(validation.targets), torch.from_numpy(validation.weights)
    each = losses.per_row(meaning.task, torch.from_numpy(outputs), targets, unit(model))
    loss = losses.weighted_mean(each, losses.weigh(weights, targets, class_weights))
    truth = np.array([sequence.label for sequence in validation.sequences])
    return {"loss": loss.item(), **metrics.score(meaning, truth, outputs)}
