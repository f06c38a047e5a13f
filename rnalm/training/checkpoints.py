"""Checkpoints of one training: which belong to it, where it stands, how it goes on."""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnalm.config import contract
from rnalm.files import sha256, write_json
from rnalm.models.folder import starting_files

log = logging.getLogger(__name__)

#: The last file of a checkpoint to be written.
SEAL = "sizes.json"

#: Under which ``run.json`` holds the hash of the settings: the name that it has in folders of every version.
HASH_KEY = "identity"

#: Keys of the model that name files.
NAMING_FILES = ("pretrained", "path", "weights")

#: What a training may be given more or less of, or write elsewhere, and go the same course.
FREE = ("output", "threads", "gpus")


@dataclass(frozen=True)
class State:
    """Where training stood when a checkpoint was written.

    Attributes
    ----------
    folder : path
        Of the checkpoint.
    step, epoch : int
        Optimizer steps and epochs done.
    best_step : int or None
        After which the best model so far was saved, 0 where that is the one that training began with; None where no metric
        chose one.
    patience_used : int
        Epochs in a row without an improvement, as early stopping counts them.
    """

    folder: Path
    step: int
    epoch: int
    best_step: int | None
    patience_used: int

    @property
    def kept_step(self) -> int:
        """The step of the model that is kept: the best so far, or the newest where no metric chose."""
        return self.step if self.best_step is None else self.best_step


class Checkpoints:
    """The folder of checkpoints of one training.

    ``run.json`` in it tells what the run is made of and where its regular epochs ended. Checkpoints of a run made of
    anything else are deleted, not resumed.

    Parameters
    ----------
    folder : path
        Where the checkpoints are, or will be.
    settings_hash : str
        From :func:`settings_hash`.
    """

    def __init__(self, folder: str | Path, settings_hash: str) -> None:
        self.folder = Path(folder)
        self.run = self.folder / "run.json"
        self.settings_hash = settings_hash

    def prepare(self, extra_epochs: int = 0) -> None:
        """Make the folder ready: drop what belongs to another run, went further than asked, or is not whole.

        Parameters
        ----------
        extra_epochs : int
            Epochs asked for beyond the regular ones.
        """
        newest, finished = self.newest(), self.finished_epoch
        beyond = finished is not None and newest is not None and newest.epoch > finished + extra_epochs
        if self._read().get(HASH_KEY) != self.settings_hash or beyond:
            if newest is not None:
                log.info("%s: the checkpoints there are from other settings; starting anew", self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)
            write_json(self.run, {HASH_KEY: self.settings_hash, "finished_epoch": None})
        for folder in self._folders():
            if _state(folder) is None:
                log.warning("%s: this checkpoint is not whole, and is not used", folder)
                shutil.rmtree(folder)
        # A run goes on from its newest checkpoint, and needs the best one at its end.
        while (newest := self.newest()) and not self.best(newest).is_dir():
            shutil.rmtree(newest.folder)

    @property
    def finished_epoch(self) -> int | None:
        """The epoch at which the regular epochs ended, None while they have not."""
        return self._read().get("finished_epoch")

    def finish(self, epoch: int) -> None:
        """Note that the regular epochs ended with this one.

        Parameters
        ----------
        epoch : int
            The last of the regular epochs.
        """
        write_json(self.run, {HASH_KEY: self.settings_hash, "finished_epoch": epoch})

    def newest(self) -> State | None:
        """Find the newest whole checkpoint."""
        states = [state for state in map(_state, self._folders()) if state]
        return max(states, key=lambda state: state.step, default=None)

    def reached(self) -> State:
        """Find the newest whole checkpoint of a training that has written one.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        if (state := self.newest()) is None:
            raise FileNotFoundError(f"{self.folder}: no checkpoint is whole")
        return state

    def best(self, state: State) -> Path:
        """Find the checkpoint of the best model so far, or the given one where no metric chose.

        Parameters
        ----------
        state : State
            Where training stands.
        """
        return self._folder(state.kept_step)

    def _folder(self, step: int) -> Path:
        """Name the checkpoint of a step."""
        return self.folder / f"checkpoint-{step}"

    def _folders(self) -> list[Path]:
        """List all checkpoints, whole or not."""
        return [path for path in self.folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]

    def _read(self) -> dict:
        """Read ``run.json``; nothing where it is not there, or was left unfinished."""
        try:
            return json.loads(self.run.read_text())
        except (FileNotFoundError, ValueError):
            return {}


def settings_hash(job: Any, files: Sequence[str], **replaced: Any) -> str:
    """Hash what decides the course of a training, so that only a run of the same is resumed.

    Parameters
    ----------
    job : dataclass
        With the section ``model`` among its fields.
    files : sequence of str
        Fields that name files, if there are any: their content counts.
    **replaced
        What counts in place of fields.

    Returns
    -------
    str
        SHA-256, in hexadecimal digits.
    """
    settings = asdict(job) | replaced
    contents = [path for path in map(settings.pop, files) if path]
    for name in FREE:
        del settings[name]
    start = starting_files(job.model)
    # What is in these files counts, not where they are.
    settings["model"] = {key: value for key, value in job.model.items() if not start or key not in NAMING_FILES}
    settings["files"] = sha256(*contents, *start)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def seal(folder: str | Path) -> None:
    """Note the size of each file of a checkpoint, by which to tell later that it is whole.

    Parameters
    ----------
    folder : path
        Of the checkpoint.
    """
    sizes = {path.name: path.stat().st_size for path in Path(folder).iterdir() if path.is_file()}
    write_json(Path(folder) / SEAL, sizes)


def _state(folder: Path) -> State | None:
    """Read a checkpoint's state; None if the checkpoint is not whole."""
    try:
        sizes = json.loads((folder / SEAL).read_text())
        if any((folder / name).stat().st_size < size for name, size in sizes.items()):
            return None
        state = json.loads((folder / contract.HISTORY).read_text())
        stopping = state["stateful_callbacks"].get("EarlyStoppingCallback", {}).get("attributes", {})
        return State(
            folder,
            step=state["global_step"],
            epoch=round(state["epoch"]),
            best_step=state["best_global_step"],
            patience_used=stopping.get("early_stopping_patience_counter", 0),
        )
    except (FileNotFoundError, ValueError, KeyError):
        return None
