"""How much each model of a fold, and its baseline, counts in what they predict together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.files import read_json
from rnalm.labels.labels import Labels, together


@dataclass(frozen=True)
class Stacked:
    """Weights of models and baselines.

    Attributes
    ----------
    weights : list of float
        Of each; those of a fold are 1 together.
    meaning : Labels
        What they predict together.
    """

    weights: list[float]
    meaning: Labels

    @classmethod
    def read(cls, folders: Sequence[str | Path], names: Sequence[str]) -> Self:
        """Read what :func:`rnalm.training.stack.weigh` found.

        Parameters
        ----------
        folders : sequence of path
            Of one or several folds.
        names : sequence of str
            Of models and baselines, in the order in which weights are wanted.

        Raises
        ------
        RnalmError
            If a folder holds something else, or there is no weight of a name.
        """
        found: dict[str, float] = {}
        for folder in folders:
            path = Path(folder) / contract.STACK
            own = read_json(path).get("weights")
            if not isinstance(own, dict):
                raise RnalmError(f"{path}: no weights of models")
            found |= own
        if missing := [name for name in names if name not in found]:
            raise RnalmError(f"{folders[0]}: no weight of {', '.join(missing)}; found those of {', '.join(found)}")
        return cls(
            [found[name] for name in names], together([Labels.load(Path(folder) / contract.LABELS) for folder in folders])
        )
