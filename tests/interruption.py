"""Interrupt a training between two epochs, as a kill would."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from transformers import TrainerCallback

from rnalm.training.loop import EpochTrainer

#: What has to be the same after an interruption as without.
RESULTS = ("model.safetensors", "labels.json", "train_results.json", "eval_results.json", "config.json", "tokenizer.json")


class Killed(Exception):
    """The end of a training."""


class _KillBefore(TrainerCallback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_begin(self, args, state, control, **kwargs):
        if round(state.epoch or 0) == self.epoch:
            raise Killed


@contextmanager
def killed_before(epoch: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let trainings in this context end when an epoch begins, counted from 0."""
    create = EpochTrainer.__init__

    def with_killer(self, *args, **kwargs) -> None:
        create(self, *args, **kwargs)
        self.add_callback(_KillBefore(epoch))

    with monkeypatch.context() as patch:
        patch.setattr(EpochTrainer, "__init__", with_killer)
        with pytest.raises(Killed):
            yield


def results(folder: str | Path) -> dict[str, bytes]:
    """Read what has to be the same; a pretrained model has no labels."""
    return {name: (Path(folder) / name).read_bytes() for name in RESULTS if (Path(folder) / name).exists()}
