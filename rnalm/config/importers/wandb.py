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
    """Give our name of a validation metric."""
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return METRICS.get(name, name)


def sweep(given: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys of a sweep to ours.

    Raises
    ------
    ValueError
        On a part of the metric that we do not know.
    """
    found = {key: value for key, value in given.items() if key not in LABELS}
    if "run_cap" in found:
        found["trials"] = found.pop("run_cap")
    if isinstance(told := found.get("metric"), dict):
        for key in told.keys() - {"name", "goal"}:
            raise ValueError(f"metric.{key} is not supported; {nearest(key, ['name', 'goal'])}")
        found |= {"metric": told.get("name"), "goal": told.get("goal", found.get("goal"))}
    return found


def parameter(given: dict[str, Any]) -> dict[str, Any]:
    """Say with ``values``, ``min``, ``max``, ``step`` and ``log`` what was said with other words.

    Raises
    ------
    ValueError
        On two words for one thing, or a distribution that we cannot draw from.
    """
    found = {key: value for key, value in given.items() if value is not None}
    for name, ours in (("value", "values"), ("q", "step")):
        if name in found and ours in found:
            raise ValueError(f"{name} and {ours} say the same; expected one of them")
        if name in found:
            found[ours] = [found.pop(name)] if name == "value" else found.pop(name)
    if isinstance(found.get("values"), list):
        found["values"] = [_number(value) for value in found["values"]]
    return _draw(found, found.pop("distribution")) if "distribution" in found else found


def _number(value: Any) -> Any:
    """Read ``1e-4`` as the number that it is: to YAML it is text."""
    return float(value) if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value) else value


def _draw(found: dict[str, Any], distribution: Any) -> dict[str, Any]:
    """Say what the name of a distribution says."""
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution: {distribution!r} is not supported; expected one of {', '.join(DISTRIBUTIONS)}")
    for key in DISTRIBUTIONS[distribution]:
        if key not in found:
            raise ValueError(f"{key} is missing, which distribution {distribution} needs")
    if distribution == "log_uniform_values":
        found["log"] = True
    if distribution == "q_uniform":
        found.setdefault("step", 1)
    ends = {key: float(_number(found[key])) for key in ("min", "max") if isinstance(_number(found.get(key)), int | float)}
    if distribution == "int_uniform":
        for key, end in ends.items():
            if not end.is_integer():
                raise ValueError(f"{key} must be an integer for distribution int_uniform, found {found[key]}")
        return found | {key: int(end) for key, end in ends.items()}
    # Drawn from integers, these are fractions all the same.
    return found | ends if distribution in ("uniform", "log_uniform_values") else found
