"""Scores of the sites of sequences, in shards."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from rnalm.compute import ahead
from rnalm.config import contract
from rnalm.files import replacing
from rnalm.labels import folds
from rnalm.labels.labels import Labels, check_same
from rnalm.models import folder, registry
from rnalm.prediction.predict import check_fit
from rnalm.scoring.explain import Contrast, Subject, explained_classes
from rnalm.scoring.job import Job
from rnalm.scoring.modes import MODES, Method
from rnalm.scoring.sites import Sites
from rnalm.scoring.table import columns, position_of, tabulate
from rnalm.tokens import dataset
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.fill import tell
from rnalm.tokens.tokenizer import load_tokenizer

log = logging.getLogger(__name__)

#: A row group has about this many rows: small ones would cost more in the footer than in scores.
GROUP_ROWS = 2**17

#: The log tells how far a shard is once in so many seconds.
LOG_SECONDS = 60

#: Key of a shard's metadata: id, base score (of each explained output) and, if there is one, explained position, of every
#: sequence, also of those without scores. The base is the sequence's own score or, for integrated gradients, its baseline's.
SEQUENCES = b"sequences"


def score_shard(job: Job, output: str | Path, device: str | torch.device = "cpu") -> None:
    """Score one shard and write it as Parquet, one row a site: a perturbation or, for integrated gradients, a token.

    There is one for each class, if all are explained, and for each explained position of a sequence, where tokens have labels.
    A row scored by several models has the mean over them, and ``loo_sd``.

    Parameters
    ----------
    job : Job
        What is scored, by which models and how.
    output : path
        The file to write.
    device : str or torch.device
        Where the models run.

    Raises
    ------
    RnalmError
        If models do not fit together or to the file, a replacement or class is unknown, or a sequence does not fit into memory.
    """
    method = _method(job, device)
    assigned, lengths = assignments(job), dataset.lengths(job.encoded)
    cost = method.cost(lengths) * assigned.sum(axis=0)
    rows = shard_rows(cost, job)
    log.info("shard %d of %d: %d sequences", job.shard + 1, job.shards, len(rows))
    taken = getattr(method.subject.models[0].config, "length", None)
    tell(job.encoded, int((lengths[rows] < (taken or 0)).sum()), len(rows), taken)

    def launch(sequence: Encoded) -> tuple[int, Callable[[], Iterable[tuple[Sites, Contrast]]]]:
        using = np.flatnonzero(assigned[:, sequence.row]).tolist()
        return len(using), method.launch(sequence, using)

    meaning, explains_predicted = method.subject.labels[0], method.subject.explained is None
    several, tokens = bool((assigned.sum(axis=0) > 1).any()), meaning.per == "token"
    schema = columns(job.mode, meaning, explains_predicted, several, tokens, job.bases > 1)
    sequences = (sequence for group in dataset.read(job.encoded, rows, letters=job.level == "base") for sequence in group)
    with _Progress(job.mode, cost[rows].sum()) as progress, _writing(output, schema) as writer:
        for sequence, (used, wait) in ahead(sequences, launch, method.subject.models[0].device):
            count = 0
            for sites, contrast in wait():
                writer.add(sequence, contrast, tabulate(sequence, meaning, sites, contrast, schema))
                count += len(sites) * used
            progress.add(cost[sequence.row], count)
    for told in method.omitted():
        log.warning("%s", told)


def _method(job: Job, device: str | torch.device) -> Method:
    """Check and load the models, and prepare to score with them."""
    labels = [Labels.load(folder.check(path) / contract.LABELS) for path in job.model_folders]
    check_same(labels, job.model_folders)
    for path, meaning in zip(job.model_folders, labels, strict=True):
        check_fit(path, job.encoded, meaning)
    explained = explained_classes(job.explain or job.site_of(labels[0]), labels[0])
    tokenizer = load_tokenizer(job.model_folders[0])
    models = [registry.load(path, device, job.trust) for path in job.model_folders]
    return MODES[job.mode](job, Subject(models, labels, explained, job.scale), tokenizer)


class _Writer:
    """Writes tables into row groups of about ``GROUP_ROWS``, and what is known of each sequence into the metadata."""

    def __init__(self, parquet: pq.ParquetWriter) -> None:
        self.parquet = parquet
        self.rows, self.held = 0, [parquet.schema.empty_table()]
        self.sequences: list[list] = []

    def add(self, sequence: Encoded, contrast: Contrast, scores: pa.Table) -> None:
        """Take the scores, or more of them, of a sequence or position; the base scores are kept once, and in any case."""
        at = [] if contrast.token is None else [position_of(sequence, contrast.token)]
        if not self.sequences or [self.sequences[-1][0], *self.sequences[-1][2:]] != [sequence.id, *at]:
            self.sequences.append([sequence.id, contrast.base, *at])
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
        shown: Any = self.shown  # which tqdm takes, though it does not say so
        self.bar = tqdm(total=cost, desc=name, disable=None, leave=False, bar_format=layout, postfix=shown)
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
    """Tell which model scores which row: bool ``(models, rows)``.

    Parameters
    ----------
    job : Job
        Its models, folds and encoded source.
    """
    if job.folds is not None:
        tested = folds.read(job.folds) == folds.TEST
        return np.repeat(tested, len(job.model_folders) // len(tested), axis=0)
    return np.ones((len(job.model_folders), len(dataset.lengths(job.encoded))), dtype=bool)


def shard_rows(cost: np.ndarray, job: Job) -> np.ndarray:
    """Choose the rows of a shard: a run of consecutive rows whose cost is about its fair share.

    Into how many shards the work is divided, :func:`rnalm.pipeline.shards.count` decides before anything has run.

    Parameters
    ----------
    cost : numpy.ndarray
        Of scoring each row with its models, in any unit; 0: no model scores it ``(rows,)``.
    job : Job
        Says which shard of how many, and how many sequences are sampled.

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
