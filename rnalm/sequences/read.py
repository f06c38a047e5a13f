"""Any source ─► records, one at a time."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from rnalm.config import Fasta, Genome, Matrix, Parts, Source, Table
from rnalm.errors import RnalmError
from rnalm.sequences import fasta, features, genome, matrices, tables
from rnalm.sequences.records import Record
from rnalm.sequences.sites import marked

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
    """Name the classes of a source of which each has a label of its own, in the order of their labels.

    Parameters
    ----------
    source : Source
        Whose configuration tells, or whose files do.

    Raises
    ------
    RnalmError
        If the files do not.
    """
    if isinstance(source, Parts):
        named = {name: classes(part) for name, part in source.each.items()}
        for name, own in named.items():
            if own != named["train"]:
                raise RnalmError(f"source.parts.{name}: has the classes {own}; expected those of train: {named['train']}")
        return named["train"]
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
    files = [Path(part.matrix).name for part in source.each.values() if isinstance(part, Matrix)]
    alike = len(set(files)) < len(files)
    for name, part in source.each.items():
        for record in read_written(part):
            own = f"{name}:{record.id}" if alike and isinstance(part, Matrix) else record.id
            yield replace(record, split=name, id=own)


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
