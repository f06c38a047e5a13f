"""Predictions of rows with labels ─► a verdict: how good they are, how sure that is, and whether scores may be read."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from rnalm.config import contract
from rnalm.files import write_json
from rnalm.labels import certainty, folds, metrics
from rnalm.labels.labels import Labels, together
from rnalm.labels.methods import TEST
from rnalm.prediction import said
from rnalm.prediction.columns import label_columns, score_columns
from rnalm.tokens import encode

log = logging.getLogger(__name__)

#: Pairs of row and output that are resampled, at most; of more, those of a random sample of rows.
PAIRS = 2**22


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Which rows were predicted, and which of them belong together.

    Attributes
    ----------
    encoded : str
        The encoded file with the rows.
    folds : str or None
        From :func:`rnalm.labels.folds.assign_file`: rows that test were predicted; None: all were, by given models.
    by : {'column', 'cluster', 'none'}
        What groups rows.
    clusters : str or None
        From :func:`rnalm.sequences.cluster.cluster_file`, if they do.
    """

    encoded: str
    folds: str | None = None
    by: str = "none"
    clusters: str | None = None

    def groups(self) -> np.ndarray:
        """Give the number of the group of each predicted row, in their order ``(rows,)``."""
        names = folds.groups_of(self.encoded, self.by, self.clusters)
        numbers = folds.group_ids(names, encode.metadata(self.encoded)["sequences"])
        return numbers if self.folds is None else numbers[(folds.read(self.folds) == TEST).any(axis=0)]


def judge(
    predictions: str | Path,
    models: Sequence[str | Path],
    rows: Rows,
    output: str | Path,
    baseline: tuple[str | Path, Sequence[str | Path]] | None = None,
    seed: int = 1,
    stacked: bool = False,
) -> None:
    """Write the verdict on predictions, in numbers and in sentences, and log the sentences.

    Parameters
    ----------
    predictions : path
        ``predictions.parquet``, from :func:`rnalm.prediction.evaluate.merge`.
    models : sequence of path
        Folders of the models that predicted.
    rows : Rows
        What was predicted.
    output : path
        The JSON file, with ``sentences``, ``readable`` (None where no labels are known) and what is in :func:`measure`.
    baseline : tuple, optional
        Predictions of the same rows by baselines, and their folders.
    seed : int
        Of what is drawn.
    stacked : bool
        Whether baselines are among those that predicted. Scores, which are of models alone, may then be read where the mean of
        these is better than chance.
    """
    meaning, groups = _meaning(models), rows.groups()
    answers = [(predictions, meaning), *([(baseline[0], _meaning(baseline[1]))] if baseline else [])]
    verdict: dict[str, Any] = {"held_out": rows.folds is not None, "stacked": stacked, "rows": len(_known(predictions))}
    verdict["readable"] = None
    if verdict["rows"]:
        chosen = _chosen(predictions, meaning, seed)
        truth, scores = zip(*(_read(path, own, chosen) for path, own in answers), strict=True)
        alone = _read(predictions, meaning, chosen, len(models))[1] if stacked else None
        grouped = rows.by != "none" and len(np.unique(groups)) < len(groups)
        verdict |= measure(meaning, truth[0], scores, np.unique(groups[chosen], return_inverse=True)[1], seed, alone)
        verdict |= {"grouped": grouped, "logarithms": meaning.scaler.method == "log"}
        verdict |= {"sampled": len(chosen) if len(chosen) < verdict["rows"] else None}
    verdict["sentences"] = said.sentences(verdict, encode.metadata(rows.encoded))
    for sentence in verdict["sentences"]:
        log.info("verdict: %s", sentence)
    write_json(output, metrics.finite(verdict))


def measure(
    meaning: Labels,
    truth: np.ndarray,
    scores: Sequence[np.ndarray],
    groups: np.ndarray,
    seed: int,
    alone: np.ndarray | None = None,
) -> dict[str, Any]:
    """Measure how good predictions are, and how sure that is.

    Parameters
    ----------
    meaning : Labels
        What was predicted.
    truth : numpy.ndarray
        Labels, of classes 1 or 0, NaN where none is known ``(rows, outputs)``.
    scores : sequence of numpy.ndarray
        What models predict ``(rows, outputs)`` and, perhaps, what baselines do.
    groups : numpy.ndarray
        Number of each row's group, from 0 without gaps ``(rows,)``.
    seed : int
        Of what is drawn.
    alone : numpy.ndarray, optional
        What the models predict whose scores are read ``(rows, outputs)``; None: the first of ``scores``.

    Returns
    -------
    dict
        ``outputs`` and ``groups``, how many there are; ``metric`` with its ``value``, ``interval`` and what it is by
        ``chance``; the same of the metric that is held against chance as ``tested``, with its ``p``; of the ``baseline`` its
        ``value``, and the ``difference`` from it with its ``interval``, or None; and whether scores are ``readable``.
    """
    classes = meaning.task != "regression"
    names = ("roc_auc",) if classes else ("r2", "pearson")
    chance = {"roc_auc": 0.5, "r2": 0.0, "pearson": 0.0}
    judged = [*scores, scores[0] if alone is None else alone]
    made = [{name: certainty.averaged(getattr(certainty, name), truth, own) for name in names} for own in judged]
    drawn = certainty.resample({f"{k} {name}": each[name] for k, each in enumerate(made) for name in names}, groups, seed)
    values = [{name: certainty.value(own, len(truth)) for name, own in each.items()} for each in made]

    def found(k: int, name: str) -> dict[str, Any]:
        return {"metric": name, "value": values[k][name], "interval": _ends(drawn[f"{k} {name}"]), "chance": chance[name]}

    tested: dict[str, Any] = found(len(scores), names[-1]) | {"p": certainty.by_chance(truth, judged[-1], classes, seed)}
    ends = tested["interval"]
    above = ends is not None and ends[0] > tested["chance"] and tested["value"] > tested["chance"]
    beside = None
    if len(scores) > 1:
        of, name = values[1][names[0]], names[0]
        difference = _ends(drawn[f"0 {name}"] - drawn[f"1 {name}"])
        beside = {"value": of, "difference": values[0][name] - of, "interval": difference}
    return {
        **{"outputs": truth.shape[1], "groups": int(groups.max()) + 1, **found(0, names[0]), "tested": tested},
        **{"baseline": beside, "readable": bool(above and tested["p"] <= certainty.LEVEL)},
    }


def _ends(values: np.ndarray) -> list[float] | None:
    ends = certainty.interval(values)
    return None if ends is None else list(ends)


def _meaning(models: Sequence[str | Path]) -> Labels:
    return together([Labels.load(Path(folder) / contract.LABELS) for folder in models])


def _known(path: str | Path) -> np.ndarray:
    """List the rows that have a label ``(rows,)``."""
    return np.flatnonzero(pq.read_table(path, columns=["label"])["label"].is_valid().to_numpy())


def _chosen(path: str | Path, meaning: Labels, seed: int) -> np.ndarray:
    """List the rows with a label or, where these are too many, a random sample of them, in order ``(rows,)``."""
    known = _known(path)
    most = max(1, PAIRS // len(meaning.measured))
    if len(known) <= most:
        return known
    log.info("verdict: of %d rows with a label, %d are drawn at random, and held against the predictions", len(known), most)
    return np.sort(np.random.default_rng(seed).choice(known, most, replace=False))


def _read(path: str | Path, meaning: Labels, rows: np.ndarray, models: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Read labels and predictions of some rows, or means over the first models: float64 ``(rows, outputs)`` each."""
    file = pq.ParquetFile(path)  # once: of many classes its footer is long

    def column(name: str) -> np.ndarray:
        return file.read([name]).to_pandas()[name].to_numpy()[rows]

    names = [score_columns(meaning, model) for model in range(models)] or [score_columns(meaning)]
    each = ([column(own[k]) for own in names] for k in meaning.measured)
    scores = np.stack([np.nanmean(np.array(own, dtype=float), axis=0) for own in each], axis=1)
    if meaning.several:
        truth = np.stack([column(label_columns(meaning)[k]) for k in meaning.measured], axis=1).astype(float)
    elif meaning.classes:
        truth = (meaning.to_targets(column("label"))[:, None] == meaning.measured).astype(float)
    else:
        truth = column("label").astype(float)[:, None]
    if meaning.scaler.method == "log":
        truth, scores = np.log(truth), np.log(np.maximum(scores, np.finfo(float).tiny))
    return truth, scores
