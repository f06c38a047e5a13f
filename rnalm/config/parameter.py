"""Configuration of one parameter of a sweep: a list of values, or a range."""

import json
import math
from fractions import Fraction
from typing import Any, Self

from pydantic import Field, model_validator

import rnalm.config.importers.wandb as wandb
from rnalm.config.section import Section

#: A fractional step that is a smaller share of its range's ends than this is lost in the rounding of floats.
FINEST = 1e-7


class Parameter(Section):
    """The values of a key: a list, or a range. W&B's words are known, too."""

    values: list[Any] | None = Field(default=None, min_length=1)
    """The values to choose from."""
    min: int | float | None = None
    """The lowest value of a range; with integers at both ends it is a range of integers."""
    max: int | float | None = None
    """The highest."""
    step: int | float | None = Field(default=None, gt=0)
    """From one value of the range to the next; null: 1 between integers, else any value between the ends."""
    log: bool = False
    """Draw evenly on a logarithmic scale."""
    value: Any = None
    """The only value."""
    q: int | float | None = None
    """W&B's name of `step`."""
    distribution: str | None = None
    """What W&B calls it: `constant`, `categorical`, `int_uniform`, `uniform`, `q_uniform` or `log_uniform_values`."""

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, given: Any) -> Any:
        return wandb.parameter(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.values is not None:
            if (self.min, self.max, self.step, self.log) != (None, None, None, False):
                raise ValueError("values cannot stand beside min, max, step and log")
            if len(set(map(_written, self.values))) < len(self.values):
                raise ValueError(f"values must differ from each other, found {self.values}")
        elif self.min is None or self.max is None:
            raise ValueError("values is missing, or min and max")
        elif self.min >= self.max:
            raise ValueError(f"min must be less than max, found {self.min} and {self.max}")
        elif self.log and (self.min <= 0 or self.step is not None):
            found = f"min {self.min}" if self.min <= 0 else f"step {self.step}"
            raise ValueError(f"log needs a min above 0 and no step, found {found}")
        elif self.step is not None and not self._divisible():
            found = f"steps of {self.step} from {self.min} to {self.max}"
            raise ValueError(f"{found} are too fine to be counted exactly; round these numbers, or leave step out")
        return self

    def _divisible(self) -> bool:
        """Whether numbers have digits enough to tell the steps of a range apart, and to say where they end."""
        low, high = self.ends
        last, step = (self.size or 0) - 1, self.step or 1
        exact = Fraction(str(self.at(last))) == climb(low, step, last)
        return self.integer or (exact and step >= FINEST * max(abs(low), abs(high)))

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value of a range; a list of values has none."""
        assert self.min is not None
        assert self.max is not None
        return self.min, self.max

    @property
    def integer(self) -> bool:
        """Whether this is a range of integers."""
        return all(isinstance(value, int) for value in (self.min, self.max, self.step or 1))

    @property
    def size(self) -> int | None:
        """How many values there are; None if they cannot be counted."""
        if self.values is not None:
            return len(self.values)
        if self.step is None and not self.integer:
            return None
        low, high, step = (Fraction(str(number)) for number in (self.min, self.max, self.step or 1))
        return 1 + (high - low) // step

    def at(self, place: int) -> Any:
        """Give the value at a place, from 0, where values can be counted.

        Parameters
        ----------
        place : int
            Which of the values, from 0 on.
        """
        if self.values is not None:
            return self.values[place]
        value = climb(self.ends[0], self.step or 1, place)
        return int(value) if self.integer else float(value)

    def listed(self) -> list[Any]:
        """List all values, where they can be counted."""
        return [self.at(place) for place in range(self.size or 0)]

    def probes(self) -> list[Any]:
        """Give values that stand for all: if these are valid, so are those between them."""
        if self.values is not None:
            return self.values
        if self.size is not None:
            return [self.at(place) for place in sorted({0, 1, self.size - 1}) if place < self.size]
        # Where any number can be drawn, so can a fraction.
        low, high = self.ends
        return [low, low + (high - low) / math.pi, high]


def climb(low: float, step: float, count: int) -> Fraction:
    """Go up some steps in decimals, as numbers are written: from 0, three of 0.1 lead to 0.3, which they miss in floats.

    Parameters
    ----------
    low, step : float
        Where to begin, and how far each step goes.
    count : int
        How many steps to go.
    """
    return Fraction(str(low)) + count * Fraction(str(step))


def _written(value: Any) -> str:
    """Write a value as JSON, as studies keep it."""
    try:
        return json.dumps(value)
    except TypeError:
        expected = "expected numbers, text, true, false, null, or lists of these; put a date in quotes"
        raise ValueError(f"values: found {value}; {expected}") from None
