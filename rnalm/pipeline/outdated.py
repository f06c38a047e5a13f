"""Which results are not of today's configuration, code and inputs, as the receipts know it, and which are not whole.

Snakemake's own records are keyed by path and working directory: they are lost when a folder is moved, copied or spelled
otherwise.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rnalm.errors import RnalmError
from rnalm.pipeline import jobs, receipts

#: Jobs and their receipts, where there are any.
Kept = dict[Any, receipts.Receipt | None]


def ours(all_jobs: Iterable[Any], out: str) -> list[Any]:
    """Pick the jobs that work for an experiment, and neither for another module of a workflow nor just to name targets.

    Parameters
    ----------
    all_jobs : iterable of snakemake.jobs.Job
        Jobs of a workflow.
    out : str
        The experiment's folder.
    """
    return [job for job in all_jobs if job.output and job.log and job.log[0].startswith(f"{out}/logs/")]


def kept(planned: Iterable[Any]) -> Kept:
    """Read the receipts of jobs.

    Parameters
    ----------
    planned : iterable of snakemake.jobs.Job
        From :func:`ours`.
    """
    return {job: receipts.read(_place(job)) for job in planned}


def outdated(kept: Kept) -> Iterator[Any]:
    """Go through the jobs whose results, as they lie there, are not those that they would make today.

    Parameters
    ----------
    kept : dict
        From :func:`kept`.
    """
    noted = [(job.output, receipt.results) for job, receipt in kept.items() if receipt]
    made = {path: digest for outputs, results in noted for path, (_, _, digest) in zip(outputs, results, strict=False)}
    for job, receipt in kept.items():
        if receipt is None:
            # What is not there at all is for Snakemake to judge: where nothing needs it, it need not be made.
            if any(map(os.path.lexists, job.output)):
                yield job
        elif shortened({job: receipt}) or not _is_of_today(job, receipt, made):
            yield job


def _is_of_today(job: Any, receipt: receipts.Receipt, made: Mapping[str, str]) -> bool:
    """Whether params, and inputs that jobs made, are those of a receipt; of files of the user, params hold what counts."""
    before = receipt.made_of["inputs"]
    if len(job.input) != len(before):
        return False
    inputs = [made.get(path, digest) for path, digest in zip(job.input, before, strict=True)]
    params = {name: value for name, value in job.params.items() if name != "lineage"}
    out, place = jobs.receipt_of(job.log[0], job.output)
    return receipt.is_of(receipts.decisive(params, inputs, out), place, job.output)


def shortened(kept: Kept) -> list[str]:
    """List results that are shorter than their jobs wrote them: cut off by a full disk, a power cut, or by hand.

    Parameters
    ----------
    kept : dict
        From :func:`kept`.
    """
    return [
        path
        for job, receipt in kept.items()
        for path, (_, size, _) in zip(job.output, receipt.results if receipt else [], strict=False)
        if _size(path, size) < size
    ]


def _place(job: Any) -> Path:
    return jobs.receipt_of(job.log[0], job.output)[1]


def _size(path: str, otherwise: int) -> int:
    """Give the size of a file; another number where there is none, or a link that may lead anywhere."""
    try:
        status = os.lstat(path)
    except OSError:
        return otherwise
    return status.st_size if stat.S_ISREG(status.st_mode) else otherwise


def check_inside(planned: Iterable[Any], out: str) -> None:
    """Refuse folders of an experiment that are links out of it: what jobs replace there would be files of something else.

    Parameters
    ----------
    planned : iterable of snakemake.jobs.Job
        From :func:`ours`: those that will run.
    out : str
        The experiment's folder, which may be a link itself.

    Raises
    ------
    RnalmError
        If a folder into which a job writes lies elsewhere.
    """
    top = os.path.realpath(out)
    folders = {
        os.path.dirname(path)
        for job in planned
        for path in (*job.output, *job.log, *filter(None, [job.benchmark]), str(_place(job)))
    }
    for folder in sorted(folders):
        there = os.path.realpath(folder)
        if there != top and not there.startswith(f"{top}{os.sep}"):
            expected = "expected a folder inside, or output to be a link as a whole"
            raise RnalmError(f"{folder}: leads to {there}, out of {out}; {expected}")


def leftovers(out: str, logs: Iterable[str]) -> dict[str, list[str]]:
    """Find results whose jobs are none of those that the configuration asks for: names of files by folder.

    Parameters
    ----------
    out : str
        The experiment's folder.
    logs : iterable of str
        The log files of the jobs that it asks for, after which receipts are called.
    """
    top = Path(out, receipts.FOLDER)
    asked = {top / os.path.relpath(log, f"{out}/logs") for log in logs}
    found: dict[str, list[str]] = {}
    for place in sorted(path.parent for path in top.rglob(receipts.RECEIPT) if path.parent not in asked):
        receipt = receipts.read(place)
        for path, _, _ in receipt.results if receipt else []:
            # A stranger's receipt can name anything.
            if not os.path.isabs(path) and ".." not in path.split("/") and os.path.lexists(f"{out}/{path}"):
                folder, name = os.path.split(f"{out}/{path}")
                found.setdefault(folder, []).append(name)
    return {folder: sorted(set(names)) for folder, names in found.items()}


def set_aside(path: str, out: str) -> Path:
    """Move a result out of the way, to where its name says so, and give its new place.

    Parameters
    ----------
    path : str
        A file that a job writes.
    out : str
        The experiment's folder.
    """
    aside = first = Path(out, "set-aside", os.path.relpath(path, out))
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = first.with_name(f"{first.stem}.{number}{first.suffix}")
    aside.parent.mkdir(parents=True, exist_ok=True)
    os.rename(path, aside)
    return aside
