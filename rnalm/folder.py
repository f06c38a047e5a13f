"""What a model folder consists of."""

from collections.abc import Sequence
from pathlib import Path

from rnalm.errors import RnalmError, nearest
from rnalm.files import sha256, write_json

#: What loading needs.
FILES = ("config.json", "model.safetensors", "tokenizer.json", "labels.json")


def check(folder: str | Path) -> Path:
    """Refuse a folder that holds no whole model.

    Raises
    ------
    RnalmError
        Naming the file that is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        siblings = [str(path) for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
        raise RnalmError(f"{folder}: no such model folder; {nearest(folder, siblings)}")
    for name in FILES:
        if not (folder / name).is_file():
            what = "a tokenizer" if name == "tokenizer.json" else "its " + name.split(".")[0]
            raise RnalmError(f"{folder}: model folder without {what}; expected the file {name} in it")
    return folder


def gather(folders: Sequence[str | Path], output: str | Path) -> None:
    """Write the hash of each model, over all that loading it needs, as JSON by folder.

    Raises
    ------
    RnalmError
        If one of them is not whole.
    """
    write_json(output, {str(folder): sha256(*(check(folder) / name for name in FILES)) for folder in folders})


def pretrained_files(pretrained: str | None) -> list[Path]:
    """List what a model that is trained further starts from, if that is a folder here and no name on the Hugging Face hub."""
    folder = Path(pretrained) if pretrained else None
    return sorted([*folder.glob("config.json"), *folder.glob("*.safetensors")]) if folder and folder.is_dir() else []
