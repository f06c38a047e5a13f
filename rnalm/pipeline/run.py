"""One run of the workflow: alone in its folder, from files that are whole, and what it tells of mistakes."""

import sys
from pathlib import Path
from typing import IO

from rnalm.files import is_locked, lock
from rnalm.pipeline import receipts

#: The lock of this run, which ends with the process that holds it; Snakemake's own outlives a killed run.
held: IO[str] | None = None


def remove_damaged(out: str | Path) -> None:
    """Remove results that are shorter than their jobs wrote them, and say so: they must not be read, nor be taken for done.

    While another run works here, nothing is removed: a short file may be about to be replaced.

    Parameters
    ----------
    out : path
        The experiment's folder.
    """
    if not is_locked(Path(out, ".lock")):
        for path in receipts.damaged(out):
            tell(f"{path}: shorter than it was written; removed, to be made again")
            path.unlink()


def begin(out: str | Path) -> bool:
    """Keep other runs out of a folder until this process ends; tell whether there is none.

    Parameters
    ----------
    out : path
        The experiment's folder.
    """
    global held
    held = lock(Path(out, ".lock"))
    return held is not None


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
