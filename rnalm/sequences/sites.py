"""Sites of sequences: out of a field of a table, or out of a BED file."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rnalm.config.columns import AttributeColumns
from rnalm.errors import RnalmError
from rnalm.sequences.bed import POSITION, read_bed
from rnalm.sequences.records import Record

#: What separates positions in a field.
SEPARATOR = ","

#: Start and end (0-based, half-open) of each site, and its name.
Sites = tuple[tuple[int, int, str], ...]


def told(fields: dict[str, str], columns: AttributeColumns, place: str) -> Sites | None:
    """Give the sites of a row, which may stand in several columns.

    Parameters
    ----------
    fields : dict
        From :func:`rnalm.sequences.fields.read_fields`.
    columns : AttributeColumns
        Where the table holds what.
    place : str
        File and line, for messages.

    Returns
    -------
    tuple of tuple, or None
        Start, end and name of each, of several columns that of its column; None where no column has sites.

    Raises
    ------
    RnalmError
        If something is no position (see :func:`parse`).
    """
    if not isinstance(columns.sites, list):
        return None if columns.sites is None else parse(fields["sites"], place)
    each = [parse(fields[f"sites.{number}"], place, str(column)) for number, column in enumerate(columns.sites)]
    return tuple(site for sites in each for site in sites)


def parse(field: str, place: str, name: str = "") -> Sites:
    """Read positions out of a field.

    Parameters
    ----------
    field : str
        0-based positions, separated by commas; an empty field has none.
    place : str
        File and line, for messages.
    name : str
        What all of them are called.

    Raises
    ------
    RnalmError
        If something in it is no position; it names the place.

    Examples
    --------
    >>> parse("3, 17", "table.tsv, line 2")
    ((3, 4, ''), (17, 18, ''))
    """
    positions = []
    for text in filter(None, (part.strip() for part in field.split(SEPARATOR))):
        if not POSITION.fullmatch(text):
            raise RnalmError(f"{place}: the site {text[:20]!r} is no position; expected 0-based numbers, separated by commas")
        positions.append((int(text), int(text) + 1, name))
    return tuple(positions)


def marked(records: Iterable[Record], path: str, source: str) -> Iterator[Record]:
    """Give records the sites that a BED file has for them.

    Parameters
    ----------
    records : iterable of Record
        Those of a source.
    path : str
        The BED file, in coordinates of the sequences.
    source : str
        Where the records are from, for messages.

    Yields
    ------
    Record
        With its sites: none, if the file has none of its id.

    Raises
    ------
    RnalmError
        At the end, if the file has sites of ids that no record has.
    """
    elements = read_bed(path)
    unknown = dict.fromkeys(elements)
    for record in records:
        unknown.pop(record.id, None)
        yield replace(record, sites=tuple(elements.get(record.id, ())))
    if unknown:
        first, others = next(iter(unknown)), len(unknown) - 1
        more = f" (and {others} more)" if others else ""
        raise RnalmError(f"{path}: has sites of {first!r}{more}, but no sequence of {source} is called so")
