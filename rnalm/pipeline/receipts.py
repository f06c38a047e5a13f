"""What each finished job was made of, and its results: a job that would only repeat itself takes them instead.

Snakemake runs all that depends on a file that is made again. Where the file turns out as it was, the jobs below need not work:
their receipts say that code, params and the content of every input are those of last time. The results themselves are kept as
hard links, which take no space, since Snakemake deletes the outputs of a job before it starts.

Receipts move with the experiment: whatever they say of its own files does not depend on where it lies or how it is spelled. And
they may be a stranger's: no path is taken from them, only what they say of the files that a job is known to write.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rnalm.errors import RnalmError
from rnalm.files import replacing, sha256, write_json

log = logging.getLogger(__name__)

#: Folder of all receipts, in the experiment's folder.
FOLDER = ".kept"

#: Libraries on whose versions results may depend.
SOFTWARE = ("captum", "numpy", "optuna", "pandas", "pyarrow", "scikit-learn", "tokenizers", "torch", "transformers")

RECEIPT = "receipt.json"
LOG = "log.txt"


@dataclass(frozen=True)
class Receipt:
    """What a job was made of, and what it made.

    Attributes
    ----------
    made_of : dict
        From :func:`made_of`.
    results : list of list
        Path within the experiment, size in bytes and SHA-256 of each output, in the order of the rule.
    lineage : str or None
        What all of it depends on, where that is noted.
    """

    made_of: dict[str, Any]
    results: list[list[Any]]
    lineage: str | None = None

    def is_of(self, decisive: Mapping[str, Any], place: Path, outputs: Sequence[str | Path]) -> bool:
        """Whether it is that of a job.

        Parameters
        ----------
        decisive : mapping
            From :func:`decisive`.
        place, outputs
            As in :func:`take`.
        """
        same = all(self.made_of[part] == decisive[part] for part in ("params", "inputs"))
        return same and [path for path, _, _ in self.results] == [_inside(place, path) for path in outputs]


def decisive(params: Mapping[str, Any], inputs: Sequence[str], out: str | Path) -> dict[str, Any]:
    """Say what must be the same for a job not to run: params, fingerprints among them, and content of inputs.

    Parameters
    ----------
    params : mapping
        What the rule gives the job, fingerprints among them.
    inputs : sequence of str
        SHA-256 of all files that it reads.
    out : path
        The experiment's folder: where params name files in it, only their place inside counts.
    """
    # As JSON gives it back: tuples are lists, and the order of keys means nothing.
    return json.loads(json.dumps({"params": _anywhere(dict(params), str(out)), "inputs": list(inputs)}, sort_keys=True))


def made_of(params: Mapping[str, Any], inputs: Sequence[str], out: str | Path) -> dict[str, Any]:
    """Say all that decides the results of a job: what must be the same, and versions of libraries.

    Another version alone is no reason to run; but a job that runs, for whatever reason, then works.

    Parameters
    ----------
    params, inputs, out
        As in :func:`decisive`.
    """
    return decisive(params, inputs, out) | {"software": {name: version(name) for name in SOFTWARE}}


def take(place: str | Path, made_of: Mapping[str, Any], outputs: Sequence[str | Path], lineage: str | None = None) -> bool:
    """Put the results of last time in their places if the job would only make them again.

    Parameters
    ----------
    place : path
        Folder of the job's receipt, in :data:`FOLDER` of the experiment.
    made_of : dict
        From :func:`made_of`.
    outputs : sequence of path
        What the job writes, in the order of its rule.
    lineage : str, optional
        What to note as the lineage of these results from now on.

    Returns
    -------
    bool
        Whether it was so. If not, the receipt is gone: what the job writes from now on is not what it describes.
    """
    place = Path(place)
    receipt = read(place)
    whole = (
        receipt is not None
        and receipt.made_of == made_of
        and receipt.is_of(made_of, place, outputs)
        and _is_whole(place, receipt.results)
    )
    if receipt is not None and whole:
        for number, path in enumerate(map(Path, outputs)):
            with replacing(path) as beside:
                _copy(place / str(number), beside)
        _write(place, replace(receipt, lineage=lineage))
    else:
        shutil.rmtree(place, ignore_errors=True)
    return whole


def keep(
    place: str | Path,
    made_of: Mapping[str, Any],
    outputs: Sequence[str | Path],
    log_file: str | Path,
    lineage: str | None = None,
) -> None:
    """Note what a job was made of, and keep its results.

    Parameters
    ----------
    place, made_of, outputs, lineage
        As in :func:`take`. Where one of them is gone already, because another run is about to make it again, nothing is kept.
    log_file : path
        The job's log, of which a copy is kept.
    """
    place = Path(place)
    place.mkdir(parents=True, exist_ok=True)
    try:
        results = [_keep(Path(path), place, number) for number, path in enumerate(outputs)]
        shutil.copyfile(log_file, place / LOG)
    except FileNotFoundError:
        return
    # Last, so that there is a receipt only for what is whole.
    _write(place, Receipt(dict(made_of), results, lineage))


def read(place: str | Path) -> Receipt | None:
    """Read the receipt of a job; None if there is none, or none that can be understood.

    Parameters
    ----------
    place : path
        Folder of the job's receipt.
    """
    try:
        receipt = Receipt(**json.loads(Path(place, RECEIPT).read_text(encoding="utf-8")))
        results = [[str(path), int(size), str(digest)] for path, size, digest in receipt.results]
        made_of = {"params": receipt.made_of["params"], "inputs": list(receipt.made_of["inputs"])}
        return replace(receipt, results=results, made_of=receipt.made_of | made_of)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def lineage(place: str | Path) -> str | None:
    """Read the noted lineage of a job's results; None if there is no receipt.

    Parameters
    ----------
    place : path
        Folder of the job's receipt.
    """
    receipt = read(place)
    return receipt and receipt.lineage


def _write(place: Path, receipt: Receipt) -> None:
    write_json(place / RECEIPT, asdict(receipt))


def _anywhere(value: Any, out: str) -> Any:
    """Name files of the experiment by their place inside, which no other value can look like: outputs have no braces."""
    if isinstance(value, dict):
        return {key: _anywhere(inner, out) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_anywhere(inner, out) for inner in value]
    if isinstance(value, str) and (value == out or value.startswith(f"{out}/")):
        return "{output}" + value[len(out) :]
    return value


def _inside(place: Path, path: str | Path) -> str:
    """Give the path of a result within the experiment to which a receipt belongs."""
    kept = next(folder for folder in place.parents if folder.name == FOLDER)
    return os.path.relpath(path, kept.parent)


def _is_whole(place: Path, results: list[list[Any]]) -> bool:
    """Whether the kept results are those of a receipt, unharmed."""
    try:
        return all(sha256(place / str(number)) == digest for number, (_, _, digest) in enumerate(results))
    except (OSError, RnalmError):
        return False


def _copy(kept: Path, path: Path) -> None:
    try:
        os.link(kept, path)
    except OSError:  # a file system without hard links, to which the experiment was copied
        shutil.copyfile(kept, path)


def _keep(path: Path, place: Path, number: int) -> list[Any]:
    """Link a result, and give its name, size in bytes and hash."""
    noted = [_inside(place, path), path.stat().st_size, sha256(path)]
    kept = place / str(number)
    kept.unlink(missing_ok=True)
    try:
        os.link(path, kept)
    except OSError as error:  # a file system without hard links: the job will have to work again
        log.debug("%s: cannot be kept (%s)", path, error)
    return noted
