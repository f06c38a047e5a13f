"""A table ─► the fields of its rows, refusing rows and headers that are not what they seem."""

import csv
import re
import sys
from collections.abc import Iterator
from itertools import chain
from typing import IO

from rnalm.config import Attributes, Table
from rnalm.errors import RnalmError, nearest
from rnalm.sequences.numbers import to_number
from rnalm.sequences.text import open_text

# A sequence in one field is far longer than the csv module's default limit of 131,072 characters.
csv.field_size_limit(sys.maxsize)

#: The number of a row's last line, from 1, and its fields.
Row = tuple[int, list[str]]

#: What the columns of ids and sequences are called; no sequence is called so.
NAMES = {
    "id": re.compile(r"#?((gene|transcript|seq|sequence)([_ ]?(id|name))?|ids?|names?|identifier|accession)", re.IGNORECASE),
    "sequence": re.compile(r"seqs?|sequences?", re.IGNORECASE),
}

LINE_BREAK = re.compile(r"\r\n|\r|\n")

#: A nucleic acid, and not a short word such as "cat".
NUCLEIC = re.compile(r"[ACGTUN]{6,}", re.IGNORECASE)


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
        If a column is missing or named twice, a header looks like a row or a row like a header, a row is short or has more
        fields than the header or the first row, a quoted field holds what look like rows, an id is empty, or quoting is
        malformed; it names the file and, where there is one, the line.
    """
    with open_text(source.path) as file:
        rows = _rows(file, source)
        header = [name.strip() for name in next(rows, (0, []))[1]] if source.header else []
        columns = _columns(header, source)
        first = next((row for row in rows if any(row[1])), None)
        if first is None:
            return
        _check_header(header, first[1], columns, source)
        least, most = max(columns.values()) + 1, len(header or first[1])
        for line, row in chain([first], rows):
            if not row or row == [""]:
                continue
            place = f"{source.path}, line {line}"
            _check_width(row, least, most, place, source)
            fields = {key: row[position].strip() for key, position in columns.items()}
            if broken := next((key for key, field in fields.items() if LINE_BREAK.search(field)), None):
                raise RnalmError(f"{place}: the {broken} holds a line break, as where a quote is missing{_quote_hint(source)}")
            if not fields["id"]:
                raise RnalmError(f"{place}: the id is empty")
            if header and [field.strip() for field in row] == header:
                raise RnalmError(f"{place}: the header stands here again; expected it in the first line only")
            yield place, fields


def _rows(file: IO[str], source: Table | Attributes) -> Iterator[Row]:
    """Take lines apart."""
    if len(source.column_sep) > 1:
        for number, text in enumerate(file, start=1):
            yield number, text.rstrip("\r\n").split(source.column_sep)
        return
    quoting = csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE
    reader = csv.reader(file, delimiter=source.column_sep, strict=True, quotechar=source.quote, quoting=quoting)
    try:
        last = 0
        for row in reader:
            if reader.line_num - last > 1:
                _check_quotes(row, last + 1, reader.line_num, source)
            last = reader.line_num
            yield last, row
    except csv.Error as error:
        raise RnalmError(f"{source.path}, line {reader.line_num}: {error}{_quote_hint(source)}") from None


def _quote_hint(source: Table | Attributes) -> str:
    return f"; if {source.quote!r} is an ordinary character, set quote: null" if source.quote else ""


def _check_quotes(row: list[str], first: int, last: int, source: Table | Attributes) -> None:
    """Refuse a field that holds the end of its row and the beginning of another: a quote is missing."""
    for position, field in enumerate(row):
        lines = LINE_BREAK.split(field)
        before, after = (lines[end].count(source.column_sep) for end in (0, -1))
        if len(lines) > 1 and before == len(row) - 1 - position and after == position:
            problem = f"a quoted field that goes on to line {last} holds what look like rows, as where a quote is missing"
            raise RnalmError(f"{source.path}, line {first}: {problem}{_quote_hint(source)}")


def _check_width(row: list[str], least: int, most: int, place: str, source: Table | Attributes) -> None:
    """Refuse a row that lacks columns, or has more than are named: then every field may be that of another column."""
    if len(row) < least:
        raise RnalmError(
            f"{place}: found {len(row)} columns, expected at least {least}; is column_sep {source.column_sep!r} right?"
        )
    if len(row) > most:
        named = "header" if source.header else "first row"
        hint = f"fields with {source.column_sep!r} in them need quotes, and row names a name in the header"
        raise RnalmError(f"{place}: found {len(row)} columns, the {named} has {most}; {hint}")


def _columns(header: list[str], source: Table | Attributes) -> dict[str, int]:
    """Map each configured column to its 0-based position."""
    if source.header and not any(header):
        raise RnalmError(f"{source.path}: the file is empty, expected a header")
    positions = {}
    for key, column in source.columns.wanted().items():
        if isinstance(column, int):
            positions[key] = column - 1
            if header and column > len(header):
                raise RnalmError(f"{source.path}: columns.{key} is {column}, but the file has {len(header)} columns")
        elif header.count(column) == 1:
            positions[key] = header.index(column)
        elif column in header:
            raise RnalmError(
                f"{source.path}: {header.count(column)} columns are named {column!r}; give columns.{key} as a position"
            )
        else:
            raise RnalmError(f"{source.path}: no column {column!r} for columns.{key}; {nearest(column, header)}")
        twin = next((other for other in positions if other != key and positions[other] == positions[key]), None)
        if twin is not None and key.startswith("label."):
            raise RnalmError(f"{source.path}: columns.{twin} and columns.{key} are the same column, {column!r}")
    return positions


def _check_header(header: list[str], row: list[str], columns: dict[str, int], source: Table | Attributes) -> None:
    """Refuse a first line that is a row where a header is expected, or a header where a row is.

    A name of a column that is found in a header shows that it is one.
    """
    if any(isinstance(column, str) for column in source.columns.wanted().values()):
        return
    line = header or row
    found = {key: line[position].strip() for key, position in columns.items() if position < len(line)}
    if not header:
        for key, names in NAMES.items():
            if names.fullmatch(found.get(key, "")):
                raise RnalmError(f"{source.path}, line 1: the {key} is {found[key]!r}; if this is the header, set header: true")
        return
    below = {key: row[position].strip() for key, position in columns.items() if position < len(row)}
    for key, is_data in (("label", _is_label), ("id", _is_id), ("sequence", _is_sequence)):
        if key in found and is_data(found[key], below.get(key, ""), source):
            shown = found[key] if len(found[key]) <= 20 else f"{found[key][:20]}…"
            raise RnalmError(f"{source.path}: the {key} in the header is {shown!r}; if there is no header, set header: false")


def _is_label(name: str, below: str, source: Table | Attributes) -> bool:
    return to_number(name, source.decimal) is not None


def _is_id(name: str, below: str, source: Table | Attributes) -> bool:
    """Say whether a name is an id like the one below it: the same but for its digits."""
    return name != below and any(map(str.isdigit, name)) and re.sub(r"\d+", "0", name) == re.sub(r"\d+", "0", below)


def _is_sequence(name: str, below: str, source: Table | Attributes) -> bool:
    """Say whether a name is a sequence: a nucleic acid, or as long as no name and of the letters of the one below it."""
    return bool(NUCLEIC.fullmatch(name)) or (len(name) >= 12 and set(name) <= set(below))
