"""All that a run would say of the rows of a source, before it."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rnalm.config import Config, Evaluate, Source, Tokenizer
from rnalm.errors import Problems, RnalmError, nearest
from rnalm.labels import folds
from rnalm.labels.labels import fit
from rnalm.sequences import read
from rnalm.sequences.numbers import to_number
from rnalm.sequences.read import in_case, read_written
from rnalm.sequences.records import Record
from rnalm.sequences.strands import mixes
from rnalm.sequences.text import read_names
from rnalm.tokens.learn import check_room
from rnalm.tokens.rows import unique
from rnalm.tokens.tokenize import kept_range, other_strand
from rnalm.tokens.truth import read_label, read_weight, unlabelled

log = logging.getLogger(__name__)

#: Letters or tokens that are kept to hold replacements against: more of them are no alphabet.
ALPHABET = 10_000


@dataclass
class Checked:
    """What a source has, and what is wrong with it.

    Attributes
    ----------
    sequences, labelled, dropped : int
        How many there are, how many of them have a label, and how many are left out as they have none.
    shortest, longest : int
        Letters or tokens.
    classes : int
        How many differ, of labels that are names.
    copies : int
        Sequences that occurred before.
    alphabet : set of str
        Letters or tokens that occur, the first :data:`ALPHABET`.
    problems : Problems
        What is wrong.
    """

    sequences: int = 0
    labelled: int = 0
    dropped: int = 0
    shortest: int = 0
    longest: int = 0
    classes: int = 0
    copies: int = 0
    alphabet: set[str] = field(default_factory=set)
    problems: Problems = field(default_factory=Problems)


def check(source: Source, settings: Config, trains: bool, learned: bool = False) -> Checked:
    """Read a whole source and hold its rows against the configuration, whatever is wrong with some of them.

    Parameters
    ----------
    source : Source
        What to read, as a run would.
    settings : Config
        The configuration.
    trains : bool
        Whether models are trained with it: then labels are needed, and rows are assigned to folds.
    learned : bool
        Whether the vocabulary is learned from it, in which all letters must have room, and tokens that replace others must be.

    Returns
    -------
    Checked
        Where the file itself cannot be read on, that is the last of the problems.
    """
    found = Checked()
    columns = _Columns()
    try:
        for record, label in _rows(source, settings, trains, found):
            columns.add(record, label, found)
    except RnalmError as error:
        found.problems.add(error)
        return found
    if mixes(found.alphabet):
        log.warning("%s: both T and U occur, and mean the same only to a biologist", source.paths[0])
    if trains:
        _check_folds(settings, columns, found)
        _check_labels(settings, columns, source.decimal, found)
    options = settings.tokenizer
    # A sample may lack rare letters, and replacements bring others.
    whole = options.sample_size is None and not options.atomic_replacements
    if learned and whole and options.type in ("bpe", "unigram"):
        _check_vocabulary(options, found)
    if learned and "replace" in settings.interpret.scored and options.type == "atomic":
        _check_replacements(settings.interpret.replacements, found)
    return found


class _Columns:
    """What is kept of the rows: 8 bytes a sequence, and the columns by which rows are assigned."""

    def __init__(self) -> None:
        self.labels: list[str | None] = []
        self.groups: list[str | None] = []
        self.splits: list[str | None] = []
        self.hashes: set[int] = set()
        #: Of labels of tokens: the names of classes, or two numbers that differ.
        self.values: set = set()
        #: Of several targets: the least and greatest number of each, NaN where none is known ``(2, targets)``.
        self.ranges: np.ndarray | None = None

    def add(self, record: Record, label: float | str | np.ndarray | None, found: Checked) -> None:
        """Keep a row, and count it."""
        length, sequence = len(record.sequence), record.sequence
        found.sequences += 1
        found.labelled += label is not None
        found.shortest = min(found.shortest, length) if found.sequences > 1 else length
        found.longest = max(found.longest, length)
        key = hash(sequence if isinstance(sequence, str) else tuple(sequence))
        found.copies += key in self.hashes
        self.hashes.add(key)
        if isinstance(label, np.ndarray) and label.dtype == np.float64:
            both = np.stack([label, label]) if self.ranges is None else np.stack([*self.ranges, label])
            self.ranges = np.stack([np.fmin.reduce(both), np.fmax.reduce(both)])
        elif isinstance(label, np.ndarray):
            own = np.unique(label[label != ""] if label.dtype.kind == "U" else label[~np.isnan(label)])
            self.values.update((own if label.dtype.kind == "U" else own[[0, -1]]).tolist())
        written = record.label if isinstance(record.label, str) and not isinstance(label, np.ndarray) else None
        for kept, value in ((self.labels, written), (self.groups, record.group), (self.splits, record.split)):
            kept.append(value)


def _rows(
    source: Source, settings: Config, trains: bool, found: Checked
) -> Iterator[tuple[Record, float | str | np.ndarray | None]]:
    """Read the rows that a run would keep, and their labels; note what is wrong with a row, and go on."""
    case = source.case or source.usual_case
    logarithm = trains and settings.task == "regression" and settings.labels.scaling == "log"
    for written in unique(read_written(source), source):
        record = in_case(written, case)
        if len(found.alphabet) < ALPHABET:
            found.alphabet.update(record.sequence)
        label = None
        try:
            label = read_label(record, settings.task, source, settings.labels)
            if trains and label is None:
                if source.unlabelled == "drop":
                    found.dropped += 1
                    continue
                raise unlabelled(record, source)
            read_weight(record, settings.labels.quality, source.decimal)
            if settings.encode.reverse_complement != "none":
                other_strand(record, _kept(record.sequence, settings), rna=False)
            least = np.nanmin(label) if logarithm and label is not None else 1  # pyright: ignore[reportArgumentType, reportCallIssue]
            if least <= 0:
                found.problems.add(
                    f"{record.place}: the label of {record.id!r} is {least:g}, but labels.scaling: log needs labels > 0"
                )
        except RnalmError as error:
            found.problems.add(error)
        yield record, label


def _kept(sequence: str | Sequence[str], settings: Config) -> str | Sequence[str]:
    """Cut a sequence as it is encoded, where a letter is a token: what is cut off need not have a complement."""
    encode = settings.encode
    if settings.tokenizer.type != "atomic" or encode.center_token:
        return sequence
    return sequence[slice(*kept_range(sequence, encode.block_size, encode.truncate))]


def _check_folds(settings: Config, columns: _Columns, found: Checked) -> None:
    """Assign the rows to folds; clusters are left aside, which take longer than reading."""

    def given(values: list) -> list | None:
        return values if any(value is not None for value in values) else None

    labels = given(columns.labels) if settings.task == "classification" and not found.problems else None
    groups = None if settings.folds.group == "none" else folds.named(given(columns.groups))
    try:
        folds.assign(settings.folds, len(columns.labels), labels, groups, given(columns.splits), settings.seed)
    except RnalmError as error:
        found.problems.add(error)


def _check_labels(settings: Config, columns: _Columns, decimal: str, found: Checked) -> None:
    """Look whether labels tell rows apart: if all do not, those of no fold do."""
    if found.problems:
        return
    if settings.task == "multilabel":
        source = settings.training_source
        names = read.classes(source) or settings.classes_of(source)
        found.classes = len(names)
        try:
            evaluated(settings.evaluate, names)
        except RnalmError as error:
            found.problems.add(error)
        return
    classes: set = set()
    numbers: list | np.ndarray = []
    names: Sequence[str] = ()
    if columns.ranges is not None:
        numbers, names = columns.ranges, read.classes(settings.training_source)
    elif settings.task == "classification":
        classes = columns.values or {label for label in columns.labels if label is not None}
    else:
        numbers = [*columns.values] or [to_number(label, decimal) for label in columns.labels if label is not None]
    found.classes = len(classes)
    try:
        fit(settings.task, settings.labels.scaling, np.array(numbers, dtype=float), names or sorted(classes))
    except RnalmError as error:
        found.problems.add(error)


def evaluated(options: Evaluate, classes: Sequence[str]) -> list[str]:
    """Name the classes that are evaluated, in their order.

    Parameters
    ----------
    options : Evaluate
        With a list of them, or a file that has one in each line; or none, for all.
    classes : sequence of str
        Those of the models.

    Raises
    ------
    RnalmError
        If the models do not know a class, or one is named twice.
    """
    if options.classes is None:
        return list(classes)
    names, where = read_names(options.classes, "evaluate.classes")
    for name in names:
        if name not in classes:
            raise RnalmError(f"{where}: the models do not know the class {name!r}; {nearest(name, classes)}")
    return names


def _check_vocabulary(options: Tokenizer, found: Checked) -> None:
    """Look whether the vocabulary has room for all letters."""
    try:
        check_room(options, len(found.alphabet))
    except RnalmError as error:
        found.problems.add(error)


def _check_replacements(replacements: dict[str, list[str]], found: Checked) -> None:
    """Look for tokens that are to be replaced, or to replace others, and do not occur."""
    for token in dict.fromkeys([*replacements, *(other for others in replacements.values() for other in others)]):
        if token not in found.alphabet and len(found.alphabet) < ALPHABET:
            known = nearest(token, sorted(found.alphabet))
            found.problems.add(f"interpret.replacements: no sequence has a token {token!r}; {known}")
