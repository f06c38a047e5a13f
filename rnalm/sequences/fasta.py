"""FASTA files ─► records, one at a time."""

import logging
from collections.abc import Iterator
from dataclasses import replace

from rnalm.config import Attributes, Chunk, Fasta
from rnalm.errors import RnalmError
from rnalm.files import open_text
from rnalm.sequences.records import Record
from rnalm.sequences.tables import read_fields

log = logging.getLogger(__name__)


def read(source: Fasta) -> Iterator[Record]:
    """Read the records of FASTA files, in order.

    Sequences stream; a table of attributes is held in memory.

    Raises
    ------
    RnalmError
        Naming file and line: text before the first header, a header without an id, a record without a sequence.
    """
    class_of = {path: name for name, paths in (source.classes or {}).items() for path in paths}
    attributes = read_attributes(source.attributes) if source.attributes else {}
    left = set(attributes)
    for path in source.fasta:
        for record in _parse(path):
            found = attributes.get(record.id, {})
            left.discard(record.id)
            sequence = record.sequence.upper() if source.case == "upper" else record.sequence
            record = replace(record, sequence=sequence, **{"label": class_of.get(path)} | found)
            yield from divide(record, source.chunk) if source.chunk else [record]
    if source.attributes:
        _check_used(source, len(attributes), len(left))


def read_attributes(table: Attributes) -> dict[str, dict[str, str]]:
    """Read what a table says of sequences: ``label``, ``weight``, ``group``, ``split``, as far as given, by id.

    Raises
    ------
    RnalmError
        Naming file and line: as for any table, and an id that was there before.
    """
    found: dict[str, dict[str, str]] = {}
    for place, fields in read_fields(table):
        name = fields.pop("id")
        if name in found:
            raise RnalmError(f"{place}: the id {name!r} was there before; ids must be unique")
        found[name] = {key: value for key, value in fields.items() if value}
    return found


def _check_used(source: Fasta, told: int, unused: int) -> None:
    if unused == told:
        first = next(_parse(source.fasta[0])).id
        known = f"the ids of {source.fasta[0]}, such as {first!r}"
        raise RnalmError(f"{source.attributes.path}: none of its ids is among {known}")
    if unused:
        log.info("%s: %d of %d rows are about other sequences", source.attributes.path, unused, told)


def _parse(path: str) -> Iterator[Record]:
    """Take a FASTA file apart: the first word of a header is the id, lines up to the next header are the sequence."""
    header, place, lines = None, path, []
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            line = line.strip()
            if line.startswith(">"):
                if header is not None:
                    yield _record(path, place, header, lines)
                header, place, lines = line[1:], f"{path}, line {number}", []
            elif line and header is None:
                raise RnalmError(f"{path}, line {number}: found {line[:20]!r}, expected a header that begins with '>'")
            elif line:
                lines.append(line)
        if header is None:
            raise RnalmError(f"{path}: no sequences in it; expected FASTA records, each with a header that begins with '>'")
        yield _record(path, place, header, lines)


def _record(path: str, place: str, header: str, lines: list[str]) -> Record:
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
    """
    length, group = len(record.sequence), record.group or record.id
    if length <= chunk.length:
        yield replace(record, group=group)
        return
    step = chunk.length - chunk.overlap
    # The last one begins where there is something new.
    for start in range(0, length - chunk.overlap, step):
        end = min(start + chunk.length, length)
        yield replace(record, id=f"{record.id}:{start}-{end}", sequence=record.sequence[start:end], group=group)
