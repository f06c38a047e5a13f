"""The study that workers of a sweep share: what was tried, what to try next, and by whom."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState

from rnalm.config.parameter import Parameter, climb
from rnalm.config.sweep import Sweep
from rnalm.files import is_locked
from rnalm.training._compat import live_trial

log = logging.getLogger(__name__)

# Each study in memory would be a line on the terminal.
optuna.logging.set_verbosity(optuna.logging.WARNING)

FILE = "journal.log"
#: No trial is pruned before it has had this many epochs, and this many others are complete.
WARM_UP_EPOCHS, WARM_UP_TRIALS = 5, 5


def open_study(folder: str | Path, name: str, sweep: Sweep) -> optuna.Study:
    """Open a study in the journal of a folder; a new one if there is none of that name.

    Studies with other settings stay in the journal as they are: someone may still be working on them.

    Parameters
    ----------
    folder : path
        Of the journal; made where it is not there.
    name : str
        From :func:`~rnalm.training.sweep.search.study_name`.
    sweep : Sweep
        Says whether trials are pruned, and what is better.
    """
    journal = Path(folder) / FILE
    journal.parent.mkdir(parents=True, exist_ok=True)
    # A file that must not exist yet works on every network file system of today. Optuna's other lock, a symbolic link to the
    # journal, is waited for without end when its holder was killed, if the path of the journal is a relative one.
    with _alone(journal):
        _mend(journal)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal), JournalFileOpenLock(str(journal))))
    with _alone(journal.with_name("claims")):
        known = [study.study_name for study in storage.get_all_studies()]
        if known and name not in known:
            log.info("%s: the trials there are from other settings; starting anew", journal)
        pruner = optuna.pruners.MedianPruner(WARM_UP_TRIALS, WARM_UP_EPOCHS) if sweep.pruning else optuna.pruners.NopPruner()
        return optuna.create_study(
            study_name=name,
            storage=storage,
            direction=sweep.goal,
            load_if_exists=True,
            pruner=pruner,
            sampler=optuna.samplers.RandomSampler(),  # is never asked: trials are added with all of their values
        )


def claim(study: optuna.Study, folder: str | Path, sweep: Sweep, worker: int, seeds: Sequence[int]) -> Trial | None:
    """Take the next trial: one in which this worker, or one that there is no more, was killed, or else a new one.

    Parameters
    ----------
    study : optuna.Study
        From :func:`open_study`.
    folder : path
        Of the journal.
    sweep : Sweep
        What to try, and how often.
    worker : int
        No two that run have the same number.
    seeds : sequence of int
        As in :func:`propose`.

    Returns
    -------
    Trial or None
        None where no trial is left to begin.
    """
    with _alone(Path(folder) / "claims"):
        trials = study.get_trials(deepcopy=False)
        for begun in trials[: sweep.count]:
            if begun.state == TrialState.RUNNING and _is_left(begun.user_attrs["worker"], worker, sweep.workers, folder):
                trial = live_trial(study, begun)
                trial.set_user_attr("worker", worker)
                log.info("going on with trial %d", trial.number)
                return trial
        if len(trials) >= sweep.count:
            return None
        new = propose(sweep, trials, seeds)
        # The trial is added at once with all of its values: a worker that is killed leaves the whole trial or none.
        attributes = {"params": new.params, "distributions": new.distributions, "user_attrs": {"worker": worker}}
        study.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING, **attributes))
        return live_trial(study, study.get_trials(deepcopy=False)[-1])


def worker_lock(folder: str | Path, worker: int) -> Path:
    """Name the file that a worker locks while it runs.

    Parameters
    ----------
    folder : path
        Of the journal.
    worker : int
        Its number.
    """
    return Path(folder) / f".worker-{worker}.lock"


def _is_left(owner: int, worker: int, workers: int, folder: str | Path) -> bool:
    """Whether a running trial is that of a worker which was killed, and nobody else goes on with it.

    Others of this study may be running, on nodes whose locks cannot be seen here; but what has the number of this worker was
    its predecessor, and no one should have a number beyond those of now.
    """
    return owner == worker or (owner >= workers and not is_locked(worker_lock(folder, owner)))


def propose(sweep: Sweep, earlier: Sequence[FrozenTrial], seeds: Sequence[int]) -> Trial:
    """Choose the values of the next trial; the same after the same trials.

    Parameters
    ----------
    sweep : Sweep
        What to try, and by which method.
    earlier : sequence of FrozenTrial
        All trials before it, in their order.
    seeds : sequence of int
        What to draw from.

    Returns
    -------
    Trial
        With its values, of a study in memory.

    Examples
    --------
    The first trials of a grid, which is gone through in an order that the seeds fix:

    >>> sweep = Sweep(method="grid", parameters={"finetune.learning_rate": {"values": [0.1, 0.01]}})
    >>> first = propose(sweep, [], seeds=(1, 0))
    >>> values_of(first)
    {'finetune.learning_rate': 0.01}
    >>> values_of(propose(sweep, first.study.get_trials(), seeds=(1, 0)))
    {'finetune.learning_rate': 0.1}
    """
    space = {key: distribution(parameter) for key, parameter in sorted(sweep.parameters.items())}
    if sweep.method == "grid":
        grid = {key: _points(sweep.parameters[key]) for key in space}
        sampler = optuna.samplers.GridSampler(grid, _draw(*seeds))  # one order of the grid for all trials
    else:
        sampler = {"random": optuna.samplers.RandomSampler, "bayes": optuna.samplers.TPESampler}[sweep.method](
            seed=_draw(*seeds, len(earlier))
        )
    # In memory: a sampler that draws for one trial alone does not know how often workers were killed.
    study = optuna.create_study(direction=sweep.goal, sampler=sampler)
    study.add_trials(earlier)
    return study.ask(space)


def _draw(*seeds: int) -> int:
    """Make one seed of several numbers."""
    return int(np.random.SeedSequence(seeds).generate_state(1)[0])


def distribution(parameter: Parameter) -> BaseDistribution:
    """Say to Optuna what values a key can have; those of a list as JSON, for they need not be numbers or text.

    Parameters
    ----------
    parameter : Parameter
        A list, or a range of whole numbers or of fractions.
    """
    if parameter.values is not None:
        return CategoricalDistribution(_points(parameter))
    # Without a list there are both ends, and with a step also a size, though their types do not say so.
    low, high, step = cast(tuple[Any, Any, Any], (parameter.min, parameter.max, parameter.step))
    if step is not None:
        high = parameter.at(cast(int, parameter.size) - 1)
    log = parameter.log
    return IntDistribution(low, high, log, step or 1) if parameter.integer else FloatDistribution(low, high, log, step)


def _points(parameter: Parameter) -> list[Any]:
    """List the values of a key: those of a range as they are, those of a list as JSON."""
    return parameter.listed() if parameter.values is None else [json.dumps(value) for value in parameter.values]


def values_of(trial: Trial | FrozenTrial) -> dict[str, Any]:
    """Give the values of a trial by key.

    Parameters
    ----------
    trial : Trial or FrozenTrial
        Of any study.
    """
    return {key: _value(drawn, trial.params[key]) for key, drawn in sorted(trial.distributions.items())}


def _value(drawn: BaseDistribution, value: Any) -> Any:
    """Give a value as it was configured, of what Optuna has in its place."""
    if isinstance(drawn, CategoricalDistribution):
        return json.loads(value)
    if isinstance(drawn, FloatDistribution) and drawn.step is not None:
        # Optuna multiplies steps as floats, which gives 0.30000000000000004 for 0.3.
        return float(climb(drawn.low, drawn.step, round((value - drawn.low) / drawn.step)))
    return value


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others out; they wait for half a minute for one who was killed in here."""
    held = JournalFileOpenLock(str(path))
    held.acquire()
    try:
        yield
    finally:
        held.release()


def _mend(journal: Path) -> None:
    """Cut off a last line that a full disk left unfinished: Optuna would write on behind it."""
    content = journal.read_bytes() if journal.exists() else b""
    if content and not content.endswith(b"\n"):
        with open(journal, "r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
