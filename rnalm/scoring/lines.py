"""Merged scores ─► the effects along each sequence, as arrays."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.errors import RnalmError
from rnalm.scoring import merge
from rnalm.scoring.sites import JOINT
from rnalm.scoring.table import PLACES, places
from rnalm.tokens import dataset, ngrams
from rnalm.tokens.tokenizer import MARK, SPECIAL_TOKENS, load_tokenizer, plain_tokens, token_names

#: Where a symbol stands between the ends of what a model sees, from the 5′ to the 3′ end.
REGIONS = ("five_prime", "middle", "three_prime")


@dataclass(frozen=True)
class Line:
    """The effects on one prediction, or on one class of it, along a sequence.

    Attributes
    ----------
    sequence : str
        Id of the sequence.
    position : int or None
        The position whose prediction is explained.
    explained : str
        The class or target; empty where there is one without a name.
    symbols : numpy.ndarray
        Number of what stands at each place in :attr:`Survey.symbols`, -1 where it is not known: int64 ``(places,)``.
    starts, ends : numpy.ndarray
        Where in the uncut sequence, 0-based and half-open: int64 ``(places,)``.
    effects : numpy.ndarray
        What each place does to the prediction, positive where it raises it: float64 ``(places,)``, none NaN.
    runs : numpy.ndarray
        Places with the same number follow each other without a gap: int64 ``(places,)``.
    regions : numpy.ndarray
        Number of each place's third in :data:`REGIONS`: int64 ``(places,)``.
    frames : numpy.ndarray
        Position in the codon, 0 to 2, -1 outside codons: int64 ``(places,)``.
    """

    sequence: str
    position: int | None
    explained: str
    symbols: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    effects: np.ndarray
    runs: np.ndarray
    regions: np.ndarray
    frames: np.ndarray

    def spans(self, length: int) -> np.ndarray:
        """List where so many places without a gap begin: int64 ``(spans,)``.

        Parameters
        ----------
        length : int
            Places of a span.
        """
        return np.flatnonzero(self.runs[: max(0, len(self.runs) - length + 1)] == self.runs[length - 1 :])


@dataclass(frozen=True)
class Survey:
    """What there is in a table of scores.

    Attributes
    ----------
    tokens : dict of str to int
        Rows of each token that is known, the most frequent first, those alike by name.
    classes : list of str
        What is explained, sorted: names of classes or targets, or an empty one.
    largest : float
        Size of the largest score; 0 where there is none.
    rows : int
        How many there are.
    spelled : bool
        Whether each of these tokens is as many letters as it has positions.
    """

    tokens: dict[str, int]
    classes: list[str]
    largest: float
    rows: int
    spelled: bool

    @property
    def lettered(self) -> bool:
        """Whether each token is one letter."""
        return all(len(token) == 1 for token in self.tokens)

    @property
    def symbols(self) -> list[str]:
        """What k-mers consist of: tokens; of letters in either case, where each is a token, the small one."""
        return list(dict.fromkeys(map(self.folded, self.tokens)))

    def folded(self, token: str) -> str:
        """Write a letter small where it occurs in either case, as case then marks its position.

        Parameters
        ----------
        token : str
            A token.
        """
        return token.lower() if self.lettered and token.lower() in self.tokens else token


def survey(path: str | Path, special: Collection[str] = SPECIAL_TOKENS) -> Survey:
    """Look through a table of scores, column by column, for what there is in it.

    Parameters
    ----------
    path : path
        Parquet from :func:`rnalm.scoring.merge.merge`.
    special : collection of str
        Tokens that stand for what is not known, or for no letter at all.
    """
    file = pq.ParquetFile(path)
    classed, joint = _classed(file.schema_arrow), PLACES in file.schema_arrow.names
    counts: Counter[str] = Counter()
    classes: set[str] = set()
    largest, spelled = 0.0, True
    for batch in file.iter_batches(columns=["token", "start_offset", "end_offset", "loo", *([classed] if classed else [])]):
        frame = batch.to_pandas()
        widths = frame["end_offset"] - frame["start_offset"]
        for (written, width), count in frame.groupby(["token", widths], sort=False).size().items():
            # Where several change at a time, they stand beside each other; the mark before a sequence is no letter of it.
            tokens = [token.replace(MARK, "") for token in (str(written).split(JOINT) if joint else [str(written)])]
            known = [token for token in tokens if token and token not in special]
            counts.update({token: int(count) for token in known})
            spelled &= joint or not known or len(known[0]) == width
        classes.update(frame[classed] if classed else [""])
        sizes = np.abs(frame["loo"].to_numpy(float))
        largest = max(largest, float(sizes.max(initial=0.0, where=np.isfinite(sizes))))
    ordered = dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
    return Survey(ordered, sorted(classes) or [""], largest, file.metadata.num_rows, spelled)


def _classed(schema: pa.Schema) -> str | None:
    """Name the column that says which class or target is explained; None where there is only one, without a name."""
    if "class" in schema.names:
        return "class"
    return None if pa.types.is_floating(schema.field("pred").type) else "pred"


class Reader:
    """Reads a table of scores beside the sequences that they are of.

    Parameters
    ----------
    scores : path
        Parquet from :func:`rnalm.scoring.merge.merge`.
    encoded : path
        The encoded sequences, in the same order, perhaps with others between them.
    tokenizer : path
        Their tokenizer.
    sense : {-1, 1}
        The sign by which ``loo`` becomes an effect, which is positive where a token raises the prediction.

    Attributes
    ----------
    survey : Survey
        What there is in the table.
    about : list of str
        Columns that tell what a line is of: its sequence and, if there are such, the explained position and class.

    Raises
    ------
    RnalmError
        If the sequences are not those of the scores.
    """

    def __init__(self, scores: str | Path, encoded: str | Path, tokenizer: str | Path, sense: int) -> None:
        self.scores, self.encoded, self.sense = scores, encoded, sense
        vocabulary = load_tokenizer(tokenizer)
        self.survey = survey(scores, set(token_names(vocabulary)) - set(plain_tokens(vocabulary)))
        schema = pq.read_schema(scores)
        self.classed, positions = _classed(schema), [name for name in schema.names if name == "explained_position"]
        self.about = ["sequence", *positions, *(["class"] if self.classed else [])]
        self.numbers = {symbol: number for number, symbol in enumerate(self.survey.symbols)}
        self.ngrams = ngrams.look_at(ngrams.of_tokenizer(vocabulary), dataset.read(encoded))

    @property
    def marked(self) -> bool:
        """Whether tokens mark where codons begin; else they begin at the 5′ end."""
        return bool(self.ngrams.frames)

    def lines(self) -> Iterator[Line]:
        """Yield what stands in the table, in its order: of each prediction, a line for each class that is explained."""
        sequences = (sequence for group in dataset.read(self.encoded) for sequence in group)
        own: dataset.Encoded | None = None
        for frame in merge.read(self.scores):
            name = frame["sequence"].iat[0]
            if own is None or own.id != name:
                own = next((sequence for sequence in sequences if sequence.id == name), None)
            if own is None:
                raise RnalmError(f"{self.encoded}: expected {name!r}, which {self.scores} has scores of, in its place")
            parts = frame.groupby(self.classed, sort=False) if self.classed else [("", frame)]
            for explained, part in parts:
                yield self._line(part, str(explained), own)

    def about_line(self, line: Line) -> list[str | int | None]:
        """Tell what a line is of.

        Parameters
        ----------
        line : Line
            One of :meth:`lines`.

        Returns
        -------
        list
            A value for each of :attr:`about`.
        """
        values = {"sequence": line.sequence, "explained_position": line.position, "class": line.explained}
        return [values[name] for name in self.about]

    def _line(self, frame: pd.DataFrame, explained: str, own: dataset.Encoded) -> Line:
        """Make a line of the rows of one class."""
        rows, loo = _means(frame)
        starts, ends = (frame[name].to_numpy(np.int64)[rows] for name in ("start_offset", "end_offset"))
        kept = np.flatnonzero(~np.isnan(loo) & (ends > starts))
        starts, ends = starts[kept], ends[kept]
        tokens = [self.survey.folded(token.replace(MARK, "")) for token in frame["token"].to_numpy()[rows[kept]]]
        gaps = np.r_[False, starts[1:] > ends[:-1]][: len(starts)]
        offsets = np.arange(len(own.input_ids))[:, None] + [0, 1] if own.offsets is None else own.offsets
        first, after = int(offsets[0, 0]), int(offsets[-1, 1])
        thirds = (3 * ((starts + ends) / 2 - first) / max(1, after - first)).astype(np.int64)
        return Line(
            str(frame["sequence"].iat[0]),
            int(frame["explained_position"].iat[0]) if "explained_position" in frame else None,
            explained,
            np.array([self.numbers.get(token, -1) for token in tokens], dtype=np.int64),
            starts,
            ends,
            self.sense * loo[kept] + 0.0,  # without the sign that a zero would get
            np.cumsum(gaps),
            np.clip(thirds, 0, 2),
            self._frames(starts, offsets[:, 0], own),
        )

    def _frames(self, starts: np.ndarray, places: np.ndarray, own: dataset.Encoded) -> np.ndarray:
        """Give the position in its codon to what begins at some places; -1 outside codons."""
        if not self.marked:
            return starts % 3
        begins = places[ngrams.codons(self.ngrams, own)]
        before = np.searchsorted(begins, starts, side="right") - 1
        behind = starts - begins[before] if len(begins) else np.full(len(starts), -1)
        return np.where((before >= 0) & (behind < 3), behind, -1)


def _means(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Give the first row of each token, from left to right, and its score: the mean over its replacements, NaN without any."""
    _, first, token = np.unique(places(frame), return_index=True, return_inverse=True)
    loo = frame["loo"].to_numpy(float)
    known = np.isfinite(loo)
    sums, counts = (np.bincount(token[known], values, len(first)) for values in (loo[known], None))
    return first, np.divide(sums, counts, out=np.full(len(first), np.nan), where=counts > 0)


def spelled(line: Line, tokens: list[str], numbers: dict[str, int]) -> Line:
    """Give each letter its share of the effects of the tokens that cover it; a token that is not known becomes a gap.

    Parameters
    ----------
    line : Line
        The effects of tokens, which may overlap.
    tokens : list of str
        What its symbols are.
    numbers : dict of str to int
        The letters, and their numbers.
    """
    known = np.flatnonzero(line.symbols >= 0)
    widths = (line.ends - line.starts)[known]
    of = np.repeat(known, widths)
    within = np.arange(len(of)) - np.repeat(np.cumsum(widths) - widths, widths)
    places, first = np.unique(line.starts[of] + within, return_index=True)
    share = line.effects[of] / (line.ends - line.starts)[of]
    sums = np.bincount(np.searchsorted(places, line.starts[of] + within), share, len(places))
    letters = [numbers.get(tokens[line.symbols[of[index]]][within[index]], -1) for index in first]
    return replace(
        line,
        symbols=np.array(letters, dtype=np.int64),
        starts=places,
        ends=places + 1,
        effects=sums,
        runs=np.cumsum(np.r_[0, np.diff(places) > 1][: len(places)]),
        regions=line.regions[of[first]],
        frames=line.frames[of[first]],
    )
