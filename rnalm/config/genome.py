"""Configuration of windows of a genome."""

import math
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from rnalm.config.folder import spelled
from rnalm.config.section import Names, Section
from rnalm.config.source import Case, Unlabelled, WindowSource

Share = Annotated[float, Field(gt=0, le=1)]
#: How windows are chosen, and the keys of ``sample`` that are needed for it, and may be there.
WAYS: dict[str, tuple[set[str], set[str]]] = {
    "random": ({"n"}, {"negatives"}),
    "intervals": ({"path"}, {"n", "negatives"}),
    "tiles": ({"step"}, {"negatives"}),
    "regions": ({"path"}, {"negatives"}),
}


#: How files of signals are called.
SIGNALS = (".bw", ".bigwig")


class Features(Section):
    """What is known of the genome: a BED file of intervals, each of a class, or a bigWig file of a signal."""

    path: str | None = None
    """BED: contig, start, end (0-based, half-open) and class, separated by tabs; more columns are passed over. Compressed if \
the name ends in `.gz` and the like; neither order nor an index matters. bigWig (`.bw`, `.bigWig`), for `task: regression`: a \
number for each base. null: labels are in `sample.path`, as Selene saves them."""
    signals: dict[str, str] = {}
    """Several bigWig files instead of one `path`, each with the name of what it measures: a number of each for every bin."""
    classes: Names = None
    """The classes that are learned: a list, a file with one in each line, or `all` (null): those of the file, in the order of \
their names. Intervals of others are passed over."""
    least_intervals: int = Field(default=1, ge=1)
    """For `all` classes: those of fewer intervals are passed over."""
    widen: int = Field(default=0, ge=0)
    """Bases by which each interval grows at either end, as points have to."""
    threshold: Share = 0.5
    """A bin is of a class if the intervals of that, together, cover at least this share of its bases, and at least one."""
    thresholds: dict[str, Share] = {}
    """Other thresholds for some of the classes."""
    statistic: Literal["mean", "max"] = "mean"
    """Of a signal: what the label of a bin is of the values of its bases."""
    uncovered: float | None = 0.0
    """Of a signal: the value of bases of which the file has none; null: they do not count, and a bin of such bases alone has \
no label, and is left out."""

    @property
    def is_signal(self) -> bool:
        """Whether there is a number for each base."""
        return bool(self.signals) or (self.path is not None and self.path.lower().endswith(SIGNALS))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.signals and self.path is not None:
            raise ValueError(f"signals name files of their own; expected no path beside them, found {self.path}")
        if odd := next((path for path in self.signals.values() if not path.lower().endswith(SIGNALS)), None):
            raise ValueError(f"signals: found {odd}; expected bigWig files (.bw, .bigWig)")
        of_others = ("classes", "least_intervals", "widen", "threshold", "thresholds")
        for key in of_others if self.is_signal else ("statistic", "uncovered"):
            if getattr(self, key) != type(self).model_fields[key].default:
                kinds = "intervals of classes, found a signal" if self.is_signal else "signals (.bw), found no such file"
                raise ValueError(f"{key} is for {kinds}; leave it out")
        if self.classes is not None and self.least_intervals != 1:
            raise ValueError("least_intervals: which of all classes are taken; expected none where classes are named")
        for key in ("widen", "threshold", "thresholds") if self.path is None and not self.signals else ():
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key}: how intervals are counted; expected none where path names no intervals")
        return self

    def covered(self, name: str, length: int) -> int:
        """Say how many bases of a bin must be covered: exactly, as the threshold is written.

        Parameters
        ----------
        name : str
            The class.
        length : int
            Bases of the bin.

        Examples
        --------
        >>> Features(path="a.bed", threshold=0.7).covered("Reb1", 10)
        7
        """
        return max(1, math.ceil(Fraction(str(self.thresholds.get(name, self.threshold))) * length))


class Sample(Section):
    """Which windows are taken: once, from the seed, and none twice."""

    method: Literal[tuple(WAYS)] = "random"  # pyright: ignore[reportInvalidTypeForm]
    """`random`: anywhere, each position as likely; `intervals`: centred on any base of intervals, or on their middles; \
`tiles`: one after the other; `regions`: those of a file, or windows centred on them."""
    n: int | None = Field(default=None, ge=1)
    """Number of windows, for `random` and `intervals`; null, for `intervals`: one centred on each."""
    path: str | None = None
    """BED file of the `intervals` or `regions`. Strands stand in the sixth column, or in the fourth, as Selene saves data \
sets: contig, start, end, strand, and numbers of classes (from 0), separated by `;`."""
    step: int | None = Field(default=None, ge=1)
    """From one tile to the next."""
    negatives: bool = True
    """Whether to take windows without any class, too."""
    seed: int | None = Field(default=None, ge=0)
    """Draws windows and strands; null: that of the experiment."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        needed, allowed = WAYS[self.method]
        for key in ("n", "path", "step"):
            if key in needed and getattr(self, key) is None:
                raise ValueError(f"{key} is missing, which {self.method} needs")
            if key not in needed | allowed and getattr(self, key) is not None:
                raise ValueError(f"{key} is not for method {self.method}; expected none")
        return self


class Contigs(Section):
    """Which contigs are read, by patterns as in `chr*`; names match with and without `chr`."""

    include: list[str] | None = None
    """Only these; null: all."""
    exclude: list[str] = ["*_*"]
    """All but these."""
    parts: int = Field(default=1, ge=1)
    """Divide each into so many parts of equal length, which are splits of their own: no window is in two of them."""


class Genome(WindowSource):
    """Windows of a genome: `split` is their contig, and windows that overlap are a `group`."""

    title = "a genome"
    # Not called like its key, with which it would be confused in messages.
    kind = "windows"
    usual_case = "upper"
    described: ClassVar[bool] = True
    genome: str
    """FASTA; plain, or compressed with bgzip. What gzip has compressed is unpacked first, into `index`."""
    features: Features | None = None
    """What is learned; null: nothing, or what is in `sample.path`."""
    sample: Sample
    length: int | None = Field(default=None, ge=1)
    """Bases of a window; null, for `regions`: as they are."""
    bin: int | tuple[int, int] | None = None
    """The part of a window that features must cover: so many bases in its middle, or its start and end, counted along the \
genome whichever strand is read; null: all of it."""
    strand: Literal["+", "-", "random", "both"] | None = None
    """Which strand is read; `both`: each window twice. null: `+`, or what `regions` say."""
    contigs: Contigs = Contigs()
    blacklist: str | None = None
    """BED file of intervals that no window touches."""
    max_unknown: float = Field(default=0.3, ge=0, le=1)
    """The share of letters other than A, C, G and T, and N, in a window, at most."""
    case: Case | None = None
    """`upper`: lower-case letters, which often only mark repeats, are read as upper-case ones; `keep`: as they stand; null: \
as a model was trained, else `upper`."""
    index: Annotated[str, AfterValidator(spelled)] | None = None
    """Folder for indexes that are missing; null: `genome` in that of the experiment."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.length is None and self.sample.method != "regions":
            raise ValueError("length is missing: bases of a window; only regions can have lengths of their own")
        if isinstance(self.bin, int) and self.bin < 1:
            raise ValueError(f"bin: found {self.bin}; expected a number of bases, 1 or more")
        if isinstance(self.bin, int) and self.length is not None and self.bin > self.length:
            raise ValueError(f"bin: {self.bin} bases are more than a window has, {self.length}")
        if self.bin is not None and self.length is None:
            raise ValueError("bin: regions without a length of windows are bins themselves; expected none")
        if isinstance(self.bin, tuple) and self.length is not None and not 0 <= self.bin[0] < self.bin[1] <= self.length:
            raise ValueError(f"bin: found {list(self.bin)}; expected a start and an end within a window, 0 to {self.length}")
        unnamed = self.features if self.features and self.features.path is None and not self.features.signals else None
        if unnamed and (self.sample.method != "regions" or not unnamed.classes):
            raise ValueError("features: path is missing; or, for regions with labels as Selene saves them, classes")
        if self.bin is not None and not self.features:
            raise ValueError("bin: the part that features must cover, of which there are none; expected features, or no bin")
        if unnamed and self.bin is not None:
            raise ValueError("bin: regions have their labels with them, as Selene saves them; expected none")
        if not self.sample.negatives and self.features and self.features.is_signal:
            raise ValueError("sample.negatives: windows of a signal have no classes; leave it out")
        if not self.sample.negatives and not self.features:
            raise ValueError("sample.negatives: without features all windows are without a class; expected features")
        return self

    @classmethod
    def is_meant(cls, value: dict) -> bool:
        """Whether a user means a genome: only it has the key.

        Parameters
        ----------
        value : dict
            What stands in the configuration.
        """
        return isinstance(value.get("genome"), str)

    @property
    def paths(self) -> list[str]:
        """All files that are read."""
        classes = self.features.classes if self.features and isinstance(self.features.classes, str) else None
        signals = self.features.signals.values() if self.features else ()
        more = [self.features and self.features.path, *signals, classes, self.sample.path, self.blacklist]
        return [self.genome, *(path for path in more if path)]

    @property
    def span(self) -> tuple[int, int] | None:
        """The bin within a window, half-open; None where regions are bins themselves."""
        if self.length is None:
            return None
        if isinstance(self.bin, tuple):
            return self.bin
        size = self.length if self.bin is None else self.bin
        first = (self.length - size) // 2
        return first, first + size

    @property
    def unlabelled(self) -> Unlabelled:
        """All windows have labels, or none; but for those of which a signal says nothing."""
        return "drop" if self.features and self.features.is_signal else "error"

    def gives(self, key: str) -> bool:
        """Whether records have a ``label``, ``weight``, ``group`` or ``split``, or ``sites``.

        Parameters
        ----------
        key : {'label', 'weight', 'group', 'split', 'sites'}
            What a record may have.
        """
        return key in ("group", "split") or (key == "label" and self.features is not None)

    @property
    def label_key(self) -> str:
        """Where its labels are named."""
        return "source.features"

    @property
    def label_classes(self) -> list[str]:
        """Names of the classes, where they are a list, or of signals."""
        if self.features and self.features.signals:
            return list(self.features.signals)
        return self.features.classes if self.features and isinstance(self.features.classes, list) else []

    @property
    def several(self) -> bool:
        """Whether each of several classes or signals has a label of its own."""
        return self.features is not None and (not self.features.is_signal or len(self.features.signals) > 1)

    def of_sequences(self, grouped: bool = False) -> "Genome":
        """Leave out what one who reads only the sequences, and perhaps their groups, need not know.

        Parameters
        ----------
        grouped : bool
            Whether to keep the groups.
        """
        # Where windows without a class are not taken, features say which windows there are.
        return self if not self.sample.negatives else self.model_copy(update={"features": None, "bin": None})


def placed_genomes(given: Any, seed: Any, index: str) -> Any:
    """Give genomes, as a user wrote them, the seed and the folder of the experiment, where they have none of their own.

    Parameters
    ----------
    given : Any
        What stands in the configuration: a source, or sections that hold some; what is no genome stays as it is.
    seed : Any
        The seed, as it is written.
    index : str
        The folder.
    """
    if not isinstance(given, dict):
        return given
    if not Genome.is_meant(given):
        return {key: placed_genomes(value, seed, index) for key, value in given.items()}
    sample = given.get("sample")
    drawn = {"sample": {"seed": seed, **sample}} if isinstance(sample, dict) else {}
    return {"index": index, **given, **drawn}
