"""The tables of a file of variants ─► what of them is shown: counts, distributions, the strongest effects, reasons."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.config.variants import SCORES
from rnalm.labels.labels import Labels
from rnalm.scoring.effects import GROUP, PHASED, WRITTEN, score_names

#: Strongest effects that are told.
STRONGEST = 20
#: Ends of the stretches by which effects are counted, ten for each power of ten: a few alleles may do a thousand times as much
#: as most. What is smaller or larger than all stretches is counted in the first or last.
EDGES = np.geomspace(1e-12, 1e9, 211)
#: Numbers that are held at once, at most, unless a single row has more.
NUMBERS = 2**22
#: What alleles are counted by, from above to below: what they change or, where REF is not that of the genome, that it is not.
DIFFERS = "REF differs"
KINDS = ("SNV", "MNV", "insertion", "deletion", "indel", "none", DIFFERS)
#: Which of the scores is shown, the first of these that there is.
PREFERRED = ("diffs", "predictions", "abs_diffs", "logits")


@dataclass(frozen=True)
class Effect:
    """The strongest effect of an allele.

    Attributes
    ----------
    allele : dict
        The columns of :data:`rnalm.scoring.effects.WRITTEN`, of haplotypes also ``PHASED`` there, and ``contains_unk``.
    output : str
        Class or target whose prediction changes most; empty where there is one without a name.
    value : float
        The effect on it.
    predictions : tuple of float or None
        With REF and with ALT, if they are known.
    """

    allele: dict[str, Any]
    output: str
    value: float
    predictions: tuple[float, ...] | None


@dataclass(frozen=True)
class Measure:
    """Which numbers of a table of effects are shown.

    Attributes
    ----------
    labels : Labels
        What the outputs of the models mean.
    scores : tuple of str
        Those of :data:`rnalm.config.variants.SCORES` that the table has.
    phased : bool
        Whether alleles are those of haplotypes.
    """

    labels: Labels
    scores: tuple[str, ...]
    phased: bool = False

    @property
    def score(self) -> str:
        """The score that is shown."""
        return next(score for score in PREFERRED if score in self.scores)

    @property
    def signed(self) -> bool:
        """Whether it tells what raises the prediction from what lowers it."""
        return self.score != "abs_diffs"

    @property
    def outputs(self) -> list[str]:
        """Names of the classes or targets that have a column each; of a single one without a name, an empty one."""
        return [self.labels.classes[number] for number in self.labels.measured] if self.labels.classes else [""]

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        read = [score for score in SCORES if score == self.score or (score == "predictions" and score in self.scores)]
        return [*self._about, *(name for score in read for name in score_names(self.labels, score))]

    @property
    def _about(self) -> list[str]:
        """The columns that tell of an allele."""
        return [*WRITTEN, *(PHASED if self.phased else ()), "contains_unk"]

    def effects(self, batch: pa.RecordBatch) -> np.ndarray:
        """Read effects.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            Rows of the table.

        Returns
        -------
        numpy.ndarray
            float64 ``(rows, outputs)``, NaN where there is none.
        """
        parts = np.split(_numbers(batch, score_names(self.labels, self.score)), len(SCORES[self.score]), axis=1)
        return parts[-1] - parts[0] if len(parts) > 1 else parts[0]

    def read(self, batch: pa.RecordBatch, row: int, output: int) -> Effect:
        """Read one of the effects of an allele.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            Rows of the table.
        row, output : int
            Which of the rows, and of the outputs.
        """
        one = batch.slice(row, 1)
        predictions = None
        if "predictions" in self.scores:
            predictions = tuple(values[0, output] for values in np.split(_numbers(one, self._predicted), 2, axis=1))
        allele = one.select(self._about).to_pylist()[0]
        return Effect(allele, self.outputs[output], float(self.effects(one)[0, output]), predictions)

    @property
    def _predicted(self) -> list[str]:
        """The columns of predictions: those with REF, and as many with ALT."""
        return score_names(self.labels, "predictions")


@dataclass
class Kind:
    """Counts the alleles of a kind.

    Attributes
    ----------
    alleles, raised, lowered : int
        How many there are, and how many raise and lower the prediction.
    known : int
        How many have an effect that is a number.
    total, largest : float
        Sum of the sizes of effects, and the largest.
    up, down : numpy.ndarray
        Alleles that raise and that lower the prediction, by the size of the effect, in stretches between :data:`EDGES`: int64
        ``(len(EDGES) - 1,)``. Where effects have no sign, all are in ``up``.
    """

    alleles: int = 0
    raised: int = 0
    lowered: int = 0
    known: int = 0
    total: float = 0.0
    largest: float = 0.0
    up: np.ndarray = field(default_factory=lambda: np.zeros(len(EDGES) - 1, dtype=np.int64))
    down: np.ndarray = field(default_factory=lambda: np.zeros(len(EDGES) - 1, dtype=np.int64))

    @property
    def mean(self) -> float:
        """The mean size of effects; NaN where none is known."""
        return self.total / self.known if self.known else float("nan")

    def add(self, effects: np.ndarray) -> None:
        """Count further alleles.

        Parameters
        ----------
        effects : numpy.ndarray
            ``(alleles,)``, NaN where there is none.
        """
        sizes = np.abs(effects[~np.isnan(effects)])
        self.alleles += len(effects)
        self.known += len(sizes)
        self.raised += int((effects > 0).sum())
        self.lowered += int((effects < 0).sum())
        self.total += float(sizes.sum())
        self.largest = max(self.largest, float(sizes.max(initial=0)))
        self.up += _by_size(effects[effects > 0])
        self.down += _by_size(-effects[effects < 0])


@dataclass(frozen=True)
class Summary:
    """What is shown of a table of effects; of each allele, the largest of its effects counts.

    Attributes
    ----------
    alleles, unknown : int
        How many there are, and how many of these have no number.
    kinds : dict of str to Kind
        Those of :data:`KINDS` of which there are some.
    strongest : list of Effect
        The strongest first; of equal ones, that which comes first in the table.
    """

    alleles: int
    unknown: int
    kinds: dict[str, Kind]
    strongest: list[Effect]


def summarize(table: str, measure: Measure) -> Summary:
    """Read a table of effects, some rows at a time.

    Parameters
    ----------
    table : str
        From :func:`rnalm.scoring.effects.merge`.
    measure : Measure
        What is shown of it.
    """
    counted = {kind: Kind() for kind in KINDS}
    alleles, unknown = 0, 0
    strongest: list[Effect] = []
    for batch, kinds, effects, outputs in _largest(table, measure):
        alleles += len(batch)
        unknown += int(np.isnan(effects).sum())
        for kind in set(kinds):
            counted[kind].add(effects[kinds == kind])
        own = [measure.read(batch, row, int(outputs[row])) for row in _strongest(effects)]
        strongest = sorted([*strongest, *own], key=lambda one: -abs(one.value))[:STRONGEST]
    return Summary(alleles, unknown, {kind: own for kind, own in counted.items() if own.alleles}, strongest)


def _largest(table: str, measure: Measure) -> Iterator[tuple[pa.RecordBatch, np.ndarray, np.ndarray, np.ndarray]]:
    """Read rows, the kind of each, its largest effect, and the number of the output that it is on."""
    size = min(GROUP, max(1, NUMBERS // len(measure.columns)))
    for batch in pq.ParquetFile(table).iter_batches(batch_size=size, columns=measure.columns):
        effects = measure.effects(batch)
        outputs = np.where(np.isnan(effects), -1, np.abs(effects)).argmax(axis=1)
        kinds = batch["kind"].to_numpy(zero_copy_only=False).astype(object)
        kinds[~batch["ref_match"].to_numpy(zero_copy_only=False).astype(bool)] = DIFFERS
        yield batch, kinds, effects[np.arange(len(effects)), outputs], outputs


def _by_size(sizes: np.ndarray) -> np.ndarray:
    """Count sizes, all above 0, in the stretches between :data:`EDGES`."""
    places = np.clip(np.searchsorted(EDGES, sizes, side="right") - 1, 0, len(EDGES) - 2)
    return np.bincount(places, minlength=len(EDGES) - 1)


def _strongest(effects: np.ndarray) -> np.ndarray:
    """Give the rows of the strongest effects, the strongest first; what changes nothing is none of them."""
    sizes = np.nan_to_num(np.abs(effects))
    order = np.argsort(-sizes, kind="stable")[:STRONGEST]
    return order[sizes[order] > 0]


def _numbers(batch: pa.RecordBatch, names: Sequence[str]) -> np.ndarray:
    """Read columns of numbers ``(rows, columns)``; NaN where there is none."""
    return np.stack([batch[name].to_numpy(zero_copy_only=False) for name in names], axis=1).astype(np.float64)


#: What differs from allele to allele within a reason.
LENGTH = re.compile(r"\bof \d+ bases\b")


def reasons(unscored: str) -> Counter[str]:
    """Count why alleles have no effect.

    Parameters
    ----------
    unscored : str
        From :func:`rnalm.scoring.effects.merge`.
    """
    counts: Counter[str] = Counter()
    chunks = pd.read_csv(unscored, sep="\t", usecols=["reason"], dtype=str, keep_default_na=False, chunksize=GROUP)
    for chunk in chunks:
        counts.update(LENGTH.sub("of many bases", reason) for reason in chunk["reason"])
    return counts
