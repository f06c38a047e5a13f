"""How many sequences a source has and how long they are, from its beginning and the size of its files."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

from rnalm.config import Fasta, Genome, Matrix, Parts, Source, Table
from rnalm.files import COMPRESSIONS
from rnalm.sequences import genome, matrices
from rnalm.sequences.read import read_records
from rnalm.sequences.text import open_text

#: How much of a source is looked at.
RECORDS, CHARACTERS = 64, 2**20


def size(source: Source) -> tuple[float, float]:
    """Estimate the number of sequences in a source, and their mean length in tokens.

    Parameters
    ----------
    source : Source
        What is scored.

    Raises
    ------
    RnalmError
        If the beginning cannot be read.
    """
    if isinstance(source, Parts):
        each = np.array([size(part) for part in source.each.values()])
        return each[:, 0].sum(), np.average(each[:, 1], weights=each[:, 0])
    if isinstance(source, Matrix):
        rows, positions = matrices.shape(source)
        return float(max(1, rows)), float(positions)
    if isinstance(source, Genome) and source.length is not None:
        length = float(source.length)  # to draw windows takes too long for an estimate
    else:
        lengths = [len(record.sequence) for record in islice(read_records(source), RECORDS)]
        length = sum(lengths) / len(lengths)
    return max(1.0, COUNTS[type(source)](source, length)), length


def _rows(source: Table, length: float) -> float:
    """Estimate the rows of a table."""
    beginning, whole = look(source.path)
    return whole * max(1, beginning.count("\n")) / max(1, len(beginning)) - source.header


def _letters(source: Fasta, length: float) -> float:
    """Estimate the sequences of FASTA files by their letters; chunks that overlap are a few more."""
    letters = 0.0
    for path in source.fasta:
        beginning, whole = look(path)
        letters += whole * sum(len(line.strip()) for line in beginning.splitlines() if line[:1] != ">") / max(1, len(beginning))
    return letters / length


#: What counts the sequences of a kind of source, given their mean length.
COUNTS: dict[type, Callable[..., float]] = {Table: _rows, Fasta: _letters, Genome: genome.count}


def look(path: str) -> tuple[str, int]:
    """Read the beginning of a text file, and say how long it is in all, in characters.

    A beginning that is the whole is counted, a longer file estimated: its size in bytes is about that in characters.

    Parameters
    ----------
    path : str
        The file.
    """
    with open_text(path) as file:
        beginning = file.read(CHARACTERS)
    return beginning, len(beginning) if len(beginning) < CHARACTERS else max(unpacked(Path(path)), CHARACTERS)


def unpacked(path: Path) -> int:
    """Say how large a file is, or was before it was compressed, which gzip notes at its end.

    The note has 32 bits, and is of the last block alone where there are several: a text is at least three times its compressed
    size.

    Parameters
    ----------
    path : path
        The file.
    """
    packed = path.stat().st_size
    compression = COMPRESSIONS.get(path.suffix.lower())
    if compression != "gzip":
        return 3 * packed if compression else packed
    with path.open("rb") as file:
        file.seek(-4, 2)
        noted = int.from_bytes(file.read(4), "little")
    return max(noted, 3 * packed)
