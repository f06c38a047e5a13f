"""Encoded Parquet ─► length-bucketed torch batches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.tokens.tokenizer import SPECIAL_TOKENS

#: Id that fills up shorter sequences of a batch where no other is given. Models look at no token where ``attention_mask`` is 0.
PAD = SPECIAL_TOKENS.index("[PAD]")

#: Index of a class that is not known; torch's losses pass over it, too.
UNKNOWN = -100

#: Columns of an encoded file that are read.
COLUMNS = ("id", "input_ids", "modifiers", "label", "weight", "offsets", "reverse_ids")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoded sequence.

    Attributes
    ----------
    row : int
        Its row in the encoded file.
    id : str
        What the user calls it.
    input_ids : numpy.ndarray
        Ids of its tokens, int32 ``(length,)``.
    modifiers : numpy.ndarray or None
        float32 ``(channels, length)``; None where the source has none.
    label : float, str, numpy.ndarray or None
        A number for regression, the name of a class for classification; None where it is not known. For multilabel 1, 0 or NaN
        ``(classes,)``. Where tokens have labels, one for each ``(length,)``: float32, or names of classes, NaN or the empty
        name where it is not known; for multilabel ``(length, classes)``.
    weight : float
        What it counts in the loss; 1 where the source has none.
    offsets : numpy.ndarray or None
        int32 ``(length, 2)``, half-open positions in the source; None where they are the tokens' own indices.
    reverse_ids : numpy.ndarray or None
        Tokens of the reverse complement, int32; None where both strands are not asked for.
    sequence : str or None
        The letters that the tokens stand for, if each is not a token; None also where they were not asked for.
    """

    row: int
    id: str
    input_ids: np.ndarray
    modifiers: np.ndarray | None
    label: float | str | np.ndarray | None
    weight: float
    offsets: np.ndarray | None
    reverse_ids: np.ndarray | None = None
    sequence: str | None = None

    def twin(self) -> "Encoded":
        """Give the reverse complement, with the same label; positions are not those of its tokens."""
        return replace(
            self, input_ids=self.reverse_ids, reverse_ids=self.input_ids, modifiers=None, offsets=None, sequence=None
        )


def read(path: str | Path, rows: np.ndarray | None = None, letters: bool = False) -> Iterator[list[Encoded]]:
    """Read an encoded file, a row group at a time.

    Parameters
    ----------
    path : path
        The Parquet file.
    rows : numpy.ndarray, optional
        Sorted row numbers to keep ``(kept,)``; None: all. Row groups without any are not read.
    letters : bool
        Whether to read the letters of sequences too, where a token is more than one.

    Yields
    ------
    list of Encoded
        What is kept of a row group, in input order, never empty.
    """
    file = pq.ParquetFile(path)
    wanted = [name for name in file.schema_arrow.names if name in COLUMNS or (letters and name == "sequence")]
    first = 0
    for group in range(file.num_row_groups):
        after = first + file.metadata.row_group(group).num_rows
        kept = np.arange(first, after) if rows is None else rows[np.searchsorted(rows, first) : np.searchsorted(rows, after)]
        if len(kept):
            table = file.read_row_group(group, columns=wanted)
            yield _unpack(table if len(kept) == after - first else table.take(kept - first), kept)
        first = after


def _unpack(table: pa.Table, rows: np.ndarray) -> list[Encoded]:
    """Make sequences of a table, of which the row numbers are given."""

    def column(name: str) -> list:
        # None in each row where there is no such column.
        return table[name].to_pylist() if name in table.column_names else [None] * len(rows)

    input_ids = _arrays(table["input_ids"].combine_chunks())
    modifiers = [
        None if channels is None else np.array(channels, dtype=np.float32).reshape(len(channels), len(ids))
        for channels, ids in zip(column("modifiers"), input_ids, strict=True)
    ]
    offsets, reverse = (
        _arrays(table[name].combine_chunks()) if name in table.column_names else column(name)
        for name in ("offsets", "reverse_ids")
    )
    labels = tokens_labels(table["label"].combine_chunks()) if _nested(table.schema) else column("label")
    weights = [1.0 if weight is None else weight for weight in column("weight")]
    texts = (column("id"), input_ids, modifiers, labels, weights, offsets, reverse, column("sequence"))
    return [Encoded(int(row), *values) for row, *values in zip(rows, *texts, strict=True)]


def _nested(schema: pa.Schema) -> bool:
    """Whether the tokens of a sequence, or its classes, have a label each."""
    return "label" in schema.names and pa.types.is_list(schema.field("label").type)


def tokens_labels(lists: pa.ListArray) -> list[np.ndarray | None]:
    """Take a column with labels of tokens apart.

    Parameters
    ----------
    lists : pyarrow.ListArray
        Numbers or names ``(rows,)``.

    Returns
    -------
    list of numpy.ndarray or None
        float32 with NaN, or names with the empty one, where the label of a token is not known, ``(length,)``, or of several
        classes ``(length, classes)``; None where that of none is.
    """
    if not pa.types.is_string(lists.type.value_type):
        return _arrays(lists)
    values = lists.flatten().dictionary_encode()
    names = np.array(["", *values.dictionary.to_pylist()])
    codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False) + 1
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    parts = np.split(names[codes], np.cumsum(lengths)[:-1])
    return [None if gone else part for gone, part in zip(lists.is_null().to_pylist(), parts, strict=True)]


def _arrays(lists: pa.ListArray) -> list:
    """Take a column of lists, of numbers or of a few numbers each, apart; None where there is no list."""
    values = lists.flatten()
    numbers = values.flatten() if pa.types.is_fixed_size_list(values.type) else values
    numbers = numbers.to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_list(values.type):
        numbers = numbers.reshape(-1, values.type.list_size)
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    parts = np.split(numbers, np.cumsum(lengths)[:-1])
    missing = lists.is_null().to_numpy(zero_copy_only=False)
    return [None if gone else part for gone, part in zip(missing, parts, strict=True)]


def blocks(path: str | Path, name: str) -> Iterator[pa.Array]:
    """Read a column of an encoded file, some rows at a time.

    Parameters
    ----------
    path : path
        The Parquet file.
    name : str
        The column.

    Yields
    ------
    pyarrow.Array
        The values of consecutive rows.
    """
    for batch in pq.ParquetFile(path).iter_batches(columns=[name], batch_size=2**10):
        yield batch.column(0)


def lengths(path: str | Path) -> np.ndarray:
    """Count the tokens of every row of an encoded file, without reading the rest.

    Parameters
    ----------
    path : path
        The Parquet file.

    Returns
    -------
    numpy.ndarray
        int64 ``(rows,)``
    """
    counts = [ids.value_lengths().to_numpy(zero_copy_only=False) for ids in blocks(path, "input_ids")]
    return np.concatenate(counts).astype(np.int64)


def labels(path: str | Path) -> pa.ChunkedArray:
    """Read all labels of an encoded file: those of its sequences or, one after the other, of their tokens.

    Parameters
    ----------
    path : path
        The Parquet file.
    """
    own = column(path, "label")
    while pa.types.is_list(own.type) or pa.types.is_fixed_size_list(own.type):
        own = pa.chunked_array([chunk.flatten() for chunk in own.chunks], own.type.value_type)
    return own


def column(path: str | Path, name: str) -> pa.ChunkedArray:
    """Read one small column of an encoded file whole.

    Parameters
    ----------
    path : path
        The Parquet file.
    name : str
        The column, such as ``label``.

    Returns
    -------
    pyarrow.ChunkedArray
        ``(rows,)``
    """
    return pq.read_table(path, columns=[name])[name]
