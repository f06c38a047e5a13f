"""Pretrain a language model: fill in tokens that are hidden."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, set_seed

from rnalm import compute
from rnalm.config import Encode, Folds
from rnalm.labels import folds
from rnalm.models import masked
from rnalm.models.framed import check_length
from rnalm.models.pretrained import check_pretrained
from rnalm.tokens import dataset, encode
from rnalm.tokens.dataset import Encoded, by_length
from rnalm.tokens.tokenizer import Tokenizer, kmer_layout, load_tokenizer, special_ids, special_tokens
from rnalm.training import processes, write
from rnalm.training.checkpoints import Checkpoints, identify
from rnalm.training.loop import EpochTrainer, Run, is_main, training_arguments
from rnalm.training.masking import IGNORED, MaskedSet, Masking

log = logging.getLogger(__name__)

#: A row that neither trains nor validates.
NEITHER = -1


@dataclass(frozen=True)
class Job:
    """Everything that decides one pretraining.

    Attributes
    ----------
    encoded, tokenizer : str
        Files.
    output : str
        The model folder to write.
    model, options : dict
        The ``model`` and ``pretrain`` sections of the configuration.
    seed : int
    threads, gpus : int
        What the job may use.
    code : str
        Fingerprint of the code that trains.
    """

    encoded: str
    tokenizer: str
    output: str
    model: dict
    options: dict
    seed: int
    threads: int
    gpus: int = 1
    code: str = ""

    def identity(self) -> str:
        """Hash what decides the course of training, so that only a run of the same is resumed."""
        return identify(self, ("encoded", "tokenizer"))

    def run(self, folder: Path) -> Run:
        """Say what the Trainer needs to know, with the folder of checkpoints."""
        return Run("pretrain", self.options, folder, "loss", False, self.seed, self.gpus)


class MaskedTrainer(EpochTrainer):
    """Trains a model to find the tokens that are hidden."""

    def get_train_dataloader(self) -> DataLoader:
        """Batch by length, and hide other tokens in each epoch."""
        training, sampler = self.train_dataset, self.sampler
        return DataLoader(training, batch_sampler=sampler, collate_fn=lambda rows: training.batch(rows, 1 + sampler.epoch))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Compute the mean cross-entropy of the tokens that have to be found."""
        outputs = model(**inputs)
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def validate(self) -> dict[str, float]:
        """Compute loss, perplexity and accuracy on the validation rows."""
        return validate(self.model, self.eval_dataset, self.batch_tokens)


def run(job: Job) -> None:
    """Pretrain here, or in one process a GPU where several are wanted and there."""
    processes.run(job, pretrain, __name__)


def pretrain(job: Job) -> None:
    """Pretrain a model and write its folder; go on from the last checkpoint if there is one.

    Raises
    ------
    RnalmError
        If the architecture cannot be pretrained, or sequences are too long for it.
    """
    torch.set_num_threads(job.threads)
    compute.exact()
    tokenizer = load_tokenizer(job.tokenizer)
    special = special_ids(tokenizer)
    information = encode.metadata(job.encoded)
    extra = {key: information[key] for key in Encode.model_fields}
    if job.model["pretrained"]:
        check_pretrained(job.model["pretrained"], tokenizer)
    set_seed(job.seed)
    model = masked.create(job.model, tokenizer.get_vocab_size(), special, **extra)
    check_length(model.config, information["longest"])
    training, validation = load_parts(job, tokenizer, model)
    log.info("%d sequences train, %d validate; %d parameters", len(training), len(validation), model.num_parameters())

    checkpoints = Checkpoints(Path(job.output) / "checkpoints", job.identity())
    epochs = job.options["epochs"]
    # The first of these arguments also start the communication between processes, if there are several.
    with training_arguments(job.run(checkpoints.folder), epochs).main_process_first(local=False):
        checkpoints.prepare()
    set_seed(job.seed)
    trainer = MaskedTrainer(job.run(checkpoints.folder), model, training, validation, checkpoints, epochs)
    state = trainer.resume()
    if is_main():
        model.load_state_dict(load_file(checkpoints.best(state) / "model.safetensors"), strict=False)
        model.tie_weights()
        found = (model, training, validation, trainer.batch_tokens)
        write.write(job.output, model, tokenizer, state, len(training), lambda: score(*found))


def load_parts(job: Job, tokenizer: Tokenizer, model: PreTrainedModel) -> tuple[MaskedSet, MaskedSet]:
    """Read the sequences, with their reverse complements where the encoded file has them, and set some aside for validation."""
    sequences = [sequence for group in dataset.read(job.encoded) for sequence in group]
    special = special_ids(tokenizer)
    options = {key: job.options[key] for key in ("mask_prob", "random_prob", "keep_prob")}
    never = tuple(map(tokenizer.token_to_id, special_tokens(tokenizer)))
    masking = Masking(
        **options, special=never, mask=special["mask"], vocab_size=tokenizer.get_vocab_size(), span=overlap(tokenizer)
    )
    part = set_aside(dataset.column(job.encoded, "group").to_pylist(), job.options["validation"], job.seed)
    part[[not masking.able(sequence.input_ids).any() for sequence in sequences]] = NEITHER
    if left_out := int(np.sum(part == NEITHER)):
        log.info("%d sequences are left out: neighbours of validation rows in large groups, or without known tokens", left_out)

    def make(index: int, twins: bool) -> MaskedSet:
        chosen: list[Encoded] = [sequences[row] for row in np.flatnonzero(part == index)]
        chosen += [sequence.twin() for sequence in chosen if twins and sequence.reverse_ids is not None]
        return MaskedSet(chosen, masking, model.config.frame, special["pad"], job.seed)

    return make(folds.TRAIN, twins=True), make(folds.VALIDATION, twins=False)


def overlap(tokenizer: Tokenizer) -> int:
    """Count the neighbours, itself included, that share a letter with a token and stand right of it."""
    k, stride = kmer_layout(tokenizer) or (1, 1)
    return -(-k // stride)


def set_aside(groups: Sequence[str | None], percent: int, seed: int) -> np.ndarray:
    """Choose the rows that validate, in whole groups.

    A group that is larger than all that is wanted, such as the chunks of one chromosome, is divided into runs of rows; what
    stands beside a run that validates may overlap it, and is left out.

    Parameters
    ----------
    groups : sequence of str or None
        Of each row; None: a group of its own.
    percent : int
        Of all rows, to validate.
    seed : int

    Returns
    -------
    numpy.ndarray
        int8 ``(rows,)``: ``folds.TRAIN``, ``folds.VALIDATION`` or ``NEITHER``.
    """
    names = pd.Series([str(row) if group is None else f"group {group}" for row, group in enumerate(groups)])
    wanted = max(1, round(len(names) * percent / 100))
    large = names.groupby(names).transform("size") > wanted
    runs = names.where(~large, names + (names.groupby(names).cumcount() // wanted).map(", run {}".format))
    [part] = folds.assign(Folds(ratio=[100 - percent, percent]), len(names), groups=runs.tolist(), seed=seed)
    beside = pd.Series(part == folds.VALIDATION)
    by_group = beside.groupby(names)
    near = by_group.shift(1, fill_value=False) | by_group.shift(-1, fill_value=False)
    part[(near & large & ~beside).to_numpy()] = NEITHER
    return part


@torch.inference_mode()
def validate(model: PreTrainedModel, validation: MaskedSet, batch_tokens: int) -> dict[str, float]:
    """Compute loss, perplexity and accuracy on tokens that are hidden in the same places each time.

    Parameters
    ----------
    model : PreTrainedModel
    validation : MaskedSet
    batch_tokens : int
        Tokens in one forward pass, at most.
    """
    was_training = model.training
    model.eval()
    loss, right, count = 0.0, 0, 0
    for rows in by_length(validation.sequences, batch_tokens):
        batch = {name: tensor.to(model.device) for name, tensor in validation.batch(rows).items()}
        wanted = batch.pop("labels")
        logits = model(**batch).logits[wanted != IGNORED].float()
        wanted = wanted[wanted != IGNORED]
        loss += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
        right += int((logits.argmax(dim=1) == wanted).sum())
        count += len(wanted)
    model.train(was_training)
    return {"loss": loss / count, "perplexity": math.exp(loss / count), "masked_accuracy": right / count}


def baseline(training: MaskedSet, validation: MaskedSet) -> dict[str, float]:
    """Compute what one achieves who knows nothing but how frequent each token is.

    Frequencies are those of the training rows, each token counted once more than it occurs.
    """
    size = training.masking.vocab_size
    counts = np.bincount(np.concatenate([sequence.input_ids for sequence in training.sequences]), minlength=size).astype(float)
    able = training.masking.plain
    frequency = np.log((counts[able] + 1) / (counts[able] + 1).sum())
    wanted = np.concatenate([validation.hidden(index)[1] for index in range(len(validation))])
    wanted = np.searchsorted(able, wanted[wanted != IGNORED])
    loss = -frequency[wanted].mean()
    return {
        "baseline_loss": float(loss),
        "baseline_perplexity": math.exp(loss),
        "baseline_masked_accuracy": float((wanted == frequency.argmax()).mean()),
    }


def score(model: PreTrainedModel, training: MaskedSet, validation: MaskedSet, batch_tokens: int) -> dict[str, float]:
    """Validate a model, log what it achieves beside the baseline, and give both."""
    found = {f"eval_{name}": value for name, value in validate(model, validation, batch_tokens).items()}
    found |= {"eval_rows": len(validation)} | baseline(training, validation)
    log.info(
        "perplexity %.2f, by frequencies alone %.2f; %.1f %% of hidden tokens found, by frequencies alone %.1f %%",
        found["eval_perplexity"],
        found["baseline_perplexity"],
        100 * found["eval_masked_accuracy"],
        100 * found["baseline_masked_accuracy"],
    )
    return found


if __name__ == "__main__":
    processes.main(Job, pretrain)
