"""Scores of the sites of sequences, left out or by integrated gradients, in shards."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from rnalm.compute import ahead
from rnalm.config import Encode
from rnalm.files import replacing
from rnalm.labels import folds
from rnalm.labels.labels import Labels, check_same
from rnalm.models import folder, registry
from rnalm.models.framed import limit
from rnalm.prediction.predict import check_fit
from rnalm.scoring import editors
from rnalm.scoring.gradients import IntegratedGradients
from rnalm.scoring.loo import LeaveOneOut, averages
from rnalm.scoring.table import Subject, columns, explained_classes, tabulate
from rnalm.tokens import dataset, encode
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenizer import load_tokenizer

log = logging.getLogger(__name__)

#: A row group has about this many rows: small ones would cost more in the footer than in scores.
GROUP_ROWS = 2**17

#: The log tells how far a shard is once in so many seconds.
LOG_SECONDS = 60

#: Key of a shard's metadata: id and base score (of each explained output) of every sequence, also of those without scores. The
#: base is the sequence's own score or, for integrated gradients, its baseline's.
SEQUENCES = b"sequences"


@dataclass(frozen=True)
class Job:
    """One shard of the scores of a source.

    Attributes
    ----------
    model_folders : list of str
    encoded : str
    folds : str or None
        With folds, their models (as many for each, in order) score their test rows; without, every model scores every row.
    mode : {'remove', 'mask', 'replace', 'integrated_gradients'}
    replacements : dict
    replace_modifiers : bool
    explain : str
        ``predicted``, ``all`` or the name of a class.
    scale : {'probability', 'logit'}
    sample_size : int or None
        Score a random sample of so many sequences.
    shard, shards : int
        Which of how many.
    level : {'token', 'base'}
        What is perturbed.
    steps : int
        For integrated gradients.
    scorer : {'auto', 'naive', 'incremental'}
        For perturbations.
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
    level: str = "token"
    steps: int = 50
    scorer: str = "auto"
    precision: str = "float32"
    batch_tokens: int | None = None
    seed: int | None = None


def score_shard(job: Job, output: str | Path, device: str | torch.device = "cpu") -> None:
    """Score one shard and write it as Parquet, one row a site: a perturbation or, for integrated gradients, a token.

    There is one for each class, if all are explained. A row scored by several models has the mean over them, and ``loo_sd``.

    Raises
    ------
    RnalmError
        If models do not fit together or to the file, or a replacement or class is unknown.
    """
    labels = [Labels.load(folder.check(path) / "labels.json") for path in job.model_folders]
    check_same(labels, job.model_folders)
    for path, meaning in zip(job.model_folders, labels, strict=True):
        check_fit(path, job.encoded, meaning)
    explained = explained_classes(job.explain, labels[0])
    method = _method(job, labels, explained, device)

    assigned = assignments(job)
    cost = method.cost(dataset.lengths(job.encoded)) * assigned.sum(axis=0)
    rows = shard_rows(cost, job)
    log.info("shard %d of %d: %d sequences", job.shard + 1, job.shards, len(rows))

    def launch(sequence: Encoded):
        using = np.flatnonzero(assigned[:, sequence.row]).tolist()
        return len(using), method.launch(sequence, using)

    schema = columns(job.mode, labels[0].task, explained is None, several=bool((assigned.sum(axis=0) > 1).any()))
    sequences = (sequence for group in dataset.read(job.encoded, rows, letters=job.level == "base") for sequence in group)
    with _Progress(job.mode, cost[rows].sum()) as progress, _writing(output, schema) as writer:
        for sequence, (used, wait) in ahead(sequences, launch, method.subject.models[0].device):
            sites, found = wait()
            writer.add(sequence.id, found.base, tabulate(sequence, sites, found, schema))
            progress.add(cost[sequence.row], len(sites) * used)


def _method(
    job: Job, labels: list[Labels], explained: list[int] | None, device: str | torch.device
) -> LeaveOneOut | IntegratedGradients:
    """Load the models, and prepare to score with them."""
    tokenizer = load_tokenizer(job.model_folders[0])
    loaded = [registry.load(path, device) for path in job.model_folders]
    subject = Subject(loaded, labels, explained, job.scale)
    if job.mode == "integrated_gradients":
        return IntegratedGradients(subject, tokenizer, job.steps, job.batch_tokens, job.precision)
    stored = encode.metadata(job.encoded)
    editor = editors.choose(
        job.mode,
        job.level,
        tokenizer,
        Encode(**{key: stored[key] for key in Encode.model_fields}),
        job.replacements,
        job.replace_modifiers,
        both_strands=any(map(averages, loaded)),
        most=min((most for model in loaded if (most := limit(model.config)) is not None), default=None),
    )
    return LeaveOneOut(subject, editor, job.scorer, job.batch_tokens, job.precision)


class _Writer:
    """Writes tables into row groups of about ``GROUP_ROWS``, and what is known of each sequence into the metadata."""

    def __init__(self, parquet: pq.ParquetWriter) -> None:
        self.parquet = parquet
        self.rows, self.held = 0, [parquet.schema.empty_table()]
        self.sequences: list[list] = []

    def add(self, name: str, base: list[float], scores: pa.Table) -> None:
        """Take the scores of one more sequence, if it has any."""
        self.sequences.append([name, base])
        if len(scores):
            self.held.append(scores)
            self.rows += len(scores)
        if self.rows >= GROUP_ROWS:
            self._flush()

    def finish(self) -> None:
        """Write what is held, and the metadata."""
        self._flush()
        self.parquet.add_key_value_metadata({SEQUENCES: json.dumps(self.sequences)})

    def _flush(self) -> None:
        self.parquet.write_table(pa.concat_tables(self.held))
        self.rows, self.held = 0, self.held[:1]


@contextmanager
def _writing(output: str | Path, schema: pa.Schema) -> Iterator[_Writer]:
    """Write a whole shard, or none."""
    with replacing(output) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as parquet:
        writer = _Writer(parquet)
        yield writer
        writer.finish()


class _Progress:
    """Tells scores per second and the time left: on a terminal in a bar, in the log once in a while."""

    def __init__(self, name: str, cost: float) -> None:
        layout = "{l_bar}{bar}| {postfix[0]:,.0f} scores/s, {remaining} left"
        self.shown = [0.0]
        self.bar = tqdm(total=cost, desc=name, disable=None, leave=False, bar_format=layout, postfix=self.shown)
        self.cost, self.done, self.scores = cost, 0.0, 0
        self.began = self.logged = time.perf_counter()

    def add(self, cost: float, scores: int) -> None:
        """Count what is done."""
        self.done += cost
        self.scores += scores
        self.shown[0] = self.rate
        self.bar.update(cost)
        now = time.perf_counter()
        if now - self.logged > LOG_SECONDS:
            self.logged = now
            left = (now - self.began) * (self.cost / self.done - 1)
            log.info("%.0f %% done, %.0f scores per second, %.0f s left", 100 * self.done / self.cost, self.rate, left)

    @property
    def rate(self) -> float:
        """Scores per second so far, each model's counted."""
        return self.scores / max(1e-9, time.perf_counter() - self.began)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, *error: object) -> None:
        self.bar.close()
        if kind is None:
            log.info("%d scores, %.0f per second", self.scores, self.rate)


def assignments(job: Job) -> np.ndarray:
    """Tell which model scores which row: bool ``(models, rows)``."""
    if job.folds is not None:
        tested = folds.read(job.folds) == folds.TEST
        return np.repeat(tested, len(job.model_folders) // len(tested), axis=0)
    return np.ones((len(job.model_folders), len(dataset.lengths(job.encoded))), dtype=bool)


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
