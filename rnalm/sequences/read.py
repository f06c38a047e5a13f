"""Any source ─► records, one at a time."""

from collections.abc import Iterator

from rnalm.config import Fasta, Source
from rnalm.sequences import fasta, tables
from rnalm.sequences.records import Record

__all__ = ["Record", "read_records"]


def read_records(source: Source) -> Iterator[Record]:
    """Read the records of a source, in order.

    Raises
    ------
    RnalmError
        Naming file and line.
    """
    return fasta.read(source) if isinstance(source, Fasta) else tables.read(source)
