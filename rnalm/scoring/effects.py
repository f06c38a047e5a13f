"""Tables of the effects of variants: their columns, and parts of them ─► one table, or what is of one file."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rnalm.config.variants import SCORES
from rnalm.files import replacing
from rnalm.labels.labels import Labels
from rnalm.sequences import vcf

#: Rows of a row group.
GROUP = 2**16

#: What is written of an allele before its scores.
WRITTEN = ("chrom", "pos", "name", "ref", "alt", "strand", "transcript", "kind", "ref_match", "alt_is_reference")
#: What is written beside it of an allele on a haplotype: whose and which it is, how many of its alleles the windows have, the
#: allele itself among them, and how many of the sample they may lack.
PHASED = ("sample", "haplotype", "alleles", "left_out")


def columns(labels: Labels, scores: Sequence[str], phased: bool = False) -> pa.Schema:
    """Name the columns of the table of effects.

    Parameters
    ----------
    labels : Labels
        What the outputs of the models mean.
    scores : sequence of str
        Those of :data:`rnalm.config.variants.SCORES` that are told.
    phased : bool
        Whether alleles are those of haplotypes.

    Examples
    --------
    >>> columns(Labels("multilabel", classes=("Abf1", "Reb1")), ["diffs"]).names[-3:]
    ['reason', 'diff_Abf1', 'diff_Reb1']
    """
    kinds: dict[str, pa.DataType] = {"pos": pa.int64(), "ref_match": pa.bool_(), "alt_is_reference": pa.bool_()}
    kinds |= {"haplotype": pa.int16(), "alleles": pa.int32(), "left_out": pa.int32()}
    fields = [(name, kinds.get(name, pa.string())) for name in (*WRITTEN, *(PHASED if phased else ()))]
    fields += [("contains_unk", pa.bool_()), ("place", pa.string()), ("reason", pa.string())]
    return pa.schema([*fields, *((name, pa.float64()) for score in scores for name in score_names(labels, score))])


def score_names(labels: Labels, score: str) -> list[str]:
    """Name the columns of one of the scores.

    Parameters
    ----------
    labels : Labels
        What the outputs of the models mean.
    score : str
        One of :data:`rnalm.config.variants.SCORES`.
    """
    outputs = [f"_{labels.classes[number]}" for number in labels.measured] if labels.classes else [""]
    return [f"{stem}{output}" for stem in SCORES[score] for output in outputs]


def merge(parts: Sequence[str | Path], table: str | Path, unscored: str | Path) -> None:
    """Put parts together: alleles with scores in a table, those without, with the reason, in another.

    Parameters
    ----------
    parts : sequence of path
        From :func:`rnalm.scoring.variants.score_shard`, in order.
    table : path
        Parquet, of what has scores.
    unscored : path
        Tab-separated text, of what has none.
    """
    schema = pq.read_schema(parts[0])
    dropped = ["place", "reason"]
    with replacing(table) as temporary:
        kept = pa.schema([field for field in schema if field.name not in dropped])
        with pq.ParquetWriter(temporary, kept, compression="zstd") as writer:
            for group in _groups(parts, schema, scored=True):
                writer.write_table(group.drop_columns(dropped))
    with replacing(unscored) as temporary:
        known = [name for name in PHASED[:2] if name in schema.names]
        columns = ["place", "chrom", "pos", "name", "ref", "alt", "strand", "transcript", *known, "reason"]
        _write_text((group.select(columns) for group in _groups(parts, schema, scored=False)), temporary)


def _groups(parts: Sequence[str | Path], schema: pa.Schema, scored: bool) -> Iterator[pa.Table]:
    """Read what has scores, or what has none, in groups of rows that do not depend on the parts; one at least."""
    held = schema.empty_table()
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches():
            table = pa.Table.from_batches([batch])
            kept = table.filter(table["reason"].is_null() if scored else table["reason"].is_valid())
            held = pa.concat_tables([held, kept])
            while len(held) >= GROUP:
                yield held.slice(0, GROUP).combine_chunks()
                held = held.slice(GROUP)
    yield held.combine_chunks()


def outputs(schema: pa.Schema, stem: str) -> list[tuple[str, str]]:
    """List the columns that hold a score: their name, and that of the class or target; ``prediction``, where it has none.

    Parameters
    ----------
    schema : pyarrow.Schema
        From :func:`columns`.
    stem : str
        With what the columns begin, as :data:`rnalm.config.variants.SCORES` has it.

    Examples
    --------
    >>> schema = columns(Labels("multilabel", classes=("Abf1", "Reb1")), ["diffs", "abs_diffs"])
    >>> outputs(schema, "diff")
    [('diff_Abf1', 'Abf1'), ('diff_Reb1', 'Reb1')]
    """
    scores = schema.names[schema.names.index("reason") + 1 :]
    named = [(name, name.removeprefix(f"{stem}_")) for name in scores if name.startswith(f"{stem}_")]
    return [(stem, "prediction")] if stem in scores else named


def alleles(parts: Sequence[str | Path], path: str, names: Sequence[str], rows: int = GROUP) -> Iterator[pa.Table]:
    """Read the alleles of one of the files of variants, in its order, some at a time.

    Parameters
    ----------
    parts : sequence of path
        From :func:`rnalm.scoring.variants.score_shard`, in order.
    path : str
        The file, as the configuration calls it.
    names : sequence of str
        Which columns are read, beside ``place``.
    rows : int
        How many alleles at once, at most.

    Yields
    ------
    pyarrow.Table
        Alleles with and without scores.
    """
    before = vcf.place(path, 0).removesuffix("0")
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(batch_size=rows, columns=["place", *names]):
            own = pc.starts_with(batch["place"], before)  # pyright: ignore[reportAttributeAccessIssue]
            yield pa.Table.from_batches([batch.filter(own)])


def _write_text(tables: Iterable[pa.Table], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, table in enumerate(tables):
            table.to_pandas().to_csv(file, sep="\t", index=False, header=number == 0, lineterminator="\n")
