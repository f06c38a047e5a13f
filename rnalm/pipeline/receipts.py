"""What each finished job was made of, and its results: a job that would only repeat itself takes them instead.

Snakemake runs all that depends on a file that is made again. Where the file turns out as it was, the jobs below need not work:
their receipts say that code, params and the content of every input are those of last time. The results themselves are kept as
hard links, which take no space, since Snakemake deletes the outputs of a job before it starts.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rnalm.files import replacing, sha256, write_json

log = logging.getLogger(__name__)

#: Folder of all receipts, in the experiment's folder.
FOLDER = ".kept"

#: Libraries on whose versions results may depend.
SOFTWARE = ("captum", "numpy", "optuna", "pandas", "pyarrow", "scikit-learn", "tokenizers", "torch", "transformers")

RECEIPT = "receipt.json"
LOG = "log.txt"


def made_of(params: Mapping[str, Any], inputs: Sequence[str | Path]) -> dict[str, Any]:
    """Say what decides the results of a job: params, fingerprints among them, content of inputs, and versions of libraries.

    Another version alone is no reason to run; but a job that runs, for whatever reason, then works.

    Parameters
    ----------
    params : mapping
        What the rule gives the job, fingerprints among them.
    inputs : sequence of path
        All files that it reads.
    """
    made_of = {
        "params": dict(params),
        "inputs": [sha256(path) for path in inputs],
        "software": {name: version(name) for name in SOFTWARE},
    }
    # As JSON gives it back: tuples are lists, and the order of keys means nothing.
    return json.loads(json.dumps(made_of, sort_keys=True))


def take(place: str | Path, made_of: Mapping[str, Any], outputs: Sequence[str | Path], lineage: str | None = None) -> bool:
    """Put the results of last time in their places if the job would only make them again.

    Parameters
    ----------
    place : path
        Folder of the job's receipt.
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
    receipt = _read(place)
    whole = receipt.get("made of") == made_of and _is_whole(place, receipt["results"], outputs)
    if whole:
        for number, path in enumerate(map(Path, outputs)):
            with replacing(path) as beside:
                _copy(place / str(number), beside)
        write_json(place / RECEIPT, receipt | {"lineage": lineage})
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
        results = [_keep(Path(path), place / str(number)) for number, path in enumerate(outputs)]
        shutil.copyfile(log_file, place / LOG)
    except FileNotFoundError:
        return
    # Last, so that there is a receipt only for what is whole.
    write_json(place / RECEIPT, {"made of": made_of, "results": results, "lineage": lineage})


def lineage(place: str | Path) -> str | None:
    """Read the noted lineage of a job's results; None if there is no receipt.

    Parameters
    ----------
    place : path
        Folder of the job's receipt.
    """
    return _read(Path(place)).get("lineage")


def damaged(output: str | Path) -> list[Path]:
    """Find results of an experiment that are shorter than their jobs wrote them.

    Parameters
    ----------
    output : path
        The experiment's folder.
    """
    short = []
    for receipt in Path(output, FOLDER).rglob(RECEIPT):
        for path, size, _ in _read(receipt.parent).get("results", []):
            # A receipt of an experiment that was moved or copied speaks of files in its old place.
            inside = Path(path).absolute().is_relative_to(Path(output).absolute())
            try:
                if inside and os.stat(path).st_size < size:
                    short.append(Path(path))
            except OSError:
                continue
    return sorted(short)


def _read(place: Path) -> dict[str, Any]:
    try:
        return json.loads((place / RECEIPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _is_whole(place: Path, results: list[list], outputs: Sequence[str | Path]) -> bool:
    """Whether the kept results are those of these outputs, unharmed."""
    if [path for path, _, _ in results] != [str(path) for path in outputs]:
        return False
    try:
        return all(sha256(place / str(number)) == digest for number, (_, _, digest) in enumerate(results))
    except OSError:
        return False


def _copy(kept: Path, path: Path) -> None:
    try:
        os.link(kept, path)
    except OSError:  # a file system without hard links, to which the experiment was copied
        shutil.copyfile(kept, path)


def _keep(path: Path, kept: Path) -> list:
    """Link a result, and give its name, size in bytes and hash."""
    noted = [str(path), path.stat().st_size, sha256(path)]
    kept.unlink(missing_ok=True)
    try:
        os.link(path, kept)
    except OSError as error:  # a file system without hard links: the job will have to work again
        log.debug("%s: cannot be kept (%s)", path, error)
    return noted
