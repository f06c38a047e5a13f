"""Configuration of what is made with trained models."""

import math
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rnalm.config import contract
from rnalm.config.section import Names, Section


class Sites(Section):
    """Which sites are listed."""

    motif: str | None = Field(default=None, min_length=1, pattern=r"^[A-Za-z]+$")
    """List positions only where these letters begin, as in `ATG`; U and T are the same, and `N` is any. null: all positions."""
    top: int = Field(default=3, ge=1)
    """List so many times as many sites of each split as are known there; where none is known, as there are sequences."""
    of: str | None = None
    """The class whose sites are listed; null: the second of two."""


class Predict(Section):
    """How predictions are made."""

    batch_tokens: int = Field(default=262144, ge=1)
    """Tokens in one forward pass, at most (a longer sequence goes alone)."""
    sites: Sites | None = None
    """For `labels.per: token` and classes: list the most probable sites in `sites.csv`; null: do not."""
    formats: list[Literal["bedgraph", "npy", "tsv", "hdf5"]] = []
    """Beside Parquet. Of sequences: `tsv` or `hdf5`, the files that Selene writes, in `selene/`, with all digits. For \
`labels.per: token`: `bedgraph`, one file for each output, and `npy`, the ragged arrays of TIS Transformer."""

    def unfit(self, per: str) -> str | None:
        """Say which of the formats are not for what has an output; None: all are.

        Parameters
        ----------
        per : {'sequence', 'token'}
            What has one.
        """
        able = contract.TRACKS if per == "token" else contract.ENDS
        wrong = [name for name in self.formats if name not in able]
        return f"{', '.join(wrong)}; expected {' or '.join(able)}" if wrong else None


class Evaluate(Section):
    """For `task: multilabel` of sequences: the files in which Selene evaluates predictions (`test_performance.txt`, …)."""

    classes: Names = None
    """Which classes they hold, in this order: a list, or a file with one in each line. null: all, as the models have them."""
    min_positives: int = Field(default=10, ge=0)
    """A class of which no more rows are is `NA` in them, as it is where all rows are of it."""


#: Methods of interpretation, and the keys that are for one of them alone.
METHODS: dict[str, tuple[str, ...]] = {
    "loo": ("level", "modes", "explain_at", "scorer", "replacements", "replace_modifiers", "mutate", "formats"),
    "integrated_gradients": ("steps",),
}

#: What of the interpretation is held against the data before any training.
CHECKED = {"method", "level", "modes", "replacements", "replace_modifiers", "mutate", "explain", "explain_at"}


class Mutate(Section):
    """Which letters mode `mutate` exchanges: every combination of `bases` positions, each for every other letter."""

    bases: int = Field(default=1, ge=1)
    """How many positions are exchanged at a time."""
    start: Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=r"^center:[1-9]\d*$")] = 0
    """The first position of the region whose letters are exchanged, 0-based, in the uncut sequence; or `center:100`: the 100 \
positions in the middle of what the model sees."""
    end: int | None = Field(default=None, ge=1)
    """The position after the region; null: to the end."""
    regions: str | None = None
    """BED file of regions in the sequences' own coordinates, in place of `start` and `end`: the first column is the id. \
Sequences that it does not name are not scored."""
    letters: list[str] | None = Field(default=None, min_length=2)
    """The letters, in the order of their scores; null: A, C, G and T or U, for proteins the 20 amino acids, as the tokenizer \
writes them, or, where a token has several letters and is one position (`token_sep`), all tokens."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.regions and (self.start != 0 or self.end is not None):
            raise ValueError("regions takes the place of start and end; expected one or the other")
        if isinstance(self.start, str) and self.end is not None:
            raise ValueError(f"end: start is {self.start!r}, which says where the region ends")
        if (width := self.width) is not None and width < self.bases:
            raise ValueError(f"the region has {max(0, width)} positions, expected bases ({self.bases}) or more")
        if self.letters and len(set(self.letters)) < len(self.letters):
            raise ValueError(f"letters must differ from each other, found {self.letters}")
        return self

    @property
    def width(self) -> int | None:
        """How many positions the region has; None where that depends on the sequence."""
        if isinstance(self.start, str):
            return int(self.start.partition(":")[2])
        return None if self.end is None else self.end - self.start

    def within(self, first: int, after: int) -> tuple[int, int]:
        """Give the region of a sequence of which the model sees some positions; it may leave these.

        Parameters
        ----------
        first, after : int
            What the model sees, half-open.

        Examples
        --------
        >>> Mutate(start="center:3").within(10, 18)
        (12, 15)
        """
        if isinstance(self.start, str):
            width = int(self.start.partition(":")[2])
            begin = first + (after - first - width) // 2
            return begin, begin + width
        return self.start or first, after if self.end is None else self.end

    def combinations(self, positions: int) -> int:
        """Count what is made of a region, where one of four letters, or of those that are set, stands at each position.

        Parameters
        ----------
        positions : int
            Of the region.

        Examples
        --------
        >>> Mutate(bases=2).combinations(5)
        90
        """
        others = len(self.letters or "ACGT") - 1
        return math.comb(max(0, positions), self.bases) * others**self.bases

    def count(self, length: int) -> int:
        """Count what is made of a sequence by ``start`` and ``end``; see :meth:`combinations`.

        Parameters
        ----------
        length : int
            Positions of the sequence.
        """
        start, end = self.within(0, length)
        return self.combinations(min(end, length) - max(start, 0))


class Interpret(Section):
    """Leave-one-out (LOO) scores: how the prediction changes when one token changes."""

    method: Annotated[
        list[Literal[tuple(METHODS)]],  # pyright: ignore[reportInvalidTypeForm]
        Field(min_length=1),
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=str | list[str]),
    ] = ["loo"]
    """`loo`: leave-one-out, in the `modes` below. `integrated_gradients`: the gradient of the prediction with respect to \
each token's embedding, along the way from a baseline in which every token is `[PAD]` (Sundararajan et al. 2017). Or a list \
of both."""
    level: Literal["token", "base"] = "token"
    """What is changed, for `loo`: a token; or a base (letter), after which the sequence is tokenized again. In mode `mask` \
each side of a masked base is tokenized by itself, and k-mers that hold it become `[MASK]`."""
    steps: int = Field(default=50, ge=2)
    """Steps on the way from the baseline, for `integrated_gradients`; more, up to 1000, where the sum over tokens is off \
by more than a tenth."""
    modes: list[Literal["remove", "mask", "replace", "mutate"]] = Field(default=["remove"], min_length=1)
    """`remove` deletes the token, `mask` makes it `[MASK]`, `replace` exchanges it for each of its replacements, `mutate` for \
every other letter of the alphabet (in-silico mutagenesis)."""
    replacements: dict[str, list[str]] = {}
    """For `replace`: each token and the tokens that take its place."""
    replace_modifiers: bool = False
    """For `replace`: also set the modifiers of a token to 0 and keep the token."""
    mutate: Mutate = Mutate()
    """For `mutate`: which letters are exchanged."""
    formats: list[Literal["selene", "hdf5"]] = []
    """For `mutate`, beside Parquet, CSV and pickle: an archive of the files that Selene writes for each sequence, as text \
(`selene`) or as matrices (`hdf5`)."""
    explain: str | Annotated[list[str], Field(min_length=1)] | None = None
    """For classes, or several targets: what is explained; `predicted`, `all`, the name of a class, or a list of names. \
null: the predicted class, all targets or, with `labels.per: token`, that of sites (see `predict.sites.of`)."""
    explain_at: Literal["sites", "labels", "all"] | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = "sites"
    """For `labels.per: token`: the positions whose prediction is explained. `sites`: the best one of each sequence, where the \
motif of `predict.sites` begins, if it names one (for numbers, the highest); `labels`: those that are labelled as sites (for \
numbers, all whose label is known); a list of 0-based positions; or `all`, which makes a matrix for each sequence."""
    scale: Literal["probability", "logit"] = "probability"
    """For classification: what the score is a difference of."""
    sample_size: int | None = Field(default=None, ge=1)
    """Score only a random sample of this many sequences; null: all."""
    shards: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Jobs among which the work of a mode is divided; `auto`: so many that each takes a quarter of an hour or less on one CPU \
core, by a rough estimate from the size of the source."""
    scorer: Literal["auto", "naive", "incremental"] = "auto"
    """`incremental` computes only what an edit changes, with the same scores (local architectures only: `saluki`; `file`, \
where the network is a chain of convolutions; with `labels.per: token`, `dilated`); `naive` runs the whole model for every \
edit; `auto`: `incremental` where the architecture allows it, else `naive`."""
    precision: Literal["float32", "tf32", "bf16"] = "float32"
    """In which to multiply. Less than float32 is faster on GPUs (`tf32` needs one), but its error can be as large as small \
scores; the log reports it."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens (for `incremental`: changed positions) computed together, at most; null: as free memory allows."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.method)) < len(self.method):
            raise ValueError(f"method must not name one twice, found {self.method}")
        if len(set(self.modes)) < len(self.modes):
            raise ValueError(f"modes must differ from each other, found {self.modes}")
        for method in (name for name in METHODS if name not in self.method):
            for key in METHODS[method]:
                if key in self.model_fields_set and getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"{key} is for method {method}, found method {self.method}")
        if isinstance(self.explain, list) and len(set(self.explain)) < len(self.explain):
            raise ValueError(f"explain must not name a class twice, found {self.explain}")
        for key in ("replacements", "replace_modifiers"):
            if getattr(self, key) and "loo" in self.method and "replace" not in self.modes:
                raise ValueError(f"{key} is for mode replace, which is not among modes")
        for key in ("mutate", "formats"):
            asked = getattr(self, key) != type(self).model_fields[key].default
            if asked and "loo" in self.method and "mutate" not in self.modes:
                raise ValueError(f"{key} is for mode mutate, which is not among modes")
        if len(set(self.formats)) < len(self.formats):
            raise ValueError(f"formats must differ from each other, found {self.formats}")
        if "replace" in self.modes and not (self.replacements or self.replace_modifiers):
            raise ValueError("replacements (or replace_modifiers) must be set for mode replace, as in {a: [c, g, t]}")
        return self

    @property
    def scored(self) -> list[str]:
        """What is scored: the modes of `loo`, and other methods by their name."""
        return [name for method in self.method for name in (self.modes if method == "loo" else [method])]

    def decisive(self, mode: str) -> set[str]:
        """Name the keys that decide the scores of a mode, beside what takes the place of tokens.

        Parameters
        ----------
        mode : str
            One of :attr:`scored`.
        """
        own = METHODS.get(mode, METHODS["loo"])
        return {"explain", "scale", "sample_size", "precision", "batch_tokens", *own} - {
            *("modes", "replacements", "replace_modifiers", "mutate", "formats")
        }

    @property
    def regions(self) -> str | None:
        """The file of the regions that are mutated, if there is one."""
        return self.mutate.regions if "mutate" in self.scored else None


class Report(Section):
    """What the HTML report shows."""

    title: str = "rnalm report"
    """Its heading."""
    profiles: int = Field(default=6, ge=0)
    """Number of LOO profiles: the sequences with the most extreme predictions or, with `labels.per: token`, the explained \
positions that single tokens change most."""
    annotations: str | None = None
    """BED file (sequence, start, end, name) of known elements; the report tells how well LOO scores find them."""


ModelName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]


class Powerlaw(Section):
    """A comparison of models by the power laws in the spectra of their weights."""

    models: dict[ModelName, str] = {}
    """Folders of further models, by name, to compare with those that are trained here or given."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in self.models:
            if name.startswith("fold_"):
                raise ValueError(f"models: models that are trained here have names like {name!r}; choose another")
        return self
