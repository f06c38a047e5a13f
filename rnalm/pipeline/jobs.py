"""The frame around the work of a rule: its log, its GPUs, its receipt, and how a mistake is told."""

import errno
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rnalm.errors import RnalmError
from rnalm.files import lock, remove_leftovers, sha256
from rnalm.pipeline import lease, receipts

log = logging.getLogger(__name__)

#: A disk with less than this is full, whatever the words in which a library complains: bytes.
FULL = 2**20


def job(snakemake: Any) -> Callable[[Callable[[], None]], None]:
    """Run the decorated function at once, as the work of a rule.

    Nothing heavy should be imported before: where nothing has changed since last time, the function is not called at all, and
    GPUs are leased before torch can look for them.

    Parameters
    ----------
    snakemake : snakemake.script.Snakemake
        What a script finds under this name.
    """

    def run(work: Callable[[], None]) -> None:
        outputs = [str(path) for path in snakemake.output]
        out, place = receipt_of(snakemake.log[0], outputs)
        # A killed workflow can leave its jobs running: their successors wait, and take what they made.
        with logged(snakemake.log[0]), lock(f"{place}.lock", wait=True) or nullcontext():
            for path in outputs:
                remove_leftovers(path)
            params = dict(snakemake.params.items())
            lineage = params.pop("lineage", None)
            made_of = receipts.made_of(params, [sha256(path) for path in snakemake.input], out)
            earlier = place / receipts.LOG
            text = earlier.read_text(encoding="utf-8") if earlier.exists() else ""
            if receipts.take(place, made_of, outputs, lineage):
                write_before(snakemake.log[0], text)
                log.info("nothing that these results depend on has changed; they are taken as they were")
                return
            # Until the process ends: only then does it give the memory of its GPUs back.
            lease.lease(gpus(snakemake.resources))
            work()
            receipts.keep(place, made_of, outputs, snakemake.log[0], lineage)

    return run


def gpus(resources: Any) -> int:
    """Count the GPUs of a job, under the name that the rules have for them or that of clusters without ``--gpus``.

    Parameters
    ----------
    resources : snakemake.io.Resources
        With ``gpu``; or with ``gres``, as Slurm writes it, where ``gpu`` is 0.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> gpus(SimpleNamespace(gpu=2)), gpus(SimpleNamespace(gpu=0, gres="gpu:a100:4,shard:1"))
    (2, 4)
    """
    generic = 0
    for entry in str(getattr(resources, "gres", None) or "").split(","):
        name, *details = entry.strip().split(":")  # a model, a number, or both
        if name == "gpu":
            generic += int(details[-1]) if details and details[-1].isdecimal() else 1
    return getattr(resources, "gpu", 0) or generic


def receipt_of(log_file: str | Path, outputs: Sequence[str]) -> tuple[Path, Path]:
    """Name the experiment's folder, in which the log and all outputs of a job lie, and in it that of its receipt.

    Parameters
    ----------
    log_file : path
        The job's log.
    outputs : sequence of str
        All that the job writes.
    """
    experiment = Path(os.path.commonpath([log_file, *outputs]))
    return experiment, experiment / receipts.FOLDER / Path(log_file).relative_to(experiment / "logs")


def write_before(path: str | Path, text: str) -> None:
    """Let a log begin with what it said last time.

    Parameters
    ----------
    path : path
        The log of now.
    text : str
        What it said last time.
    """
    with open(path, "r+", encoding="utf-8") as file:
        now = file.read()
        file.seek(0)
        file.write(text + now)
        file.truncate()


@contextmanager
def logged(path: str) -> Iterator[None]:
    """Log to a file; show warnings on the terminal; end in one line on a user's mistake, or when the disk is full.

    Parameters
    ----------
    path : str
        The log file of the job.
    """
    to_file = logging.FileHandler(path, mode="a", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(logging.Formatter("rnalm: %(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_file, to_terminal])
    logging.captureWarnings(True)
    try:
        yield
    except RnalmError as error:
        logging.error("%s", error)
        sys.exit(1)
    except Exception as error:
        folder = Path(path).resolve().parent
        if is_full(error, folder):
            logging.raiseExceptions = False  # the log cannot be written either
            logging.error("%s: no space left on the disk; free some, and give the same command again", folder)
            sys.exit(1)
        print(traceback.format_exc(), end="", file=to_file.stream)
        raise


def is_full(error: BaseException, folder: Path) -> bool:
    """Whether an error comes from a full disk: libraries in other languages do not all say so in their errors.

    Parameters
    ----------
    error : BaseException
        What a library raised.
    folder : path
        A folder on the disk that may be full.
    """
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return shutil.disk_usage(folder).free < FULL
