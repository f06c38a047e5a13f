"""Shards of scores ─► Parquet, CSV and shap.Explanation pickle, in bounded memory."""

import json
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
from rnalm.scoring.shard import SEQUENCES
from rnalm.scoring.table import places

#: Rows of a row group in the merged file, whatever the shards'.
GROUP_ROWS = 2**19


def merge(parts: Sequence[str | Path], parquet: str | Path, csv: str | Path, explanations: str | Path) -> None:
    """Concatenate shards, which hold consecutive sequences, and export them.

    The result is the same, byte for byte, however many shards there were.

    Parameters
    ----------
    parts : sequence of path
        Shards in order, from :func:`rnalm.scoring.shard.score_shard`.
    parquet, csv, explanations : path
        The merged scores; the last a pickled list of ``shap.Explanation``, one a sequence.
    """
    schema = pq.read_schema(parts[0]).remove_metadata()
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
        _dump(_explanations(parts, parquet), file)


def _regroup(parts: Sequence[str | Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield tables of ``GROUP_ROWS`` rows, the last one shorter."""
    held = schema.empty_table()
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(batch_size=GROUP_ROWS):
            held = pa.concat_tables([held, pa.Table.from_batches([batch]).cast(schema)])
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


def _explanations(parts: Sequence[str | Path], merged: str | Path) -> Iterator[shap.Explanation]:
    """Make an explanation of each sequence's scores; an empty one where a sequence has none.

    ``values`` is ``(tokens,)``, with one more axis for replacements, if there are, and one for classes, if several are
    explained; a token that a replacement does not apply to is NaN there. With several models ``error_std`` is alike.
    """
    names = pq.read_schema(merged).names
    axes = {name: _values(merged, name) for name in ("replacement", "class") if name in names}
    if len(axes.get("class", ())) < 2:
        axes.pop("class", None)
    frames = read(merged)
    empty = pq.read_schema(merged).empty_table().to_pandas()
    frame = next(frames, empty)
    for part in parts:
        for sequence, base in json.loads(pq.read_metadata(part).metadata[SEQUENCES]):
            if len(frame) and frame["sequence"].iloc[0] == sequence:
                yield explain(frame, axes, base)
                frame = next(frames, empty)
            else:
                yield explain(empty, axes, base)


def _values(path: str | Path, column: str) -> list[str]:
    """Collect the distinct values of a column, sorted."""
    found: set[str] = set()
    for batch in pq.ParquetFile(path).iter_batches(columns=[column]):
        found.update(batch.column(0).unique().to_pylist())
    return sorted(found)


def explain(frame: pd.DataFrame, axes: dict[str, list[str]], base: Sequence[float]) -> shap.Explanation:
    """Make the explanation of one sequence's scores.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows of one sequence.
    axes : dict
        Sorted values of ``replacement`` and ``class``, where ``values`` has an axis for them.
    base : sequence of float
        Score of the original sequence, for each explained output.
    """
    starts, token = np.unique(places(frame), return_inverse=True)
    first = np.unique(token, return_index=True)[1]
    index = (token, *(np.searchsorted(names, frame[column].astype(str)) for column, names in axes.items()))
    shape = (len(starts), *map(len, axes.values()))

    def spread(column: str) -> np.ndarray:
        values = np.full(shape, np.nan)
        values[index] = frame[column]
        return values

    return shap.Explanation(
        values=spread("loo"),
        base_values=np.array(base) if "class" in axes else base[0],
        data=frame["token"].to_numpy(object)[first] if len(first) else [],  # shap looks into the first item of an array
        output_names=list([*axes.values()][-1]) if axes else None,  # the last axis: classes, where there are several
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
