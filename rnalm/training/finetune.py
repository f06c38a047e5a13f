"""Fine-tune a model on one fold."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import PreTrainedModel, TrainerCallback

from rnalm import compute
from rnalm.config import Finetune, contract
from rnalm.errors import RnalmError
from rnalm.labels import folds, labels, metrics
from rnalm.labels.labels import Labels
from rnalm.labels.scaling import check_positive
from rnalm.models import registry
from rnalm.models.heads import TokenHead
from rnalm.models.own import OwnNetwork
from rnalm.tokens import dataset, encode, windows
from rnalm.tokens.batches import TrainingSet, is_known
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenizer import all_special_ids, load_tokenizer, token_names
from rnalm.training import processes, start, write
from rnalm.training.checkpoints import State
from rnalm.training.loop import epochs, is_main, leg
from rnalm.training.trainer import FoldData, FoldTrainer, Job, judge, predict_validation

log = logging.getLogger(__name__)

#: Metrics that are not defined where all labels are the same.
NEED_VARIATION = {"r2", "pearson", "spearman", "roc_auc", "pr_auc", "roc_auc_micro", "pr_auc_micro"}


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
    data = load_fold(job)
    check_metric(job.options["metric"], job.fold, data.validation)
    model, state = fit(job, data)
    if not is_main():
        return

    def score() -> dict[str, float]:
        # What was written is what is validated: loaded anew, and in full precision.
        written = registry.load(job.output, compute.choose(job.gpus), trust=True)
        outputs, truth = predict_validation(written, data)
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
        What to train it with, from :func:`load_fold`.
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


def load_fold(job: Job) -> FoldData:
    """Read training and validation rows; fit the label scaling and weigh classes on the training rows alone.

    Parameters
    ----------
    job : Job
        Whose fold to read.

    Raises
    ------
    RnalmError
        On labels that cannot be scaled.
    """
    parts = folds.read(job.folds)[job.fold]
    used = np.flatnonzero(parts != folds.TEST)
    sequences = [sequence for group in dataset.read(job.encoded, used) for sequence in group]
    if job.scaling == "log":
        # Of all rows, those that test included: better now than after training.
        _check_positive(job)
    train = parts[used] == folds.TRAIN
    groups = [[sequences[row] for row in np.flatnonzero(chosen)] for chosen in (train, ~train)]
    if job.per == "token":
        size = encode.metadata(job.encoded)["block_size"]
        groups = [windows.parts(group, size) for group in groups]
    given: list = [sequence.label for sequence in groups[0]]
    truth = np.concatenate(given) if job.per == "token" else np.array(given)
    known = truth[~np.isnan(truth)] if job.task == "regression" else truth[:0]
    meaning = labels.fit(job.task, job.scaling, known, all_classes(job), job.per)
    targets = [targets_of(group, meaning) for group in groups]
    training = TrainingSet(*both_strands(groups[0], targets[0]))
    if meaning.task == "multilabel":
        _tell_classes(job, meaning, training.known()[0])
    return FoldData(meaning, training, TrainingSet(groups[1], targets[1]), class_weights(job, meaning, training))


def _tell_classes(job: Job, meaning: Labels, targets: np.ndarray) -> None:
    """Tell which classes cannot be learned, as no training row has them, or every one."""
    alike = [
        name for name, own in zip(meaning.classes, targets.T, strict=True) if not 0 < (own == 1).sum() < is_known(own).sum()
    ]
    if alike:
        shown = ", ".join(alike[:5]) + (f" and {len(alike) - 5} more" if len(alike) > 5 else "")
        log.warning("fold %d: no training row has these classes, or all have: %s; nothing is learned of them", job.fold, shown)


def targets_of(sequences: list[Encoded], meaning: Labels) -> np.ndarray:
    """Turn the labels of sequences into what a model is trained on.

    Parameters
    ----------
    sequences : list of Encoded
        With labels.
    meaning : Labels
        What the outputs of the model mean.

    Returns
    -------
    numpy.ndarray
        As :class:`rnalm.tokens.batches.TrainingSet` takes them: numbers or classes ``(rows,)``, classes ``(rows, classes)`` or,
        of tokens, arrays.
    """
    given: list = [sequence.label for sequence in sequences]
    if meaning.per == "sequence":
        kind = {"regression": np.float64, "classification": object, "multilabel": np.float32}[meaning.task]
        return meaning.to_targets(np.array(given, dtype=kind))
    targets = np.empty(len(given), dtype=object)
    targets[:] = [meaning.to_targets(label) for label in given]
    return targets


def class_weights(job: Job, meaning: Labels, training: TrainingSet) -> torch.Tensor | None:
    """Say what classes weigh in the loss; None: all the same.

    Parameters
    ----------
    job : Job
        Which says how.
    meaning : Labels
        Which classes there are.
    training : TrainingSet
        The rows whose classes are counted.

    Raises
    ------
    RnalmError
        If there are more than two classes, of which one is to weigh more.
    """
    if meaning.task == "multilabel" and (job.positive_weight is not None or job.class_weights):
        own = np.full(meaning.n_outputs, job.positive_weight) if job.positive_weight is not None else None
        return torch.tensor(labels.positive_weights(training.known()[0]) if own is None else own, dtype=torch.float32)
    if job.positive_weight is not None:
        if len(meaning.classes) != 2:
            problem = f"labels.positive_weight is for two classes, found {len(meaning.classes)}"
            raise RnalmError(f"{problem}: {', '.join(meaning.classes)}; expected labels.class_weights or none")
        return torch.tensor([1.0, job.positive_weight])
    if not job.class_weights:
        return None
    return torch.tensor(labels.class_weights(training.known()[0], meaning.n_outputs), dtype=torch.float32)


def _check_positive(job: Job) -> None:
    """Refuse labels of any row of which there is no logarithm."""
    everything, ids = dataset.column(job.encoded, "label"), dataset.column(job.encoded, "id").to_pylist()
    if job.per == "token":
        # Of each sequence, the least label of a token.
        everything = pa.chunked_array([[np.nanmin(values) for values in chunk.to_numpy(False)] for chunk in everything.chunks])
    check_positive(everything.to_numpy(), ids)


def both_strands(sequences: list[Encoded], targets: np.ndarray) -> tuple[list[Encoded], np.ndarray]:
    """Add the reverse complement of each sequence, where the encoded file has it, with the same target.

    Parameters
    ----------
    sequences : list of Encoded
        As they are in the file.
    targets : numpy.ndarray
        ``(sequences,)``

    Returns
    -------
    sequences : list of Encoded
        The given ones, then their reverse complements.
    targets : numpy.ndarray
        Of these.
    """
    twins = [sequence.twin() for sequence in sequences if sequence.reverse_ids is not None]
    return sequences + twins, np.concatenate([targets, targets[: len(twins)]])


def check_metric(metric: str, fold: int, validation: TrainingSet) -> None:
    """Refuse to select a model by a metric that the validation rows leave undefined.

    Parameters
    ----------
    metric : str
        Its name.
    fold : int
        For the message.
    validation : TrainingSet
        The rows.

    Raises
    ------
    RnalmError
        If the metric compares with how labels vary, and those of the rows do not.
    """
    targets = validation.known()[0]
    if metric in NEED_VARIATION and len(np.unique(targets[is_known(targets)])) < 2:
        raise RnalmError(
            f"finetune.metric: {metric} is not defined on the {len(validation)} validation rows of fold {fold}, "
            "whose labels are all the same"
        )


def all_classes(job: Job) -> list[str]:
    """List the class names of the experiment; every fold's model has an output for each.

    Parameters
    ----------
    job : Job
        One of the experiment.
    """
    if job.task == "regression":
        return []
    if job.task == "multilabel":
        return encode.metadata(job.encoded)["classes"]
    return dataset.labels(job.encoded).drop_null().unique().to_pylist()


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
            targets, weights = data.training.known()
            mean, sd = mean_and_sd(targets.astype(np.float64), weights)
            entries |= {"output_mean": mean, "output_sd": sd}
        else:
            entries["id2label"] = dict(enumerate(data.meaning.classes))
            entries["label2id"] = {name: index for index, name in enumerate(data.meaning.classes)}
        if data.meaning.per == "token":
            entries["per"] = "token"
        if job.model["name"] == "file":
            entries |= {"task": job.task, "tokens": token_names(tokenizer)}
        channels = encode.metadata(job.encoded)["modifier_channels"]
        sizes = (tokenizer.get_vocab_size(), channels, data.meaning.n_outputs)
        model = registry.create(job.model, *sizes, all_special_ids(tokenizer), **entries)
        if isinstance(head := getattr(model, "head", None), TokenHead) and data.meaning.classes:
            head.expect(torch.from_numpy(labels.expected(data.meaning, data.training.known()[0])))
        if isinstance(model, OwnNetwork):
            lengths = np.concatenate([data.training.lengths, data.validation.lengths])
            model.check([int(lengths.min()), int(lengths.max())])
            check_own(job, model, data)
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


def mean_and_sd(targets: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Compute weighted mean and standard deviation; the latter is 1 where there is no spread.

    Parameters
    ----------
    targets : numpy.ndarray
        ``(rows,)``
    weights : numpy.ndarray
        ``(rows,)``; if all are 0, rows count the same.

    Examples
    --------
    >>> mean_and_sd(np.array([1.0, 3.0, 100.0]), np.array([1.0, 1.0, 0.0]))
    (2.0, 1.0)
    """
    if not weights.sum() > 0:
        weights = np.ones_like(weights)
    mean = np.average(targets, weights=weights)
    variance = np.average((targets - mean) ** 2, weights=weights)
    return float(mean), float(np.sqrt(variance)) or 1.0


if __name__ == "__main__":
    processes.main(Job, finetune)
