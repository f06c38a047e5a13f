"""Labels as the model sees them: scaled numbers or class indices, and back."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from rnalm.errors import RnalmError, nearest
from rnalm.files import read_json, write_json


@dataclass(frozen=True)
class Scaler:
    """An invertible scaling of regression labels, fitted on training rows.

    ``scaled = (transform(label) - center) / scale``, where transform is the natural logarithm for ``log`` and the
    identity otherwise.

    Attributes
    ----------
    method : {'none', 'log', 'minmax', 'standard'}
    center, scale : float
        Minimum and range for ``minmax``, mean and standard deviation for ``standard``, else 0 and 1.
    """

    method: str = "none"
    center: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, method: str, labels: np.ndarray) -> Self:
        """Fit on training labels ``(rows,)``.

        Raises
        ------
        RnalmError
            If the labels do not vary, for ``minmax`` and ``standard``.
        """
        if method in ("none", "log"):
            return cls(method)
        if method == "minmax":
            center, scale = labels.min(), np.ptp(labels)
        else:
            center, scale = labels.mean(), labels.std()
        # Rounding can give equal labels a tiny standard deviation, but not a range.
        if not np.ptp(labels) > 0:
            raise RnalmError(f"labels.scaling: all training labels are {labels[0]:g}, so {method} scaling is not possible")
        return cls(method, float(center), float(scale))

    def transform(self, labels: np.ndarray) -> np.ndarray:
        """Scale labels ``(rows,)``; for ``log`` they must be positive (see :func:`check_positive`)."""
        return ((np.log(labels) if self.method == "log" else labels) - self.center) / self.scale

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """Bring scaled values ``(...)`` back to the units of the labels."""
        values = scaled * self.scale + self.center
        return np.exp(values) if self.method == "log" else values


def check_positive(labels: np.ndarray, ids: Sequence[str]) -> None:
    """Refuse labels of which there is no logarithm.

    Raises
    ------
    RnalmError
        Naming the rows.
    """
    wrong = np.flatnonzero(~(labels > 0) & ~np.isnan(labels))
    if len(wrong):
        shown = ", ".join(f"{ids[row]} ({labels[row]:g})" for row in wrong[:5]) + (", …" if len(wrong) > 5 else "")
        raise RnalmError(f"labels.scaling: log needs labels > 0, found {len(wrong)} that are not: {shown}")


@dataclass(frozen=True)
class Labels:
    """What the outputs of a model mean; stored with it as ``labels.json``.

    Attributes
    ----------
    task : {'regression', 'classification'}
    scaler : Scaler
        For regression.
    classes : tuple of str
        For classification: the names, sorted; a name's position is its index.
    """

    task: str
    scaler: Scaler = Scaler()
    classes: tuple[str, ...] = ()

    @property
    def n_outputs(self) -> int:
        """Number of outputs of a model."""
        return len(self.classes) if self.task == "classification" else 1

    def to_targets(self, labels: np.ndarray) -> np.ndarray:
        """Turn labels ``(rows,)`` into float32 targets or int64 class indices ``(rows,)``.

        Raises
        ------
        RnalmError
            On a class that the model does not know.
        """
        if self.task == "regression":
            return self.scaler.transform(labels.astype(np.float64)).astype(np.float32)
        index = {name: position for position, name in enumerate(self.classes)}
        for name in labels:
            if name not in index:
                raise RnalmError(f"class {str(name)!r} is not among the classes of the model; {nearest(name, self.classes)}")
        return np.array([index[name] for name in labels], dtype=np.int64)

    def to_scores(self, logits: np.ndarray, scale: str = "probability") -> np.ndarray:
        """Turn model outputs ``(..., outputs)`` into label units, probabilities or logits, in float64.

        Parameters
        ----------
        logits : numpy.ndarray
        scale : {'probability', 'logit'}
            For classification.
        """
        logits = np.asarray(logits, dtype=np.float64)
        if self.task == "regression":
            return self.scaler.inverse(logits)
        if scale == "logit":
            return logits
        exponential = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponential / exponential.sum(axis=-1, keepdims=True)

    def save(self, path: str | Path) -> None:
        """Write ``labels.json``."""
        write_json(path, {**asdict(self), "classes": list(self.classes)})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read ``labels.json``."""
        content = read_json(path)
        try:
            return cls(content["task"], Scaler(**content["scaler"]), tuple(content["classes"]))
        except (KeyError, TypeError) as error:
            raise RnalmError(f"{path}: not a labels file of rnalm ({error})") from None


def fit(task: str, scaling: str, training: np.ndarray, classes: Sequence[str] = ()) -> Labels:
    """Fix what the outputs of a fold's model mean.

    Parameters
    ----------
    task : {'regression', 'classification'}
    scaling : str
        See :class:`Scaler`.
    training : numpy.ndarray
        Labels of the training rows ``(rows,)``; nothing else is looked at for regression.
    classes : sequence of str
        Names of all classes of the experiment, so that every fold's model has the same outputs.

    Raises
    ------
    RnalmError
        If there are fewer than two classes.
    """
    if task == "regression":
        return Labels(task, scaler=Scaler.fit(scaling, training.astype(np.float64)))
    names = tuple(sorted(set(classes)))
    if len(names) < 2:
        raise RnalmError(f"classification needs at least 2 classes, found {len(names)}: {', '.join(names)}")
    return Labels(task, classes=names)


def class_weights(targets: np.ndarray, n_classes: int) -> np.ndarray:
    """Weigh classes by inverse frequency in the training targets ``(rows,)``.

    Returns
    -------
    numpy.ndarray
        float64 ``(classes,)``: ``rows / (n_classes · count)``, as scikit-learn's ``balanced``; 0 for a class that does
        not occur.
    """
    counts = np.bincount(targets, minlength=n_classes)
    return np.where(counts > 0, len(targets) / (n_classes * np.maximum(counts, 1)), 0.0)


def check_same(labels: Sequence[Labels], model_folders: Sequence[str | Path]) -> None:
    """Refuse models whose outputs cannot be averaged.

    Raises
    ------
    RnalmError
    """
    for other, folder in zip(labels, model_folders, strict=True):
        if (other.task, other.classes) != (labels[0].task, labels[0].classes):
            raise RnalmError(
                f"{folder}: predicts {_meaning(other)}, but {model_folders[0]} predicts {_meaning(labels[0])}; "
                "models can be combined only if they predict the same"
            )


def _meaning(labels: Labels) -> str:
    return f"the classes {', '.join(labels.classes)}" if labels.classes else "a number"
