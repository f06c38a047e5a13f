"""Labels ─► numbers that a model computes with, and back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from rnalm.errors import RnalmError

if TYPE_CHECKING:
    from torch import Tensor

#: Labels are centred where their mean is this many standard deviations from 0: float32, in which models compute, has 7 digits,
#: and would tell 100000001 and 100000002 no longer apart.
FAR = 1000

#: What goes back to the units of labels: arrays, and tensors, with their gradients.
Numbers = TypeVar("Numbers", np.ndarray, "Tensor")


@dataclass(frozen=True)
class Scaler:
    """An invertible scaling of regression labels, fitted on training rows.

    Attributes
    ----------
    method : {'none', 'log', 'minmax', 'standard'}
        ``log`` takes the natural logarithm of a label first, and the others the label itself.
    center, scale : float
        What is then subtracted, and by what the difference is divided: minimum and range for ``minmax``, mean and standard
        deviation for ``standard``, else 0 and 1; but where labels vary little about a mean far from 0, their mean and 1.

    Examples
    --------
    >>> scaler = Scaler.fit("standard", np.array([1.0, 3.0]))
    >>> scaler.transform(np.array([1.0, 2.0, 5.0])).tolist()
    [-1.0, 0.0, 3.0]
    >>> scaler.inverse(np.array([-1.0, 0.0, 3.0])).tolist()
    [1.0, 2.0, 5.0]
    """

    method: str = "none"
    center: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, method: str, labels: np.ndarray) -> Self:
        """Fit on training labels.

        Parameters
        ----------
        method : {'none', 'log', 'minmax', 'standard'}
            How to scale.
        labels : numpy.ndarray
            Labels of the training rows ``(rows,)``; for ``log`` they must be positive.

        Raises
        ------
        RnalmError
            If the labels do not vary, for ``minmax`` and ``standard``.
        """
        if method in ("none", "log"):
            values = np.log(labels) if method == "log" else labels
            mean, sd = values.mean(), values.std()
            return cls(method, float(mean)) if np.ptp(values) > 0 and abs(mean) > FAR * sd else cls(method)
        if method == "minmax":
            center, scale = labels.min(), np.ptp(labels)
        else:
            center, scale = labels.mean(), labels.std()
        # Rounding can give equal labels a tiny standard deviation, but not a range.
        if not np.ptp(labels) > 0:
            raise RnalmError(f"labels.scaling: all training labels are {labels[0]:g}, so {method} scaling is not possible")
        return cls(method, float(center), float(scale))

    def transform(self, labels: np.ndarray) -> np.ndarray:
        """Scale labels.

        Parameters
        ----------
        labels : numpy.ndarray
            Of any shape; for ``log`` they must be positive (see :func:`check_positive`).

        Returns
        -------
        numpy.ndarray
            Of the same shape.
        """
        return ((np.log(labels) if self.method == "log" else labels) - self.center) / self.scale

    def inverse(self, scaled: Numbers) -> Numbers:
        """Bring scaled values back to the units of the labels.

        Parameters
        ----------
        scaled : numpy.ndarray or Tensor
            Of any shape.

        Returns
        -------
        numpy.ndarray or Tensor
            Of the same kind and shape.
        """
        values = scaled * self.scale + self.center
        if self.method != "log":
            return values
        return np.exp(values) if isinstance(values, np.ndarray) else values.exp()


#: Labels as they are.
UNSCALED = Scaler()


def check_positive(labels: np.ndarray, name: Callable[[np.ndarray], Sequence[str]]) -> None:
    """Refuse labels of which there is no logarithm.

    Parameters
    ----------
    labels : numpy.ndarray
        ``(rows,)``; NaN where a row has none, which is not refused.
    name : callable
        Gives what rows are called, of their numbers.

    Raises
    ------
    RnalmError
        If a label is 0 or less; it names the rows.
    """
    wrong = np.flatnonzero(~(labels > 0) & ~np.isnan(labels))
    if len(wrong):
        told = zip(name(wrong[:5]), labels[wrong[:5]], strict=True)
        shown = ", ".join(f"{own} ({label:g})" for own, label in told) + (", …" if len(wrong) > 5 else "")
        raise RnalmError(f"labels.scaling: log needs labels > 0, found {len(wrong)} that are not: {shown}")
