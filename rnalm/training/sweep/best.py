"""A finished study ─► its best values ─► the training of the fold."""

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from optuna.trial import FrozenTrial, TrialState

from rnalm.config import contract
from rnalm.config.sweep import Sweep, merge
from rnalm.errors import RnalmError
from rnalm.files import read_json, replacing
from rnalm.training.sweep import study


def conclude(workers: Sequence[str | Path], sweep: Sweep) -> None:
    """Write ``trials.csv`` and ``best.yaml`` of a study that is finished.

    Parameters
    ----------
    workers : sequence of path
        What the workers wrote, in the folder of the study.
    sweep : Sweep
        With all names written out (:meth:`~rnalm.config.sweep.Sweep.resolve`).

    Raises
    ------
    RnalmError
        If trials are missing, or none could be trained.
    """
    folder, told = Path(workers[0]).parent, read_json(workers[0])
    trials = study.open_study(folder, told["study"], sweep).get_trials(deepcopy=False)[: sweep.count]
    finished = sum(trial.state.is_finished() for trial in trials)
    if finished < sweep.count:
        raise RnalmError(
            f"{folder / study.FILE}: {finished} trials are finished, expected {sweep.count}; run the workers again"
        )
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        note = trials[0].user_attrs["note"]
        raise RnalmError(f"sweep: none of the {sweep.count} trials of fold {told['fold']} could be trained; the first: {note}")
    sign = 1 if sweep.goal == "minimize" else -1
    best = trials[min((sign * trial.value, trial.number) for trial in complete if trial.value is not None)[1]]
    with replacing(folder / contract.TRIALS) as beside, open(beside, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", sweep.metric, "epochs", *sorted(sweep.parameters), "note"])
        writer.writerows(map(_row, trials))
    content = {"metric": sweep.metric, "goal": sweep.goal, "value": best.value, "trial": best.number}
    content["parameters"] = study.values_of(best)
    with replacing(folder / contract.BEST) as beside:
        beside.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    shutil.rmtree(folder / "trials", ignore_errors=True)


def _row(trial: FrozenTrial) -> list[Any]:
    """Write a trial as a row of ``trials.csv``."""
    note = trial.user_attrs.get("note")
    state = "failed" if note else trial.state.name.lower()
    return [
        trial.number,
        state,
        trial.value,
        len(trial.intermediate_values),
        *map(cell, study.values_of(trial).values()),
        note,
    ]


def cell(value: Any) -> str:
    """Write a value as it stands in ``trials.csv``: text as it is, all else as JSON.

    Parameters
    ----------
    value : object
        Text, a number, a list or None.

    Examples
    --------
    >>> cell("linear"), cell([0.9, 0.99]), cell(None)
    ('linear', '[0.9, 0.99]', 'null')
    """
    return value if isinstance(value, str) else json.dumps(value)


def read(path: str | Path) -> dict[str, Any]:
    """Read the best values of a study, by key, from its ``best.yaml``.

    Parameters
    ----------
    path : path
        The file, from :func:`conclude`.
    """
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))["parameters"]


def apply(model: Mapping[str, Any], options: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the ``model`` and the ``options`` of a training with other values.

    Parameters
    ----------
    model, options : mapping
        As the configuration has them.
    values : mapping
        By key, as in ``finetune.learning_rate``.

    Returns
    -------
    dict
        ``model`` and ``options``, with the same keys as before.

    Raises
    ------
    RnalmError
        If these values are not valid together.
    """
    try:
        return dict(zip(("model", "options"), merge(model, options, values), strict=True))
    except ValueError as error:
        raise RnalmError(f"{shown(values)}: {error}") from None


def shown(values: Mapping[str, Any]) -> str:
    """Write values for a log.

    Parameters
    ----------
    values : mapping
        By key.
    """
    return ", ".join(f"{key} {cell(value)}" for key, value in values.items())
