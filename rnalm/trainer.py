"""The Hugging Face Trainer with our batches, our loss, our validation and our way to resume."""

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.integrations import TensorBoardCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from rnalm import compute, losses, metrics
from rnalm.checkpoints import Checkpoints, State, seal
from rnalm.config import METRICS
from rnalm.datasets import LengthBuckets, TrainingSet
from rnalm.errors import RnalmError
from rnalm.files import sha256
from rnalm.labels import Labels
from rnalm.predict import predict

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
        settings = asdict(self)
        files = [settings.pop(name) for name in ("encoded", "folds", "tokenizer")]
        for name in ("output", "threads", "gpus"):
            del settings[name]
        settings["options"] = {k: v for k, v in self.options.items() if k != "extra_epochs"}
        settings["files"] = sha256(*files)
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def is_main() -> bool:
    """Whether this process writes the files."""
    return int(os.environ.get("RANK", 0)) == 0


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
    if accumulation % processes and size % processes == 0 and size // processes < 2:
        raise RnalmError(f"finetune.batch_size: {size} is too small to be divided among {processes} GPUs; each needs 2 rows")
    if accumulation % processes == 0:
        return size, accumulation // processes
    if size % processes == 0:
        return size // processes, accumulation
    raise RnalmError(
        f"finetune.gpus: {processes} divides neither gradient_accumulation ({accumulation}) nor batch_size ({size}); "
        "make one of them a multiple of it"
    )


def too_large(options: dict, size: int) -> RnalmError:
    """Make the error about batches, of which a GPU gets ``size`` rows, that do not fit into its memory."""
    found = f"finetune.batch_size: {options['batch_size']} does not fit into the memory of the GPU"
    if size <= 2:
        return RnalmError(f"{found}, and is as small as it can be; lower encode.block_size, or the model's size")
    effective = f"raise finetune.gradient_accumulation ({options['gradient_accumulation']}) by the same factor"
    return RnalmError(f"{found}; lower it, and {effective} to keep the effective batch")


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
        # What fits into memory in training fits in validation.
        self.batch_tokens = arguments.per_device_train_batch_size * int(training.lengths.max())
        self.sampler = LengthBuckets(
            training.lengths,
            arguments.per_device_train_batch_size,
            job.fold_seed,
            rank=arguments.process_index,
            world=arguments.world_size,
        )
        super().__init__(model=model, args=arguments, train_dataset=training, eval_dataset=validation)
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)
        self.add_callback(EpochCallback(self.sampler))
        if is_main():
            self.add_callback(SealCallback())
            self.add_callback(LogCallback())
            self.add_callback(TensorBoardCallback(SummaryWriter(str(Path(job.output) / "tensorboard"))))

    def resume(self, fresh_patience_after: int = 0) -> State:
        """Train from the newest checkpoint, or from the start, to the last epoch.

        Parameters
        ----------
        fresh_patience_after : int
            Early stopping counts anew after this epoch.

        Raises
        ------
        RnalmError
            If a batch does not fit into the memory of a GPU.
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
        try:
            self.train(resume_from_checkpoint=str(state.folder) if state else None)
        except torch.OutOfMemoryError:
            raise too_large(self.job.options, self.args.per_device_train_batch_size) from None
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
        loss = (losses.per_row(self.meaning.task, outputs.logits, targets, unit(self.model)) * weights).mean()
        if hasattr(self.model, "penalty"):
            loss = loss + self.model.penalty()
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        """Validate in the first process, whose figures all others take, so that all stop at the same time."""
        box = [
            validate(self.model, self.meaning, self.eval_dataset, self.class_weights, self.batch_tokens) if is_main() else None
        ]
        if torch.distributed.is_initialized():
            torch.distributed.broadcast_object_list(box, src=0)
        [found] = box
        found = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(found)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found


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
        seed=job.fold_seed,
        use_cpu=compute.count(job.gpus) == 0,
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


class SealCallback(TrainerCallback):
    """Seal checkpoints once they are written."""

    def on_save(self, args, state, control, **kwargs):
        """Seal the newest."""
        seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")


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
