"""Predictions of sequences ─► the files that Selene writes of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.config import Genome
from rnalm.files import replacing
from rnalm.labels.labels import Labels
from rnalm.prediction.columns import score_columns
from rnalm.prediction.selene import rows_at_once, write_matrix, write_text
from rnalm.sequences import regions
from rnalm.sequences.contigs import Reference

#: What Selene tells of a sequence before its predictions: of one of a genome, and of one of a file of sequences.
OF_GENOME, OF_FILE = ("index", "chrom", "start", "end", "strand", "contains_unk"), ("index", "name")

#: What is known of some rows, and their predictions ``(rows, classes)``.
Block = tuple[pd.DataFrame, np.ndarray]


def write(predictions: str | Path, source: Genome | None, labels: Labels, kind: str, output: str | Path) -> None:
    """Write one of the files that Selene writes of predictions.

    Sequences stand in the order of their file. Of regions, this is that of the BED file, with all that have the same window,
    and ``index``, ``chrom``, ``start`` and ``end`` are those of the region.

    Parameters
    ----------
    predictions : path
        ``predictions.parquet``, from :func:`rnalm.prediction.evaluate.merge`.
    source : Genome or None
        Of which the sequences are windows; None: they have names.
    labels : Labels
        What the outputs of the models mean.
    kind : {'tsv', 'hdf5', 'labels'}
        What is written: predictions as text or as a matrix, or what its rows are called.
    output : path
        The file to write.
    """
    columns = [] if kind == "labels" else score_columns(labels)
    reference = Reference(source) if source else None
    count, blocks = pq.read_metadata(predictions).num_rows, _as_predicted(predictions, columns, reference is not None)
    if source and reference and source.sample.method == "regions":
        listed = _predicted(regions.rows(source, reference), predictions)
        count, blocks = len(listed), _as_listed(predictions, columns, listed)
    if kind == "hdf5":
        write_matrix(output, (count, len(columns)), (values for _, values in blocks))
        return
    about, unknown = OF_GENOME if reference else OF_FILE, regions.Unknown(reference) if reference else None
    named = [*about, *((labels.classes or ("prediction",)) if columns else ())]
    write_text(output, named, (_columns(block, about, unknown) for block in blocks))


def _columns(block: Block, about: Sequence[str], unknown: regions.Unknown | None) -> list[pa.Array]:
    """Give the columns of some rows; of a genome, it is looked up which windows have an unknown letter."""
    frame, values = block
    known = frame.assign(contains_unk=unknown(frame)) if unknown else frame
    return [*(pa.array(known[name]) for name in about), *(pa.array(column) for column in values.T)]


def write_missing(encoded: str | Path, source: Genome, output: str | Path) -> None:
    """Write the lines of the regions that have no window, as they stand in the BED file.

    Parameters
    ----------
    encoded : path
        All windows of the source.
    source : Genome
        Which names the file.
    output : path
        The file to write.
    """
    listed = regions.rows(source, Reference(source))
    there = _predicted(listed, encoded)["index"]
    path = str(source.sample.path)
    missing = sorted(set(range(regions.count(path))) - set(there))
    with replacing(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as text:
        text.writelines(f"{line}\n" for line in regions.lines(path, missing))


def _as_predicted(predictions: str | Path, columns: Sequence[str], windows: bool) -> Iterator[Block]:
    """Read predictions in their order."""
    first = 0
    for batch in pq.ParquetFile(predictions).iter_batches(rows_at_once(len(columns)), columns=["id", *columns]):
        ids = batch["id"].to_pylist()
        frame = regions.of_ids(ids) if windows else pd.DataFrame({"name": ids})
        yield frame.assign(index=range(first, first + len(ids))), _numbers(batch, columns)
        first += len(ids)


def _predicted(listed: pd.DataFrame, table: str | Path) -> pd.DataFrame:
    """Choose the windows that are in a table, and say in which of its rows: ``at``."""
    # Regions were held all at once when their windows were chosen; their names can be, too.
    at = pd.Index(pq.read_table(table, columns=["id"])["id"].to_pylist()).get_indexer(listed["id"].to_numpy())
    return listed.assign(at=at).loc[at >= 0]


def _as_listed(predictions: str | Path, columns: Sequence[str], listed: pd.DataFrame) -> Iterator[Block]:
    """Read predictions in the order of a list, through a file of numbers: all together need not fit into memory."""
    size = rows_at_once(len(columns))
    with TemporaryFile(dir=Path(predictions).parent) as file:
        for batch in pq.ParquetFile(predictions).iter_batches(size, columns=list(columns)) if columns else ():
            file.write(_numbers(batch, columns).tobytes())
        file.flush()
        shape = (pq.read_metadata(predictions).num_rows, len(columns))
        numbers = np.memmap(file, np.float32, "r", shape=shape) if columns else np.zeros(shape, np.float32)
        for first in range(0, len(listed), size):
            own = listed.iloc[first : first + size]
            yield own, numbers[own["at"].to_numpy()]


def _numbers(batch: pa.RecordBatch, columns: Sequence[str]) -> np.ndarray:
    """Put columns beside each other: float32 ``(rows, columns)``."""
    values = [batch[name].to_numpy(zero_copy_only=False) for name in columns]
    return np.stack(values, axis=1).astype(np.float32) if columns else np.zeros((len(batch), 0), np.float32)
