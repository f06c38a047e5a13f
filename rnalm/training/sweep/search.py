"""Search for the values with which a fold trains best."""

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from optuna.trial import Trial, TrialState
from transformers import TrainerCallback
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from rnalm import compute
from rnalm.config import Encode, contract
from rnalm.config.sweep import Sweep
from rnalm.errors import RnalmError
from rnalm.files import lock, read_json, write_json
from rnalm.models import hf
from rnalm.models.pretrained import check_shapes, read_config
from rnalm.training import finetune, fold
from rnalm.training.checkpoints import State
from rnalm.training.sweep import best
from rnalm.training.sweep.study import claim, open_study, values_of, worker_lock
from rnalm.training.trainer import FoldData, Job

log = logging.getLogger(__name__)


def run_trials(job: Job, sweep: Sweep, worker: int = 0) -> None:
    """Run trials of a study that other workers may share, until there are none left to begin.

    A worker that was killed goes on with its trial when it is started again. ``worker-<worker>.json`` tells that it is done.

    Parameters
    ----------
    job : Job
        What a trial changes: the training of the fold. Its ``output`` is the folder of the study.
    sweep : Sweep
        With all names written out (:meth:`~rnalm.config.sweep.Sweep.resolve`).
    worker : int
        Number among those that share the study. No two that run have the same.

    Raises
    ------
    RnalmError
        On labels that cannot be learned, whatever the values, and on keys that the model does not have.
    """
    check_model(job, sweep)
    folder, name = Path(job.output), study_name(job, sweep)
    with lock(worker_lock(folder, worker), wait=True):  # pyright: ignore[reportOptionalContextManager] (it waits)
        data = fold.load(job)
        for metric in (job.options["metric"], str(sweep.metric)):
            fold.check_metric(metric, job.fold, data.validation)
        study = open_study(folder, name, sweep)
        while (trial := claim(study, folder, sweep, worker, (job.seed, job.fold))) is not None:
            run_trial(trial, job, sweep, data)
        write_json(folder / f"worker-{worker}.json", {"fold": job.fold, "study": name, "trials": sweep.count})


def check_model(job: Job, sweep: Sweep) -> None:
    """Refuse entries of a model's configuration that it does not have, or that do not fit its pretrained weights.

    Parameters
    ----------
    job, sweep
        As in :func:`run_trials`.

    Raises
    ------
    RnalmError
        If the sweep tries such an entry, or an architecture that there is not.
    """
    if job.model["name"] != "hf":
        return
    for chosen, entry in product(_each(sweep, "model.type"), _each(sweep, "model.config.")):
        model = best.apply(job.model, job.options, chosen | entry)["model"]
        theirs = read_config(model["pretrained"]) if model["pretrained"] else None
        kind = hf.check_type(theirs.model_type if theirs else model["type"], "model.pretrained" if theirs else "model.type")
        hf.check_keys(CONFIG_MAPPING[kind], kind, model["config"], dict.fromkeys((*Encode.model_fields, "case")))
        if theirs:
            check_shapes(model["pretrained"], theirs, model["config"])


def _each(sweep: Sweep, beginning: str) -> list[dict[str, Any]]:
    """List values of the keys that begin so, each alone; where there is no such key, nothing to change."""
    parameters = {key: parameter for key, parameter in sweep.parameters.items() if key.startswith(beginning)}
    return [{key: value} for key, parameter in parameters.items() for value in parameter.probes()] or [{}]


def study_name(job: Job, sweep: Sweep) -> str:
    """Name a study by what decides the course of its trials: how many there are, and who runs them, does not.

    Parameters
    ----------
    job, sweep
        As in :func:`run_trials`.

    Returns
    -------
    str
        The first 16 hexadecimal digits of a hash.
    """
    settings = sweep.model_dump(mode="json", exclude={"trials", "workers"})
    return hashlib.sha256(json.dumps([job.settings_hash(), settings], sort_keys=True).encode()).hexdigest()[:16]


class Reporter(TrainerCallback):
    """Tells the study how a trial does after each epoch, and ends the trial where there is no hope.

    Parameters
    ----------
    trial : Trial
        Of which to tell.
    metric : str
        By which trials are compared, on the validation rows.
    epochs : int
        Of the trial, at most.
    """

    def __init__(self, trial: Trial, metric: str, epochs: int) -> None:
        self.trial, self.metric, self.epochs = trial, metric, epochs
        self.reported = max(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values, default=0)
        # A worker may have been killed after the report that ended the trial, and before it could note the end.
        self.pruned = self.is_hopeless()

    def is_hopeless(self) -> bool:
        """Say whether to prune the trial; not after its last epoch, when there is nothing to save."""
        # Optuna's answer is a numpy.bool, which a checkpoint cannot hold.
        return self.reported < self.epochs and bool(self.trial.should_prune())

    def on_evaluate(self, args, state, control, metrics: Any = None, **kwargs):
        """Report, but for what was reported before a worker was killed."""
        epoch = round(state.epoch)
        if epoch > self.reported:
            self.trial.report(metrics[f"eval_{self.metric}"], epoch)
            self.reported = epoch
        self.pruned = self.is_hopeless()
        control.should_training_stop |= self.pruned


def run_trial(trial: Trial, job: Job, sweep: Sweep, data: FoldData) -> None:
    """Train with the values of a trial, and note how good the best epoch is.

    Values with which training fails are no reason to end the study: the trial counts as pruned, with a note that says why.

    Parameters
    ----------
    trial : Trial
        With its values.
    job, sweep
        As in :func:`run_trials`.
    data : FoldData
        The rows of the fold, from :func:`~rnalm.training.fold.load`.
    """
    values = values_of(trial)
    log.info("trial %d of %d: %s", trial.number, sweep.count, best.shown(values))
    scratch = Path(job.output) / "trials" / f"{trial.study.study_name}-{trial.number}"
    changes = {"extra_epochs": 0} | ({"epochs": sweep.epochs} if sweep.epochs else {})
    metric, value = str(sweep.metric), None
    try:
        settings = best.apply(job.model, job.options | changes, values)
        reporter = Reporter(trial, metric, settings["options"]["epochs"])
        if not reporter.pruned:
            with _within_memory():
                _, state = finetune.fit(replace(job, output=str(scratch), **settings), data, [reporter])
        if not reporter.pruned:
            value = _reached(state, metric)
    except RnalmError as error:
        log.warning("trial %d: %s", trial.number, error)
        trial.set_user_attr("note", str(error))
    trial.study.tell(trial, value, TrialState.PRUNED if value is None else TrialState.COMPLETE)
    log.info("trial %d: %s", trial.number, "pruned" if value is None else f"{metric} {value:.4f}")
    shutil.rmtree(scratch, ignore_errors=True)
    if compute.count(job.gpus):
        # Objects of the last training refer to each other in circles: until they are collected, its model takes up memory.
        clear_device_cache(garbage_collection=True)


@contextmanager
def _within_memory() -> Iterator[None]:
    """Blame the values of a trial for a lack of memory: a worker that died of it would begin with the same trial again."""
    try:
        with compute.allocating():
            yield
    except RuntimeError as error:
        # On a CPU a lack of memory has no class of its own: Accelerate knows it by its message.
        if not (isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)):
            raise
        raise RnalmError("the model does not fit into memory; lower its size, or finetune.batch_size") from None


def _reached(state: State, metric: str) -> float:
    """Read the metric on the validation rows at the epoch whose model would be kept."""
    history = read_json(state.folder / contract.HISTORY)["log_history"]
    step, name = state.kept_step, f"eval_{metric}"
    value = next(entry[name] for entry in history if entry["step"] == step and name in entry)
    if not math.isfinite(value):
        raise RnalmError(f"{metric} is not defined for what it predicts")
    return value
