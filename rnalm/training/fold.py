"""Encoded file and folds ─► what a fine-tuning learns from."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from rnalm.errors import RnalmError, nearest
from rnalm.labels import folds, labels, targets
from rnalm.labels.labels import Labels
from rnalm.labels.scaling import check_positive
from rnalm.tokens import dataset, encode, windows
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenizer import load_tokenizer, token_names
from rnalm.training.trainer import FoldData, Job
from rnalm.training.training_set import TrainingSet, labels_of

log = logging.getLogger(__name__)

#: Metrics that are not defined where all labels are the same; for multilabel none is but the loss.
NEED_VARIATION = {"r2", "pearson", "spearman", "roc_auc", "pr_auc"}


def load(job: Job) -> FoldData:
    """Put training and validation rows away on disk; fit the label scaling and weigh classes on the training rows alone.

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
    if job.scaling == "log":
        # Of all rows, those that test included: better now than after training.
        _check_positive(job)
    trained = _numbers(job, np.flatnonzero(parts == folds.TRAIN)) if job.task == "regression" else np.zeros(0)
    meaning = labels.fit(job.task, job.scaling, trained, all_classes(job), job.per)
    # Beside the model, on the disk that has room for its checkpoints.
    folder, size = Path(job.output).absolute().parent, len(token_names(load_tokenizer(job.tokenizer)))
    folder.mkdir(parents=True, exist_ok=True)
    sets = [TrainingSet(folder, size, meaning) for _ in range(2)]
    training, validation = sets
    truth = []
    for sequences in _read(job, np.flatnonzero(parts != folds.TEST)):
        validating = [sequence for sequence in sequences if parts[sequence.row] == folds.VALIDATION]
        training.extend([sequence for sequence in sequences if parts[sequence.row] == folds.TRAIN])
        validation.extend(validating)
        truth += [labels_of(validating, meaning)] if validating else []
    training.add_twins()
    counts = np.zeros((0, 2)) if meaning.task == "regression" else targets.count(meaning, training.known())
    if meaning.several:
        learned = counts.min(axis=1) > 0 if meaning.task == "multilabel" else targets.any_known(trained.T)
        _tell_unlearned(job, meaning, learned)
    return FoldData(meaning, training, validation, np.concatenate(truth), counts, class_weights(job, meaning, counts))


def _read(job: Job, rows: np.ndarray) -> Iterator[list[Encoded]]:
    """Read rows of the encoded file, a row group at a time; where tokens have labels, in windows that a model reads."""
    size = encode.metadata(job.encoded)["block_size"] if job.per == "token" else None
    return (windows.parts(sequences, size) for sequences in dataset.read(job.encoded, rows))


def _numbers(job: Job, rows: np.ndarray) -> np.ndarray:
    """Read the known labels of rows, or of their tokens, that are numbers; those of several targets whether known or not."""
    column = dataset.column(job.encoded, "label").take(rows)
    if classes := all_classes(job):
        return column.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, len(classes))
    values = (column.combine_chunks().flatten() if job.per == "token" else column).drop_null().to_numpy()
    return values[~np.isnan(values)]


def _tell_unlearned(job: Job, meaning: Labels, learned: np.ndarray) -> None:
    """Tell which classes cannot be learned, as no training row has them, or every one; or targets of which none is known."""
    names = [name for name, own in zip(meaning.classes, learned, strict=True) if not own]
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        why = "has a number of these targets" if meaning.task == "regression" else "has these classes, or all have"
        log.warning("fold %d: no training row %s: %s; nothing is learned of them", job.fold, why, shown)


def class_weights(job: Job, meaning: Labels, counts: np.ndarray) -> torch.Tensor | None:
    """Say what classes weigh in the loss; None: all the same.

    Parameters
    ----------
    job : Job
        Which says how.
    meaning : Labels
        Which classes there are.
    counts : numpy.ndarray
        Of the classes, from :func:`rnalm.labels.targets.count`.

    Raises
    ------
    RnalmError
        If there are more than two classes, of which one is to weigh more, or a weight is for no class.
    """
    if meaning.task == "multilabel":
        return _positive_weights(job, meaning, counts)
    if job.positive_weight is not None:
        if len(meaning.classes) != 2:
            problem = f"labels.positive_weight is for two classes, found {len(meaning.classes)}"
            raise RnalmError(f"{problem}: {', '.join(meaning.classes)}; expected labels.class_weights or none")
        return torch.tensor([1.0, job.positive_weight])
    if not job.class_weights:
        return None
    return torch.tensor(targets.class_weights(counts), dtype=torch.float32)


def _positive_weights(job: Job, meaning: Labels, counts: np.ndarray) -> torch.Tensor | None:
    """Say what the positives of each class weigh: as is said of the class, or else of all."""
    if odd := next((name for name in job.positive_weights if name not in meaning.classes), None):
        raise RnalmError(f"labels.positive_weights: {odd!r} is no class; {nearest(odd, meaning.classes)}")
    if not (job.class_weights or job.positive_weight is not None or job.positive_weights):
        return None
    usual = 1.0 if job.positive_weight is None else job.positive_weight
    each = targets.positive_weights(counts) if job.class_weights else np.full(meaning.n_outputs, usual)
    own = [job.positive_weights.get(name, weight) for name, weight in zip(meaning.classes, each, strict=True)]
    return torch.tensor(own, dtype=torch.float32)


def _check_positive(job: Job) -> None:
    """Refuse labels of any row of which there is no logarithm."""
    everything = dataset.column(job.encoded, "label")
    if pa.types.is_list(everything.type):
        # Of each sequence, the least label of a token or target.
        everything = pa.chunked_array([[np.nanmin(values) for values in chunk.to_numpy(False)] for chunk in everything.chunks])
    check_positive(everything.to_numpy(), lambda rows: dataset.column(job.encoded, "id").take(rows).to_pylist())


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
    meaning, pooled = validation.meaning, metric.endswith("_micro") or metric == "accuracy"
    needed = metric in NEED_VARIATION or (meaning.task == "multilabel" and metric != "loss")
    if needed and not targets.vary(validation.known(), pooled):
        whose = "whose labels are all the same"
        if meaning.several and not pooled:
            whose = f"which have the same label of each {'target' if meaning.task == 'regression' else 'class'}"
        rows = f"the {len(validation)} validation rows of fold {fold}"
        raise RnalmError(f"finetune.metric: {metric} is not defined on {rows}, {whose}")


def all_classes(job: Job) -> list[str]:
    """List the class names of the experiment; every fold's model has an output for each.

    Parameters
    ----------
    job : Job
        One of the experiment.
    """
    if job.task != "classification":
        return encode.metadata(job.encoded).get("classes", [])
    return dataset.labels(job.encoded).drop_null().unique().to_pylist()
