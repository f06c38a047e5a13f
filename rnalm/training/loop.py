"""Training, epoch by epoch: the Hugging Face Trainer with our batches and our way to resume."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainingArguments
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from rnalm import compute
from rnalm.errors import RnalmError
from rnalm.models.wide import is_wide
from rnalm.tokens.buckets import LengthBuckets
from rnalm.training import _compat
from rnalm.training.callbacks import EpochCallback, LogCallback, SealCallback
from rnalm.training.checkpoints import Checkpoints, State
from rnalm.training.masking import MaskedSet
from rnalm.training.training_set import TrainingSet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """What the Trainer needs to know of a training.

    Attributes
    ----------
    name : str
        Its section in the configuration.
    options : dict
        That section.
    folder : path
        For checkpoints; ``tensorboard`` stands beside it.
    metric : str
        Validation metric that selects the model.
    greater_is_better : bool
        Whether more of the metric is better.
    seed : int
        What all that is random in this training is drawn from.
    gpus : int
        What the training may use.
    """

    name: str
    options: dict
    folder: Path
    metric: str
    greater_is_better: bool
    seed: int
    gpus: int


def is_main() -> bool:
    """Whether this process writes the files."""
    return int(os.environ.get("RANK", 0)) == 0


def leg(options: dict) -> int | None:
    """Give the steps from one checkpoint to the next, where a training is measured in steps; None: epochs.

    Parameters
    ----------
    options : dict
        The section of the training.
    """
    return (options.get("save_every") or options["report_every"]) if options.get("max_steps") else None


def epochs(options: dict) -> int:
    """Say how many epochs, or legs, a training has at most.

    Parameters
    ----------
    options : dict
        The section of the training.
    """
    steps = leg(options)
    return options["max_steps"] // steps if steps else options["epochs"]


def effective_batch(options: dict, processes: int, name: str = "finetune") -> tuple[int, int]:
    """Divide the batch among processes so that an optimizer step sees as many sequences as with one.

    Parameters
    ----------
    options : dict
        With ``batch_size`` and ``gradient_accumulation``.
    processes : int
        Among which to divide.
    name : str
        The section in which the options stand, for messages.

    Returns
    -------
    batch_size : int
        Rows that a process sees at once.
    accumulation : int
        Forward passes an optimizer step.

    Raises
    ------
    RnalmError
        If neither the accumulation nor the batch can be divided.

    Examples
    --------
    Half a batch for each of two processes, or half as many passes:

    >>> effective_batch({"batch_size": 64, "gradient_accumulation": 1}, processes=2)
    (32, 1)
    >>> effective_batch({"batch_size": 64, "gradient_accumulation": 4}, processes=2)
    (64, 2)
    """
    size, accumulation = options["batch_size"], options["gradient_accumulation"]
    if accumulation % processes and size % processes == 0 and size // processes < 2:
        raise RnalmError(f"{name}.batch_size: {size} is too small to be divided among {processes} GPUs; each needs 2 rows")
    if accumulation % processes == 0:
        return size, accumulation // processes
    if size % processes == 0:
        return size // processes, accumulation
    raise RnalmError(
        f"{name}.gpus: {processes} divides neither gradient_accumulation ({accumulation}) nor batch_size ({size}); "
        "make one of them a multiple of it"
    )


def too_large(run: Run, size: int) -> RnalmError:
    """Make the error about batches that do not fit into the memory of a GPU.

    Parameters
    ----------
    run : Run
        The training.
    size : int
        Rows that a GPU gets at once.
    """
    key = "batch_tokens" if run.options.get("batch_tokens") else "batch_size"
    problem = f"{run.name}.{key}: {run.options[key]} does not fit into the memory of the GPU"
    if size <= 2 and key == "batch_size":
        return RnalmError(f"{problem}, and is as small as it can be; lower encode.block_size, or the model's size")
    effective = f"raise {run.name}.gradient_accumulation ({run.options['gradient_accumulation']}) by the same factor"
    return RnalmError(f"{problem}; lower it, and {effective} to keep the effective batch")


class EpochTrainer(Trainer):
    """The Hugging Face Trainer with batches of similar length, validation and checkpoints after each epoch, and a log.

    Parameters
    ----------
    run : Run
        What the Trainer needs to know.
    model : PreTrainedModel
        Changed in place.
    training, validation : MaskedSet or TrainingSet
        The rows.
    checkpoints : Checkpoints
        From the newest of which training goes on.
    epochs : int
        Where training ends.
    """

    #: Our loss is a mean over a batch; the Trainer divides it by the accumulation steps.
    loss_is_scaled_for_ga = False

    def __init__(
        self,
        run: Run,
        model: PreTrainedModel,
        training: MaskedSet | TrainingSet,
        validation: MaskedSet | TrainingSet,
        checkpoints: Checkpoints,
        epochs: int,
    ) -> None:
        self.run, self.checkpoints = run, checkpoints
        # The Trainer keeps these too, under types that say nothing of them.
        self.network, self.training, self.validation = model, training, validation
        arguments, steps = training_arguments(run, epochs), leg(run.options)
        # A validation batch has no more tokens than the largest training batch, so that it fits into memory as well.
        longest, size = int(training.lengths.max()), arguments.per_device_train_batch_size
        tokens = run.options.get("batch_tokens")
        if tokens is not None:
            tokens = tokens * size // run.options["batch_size"]  # a process's share
        self.batch_tokens = size * longest if tokens is None else max(tokens, longest)
        self.sampler = LengthBuckets(
            training.lengths,
            size,
            run.seed,
            **({"window": 1} if getattr(model, "any_lengths", False) else {}),
            rank=arguments.process_index,
            world=arguments.world_size,
            batch_tokens=tokens,
            steps=steps and steps * arguments.gradient_accumulation_steps,
        )
        super().__init__(model=model, args=arguments, train_dataset=training, eval_dataset=validation)
        draw_apart(run.seed, arguments.process_index)
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)
        self.add_callback(EpochCallback(self.sampler, run.options["report_every"] // steps if steps else 1))
        if is_main():
            self.add_callback(SealCallback(run.folder))
            self.add_callback(LogCallback(run.name, in_steps=steps is not None))
            self.add_callback(TensorBoardCallback(SummaryWriter(str(run.folder.parent / "tensorboard"))))

    def resume(self, fresh_patience_after: int = 0) -> State:
        """Train from the newest checkpoint, or from the start, to the last epoch.

        Parameters
        ----------
        fresh_patience_after : int
            Early stopping counts anew after this epoch.

        Returns
        -------
        State
            Where training ended.

        Raises
        ------
        RnalmError
            If a batch does not fit into the memory of a GPU.
        """
        state = self.checkpoints.newest()
        patience = self.run.options["patience"]
        counting = state is not None and state.epoch > fresh_patience_after
        if state is not None:
            out_of_patience = counting and patience is not None and state.patience_used >= patience
            if out_of_patience or state.epoch >= self.args.num_train_epochs:
                return state
            log.info("resuming after %s %d", *(("step", state.step) if leg(self.run.options) else ("epoch", state.epoch)))
        if patience is not None:
            self.add_callback(EarlyStoppingCallback(patience))
        # Without this, an interrupted run would forget how long it has been waiting for an improvement.
        self.args.restore_callback_states_from_checkpoint = counting
        # What has a linear part begins as it: so good a model must not get worse by training.
        self.args.eval_on_start = state is None and is_wide(self.network)
        try:
            with compute.allocating():
                self.train(resume_from_checkpoint=str(state.folder) if state else None)
        except torch.OutOfMemoryError:
            raise too_large(self.run, self.args.per_device_train_batch_size) from None
        if torch.distributed.is_initialized():
            torch.distributed.barrier()  # the first process may still be writing the last checkpoint
        return self.checkpoints.reached()

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        """Validate in the first process, whose figures all others take, so that all stop at the same time."""
        box: list[Any] = [self.validate() if is_main() else None]
        if torch.distributed.is_initialized():
            torch.distributed.broadcast_object_list(box, src=0)
        [values] = box
        values = {f"{metric_key_prefix}_{name}": value for name, value in values.items()}
        self.log(values)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, values)
        if not self.state.global_step:
            self._keep_start(values)
        return values

    def _keep_start(self, values: dict[str, float]) -> None:
        """Save the model that training begins with, as the best so far: the Trainer only looks at it."""
        if self._determine_best_metric(values, trial=None):  # not if the metric is not defined for it
            self.state.best_model_checkpoint = str(self.run.folder / f"{PREFIX_CHECKPOINT_DIR}-0")
        self._save_checkpoint(self.network, trial=None)
        self.control = self.callback_handler.on_save(self.args, self.state, self.control)

    def validate(self) -> dict[str, float]:
        """Compute all metrics on the validation rows."""
        raise NotImplementedError


def training_arguments(run: Run, epochs: int) -> TrainingArguments:
    """Translate our options into the Trainer's.

    Parameters
    ----------
    run : Run
        What the Trainer needs to know.
    epochs : int
        Where training ends.

    Raises
    ------
    RnalmError
        If the batch cannot be divided among the processes.
    """
    options = run.options
    size, accumulation = effective_batch(options, int(os.environ.get("WORLD_SIZE", 1)), run.name)
    arguments = TrainingArguments(
        output_dir=str(run.folder),
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
        torch_compile=options["torch_compile"],
        seed=run.seed,
        use_cpu=compute.count(run.gpus) == 0,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{run.metric}",
        greater_is_better=run.greater_is_better,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )
    compute.exact()  # of which TensorFloat-32 for compiled models, which the Trainer's arguments turn on, is not
    if arguments.world_size == 1:
        _compat.use_one_gpu(arguments)
    return arguments


def draw_apart(seed: int, rank: int) -> None:
    """Let each of several processes draw random numbers of its own, such as for dropout; the Trainer seeds all of them alike.

    Parameters
    ----------
    seed : int
        Of the training.
    rank : int
        Number of the process; 0 draws what a single one does.
    """
    if rank:
        torch.manual_seed(int(np.random.SeedSequence([seed, rank]).generate_state(1)[0]))
