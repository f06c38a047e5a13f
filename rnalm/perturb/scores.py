"""Edits ─► scorer ─► leave-one-out scores, in shards."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from rnalm import datasets, folder, folds, models, tokenizers
from rnalm.datasets import Encoded
from rnalm.evaluate import check_same
from rnalm.files import replacing
from rnalm.labels import Labels
from rnalm.perturb.check import class_index
from rnalm.perturb.edits import Editor, Edits
from rnalm.perturb.scorers import Scorer, ahead, choose, precision_error
from rnalm.predict import check_fit

log = logging.getLogger(__name__)

#: A row group has about this many rows: small ones would cost more in the footer than in scores.
GROUP_ROWS = 2**17

#: Key of a shard's metadata: id and original score (of each explained output) of every sequence, also of those without edits.
SEQUENCES = b"sequences"


@dataclass(frozen=True)
class Job:
    """One shard of the leave-one-out scores of a source.

    Attributes
    ----------
    model_folders : list of str
    encoded : str
    folds : str or None
        With folds, model k scores the test rows of fold k; without, every model scores every row.
    mode : {'remove', 'mask', 'replace'}
    replacements : dict
    replace_modifiers : bool
    explain : str
        ``predicted``, ``all`` or the name of a class.
    scale : {'probability', 'logit'}
    sample_size : int or None
        Score a random sample of so many sequences.
    shard, shards : int
        Which of how many.
    scorer : {'auto', 'naive', 'incremental'}
    precision : {'float32', 'tf32', 'bf16'}
    batch_tokens : int or None
    seed : int or None
        Draws the sample.
    """

    model_folders: list[str]
    encoded: str
    folds: str | None
    mode: str
    replacements: dict
    replace_modifiers: bool
    explain: str
    scale: str
    sample_size: int | None
    shard: int
    shards: int
    scorer: str = "auto"
    precision: str = "float32"
    batch_tokens: int | None = None
    seed: int | None = None


def score_shard(job: Job, output: str | Path, device: str | torch.device = "cpu") -> None:
    """Score one shard and write it as Parquet, one row a perturbation (and class, if all are explained).

    A row scored by several models has the mean over them, and ``loo_sd``.

    Raises
    ------
    RnalmError
        If models do not fit together or to the file, or a replacement or class is unknown.
    """
    labels = [Labels.load(folder.check(path) / "labels.json") for path in job.model_folders]
    check_same(labels, job.model_folders)
    for path, meaning in zip(job.model_folders, labels, strict=True):
        check_fit(path, job.encoded, meaning)
    tokenizer = tokenizers.load(job.model_folders[0])
    editor = Editor(job.mode, tokenizer, job.replacements, job.replace_modifiers)
    names = pa.array([tokenizer.id_to_token(index) for index in range(tokenizer.get_vocab_size())])
    explained = explained_classes(job.explain, labels[0])
    loaded = [models.load(path, device) for path in job.model_folders]
    scorers = [choose(model, job.scorer, job.batch_tokens, job.precision) for model in loaded]

    assigned, lengths = assignments(job), datasets.lengths(job.encoded)
    rows = shard_rows(scorers[0].cost(lengths) * assigned.sum(axis=0), job)
    schema = columns(job.mode, labels[0].task, explained is None, several=bool((assigned.sum(axis=0) > 1).any()))
    if job.precision != "float32" and len(rows):
        _log_error(loaded[0], scorers[0], next(_sequences(job.encoded, rows)), editor, job.precision)

    def launch(sequence: Encoded) -> tuple[Edits, np.ndarray, list[Callable[[], np.ndarray]]]:
        edits, using = editor.edits(sequence), np.flatnonzero(assigned[:, sequence.row])
        return edits, using, [scorers[model].launch(sequence, edits) for model in using]

    bases: list[list] = []
    held: list[pa.Table] = []
    log.info("shard %d of %d: %d sequences", job.shard + 1, job.shards, len(rows))
    with (
        replacing(output) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
        _Progress(f"LOO {job.mode}", int(lengths[rows].sum())) as progress,
    ):
        for sequence, (edits, using, pending) in ahead(_sequences(job.encoded, rows), launch, loaded[0].device):
            outputs = [wait() for wait in pending]
            found = contrast(outputs, [labels[model] for model in using], explained, job.scale)
            held.append(tabulate(sequence, edits, found, names, schema))
            bases.append([sequence.id, found.base])
            if sum(map(len, held)) >= GROUP_ROWS:
                writer.write_table(pa.concat_tables(held))
                held = []
            progress.add(len(sequence.input_ids), len(edits) * len(using))
        writer.write_table(pa.concat_tables([schema.empty_table(), *held]))
        writer.add_key_value_metadata({SEQUENCES: json.dumps(bases)})


def _sequences(encoded: str, rows: np.ndarray) -> Iterator[Encoded]:
    """Read some rows, one by one."""
    return (sequence for group in datasets.read(encoded, rows) for sequence in group)


def _log_error(model: PreTrainedModel, scorer: Scorer, sequence: Encoded, editor: Editor, precision: str) -> None:
    """Log what a lower precision costs."""
    error, spread = precision_error(model, scorer, sequence, editor.edits(sequence))
    log.warning(
        "interpret.precision %s: on sequence %r the model's outputs change by the edits with a standard deviation of %.2g, "
        "and %s errs by up to %.2g",
        *(precision, sequence.id, spread, precision, error),
    )


class _Progress:
    """A progress bar over tokens, on a terminal only, with perturbations per second; the log gets these at the end."""

    def __init__(self, name: str, tokens: int) -> None:
        layout = "{l_bar}{bar}| {postfix}, {remaining} left"
        self.bar = tqdm(total=tokens, desc=name, disable=None, leave=False, bar_format=layout, postfix="starting")
        self.began, self.perturbations = time.perf_counter(), 0

    @property
    def rate(self) -> float:
        """Perturbations per second so far."""
        return self.perturbations / max(1e-9, time.perf_counter() - self.began)

    def add(self, tokens: int, perturbations: int) -> None:
        """Count what is done."""
        self.perturbations += perturbations
        self.bar.set_postfix_str(f"{self.rate:,.0f} perturbations/s", refresh=False)
        self.bar.update(tokens)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()
        log.info("%d perturbations scored, %.0f per second", self.perturbations, self.rate)


@dataclass(frozen=True)
class Contrast:
    """What changes in the prediction for one sequence.

    Attributes
    ----------
    pred : float or str
        Prediction for the sequence, by the mean over the models.
    classes : list of str
        Names of the explained outputs; one empty name for regression.
    base : list of float
        Mean score of the sequence, for each explained output.
    difference : numpy.ndarray
        Score of each perturbation minus that of the sequence, ``(models, edits, explained outputs)``.
    """

    pred: float | str
    classes: list[str]
    base: list[float]
    difference: np.ndarray


def contrast(outputs: Sequence[np.ndarray], labels: Sequence[Labels], explained: Sequence[int] | None, scale: str) -> Contrast:
    """Compare the outputs for perturbations with those for the sequence.

    Parameters
    ----------
    outputs : sequence of numpy.ndarray
        Of each model, for the perturbations and last for the sequence ``(edits + 1, outputs)``.
    labels : sequence of Labels
        What the outputs of each model mean.
    explained : sequence of int or None
        Outputs to explain; None: the predicted class.
    scale : {'probability', 'logit'}
    """
    scores = np.stack([meaning.to_scores(output, scale) for meaning, output in zip(labels, outputs, strict=True)])
    base = scores[:, -1]  # (models, outputs)
    # Predicted is what the mean probability says, as in the predictions, also where logits are explained.
    likely = np.mean([meaning.to_scores(output[-1]) for meaning, output in zip(labels, outputs, strict=True)], axis=0)
    names = labels[0].classes
    chosen = [int(likely.argmax())] if explained is None else list(explained)
    return Contrast(
        pred=names[likely.argmax()] if names else float(likely[0]),
        classes=[names[output] for output in chosen] if names else [""],
        base=base.mean(axis=0)[chosen].tolist(),
        difference=(scores[:, :-1] - base[:, None])[:, :, chosen],
    )


def explained_classes(explain: str, labels: Labels) -> list[int] | None:
    """Say which outputs are explained: a list of indices, or None for the predicted class.

    Raises
    ------
    RnalmError
        If the class is unknown.
    """
    if labels.task == "regression":
        return [0]
    if explain == "predicted":
        return None
    if explain == "all":
        return list(range(len(labels.classes)))
    return [class_index(explain, labels.classes)]


def assignments(job: Job) -> np.ndarray:
    """Tell which model scores which row: bool ``(models, rows)``."""
    if job.folds is not None:
        return folds.read(job.folds) == folds.TEST
    return np.ones((len(job.model_folders), len(datasets.lengths(job.encoded))), dtype=bool)


def shard_rows(cost: np.ndarray, job: Job) -> np.ndarray:
    """Choose the rows of a shard: a run of consecutive rows whose cost is about its fair share.

    Parameters
    ----------
    cost : numpy.ndarray
        Of scoring each row with its models, in any unit; 0: no model scores it ``(rows,)``.
    job : Job

    Returns
    -------
    numpy.ndarray
        Sorted row numbers; over all shards, every row with a model occurs once.
    """
    rows = np.flatnonzero(cost)
    if job.sample_size is not None and job.sample_size < len(rows):
        rows = np.sort(np.random.default_rng(job.seed).choice(rows, job.sample_size, replace=False))
    cost = cost[rows].astype(np.float64)
    middle = np.cumsum(cost) - cost / 2
    shard = np.minimum((middle / cost.sum() * job.shards).astype(int), job.shards - 1)
    return rows[shard == job.shard]


def columns(mode: str, task: str, predicted_only: bool, several: bool) -> pa.Schema:
    """Name the columns of the scores; the first eight are those of earlier tools' CSV files.

    Parameters
    ----------
    mode, task : str
    predicted_only : bool
        Whether the class that is explained is the predicted one, which ``pred`` names already.
    several : bool
        Whether rows are scored by several models.
    """
    value = pa.string() if task == "classification" else pa.float64()
    fields = [("sequence", pa.string()), ("token", pa.string())]
    fields += [("replacement", pa.string())] if mode == "replace" else []
    fields += [
        ("label", value),
        ("pred", value),
        ("start_offset", pa.int32()),
        ("end_offset", pa.int32()),
        ("loo", pa.float64()),
    ]
    fields += [("loo_sd", pa.float64())] if several else []
    fields += [("class", pa.string())] if task == "classification" and not predicted_only else []
    return pa.schema(fields)


def tabulate(sequence: Encoded, edits: Edits, found: Contrast, names: pa.Array, schema: pa.Schema) -> pa.Table:
    """Tabulate the scores of one sequence.

    Parameters
    ----------
    sequence : Encoded
    edits : Edits
        Each of one token.
    found : Contrast
    names : pyarrow.Array
        Tokens by id.
    schema : pyarrow.Schema
        See :func:`columns`.
    """
    offsets = sequence.offsets if sequence.offsets is not None else np.arange(len(sequence.input_ids))[:, None] + [0, 1]
    place = np.repeat(edits.start, len(found.classes))
    came = np.full(len(edits), -1)
    came[edits.count > 0] = edits.token
    rows = len(place)
    values = {
        "sequence": sequence.id,
        "token": names.take(pa.array(sequence.input_ids[place])),
        "replacement": names.take(pa.array(np.repeat(came, len(found.classes)))) if "replacement" in schema.names else None,
        "label": sequence.label,
        "pred": found.pred,
        "start_offset": offsets[place, 0],
        "end_offset": offsets[place, 1],
        "loo": found.difference.mean(axis=0).ravel(),
    }
    if "loo_sd" in schema.names:
        several = len(found.difference) > 1
        spread = found.difference.std(axis=0, ddof=1) if several else np.full(found.difference.shape[1:], np.nan)
        values["loo_sd"] = spread.ravel()
    if "class" in schema.names:
        values["class"] = pa.array(found.classes * len(edits))
    return pa.table([_column(values[field.name], field.type, rows) for field in schema], schema=schema)


def _column(values: object, kind: pa.DataType, rows: int) -> pa.Array:
    """Make a column of an array, or of one value for all rows."""
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if isinstance(values, np.ndarray):
        return pa.array(values, kind, from_pandas=True)
    return pa.repeat(pa.scalar(values, kind), rows)
