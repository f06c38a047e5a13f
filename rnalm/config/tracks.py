"""Configuration of what genome browsers show."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rnalm.config.contract import class_end
from rnalm.config.section import Section


class Elements(Section):
    """What an element is: a run of tokens whose effects are large together."""

    threshold: float = Field(default=0.95, gt=0, lt=1)
    """A run must be stronger than the strongest one in this share of the permutations of its sequence's effects; where places \
mean nothing, so large a share of sequences has no element."""
    permutations: int = Field(default=99, ge=1)
    """How many there are."""
    min_length: int = Field(default=3, ge=1)
    """Tokens of a run, at least."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.rank > self.permutations:
            least = math.ceil(self.threshold / (1 - self.threshold) - 1e-9)
            raise ValueError(
                f"permutations: {self.permutations} are too few for threshold {self.threshold}; expected {least} or more"
            )
        return self

    @property
    def rank(self) -> int:
        """Which of the permutations, from the weakest, a run must exceed."""
        # What is a whole number must not be rounded up for the last digit of a product.
        return math.ceil(self.threshold * (self.permutations + 1) - 1e-9)


class Tracks(Section):
    """Files for genome browsers: scores, predictions for tokens and effects of variants along sequences or a genome."""

    formats: list[Literal["bedgraph", "bigwig"]] = Field(default=["bedgraph"], min_length=1)
    """`bedgraph`, text; `bigwig`, which browsers read in parts; or both."""
    transcripts: str | None = None
    """GTF, or BED with twelve columns, that lays the sequences on a genome, by their ids; null: they stay in their own \
coordinates. Windows of a genome need none."""
    classes: list[Annotated[str, Field(min_length=1)]] = []
    """Classes or targets, each with files of its own; empty: one track, of what is explained, or of the only one."""
    elements: Elements | None = Elements()
    """The strongest elements, in a BED file for each mode of interpretation; null: none are looked for."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.formats)) < len(self.formats):
            raise ValueError(f"formats must differ from each other, found {self.formats}")
        ends = [class_end(name) for name in self.classes]
        if twice := next((name for name, end in zip(self.classes, ends, strict=True) if ends.count(end) > 1), None):
            raise ValueError(f"classes: {twice!r} would have the files of another one; expected each once")
        return self
