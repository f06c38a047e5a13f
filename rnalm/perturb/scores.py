"""Edits ─► scorer ─► leave-one-out scores, in shards."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from rnalm import datasets, folder, folds, models, tokenizers
from rnalm.compute import ahead
from rnalm.datasets import Encoded
from rnalm.files import replacing
from rnalm.labels import Labels, check_same
from rnalm.perturb.edits import Editor, Edits
from rnalm.perturb.precision import precision_error
from rnalm.perturb.scorer import Scorer
from rnalm.perturb.scorers import choose
from rnalm.perturb.tabulate import columns, contrast, explained_classes, tabulate
from rnalm.predict import check_fit

log = logging.getLogger(__name__)

#: A row group has about this many rows: small ones would cost more in the footer than in scores.
GROUP_ROWS = 2**17

#: The log tells how far a shard is once in so many seconds.
LOG_SECONDS = 60

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
        With folds, their models (as many for each, in order) score their test rows; without, every model scores every row.
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

    assigned = assignments(job)
    cost = scorers[0].cost(datasets.lengths(job.encoded)) * assigned.sum(axis=0)  # all models are of one architecture
    rows = shard_rows(cost, job)
    log.info("shard %d of %d: %d sequences", job.shard + 1, job.shards, len(rows))
    log.info("%s scorer for %s, in %s", scorers[0].name, loaded[0].config.model_type, job.precision)
    if job.precision != "float32" and len(rows):
        first = int(assigned[:, rows[0]].argmax())
        exact = choose(loaded[first], job.scorer, job.batch_tokens)
        _log_error(exact, scorers[first], next(_sequences(job.encoded, rows)), editor, job.precision)

    def launch(sequence: Encoded) -> tuple[Edits, np.ndarray, list[Callable[[], np.ndarray]]]:
        edits, using = editor.edits(sequence), np.flatnonzero(assigned[:, sequence.row])
        return edits, using, [scorers[number].launch(sequence, edits) for number in using]

    schema = columns(job.mode, labels[0].task, explained is None, several=bool((assigned.sum(axis=0) > 1).any()))
    with _Progress(f"LOO {job.mode}", cost[rows].sum()) as progress, _writing(output, schema) as writer:
        for sequence, (edits, using, pending) in ahead(_sequences(job.encoded, rows), launch, loaded[0].device):
            found = contrast([wait() for wait in pending], [labels[number] for number in using], explained, job.scale)
            writer.add(sequence.id, found.base, tabulate(sequence, edits, found, names, schema))
            progress.add(cost[sequence.row], len(edits) * len(using))


def _sequences(encoded: str, rows: np.ndarray) -> Iterator[Encoded]:
    """Read some rows, one by one."""
    return (sequence for group in datasets.read(encoded, rows) for sequence in group)


def _log_error(exact: Scorer, scorer: Scorer, sequence: Encoded, editor: Editor, precision: str) -> None:
    """Log what a lower precision costs."""
    error, spread = precision_error(exact, scorer, sequence, editor.edits(sequence))
    log.warning(
        "interpret.precision %s: in sequence %r edits change the model's outputs with a standard deviation of %.2g; "
        "%s errs in these changes by up to %.2g",
        *(precision, sequence.id, spread, precision, error),
    )


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
    """Tells perturbations per second and the time left: on a terminal in a bar, in the log once in a while."""

    def __init__(self, name: str, cost: float) -> None:
        layout = "{l_bar}{bar}| {postfix[0]:,.0f} perturbations/s, {remaining} left"
        self.shown = [0.0]
        self.bar = tqdm(total=cost, desc=name, disable=None, leave=False, bar_format=layout, postfix=self.shown)
        self.cost, self.done, self.perturbations = cost, 0.0, 0
        self.began = self.logged = time.perf_counter()

    def add(self, cost: float, perturbations: int) -> None:
        """Count what is done."""
        self.done += cost
        self.perturbations += perturbations
        self.shown[0] = self.rate
        self.bar.update(cost)
        now = time.perf_counter()
        if now - self.logged > LOG_SECONDS:
            self.logged = now
            left = (now - self.began) * (self.cost / self.done - 1)
            log.info("%.0f %% done, %.0f perturbations per second, %.0f s left", 100 * self.done / self.cost, self.rate, left)

    @property
    def rate(self) -> float:
        """Perturbations per second so far."""
        return self.perturbations / max(1e-9, time.perf_counter() - self.began)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, *error: object) -> None:
        self.bar.close()
        if kind is None:
            log.info("%d perturbations scored, %.0f per second", self.perturbations, self.rate)


def assignments(job: Job) -> np.ndarray:
    """Tell which model scores which row: bool ``(models, rows)``."""
    if job.folds is not None:
        tested = folds.read(job.folds) == folds.TEST
        return np.repeat(tested, len(job.model_folders) // len(tested), axis=0)
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
