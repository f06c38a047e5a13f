"""What importers of configurations share: names behind tags, and a configuration of ours with comments, in the making."""

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any

import yaml

from rnalm.errors import RnalmError

#: Letters of a comment's line.
WIDTH = 116
#: In which sections stand.
ORDER = ("output", "seed", "task", "source", "inference", "folds", "model", "finetune", "evaluate", "interpret", "variants")
#: Why keys have no equal, by section and key; ``*``: in any section.
WITHOUT_EQUAL = {
    "create_subdirectory": "`output` is the folder; an experiment that changes runs again where it changed",
    "load_test_set": "windows are drawn once, before training, and stand in OUTPUT/encoded",
    "mode": "each window has its part from the folds",
    "save_datasets": "all windows with their labels stand in OUTPUT/encoded/source.parquet",
    "cpu_n_threads": "cores are given to Snakemake: --cores",
    "data_parallel": "`finetune.gpus` is the number of GPUs that train together",
    "logging_verbosity": "logs stand in OUTPUT/logs",
    "metrics": "ROC AUC, average precision and more are always computed, of each class and as means",
    "save_new_checkpoints_after_n_steps": "the newest checkpoint and the best one are kept",
    "checkpoint_resume": "an interrupted training goes on by itself",
    "write_mem_limit": "predictions are written as they come",
    "n_features": "the classes are counted",
    "n_samples": "all rows of the file are taken",
    "random_seed": "rows are shuffled by `seed`",
    "shuffle": "training rows are shuffled in each pass, by `seed`",
    "output_format": "predictions are Parquet and CSV",
    "output_dir": "everything stands under `output`",
    "output_path_prefix": "everything stands under `output`",
    "use_sequence_name": "scores have the name of their sequence",
    "save_data": "predictions, and differences of probabilities or (`interpret.scale: logit`) logits",
}


class _Loader(yaml.SafeLoader):
    """Reads Selene's tags as names."""


@dataclass
class Tagged:
    """What a tag would make: its name, and the arguments."""

    name: str
    arguments: dict[str, Any]


def _construct(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    """Keep what a tag says, without running it."""
    if isinstance(node, yaml.MappingNode):
        arguments = {str(key): value for key, value in loader.construct_mapping(node, deep=True).items()}
        return Tagged(suffix.lstrip(": "), arguments)
    return Tagged(suffix.lstrip(": ") or str(node.value), {})


for _tag in ("!obj", "!import"):
    _Loader.add_multi_constructor(_tag, _construct)


@dataclass
class Imported:
    """A configuration of ours in the making.

    Attributes
    ----------
    settings : dict
        The sections, in the order in which they are written.
    notes : dict of str to list
        Comments, by section.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def note(self, section: str, text: str) -> None:
        """Add a comment to a section.

        Parameters
        ----------
        section : str
            Its key; ``""``: the head of the file.
        text : str
            What to say.
        """
        self.notes.setdefault(section, []).append(text)

    def text(self) -> str:
        """Write the configuration, as YAML."""
        lines = [f"# {text}" for text in self.notes.get("", [])]
        for key in dict.fromkeys([*(key for key in ORDER if key in self.settings), *self.settings, *filter(None, self.notes)]):
            own = self.settings.get(key)
            if own is not None:
                lines.append(yaml.safe_dump({key: own}, sort_keys=False, allow_unicode=True, width=120).rstrip())
            indent = "  " if isinstance(own, dict) else ""
            lines += [f"{indent}# {line}" for text in self.notes.get(key, []) for line in wrap(text, WIDTH)]
        return "\n".join(lines) + "\n"


def load_tagged(path: str | Path) -> Any:
    """Read YAML with tags that name what would be run, without running it.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    RnalmError
        If it cannot be read.
    """
    try:
        return _without_none(yaml.load(Path(path).read_text(encoding="utf-8"), _Loader))
    except FileNotFoundError:
        raise RnalmError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RnalmError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from None


def _without_none(value: Any) -> Any:
    """Read the word None as Selene's documents write it, as nothing; in YAML it is a text."""
    if isinstance(value, Tagged):
        return Tagged(value.name, _without_none(value.arguments))
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value]
    return None if value == "None" else value


def arguments(value: Any) -> dict[str, Any]:
    """Give what stands behind a tag, or without one.

    Parameters
    ----------
    value : Any
        As it was read.
    """
    return dict(value.arguments) if isinstance(value, Tagged) else dict(value or {})


def shown(value: Any) -> str:
    """Write a value as it stands there.

    Parameters
    ----------
    value : Any
        As it was read.
    """
    if isinstance(value, Tagged):
        return value.name
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(inner)}" for key, inner in value.items()) + "}"
    return str(value)


def comment(given: dict[str, Any], where: str, section: str, found: Imported) -> None:
    """Comment on every key that is left.

    Parameters
    ----------
    given : dict
        What is left.
    where : str
        In which section it stands there, with a dot.
    section : str
        To which section of ours it belongs.
    found : Imported
        Takes the comments.
    """
    for key, value in given.items():
        why = WITHOUT_EQUAL.get(key, "not known here")
        found.note(section, f"{where}{key}: {shown(value)} – {why}")


def file_of(value: Any) -> Any:
    """Give the file, or the list, behind ``load_features_list`` or ``Genome``.

    Parameters
    ----------
    value : Any
        As it was read.
    """
    return arguments(value).get("input_path") if isinstance(value, Tagged) else value
