"""How good predictions for tokens are: over all of them, over those where a motif begins, and sequence by sequence."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from rnalm.config import contract
from rnalm.config.results import Sites
from rnalm.errors import RnalmError, nearest
from rnalm.files import read_json, write_json
from rnalm.labels import metrics
from rnalm.labels.labels import Labels
from rnalm.labels.tally import Batch, LabelTally, Tally, kind
from rnalm.labels.targets import any_known
from rnalm.prediction import sites as listing
from rnalm.prediction import tracks
from rnalm.prediction.tracks import Track
from rnalm.tokens.dataset import tokens_labels

log = logging.getLogger(__name__)


def evaluate_fold(part: str | Path, model_folder: str | Path) -> None:
    """Write what a fold's model achieves on the tokens of its test rows: ``test_results.json``, ``all_results.json``.

    Parameters
    ----------
    part : path
        The model's predictions, from :func:`rnalm.prediction.predict.predict_file`.
    model_folder : path
        Of the model.
    """
    folder = Path(model_folder)
    labels = Labels.load(folder / contract.LABELS)

    def batches() -> Iterator[Batch]:
        for batch in pq.ParquetFile(part).iter_batches(batch_size=64, columns=["label", "outputs"]):
            given = tokens_labels(batch.column("label"))
            for label, outputs in zip(given, batch.column("outputs").to_numpy(zero_copy_only=False), strict=True):
                if label is not None:
                    yield _known(labels, label, labels.to_scores(outputs.reshape(len(label), -1)))

    scores = compare(labels, batches)
    results = {f"test_{name}": value for name, value in scores.items()}
    results["test_rows"] = pq.read_metadata(part).num_rows
    results = metrics.finite(results)
    write_json(folder / contract.TEST_RESULTS, results)
    earlier = read_json(folder / contract.TRAIN_RESULTS) | read_json(folder / contract.EVAL_RESULTS)
    write_json(folder / contract.ALL_RESULTS, earlier | results)


def _known(labels: Labels, label: np.ndarray, scores: np.ndarray) -> Batch:
    """Keep the tokens of which a label is known; numbers stay in their own units."""
    targets = label.astype(np.float64) if labels.task == "regression" else labels.to_targets(label)
    known = any_known(targets)
    return targets[known], scores[known]


def compare(labels: Labels, batches: Callable[[], Iterator[Batch]]) -> dict[str, Any]:
    """Compute metrics over all tokens.

    Parameters
    ----------
    labels : Labels
        What the outputs of the models mean.
    batches : callable
        Gives the known tokens, batch by batch; for classes it is called twice.

    Returns
    -------
    dict
        What :func:`rnalm.labels.metrics.score` has in the units of labels, ``positions`` and, for classes, ``per_class``.
    """
    if labels.task == "regression":
        found = list(batches())
        truth, values = (np.concatenate([batch[k].ravel() for batch in found] or [np.empty(0)]) for k in (0, 1))
        scores = metrics.regression(truth, metrics.check_finite(values)) if len(truth) else {}
        return scores | {"positions": len(truth)}
    counting = kind(labels)
    tally = counting(counting.thresholds(batches(), labels), labels)
    for batch in batches():
        tally.add(*batch)
    return _of_tally(tally)


def _of_tally(tally: Tally | LabelTally) -> dict[str, Any]:
    """Give metrics, if there are rows."""
    scores: dict[str, Any] = {**tally.scores(), "per_class": tally.per_class()} if tally.rows else {}
    return scores | {"positions": tally.rows}


@dataclass
class Subset:
    """What is counted of a split, or of all.

    Attributes
    ----------
    everywhere, at_motif : Tally or LabelTally
        Of all tokens, and of those where the motif begins.
    sequences, with_sites, right : int
        Sequences with labels, those with a true site, and those of which the most probable token is one.
    sites : int
        True sites.
    """

    everywhere: Tally | LabelTally
    at_motif: Tally | LabelTally
    sequences: int = 0
    with_sites: int = 0
    right: int = 0
    sites: int = 0

    def add(self, targets: np.ndarray, given: np.ndarray, begins: np.ndarray) -> None:
        """Count the tokens of a sequence.

        Parameters
        ----------
        targets : numpy.ndarray
            Class indices ``(length,)``, or for multilabel ``(length, classes)``, of which some may not be known.
        given : numpy.ndarray
            Probabilities ``(length, classes)``.
        begins : numpy.ndarray
            Whether the motif begins at a token ``(length,)``.
        """
        known = any_known(targets)
        self.everywhere.add(targets[known], given[known])
        self.at_motif.add(targets[known & begins], given[known & begins])
        self.sequences += 1

    def add_sites(self, truth: np.ndarray, own: np.ndarray) -> None:
        """Count the sites of a sequence.

        Parameters
        ----------
        truth : numpy.ndarray
            From :meth:`rnalm.labels.labels.Labels.truth` ``(length,)``.
        own : numpy.ndarray
            Probabilities of tokens to be a site ``(length,)``.
        """
        if not (sites := int((truth == 1).sum())):
            return
        self.sites += sites
        self.with_sites += 1
        self.right += bool(truth[np.where(np.isnan(truth), -1, own).argmax()] == 1)

    def scores(self, motif: str | None) -> dict[str, Any]:
        """Give metrics by name.

        Parameters
        ----------
        motif : str or None
            That of which tokens are looked at by themselves, too.
        """
        scores = _of_tally(self.everywhere) | {"rows": self.sequences}
        if motif is not None:
            at_motif = _of_tally(self.at_motif)
            scores["motif"] = {key: value for key, value in at_motif.items() if key in (*metrics.AREAS, "positions")}
        if self.with_sites:
            scores |= {"sites": self.sites, "best_right": self.right / self.with_sites}
        return scores


def site_class(labels: Labels, options: Sites | None) -> str | None:
    """Name the class of sites: that which is asked for, the second of two, or the only one; None where there is none.

    Parameters
    ----------
    labels : Labels
        What the outputs of the models mean.
    options : Sites or None
        Which sites are listed.

    Raises
    ------
    RnalmError
        If the class that is asked for is none, or none is asked for though there are several.
    """
    classes, measured = list(labels.classes), labels.measured
    only = classes[measured[0]] if classes and len(measured) == 1 else None
    if options is None or not classes:
        return only
    if options.of is not None and options.of not in classes:
        raise RnalmError(f"predict.sites.of: {options.of!r} is no class of the models; {nearest(options.of, classes)}")
    if options.of is None and only is None:
        raise RnalmError(f"predict.sites.of is missing: which of the classes {', '.join(classes)} are sites?")
    return options.of or only


def evaluate(path: str | Path, labels: Labels, options: Sites | None, folder: str | Path) -> None:
    """Write ``results.json`` and, where sites are to be listed, ``sites.csv``.

    Parameters
    ----------
    path : path
        Tracks, from :func:`rnalm.prediction.tracks.merge`.
    labels : Labels
        What the outputs of the models mean.
    options : Sites or None
        Which sites are listed; None: none.
    folder : path
        Where the files go.

    Raises
    ------
    RnalmError
        If it is not clear what a site is (see :func:`site_class`), or a prediction is not finite.
    """
    folder = Path(folder)
    name = site_class(labels, options)
    if labels.task == "regression":

        def batches() -> Iterator[Batch]:
            known = (track for track in tracks.read(path, labels) if track.label is not None)
            return (_known(labels, track.label, track.values) for track in known if track.label is not None)

        results = compare(labels, batches) | {"rows": sum(track.label is not None for track in tracks.read(path, labels))}
    else:
        results = _classified(path, labels, options, name, folder)
    write_json(folder / contract.RESULTS, metrics.finite(results))


def probabilities(track: Track, labels: Labels) -> np.ndarray:
    """Give the probabilities of all classes ``(length, classes)``, also of two, of which a track has one.

    Parameters
    ----------
    track : Track
        Of classes.
    labels : Labels
        What the outputs of the models mean.
    """
    own = track.values
    return own if own.shape[1] == labels.n_outputs else np.concatenate([1 - own, own], axis=1)


def _classified(path: str | Path, labels: Labels, options: Sites | None, name: str | None, folder: Path) -> dict[str, Any]:
    """Go through all tracks twice: to know the scores of each class, then to count all others between them."""
    motif, counting = options and options.motif, kind(labels)
    known_sites, sequences = Counter(), Counter()

    def first_pass() -> Iterator[Batch]:
        for track in tracks.read(path, labels):
            sequences[track.split] += 1
            if track.label is not None:
                known_sites[track.split] += int((labels.truth(track.label, name) == 1).sum()) if name else 0
                yield _known(labels, track.label, probabilities(track, labels))

    scores = counting.thresholds(first_pass(), labels)
    # Where no site is known, one a sequence is looked for.
    rounds = {split: known_sites[split] or number for split, number in sequences.items()}
    wanted = {split: each * options.top if options else 0 for split, each in rounds.items()}
    site = labels.classes.index(name) if name else 0
    best = listing.Best(wanted, motif)
    pooled, *each = (Subset(counting(scores, labels), counting(scores, labels)) for _ in range(len(sequences) + 1))
    subsets = dict(zip(sequences, each, strict=True))
    for track in tracks.read(path, labels):
        given = probabilities(track, labels)
        truth = labels.truth(track.label, name) if name and track.label is not None else None
        if options and name:
            best.add(track, given[:, site], truth)
        if track.label is None:
            continue
        for subset in (subsets[track.split], pooled):
            subset.add(labels.to_targets(track.label), given, listing.begins(track.letters, motif))
            if truth is not None:
                subset.add_sites(truth, given[:, site])
    results = pooled.scores(motif)
    named = [split for split in sequences if split is not None]
    if named:
        results["splits"] = {split: subsets[split].scores(motif) for split in sorted(named)}
    if options and name is not None:
        if motif is not None and not any(best.sites.values()):
            log.warning("%s: %s begins nowhere in these sequences, so that no site is listed", folder / contract.SITES, motif)
        listing.write(best, rounds, folder / contract.SITES)
        _recall(results, best, known_sites)
    return results


def _recall(results: dict[str, Any], best: listing.Best, known_sites: Counter) -> None:
    """Add which share of the true sites are among those that are listed."""
    found = {split: sum(site.target == 1 for site in sites) for split, sites in best.ranked()}
    if total := sum(known_sites.values()):
        results["recall_listed"] = sum(found.values()) / total
    for split, of_split in results.get("splits", {}).items():
        if known_sites[split]:
            of_split["recall_listed"] = found[split] / known_sites[split]


def count(path: str | Path, labels: Labels, motif: str | None) -> dict[str, Tally | LabelTally]:
    """Count predictions, for curves over all tokens and over those where a motif begins.

    Parameters
    ----------
    path : path
        Tracks, from :func:`rnalm.prediction.tracks.merge`.
    labels : Labels
        What the outputs of the models mean.
    motif : str or None
        The motif; None: there is none.

    Returns
    -------
    dict of str to Tally or LabelTally
        ``all`` and, with a motif, its letters.
    """
    counting = kind(labels)

    def known() -> Iterator[tuple[Track, np.ndarray, np.ndarray]]:
        for track in tracks.read(path, labels):
            if track.label is not None:
                yield track, labels.to_targets(track.label), probabilities(track, labels)

    def first_pass() -> Iterator[Batch]:
        for _, targets, given in known():
            yield targets[any_known(targets)], given[any_known(targets)]

    scores = counting.thresholds(first_pass(), labels)
    counted = {name: counting(scores, labels) for name in ["all", motif] if name is not None}
    for track, targets, given in known():
        for name, tally in counted.items():
            chosen = any_known(targets) & listing.begins(track.letters, None if name == "all" else name)
            tally.add(targets[chosen], given[chosen])
    return counted
