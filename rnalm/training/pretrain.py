"""Pretrain a language model: fill in tokens that are hidden."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from rnalm.config import Folds, contract
from rnalm.labels import folds
from rnalm.models import registry
from rnalm.sequences.records import known
from rnalm.tokens import dataset, encode, windows
from rnalm.tokens.batches import by_length
from rnalm.tokens.store import HELD, StoredRows
from rnalm.tokens.tokenizer import all_special_ids, kmer_layout, load_tokenizer, token_names
from rnalm.training import _compat, processes, start, write
from rnalm.training.ahead import Ahead
from rnalm.training.loop import EpochTrainer, Run, epochs, is_main, leg
from rnalm.training.masking import IGNORED, MaskedSet, Masking
from rnalm.training.start import TrainingJob

log = logging.getLogger(__name__)

#: A row that neither trains nor validates.
NEITHER = -1

#: Added to the seed for the rows that validate.
STREAM = 1


@dataclass(frozen=True, kw_only=True)
class Job(TrainingJob):
    """Everything that decides one pretraining; ``options`` is the ``pretrain`` section.

    Attributes
    ----------
    folds : str or None
        File of the folds, where only training rows of one are learned from.
    fold : int or None
        That fold.
    """

    FILES: ClassVar[tuple[str, ...]] = ("encoded", "tokenizer", "folds")

    folds: str | None = None
    fold: int | None = None

    @property
    def run(self) -> Run:
        """What the Trainer needs to know."""
        return Run("pretrain", self.options, self.checkpoints_folder, "loss", False, self.seed, self.gpus)


class MaskedTrainer(EpochTrainer):
    """Trains a model to find the tokens that are hidden; parameters as for the class that it extends."""

    training: MaskedSet
    validation: MaskedSet

    def get_train_dataloader(self) -> DataLoader:
        """Batch by length, and hide other tokens in each epoch."""
        training, sampler = self.training, self.sampler
        return Ahead(training, batch_sampler=sampler, collate_fn=lambda rows: training.batch(rows, 1 + sampler.epoch))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Compute the mean cross-entropy of the tokens that are hidden."""
        outputs = model(**inputs)
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def validate(self) -> dict[str, float]:
        """Compute loss, perplexity and accuracy on the validation rows."""
        return validate(self.network, self.validation, self.batch_tokens)


def run(job: Job) -> None:
    """Pretrain here, or in one process a GPU where several are wanted and there.

    Parameters
    ----------
    job : Job
        What to train, and with what.
    """
    processes.run(job, pretrain, __name__)


def pretrain(job: Job) -> None:
    """Pretrain a model and write its folder; go on from the last checkpoint if there is one.

    Parameters
    ----------
    job : Job
        What to train, and where to write it.

    Raises
    ------
    RnalmError
        If the architecture cannot be pretrained, sequences are too long for it, or it does not fit into memory.
    """

    def create(tokenizer: Tokenizer, entries: dict[str, Any]) -> PreTrainedModel:
        return registry.create_filling(job.model, len(token_names(tokenizer)), all_special_ids(tokenizer), **entries)

    model, tokenizer = start.new_model(job, create), load_tokenizer(job.tokenizer)
    _compat.save_shared_weights_once(model)
    training, validation = load_rows(job, tokenizer, model)
    log.info("%d sequences train, %d validate; %d parameters", len(training), len(validation), model.num_parameters())
    checkpoints = start.open_checkpoints(job)
    trainer = MaskedTrainer(job.run, model, training, validation, checkpoints, epochs(job.options))
    state = trainer.resume()
    if is_main():
        model.load_state_dict(load_file(checkpoints.best(state) / contract.WEIGHTS), strict=False)
        model.tie_weights()
        rows = (training, validation, trainer.batch_tokens)
        in_steps = leg(job.options) is not None
        write.write(job.output, model, tokenizer, state, len(training), lambda: score(model, *rows), in_steps)


def load_rows(job: Job, tokenizer: Tokenizer, model: PreTrainedModel) -> tuple[MaskedSet, MaskedSet]:
    """Read the sequences, with their reverse complements where the encoded file has them, and set some aside to be measured on.

    Parameters
    ----------
    job : Job
        Whose sequences to read.
    tokenizer : tokenizers.Tokenizer
        With which they are encoded.
    model : PreTrainedModel
        That of the job, which says what is put around sequences.

    Returns
    -------
    training, validation : MaskedSet
        Tokens of the first are hidden anew in each epoch.
    """
    rows = np.flatnonzero(folds.read(job.folds)[job.fold] == folds.TRAIN) if job.folds else None
    most = encode.metadata(job.encoded)["block_size"]
    special = all_special_ids(tokenizer)
    options = {key: job.options[key] for key in ("mask_prob", "random_prob", "keep_prob")}
    names = token_names(tokenizer)
    # An id without a token is none to be drawn.
    ids, size = (*special.values(), *(index for index, name in enumerate(names) if not name)), len(names)
    masking = Masking(**options, special=ids, mask=special["mask"], vocab_size=size, span=overlap(tokenizer))
    named = dataset.column(job.encoded, "group")
    groups = [known(group) for group in (named if rows is None else named.take(rows)).to_pylist()]
    part = set_aside(groups, job.options["validation"], job.seed)
    chosen = np.arange(len(part)) if rows is None else rows
    folder, left_out = Path(job.output).absolute().parent, 0
    folder.mkdir(parents=True, exist_ok=True)

    def make(index: int) -> StoredRows:
        nonlocal left_out
        stored = StoredRows(folder, size)
        for sequences in dataset.read(job.encoded, chosen[part == index]):
            able = [sequence for sequence in sequences if masking.able(sequence.input_ids).any()]
            left_out += len(sequences) - len(able)
            stored.extend(windows.parts(able, most))
        return stored

    training, validation = make(folds.TRAIN), make(folds.VALIDATION)
    training.add_twins()
    if left_out := left_out + int(np.sum(part == NEITHER)):
        log.info("%d sequences are left out: neighbours of validation rows in large groups, or without known tokens", left_out)
    frame, pad = model.config.frame, special["pad"]
    return MaskedSet(training, masking, frame, pad, job.seed), MaskedSet(validation, masking, frame, pad, job.seed)


def overlap(tokenizer: Tokenizer) -> int:
    """Count the neighbours, itself included, that share a letter with a token and stand right of it.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Of k-mers, or any other, whose tokens share no letter.
    """
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
        What the rows are drawn from; otherwise than folds of the same seed are, so that they are no part of one.

    Returns
    -------
    numpy.ndarray
        int8 ``(rows,)``: ``folds.TRAIN``, ``folds.VALIDATION`` or ``NEITHER``.
    """
    names = pd.Series([str(row) if group is None else f"group {group}" for row, group in enumerate(groups)])
    wanted = max(1, round(len(names) * percent / 100))
    large = names.map(names.value_counts()) > wanted
    runs = names.where(~large, names + (names.groupby(names).cumcount() // wanted).map(", run {}".format))
    apart = int(np.random.SeedSequence([seed, STREAM]).generate_state(1)[0])
    [part] = folds.assign(Folds(ratio=[100 - percent, percent]), len(names), groups=runs.tolist(), seed=apart)
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
        On the device on which to compute; its mode is restored.
    validation : MaskedSet
        The rows.
    batch_tokens : int
        Tokens in one forward pass, at most.

    Returns
    -------
    dict of str to float
        ``loss`` (cross-entropy, in nats a hidden token), ``perplexity`` and ``masked_accuracy``.
    """
    was_training = model.training
    model.eval()
    loss, right, count = 0.0, 0, 0
    for rows in by_length(validation.lengths, batch_tokens):
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

    Parameters
    ----------
    training : MaskedSet
        In which tokens are counted.
    validation : MaskedSet
        Whose hidden tokens are guessed.

    Returns
    -------
    dict of str to float
        What :func:`validate` gives, each with ``baseline_`` before its name.
    """
    size = training.masking.vocab_size
    counts = np.zeros(size)
    for first in range(0, len(training), HELD):
        some = training.sequences[first : first + HELD]
        counts += np.bincount(np.concatenate([sequence.input_ids for sequence in some]), minlength=size)
    able = training.masking.plain
    frequency = np.log((counts[able] + 1) / (counts[able] + 1).sum())
    hidden = (validation.hidden(index)[1] for index in range(len(validation)))
    wanted = np.searchsorted(able, np.concatenate([each[each != IGNORED] for each in hidden]))
    loss = -frequency[wanted].mean()
    return {
        "baseline_loss": float(loss),
        "baseline_perplexity": math.exp(loss),
        "baseline_masked_accuracy": float((wanted == frequency.argmax()).mean()),
    }


def score(model: PreTrainedModel, training: MaskedSet, validation: MaskedSet, batch_tokens: int) -> dict[str, float]:
    """Validate a model, log what it achieves beside the baseline, and give both.

    Parameters
    ----------
    model, validation, batch_tokens
        As for :func:`validate`.
    training : MaskedSet
        For the baseline.
    """
    results = {f"eval_{name}": value for name, value in validate(model, validation, batch_tokens).items()}
    results |= {"eval_rows": len(validation)} | baseline(training, validation)
    log.info(
        "perplexity %.2f, by frequencies alone %.2f; %.1f %% of hidden tokens found, by frequencies alone %.1f %%",
        results["eval_perplexity"],
        results["baseline_perplexity"],
        100 * results["eval_masked_accuracy"],
        100 * results["baseline_masked_accuracy"],
    )
    return results


if __name__ == "__main__":
    processes.main(Job, pretrain)
