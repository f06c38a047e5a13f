"""Fine-tune a model on one fold."""

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.integrations import TensorBoardCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

import rnalm
from rnalm import datasets, devices, encode, folds, labels, losses, metrics, models, tokenizers
from rnalm.checkpoints import Checkpoints, State
from rnalm.config import METRICS
from rnalm.datasets import LengthBuckets, TrainingSet
from rnalm.errors import RnalmError
from rnalm.files import replacing, sha256, write_json
from rnalm.labels import Labels
from rnalm.predict import predict
from rnalm.tokenizers import SPECIAL_TOKENS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """Everything that decides one fine-tuning.

    Attributes
    ----------
    encoded, folds, tokenizer : str
        Files.
    output : str
        The model folder to write.
    fold : int
    task : {'regression', 'classification'}
    scaling : str
    class_weights : bool
    model, options : dict
        The ``model`` and ``finetune`` sections of the configuration.
    seed : int
    threads : int
        CPU threads.
    """

    encoded: str
    folds: str
    tokenizer: str
    output: str
    fold: int
    task: str
    scaling: str
    class_weights: bool
    model: dict
    options: dict
    seed: int
    threads: int

    def identity(self) -> str:
        """Hash what decides the course of training, so that only a run of the same is resumed."""
        settings = asdict(self)
        files = [settings.pop(name) for name in ("encoded", "folds", "tokenizer")]
        for name in ("output", "threads"):
            del settings[name]
        settings["options"] = {k: v for k, v in self.options.items() if k not in ("extra_epochs", "gpus")}
        settings |= {"files": sha256(*files), "version": rnalm.__version__}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def run(job: Job) -> None:
    """Fine-tune here, or in one process a GPU where several are wanted and there."""
    processes = devices.count(job.options["gpus"])
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
    if subprocess.run([*torchrun, "-m", "rnalm.train", job_file], check=False).returncode:
        raise RnalmError(f"fine-tuning in {processes} processes failed; the first message above says why")


def finetune(job: Job) -> None:
    """Fine-tune a model on one fold and write its folder; go on from the last checkpoint if there is one.

    Raises
    ------
    RnalmError
        On labels that cannot be scaled.
    """
    torch.set_num_threads(job.threads)
    torch.backends.cudnn.deterministic = True
    set_seed(int(np.random.SeedSequence([job.seed, job.fold]).generate_state(1)[0]))
    meaning, training, validation = load_parts(job)
    class_weights = None
    if job.class_weights:
        class_weights = torch.tensor(labels.class_weights(training.targets, meaning.n_outputs), dtype=torch.float32)
    model = new_model(job, meaning)
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


def is_main() -> bool:
    """Whether this process writes the files."""
    return int(os.environ.get("RANK", 0)) == 0


def load_parts(job: Job) -> tuple[Labels, TrainingSet, TrainingSet]:
    """Read training and validation rows; fit the label scaling on the training rows alone."""
    parts = folds.read(job.folds)[job.fold]
    used = np.flatnonzero(parts != folds.TEST)
    sequences = [sequence for group in datasets.read(job.encoded, used) for sequence in group]
    truth = np.array([sequence.label for sequence in sequences], dtype=np.float64 if job.task == "regression" else object)
    if job.scaling == "log":
        labels.check_positive(truth, [sequence.id for sequence in sequences])
    train = parts[used] == folds.TRAIN
    meaning = labels.fit(job.task, job.scaling, truth[train], all_classes(job))
    targets = meaning.to_targets(truth)

    def part(mask: np.ndarray) -> TrainingSet:
        return TrainingSet([sequences[row] for row in np.flatnonzero(mask)], targets[mask])

    return meaning, part(train), part(~train)


def all_classes(job: Job) -> list[str]:
    """List the class names of the experiment; every fold's model has an output for each."""
    if job.task == "regression":
        return []
    return datasets.column(job.encoded, "label").unique().to_pylist()


def new_model(job: Job, meaning: Labels) -> PreTrainedModel:
    """Make the model of a job, with random weights."""
    information = encode.metadata(job.encoded)
    vocabulary = tokenizers.load(job.tokenizer).get_vocab_size()
    cut = {key: information[key] for key in ("block_size", "truncate", "center_token")}
    model = models.create(job.model, vocabulary, information["modifier_channels"], meaning.n_outputs, **cut)
    if meaning.task == "classification":
        model.config.id2label = dict(enumerate(meaning.classes))
        model.config.label2id = {name: index for index, name in enumerate(meaning.classes)}
    return model


def effective_batch(options: dict, processes: int) -> tuple[int, int]:
    """Divide the batch among processes so that an optimizer step sees as many sequences as with one.

    Returns
    -------
    tuple of int
        Batch size a process, and forward passes an optimizer step.

    Raises
    ------
    RnalmError
        If neither the accumulation nor the batch can be divided.
    """
    size, accumulation = options["batch_size"], options["gradient_accumulation"]
    if accumulation % processes == 0:
        return size, accumulation // processes
    if size % processes == 0:
        return size // processes, accumulation
    raise RnalmError(
        f"finetune.gpus: {processes} divides neither gradient_accumulation ({accumulation}) nor batch_size ({size}); "
        "make one of them a multiple of it"
    )


class FoldTrainer(Trainer):
    """The Hugging Face Trainer with our batches, our loss and our validation."""

    #: Our loss is a mean over a batch; the Trainer divides it by the accumulation steps.
    loss_is_scaled_for_ga = False

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
        self.job, self.meaning, self.class_weights, self.checkpoints = job, meaning, class_weights, checkpoints
        arguments = training_arguments(job, checkpoints.folder, epochs)
        self.sampler = LengthBuckets(
            training.lengths,
            arguments.per_device_train_batch_size,
            job.seed,
            rank=arguments.process_index,
            world=arguments.world_size,
        )
        super().__init__(model=model, args=arguments, train_dataset=training, eval_dataset=validation)
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)
        self.add_callback(EpochCallback(self.sampler))
        if is_main():
            self.add_callback(LogCallback())
            self.add_callback(TensorBoardCallback(SummaryWriter(str(Path(job.output) / "tensorboard"))))

    def resume(self, fresh_patience_after: int = 0) -> State:
        """Train from the newest checkpoint, or from the start, to the last epoch.

        Parameters
        ----------
        fresh_patience_after : int
            Early stopping counts anew after this epoch.
        """
        state = self.checkpoints.newest()
        patience = self.job.options["patience"]
        counting = state is not None and state.epoch > fresh_patience_after
        if counting and patience is not None and state.patience_used >= patience:
            return state
        if state is not None and state.epoch >= self.args.num_train_epochs:
            return state
        if patience is not None:
            self.add_callback(EarlyStoppingCallback(patience))
        # Without this, an interrupted run would forget how long it has been waiting for an improvement.
        self.args.restore_callback_states_from_checkpoint = counting
        if state is not None:
            log.info("resuming after epoch %d", state.epoch)
        self.train(resume_from_checkpoint=str(state.folder) if state else None)
        if torch.distributed.is_initialized():
            torch.distributed.barrier()  # the first process may still be writing the last checkpoint
        return self.checkpoints.newest()

    def get_train_dataloader(self) -> DataLoader:
        """Batch by length; the sampler itself divides batches among processes."""
        training, channels = self.train_dataset, self.model.config.modifier_channels
        return DataLoader(training, batch_sampler=self.sampler, collate_fn=lambda rows: training.batch(rows, channels))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Compute the weighted loss of a batch, and the model's own penalty."""
        targets, weights = inputs.pop("labels"), inputs.pop("weights")
        outputs = model(**inputs)
        weights = losses.weigh(weights, targets, self.class_weights)
        loss = (losses.per_row(self.meaning.task, outputs.logits, targets) * weights).mean()
        if hasattr(self.model, "penalty"):
            loss = loss + self.model.penalty()
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        """Validate, in every process alike."""
        found = validate(self.model, self.meaning, self.eval_dataset, self.class_weights)
        found = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(found)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found


def validate(
    model: PreTrainedModel, meaning: Labels, validation: TrainingSet, class_weights: torch.Tensor | None
) -> dict[str, float]:
    """Compute the loss, weighted as in training, and all metrics on validation rows."""
    outputs = predict(model, validation.sequences)
    targets, weights = torch.from_numpy(validation.targets), torch.from_numpy(validation.weights)
    each = losses.per_row(meaning.task, torch.from_numpy(outputs), targets)
    loss = losses.weighted_mean(each, losses.weigh(weights, targets, class_weights))
    truth = np.array([sequence.label for sequence in validation.sequences])
    return {"loss": loss.item(), **metrics.score(meaning, truth, outputs)}


def training_arguments(job: Job, folder: Path, epochs: int) -> TrainingArguments:
    """Translate our options into the Trainer's."""
    options = job.options
    size, accumulation = effective_batch(options, int(os.environ.get("WORLD_SIZE", 1)))
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=accumulation,
        learning_rate=options["learning_rate"],
        lr_scheduler_type=options["scheduler"]
        if not (options["scheduler"] == "constant" and options["warmup"])
        else "constant_with_warmup",
        warmup_steps=options["warmup"],
        optim="adamw_torch",
        adam_beta1=options["betas"][0],
        adam_beta2=options["betas"][1],
        weight_decay=options["weight_decay"],
        max_grad_norm=options["max_grad_norm"],
        bf16=options["bf16"],
        seed=int(np.random.SeedSequence([job.seed, job.fold]).generate_state(1)[0]),
        use_cpu=devices.count(options["gpus"]) == 0,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{options['metric']}",
        greater_is_better=METRICS[job.task][options["metric"]],
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )
    if arguments.world_size == 1:
        # One process uses one GPU, also where more are visible.
        arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


class EpochCallback(TrainerCallback):
    """Tell the sampler which epoch begins, also after resuming."""

    def __init__(self, sampler: LengthBuckets) -> None:
        self.sampler = sampler

    def on_epoch_begin(self, args, state, control, **kwargs):
        """Set the epoch."""
        self.sampler.set_epoch(round(state.epoch or 0))


class LogCallback(TrainerCallback):
    """A line an epoch in the log; a progress bar on a terminal."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None
        self.training: dict[str, float] = {}

    def on_train_begin(self, args, state, control, **kwargs):
        """Open the bar."""
        self.bar = tqdm(
            total=state.max_steps, initial=state.global_step, desc="fine-tune", unit="step", disable=None, leave=False
        )

    def on_step_end(self, args, state, control, **kwargs):
        """Advance the bar."""
        self.bar.update()

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Write the line once validation has its figures too."""
        if "loss" in logs:
            self.training = logs
        elif "eval_loss" in logs:
            found = {
                name.removeprefix("eval_"): value
                for name, value in logs.items()
                if name.startswith("eval_") and "scaled" not in name
            }
            shown = "  ".join(f"{name} {value:.4f}" for name, value in found.items())
            log.info(
                "epoch %d/%d  train loss %.4f  validation %s",
                round(state.epoch),
                args.num_train_epochs,
                self.training.get("loss", np.nan),
                shown,
            )

    def on_train_end(self, args, state, control, **kwargs):
        """Close the bar."""
        self.bar.close()


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
    found = validate(model, meaning, validation, class_weights)
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
