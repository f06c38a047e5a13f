"""Rows of a fold ─► their features, targets and weights, as far as they fit into memory."""

import logging
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, vstack

from rnalm.labels.labels import Labels
from rnalm.labels.targets import any_known
from rnalm.models.baseline import features
from rnalm.tokens.ngrams import Ngrams, groups
from rnalm.training.training_set import TrainingSet

log = logging.getLogger(__name__)

#: Rows, and numbers in all, from which a baseline learns, at most.
MOST_ROWS, MOST_NUMBERS = 2**16, 2**26


@dataclass(frozen=True)
class Counts:
    """What a baseline learns from, or by what it is chosen.

    Attributes
    ----------
    found : numpy.ndarray
        float32 ``(rows, features)``.
    placed : scipy.sparse.csr_array or None
        Runs by position ``(rows, features)``.
    targets, weights : numpy.ndarray
        As from :meth:`rnalm.training.training_set.TrainingSet.known`.
    """

    found: np.ndarray
    placed: csr_array | None
    targets: np.ndarray
    weights: np.ndarray


def draw(count: int, width: int, seed: np.random.SeedSequence, what: str) -> np.ndarray | None:
    """Choose the rows that are counted: all, or where they are too many a random sample.

    Parameters
    ----------
    count, width : int
        Of rows, and of features.
    seed : numpy.random.SeedSequence
        Decides the sample.
    what : str
        What the rows do, for the log.

    Returns
    -------
    numpy.ndarray or None
        Their numbers, sorted ``(rows,)``; None: all.
    """
    most = max(1, min(MOST_ROWS, MOST_NUMBERS // width))
    if count <= most:
        return None
    log.warning("baseline: of %d rows that %s, a random sample of %d is looked at", count, what, most)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def count(ngrams: Ngrams, rows: TrainingSet, chosen: np.ndarray | None, placed: bool, twins: bool = False) -> Counts:
    """Count runs of letters in rows.

    Parameters
    ----------
    ngrams : Ngrams
        What is counted.
    rows : TrainingSet
        Of one part of a fold.
    chosen : numpy.ndarray or None
        Numbers of rows, from :func:`draw`.
    placed : bool
        Whether runs are counted by position too.
    twins : bool
        Whether to count them in the reverse complements of the rows.
    """
    some = groups(rows.sequences, chosen)
    strands = ([own.twin() for own in each] for each in some) if twins else some
    each = [features(ngrams, own, placed) for own in strands]
    numbers = np.arange(len(rows)) if chosen is None else chosen
    targets = np.stack([rows.targets(row) for row in numbers.tolist()])
    targets = targets if rows.meaning.several else targets[:, 0]
    together = csr_array(vstack([some for _, some in each])) if placed else None
    return Counts(np.concatenate([found for found, _ in each]), together, targets, rows.weights[numbers])


def known(counts: Counts, labels: Labels) -> Counts:
    """Leave out rows of which no target is known.

    Parameters
    ----------
    counts : Counts
        From :func:`count`.
    labels : Labels
        What the targets mean.
    """
    kept = any_known(counts.targets)
    if not labels.several or kept.all():
        return counts
    placed = None if counts.placed is None else counts.placed[kept]
    return Counts(counts.found[kept], placed, counts.targets[kept], counts.weights[kept])
