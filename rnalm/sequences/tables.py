"""A table of sequences ─► records, one at a time."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rnalm.config import Table
from rnalm.errors import RnalmError
from rnalm.sequences import sites as site_fields
from rnalm.sequences.fields import read_fields
from rnalm.sequences.numbers import to_number
from rnalm.sequences.records import Record, told


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
        If the rows cannot be read (see :func:`rnalm.sequences.fields.read_fields`), a sequence or token is empty, a contiguous
        sequence has white space, control characters or quotes in it, a modifier is malformed, or there is no row; it names the
        file and, where there is one, the line.
    """
    split_tokens = _token_splitter(source)
    empty = True
    for place, fields in read_fields(source):
        empty = False
        if not fields["sequence"]:
            raise RnalmError(f"{place}: the sequence of {fields['id']!r} is empty")
        sequence, modifiers = split_tokens(fields.pop("sequence"), place)
        optional = {key: fields.get(key) or None for key in ("weight", "group", "split")}
        sites = site_fields.told(fields, source.columns, place)
        yield Record(place, fields["id"], sequence, modifiers, told(fields, source.missing), **optional, sites=sites)
    if empty:
        raise RnalmError(f"{source.path}: no sequences in it")


def _token_splitter(source: Table) -> Callable[[str, str], tuple[Sequence[str], np.ndarray | None]]:
    """Make the function that takes a sequence field apart."""
    token_sep, modifier_sep = source.token_sep, source.modifier_sep
    if token_sep is None:
        return lambda text, place: (_contiguous(text, place, source.quote), None)
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
                modifiers[channel, position] = _modifier(number, source.decimal, place, position)
        return tokens, modifiers

    return split_modifiers


def _contiguous(text: str, place: str, quote: str | None) -> str:
    """Refuse what is no letter of a sequence, as each would become a token: what is not seen, and quotes."""
    if text.isprintable() and " " not in text and (quote is None or quote not in text):
        return text
    for position, letter in enumerate(text, start=1):
        if letter == quote:
            hint = "expected quotes around a whole field, and a column_sep of one character; or set quote: null"
            raise RnalmError(f"{place}: position {position} of the sequence is {letter!r}; {hint}")
        if letter.isspace() or unicodedata.category(letter) in ("Cc", "Cf"):
            hint = "expected letters only or, where it separates tokens, token_sep"
            raise RnalmError(f"{place}: position {position} of the sequence is {letter!r}; {hint}")
    return text


def _fields(text: str, token_sep: str, place: str) -> list[str]:
    """Take a sequence apart into its tokens, with what is attached to them."""
    fields = text.split(token_sep)
    if not fields[-1]:
        fields.pop()  # a separator after the last token
    if not all(fields):
        raise RnalmError(f"{place}: token {fields.index('') + 1} is empty, between two {token_sep!r}")
    return fields


def _modifier(text: str, decimal: str, place: str, position: int) -> float:
    """Read a modifier, which must be finite in float32."""
    number = to_number(text, decimal)
    if number is None or not abs(number) <= float(np.finfo(np.float32).max):
        raise RnalmError(f"{place}: token {position + 1} has the modifier {text!r}, expected a number")
    return number
