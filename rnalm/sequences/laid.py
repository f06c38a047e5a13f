"""Transcripts on a genome ─► Parquet, and back: what was read of an annotation once need not be read again."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.files import replacing
from rnalm.sequences.transcripts import Transcript, Transcripts

#: A row is a transcript; its coding sequence has no bounds where nothing is translated.
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "contig", "strand")),
        *((name, pa.list_(pa.int64())) for name in ("starts", "ends")),
        *((name, pa.int64()) for name in ("cds_start", "cds_end", "phase")),
    ]
)


def write(transcripts: Iterable[Transcript], output: str | Path) -> None:
    """Write transcripts as Parquet.

    Parameters
    ----------
    transcripts : iterable of Transcript
        They may be none.
    output : path
        The file to write.
    """
    rows = []
    for one in transcripts:
        first, after = one.cds or (None, None)
        exons = {"starts": one.starts, "ends": one.ends}
        coding = {"cds_start": first, "cds_end": after, "phase": one.phase}
        rows.append({"id": one.id, "contig": one.contig, "strand": one.strand} | exons | coding)
    with replacing(output) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), temporary, compression="zstd")


def read(path: str | Path, where: str) -> Transcripts:
    """Read transcripts back.

    Parameters
    ----------
    path : path
        From :func:`write`.
    where : str
        The file that they were read from at first, for messages.
    """
    found = []
    for row in pq.read_table(path).to_pylist():
        cds = None if row["cds_start"] is None else (row["cds_start"], row["cds_end"])
        starts, ends = (np.array(row[name], dtype=np.int64) for name in ("starts", "ends"))
        found.append(Transcript(row["id"], row["contig"], row["strand"], starts, ends, cds, row["phase"]))
    return Transcripts(found, where)
