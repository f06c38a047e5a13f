"""Fine-tune a model on one fold."""

import json
import logging
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast, set_seed

from rnalm import compute, datasets, encode, folds, labels, metrics, models, tokenizers
from rnalm.checkpoints import Checkpoints, State
from rnalm.datasets import TrainingSet
from rnalm.errors import RnalmError
from rnalm.files import replacing, write_json
from rnalm.labels import Labels
from rnalm.tokenizers import SPECIAL_TOKENS
from rnalm.trainer import FoldTrainer, Job, is_main, training_arguments, validate

log = logging.getLogger(__name__)

#: Metrics that are not defined where all labels are the same.
NEED_VARIATION = {"r2", "pearson", "spearman", "roc_auc", "pr_auc"}


def run(job: Job) -> None:
    """Fine-tune here, or in one process a GPU where several are wanted and there."""
    processes = compute.count(job.gpus)
    if processes <= 1:
        finetune(job)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(asdict(job), file)
        file.flush()
        launch(file.name, processes)


def launch(job_file: str, processes: int) -> None:
    """Run a job in several processes on this machine.

    Raises
    ------
    RnalmError
        If one of them fails.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*torchrun, "-m", "rnalm.train", job_file]
    mistakes = []
    # Files stay open where they are meant to be inherited: that is the lease of the GPUs, should this process be killed.
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "close_fds": False}
    with subprocess.Popen(command, **pipes) as running:
        for line in running.stdout:
            log.info("%s", line.rstrip())
            if line.startswith("error: "):
                mistakes.append(line.removeprefix("error: ").rstrip())
    if running.returncode:
        raise RnalmError(mistakes[0] if mistakes else f"fine-tuning in {processes} processes failed; its log says why")


def finetune(job: Job) -> None:
    """Fine-tune a model on one fold and write its folder; go on from the last checkpoint if there is one.

    Raises
    ------
    RnalmError
        On labels that cannot be scaled.
    """
    torch.set_num_threads(job.threads)
    compute.exact()
    set_seed(job.fold_seed)
    meaning, training, validation = load_parts(job)
    class_weights = None
    if job.class_weights:
        class_weights = torch.tensor(labels.class_weights(training.targets, meaning.n_outputs), dtype=torch.float32)
    check_metric(job, validation)
    model = new_model(job, meaning, training)
    log.info(
        "fold %d: %d rows train, %d validate; %d parameters", job.fold, len(training), len(validation), model.num_parameters()
    )

    checkpoints = Checkpoints(Path(job.output) / "checkpoints", job.identity())
    epochs, extra = job.options["epochs"], job.options["extra_epochs"]
    # The first of these arguments also start the communication between processes, if there are several.
    with training_arguments(job, checkpoints.folder, epochs).main_process_first(local=False):
        checkpoints.prepare(extra)
    finished = checkpoints.finished_epoch

    def train(last_epoch: int, fresh_patience_after: int) -> State:
        trainer = FoldTrainer(job, model, meaning, training, validation, class_weights, checkpoints, last_epoch)
        return trainer.resume(fresh_patience_after)

    if finished is None:
        finished = train(epochs, 0).epoch
        checkpoints.finish(finished)
    state = train(finished + extra, finished) if extra else checkpoints.newest()
    if is_main():
        model.load_state_dict(load_file(checkpoints.best(state) / "model.safetensors"))
        write_folder(job, model, meaning, training, validation, class_weights, state)


def load_parts(job: Job) -> tuple[Labels, TrainingSet, TrainingSet]:
    """Read training and validation rows; fit the label scaling on the training rows alone."""
    parts = folds.read(job.folds)[job.fold]
    used = np.flatnonzero(parts != folds.TEST)
    sequences = [sequence for group in datasets.read(job.encoded, used) for sequence in group]
    truth = np.array([sequence.label for sequence in sequences], dtype=np.float64 if job.task == "regression" else object)
    if job.scaling == "log":
        # Of all rows, those that test included: better now than after training.
        everything = datasets.column(job.encoded, "label").to_numpy()
        labels.check_positive(everything, datasets.column(job.encoded, "id").to_pylist())
    train = parts[used] == folds.TRAIN
    meaning = labels.fit(job.task, job.scaling, truth[train], all_classes(job))
    targets = meaning.to_targets(truth)

    def part(mask: np.ndarray) -> TrainingSet:
        return TrainingSet([sequences[row] for row in np.flatnonzero(mask)], targets[mask])

    return meaning, part(train), part(~train)


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
    return datasets.column(job.encoded, "label").unique().to_pylist()


def new_model(job: Job, meaning: Labels, training: TrainingSet) -> PreTrainedModel:
    """Make the model of a job, with random weights."""
    information = encode.metadata(job.encoded)
    extra = {key: information[key] for key in ("block_size", "truncate", "center_token")}
    extra["use_cache"] = False  # the Trainer sets it too; a model that it need not train any more should look the same
    if meaning.task == "regression":
        mean, sd = mean_and_sd(training.targets.astype(np.float64), training.weights)
        extra |= {"output_mean": mean, "output_sd": sd}
    else:
        extra["id2label"] = dict(enumerate(meaning.classes))
        extra["label2id"] = {name: index for index, name in enumerate(meaning.classes)}
    vocabulary = tokenizers.load(job.tokenizer).get_vocab_size()
    return models.create(job.model, vocabulary, information["modifier_channels"], meaning.n_outputs, **extra)


def mean_and_sd(targets: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Compute weighted mean and standard deviation of targets ``(rows,)``; the latter is 1 where there is no spread."""
    if not weights.sum() > 0:
        weights = np.ones_like(weights)
    mean = np.average(targets, weights=weights)
    variance = np.average((targets - mean) ** 2, weights=weights)
    return float(mean), float(np.sqrt(variance)) or 1.0


def write_folder(
    job: Job,
    model: PreTrainedModel,
    meaning: Labels,
    training: TrainingSet,
    validation: TrainingSet,
    class_weights: torch.Tensor | None,
    state: State,
) -> None:
    """Write a model folder that loads by itself, each file whole or not at all."""
    output = Path(job.output)
    history = json.loads((state.folder / "trainer_state.json").read_text())
    best_step = state.best_step or state.step
    best = next(entry for entry in history["log_history"] if entry["step"] == best_step and "loss" in entry)
    with tempfile.TemporaryDirectory(dir=output, prefix=".model-") as temporary:
        model.save_pretrained(temporary)
        tokenizer = tokenizers.load(job.tokenizer)
        names = {f"{name.strip('[]').lower()}_token": name for name in SPECIAL_TOKENS}
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(temporary)
        tokenizers.save(tokenizer, Path(temporary) / "tokenizer.json")  # byte for byte the tokenizer of the experiment
        for file in Path(temporary).iterdir():
            with replacing(output / file.name) as beside:
                shutil.copyfile(file, beside)
    meaning.save(output / "labels.json")
    trained = {
        "train_loss": best["loss"],
        "train_rows": len(training),
        "epochs": state.epoch,
        "best_epoch": round(best["epoch"]),
    }
    write_json(output / "train_results.json", metrics.finite(trained))
    # What was written is what is validated: loaded anew, and in full precision.
    found = validate(models.load(output, compute.choose(job.gpus)), meaning, validation, class_weights)
    write_json(
        output / "eval_results.json",
        metrics.finite({f"eval_{k}": v for k, v in found.items()} | {"eval_rows": len(validation)}),
    )
    with replacing(output / "trainer_state.json") as beside:
        shutil.copyfile(state.folder / "trainer_state.json", beside)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO if is_main() else logging.WARNING, format="%(message)s")
    try:
        finetune(Job(**json.loads(Path(sys.argv[1]).read_text())))
    except RnalmError as error:
        sys.exit(f"error: {error}")
