"""FASTA files ─► records, one at a time."""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rnalm.config import Attributes, Chunk, Fasta
from rnalm.errors import RnalmError
from rnalm.sequences import sites as site_fields
from rnalm.sequences.fields import read_fields
from rnalm.sequences.records import Record, known, told
from rnalm.sequences.text import open_text

log = logging.getLogger(__name__)

#: What is neither a letter, nor a stop or gap, nor white space: comments, numbers, marks, control characters.
NO_LETTER = re.compile(r"[^A-Za-z*.\-\s]|[\x1c-\x1f]")


def read(source: Fasta) -> Iterator[Record]:
    """Read the records of FASTA files, in order.

    Sequences stream; a table of attributes is held in memory.

    Parameters
    ----------
    source : Fasta
        The files, and what is said of their sequences: classes, a table of attributes, chunks.

    Yields
    ------
    Record
        A sequence or, where sequences are divided, a chunk of one.

    Raises
    ------
    RnalmError
        If text comes before the first header, a header has no id, a record has no sequence or something in it that is no
        letter, or none of the ids in the table of attributes is among those of the files; it names the file and, where there is
        one, the line.
    """
    class_of = {path: name for name, paths in (source.classes or {}).items() for path in paths}
    attributes = read_attributes(source.attributes) if source.attributes else {}
    unused = set(attributes)
    for path in source.fasta:
        for record in _parse(path):
            unused.discard(record.id)
            record = replace(record, **{"label": class_of.get(path)} | attributes.get(record.id, {}))
            yield from divide(record, source.chunk) if source.chunk else [record]
    if source.attributes:
        _check_used(source.fasta[0], source.attributes.path, len(attributes), len(unused))


def read_attributes(table: Attributes) -> dict[str, dict[str, Any]]:
    """Read what a table says of sequences.

    Parameters
    ----------
    table : Attributes
        The table, and where it holds what.

    Returns
    -------
    dict
        For each id what is not empty of ``label``, ``weight``, ``group`` and ``split``; and ``sites``, where there is such a
        column.

    Raises
    ------
    RnalmError
        If the table cannot be read (see :func:`rnalm.sequences.fields.read_fields`), or an id was there before.
    """
    attributes: dict[str, dict[str, Any]] = {}
    for place, fields in read_fields(table):
        name = fields.pop("id")
        if name in attributes:
            raise RnalmError(f"{place}: the id {name!r} was there before; ids must be unique")
        found = site_fields.told(fields, table.columns, place)
        sites = {} if found is None else {"sites": found}
        label = {"label": label} if (label := told(fields, table.missing)) is not None else {}
        rest = {key: value for key, value in fields.items() if value and not key.startswith(("label", "sites"))}
        attributes[name] = label | rest | sites
    return attributes


def _check_used(fasta: str, table: str, rows: int, unused: int) -> None:
    """Refuse a table of attributes of which no row is about a sequence that was read, and log how many are not."""
    if unused == rows:
        first = next(_parse(fasta)).id
        raise RnalmError(f"{table}: none of its ids is among the ids of {fasta}, such as {first!r}")
    if unused:
        log.info("%s: %d of %d rows are about other sequences", table, unused, rows)


def _parse(path: str) -> Iterator[Record]:
    """Take a FASTA file apart: the first word of a header is the id, lines up to the next header are the sequence."""
    header, place, lines = None, path, []
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            line = line.strip()
            if line.startswith(">"):
                if header is not None:
                    yield _record(place, header, lines)
                header, place, lines = line[1:], f"{path}, line {number}", []
            elif line and header is None:
                raise RnalmError(f"{path}, line {number}: found {line[:20]!r}, expected a header that begins with '>'")
            elif line:
                if wrong := NO_LETTER.search(line):
                    raise RnalmError(f"{path}, line {number}: {_problem(wrong[0], header)}")
                lines.append(line)
        if header is None:
            raise RnalmError(f"{path}: no sequences in it; expected FASTA records, each with a header that begins with '>'")
        yield _record(place, header, lines)


def _problem(found: str, header: str | None) -> str:
    """Say what is wrong with a character that stands in a sequence."""
    name = next(iter((header or "").split()), "")
    hint = "a header begins a line of its own" if found == ">" else "expected letters, '*', '-' or '.'"
    return f"found {found!r} in the sequence of {name!r}; {hint}"


def _record(place: str, header: str, lines: list[str]) -> Record:
    name, *description = header.split(None, 1) or [""]
    if not name:
        raise RnalmError(f"{place}: the header has no id")
    # Alignments wrap lines, and some writers set blocks of letters apart.
    sequence = "".join("".join(lines).split())
    if not sequence:
        raise RnalmError(f"{place}: the sequence of {name!r} is empty")
    return Record(place, name, sequence, None, None, None, None, None, description[0].strip() if description else None)


def divide(record: Record, chunk: Chunk) -> Iterator[Record]:
    """Cut a sequence into chunks that overlap, all in one group; their ids end in the positions, as in ``chr1:0-1000``.

    A sequence that is not longer than a chunk stays whole, with its own id.

    Parameters
    ----------
    record : Record
        The whole sequence; where it has no group, or one whose name says that it is missing, its id is the group of its chunks.
    chunk : Chunk
        Length of a chunk, and how many letters two neighbours share.

    Yields
    ------
    Record
        A chunk; the last one may be shorter.
    """
    length, group = len(record.sequence), known(record.group) or record.id
    if length <= chunk.length:
        yield replace(record, group=group)
        return
    step = chunk.length - chunk.overlap
    # The last one begins where there is something new.
    for start in range(0, length - chunk.overlap, step):
        end = min(start + chunk.length, length)
        yield replace(record, id=f"{record.id}:{start}-{end}", sequence=record.sequence[start:end], group=group)
