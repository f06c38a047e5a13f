"""What a record says of itself ─► its label and its weight."""

from typing import Any

import numpy as np

from rnalm.config import Labels, Source
from rnalm.errors import RnalmError, nearest
from rnalm.sequences.numbers import to_number
from rnalm.sequences.records import Record, means_missing
from rnalm.tokens.positions import WRITTEN, read_labels


def stored(label: float | str | np.ndarray | None) -> Any:
    """Give a label as Parquet takes it: what is not known of tokens is null.

    Parameters
    ----------
    label : float, str, numpy.ndarray or None
        From :func:`read_label`.
    """
    if not isinstance(label, np.ndarray):
        return label
    values = label.astype(object)
    values[np.isnan(label) if label.dtype.kind == "f" else label == ""] = None
    return values if values.ndim == 1 else values.tolist()


def unlabelled(record: Record, source: Source) -> RnalmError:
    """Make the error about a sequence without a label where there must be one.

    Parameters
    ----------
    record : Record
        The sequence.
    source : Source
        From which it is.
    """
    attributes = getattr(source, "attributes", None)
    hint = f"; {attributes.path} says nothing of it" if attributes and record.label is None else ""
    problem = "no label" if record.label is None else "labels of which none is known"
    problem = f"{record.id!r} has {problem}, but training needs one{hint}"
    return RnalmError(f"{record.place}: {problem}; to leave such rows out, set source.unlabelled: drop")


def read_classes(record: Record, source: Source) -> np.ndarray:
    """Read of which classes a sequence is, where each has a column.

    Parameters
    ----------
    record : Record
        With a label.
    source : Source
        From which it is.

    Returns
    -------
    numpy.ndarray
        float32 ``(classes,)``: 1, 0, or NaN where it is not known.

    Raises
    ------
    RnalmError
        If it is written in another way; it names file and line.
    """
    if isinstance(record.label, np.ndarray):
        own = record.label
        if len(odd := own[~(np.isnan(own) | (own == 0) | (own == 1))]):
            raise RnalmError(f"{record.place}: found {odd[0]:g} for a class, expected 1, 0 or, where it is not known, NaN")
        return own
    values = np.full(len(source.label_classes), np.nan, dtype=np.float32)
    for number, (name, text) in enumerate(zip(source.label_classes, record.label or (), strict=True)):
        if text is not None and (written := WRITTEN.get(text.casefold())) is None:
            hint = "expected 1, 0 or, where it is not known, nothing"
            raise RnalmError(f"{record.place}: {record.id!r} has {text[:20]!r} for the class {name!r}, {hint}")
        if text is not None:
            values[number] = written
    return values


def read_label(record: Record, task: str, source: Source, labels: Labels) -> float | str | np.ndarray | None:
    """Read a label: a finite number for regression, a name, or one for each of several classes or targets; or those of tokens.

    Parameters
    ----------
    record : Record
        The sequence.
    task : {'regression', 'classification', 'multilabel'}
        What labels are.
    source : Source
        From which the sequence is.
    labels : Labels
        What has a label.

    Returns
    -------
    float, str, numpy.ndarray or None
        None where there is none; of tokens see :func:`rnalm.tokens.positions.read_labels`.

    Raises
    ------
    RnalmError
        If a label is no number, or those of tokens do not fit them; it names file and line.
    """
    if labels.per == "token":
        return read_labels(record, task, source, labels)
    if record.label is None or (isinstance(record.label, np.ndarray) and np.isnan(record.label).all()):
        return None
    if task == "multilabel":
        return read_classes(record, source)
    if task == "regression" and not isinstance(record.label, str):
        numbers = read_numbers(record, source)
        return numbers if len(numbers) > 1 else None if np.isnan(numbers[0]) else float(numbers[0])
    assert isinstance(record.label, str), "of several classes each has a column"
    return record.label if task == "classification" else _number(record.label, record, source)


def read_numbers(record: Record, source: Source) -> np.ndarray:
    """Read the numbers of several targets.

    Parameters
    ----------
    record : Record
        With a label.
    source : Source
        From which it is.

    Returns
    -------
    numpy.ndarray
        float64 ``(targets,)``: NaN where one is not known.

    Raises
    ------
    RnalmError
        If one is no number; it names file, line and target.
    """
    if isinstance(record.label, np.ndarray):
        return record.label.astype(np.float64)
    named = zip(source.label_classes, record.label or (), strict=True)
    return np.array([np.nan if text is None else _number(text, record, source, name) for name, text in named])


def _number(text: str, record: Record, source: Source, target: str | None = None) -> float:
    """Read a number, perhaps of one of several targets."""
    number = to_number(text, source.decimal)
    if number is None:
        what = "the label" if target is None else f"{target!r}"
        hint = _number_hint(text, source)
        raise RnalmError(f"{record.place}: {what} of {record.id!r} is {text!r}, expected a number{hint}")
    return number


def _number_hint(text: str, source: Source) -> str:
    """Say how to read a text that is no number, where it may be one of another place, or stand for none."""
    other = "," if source.decimal == "." else "."
    if to_number(text, other) is not None:
        key = source.missing_key.replace("missing", "decimal")
        return f"; if {other!r} stands before its decimals, set {key}: {other!r}"
    return f"; if it stands for no label, set {source.missing_key}: [{text!r}]" if means_missing(text) else ""


def read_weight(record: Record, quality: dict[str, float], decimal: str) -> float | None:
    """Read a weight, which is a finite number or named by a quality label.

    Parameters
    ----------
    record : Record
        The sequence.
    quality : dict
        Weights of quality labels by their names.
    decimal : str
        What stands before decimals.

    Raises
    ------
    RnalmError
        If it is neither; it names file and line.
    """
    if record.weight is None:
        return None
    if record.weight in quality:
        return quality[record.weight]
    weight = to_number(record.weight, decimal)
    if weight is None or weight < 0:
        expected = f"expected a number ≥ 0 or a quality label; {nearest(record.weight, quality)}"
        raise RnalmError(f"{record.place}: the weight of {record.id!r} is {record.weight!r}, {expected}")
    return weight
