"""Shards of scores ─► Parquet, CSV and shap.Explanation pickle, in bounded memory."""

import pickle
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shap

from rnalm.errors import RnalmError
from rnalm.files import replacing

#: Rows of a row group in the merged file, whatever the shards'.
GROUP_ROWS = 2**19


def merge(parts: Sequence[str | Path], parquet: str | Path, csv: str | Path, explanations: str | Path) -> None:
    """Concatenate shards, which hold consecutive sequences, and export them.

    The result is the same, byte for byte, however many shards there were.

    Parameters
    ----------
    parts : sequence of path
        Shards in order, from :func:`rnalm.perturb.scores.score_shard`.
    parquet, csv, explanations : path
        The merged scores; the last a pickled list of ``shap.Explanation``, one a sequence.
    """
    schema = pq.read_schema(parts[0])
    if not sum(pq.read_metadata(part).num_rows for part in parts):
        raise RnalmError("there are no scores to merge: no sequence was scored")
    with (
        replacing(parquet) as whole,
        replacing(csv) as table,
        pq.ParquetWriter(whole, schema, compression="zstd") as writer,
        open(table, "w", newline="", encoding="utf-8") as text,
    ):
        for number, group in enumerate(_regroup(parts, schema)):
            writer.write_table(group)
            group.to_pandas().to_csv(text, index=False, header=number == 0)
    with replacing(explanations) as temporary, open(temporary, "wb") as file:
        _dump(_explanations(parquet), file)


def _regroup(parts: Sequence[str | Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield tables of ``GROUP_ROWS`` rows, the last one shorter."""
    held = schema.empty_table()
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(batch_size=GROUP_ROWS):
            held = pa.concat_tables([held, pa.Table.from_batches([batch], schema)])
            while held.num_rows >= GROUP_ROWS:
                # Without seams: how the rows were chunked must not show in the file.
                yield held.slice(0, GROUP_ROWS).combine_chunks()
                held = held.slice(GROUP_ROWS)
    if held.num_rows:
        yield held.combine_chunks()


def read(path: str | Path) -> Iterator[pd.DataFrame]:
    """Read merged scores a sequence at a time, in order."""
    held: pd.DataFrame | None = None
    for batch in pq.ParquetFile(path).iter_batches(batch_size=GROUP_ROWS):
        frame = batch.to_pandas()
        if held is not None:
            frame = pd.concat([held, frame], ignore_index=True)
        begins = np.flatnonzero(frame["sequence"].ne(frame["sequence"].shift()))
        for start, stop in pairwise(begins):
            yield frame.iloc[start:stop]
        held = frame.iloc[begins[-1] :]
    if held is not None:
        yield held


def _explanations(path: str | Path) -> Iterator[shap.Explanation]:
    """Make an explanation of each sequence's scores.

    ``values`` is ``(tokens,)``, with one more axis for replacements, if there are, and one for classes, if all are
    explained; a token that a replacement does not apply to is NaN there. With several models ``error_std`` is alike.
    """
    axes = {name: _values(path, name) for name in ("replacement", "class") if name in pq.read_schema(path).names}
    for frame in read(path):
        yield explain(frame, axes)


def _values(path: str | Path, column: str) -> list[str]:
    """Collect the distinct values of a column, sorted."""
    found: set[str] = set()
    for batch in pq.ParquetFile(path).iter_batches(columns=[column]):
        found.update(batch.column(0).unique().to_pylist())
    return sorted(found)


def explain(frame: pd.DataFrame, axes: dict[str, list[str]]) -> shap.Explanation:
    """Make the explanation of one sequence's scores.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows of one sequence.
    axes : dict
        Sorted values of ``replacement`` and ``class``, where the scores have these columns.
    """
    starts, token = np.unique(frame["start_offset"].to_numpy(), return_inverse=True)
    first = np.unique(token, return_index=True)[1]
    index = (token, *(np.searchsorted(names, frame[column].astype(str)) for column, names in axes.items()))
    shape = (len(starts), *map(len, axes.values()))

    def spread(column: str) -> np.ndarray:
        values = np.full(shape, np.nan)
        values[index] = frame[column]
        return values

    return shap.Explanation(
        values=spread("loo"),
        base_values=frame["pred"].iloc[0],
        data=frame["token"].to_numpy(object)[first],
        output_names=list(next(iter(axes.values()))) if len(axes) == 1 else None,
        error_std=spread("loo_sd") if "loo_sd" in frame else None,
    )


class _Stream(list):
    """Pickles as a plain list of what an iterator yields, without holding it in memory."""

    def __init__(self, items: Iterator) -> None:
        super().__init__()
        self.items = items

    def __reduce__(self):
        return list, (), None, self.items


def _dump(items: Iterator, file) -> None:
    pickler = pickle.Pickler(file, protocol=4)
    # Without a memo the pickler keeps no reference to what it has written; explanations share nothing with each other.
    pickler.fast = True
    pickler.dump(_Stream(items))
