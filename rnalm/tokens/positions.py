"""What a record says of its positions ─► a label for each of its tokens."""

from collections.abc import Iterator, Sequence

import numpy as np

from rnalm.config import Labels, Source
from rnalm.errors import RnalmError, nearest
from rnalm.sequences.numbers import to_number
from rnalm.sequences.records import Record

#: Classes of positions without a site, and with one that has no name.
NO_SITE, SITE = "0", "1"

#: How it is written that something is of a class, or is not.
WRITTEN = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0, "true": 1.0, "false": 0.0}

#: Class of a position of which none is known; no class is called so.
UNKNOWN = ""


def read_labels(record: Record, task: str, source: Source, labels: Labels) -> np.ndarray | None:
    """Read the labels of the tokens of a record.

    Parameters
    ----------
    record : Record
        The sequence.
    task : {'regression', 'classification', 'multilabel'}
        What labels are.
    source : Source
        From which the sequence is.
    labels : Labels
        What separates labels that stand in one field, and which names of sites are classes.

    Returns
    -------
    numpy.ndarray or None
        Of each token, ``(length,)``: float32 with NaN, or names of classes with :data:`UNKNOWN`, where it is not known; for
        multilabel float32 1, 0 or NaN ``(length, classes)``. None where none is.

    Raises
    ------
    RnalmError
        If there are more or fewer labels than tokens, one is no number, a site is not within the sequence or of no class, or
        two sites of different names share a position that has one class; it names file and line.
    """
    if source.gives("sites"):
        if record.sites is None:
            return None
        classes = source.label_classes or labels.classes or []
        return _classes_of_sites(record, classes) if task == "multilabel" else _of_sites(record)
    if record.label is None:
        return None
    if task != "multilabel":
        assert isinstance(record.label, str), "several columns are for multilabel"
        return _of_list(record.label, task, record, source, labels.sep)
    values = np.full((len(record.sequence), len(source.label_classes)), np.nan, dtype=np.float32)
    for number, text in enumerate(record.label or ()):
        if text is not None and (own := _of_list(text, task, record, source, labels.sep)) is not None:
            values[:, number] = own
    return None if np.isnan(values).all() else values


def _of_list(label: str, task: str, record: Record, source: Source, sep: str) -> np.ndarray | None:
    """Take a list of labels apart ``(length,)``; None where none is known."""
    texts = [text.strip() for text in label.split(sep)]
    if len(texts) != len(record.sequence):
        hint = f"expected one for each, separated by {sep!r} (labels.sep)"
        raise RnalmError(f"{record.place}: {record.id!r} has {len(texts)} labels and {len(record.sequence)} tokens; {hint}")
    attributes = getattr(source, "attributes", None)
    missing = {UNKNOWN, *getattr(attributes or source, "missing", [])}
    read = {"regression": _number, "classification": _name, "multilabel": _whether}[task]
    values = [None if text in missing else read(text, index, record, source) for index, text in enumerate(texts)]
    if all(value is None for value in values):
        return None
    if task == "classification":
        return np.array([UNKNOWN if value is None else value for value in values])
    return np.array(values, dtype=np.float32)


def _name(text: str, index: int, record: Record, source: Source) -> str:
    return text


def _number(text: str, index: int, record: Record, source: Source) -> float:
    value = to_number(text, source.decimal)
    if value is None:
        problem = f"label {index + 1} of {record.id!r} is {text[:20]!r}, expected a number or, where it is not known, nothing"
        raise RnalmError(f"{record.place}: {problem}")
    return value


def _whether(text: str, index: int, record: Record, source: Source) -> float:
    value = WRITTEN.get(text.casefold())
    if value is None:
        problem = f"label {index + 1} of {record.id!r} is {text[:20]!r}, expected 1, 0 or, where it is not known, nothing"
        raise RnalmError(f"{record.place}: {problem}")
    return value


def _inside(record: Record) -> Iterator[tuple[int, int, str]]:
    """Give the sites of a record and their names, refusing what is not within it."""
    length = len(record.sequence)
    for start, end, name in record.sites or ():
        if not 0 <= start < end <= length:
            shown = start if end == start + 1 else f"{start}-{end}"
            raise RnalmError(f"{record.place}: {record.id!r} has {length} tokens, but a site at {shown}; positions begin at 0")
        yield start, end, name or SITE


def _classes_of_sites(record: Record, classes: Sequence[str]) -> np.ndarray:
    """Say of each position of which classes it is ``(length, classes)``."""
    labels = np.zeros((len(record.sequence), len(classes)), dtype=np.float32)
    for start, end, name in _inside(record):
        if name not in classes:
            problem = f"a site of {record.id!r} is called {name!r}, which is none of labels.classes"
            raise RnalmError(f"{record.place}: {problem}; {nearest(name, classes)}")
        labels[start:end, classes.index(name)] = 1
    return labels


def _of_sites(record: Record) -> np.ndarray:
    """Make names of classes of sites: what is no site is :data:`NO_SITE`."""
    length = len(record.sequence)
    longest = max((len(name) for _, _, name in record.sites or ()), default=1) or 1
    labels = np.full(length, NO_SITE, dtype=f"U{longest}")
    taken = np.zeros(length, dtype=bool)
    for start, end, own in _inside(record):
        if own == NO_SITE:
            raise RnalmError(f"{record.place}: a site of {record.id!r} is called {NO_SITE!r}, as positions without one are")
        other = taken[start:end] & (labels[start:end] != own)
        if other.any():
            position = start + int(other.argmax())
            problem = f"position {position} of {record.id!r} is a site called {labels[position]} and one called {own}"
            raise RnalmError(f"{record.place}: {problem}; expected one class a position")
        labels[start:end], taken[start:end] = own, True
    return labels
