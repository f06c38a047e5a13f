"""What a record says of its positions ─► a label for each of its tokens."""

from collections.abc import Callable

import numpy as np

from rnalm.config import Source
from rnalm.errors import RnalmError
from rnalm.sequences.numbers import to_number
from rnalm.sequences.records import Record

#: Classes of positions without a site, and with one that has no name.
NO_SITE, SITE = "0", "1"

#: Class of a position of which none is known; no class is called so.
UNKNOWN = ""


def read_labels(record: Record, task: str, source: Source, sep: str) -> np.ndarray | None:
    """Read the labels of the tokens of a record.

    Parameters
    ----------
    record : Record
        The sequence.
    task : {'regression', 'classification'}
        What labels are.
    source : Source
        From which the sequence is.
    sep : str
        What separates labels where they stand in one field.

    Returns
    -------
    numpy.ndarray or None
        Of each token, ``(length,)``: float32 with NaN, or names of classes with :data:`UNKNOWN`, where it is not known; None
        where none is.

    Raises
    ------
    RnalmError
        If there are more or fewer labels than tokens, one is no number, a site is not within the sequence, or two sites of
        different names share a position; it names file and line.
    """
    if source.gives("sites"):
        return None if record.sites is None else _of_sites(record)
    if not isinstance(record.label, str):
        return None
    texts = [text.strip() for text in record.label.split(sep)]
    if len(texts) != len(record.sequence):
        hint = f"expected one for each, separated by {sep!r} (labels.sep)"
        raise RnalmError(f"{record.place}: {record.id!r} has {len(texts)} labels and {len(record.sequence)} tokens; {hint}")
    attributes = getattr(source, "attributes", None)
    missing = {UNKNOWN, *getattr(attributes or source, "missing", [])}
    read: Callable = _name if task == "classification" else _number
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


def _of_sites(record: Record) -> np.ndarray:
    """Make names of classes of sites: what is no site is :data:`NO_SITE`."""
    length, sites = len(record.sequence), record.sites or ()
    longest = max((len(name) for _, _, name in sites), default=1) or 1
    labels = np.full(length, NO_SITE, dtype=f"U{longest}")
    taken = np.zeros(length, dtype=bool)
    for start, end, name in sites:
        if not 0 <= start < end <= length:
            shown = start if end == start + 1 else f"{start}-{end}"
            raise RnalmError(f"{record.place}: {record.id!r} has {length} tokens, but a site at {shown}; positions begin at 0")
        own = name or SITE
        if own == NO_SITE:
            raise RnalmError(f"{record.place}: a site of {record.id!r} is called {NO_SITE!r}, as positions without one are")
        other = taken[start:end] & (labels[start:end] != own)
        if other.any():
            position = start + int(other.argmax())
            problem = f"position {position} of {record.id!r} is a site called {labels[position]} and one called {own}"
            raise RnalmError(f"{record.place}: {problem}; expected one class a position")
        labels[start:end], taken[start:end] = own, True
    return labels
