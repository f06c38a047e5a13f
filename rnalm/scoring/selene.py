"""Effects of the alleles of one file of variants ─► the files that Selene writes of it."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rnalm.files import replacing
from rnalm.prediction.selene import rows_at_once, write_matrix, write_text
from rnalm.scoring.effects import alleles, outputs
from rnalm.sequences import vcf

#: What Selene tells of an allele before its scores, or in a file of its own; on transcripts, which one comes behind it.
LABELS = ("chrom", "pos", "name", "ref", "alt", "strand", "ref_match", "contains_unk")


def write(
    parts: Sequence[str | Path], variants: str, kind: str, column: str, output: str | Path, spliced: bool = False
) -> None:
    """Write one of the files that Selene writes of a file of variants.

    Parameters
    ----------
    parts : sequence of path
        From :func:`rnalm.scoring.variants.score_shard`, in order.
    variants : str
        The file of variants, as the configuration calls it.
    kind : {'tsv', 'hdf5', 'labels', 'missing'}
        What is written: a score of all alleles that have one, as text or as a matrix; what its rows are called; or the lines
        of which an allele has none.
    column : str
        For ``tsv`` and ``hdf5``, which score; see :func:`rnalm.scoring.effects.outputs`.
    output : path
        The file to write.
    spliced : bool
        Whether an allele has a score for each transcript in which it lies.
    """
    labels = [*LABELS, *(["transcript"] if spliced else [])]
    if kind == "missing":
        _write_missing(parts, variants, output)
        return
    named = outputs(pq.read_schema(parts[0]), column)
    names, classes = [name for name, _ in named], [own for _, own in named]
    if kind == "hdf5":
        count = sum(map(len, _scored(parts, variants, [])))
        blocks = (np.stack(_columns(table, names), axis=1) for table in _scored(parts, variants, names))
        write_matrix(output, (count, len(names)), blocks)
    else:
        tables = _scored(parts, variants, [*labels, *names])
        write_text(output, [*labels, *classes], (_columns(table, [*labels, *names]) for table in tables))


def _scored(parts: Sequence[str | Path], variants: str, names: Sequence[str]) -> Iterator[pa.Table]:
    """Read the alleles of a file that have scores; where no strand is known, the forward one was read."""
    for table in alleles(parts, variants, [*names, "reason"], rows_at_once(len(names))):
        kept = table.filter(table["reason"].is_null())
        if "strand" in names:
            strand = pc.replace_substring(kept["strand"], ".", "+")  # pyright: ignore[reportAttributeAccessIssue]
            kept = kept.set_column(kept.schema.get_field_index("strand"), "strand", strand)
        if len(kept):
            yield kept


def _columns(table: pa.Table, names: Sequence[str]) -> list[pa.Array]:
    return [table[name].combine_chunks() for name in names]


def _write_missing(parts: Sequence[str | Path], variants: str, output: str | Path) -> None:
    """Write the lines of which an allele has no score, in any transcript, as they stand in the file."""
    tables = (table.select(["place", "alt", "reason"]) for table in alleles(parts, variants, ["alt", "reason"]))
    rows = (row for table in tables for row in zip(*(column.to_pylist() for column in table.columns), strict=True))
    places = (place for (place, _), own in groupby(rows, key=itemgetter(0, 1)) if all(reason for _, _, reason in own))
    wanted = next(places, None)
    with replacing(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as text:
        for number, line in enumerate(vcf.lines(variants) if wanted else (), start=1):
            if wanted == vcf.place(variants, number):
                text.write(f"{line}\n")
                # Several alleles of a line can be without one.
                wanted = next((place for place in places if place != wanted), None)
            if wanted is None:
                break
