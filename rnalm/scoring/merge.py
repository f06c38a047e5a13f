"""Shards of scores ─► Parquet, CSV and shap.Explanation pickle, in bounded memory."""

import json
import logging
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shap

from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.scoring.marginal import by_position
from rnalm.scoring.shard import SEQUENCES
from rnalm.scoring.table import PLACES, places, prediction

log = logging.getLogger(__name__)

#: Rows of a row group in the merged file, whatever the shards'.
GROUP_ROWS = 2**19


class Scores:
    """The scores of all shards one after the other, as often as they are asked for, with only some of them in memory.

    Parameters
    ----------
    parts : sequence of path
        Shards in order, from :func:`rnalm.scoring.shard.score_shard`.
    empty : bool
        Whether there may be no scores at all, which is said.

    Raises
    ------
    RnalmError
        If no shard has a row, and one is expected.

    Attributes
    ----------
    schema : pyarrow.Schema
        The columns.
    """

    def __init__(self, parts: Sequence[str | Path], empty: bool = False) -> None:
        self.parts = parts
        self.schema = pq.read_schema(parts[0]).remove_metadata()
        if sum(pq.read_metadata(part).num_rows for part in parts):
            return
        if empty:
            log.warning("no sequence was scored: the table of scores is empty")
        else:
            named = any(json.loads(pq.read_metadata(part).metadata[SEQUENCES]) for part in parts)
            at_positions = "explained_position" in self.schema.names and not named
            hint = "; no sequence has a position that interpret.explain_at names" if at_positions else ""
            raise RnalmError(f"there are no scores to merge: no sequence was scored{hint}")

    def groups(self) -> Iterator[pa.Table]:
        """Yield tables of ``GROUP_ROWS`` rows, the last one shorter."""
        held = self.schema.empty_table()
        for part in self.parts:
            for batch in pq.ParquetFile(part).iter_batches(batch_size=GROUP_ROWS):
                held = pa.concat_tables([held, pa.Table.from_batches([batch]).cast(self.schema)])
                while held.num_rows >= GROUP_ROWS:
                    # Without seams: how the rows were chunked must not show in the file.
                    yield held.slice(0, GROUP_ROWS).combine_chunks()
                    held = held.slice(GROUP_ROWS)
        if held.num_rows:
            yield held.combine_chunks()

    def frames(self) -> Iterator[tuple[pd.DataFrame, list[float]]]:
        """Yield the rows of every prediction, none of one without scores, and the base score of each explained output.

        Where several positions change at a time, there is a row for each position; see :mod:`rnalm.scoring.marginal`.
        """
        frames = _by_prediction(group.to_pandas() for group in self.groups())
        empty = self.schema.empty_table().to_pandas()
        frame = next(frames, empty)
        for part in self.parts:
            for sequence, base, *at in json.loads(pq.read_metadata(part).metadata[SEQUENCES]):
                if len(frame) and frame[prediction(frame)].iloc[0].tolist() == [sequence, *at]:
                    yield frame, base
                    frame = next(frames, empty)
                else:
                    yield empty, base

    def values(self, column: str) -> list[str]:
        """Collect the distinct values of a column, sorted.

        Parameters
        ----------
        column : str
            Its name.
        """
        distinct: set[str] = set()
        for part in self.parts:
            for batch in pq.ParquetFile(part).iter_batches(columns=[column]):
                distinct.update(batch.column(0).unique().to_pylist())
        return sorted(distinct)


def merge(parts: Sequence[str | Path], outputs: Iterable[str | Path], empty: bool = False) -> None:
    """Concatenate shards, which hold consecutive sequences, and export them.

    The result is the same, byte for byte, however many shards there were.

    Parameters
    ----------
    parts : sequence of path
        Shards in order, from :func:`rnalm.scoring.shard.score_shard`.
    outputs : iterable of path
        The files to write, each in the format that its suffix has in :data:`EXPORTERS`.
    empty : bool
        Whether there may be no scores at all; see :class:`Scores`.

    Raises
    ------
    RnalmError
        If no shard has a row, and one is expected.
    """
    scores = Scores(parts, empty)
    for output in outputs:
        with replacing(output) as temporary:
            EXPORTERS[Path(output).suffix](scores, temporary)


def _write_parquet(scores: Scores, path: Path) -> None:
    with pq.ParquetWriter(path, scores.schema, compression="zstd") as writer:
        for group in scores.groups():
            writer.write_table(group)


def _write_csv(scores: Scores, path: Path) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        scores.schema.empty_table().to_pandas().to_csv(file, index=False)
        for group in scores.groups():
            group.to_pandas().to_csv(file, index=False, header=False)


def _write_pickle(scores: Scores, path: Path) -> None:
    """Write a list of ``shap.Explanation``, one a sequence or explained position; an empty one where there are no scores."""
    names = set(scores.schema.names) - ({"replacement"} if PLACES in scores.schema.names else set())
    axes = {name: scores.values(name) for name in ("replacement", "class") if name in names}
    if len(axes.get("class", ())) < 2:
        axes.pop("class", None)
    with open(path, "wb") as file:
        _dump((explanation(frame, axes, base) for frame, base in scores.frames()), file)


#: What writes each format, by the suffix of its files, to a path that is not there yet. A new one is a function and an entry
#: here, and a suffix in :data:`rnalm.config.contract.SCORES`.
EXPORTERS: dict[str, Callable[[Scores, Path], None]] = {".parquet": _write_parquet, ".csv": _write_csv, ".pkl": _write_pickle}


def read(path: str | Path) -> Iterator[pd.DataFrame]:
    """Read merged scores a sequence, or an explained position of one, at a time, in order.

    Where several positions change at a time, there is a row for each position; see :mod:`rnalm.scoring.marginal`.

    Parameters
    ----------
    path : path
        Parquet from :func:`merge`.

    Yields
    ------
    pandas.DataFrame
        The rows of a sequence, or those for one explained position of it.
    """
    return _by_prediction(batch.to_pandas() for batch in pq.ParquetFile(path).iter_batches(batch_size=GROUP_ROWS))


def _by_prediction(tables: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Cut consecutive tables into the rows for each prediction, or for each position of it, where several change at a time."""
    first, tables = _peek(tables)
    if first is not None and PLACES in first:
        yield from by_position(tables)
        return
    held: pd.DataFrame | None = None
    for frame in tables:
        if held is not None:
            frame = pd.concat([held, frame], ignore_index=True)
        own = frame[prediction(frame)]
        begins = np.flatnonzero(own.ne(own.shift()).any(axis=1))
        for start, stop in pairwise(begins):
            yield frame.iloc[start:stop]
        held = frame.iloc[begins[-1] :]
    if held is not None:
        yield held


def _peek(tables: Iterable[pd.DataFrame]) -> tuple[pd.DataFrame | None, Iterator[pd.DataFrame]]:
    """Look at the first of some tables, if there is one; it is not taken from them."""
    tables = iter(tables)
    first = next(tables, None)
    return first, tables if first is None else chain([first], tables)


def explanation(frame: pd.DataFrame, axes: dict[str, list[str]], base: Sequence[float]) -> shap.Explanation:
    """Make the explanation of one sequence's scores.

    Its ``values`` are ``(tokens,)``, with one more axis for replacements, if there are, and one for classes, if several are
    explained; a token that a replacement does not apply to is NaN there. With several models ``error_std`` is alike.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows of one sequence.
    axes : dict
        Sorted values of ``replacement`` and ``class``, where ``values`` has an axis for them.
    base : sequence of float
        Score of the original sequence, for each explained output.

    Examples
    --------
    >>> frame = pd.DataFrame({"token": ["g", "a"], "start_offset": [0, 1], "end_offset": [1, 2], "loo": [0.5, -1.5]})
    >>> explanation(frame, axes={}, base=[2.0]).values.tolist()
    [0.5, -1.5]
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

    def __init__(self, items: Iterator[Any]) -> None:
        super().__init__()
        self.items = items

    def __reduce__(self):
        return list, (), None, self.items


def _dump(items: Iterator[Any], file: IO[bytes]) -> None:
    pickler = pickle.Pickler(file, protocol=4)
    # Without a memo the pickler keeps no reference to what it has written; explanations share nothing with each other.
    pickler.fast = True
    pickler.dump(_Stream(items))
