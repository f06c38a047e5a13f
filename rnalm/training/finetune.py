"""Fine-tune a model on one fold."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import PreTrainedModel, TrainerCallback

from rnalm import compute
from rnalm.config import Finetune, contract
from rnalm.errors import RnalmError
from rnalm.labels import folds, metrics, targets
from rnalm.models import probe, registry
from rnalm.models.heads import TokenHead
from rnalm.models.own import OwnNetwork
from rnalm.models.wide import widen
from rnalm.prediction.predict import predict_with
from rnalm.tokens import encode
from rnalm.tokens.tokenizer import all_special_ids, load_tokenizer, token_names
from rnalm.training import fold, processes, start, write
from rnalm.training.baseline.candidates import linear_part
from rnalm.training.checkpoints import State
from rnalm.training.loop import epochs, is_main, leg
from rnalm.training.trainer import FoldData, FoldTrainer, Job, judge, predict_validation

log = logging.getLogger(__name__)


def run(job: Job) -> None:
    """Fine-tune here, or in one process a GPU where several are wanted and there.

    Parameters
    ----------
    job : Job
        What to train, and with what.
    """
    processes.run(job, finetune, __name__)


def finetune(job: Job) -> None:
    """Fine-tune a model on one fold and write its folder; go on from the last checkpoint if there is one.

    Parameters
    ----------
    job : Job
        What to train, and where to write it.

    Raises
    ------
    RnalmError
        On labels that cannot be scaled, a metric that the validation rows leave undefined, a model that cannot be made, or a
        training that diverges or does not fit into memory.
    """
    data = fold.load(job)
    fold.check_metric(job.options["metric"], job.fold, data.validation)
    model, state = fit(job, data)
    if not is_main():
        return

    def score() -> dict[str, float]:
        # What was written is what is validated: loaded anew, and in full precision.
        written = registry.load(job.output, compute.choose(job.gpus), trust=True)
        outputs, truth = predict_validation(written, data)
        if data.meaning.per == "sequence":
            rows, each = np.flatnonzero(folds.read(job.folds)[job.fold] == folds.VALIDATION), iter(outputs)
            kept = Path(job.output) / contract.VALIDATED_PART
            predict_with(lambda some: np.stack([*islice(each, len(some))]), data.meaning, job.encoded, kept, rows)
        meaning = metrics.choose_thresholds(data.meaning, truth, outputs)
        meaning.save(Path(job.output) / contract.LABELS)
        values = judge(written, replace(data, meaning=meaning), outputs, truth)
        return {f"eval_{name}": value for name, value in values.items()} | {"eval_rows": len(data.validation)}

    data.meaning.save(Path(job.output) / contract.LABELS)
    in_steps = leg(job.options) is not None
    write.write(job.output, model, load_tokenizer(job.tokenizer), state, len(data.training), score, in_steps)


def fit(job: Job, data: FoldData, callbacks: Sequence[TrainerCallback] = ()) -> tuple[PreTrainedModel, State]:
    """Train a new model, from the last checkpoint in the job's folder if there is one.

    Parameters
    ----------
    job : Job
        What to train.
    data : FoldData
        What to train it with, from :func:`rnalm.training.fold.load`.
    callbacks : sequence of TrainerCallback
        To be told of each epoch, beside our own.

    Returns
    -------
    model : PreTrainedModel
        With the weights of the best epoch, in the first process.
    state : State
        Where training ended.

    Raises
    ------
    RnalmError
        If the model cannot be made, or its training diverges or does not fit into memory.
    """
    model = new_model(job, data)
    rows = len(data.training), len(data.validation)
    log.info("fold %d: %d rows train, %d validate; %d parameters", job.fold, *rows, model.num_parameters())
    regular, extra = epochs(job.options), job.options["extra_epochs"]
    checkpoints = start.open_checkpoints(job, extra)

    def train(last_epoch: int, fresh_patience_after: int) -> State:
        trainer = FoldTrainer(job, model, data, checkpoints, last_epoch)
        for callback in callbacks:
            trainer.add_callback(callback)
        return trainer.resume(fresh_patience_after)

    finished = checkpoints.finished_epoch
    if finished is None:
        finished = train(regular, 0).epoch
        checkpoints.finish(finished)
    state = train(finished + extra, finished) if extra else checkpoints.reached()
    if is_main():
        model.load_state_dict(load_file(checkpoints.best(state) / contract.WEIGHTS))
    return model, state


def new_model(job: Job, data: FoldData) -> PreTrainedModel:
    """Make the model of a job, with random weights or pretrained ones.

    Parameters
    ----------
    job : Job
        What to train.
    data : FoldData
        Whose training targets give the units in which the model computes, or the names of its classes.
    """

    def create(tokenizer: Tokenizer, entries: dict[str, Any]) -> PreTrainedModel:
        entries["use_cache"] = False  # the Trainer sets it too; a model that it need not train any more should look the same
        if data.meaning.task == "regression":
            mean, sd = targets.mean_and_sd(data.training.known)
            # A linear part knows the mean.
            entries |= {"output_mean": (0 * mean if job.model.get("wide") else mean).tolist(), "output_sd": sd.tolist()}
        if data.meaning.classes:
            entries["id2label"] = dict(enumerate(data.meaning.classes))
            entries["label2id"] = {name: index for index, name in enumerate(data.meaning.classes)}
        if data.meaning.per == "token":
            entries["per"] = "token"
        if job.model["name"] == "file":
            entries |= {"task": job.task, "tokens": token_names(tokenizer)}
        channels = encode.metadata(job.encoded)["modifier_channels"]
        sizes = (len(token_names(tokenizer)), channels, data.meaning.n_outputs)
        model = registry.create(job.model, *sizes, all_special_ids(tokenizer), **entries)
        if isinstance(head := getattr(model, "head", None), TokenHead) and data.meaning.classes:
            head.expect(torch.from_numpy(targets.expected(data.meaning, data.counts)))
        if isinstance(model, OwnNetwork):
            lengths = np.concatenate([data.training.lengths, data.validation.lengths])
            shortest, longest = int(lengths.min()), int(lengths.max())
            probe.check(model, [shortest, longest])
            if shortest == longest:
                probe.settle(model, longest)
            check_own(job, model, data)
        if job.model.get("wide"):
            tried = [data.training.sequences[row].input_ids.tolist() for row in (0, -1)]
            widen(model, linear_part(job, data), tried, independent=job.task != "classification")
        return model

    return start.new_model(job, create)


def check_own(job: Job, model: OwnNetwork, data: FoldData) -> None:
    """Refuse what the loss and the optimizer of a network's own file do not know.

    Parameters
    ----------
    job : Job
        What to train.
    model : OwnNetwork
        The network.
    data : FoldData
        What to train it with.

    Raises
    ------
    RnalmError
        If classes or rows weigh and the file has a loss, or options of Adam are set and it has an optimizer.
    """
    file = job.model["path"]
    if model.criterion is not None and (data.class_weights is not None or (data.training.weights != 1).any()):
        what = "labels: classes" if data.class_weights is not None else "columns.weight: rows"
        raise RnalmError(f"{what} weigh, of which the loss of {file} (criterion) knows nothing; leave one of them out")
    if model.optimizer(job.options["learning_rate"]) is not None:
        usual = Finetune().model_dump(mode="json")
        for key in ("betas", "weight_decay"):
            if list(np.ravel(job.options[key])) != list(np.ravel(usual[key])):
                raise RnalmError(
                    f"finetune.{key} is of Adam, and {file} has an optimizer (get_optimizer); leave one of them out"
                )


if __name__ == "__main__":
    processes.main(Job, finetune)
