"""How W&B and the Trainer of transformers say what a sweep is, and how we do.

W&B's words: https://docs.wandb.ai/guides/sweeps/sweep-config-keys
"""

import re
from typing import Any

from rnalm.errors import nearest

#: Distributions that can be drawn from, and what they need.
DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "constant": ("values",),
    "categorical": ("values",),
    "int_uniform": ("min", "max"),
    "uniform": ("min", "max"),
    "q_uniform": ("min", "max"),
    "log_uniform_values": ("min", "max"),
}

#: What is said of a sweep that concerns W&B alone.
LABELS = ("name", "description", "project", "entity", "program", "command")

#: How the name of a validation metric begins.
PREFIXES = ("eval/", "eval_", "validation/", "val/", "val_")

#: Metrics without such a beginning.
METRICS = {"f1": "f1_weighted", "auc": "roc_auc", "auroc": "roc_auc", "auprc": "pr_auc"}

#: Other names of our keys.
NAMES = {
    "finetune.epochs": ("num_train_epochs",),
    "finetune.batch_size": ("per_device_train_batch_size", "train_batch_size"),
    "finetune.gradient_accumulation": ("gradient_accumulation_steps",),
    "finetune.learning_rate": ("lr",),
    "finetune.scheduler": ("lr_scheduler_type",),
    "finetune.warmup": ("warmup_ratio",),
}


def metric(name: str) -> str:
    """Give our name of a validation metric.

    Parameters
    ----------
    name : str
        A metric as W&B's users write it, as in ``eval/f1``.
    """
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return METRICS.get(name, name)


def sweep(given: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys of a sweep to ours.

    Parameters
    ----------
    given : dict
        A sweep in W&B's words, or in ours.

    Raises
    ------
    ValueError
        On a part of the metric that we do not know.
    """
    settings = {key: value for key, value in given.items() if key not in LABELS}
    if "run_cap" in settings:
        settings["trials"] = settings.pop("run_cap")
    if isinstance(told := settings.get("metric"), dict):
        for key in told.keys() - {"name", "goal"}:
            raise ValueError(f"metric.{key} is not supported; {nearest(key, ['name', 'goal'])}")
        settings |= {"metric": told.get("name"), "goal": told.get("goal", settings.get("goal"))}
    return settings


def parameter(given: dict[str, Any]) -> dict[str, Any]:
    """Say with ``values``, ``min``, ``max``, ``step`` and ``log`` what was said with other words.

    Parameters
    ----------
    given : dict
        One of its parameters, in W&B's words or in ours.

    Raises
    ------
    ValueError
        On two words for one thing, or a distribution that we cannot draw from.
    """
    settings = {key: value for key, value in given.items() if value is not None}
    for name, ours in (("value", "values"), ("q", "step")):
        if name in settings and ours in settings:
            raise ValueError(f"{name} and {ours} say the same; expected one of them")
        if name in settings:
            settings[ours] = [settings.pop(name)] if name == "value" else settings.pop(name)
    if isinstance(settings.get("values"), list):
        settings["values"] = [_number(value) for value in settings["values"]]
    return _draw(settings, settings.pop("distribution")) if "distribution" in settings else settings


def _number(value: Any) -> Any:
    """Read ``1e-4`` as the number that it is: to YAML it is text."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value) else value


def _draw(settings: dict[str, Any], distribution: Any) -> dict[str, Any]:
    """Say what the name of a distribution says."""
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution: {distribution!r} is not supported; expected one of {', '.join(DISTRIBUTIONS)}")
    for key in DISTRIBUTIONS[distribution]:
        if key not in settings:
            raise ValueError(f"{key} is missing, which distribution {distribution} needs")
    if distribution == "log_uniform_values":
        settings["log"] = True
    if distribution == "q_uniform":
        settings.setdefault("step", 1)
    ends = {key: float(_number(settings[key])) for key in ("min", "max") if isinstance(_number(settings.get(key)), int | float)}
    if distribution == "int_uniform":
        for key, end in ends.items():
            if not end.is_integer():
                raise ValueError(f"{key} must be an integer for distribution int_uniform, found {settings[key]}")
        return settings | {key: int(end) for key, end in ends.items()}
    # Drawn from integers, these are fractions all the same.
    return settings | ends if distribution in ("uniform", "log_uniform_values") else settings
