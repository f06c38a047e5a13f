"""Records ─► rows of an encoded file, counted."""

import array
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from rnalm.config import Labels, Source
from rnalm.errors import Problems, RnalmError
from rnalm.sequences.read import in_case, read_written
from rnalm.sequences.records import Record, means_missing
from rnalm.tokens.tokenize import RecordTokenizer, Tokens
from rnalm.tokens.truth import read_label, read_weight, stored, unlabelled

log = logging.getLogger(__name__)


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
        Sequences that were cut to the block size, and sequences with a label, or with one of a token.
    dropped : int
        Sequences that were left out as they have no label; they are not among the others.
    modifier_channels : int
        Modifiers of the widest token.
    lower, upper : int
        Letters of contiguous sequences in either case, as they are written, and tokens with lower-case letters, and without.
    unknown : int
        Tokens that are not in the vocabulary.
    positions : int
        Tokens with a label of their own.
    unknown_tokens : collections.Counter
        How often each of them occurs, of 100 of them at most.
    odd_classes : collections.Counter
        Classes with a name that often stands for no label, and how many sequences have them.
    """

    sequences: int = 0
    tokens: int = 0
    longest: int = 0
    truncated: int = 0
    labelled: int = 0
    dropped: int = 0
    modifier_channels: int = 0
    lower: int = 0
    upper: int = 0
    unknown: int = 0
    positions: int = 0
    unknown_tokens: Counter = field(default_factory=Counter)
    odd_classes: Counter = field(default_factory=Counter)

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
        if record.modifiers is not None:
            self.modifier_channels = max(self.modifier_channels, len(record.modifiers))
        for index in np.flatnonzero(tokens.input_ids == unknown).tolist():
            first, after = (index, index + 1) if tokens.offsets is None else tokens.offsets[index]
            token = "".join(record.sequence[first:after])
            self.unknown += 1
            # Some are enough to see what is wrong; all could be as many as there are sequences.
            if token in self.unknown_tokens or len(self.unknown_tokens) < 100:
                self.unknown_tokens[token] += 1

    def add_label(self, label: float | str | np.ndarray | None) -> None:
        """Count the label of one more sequence.

        Parameters
        ----------
        label : float, str, numpy.ndarray or None
            As it is stored.
        """
        self.labelled += label is not None
        if isinstance(label, np.ndarray):
            known = ~np.isnan(label) if label.dtype.kind == "f" else label != ""
            self.positions += int((known.any(axis=1) if known.ndim > 1 else known).sum())
        elif isinstance(label, str) and means_missing(label):
            self.odd_classes[label] += 1

    def add_case(self, written: Record) -> None:
        """Count letters, or tokens, in either case.

        Parameters
        ----------
        written : Record
            The sequence before its letters are read in another case.
        """
        if isinstance(written.sequence, str):
            letters = np.frombuffer(written.sequence.encode("ascii", "replace"), dtype=np.uint8)
            self.lower += int(np.sum((letters >= ord("a")) & (letters <= ord("z"))))
            self.upper += int(np.sum((letters >= ord("A")) & (letters <= ord("Z"))))
        else:
            lower = sum(token != token.upper() for token in written.sequence)
            self.lower += lower
            self.upper += len(written.sequence) - lower


def make_rows(
    source: Source, tokenize: RecordTokenizer, task: str, labels: Labels, require_labels: bool, summary: Summary
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
    labels : Labels
        What has a label, and what quality labels weigh.
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
        If the source cannot be read or, at its end, if a label is missing or no number, a weight is neither a number nor a
        quality label, a sequence cannot be tokenized, or an id occurs twice; it names file and line. Of several rows it tells
        the first, and the log the others.
    """
    case, problems = source.case or source.usual_case, Problems()
    try:
        for written in unique(read_written(source), source):
            record = in_case(written, case)
            try:
                label = read_label(record, task, source, labels)
                if label is None and require_labels:
                    if source.unlabelled == "drop":
                        summary.dropped += 1
                        continue
                    raise unlabelled(record, source)
                weight = read_weight(record, labels.quality, source.decimal)
                tokens = tokenize(record)
            except RnalmError as error:
                problems.add(error)
                continue
            summary.add(record, tokens, tokenize.unknown)
            summary.add_case(written)
            summary.add_label(label)
            yield _row(record, tokens) | {"label": stored(label), "weight": weight}
    except RnalmError as error:
        problems.add(error)
    if problems:
        first, *others = problems.lines
        for line in others:
            log.error(line)
        raise RnalmError(first + (f" (and {len(problems) - 1} more, see the log)" if others else ""))


def _row(record: Record, tokens: Tokens) -> dict:
    """Put the columns of a sequence together, but for label and weight."""
    row = {name: getattr(record, name) for name in ("id", "group", "split", "description")}
    row |= {name: getattr(tokens, name) for name in ("input_ids", "sequence", "reverse_ids")}
    if tokens.offsets is not None:
        row["offsets"] = list(tokens.offsets)
    if record.modifiers is not None:
        row["modifiers"] = list(record.modifiers[:, tokens.start : tokens.start + len(tokens.input_ids)].copy())
    return row


def unique(records: Iterable[Record], source: Source) -> Iterator[Record]:
    """Pass records on and refuse duplicate ids at the end, keeping 8 bytes a record instead of its id.

    Parameters
    ----------
    records : iterable of Record
        Those of the source.
    source : Source
        It is read once more to name the places of an id that occurs twice.

    Raises
    ------
    RnalmError
        If an id occurs twice; it names both places.
    """
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
    for record in read_written(source):
        if _digest(record.id) in suspects:
            if record.id in places:
                file, _, line = places[record.id].rpartition(", ")
                earlier = line if record.place.startswith(f"{file}, ") else places[record.id]
                raise RnalmError(f"{record.place}: the id {record.id!r} was already used in {earlier}; ids must be unique")
            places[record.id] = record.place


def _digest(text: str) -> int:
    """Hash an id to 64 bits."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
