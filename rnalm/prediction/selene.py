"""Numbers of rows, and what the rows are called ─► files as Selene writes them, with all digits.

Its words: https://selene.flatironinstitute.org/master/overview/cli.html
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rnalm.files import replacing

#: Numbers that are held at once, at most, and rows.
NUMBERS, ROWS = 2**22, 2**16


def rows_at_once(classes: int) -> int:
    """Say how many rows are looked at together: fewer of many classes.

    Parameters
    ----------
    classes : int
        Numbers of a row.
    """
    return max(1, min(ROWS, NUMBERS // max(1, classes)))


def write_text(path: str | Path, header: Sequence[str], blocks: Iterable[Sequence[pa.Array]]) -> None:
    """Write columns as text, separated by tabs; nothing is quoted, as Selene's readers expect.

    Numbers have as many digits as tell them from all others of float32.

    Parameters
    ----------
    path : path
        The file to write.
    header : sequence of str
        What the columns are called.
    blocks : iterable of sequence of pyarrow.Array
        The columns, some rows at a time: text, whole numbers, whether something is so, or numbers.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as text:
        text.write("\t".join(header) + "\n")
        for block in blocks:
            written, replacement = map(_written, block), {"null_handling": "replace", "null_replacement": "NA"}
            lines = pc.binary_join_element_wise(*written, "\t", **replacement)  # pyright: ignore[reportAttributeAccessIssue]
            text.writelines(f"{line}\n" for line in lines.to_pylist())


def _written(column: pa.Array) -> pa.Array:
    """Write a column as Python does, which Selene is written in."""
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "True", "False")  # pyright: ignore[reportAttributeAccessIssue]
    kind = pa.float32() if pa.types.is_floating(column.type) else column.type
    return column.cast(kind).cast(pa.string())


def write_matrix(path: str | Path, shape: tuple[int, int], blocks: Iterable[np.ndarray]) -> None:
    """Write numbers as HDF5, under the name ``data``: float32 ``(rows, classes)``.

    Parameters
    ----------
    path : path
        The file to write.
    shape : tuple of int
        Rows and classes.
    blocks : iterable of numpy.ndarray
        ``(some rows, classes)``, which make up the rows.
    """
    first = 0
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        data = file.create_dataset("data", shape, np.float32)
        for block in blocks:
            data[first : first + len(block)] = block
            first += len(block)
