"""What a model folder consists of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnalm.config import contract
from rnalm.errors import RnalmError, nearest
from rnalm.files import read_json, sha256, write_json
from rnalm.models import code

#: Names the files where the weights of a large model are, instead of one.
INDEX = "model.safetensors.index.json"


def check(folder: str | Path) -> Path:
    """Refuse a folder that holds no whole model.

    Parameters
    ----------
    folder : path
        Of a trained model.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    RnalmError
        If it is not there, or a file in it is missing; the message names the file.
    """
    folder = _existing(folder)
    for name in contract.MODEL:
        if not (folder / name).is_file():
            what = "a tokenizer" if name == "tokenizer.json" else "its " + name.split(".")[0]
            raise RnalmError(f"{folder}: model folder without {what}; expected the file {name} in it")
    return folder


def _existing(folder: str | Path) -> Path:
    """Refuse a folder that is not there, with the nearest name that is."""
    folder = Path(folder)
    if not folder.is_dir():
        siblings = [str(path) for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
        raise RnalmError(f"{folder}: no such model folder; {nearest(folder, siblings)}")
    return folder


def gather(folders: Sequence[str | Path], output: str | Path) -> None:
    """Write the hash of each model, over all that loading it needs, as JSON by folder.

    Parameters
    ----------
    folders : sequence of path
        Of trained models.
    output : path
        The JSON file.

    Raises
    ------
    RnalmError
        If one of the folders is not whole.
    """
    write_json(output, {str(folder): sha256(*(check(folder) / name for name in contract.MODEL)) for folder in folders})


def check_trust(folder: str | Path) -> None:
    """Refuse a model that holds code of a user's own, unless it was said that it may be run.

    Parameters
    ----------
    folder : path
        Of a trained model.

    Raises
    ------
    RnalmError
        If there is code in it.
    """
    if read_json(Path(folder) / contract.CONFIG).get("model_type") == "file":
        hint = "to run it, set model: {folders: [...], trust: true} (or --trust)"
        raise RnalmError(f"{folder}: holds code of its own, which runs when the model is loaded; {hint}")


def starting_files(section: Mapping[str, Any]) -> list[Path]:
    """List the files of which a new model is made.

    Parameters
    ----------
    section : mapping
        The ``model`` section of the configuration, as plain values.

    Raises
    ------
    RnalmError
        If code is named that is not there.
    """
    own = code.files(section["path"]) if section["name"] == "file" else []
    weights = [Path(section["weights"])] if section.get("weights") else []
    return [*pretrained_files(section.get("pretrained")), *own, *weights]


def pretrained_files(pretrained: str | None) -> list[Path]:
    """List what a model that is trained further starts from, if that is a folder here and no name on the Hugging Face hub.

    Parameters
    ----------
    pretrained : str or None
        A folder, or a name on the Hugging Face hub.

    Returns
    -------
    list of pathlib.Path
        Configuration and weights; nothing where it is no folder here.
    """
    folder = Path(pretrained) if pretrained else None
    return sorted([*folder.glob("config.json"), *folder.glob("*.safetensors")]) if folder and folder.is_dir() else []


def weight_files(folder: str | Path) -> list[Path]:
    """List the files that hold a model's weights: one, or the index of its shards and these.

    Parameters
    ----------
    folder : path
        Of any model that transformers saved.

    Raises
    ------
    RnalmError
        If there is no such folder, or it lacks weights that it should have.
    """
    folder = _existing(folder)
    if (folder / contract.WEIGHTS).is_file():
        return [folder / contract.WEIGHTS]
    if not (folder / INDEX).is_file():
        names = sorted(path.name for path in folder.iterdir())
        shown = ", ".join(names[:6]) + ", …" * (len(names) > 6) or "nothing"
        raise RnalmError(f"{folder}: model folder without weights; found {shown}, expected {contract.WEIGHTS} or {INDEX}")
    files = [folder / INDEX, *sorted(set(weight_places(folder).values()))]
    for path in files:
        if not path.is_file():
            raise RnalmError(f"{path}: no such file, but {INDEX} names it")
    return files


def weight_places(folder: Path) -> dict[str, Path]:
    """Say in which shard each tensor is.

    Parameters
    ----------
    folder : path
        With an index of its weights.

    Returns
    -------
    dict of str to pathlib.Path
        The file of each tensor, by the tensor's name.

    Raises
    ------
    RnalmError
        If the index holds no such list.
    """
    content = read_json(folder / INDEX)
    if not isinstance(content, dict) or not isinstance(content.get("weight_map"), dict):
        raise RnalmError(f"{folder / INDEX}: found no weight_map, expected the shard of each tensor")
    return {name: folder / shard for name, shard in content["weight_map"].items()}
