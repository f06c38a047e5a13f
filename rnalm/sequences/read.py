"""Any source ─► records, one at a time."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rnalm.config import Fasta, Genome, Matrix, Parts, Source, Table
from rnalm.config.parts import unlike
from rnalm.errors import RnalmError
from rnalm.sequences import fasta, features, genome, matrices, tables
from rnalm.sequences.records import Record
from rnalm.sequences.sites import marked

log = logging.getLogger(__name__)

#: What reads a source of a kind: a new kind is a section of the configuration, a module here, and an entry.
READERS: dict[type, Callable[..., Iterator[Record]]] = {
    **{Table: tables.read, Fasta: fasta.read, Genome: genome.read, Matrix: matrices.read},
    Parts: lambda source: _of_parts(source),
}
#: What names the classes of a source whose files tell them.
TELLING: dict[type, Callable[..., list[str]]] = {Genome: features.classes, Matrix: matrices.classes}


def read_records(source: Source) -> Iterator[Record]:
    r"""Read the records of a source, in order.

    Parameters
    ----------
    source : Source
        The ``source`` section of the configuration, or one like it.

    Yields
    ------
    Record
        One sequence, in the case in which the source is read.

    Raises
    ------
    RnalmError
        If the source is not as its section says; it names the file and, where there is one, the line.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> table, genes = Path(folder.name, "half_lives.csv"), Path(folder.name, "genes.fa")

    >>> _ = table.write_text("gene,utr,hours\nYAL1,ACGU,3.5\nYAL2,GGA,0.5\n")
    >>> columns = {"id": "gene", "sequence": "utr", "label": "hours"}
    >>> for record in read_records(Table(path=str(table), column_sep=",", columns=columns)):
    ...     print(record.id, record.sequence, record.label)
    YAL1 ACGU 3.5
    YAL2 GGA 0.5

    >>> _ = genes.write_text(">YAL1 a gene\nACgt\nNN\n")
    >>> [record] = read_records(Fasta(path=str(genes)))
    >>> record.id, record.description, record.sequence
    ('YAL1', 'a gene', 'ACGTNN')
    """
    return (in_case(record, source.case or source.usual_case) for record in read_written(source))


def classes(source: Source) -> list[str]:
    """Name the classes of a source of which each has a label of its own, in the order of their labels; of parts, that of train.

    Parameters
    ----------
    source : Source
        Whose configuration tells, or whose files do.

    Raises
    ------
    RnalmError
        If the files do not, or parts have other classes than train.
    """
    if isinstance(source, Parts):
        return _of_each(source)["train"]
    return TELLING.get(type(source), lambda source: source.label_classes)(source)


def read_written(source: Source) -> Iterator[Record]:
    """Read the records of a source, in order, in the case in which they are written.

    Parameters
    ----------
    source : Source
        As for :func:`read_records`, which says what is refused, too.

    Yields
    ------
    Record
        One sequence, as it stands in the file.
    """
    records = READERS[type(source)](source)
    return marked(records, source.sites, source.paths[0]) if source.sites else records


def _of_parts(source: Parts) -> Iterator[Record]:
    """Read one part after the other; the split of a record is its part.

    Rows of matrices are called by their file, of which there may be one for all parts, or several of one name: there the part
    tells them apart.
    """
    labelled = all(part.gives("label") for part in source.each.values())
    named = _of_each(source) if labelled else {}
    files = [Path(part.matrix).name for part in source.each.values() if isinstance(part, Matrix)]
    alike = len(set(files)) < len(files)
    for name, part in source.each.items():
        order = [named[name].index(one) for one in named["train"]] if named else []
        if moved := order != sorted(order):
            log.warning("source.parts.%s: has the classes of train in another order; it is read in that of train", name)
        for record in read_written(part):
            own = f"{name}:{record.id}" if alike and isinstance(part, Matrix) else record.id
            label = _ordered(record.label, order) if moved else record.label
            yield replace(record, split=name, id=own, label=label)


def _of_each(source: Parts) -> dict[str, list[str]]:
    """Name the classes of each part, which are the same but for their order."""
    named = {name: classes(part) for name, part in source.each.items()}
    for name, own in named.items():
        if wrong := unlike(own, named["train"]):
            raise RnalmError(f"source.parts.{name}: {wrong}; expected the classes of train, in any order")
    return named


def _ordered(label: Any, order: list[int]) -> Any:
    """Put the labels of several classes into an order; there may be none."""
    if isinstance(label, np.ndarray):
        return label[order]
    return label and tuple(label[number] for number in order)


def in_case(record: Record, case: str) -> Record:
    """Give a record in the case in which it is to be read.

    Parameters
    ----------
    record : Record
        As it is written.
    case : {'upper', 'keep'}
        Whether lower-case letters are read as upper-case ones.
    """
    if case == "keep":
        return record
    sequence = record.sequence
    return replace(record, sequence=sequence.upper() if isinstance(sequence, str) else [token.upper() for token in sequence])
