"""A table of sequences ─► records, one at a time."""

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO

import numpy as np

from rnalm.config import Attributes, Table
from rnalm.errors import RnalmError, nearest
from rnalm.files import open_text
from rnalm.sequences.records import Record

# A sequence in one field is far longer than the csv module's default limit of 131,072 characters.
csv.field_size_limit(sys.maxsize)


def read(source: Table) -> Iterator[Record]:
    """Read the records of a table, in order and in constant memory.

    Parameters
    ----------
    source : Table
        The table, and where it holds what.

    Yields
    ------
    Record
        The sequence of a row; blank lines are passed over.

    Raises
    ------
    RnalmError
        If a column is missing or named twice, a row is short, an id, sequence or token is empty, quoting or a modifier is
        malformed, or there is no row; it names the file and, where there is one, the line.
    """
    split_tokens = _token_splitter(source)
    empty = True
    for place, fields in read_fields(source):
        empty = False
        if not fields["sequence"]:
            raise RnalmError(f"{place}: the sequence of {fields['id']!r} is empty")
        sequence, modifiers = split_tokens(fields.pop("sequence"), place)
        optional = {key: fields.get(key) or None for key in ("label", "weight", "group", "split")}
        yield Record(place, fields["id"], sequence, modifiers, **optional)
    if empty:
        raise RnalmError(f"{source.path}: no sequences in it")


def read_fields(source: Table | Attributes) -> Iterator[tuple[str, dict[str, str]]]:
    """Read the configured columns of a table, row by row.

    Parameters
    ----------
    source : Table or Attributes
        The table, and where it holds what.

    Yields
    ------
    place : str
        File and line, for messages.
    fields : dict
        The text of each field by the name that its column has in the configuration; that of ``id`` is not empty.

    Raises
    ------
    RnalmError
        If a column is missing or named twice, a row is short, an id is empty, or quoting is malformed; it names the file and,
        where there is one, the line.
    """
    with open_text(source.path) as file:
        rows = _rows(file, source)
        columns = _columns(rows, source)
        width = max(columns.values()) + 1
        for line, row in rows:
            if not row or row == [""]:
                continue
            place = f"{source.path}, line {line}"
            if len(row) < width:
                raise RnalmError(
                    f"{place}: found {len(row)} columns, expected at least {width}; is column_sep {source.column_sep!r} right?"
                )
            fields = {key: row[position].strip() for key, position in columns.items()}
            if not fields["id"]:
                raise RnalmError(f"{place}: the id is empty")
            yield place, fields


def _rows(file: IO[str], source: Table | Attributes) -> Iterator[tuple[int, list[str]]]:
    """Take lines apart: the 1-based number of a row's last line, and its fields."""
    if len(source.column_sep) > 1:
        for number, text in enumerate(file, start=1):
            yield number, text.rstrip("\r\n").split(source.column_sep)
        return
    quoting = csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE
    reader = csv.reader(file, delimiter=source.column_sep, strict=True, quotechar=source.quote, quoting=quoting)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        hint = f"; if {source.quote!r} is an ordinary character, set quote: null" if source.quote else ""
        raise RnalmError(f"{source.path}, line {reader.line_num}: {error}{hint}") from None


def _columns(rows: Iterator[tuple[int, list[str]]], source: Table | Attributes) -> dict[str, int]:
    """Map each configured column to its 0-based position, reading the header if there is one."""
    header: list[str] = []
    if source.header:
        header = [name.strip() for name in next(rows, (0, []))[1]]
        if not any(header):
            raise RnalmError(f"{source.path}: the file is empty, expected a header")
    wanted = {key: column for key, column in source.columns if column is not None}
    positions = {}
    for key, column in wanted.items():
        if isinstance(column, int):
            positions[key] = column - 1
            if header and column > len(header):
                raise RnalmError(f"{source.path}: columns.{key} is {column}, but the file has {len(header)} columns")
            if header and key == "label" and to_number(header[column - 1]) is not None:
                hint = "if there is no header, set header: false"
                raise RnalmError(f"{source.path}: the label in the header is {header[column - 1]!r}; {hint}")
        elif header.count(column) == 1:
            positions[key] = header.index(column)
        elif column in header:
            raise RnalmError(
                f"{source.path}: {header.count(column)} columns are named {column!r}; give columns.{key} as a position"
            )
        else:
            raise RnalmError(f"{source.path}: no column {column!r} for columns.{key}; {nearest(column, header)}")
    return positions


def _token_splitter(source: Table) -> Callable[[str, str], tuple[Sequence[str], np.ndarray | None]]:
    """Make the function that takes a sequence field apart."""
    token_sep, modifier_sep = source.token_sep, source.modifier_sep
    if token_sep is None:
        return lambda text, place: (text, None)
    if modifier_sep is None:
        return lambda text, place: (_fields(text, token_sep, place), None)

    def split_modifiers(text: str, place: str) -> tuple[Sequence[str], np.ndarray]:
        decorated = [field.split(modifier_sep) for field in _fields(text, token_sep, place)]
        tokens = [parts[0] for parts in decorated]
        if not all(tokens):
            raise RnalmError(f"{place}: token {tokens.index('') + 1} has a modifier but no name")
        modifiers = np.zeros((max(map(len, decorated)) - 1, len(tokens)), dtype=np.float32)
        for position, (_, *numbers) in enumerate(decorated):
            for channel, number in enumerate(numbers):
                modifiers[channel, position] = _modifier(number, place, position)
        return tokens, modifiers

    return split_modifiers


def _fields(text: str, token_sep: str, place: str) -> list[str]:
    """Take a sequence apart into its tokens, with what is attached to them."""
    fields = text.split(token_sep)
    if not fields[-1]:
        fields.pop()  # a separator after the last token
    if not all(fields):
        raise RnalmError(f"{place}: token {fields.index('') + 1} is empty, between two {token_sep!r}")
    return fields


def to_number(text: str) -> float | None:
    """Read a number; None where it is none.

    Parameters
    ----------
    text : str
        As it stands in a file.
    """
    try:
        return float(text)
    except ValueError:
        return None


def _modifier(text: str, place: str, position: int) -> float:
    """Read a modifier, which must be finite in float32."""
    number = to_number(text)
    if number is None or not abs(number) <= float(np.finfo(np.float32).max):
        raise RnalmError(f"{place}: token {position + 1} has the modifier {text!r}, expected a number")
    return number
