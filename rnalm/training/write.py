"""Write the folder of a model whose training has ended."""

import json
import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer
from transformers import PreTrainedModel

from rnalm.config import contract
from rnalm.files import replacing, write_json
from rnalm.labels.metrics import finite
from rnalm.models.framed import save_tokenizer
from rnalm.training.checkpoints import State


def write(
    output: str | Path,
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    state: State,
    train_rows: int,
    validate: Callable[[], dict[str, float]],
    in_steps: bool = False,
) -> None:
    """Write a model folder that loads by itself, each file whole or not at all; last the history of the training.

    Parameters
    ----------
    output : path
        The folder.
    model : PreTrainedModel
        With the weights of the best epoch.
    tokenizer : tokenizers.Tokenizer
        That of the experiment.
    state : State
        Where training ended.
    train_rows : int
        How many rows it was trained with.
    validate : callable
        Gives the figures of the validation rows, once the model is in its folder.
    in_steps : bool
        Whether the training is measured in steps rather than in epochs.
    """
    output, history = Path(output), state.folder / contract.HISTORY
    with tempfile.TemporaryDirectory(dir=output, prefix=".model-") as temporary:
        model.save_pretrained(temporary)
        save_tokenizer(model.config, tokenizer, temporary)
        for file in Path(temporary).iterdir():
            _copy(file, output / file.name)
    write_json(output / contract.TRAIN_RESULTS, finite(_of_best(state, history, in_steps) | {"train_rows": train_rows}))
    write_json(output / contract.EVAL_RESULTS, finite(validate()))
    _copy(history, output / history.name)


def _copy(file: Path, place: Path) -> None:
    """Copy a file, whole or not at all."""
    with replacing(place) as beside:
        shutil.copyfile(file, beside)


def _of_best(state: State, history: Path, in_steps: bool) -> dict[str, float]:
    """Read the loss of the epoch, or step, that is kept, and which of how many it is; before the first, there is no loss."""
    step = state.kept_step
    entries = json.loads(history.read_text())["log_history"]
    before = {"step": 0, "epoch": 0, "loss": math.nan}
    best = next(entry for entry in [*entries, before] if entry["step"] == step and "loss" in entry)
    if in_steps:
        return {"train_loss": best["loss"], "steps": state.step, "best_step": step}
    return {"train_loss": best["loss"], "epochs": state.epoch, "best_epoch": round(best["epoch"])}
