"""Run a training here, or in one process a GPU."""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnalm import compute
from rnalm.errors import RnalmError
from rnalm.training.loop import is_main

log = logging.getLogger(__name__)


def run(job: Any, work: Callable[[Any], None], module: str) -> None:
    """Do a job here, or in one process a GPU where several are wanted and there.

    Parameters
    ----------
    job : dataclass
        With ``gpus``; of values that JSON can hold.
    work : callable
        The function that does the job.
    module : str
        Name of the module that, run as a script, does it too: it calls :func:`main`.

    Raises
    ------
    RnalmError
        If one of several processes fails; where there is one, what ``work`` raises.
    """
    processes = compute.count(job.gpus)
    if processes <= 1:
        work(job)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(asdict(job), file)
        file.flush()
        launch(module, file.name, processes)


def launch(module: str, job_file: str, processes: int) -> None:
    """Do a job in several processes on this machine.

    Parameters
    ----------
    module : str
        Name of the module that each process runs as a script.
    job_file : str
        JSON with the fields of the job.
    processes : int
        How many.

    Raises
    ------
    RnalmError
        If one of them fails.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*torchrun, "-m", module, job_file]
    mistakes = []
    # The lease of the GPUs is an open file that is meant to be inherited: should this process be killed, the GPUs stay leased
    # until those that it started have ended.
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "close_fds": False}
    with subprocess.Popen(command, **pipes) as running:
        for line in running.stdout or ():
            log.info("%s", line.rstrip())
            if line.startswith("error: "):
                mistakes.append(line.removeprefix("error: ").rstrip())
    if running.returncode:
        raise RnalmError(mistakes[0] if mistakes else f"training in {processes} processes failed; its log says why")


def main(job_class: type, work: Callable[[Any], None]) -> None:
    """Do the job that is described in the file named on the command line.

    Parameters
    ----------
    job_class : type
        The dataclass of which the file holds the fields.
    work : callable
        The function that does the job.
    """
    logging.basicConfig(level=logging.INFO if is_main() else logging.WARNING, format="%(message)s")
    try:
        work(job_class(**json.loads(Path(sys.argv[1]).read_text())))
    except RnalmError as error:
        sys.exit(f"error: {error}")
