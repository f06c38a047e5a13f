"""Records ─► rows of an encoded file, counted."""

import array
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from rnalm.config import Source
from rnalm.errors import RnalmError, nearest
from rnalm.sequences.read import read_records
from rnalm.sequences.records import Record
from rnalm.sequences.tables import to_number
from rnalm.tokens.tokenize import RecordTokenizer, Tokens


@dataclass
class Summary:
    """What encoding a source found; it is stored in the file's metadata.

    Attributes
    ----------
    sequences, tokens : int
        How many there are, of tokens those that are kept.
    longest : int
        Tokens of the longest sequence, of either strand where both are asked for.
    truncated, labelled : int
        Sequences that were cut to the block size, and sequences with a label.
    modifier_channels : int
        Modifiers of the widest token.
    unknown : int
        Tokens that are not in the vocabulary.
    unknown_tokens : collections.Counter
        How often each of them occurs, of 100 of them at most.
    """

    sequences: int = 0
    tokens: int = 0
    longest: int = 0
    truncated: int = 0
    labelled: int = 0
    modifier_channels: int = 0
    unknown: int = 0
    unknown_tokens: Counter = field(default_factory=Counter)

    def add(self, record: Record, tokens: Tokens, unknown: int) -> None:
        """Count one more sequence.

        Parameters
        ----------
        record : Record
            The sequence as it stands in the source.
        tokens : Tokens
            Its tokens.
        unknown : int
            Id of unknown tokens.
        """
        kept = len(tokens.input_ids)
        self.sequences += 1
        self.tokens += kept
        self.longest = max(self.longest, kept, 0 if tokens.reverse_ids is None else len(tokens.reverse_ids))
        self.truncated += kept < tokens.total
        self.labelled += record.label is not None
        if record.modifiers is not None:
            self.modifier_channels = max(self.modifier_channels, len(record.modifiers))
        for index in np.flatnonzero(tokens.input_ids == unknown).tolist():
            first, after = (index, index + 1) if tokens.offsets is None else tokens.offsets[index]
            token = "".join(record.sequence[first:after])
            self.unknown += 1
            # Some are enough to see what is wrong; all could be as many as there are sequences.
            if token in self.unknown_tokens or len(self.unknown_tokens) < 100:
                self.unknown_tokens[token] += 1


def make_rows(
    source: Source, tokenize: RecordTokenizer, task: str, quality: dict[str, float], require_labels: bool, summary: Summary
) -> Iterator[dict]:
    """Make the rows of an encoded file, one at a time.

    Parameters
    ----------
    source : Source
        Where the sequences are.
    tokenize : RecordTokenizer
        What makes tokens of them.
    task : {'regression', 'classification'}
        Regression labels are numbers, classes are names.
    quality : dict
        Weights of quality labels by their names.
    require_labels : bool
        Whether every row must have a label.
    summary : Summary
        What counts them.

    Yields
    ------
    dict
        Columns by name, those that the file may not have among them.

    Raises
    ------
    RnalmError
        If the source cannot be read, a label is missing or no number, a weight is neither a number nor a quality label, or an
        id occurs twice; it names file and line.
    """
    for record in _unique(read_records(source), source):
        if require_labels and record.label is None:
            attributes = getattr(source, "attributes", None)
            hint = f"; {attributes.path} says nothing of it" if attributes else ""
            raise RnalmError(f"{record.place}: {record.id!r} has no label, but training needs one{hint}")
        tokens = tokenize(record)
        summary.add(record, tokens, tokenize.unknown)
        row = {name: getattr(record, name) for name in ("id", "group", "split", "description")}
        row |= {name: getattr(tokens, name) for name in ("input_ids", "sequence", "reverse_ids")}
        row |= {"label": _label(record, task), "weight": _weight(record, quality)}
        if tokens.offsets is not None:
            row["offsets"] = list(tokens.offsets)
        if record.modifiers is not None:
            row["modifiers"] = list(record.modifiers[:, tokens.start : tokens.start + len(tokens.input_ids)].copy())
        yield row


def _label(record: Record, task: str) -> float | str | None:
    """Read a label: a finite number for regression, else a name."""
    if record.label is None or task == "classification":
        return record.label
    label = to_number(record.label)
    if label is None or not math.isfinite(label):
        raise RnalmError(f"{record.place}: the label of {record.id!r} is {record.label!r}, expected a number")
    return label


def _weight(record: Record, quality: dict[str, float]) -> float | None:
    """Read a weight, which is a finite number or named by a quality label."""
    if record.weight is None:
        return None
    if record.weight in quality:
        return quality[record.weight]
    weight = to_number(record.weight)
    if weight is None or not 0 <= weight < math.inf:
        expected = f"expected a number ≥ 0 or a quality label; {nearest(record.weight, quality)}"
        raise RnalmError(f"{record.place}: the weight of {record.id!r} is {record.weight!r}, {expected}")
    return weight


def _unique(records: Iterable[Record], source: Source) -> Iterator[Record]:
    """Pass records on and refuse duplicate ids at the end, keeping 8 bytes a record instead of its id."""
    seen = array.array("Q")
    for record in records:
        seen.append(_digest(record.id))
        yield record
    hashes, counts = np.unique(np.frombuffer(seen, dtype=np.uint64), return_counts=True)
    if len(hashes) == len(seen):
        return
    # Two ids may share a hash, so the file is read once more and the suspects are compared by name.
    suspects = {int(value) for value in hashes[counts > 1]}
    places: dict[str, str] = {}
    for record in read_records(source):
        if _digest(record.id) in suspects:
            if record.id in places:
                file, _, line = places[record.id].rpartition(", ")
                earlier = line if record.place.startswith(f"{file}, ") else places[record.id]
                raise RnalmError(f"{record.place}: the id {record.id!r} was already used in {earlier}; ids must be unique")
            places[record.id] = record.place


def _digest(text: str) -> int:
    """Hash an id to 64 bits."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
