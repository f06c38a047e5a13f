"""Labels ─► numbers that a model computes with, and back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

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
    center, scale : float or tuple of float
        What is then subtracted, and by what the difference is divided: minimum and range for ``minmax``, mean and standard
        deviation for ``standard``, else 0 and 1; but where labels vary little about a mean far from 0, their mean and 1. Of
        several targets one each.

    Examples
    --------
    >>> scaler = Scaler.fit("standard", np.array([1.0, 3.0]))
    >>> scaler.transform(np.array([1.0, 2.0, 5.0])).tolist()
    [-1.0, 0.0, 3.0]
    >>> scaler.inverse(np.array([-1.0, 0.0, 3.0])).tolist()
    [1.0, 2.0, 5.0]
    """

    method: str = "none"
    center: float | tuple[float, ...] = 0.0
    scale: float | tuple[float, ...] = 1.0

    @classmethod
    def read(cls, content: dict[str, Any]) -> Self:
        """Make the scaling that a file tells.

        Parameters
        ----------
        content : dict
            Its attributes by name; several numbers are a list.

        Raises
        ------
        KeyError
            If one is missing.
        """

        def number(own: float | list[float]) -> float | tuple[float, ...]:
            return tuple(own) if isinstance(own, list) else own

        return cls(content["method"], number(content["center"]), number(content["scale"]))

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

    @classmethod
    def fit_each(cls, method: str, labels: np.ndarray, names: Sequence[str]) -> Self:
        """Fit on training labels of several targets, each by itself; one that no row has stays as it is.

        Parameters
        ----------
        method : {'none', 'log', 'minmax', 'standard'}
            How to scale.
        labels : numpy.ndarray
            Of the training rows, NaN where one is not known ``(rows, targets)``.
        names : sequence of str
            Of the targets.

        Raises
        ------
        RnalmError
            If those of a target do not vary, for ``minmax`` and ``standard``; it names the target.
        """
        each = []
        for name, own in zip(names, labels.T, strict=True):
            known = own[~np.isnan(own)]
            try:
                each.append(cls.fit(method, known) if len(known) else cls(method))
            except RnalmError as error:
                raise RnalmError(f"target {name}: {error}") from None
        return cls(method, tuple(own.center for own in each), tuple(own.scale for own in each))

    def transform(self, labels: np.ndarray) -> np.ndarray:
        """Scale labels.

        Parameters
        ----------
        labels : numpy.ndarray
            Of any shape, or of several targets ``(..., targets)``; for ``log`` they must be positive (see
            :func:`check_positive`).

        Returns
        -------
        numpy.ndarray
            Of the same shape.
        """
        return ((np.log(labels) if self.method == "log" else labels) - np.array(self.center)) / np.array(self.scale)

    def inverse(self, scaled: Numbers) -> Numbers:
        """Bring scaled values back to the units of the labels.

        Parameters
        ----------
        scaled : numpy.ndarray or Tensor
            Of any shape, or of several targets ``(..., targets)``.

        Returns
        -------
        numpy.ndarray or Tensor
            Of the same kind and shape.
        """
        values = scaled * numbers_like(scaled, self.scale) + numbers_like(scaled, self.center)
        if self.method != "log":
            return values
        return np.exp(values) if isinstance(values, np.ndarray) else values.exp()  # pyright: ignore[reportReturnType]


def numbers_like(values: Any, numbers: float | Sequence[float]) -> Any:
    """Give one number as it stands, and several as values are that they are added to, or multiplied by.

    Parameters
    ----------
    values : numpy.ndarray or Tensor
        ``(..., targets)``
    numbers : float or sequence of float
        One, or one a target.
    """
    if isinstance(numbers, int | float):
        return numbers
    return np.array(numbers) if isinstance(values, np.ndarray) else values.new_tensor(numbers)


#: Labels as they are.
UNSCALED = Scaler()


def check_positive(labels: np.ndarray, name: Callable[[np.ndarray], Sequence[str]]) -> None:
    """Refuse labels of which there is no logarithm.

    Parameters
    ----------
    labels : numpy.ndarray
        ``(rows,)`` or ``(rows, targets)``; NaN where a row has none, which is not refused.
    name : callable
        Gives what rows are called, of their numbers.

    Raises
    ------
    RnalmError
        If a label is 0 or less; it names the rows.
    """
    least = np.where(np.isnan(labels), np.inf, labels).reshape(len(labels), -1).min(axis=1)
    wrong = np.flatnonzero(~(least > 0))
    if len(wrong):
        told = zip(name(wrong[:5]), least[wrong[:5]], strict=True)
        shown = ", ".join(f"{own} ({label:g})" for own, label in told) + (", …" if len(wrong) > 5 else "")
        raise RnalmError(f"labels.scaling: log needs labels > 0, found {len(wrong)} that are not: {shown}")
