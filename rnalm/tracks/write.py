"""Runs of positions with one value ─► bedGraph and bigWig."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pybigtools

from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.report.modes import MODES
from rnalm.scoring.effects import GROUP
from rnalm.sequences import annotation
from rnalm.tracks import lay
from rnalm.tracks.values import Track, column_of, predicted, scored

log = logging.getLogger(__name__)


def write_tracks(
    table: str | Path,
    encoded: str | Path | None = None,
    *,
    outputs: Sequence[str | Path],
    kind: str,
    classes: Sequence[str],
    windows: bool = False,
    transcripts: str | None = None,
) -> None:
    """Write the tracks of a table.

    Parameters
    ----------
    table : path
        Scores, predictions for tokens, or effects of variants.
    encoded : path, optional
        The sequences, for the places of their tokens where they are predicted.
    outputs : sequence of path
        For each class, a file in each format, by their suffixes.
    kind : str
        A mode of interpretation, of which scores are; :data:`rnalm.config.contract.PREDICTED`; or
        :data:`rnalm.config.contract.CHANGED`, of variants.
    classes : sequence of str
        Classes or targets; none: one track of what there is.
    windows : bool
        Whether names of sequences are those of windows of a genome, on which these are then laid.
    transcripts : str, optional
        File that lays transcripts on a genome.

    Raises
    ------
    RnalmError
        If there is nothing to write, no such class, or nothing that can be laid on the genome.
    """
    find, where = finder(windows, transcripts, str(table))
    each = len(outputs) // max(1, len(classes))
    for number, chosen in enumerate(classes or [None]):
        own = outputs[number * each : (number + 1) * each]
        if kind == contract.CHANGED:
            runs = alleles(table, chosen)
        else:
            tracks = partial(read, table, kind, chosen, encoded)
            runs = lay.on_genome(tracks, find, where) if find else lay.in_own(tracks())
        write(runs, own, " ".join(filter(None, [kind, chosen])), str(table))


def read(table: str | Path, kind: str, chosen: str | None, encoded: str | Path | None) -> Iterator[Track]:
    """Read the values of sequences.

    Parameters
    ----------
    table, kind, encoded
        As for :func:`write_tracks`.
    chosen : str or None
        A class or target; None: the only one, or that which is explained.
    """
    if kind == contract.PREDICTED:
        assert encoded is not None
        return predicted(table, encoded, chosen)
    return scored(table, MODES[kind].sense, chosen)


def finder(windows: bool, transcripts: str | None, table: str) -> tuple[lay.Find | None, str]:
    """Choose what tells where sequences lie on a genome: None: nothing does.

    Parameters
    ----------
    windows, transcripts
        As for :func:`write_tracks`.
    table : str
        Where the names of windows stand, for messages.

    Returns
    -------
    find : callable or None
        From the id of a sequence to its place.
    where : str
        What tells, for messages.
    """
    if windows:
        return lay.window, table
    return (annotation.read(transcripts).find, transcripts) if transcripts else (None, table)


def alleles(table: str | Path, chosen: str | None = None) -> Iterator[lay.Run]:
    """Read what single-nucleotide variants change: at each position, that of the allele which changes most.

    Parameters
    ----------
    table : path
        Effects of variants, from :func:`rnalm.scoring.effects.merge`.
    chosen : str, optional
        The class or target; None: the only one.

    Yields
    ------
    rnalm.tracks.lay.Run
        A contig after the other, by name, ascending: the prediction with ALT minus that with REF.
    """
    names = [name for name in pq.read_schema(table).names if name == "diff" or name.startswith("diff_")]
    column = column_of(names, ("diff",), chosen, table)
    counts, others = Counter(), 0
    for contigs, _, _, left in _single(table, column):
        counts.update(contigs.tolist())
        others += left
    if others:
        log.warning("%s: %d alleles are no SNVs, and in no track", table, others)

    def points() -> Iterator[lay.Points]:
        for contigs, positions, values, _ in _single(table, column):
            for contig in dict.fromkeys(contigs.tolist()):
                yield contig, positions[contigs == contig], values[contigs == contig]

    yield from lay.gathered(points, counts, lay.strongest)


def _single(table: str | Path, column: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """Read contigs, positions and changes of SNVs, and how many other alleles stand among them."""
    columns = ["chrom", "pos", "ref", "alt", "kind", column]
    for batch in pq.ParquetFile(table).iter_batches(batch_size=GROUP, columns=columns):
        frame = batch.to_pandas()
        single = frame.loc[(frame["kind"] == "SNV").to_numpy()]
        # Where further letters are given that stay as they are, the position is that of the one that changes.
        pairs = zip(single["ref"].str.upper(), single["alt"].str.upper(), strict=True)
        behind = [next(at for at, (ref, alt) in enumerate(zip(*pair, strict=True)) if ref != alt) for pair in pairs]
        positions = single["pos"].to_numpy(np.int64) - 1 + np.array(behind, dtype=np.int64)
        yield single["chrom"].to_numpy(), positions, single[column].to_numpy(np.float64), len(frame) - len(single)


def write(runs: Iterable[lay.Run], outputs: Sequence[str | Path], name: str, where: str) -> None:
    """Write one track in several formats.

    Parameters
    ----------
    runs : iterable of rnalm.tracks.lay.Run
        A contig after the other, each ascending.
    outputs : sequence of path
        One in each format, by their suffixes: those of :data:`rnalm.config.contract.BROWSED`.
    name : str
        What the track is called.
    where : str
        Where its values are from, for messages.

    Raises
    ------
    RnalmError
        If there are no values.
    """
    with ExitStack() as stack:
        temporary = {Path(path).suffix: stack.enter_context(replacing(path)) for path in outputs}
        # A bigWig is made of bedGraph, so that values are computed once, and none are held in memory.
        text = temporary.get(".bedgraph") or stack.enter_context(_passing(Path(outputs[0])))
        sizes = _write_bedgraph(runs, text, name)
        if not sizes:
            raise RnalmError(f"{where}: has no value to write as a track; expected one position or more")
        if packed := temporary.get(".bw"):
            pybigtools.open(str(packed), "w").write(sizes, _runs_of(text))


@contextmanager
def _passing(path: Path) -> Iterator[Path]:
    """Write beside a file what is only needed for the time being; named so that it is known when a killed job has left it."""
    beside = path.with_name(f".{os.getpid()}.text.{path.name}")
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _write_bedgraph(runs: Iterable[lay.Run], path: Path, name: str) -> dict[str, int]:
    """Write runs as text, with all digits of float32; give how far each contig reaches."""
    sizes: dict[str, int] = {}
    with open(path, "w", encoding="utf-8") as text:
        text.write(f'track type=bedGraph name="{name}"\n')
        for contig, start, end, value in runs:
            text.write(f"{contig}\t{start}\t{end}\t{value:.9g}\n")
            sizes[contig] = end
    return sizes


def _runs_of(path: Path) -> Iterator[tuple[str, int, int, float]]:
    """Read runs back."""
    with open(path, encoding="utf-8") as text:
        next(text)
        for line in text:
            contig, start, end, value = line.split("\t")
            yield contig, int(start), int(end), float(value)
