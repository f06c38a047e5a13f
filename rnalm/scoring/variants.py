"""Alleles ─► what each changes in the prediction of all models together."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from rnalm.config.variants import SCORES, Variants
from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.models.local import Flattened
from rnalm.models.own import OwnNetwork
from rnalm.prediction.panel import Panel
from rnalm.scoring.effects import WRITTEN, columns, score_names
from rnalm.sequences.contigs import Reference
from rnalm.sequences.edited import Change, NoWindow, Texts, texts
from rnalm.sequences.records import Record
from rnalm.sequences.strands import is_rna, reverse_complement
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenizer import plain_tokens

log = logging.getLogger(__name__)

#: Alleles whose windows are predicted together.
BLOCK = 2**11


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
    scorer = Scorer(panel, job.options)
    file = pq.ParquetFile(job.alleles)
    first, after = _bounds(file.metadata.num_rows, job)
    schema, missing = columns(panel.meaning, job.options.scores), 0
    bar = tqdm(total=after - first, desc="alleles", disable=None, leave=False)
    with replacing(output) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer, bar:
        for block in _blocks(file, first, after):
            table = scorer.table(block, schema)
            writer.write_table(table)
            missing += block["reason"].null_count - table["reason"].null_count
            bar.update(len(block))
    log.info("%d alleles scored", after - first)
    if missing:
        log.warning("%s: %d of %d alleles have no window (NA.tsv says why)", job.options.path[0], missing, after - first)


def _bounds(count: int, job: Job) -> tuple[int, int]:
    """Give the rows of a shard: whole blocks, so that what is predicted together does not depend on the shards."""
    blocks = -(-count // BLOCK)
    first, after = (blocks * part // job.shards * BLOCK for part in (job.shard, job.shard + 1))
    return first, min(after, count)


def _blocks(file: pq.ParquetFile, first: int, after: int) -> Iterator[pa.RecordBatch]:
    """Read rows of a file, a block at a time."""
    start = 0
    for batch in file.iter_batches(batch_size=BLOCK):
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

    Raises
    ------
    RnalmError
        If the models have outputs for tokens, or no length of windows is known.
    """

    def __init__(self, panel: Panel, options: Variants) -> None:
        if panel.meaning.per == "token":
            raise RnalmError("variants: the models have outputs for each token; expected models of whole sequences")
        if options.length is None:
            raise RnalmError("variants: length is missing: how many bases the models are to see around a variant")
        if "logits" in options.scores and panel.meaning.task == "regression":
            raise RnalmError("variants: scores: logits are of classes, and the models predict numbers")
        self.panel, self.options, self.length = panel, options, options.length
        self.genome = Reference(options)
        self.anchor = options.anchor if takes_one_length(panel) else "whole"
        letters = plain_tokens(panel.tokenizer)
        self.rna, self.small = is_rna(letters), all(letter == letter.lower() for letter in letters)

    def table(self, alleles: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
        """Score some alleles.

        Parameters
        ----------
        alleles : pyarrow.RecordBatch
            Rows of the list of alleles.
        schema : pyarrow.Schema
            From :func:`columns`.
        """
        windows, reasons = self._windows(alleles)
        rows = np.flatnonzero([own is not None for own in windows])
        values: dict[str, Any] = {name: alleles[name] for name in (*WRITTEN, "place")}
        values |= {"reason": reasons, "contains_unk": [own is not None and "N" in "".join(own).upper() for own in windows]}
        told = self._told(self._predict(windows))
        for name in schema.names[len(values) :]:
            column = np.full(len(alleles), np.nan)
            column[rows] = told[name]
            values[name] = pa.array(column, from_pandas=True)
        return pa.table([values[name] for name in schema.names], schema)

    def _windows(self, alleles: pa.RecordBatch) -> tuple[list[tuple[str, ...] | None], list[str | None]]:
        """Write the windows of each allele, that of the genome first, or say why there are none."""
        windows: list[tuple[str, ...] | None] = []
        reasons: list[str | None] = []
        for allele in alleles.select(["contig", "start", "goes", "comes", "strand", "reason"]).to_pylist():
            found, reason = None, allele["reason"]
            if reason is None:
                try:
                    found = self._strand(self._texts(allele), allele["strand"])
                except NoWindow as error:
                    reason = str(error)
            windows.append(found)
            reasons.append(reason)
        return windows, reasons

    def _texts(self, allele: dict[str, Any]) -> Texts:
        """Write the windows of an allele, as the forward strand has them."""
        change, contig = Change(allele["start"], allele["goes"], allele["comes"]), allele["contig"]

        def letters(first: int, after: int) -> str:
            return self.genome.letters(contig, first, after).upper()

        return texts(change, self.length, self.genome.lengths[contig], letters, self.anchor)

    def _strand(self, own: Texts, strand: str) -> tuple[str, ...]:
        """Write windows as the strand has them that is read, with the letters that the models know."""
        every = (own.reference, *own.alternatives)
        if strand == "-":
            every = tuple(reverse_complement(text, rna=False) for text in every)
        every = tuple(text.replace("T", "U") for text in every) if self.rna else every
        return tuple(text.lower() for text in every) if self.small else every

    def _predict(self, windows: Sequence[tuple[str, ...] | None]) -> dict[str, np.ndarray]:
        """Predict windows, each once however many alleles have it: with REF, and the mean over those with ALT."""
        number: dict[str, int] = {}
        for own in windows:
            for text in own or ():
                number.setdefault(text, len(number))
        outputs = self.panel.outputs([self._encode(text) for text in number])
        scales = ["probability", *(["logit"] if "logits" in self.options.scores else [])]
        measured = self.panel.meaning.measured
        found = {}
        for scale in scales:
            scores = self.panel.read(outputs, scale)[:, measured] if number else np.zeros((0, len(measured)))
            reference = [scores[number[own[0]]] for own in windows if own]
            alternative = [np.mean([scores[number[text]] for text in own[1:]], axis=0) for own in windows if own]
            shape = (-1, len(measured))
            found |= {f"ref_{scale}": np.reshape(reference, shape), f"alt_{scale}": np.reshape(alternative, shape)}
        return found

    def _encode(self, text: str) -> Encoded:
        """Encode a window."""
        _, tokens, encoded = self.panel.encode(Record("a window", "", text, None, None, None, None, None))
        if len(tokens.input_ids) < tokens.total:
            kept = f"{len(tokens.input_ids)} of the {tokens.total} tokens of a window"
            raise RnalmError(f"variants: length: the models see {kept} of {self.length} bases (encode.block_size)")
        if np.all(tokens.input_ids == self.panel.tokenize.unknown):
            raise RnalmError("variants: the models know none of the letters of a window; expected models of DNA or RNA")
        return encoded

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
    """
    network = panel.predictors[0].model
    if not isinstance(network, OwnNetwork):
        return False
    return not hasattr(network, "local") or isinstance(network.local().readout, Flattened)
