"""Configuration of a sweep: which values of which keys are tried, and how they are chosen."""

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

import rnalm.config.importers.wandb as wandb
from rnalm.config import document
from rnalm.config.architectures import ARCHITECTURES
from rnalm.config.learning import METRICS, Finetune
from rnalm.config.parameter import Parameter
from rnalm.config.section import Section
from rnalm.errors import RnalmError, nearest

#: Trials of a fold where there is no grid to tell how many.
TRIALS = 20
#: A grid of more combinations than this is a mistake.
LARGEST_GRID = 100_000
#: Keys that decide what is trained and how fast, not how well.
FIXED = (
    *(f"finetune.{key}" for key in ("metric", "extra_epochs", "replicates", "gpus", "torch_compile", "from_scratch")),
    *("model.name", "model.pretrained"),
)


class Sweep(Section):
    """Which values to try in training. Each fold is searched by itself, on its training and validation rows only."""

    method: Literal["grid", "random", "bayes"] = "bayes"
    """`grid`: all combinations; `random`: each by chance; `bayes`: more where earlier trials did well (TPE)."""
    metric: str | None = None
    """Validation metric by which to compare trials; null: `finetune.metric`."""
    goal: Literal["minimize", "maximize"] | None = None
    """What to do with it; null: what is better."""
    parameters: dict[str, Parameter] = Field(min_length=1)
    """Each key, as in `finetune.learning_rate`, `model.layers` or `model.config.hidden_size`, and its values."""
    trials: int | None = Field(default=None, ge=1)
    """Trainings a fold; null: all of a grid, else 20."""
    workers: int = Field(default=1, ge=1)
    """Jobs that share the trials of a fold. Each uses one GPU at most."""
    pruning: bool = True
    """End a trial once it is worse than half of the others were after as many epochs."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training rows in a trial, at most; null: `finetune.epochs`."""

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, given: Any) -> Any:
        return wandb.sweep(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.method == "grid":
            for key, parameter in self.parameters.items():
                if parameter.size is None:
                    raise ValueError(f"parameters.{key}: a grid needs values, or a step")
            if self._combinations() > LARGEST_GRID:
                raise ValueError(
                    f"parameters: a grid of {self._combinations():,} combinations; expected {LARGEST_GRID:,} at most"
                )
        return self

    def _combinations(self) -> int:
        return math.prod(parameter.size or 0 for parameter in self.parameters.values())

    @property
    def count(self) -> int:
        """How many trials a fold has."""
        if self.method == "grid":
            return min(self._combinations(), self.trials or LARGEST_GRID)
        return self.trials or TRIALS

    def resolve(self, task: str, model: Section, finetune: Finetune) -> "Sweep":
        """Write out metric, goal and the names of keys, and check all values.

        Parameters
        ----------
        task : {'regression', 'classification'}
            The task of the experiment.
        model, finetune : Section
            What the sweep starts from.

        Raises
        ------
        ValueError
            In one line that begins with the key.
        """
        metric = wandb.metric(self.metric or finetune.metric)
        if metric not in METRICS[task]:
            raise ValueError(f"sweep.metric: {self.metric!r} is no metric of {task}; {nearest(metric, METRICS[task])}")
        goal = "maximize" if METRICS[task][metric] else "minimize"
        if self.goal not in (None, goal):
            raise ValueError(f"sweep.goal: expected {goal}, which is better for {metric}, found {self.goal}")
        parameters: dict[str, Parameter] = {}
        for name, parameter in self.parameters.items():
            key = _full(name, model)
            if key in parameters:
                raise ValueError(f"sweep.parameters.{name}: {key} is there twice")
            _check_values(name, key, parameter, model, finetune)
            parameters[key] = parameter
        if self.epochs is not None and "finetune.epochs" in parameters:
            raise ValueError("sweep.epochs cannot stand beside parameters.finetune.epochs")
        return self.model_copy(update={"metric": metric, "goal": goal, "parameters": dict(sorted(parameters.items()))})

    def check_pretrained(self) -> None:
        """Refuse keys, in full, that a model which is pretrained here leaves no choice of.

        Raises
        ------
        ValueError
            In one line that begins with the key.
        """
        for key in self.parameters:
            if key.startswith("model.") and "drop" not in key.rpartition(".")[2]:
                raise ValueError(
                    f"sweep.parameters.{key}: trials start from the weights of pretrain, which fix all of a model but its "
                    "dropout; set finetune.from_scratch: true, or sweep over keys of finetune"
                )


def merge(model: Mapping[str, Any], options: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[dict, dict]:
    """Set values in the sections that describe a training.

    Parameters
    ----------
    model, options : mapping
        The ``model`` and ``finetune`` sections as plain values; the latter may lack keys.
    values : mapping
        By key in full, as in ``model.config.hidden_size``.

    Returns
    -------
    tuple of dict
        The sections with the same keys as before, checked.

    Raises
    ------
    ValueError
        What is not valid any more.
    """
    sections = {"model": deepcopy(dict(model)), "finetune": dict(options)}
    for key, value in values.items():
        *path, name = key.split(".")
        place = sections
        for depth, part in enumerate(path, start=1):
            # An entry of a configuration may stand below one that is at its default, as in rope_parameters.
            if place.get(part) is None:
                place[part] = {}
            place = place[part]
            if not isinstance(place, dict):
                raise ValueError(f"{'.'.join(path[:depth])} is {place!r}, below which there are no keys")
        place[name] = value
    try:
        merged = ARCHITECTURES[sections["model"]["name"]](**sections["model"]).model_dump(mode="json")
        trained = Finetune(**sections["finetune"]).model_dump(mode="json")
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"{message[0].lower()}{message[1:]}") from None
    return merged, {key: trained[key] for key in options}


def _full(name: str, model: Section) -> str:
    """Find the key in full that a name means."""
    fields = {"finetune": Finetune.model_fields, "model": type(model).model_fields}
    known = [key for section, names in fields.items() for key in (f"{section}.{name}" for name in names) if key not in FIXED]
    if name in known or (name.startswith("model.config.") and "config" in fields["model"]):
        return name
    meant = [key for key in known if name in (key.partition(".")[2], *wandb.NAMES.get(key, ()))]
    if len(meant) > 1:
        raise ValueError(f"sweep.parameters.{name}: can be {' or '.join(meant)}; write it out")
    if not meant:
        names = known if "." in name else [key.partition(".")[2] for key in known]
        raise ValueError(f"sweep.parameters.{name}: no key of a model or its training to try; {nearest(name, names, 40)}")
    return meant[0]


def _check_values(name: str, key: str, parameter: Parameter, model: Section, finetune: Finetune) -> None:
    """Refuse values that the key cannot have."""
    for value in parameter.probes():
        try:
            merge(model.model_dump(), finetune.model_dump(), {key: value})
        except ValueError as error:
            raise ValueError(f"sweep.parameters.{name}: found {value!r}; {error}") from None


def _read(given: Any) -> Any:
    """Read a sweep from a file where its path is given."""
    if not isinstance(given, str):
        return given
    try:
        return Sweep.model_validate(document.read(given))
    except ValidationError as error:
        raise RnalmError(f"{given}: {_explain(error.errors(include_url=False)[0])}") from None


def _explain(problem: ErrorDetails) -> str:
    """Say what is wrong in a file; its keys are not in the configuration."""
    key = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known = Sweep.model_fields if len(problem["loc"]) == 1 else Parameter.model_fields
        return f"unknown key '{key}'; {nearest(problem['loc'][-1], known)}"
    if problem["type"] == "missing":
        return f"key '{key}' is missing"
    if problem["type"] == "value_error":
        return f"{key}.{message}" if key else message
    return f"{key}: found {problem['input']!r}; {message[0].lower()}{message[1:]}" if key else "expected keys and values"


#: A sweep, the path of a file with one, or none.
OptionalSweep = Annotated[Sweep | None, BeforeValidator(_read, json_schema_input_type=Sweep | str | None)]
