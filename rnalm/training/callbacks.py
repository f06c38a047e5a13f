"""What happens beside training, epoch by epoch."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm
from transformers import TrainerCallback

from rnalm.tokens.buckets import LengthBuckets
from rnalm.training.checkpoints import seal

log = logging.getLogger(__name__)


class EpochCallback(TrainerCallback):
    """Tells the sampler which epoch begins, also after resuming, and lets only some of them end with a validation.

    Parameters
    ----------
    sampler : LengthBuckets
        That of the training rows.
    validate_every : int
        Each how many epochs.
    """

    def __init__(self, sampler: LengthBuckets, validate_every: int = 1) -> None:
        self.sampler, self.validate_every = sampler, validate_every

    def on_epoch_begin(self, args, state, control, **kwargs):
        """Set the epoch."""
        self.sampler.set_epoch(round(state.epoch or 0))

    def on_epoch_end(self, args, state, control, **kwargs):
        """Pass over a validation."""
        if round(state.epoch) % self.validate_every:
            control.should_evaluate = False


class SealCallback(TrainerCallback):
    """Seals checkpoints once they are written.

    Parameters
    ----------
    folder : path
        Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_save(self, args, state, control, **kwargs):
        """Seal the newest."""
        seal(self.folder / f"checkpoint-{state.global_step}")


class LogCallback(TrainerCallback):
    """Writes a line an epoch into the log, and shows a progress bar on a terminal.

    Parameters
    ----------
    name : str
        What the bar is called.
    in_steps : bool
        Whether the training is measured in steps.
    """

    def __init__(self, name: str, in_steps: bool = False) -> None:
        self.name, self.in_steps = name, in_steps
        self.bar = tqdm(disable=True)
        self.training: dict[str, float] = {}

    def on_train_begin(self, args, state, control, **kwargs):
        """Open the bar."""
        self.bar = tqdm(
            total=state.max_steps, initial=state.global_step, desc=self.name, unit="step", disable=None, leave=False
        )

    def on_step_end(self, args, state, control, **kwargs):
        """Advance the bar."""
        self.bar.update()

    def on_log(self, args, state, control, logs: Any = None, **kwargs):
        """Write the line once validation has its figures too."""
        if "loss" in logs:
            self.training = logs
        elif "eval_loss" in logs:
            metrics = {name: value for name, value in logs.items() if name.startswith("eval_") and "scaled" not in name}
            shown = "  ".join(f"{name.removeprefix('eval_')} {value:.4f}" for name, value in metrics.items())
            if not state.global_step:
                log.info("before training, by the linear part alone: validation %s", shown)
                return
            where = ("step", state.global_step, state.max_steps)
            log.info(
                "%s %d/%d  train loss %.4f  validation %s",
                *(where if self.in_steps else ("epoch", round(state.epoch), args.num_train_epochs)),
                self.training.get("loss", np.nan),
                shown,
            )

    def on_train_end(self, args, state, control, **kwargs):
        """Close the bar."""
        self.bar.close()
