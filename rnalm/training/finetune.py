"""Fine-tune a model on one fold."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel, TrainerCallback, set_seed

from rnalm import compute
from rnalm.config import Encode
from rnalm.errors import RnalmError
from rnalm.labels import folds, labels
from rnalm.labels.labels import Labels
from rnalm.models import registry
from rnalm.models.framed import check_length
from rnalm.models.pretrained import check_pretrained
from rnalm.tokens import dataset, encode
from rnalm.tokens.dataset import Encoded, TrainingSet
from rnalm.tokens.tokenizer import load_tokenizer, special_ids
from rnalm.training import processes, write
from rnalm.training.checkpoints import Checkpoints, State
from rnalm.training.loop import is_main, training_arguments
from rnalm.training.trainer import FoldTrainer, Job, validate

log = logging.getLogger(__name__)

#: Metrics that are not defined where all labels are the same.
NEED_VARIATION = {"r2", "pearson", "spearman", "roc_auc", "pr_auc"}


def run(job: Job) -> None:
    """Fine-tune here, or in one process a GPU where several are wanted and there."""
    processes.run(job, finetune, __name__)


def finetune(job: Job) -> None:
    """Fine-tune a model on one fold and write its folder; go on from the last checkpoint if there is one.

    Raises
    ------
    RnalmError
        On labels that cannot be scaled.
    """
    meaning, training, validation = load_parts(job)
    class_weights = weigh_classes(job, meaning, training)
    check_metric(job, validation)
    model, state = fit(job, meaning, training, validation, class_weights)
    if not is_main():
        return

    def score() -> dict[str, float]:
        # What was written is what is validated: loaded anew, and in full precision.
        found = validate(registry.load(job.output, compute.choose(job.gpus)), meaning, validation, class_weights)
        return {f"eval_{name}": value for name, value in found.items()} | {"eval_rows": len(validation)}

    meaning.save(Path(job.output) / "labels.json")
    write.write(job.output, model, load_tokenizer(job.tokenizer), state, len(training), score)


def fit(
    job: Job,
    meaning: Labels,
    training: TrainingSet,
    validation: TrainingSet,
    class_weights: torch.Tensor | None,
    callbacks: Sequence[TrainerCallback] = (),
) -> tuple[PreTrainedModel, State]:
    """Train a new model, from the last checkpoint in the job's folder if there is one.

    Parameters
    ----------
    job : Job
    meaning, training, validation, class_weights
        What :func:`load_parts` and :func:`weigh_classes` give.
    callbacks : sequence of TrainerCallback
        To be told of each epoch, beside our own.

    Returns
    -------
    model : PreTrainedModel
        With the weights of the best epoch, in the first process.
    state : State
        Where training ended.
    """
    torch.set_num_threads(job.threads)
    compute.exact()
    set_seed(job.fold_seed)
    model = new_model(job, meaning, training)
    log.info(
        "fold %d: %d rows train, %d validate; %d parameters", job.fold, len(training), len(validation), model.num_parameters()
    )

    checkpoints = Checkpoints(Path(job.output) / "checkpoints", job.identity())
    epochs, extra = job.options["epochs"], job.options["extra_epochs"]
    # The first of these arguments also start the communication between processes, if there are several.
    with training_arguments(job.run(checkpoints.folder), epochs).main_process_first(local=False):
        checkpoints.prepare(extra)
    finished = checkpoints.finished_epoch

    def train(last_epoch: int, fresh_patience_after: int) -> State:
        trainer = FoldTrainer(job, model, meaning, training, validation, class_weights, checkpoints, last_epoch)
        for callback in callbacks:
            trainer.add_callback(callback)
        return trainer.resume(fresh_patience_after)

    if finished is None:
        finished = train(epochs, 0).epoch
        checkpoints.finish(finished)
    state = train(finished + extra, finished) if extra else checkpoints.newest()
    if is_main():
        model.load_state_dict(load_file(checkpoints.best(state) / "model.safetensors"))
    return model, state


def load_parts(job: Job) -> tuple[Labels, TrainingSet, TrainingSet]:
    """Read training and validation rows; fit the label scaling on the training rows alone."""
    parts = folds.read(job.folds)[job.fold]
    used = np.flatnonzero(parts != folds.TEST)
    sequences = [sequence for group in dataset.read(job.encoded, used) for sequence in group]
    truth = np.array([sequence.label for sequence in sequences], dtype=np.float64 if job.task == "regression" else object)
    if job.scaling == "log":
        # Of all rows, those that test included: better now than after training.
        everything = dataset.column(job.encoded, "label").to_numpy()
        labels.check_positive(everything, dataset.column(job.encoded, "id").to_pylist())
    train = parts[used] == folds.TRAIN
    meaning = labels.fit(job.task, job.scaling, truth[train], all_classes(job))
    targets = meaning.to_targets(truth)

    training = TrainingSet(*both_strands([sequences[row] for row in np.flatnonzero(train)], targets[train]))
    return meaning, training, TrainingSet([sequences[row] for row in np.flatnonzero(~train)], targets[~train])


def both_strands(sequences: list[Encoded], targets: np.ndarray) -> tuple[list[Encoded], np.ndarray]:
    """Add the reverse complement of each sequence, where the encoded file has it, with the same target."""
    twins = [sequence.twin() for sequence in sequences if sequence.reverse_ids is not None]
    return sequences + twins, np.concatenate([targets, targets[: len(twins)]])


def weigh_classes(job: Job, meaning: Labels, training: TrainingSet) -> torch.Tensor | None:
    """Weigh classes by their inverse frequency, where the configuration wants it: float32 ``(classes,)``."""
    if not job.class_weights:
        return None
    return torch.tensor(labels.class_weights(training.targets, meaning.n_outputs), dtype=torch.float32)


def check_metric(job: Job, validation: TrainingSet) -> None:
    """Refuse to select a model by a metric that the validation rows leave undefined.

    Raises
    ------
    RnalmError
    """
    metric = job.options["metric"]
    if metric in NEED_VARIATION and len(np.unique(validation.targets)) < 2:
        raise RnalmError(
            f"finetune.metric: {metric} is not defined on the {len(validation)} validation rows of fold {job.fold}, "
            "whose labels are all the same"
        )


def all_classes(job: Job) -> list[str]:
    """List the class names of the experiment; every fold's model has an output for each."""
    if job.task == "regression":
        return []
    return dataset.column(job.encoded, "label").unique().to_pylist()


def new_model(job: Job, meaning: Labels, training: TrainingSet) -> PreTrainedModel:
    """Make the model of a job, with random weights or pretrained ones."""
    information = encode.metadata(job.encoded)
    extra = {key: information[key] for key in Encode.model_fields}
    extra["use_cache"] = False  # the Trainer sets it too; a model that it need not train any more should look the same
    if meaning.task == "regression":
        mean, sd = mean_and_sd(training.targets.astype(np.float64), training.weights)
        extra |= {"output_mean": mean, "output_sd": sd}
    else:
        extra["id2label"] = dict(enumerate(meaning.classes))
        extra["label2id"] = {name: index for index, name in enumerate(meaning.classes)}
    tokenizer = load_tokenizer(job.tokenizer)
    if pretrained := job.model.get("pretrained"):
        check_pretrained(pretrained, tokenizer)
    sizes = (tokenizer.get_vocab_size(), information["modifier_channels"], meaning.n_outputs)
    model = registry.create(job.model, *sizes, special_ids(tokenizer), **extra)
    check_length(model.config, information["longest"])
    return model


def mean_and_sd(targets: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Compute weighted mean and standard deviation of targets ``(rows,)``; the latter is 1 where there is no spread."""
    if not weights.sum() > 0:
        weights = np.ones_like(weights)
    mean = np.average(targets, weights=weights)
    variance = np.average((targets - mean) ** 2, weights=weights)
    return float(mean), float(np.sqrt(variance)) or 1.0


if __name__ == "__main__":
    processes.main(Job, finetune)
