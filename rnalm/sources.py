"""Any source ─► records, one at a time."""

from collections.abc import Iterator

from rnalm import fasta, tables
from rnalm.config import Fasta, Source
from rnalm.records import Record

__all__ = ["Record", "read"]


def read(source: Source) -> Iterator[Record]:
    """Read the records of a source, in order.

    Raises
    ------
    RnalmError
        Naming file and line.
    """
    return fasta.read(source) if isinstance(source, Fasta) else tables.read(source)
