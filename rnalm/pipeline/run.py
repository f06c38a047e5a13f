"""One run of the workflow: alone in its folder, from files that are whole and of today, and what it tells at its end."""

import csv
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import IO, Any

import rnalm
from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.files import is_locked, lock, read_json
from rnalm.pipeline.outdated import check_inside, kept, leftovers, ours, outdated, set_aside, shortened

#: Of a folder, so many files are named that an earlier run left.
SHOWN = 6

#: Where the answer is: what it is called, and how its files begin and end within the folder.
PLACES = {
    "models": ("fine-tune/", "summary.csv"),
    "predictions": ("predict/", "_predictions.csv"),
    "tracks": ("tracks/", "predictions.parquet"),
    "sites": ("tracks/", "sites.csv"),
    "pages of scores": ("interpret/", ".html"),
    "effects of variants": ("variants/", "variants.parquet"),
    "elements": ("tracks/", ".bed"),
    "report": ("report", ".html"),
}

#: When this run began, in seconds since the epoch: it imports this module to plan.
STARTED = time.time()

#: What is told of models that a loss selects.
USUAL = ("pearson", "f1_weighted")

#: The lock of this run, which ends with the process that holds it; Snakemake's own outlives a killed run.
held: IO[str] | None = None


def fetched(workflow: Any, file: Any) -> Path:
    """Give the path of a file of the workflow on this machine, to which it may have to be fetched, as with ``github()``.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        What runs.
    file : snakemake.sourcecache.SourceFile
        Where its author has it.
    """
    path = Path(str(file))
    return path if path.exists() else Path(workflow.sourcecache.get_path(file))


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
    if workflow.modifier.is_main_snakefile():
        return  # where they are called as they are
    prepare = workflow._prepare_dag

    def prepare_dag(*arguments: Any, **options: Any) -> None:
        prepare(*arguments, **options)
        for name, handler in handlers.items():
            setattr(workflow, f"_{name}", partial(_both, handler, getattr(workflow, f"_{name}")))

    workflow._prepare_dag = prepare_dag


def _both(handler: Callable[[], None], theirs: Callable[[str], None], log: str) -> None:
    handler()
    theirs(log)


def begin(out: str, workflow: Any, version: str) -> None:
    """Keep other runs out of a folder until this process ends, and set aside what is damaged.

    It must not be read, nor be taken for done.

    Parameters
    ----------
    out : str
        The experiment's folder.
    workflow : snakemake.workflow.Workflow
        What is about to run.
    version : str
        That of the workflow's files, which may have been fetched: the library is the installed one then.

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
    if version != rnalm.__version__:
        tell(f"the workflow is of rnalm {version}, the library that is installed of {rnalm.__version__}; expected the same")
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


def conclude(out: str, since: float, results: Iterable[str], metric: str) -> None:
    """Tell at the end of a run what jobs warned of, how well models predict, and where the answer is.

    Parameters
    ----------
    out : str
        The experiment's folder.
    since : float
        When the run began, in seconds since the epoch.
    results : iterable of str
        All files that the configuration asks for.
    metric : str
        Of the models that are trained here, the one that selects them.
    """
    for message, jobs in told(out, since, "WARNING").items():
        tell(f"warning: {message}" + (f" (and in {jobs - 1} more jobs)" if jobs > 1 else ""))
    there = [path for path in results if Path(path).is_file()]
    if f"{out}/{contract.VERDICT}" in there:
        for sentence in read_json(f"{out}/{contract.VERDICT}")["sentences"]:
            tell(sentence)
    summary = f"{out}/fine-tune/summary.csv"
    if summary in there and (line := headline(summary, metric)):
        tell(line)
    for what, ends in PLACES.items():
        if found := [path for path in there if path.removeprefix(f"{out}/").startswith(ends[0]) and path.endswith(ends[1])]:
            tell(f"{what}: {', '.join(found)}")


def headline(summary: str | Path, metric: str) -> str:
    """Say how well the models predict rows that none of them has seen; nothing where there are none.

    Parameters
    ----------
    summary : path
        ``summary.csv`` of all models.
    metric : str
        The one that is told, if it is known of rows that test; else it is one of :data:`USUAL`.
    """
    with open(summary, newline="", encoding="utf-8") as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    # A metric that is not defined, such as the correlation of predictions that are all the same, has no mean.
    name = next((name for name in (metric, *USUAL) if rows.get(f"test_{name}", {}).get("mean")), None)
    if name is None:
        return ""
    row = rows[f"test_{name}"]
    models = sum(name.startswith("fold_") for name in row)
    spread = f" ± {float(row['sd']):.3f} over {models} models" if models > 1 and row["sd"] else ""
    return f"{name} on test rows: {float(row['mean']):.3f}{spread}"


def repeat_errors(out: str | Path, since: float) -> None:
    """Tell what jobs told of mistakes, each once, as the logs have it that were written to since a time.

    Parameters
    ----------
    out : path
        The experiment's folder.
    since : float
        Seconds since the epoch.
    """
    for message in told(out, since, "ERROR"):
        tell(message)


def told(out: str | Path, since: float, level: str) -> dict[str, int]:
    """Collect what jobs wrote into their logs at a level: each message once, and how many logs have it.

    Parameters
    ----------
    out : path
        The experiment's folder.
    since : float
        Of logs that were written to since then, in seconds since the epoch.
    level : {'WARNING', 'ERROR'}
        How serious it is.
    """
    logs = [path for path in sorted(Path(out, "logs").rglob("*.log")) if path.stat().st_mtime >= since]
    of_logs = [[line.partition(f" {level} ")[2] for line in path.read_text(encoding="utf-8").splitlines()] for path in logs]
    return dict(Counter(message for messages in of_logs for message in dict.fromkeys(messages) if message))


def tell(message: str) -> None:
    """Write a line on the terminal.

    Parameters
    ----------
    message : str
        The line.
    """
    print(f"rnalm: {message}", file=sys.stderr)
