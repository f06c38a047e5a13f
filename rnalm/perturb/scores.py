"""Edits ─► scorer ─► leave-one-out scores, in shards."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from rnalm import datasets, folder, folds, models, tokenizers
from rnalm.datasets import Encoded
from rnalm.evaluate import check_same
from rnalm.files import replacing
from rnalm.labels import Labels
from rnalm.perturb.check import class_index
from rnalm.perturb.edits import DELETED, Editor, Edits
from rnalm.perturb.naive import NaiveScorer
from rnalm.predict import check_fit, progress

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
    batch_tokens : int
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
    batch_tokens: int
    seed: int | None


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
    names = np.array([tokenizer.id_to_token(index) for index in range(tokenizer.get_vocab_size())], dtype=object)
    explained = explained_classes(job.explain, labels[0])
    scorers = [NaiveScorer(models.load(path, device), job.batch_tokens) for path in job.model_folders]

    assigned = assignments(job)
    rows = shard_rows(datasets.lengths(job.encoded), assigned, job)
    schema = columns(job.mode, labels[0].task, explained is None, several=bool((assigned.sum(axis=0) > 1).any()))
    bases: list[list] = []
    held: list[pa.Table] = []
    log.info("shard %d of %d: %d sequences", job.shard + 1, job.shards, len(rows))
    with replacing(output) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for group in progress(datasets.read(job.encoded, rows), len(rows), f"LOO {job.mode}"):
            for sequence in group:
                using = np.flatnonzero(assigned[:, sequence.row])
                edits = editor.edits(sequence)
                found = contrast(sequence, edits, [scorers[m] for m in using], [labels[m] for m in using], explained, job.scale)
                held.append(tabulate(sequence, edits, found, names, schema))
                bases.append([sequence.id, found.base])
                if sum(map(len, held)) >= GROUP_ROWS:
                    writer.write_table(pa.concat_tables(held))
                    held = []
        writer.write_table(pa.concat_tables([schema.empty_table(), *held]))
        writer.add_key_value_metadata({SEQUENCES: json.dumps(bases)})


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


def contrast(
    sequence: Encoded,
    edits: Edits,
    scorers: Sequence[NaiveScorer],
    labels: Sequence[Labels],
    explained: Sequence[int] | None,
    scale: str,
) -> Contrast:
    """Score a sequence and its perturbations with every model.

    Parameters
    ----------
    sequence : Encoded
    edits : Edits
    scorers : sequence of NaiveScorer
    labels : sequence of Labels
        What the outputs of each scorer's model mean.
    explained : sequence of int or None
        Outputs to explain; None: the predicted class.
    scale : {'probability', 'logit'}
    """
    outputs = [scorer.score(sequence, edits) for scorer in scorers]
    base, perturbed = (
        np.stack([meaning.to_scores(output[part], scale) for meaning, output in zip(labels, outputs, strict=True)])
        for part in (0, 1)
    )
    # Predicted is what the mean probability says, as in the predictions, also where logits are explained.
    likely = np.mean([meaning.to_scores(output[0]) for meaning, output in zip(labels, outputs, strict=True)], axis=0)
    names = labels[0].classes
    chosen = [int(likely.argmax())] if explained is None else list(explained)
    return Contrast(
        pred=names[likely.argmax()] if names else float(likely[0]),
        classes=[names[output] for output in chosen] if names else [""],
        base=base.mean(axis=0)[chosen].tolist(),
        difference=(perturbed - base[:, None, :])[:, :, chosen],
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


def shard_rows(lengths: np.ndarray, assigned: np.ndarray, job: Job) -> np.ndarray:
    """Choose the rows of a shard: a run of consecutive rows whose cost is about its fair share.

    A sequence costs its number of edits times its length times the models that score it: about length².

    Parameters
    ----------
    lengths : numpy.ndarray
        Tokens of every row ``(rows,)``.
    assigned : numpy.ndarray
        bool ``(models, rows)``
    job : Job

    Returns
    -------
    numpy.ndarray
        Sorted row numbers; over all shards, every row with a model occurs once.
    """
    rows = np.flatnonzero(assigned.any(axis=0))
    if job.sample_size is not None and job.sample_size < len(rows):
        rows = np.sort(np.random.default_rng(job.seed).choice(rows, job.sample_size, replace=False))
    cost = lengths[rows].astype(np.float64) ** 2 * assigned[:, rows].sum(axis=0)
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


def tabulate(sequence: Encoded, edits: Edits, found: Contrast, names: np.ndarray, schema: pa.Schema) -> pa.Table:
    """Tabulate the scores of one sequence.

    Parameters
    ----------
    sequence : Encoded
    edits : Edits
    found : Contrast
    names : numpy.ndarray
        Tokens by id.
    schema : pyarrow.Schema
        See :func:`columns`.
    """
    offsets = sequence.offsets if sequence.offsets is not None else np.arange(len(sequence.input_ids))[:, None] + [0, 1]
    place = np.repeat(edits.position, len(found.classes))
    token = np.repeat(edits.token, len(found.classes))
    values = {
        "sequence": [sequence.id] * len(place),
        "token": names[sequence.input_ids[place]],
        "replacement": names[np.where(token == DELETED, 0, token)],
        "label": [sequence.label] * len(place),
        "pred": [found.pred] * len(place),
        "start_offset": offsets[place, 0],
        "end_offset": offsets[place, 1],
        "loo": found.difference.mean(axis=0).ravel(),
    }
    if "loo_sd" in schema.names:
        several = len(found.difference) > 1
        spread = found.difference.std(axis=0, ddof=1) if several else np.full(found.difference.shape[1:], np.nan)
        values["loo_sd"] = spread.ravel()
    if "class" in schema.names:
        values["class"] = np.tile(np.array(found.classes, dtype=object), len(edits))
    return pa.table([pa.array(values[field.name], field.type, from_pandas=True) for field in schema], schema=schema)
