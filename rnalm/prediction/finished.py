"""Folders of finished experiments ─► what can be compared of them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rnalm.config import contract
from rnalm.errors import RnalmError, nearest
from rnalm.files import read_json
from rnalm.labels.labels import Labels, together

#: Files of an experiment, in its folder.
ENCODED, FOLDS = "encoded/source.parquet", "folds.parquet"


@dataclass(frozen=True)
class Finished:
    """An experiment whose models were trained and tested.

    Attributes
    ----------
    folder : Path
        Where it lies.
    name : str
        What it is called here.
    labels : Labels
        What the outputs of its models mean, together.
    models : dict of str to list of Path
        Folders of the models of each fold.
    """

    folder: Path
    name: str
    labels: Labels
    models: dict[str, list[Path]]

    @property
    def predictions(self) -> Path:
        """What its models predicted for the rows that they had not seen."""
        stage = "tracks" if self.labels.per == "token" else "predict"
        return self.folder / contract.place(stage, "source") / contract.PREDICTIONS

    def tested(self) -> dict[str, dict[str, float]]:
        """Give what each fold achieves on its test rows, by name of the metric: stacked, or else the mean of its models."""
        found, summary = {}, self.folder / "fine-tune" / "summary.csv"
        # A stack may be of an earlier run; what was summarized last tells.
        stacked = summary.is_file() and pd.read_csv(summary)["metric"].str.startswith("stack_").any()
        for fold, folders in self.models.items():
            together = self.folder / "stack" / fold / contract.RESULTS
            if stacked and together.is_file():
                found[fold] = {name: own for name, own in read_json(together).items() if isinstance(own, int | float)}
                continue
            each = [
                read_json(folder / contract.TEST_RESULTS) for folder in folders if (folder / contract.TEST_RESULTS).is_file()
            ]
            numbers = [{k.removeprefix("test_"): v for k, v in one.items() if isinstance(v, int | float)} for one in each]
            if numbers:
                found[fold] = pd.DataFrame(numbers).mean().to_dict()
        return found

    def histories(self) -> dict[str, list[dict]]:
        """Give how each model was trained, by its name."""
        every = [folder for folders in self.models.values() for folder in folders]
        return {folder.name: read_json(folder / contract.HISTORY)["log_history"] for folder in every}

    def scores(self) -> dict[str, Path]:
        """Give the files of merged scores, by mode."""
        folder = self.folder / contract.place("interpret", "source")
        return {path.stem.removeprefix("loo_scores_"): path for path in sorted(folder.glob("loo_scores_*.parquet"))}

    def parts(self) -> pd.DataFrame:
        """Give the part of each row in each fold: ``fold`` as text, ``id``, ``part``."""
        frame = pd.read_parquet(self.folder / FOLDS)
        return frame.assign(fold=frame["fold"].astype(str))

    def groups(self, ids: Sequence[str]) -> np.ndarray:
        """Tell which rows a split keeps together, by a number for each group; a row without a group is one of its own.

        Parameters
        ----------
        ids : sequence of str
            The rows.
        """
        frame = pd.read_parquet(self.folder / ENCODED, columns=["id", "group"]).set_index("id").loc[list(ids)]
        numbers = pd.factorize(frame["group"])[0]  # -1 where there is none
        alone = numbers < 0
        numbers[alone] = len(frame) + np.arange(alone.sum())
        return np.unique(numbers, return_inverse=True)[1]


def read(folders: Sequence[str | Path]) -> list[Finished]:
    """Read experiments that are to be compared.

    Parameters
    ----------
    folders : sequence of path
        Their folders: the ``output`` of each configuration.

    Raises
    ------
    RnalmError
        If there are fewer than two, one is named twice, is no experiment or not finished, or they do not predict the same.
    """
    places = [Path(folder) for folder in folders]
    if len({place.resolve() for place in places}) < max(2, len(places)):
        raise RnalmError(f"compare: found {', '.join(map(str, places))}, expected two or more folders, each another one")
    # The shortest names that tell them apart: the last parts of their paths, or all but what these begin with.
    whole = [place.resolve() for place in places]
    above = os.path.commonpath([path.parent for path in whole])
    single = len({path.name for path in whole}) == len(whole)
    found = [
        _read(place, path.name if single else str(path.relative_to(above))) for place, path in zip(places, whole, strict=True)
    ]
    for other in found[1:]:
        _check_same(found[0], other)
    return found


def _read(folder: Path, name: str) -> Finished:
    """Read an experiment."""
    models = sorted(path.parent for path in folder.glob(f"fine-tune/*/{contract.LABELS}"))
    if not models:
        beside = sorted({str(path.parents[2]) for path in folder.parent.glob(f"*/fine-tune/*/{contract.LABELS}")})
        expected = f"no experiment, expected the output of one, with fine-tune/*/{contract.LABELS}"
        what = expected if folder.is_dir() else "no such folder"
        raise RnalmError(f"{folder}: {what}; {nearest(folder, beside)}")
    by_fold: dict[str, list[Path]] = {}
    for path in sorted(models, key=lambda path: [int(part) for part in path.name.split(".")]):
        by_fold.setdefault(path.name.partition(".")[0], []).append(path)
    labels = together([Labels.load(path / contract.LABELS) for path in models])
    finished = Finished(folder, name, labels, by_fold)
    needed = [finished.predictions, folder / ENCODED, folder / FOLDS]
    for path in needed:
        if not path.is_file():
            raise RnalmError(f"{path}: no such file; the experiment is not finished: run its targets predict and report first")
    return finished


def _check_same(first: Finished, other: Finished) -> None:
    """Refuse experiments that predict different things."""
    theirs = {"task": (first.labels.task, other.labels.task), "labels.per": (first.labels.per, other.labels.per)}
    for key, (expected, found) in theirs.items():
        if found != expected:
            raise RnalmError(f"{other.folder}: {key} is {found}, expected {expected}, as of {first.folder}")
    if first.labels.classes != other.labels.classes:
        kind = "targets" if first.labels.task == "regression" else "classes"
        found, expected = (_listed(one.labels.classes) for one in (other, first))
        raise RnalmError(f"{other.folder}: {kind} are {found}, expected {expected}, as of {first.folder}")


def _listed(names: Sequence[str], most: int = 8) -> str:
    """Write the first of some names."""
    return ", ".join(names[:most]) + (f", … ({len(names)})" if len(names) > most else "") if names else "one without a name"


def differing(configs: Mapping[str, dict | None]) -> dict[str, list]:
    """List the keys in which configurations differ, and their values, None where a key is not there.

    Parameters
    ----------
    configs : mapping
        The configuration of each experiment; of None, nothing is known and nothing told.

    Examples
    --------
    >>> differing({"a": {"seed": 1, "model": {"width": 8}}, "b": {"seed": 1, "model": {"width": 16}}})
    {'model.width': [8, 16]}
    """
    flat = [_flat(config) for config in configs.values() if config is not None]
    keys = dict.fromkeys(key for one in flat for key in one if key != "output" and not key.startswith("report."))
    rows = {key: [one.get(key) for one in flat] for key in keys}
    return {key: values for key, values in rows.items() if any(value != values[0] for value in values)}


def _flat(value: dict, above: str = "") -> dict[str, object]:
    """Name nested keys with dots between them."""
    found: dict[str, object] = {}
    for key, one in value.items():
        # What is empty says no more than what is not there.
        found |= _flat(one, f"{above}{key}.") if isinstance(one, dict) else {f"{above}{key}": one}
    return found
