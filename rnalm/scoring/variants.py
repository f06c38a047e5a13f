"""Alleles ─► what each changes in the prediction of all models together."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from rnalm.config.variants import SCORES, Variants
from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.models.local import Flattened
from rnalm.models.own import OwnNetwork
from rnalm.prediction.panel import Panel
from rnalm.scoring.effects import PHASED, WRITTEN, columns, score_names
from rnalm.scoring.haplotypes import HaplotypeView
from rnalm.scoring.layout import MOST, Stretch, lay
from rnalm.scoring.outputs import Outputs
from rnalm.scoring.views import GenomeView, TranscriptView
from rnalm.sequences.edited import NoWindow, Window

log = logging.getLogger(__name__)

#: Alleles whose windows are predicted together, at most; and letters of windows of haplotypes, each of which may be all new.
BLOCK, LETTERS = 2**11, 2**24


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is scored, by which models and how.

    Attributes
    ----------
    model_folders : list of str
        The models, of which the mean is taken.
    alleles : str
        From :func:`rnalm.sequences.alleles.list_file`.
    options : Variants
        Where the genome is, which windows are predicted, and what is told.
    laid : str, optional
        From the same function: where transcripts lie; None: what the configuration names is read for it.
    batch_tokens : int
        Tokens in one forward pass, at most.
    trust : bool
        Whether to run code of a user's own, if the models hold some.
    shard, shards : int
        Which part of the alleles, of how many.
    """

    model_folders: list[str]
    alleles: str
    options: Variants
    laid: str | None = None
    batch_tokens: int = 2**18
    trust: bool = False
    shard: int = 0
    shards: int = 1


def score_shard(job: Job, output: str | Path, device: str | torch.device = "cpu") -> None:
    """Score a part of the alleles, and write it as Parquet, in their order; a column says why an allele has no scores.

    Parameters
    ----------
    job : Job
        What to score.
    output : path
        The file to write.
    device : str or torch.device
        Where the models run.

    Raises
    ------
    RnalmError
        If the models do not fit together, have outputs for tokens, or take other windows.
    """
    panel = Panel(job.model_folders, job.batch_tokens, device, job.trust)
    scorer = Scorer(panel, job.options, job.alleles, job.laid)
    file = pq.ParquetFile(job.alleles)
    first, after = _bounds(file.metadata.num_rows, job)
    schema, missing = columns(panel.meaning, job.options.scores, bool(job.options.phased)), 0
    bar = tqdm(total=after - first, desc="alleles", disable=None, leave=False)
    with replacing(output) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer, bar:
        for block in _blocks(file, first, after, _size(job.options)):
            table = scorer.table(block, schema)
            writer.write_table(table)
            missing += block["reason"].null_count - table["reason"].null_count
            bar.update(len(block))
    log.info("%d alleles scored", after - first)
    if missing:
        files = ", ".join(job.options.path)
        log.warning("%s: %d of %d alleles have no window (NA.tsv says why)", files, missing, after - first)


def _size(options: Variants) -> int:
    """Say how many alleles are a block: a power of two, so that row groups are whole blocks."""
    if not options.phased or options.length is None:
        return BLOCK
    return min(BLOCK, 1 << max(LETTERS // options.length, 1).bit_length() - 1)


def _bounds(count: int, job: Job) -> tuple[int, int]:
    """Give the rows of a shard: whole blocks, so that what is predicted together does not depend on the shards."""
    size = _size(job.options)
    blocks = -(-count // size)
    first, after = (blocks * part // job.shards * size for part in (job.shard, job.shard + 1))
    return first, min(after, count)


def _blocks(file: pq.ParquetFile, first: int, after: int, size: int) -> Iterator[pa.RecordBatch]:
    """Read rows of a file, a block at a time, and no more of its row groups than are needed: these hold whole blocks."""
    starts = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))])
    groups = [group for group in range(len(starts) - 1) if max(first, starts[group]) < min(after, starts[group + 1])]
    start = int(starts[groups[0]]) if groups else 0
    for batch in file.iter_batches(batch_size=size, row_groups=groups):
        if first <= start < after:
            yield batch
        start += len(batch)


class Scorer:
    """Predicts windows of the genome and of edited chromosomes.

    Parameters
    ----------
    panel : Panel
        The models.
    options : Variants
        The genome, and which windows.
    listed : str, optional
        The list of alleles, where they are those of haplotypes.
    laid : str, optional
        Where transcripts lie, as of :class:`Job`.

    Raises
    ------
    RnalmError
        If the models have outputs for tokens, or no length of windows is known, or one that they do not take.
    """

    def __init__(self, panel: Panel, options: Variants, listed: str = "", laid: str | None = None) -> None:
        if panel.meaning.per == "token":
            raise RnalmError("variants: the models have outputs for each token; expected models of whole sequences")
        if options.length is None and options.transcripts is None:
            raise RnalmError("variants: length is missing: how many bases the models are to see around a variant")
        if "logits" in options.scores and panel.meaning.task == "regression":
            raise RnalmError("variants: scores: logits are of classes, and the models predict numbers")
        self.panel, self.options = panel, options
        if options.transcripts is None:
            assert options.length is not None, "it was looked for"
            given = options, options.length, options.anchor if takes_one_length(panel) else "whole"
            self.view = HaplotypeView(*given, listed) if options.phased else GenomeView(*given)
            self.outputs = Outputs(panel, options.length, options.scorer)
            return
        if takes_one_length(panel):
            raise RnalmError("variants: the models take sequences of one length, and transcripts have any; expected a genome")
        self.view = TranscriptView(options, panel.options, laid)
        self.outputs = Outputs(panel, None, options.scorer, (options.transcripts, self.view.exons.by_name))

    def table(self, alleles: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
        """Score some alleles.

        Parameters
        ----------
        alleles : pyarrow.RecordBatch
            Rows of the list of alleles.
        schema : pyarrow.Schema
            From :func:`columns`.
        """
        found, reasons, beside = self._windows(alleles)
        kept = [name for name in (*WRITTEN, *PHASED, "place") if name in schema.names]
        values: dict[str, Any] = {name: beside[name] if name in beside else alleles[name] for name in kept}
        owner = np.repeat(np.arange(len(found)), [len(own) for own in found])
        outputs, unknown = self._predict([window for own in found for window in own], alleles, owner)
        values |= {"reason": reasons, "contains_unk": np.bincount(owner[unknown], minlength=len(found)) > 0}
        rows = np.unique(owner)
        told = self._told(self._read(outputs, owner, rows))
        for name in schema.names[len(values) :]:
            column = np.full(len(alleles), np.nan)
            column[rows] = told[name]
            values[name] = pa.array(column, from_pandas=True)
        return pa.table([values[name] for name in schema.names], schema)

    def _windows(self, alleles: pa.RecordBatch) -> tuple[list[list[Window]], list[str | None], dict[str, list[int | None]]]:
        """Find the windows of each allele, that of the genome first, or say why there are none; and what else is told of it."""
        found: list[list[Window]] = []
        reasons: list[str | None] = []
        beside: dict[str, list[int | None]] = {name: [] for name in (PHASED[2:] if self.options.phased else ())}
        self.view.prepare(alleles)
        for allele in alleles.to_pylist():
            own, counts, reason = [], {}, allele["reason"]
            if reason is None:
                try:
                    own, counts = self.view.windows(allele)
                except NoWindow as error:
                    reason = str(error)
            found.append(own)
            reasons.append(reason)
            for name, told in beside.items():
                told.append(counts.get(name))
        return found, reasons, beside

    def _predict(self, found: list[Window], alleles: pa.RecordBatch, owner: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Compute the raw outputs of each model for windows, and say which of these have an unknown letter."""
        contigs, strands = (alleles[name].to_pylist() for name in ("contig", "strand"))
        places = [(contigs[number], self.view.strand(strands[number])) for number in owner.tolist()]
        outputs, unknown = self.outputs.nothing(len(found)), np.zeros(len(found), dtype=bool)
        for stretch in self._stretches(found, places):
            for whole, part in zip(outputs, self.outputs(stretch), strict=True):
                whole[stretch.numbers] = part
            unknown[stretch.numbers] = stretch.unknown
        return outputs, unknown

    def _stretches(self, found: list[Window], places: list[tuple[str, str]]) -> Iterator[Stretch]:
        """Lay windows that overlap on common stretches; say of which file letters are that cannot be read."""
        most = MOST[self.panel.predictors[0].model.device.type]
        try:
            yield from lay(found, places, self.view.letters, most)
        except RnalmError as error:
            raise RnalmError(f"{self.options.letters}, {error}") from None

    def _read(self, outputs: list[np.ndarray], owner: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Read what models say: with REF, and the mean over the windows with ALT ``(rows, outputs)``."""
        first = np.searchsorted(owner, rows)
        others = np.setdiff1d(np.arange(len(owner)), first)
        found = {}
        for scale in ("probability", *(["logit"] if "logits" in self.options.scores else [])):
            scores = self.panel.read(outputs, scale)[:, self.panel.meaning.measured]
            alternative = np.zeros((len(rows), scores.shape[1]))
            np.add.at(alternative, np.searchsorted(rows, owner[others]), scores[others])
            count = np.bincount(np.searchsorted(rows, owner[others]), minlength=len(rows))[:, None]
            found |= {f"ref_{scale}": scores[first], f"alt_{scale}": alternative / count}
        return found

    def _told(self, predicted: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute what is told, by column."""
        reference, alternative = (predicted[f"{which}_probability"] for which in ("ref", "alt"))
        found = {"diff": alternative - reference, "ref_pred": reference, "alt_pred": alternative}
        found["abs_diff"] = np.abs(found["diff"])
        if "ref_logit" in predicted:
            found["logit_diff"] = predicted["alt_logit"] - predicted["ref_logit"]
        told = {}
        for score in self.options.scores:
            names = score_names(self.panel.meaning, score)
            values = np.concatenate([found[stem] for stem in SCORES[score]], axis=1)
            told |= dict(zip(names, values.T, strict=True))
        return told


def takes_one_length(panel: Panel) -> bool:
    """Say whether models take, or may take, sequences of one length only: networks of a user's own, but those that pool.

    Parameters
    ----------
    panel : Panel
        The models.

    Raises
    ------
    RnalmError
        If some do and others do not.
    """
    found = {_one_length(predictor.model) for predictor in panel.predictors}
    if len(found) > 1:
        raise RnalmError("variants: some of the models take sequences of one length, and others of any; expected one kind")
    return found.pop()


def _one_length(network: PreTrainedModel) -> bool:
    if not isinstance(network, OwnNetwork):
        return False
    return not hasattr(network, "local") or isinstance(network.local().readout, Flattened)
