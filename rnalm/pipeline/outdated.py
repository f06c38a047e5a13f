"""Which results are not of today's configuration, code and inputs, as the receipts know it, and which are not whole.

Snakemake's own records are keyed by path and working directory: they are lost when a folder is moved, copied or spelled
otherwise.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rnalm.errors import RnalmError
from rnalm.pipeline import jobs, receipts


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


def outdated(planned: Iterable[Any]) -> Iterator[Any]:
    """Go through the jobs whose results, as they lie there, are not those that they would make today.

    Parameters
    ----------
    planned : iterable of snakemake.jobs.Job
        From :func:`ours`.
    """
    places = {job: jobs.receipt_of(job.log[0], job.output) for job in planned}
    kept = {job: receipts.read(place) for job, (_, place) in places.items()}
    noted = [(job.output, receipt.results) for job, receipt in kept.items() if receipt]
    made = {path: digest for outputs, results in noted for path, (_, _, digest) in zip(outputs, results, strict=False)}
    for job, receipt in kept.items():
        out, place = places[job]
        if receipt is None:
            # What is not there at all is for Snakemake to judge: where nothing needs it, it need not be made.
            if any(map(os.path.lexists, job.output)):
                yield job
            continue
        # Files that no job makes are the user's: of them, params hold what counts.
        if len(job.input) == len(receipt.made_of["inputs"]):
            inputs = [made.get(path, before) for path, before in zip(job.input, receipt.made_of["inputs"], strict=True)]
        else:
            inputs = []
        params = {name: value for name, value in job.params.items() if name != "lineage"}
        if shortened(job) or not receipt.is_of(receipts.made_of(params, inputs, out), place, job.output):
            yield job


def shortened(job: Any) -> list[str]:
    """List results of a job that are shorter than it wrote them: cut off by a full disk, a power cut, or by hand.

    Parameters
    ----------
    job : snakemake.jobs.Job
        One from :func:`ours`.
    """
    _, place = jobs.receipt_of(job.log[0], job.output)
    receipt = receipts.read(place)
    sizes = [size for _, size, _ in receipt.results] if receipt else []
    return [path for path, size in zip(job.output, sizes, strict=False) if _size(path, size) < size]


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
        for path in (*job.output, *job.log, *filter(None, [job.benchmark]), str(jobs.receipt_of(job.log[0], job.output)[1]))
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
    kept = Path(out, receipts.FOLDER)
    asked = {kept / os.path.relpath(log, f"{out}/logs") for log in logs}
    found: dict[str, list[str]] = {}
    for place in sorted(path.parent for path in kept.rglob(receipts.RECEIPT) if path.parent not in asked):
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
