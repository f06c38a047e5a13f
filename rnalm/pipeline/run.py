"""One run of the workflow: alone in its folder, from files that are whole and of today, and what it tells at its end."""

import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import IO, Any

from rnalm.errors import RnalmError
from rnalm.files import is_locked, lock
from rnalm.pipeline.outdated import check_inside, kept, leftovers, ours, outdated, set_aside, shortened

#: Of a folder, so many files are named that an earlier run left.
SHOWN = 6

#: The lock of this run, which ends with the process that holds it; Snakemake's own outlives a killed run.
held: IO[str] | None = None


def follow_receipts(workflow: Any, out: str) -> None:
    """Let Snakemake run whatever the receipts know to be outdated, be its own records lost or its rerun triggers few.

    Files that it is told to force (``--forcerun``) would also become targets; so jobs are looked at once they are known, just
    before it decides. A plan only tells what is damaged: nothing is changed before a run begins.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        What runs.
    out : str
        The experiment's folder.
    """
    prepare = workflow._prepare_dag

    def prepare_dag(*arguments: Any, **options: Any) -> None:
        prepare(*arguments, **options)
        dag = workflow.dag
        update = dag.update_needrun

        async def update_needrun(*arguments: Any, **options: Any) -> None:
            dag.update_needrun = update
            known = kept(ours(dag.jobs, out))
            dag.forcefiles.update(path for job in outdated(known) for path in job.output)
            # A file that another run is about to replace is no damaged one.
            if not is_locked(Path(out, ".lock")):
                for path in shortened(known):
                    tell(f"{path}: shorter than it was written; to be made again")
            await update(*arguments, **options)

        dag.update_needrun = update_needrun

    workflow._prepare_dag = prepare_dag


def keep_handlers(workflow: Any, **handlers: Callable[[], None]) -> None:
    """Call what a run begins and ends with in a module of another workflow too, beside what that has of its own.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        What runs.
    **handlers : callable
        Under ``onstart``, ``onsuccess`` and ``onerror``.
    """
    prepare = workflow._prepare_dag

    def prepare_dag(*arguments: Any, **options: Any) -> None:
        prepare(*arguments, **options)
        for name, handler in handlers.items():
            setattr(workflow, f"_{name}", partial(_both, handler, getattr(workflow, f"_{name}")))

    workflow._prepare_dag = prepare_dag


def _both(handler: Callable[[], None], theirs: Callable[[str], None], log: str) -> None:
    handler()
    theirs(log)


def begin(out: str, workflow: Any) -> None:
    """Keep other runs out of a folder until this process ends, and set aside what is damaged.

    It must not be read, nor be taken for done.

    Parameters
    ----------
    out : str
        The experiment's folder.
    workflow : snakemake.workflow.Workflow
        What is about to run.

    Raises
    ------
    RnalmError
        If another run works in the folder, if it may not be written to, or if a folder in it is a link out of it.
    """
    global held
    planned = ours(workflow.dag.needrun_jobs(), out)
    check_inside(planned, out)
    try:
        held = lock(Path(out, ".lock"))
    except OSError as error:
        raise RnalmError(f"{error.filename}: cannot be locked ({error.strerror}); expected a folder to write to") from None
    if held is None:
        raise RnalmError(f"{out}: another run works in this folder; wait for it to end, or stop it")
    for path in shortened(kept(planned)):
        tell(f"{path}: set aside as {set_aside(path, out)}")


def tell_leftovers(out: str, rules: Any, asked: Iterable[tuple[str, dict[str, str]]]) -> None:
    """Name results that the configuration does not ask for any more, of an earlier one and of models that may be gone.

    Parameters
    ----------
    out : str
        The experiment's folder.
    rules : snakemake.common.Rules
        The rules, by the names that they have here, whatever a workflow calls them of which this is a module.
    asked : iterable of tuple
        Rule and values of wildcards of all jobs that the configuration asks for.
    """
    logs = [getattr(rules, rule).rule.expand_log(values)[0] for rule, values in asked]
    for folder, names in leftovers(out, logs).items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        tell(f"{folder}: not asked for any more, and of an earlier run: {', '.join(names[:SHOWN])}{more}")


def repeat_errors(out: str | Path, since: float) -> None:
    """Tell what jobs told of mistakes, each once, as the logs have it that were written to since a time.

    Parameters
    ----------
    out : path
        The experiment's folder.
    since : float
        Seconds since the epoch.
    """
    logs = [path for path in Path(out, "logs").rglob("*.log") if path.stat().st_mtime >= since]
    lines = [line for path in sorted(logs) for line in path.read_text(encoding="utf-8").splitlines()]
    for message in dict.fromkeys(line.partition(" ERROR ")[2] for line in lines if " ERROR " in line):
        tell(message)


def tell(message: str) -> None:
    """Write a line on the terminal.

    Parameters
    ----------
    message : str
        The line.
    """
    print(f"rnalm: {message}", file=sys.stderr)
