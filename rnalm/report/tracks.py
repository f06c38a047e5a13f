"""How well models predict tokens: curves over all of them, and predictions along sequences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn import metrics as sk

from rnalm.config.contract import picture_name
from rnalm.config.results import Sites
from rnalm.files import read_json
from rnalm.labels.labels import Labels
from rnalm.labels.tally import LabelTally, Tally
from rnalm.prediction import positions, tracks
from rnalm.prediction.tracks import Track
from rnalm.report.blocks import Block, Section, by_class, number, picture
from rnalm.report.figures import GREY, LOWER, canvas, plain
from rnalm.report.job import Job, Query
from rnalm.report.predictions import tables_beside

#: Sequences of each kind that are drawn.
EXAMPLES = 2
#: Points of a curve, at most: a screen has no more.
POINTS = 1000
#: Tokens of which labels and predictions are drawn against each other, at most.
DOTS = 20_000
#: Classes of which lines are drawn, at most.
LANES = 8
#: Marks the most probable token; told apart from the other colours by colour-blind readers too.
BEST = "#d95f02"
#: What stands in the table of splits, by its name in ``results.json``.
SHOWN = {
    "rows": "sequences",
    "positions": "tokens",
    "sites": "sites",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "best_right": "best site right",
    "recall_listed": "of sites, listed",
}


def predicted_tokens(job: Job, query: Query) -> Section:
    """Show what was predicted for tokens and, where there are labels, how well.

    Parameters
    ----------
    job : Job
        What the report is made of.
    query : Query
        Whose predictions are shown.
    """
    labels, results = job.meaning, read_json(query.results)
    options = job.config["predict"]["sites"]
    sites = Sites(**options) if options else None
    name, known = positions.site_class(labels, sites), bool(results.get("positions"))
    blocks = [Block(links=tables_beside(job, query)), *([_table(results, sites)] if known else [])]
    if known and len(labels.measured) > 1:
        blocks.append(by_class(results["per_class"]))
    if labels.classes:
        counted = positions.count(query.predictions, labels, sites.motif if sites else None) if known else {}
        drawn = curves(counted, labels)
        caption = "Below, blue: sites that are known. Above, orange: the most probable token."
        if name is None:
            caption = "Lines: probabilities of classes. Below, in their colours: what is known."
    else:
        drawn = dots(query, labels, job.label)
        caption = "Grey: what is known. Blue: what is predicted."
    blocks.append(picture(job.figures, picture_name("predictions", query.name), drawn, "Every token with a label counts once."))
    drawn = along(examples(query, labels, name), name, labels)
    blocks.append(picture(job.figures, picture_name("tracks", query.name), drawn, caption, heading="Along sequences"))
    return Section(query.title("Predictions"), blocks)


def _table(results: dict[str, Any], sites: Sites | None) -> Block:
    """Tabulate all splits, and all together."""
    splits = results.get("splits", {})
    of = {"all": results} | (splits if len(splits) > 1 else {})
    names = [name for name in SHOWN if name in results]
    columns = ["", *(SHOWN[name] for name in names)]
    rows = [[split, *(number(values.get(name)) for name in names)] for split, values in of.items()]
    text = f"{'Areas under curves' if 'roc_auc' in results else 'Correlations'} are those over all tokens with a label."
    if sites and sites.motif and "motif" in results:
        areas = [name for name in ("roc_auc", "pr_auc") if name in results["motif"]]
        columns += [f"{sites.motif}: {SHOWN[name]}" for name in areas]
        for row, values in zip(rows, of.values(), strict=True):
            row += [number(values["motif"].get(name)) for name in areas]
    if "best_right" in results:
        text += " The best site is right where a sequence's most probable token is one of its sites."
    if "recall_listed" in results and sites:
        text += f" Listed are, of each split, the {sites.top} × k most probable tokens, k being its sites."
    return Block(text=text, table={"columns": columns, "rows": rows})


def curves(counted: Mapping[str, Tally | LabelTally], labels: Labels) -> Figure:
    """Draw ROC and precision-recall curves, and how often tokens of a probability are what is predicted.

    Parameters
    ----------
    counted : mapping of str to Tally or LabelTally
        From :func:`rnalm.prediction.positions.count`; empty where no label is known.
    labels : Labels
        What the outputs of the models mean; of many classes, the first are drawn.
    """
    figure, axes = canvas(10, 3.4, columns=3)
    roc, pr, calibration = axes[0]
    roc.set(title="ROC (area)", xlabel="false positive rate", ylabel="true positive rate")
    pr.set(title="Precision-recall (average precision)", xlabel="recall", ylabel="precision")
    calibration.set(title="Calibration", xlabel="probability", ylabel="share that is so")
    calibration.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    for style, (name, tally) in zip(("-", ":"), counted.items(), strict=False):
        for index, counts in list(zip(labels.measured, tally.curves, strict=True))[:LANES]:
            positive, score, weight = counts.table()
            if not 0 < positive.sum() < len(positive):
                continue
            of = [plain(labels.classes[index])] if len(labels.measured) > 1 else []
            label = " ".join([*of, "all tokens" if name == "all" else f"{name} only"])
            options: Any = {"sample_weight": weight}
            across, up, _ = sk.roc_curve(positive, score, **options)
            area = sk.roc_auc_score(positive, score, **options)
            roc.plot(*_thinned(across, up), style, label=f"{label}: {area:.4f}")
            precision, recall, _ = sk.precision_recall_curve(positive, score, **options)
            area = sk.average_precision_score(positive, score, **options)
            # What scikit-learn appends at recall 0 is no precision of any threshold.
            pr.plot(*_thinned(recall[-2::-1], precision[-2::-1]), style, label=f"{label}: {area:.3f}", drawstyle="steps-pre")
            if name == "all":
                calibration.plot(*_calibrated(positive, np.clip(score, 0, 1), weight), "o-", markersize=3)
    for axis, corner in ((roc, "lower right"), (pr, "lower left")):
        axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
        if axis.lines:
            axis.legend(loc=corner, fontsize="small")
        else:
            axis.text(0.5, 0.5, "no labels of several classes", ha="center", color=GREY)
    return figure


def _thinned(across: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep as many points of a curve as can be seen."""
    kept = np.unique(np.linspace(0, len(across) - 1, POINTS).round().astype(int))
    return across[kept], up[kept]


def _calibrated(positive: np.ndarray, score: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average probabilities and shares within tenths."""
    tenth = np.minimum((score * 10).astype(int), 9)
    rows = np.bincount(tenth, weight, 10)
    own = rows > 0
    mean, share = (np.bincount(tenth, weight * value, 10)[own] / rows[own] for value in (score, positive))
    return mean, share


def dots(query: Query, labels: Labels, of: str = "label") -> Figure:
    """Draw predicted against true numbers of tokens, of evenly spaced ones if they are many.

    Parameters
    ----------
    query : Query
        What was predicted.
    labels : Labels
        What the outputs of the models mean.
    of : str
        What is predicted, with its unit.
    """
    figure, axes = canvas(4.2, 3.8)
    known = (track for track in tracks.read(query.predictions, labels) if track.label is not None)
    pairs = [np.stack([track.label, track.values[:, 0]]) for track in known if track.label is not None]
    truth, values = np.concatenate(pairs, axis=1) if pairs else np.empty((2, 0))
    truth, values = truth[np.isfinite(truth)], values[np.isfinite(truth)]
    step = -(-len(truth) // DOTS) or 1
    axes[0, 0].scatter(truth[::step], values[::step], s=4, alpha=0.3, color=LOWER, linewidths=0, rasterized=True)
    axes[0, 0].set(xlabel=plain(f"true {of}"), ylabel=plain(f"predicted {of}"), title=f"n = {len(truth):,}")
    return figure


@dataclass(frozen=True)
class Example:
    """A sequence that is drawn.

    Attributes
    ----------
    what : str
        What it is an example of.
    track : Track
        What was predicted.
    values : numpy.ndarray
        Predicted numbers, or the probability of the class of sites ``(length,)``; where there is no such class, of the first.
    truth : numpy.ndarray or None
        Known numbers, or whether a token is a site; None where none is known.
    """

    what: str
    track: Track
    values: np.ndarray
    truth: np.ndarray | None


def examples(query: Query, labels: Labels, name: str | None) -> list[Example]:
    """Choose sequences: of sites, where the best is right, and where the model is surest and wrong; else the first ones.

    Parameters
    ----------
    query : Query
        What was predicted.
    labels : Labels
        What the outputs of the models mean.
    name : str or None
        The class of sites.
    """
    right: list[Example] = []
    wrong: list[Example] = []
    others: list[Example] = []
    for track in tracks.read(query.predictions, labels):
        values = positions.probabilities(track, labels)[:, labels.classes.index(name)] if name else track.values[:, 0]
        truth = labels.truth(track.label, name) if name and track.label is not None else track.label
        if truth is None or name is None or not (truth == 1).any():
            others += [Example("", track, values, truth)] if len(others) < EXAMPLES else []
        elif truth[values.argmax()] == 1:
            right += [Example("right: ", track, values, truth)] if len(right) < EXAMPLES else []
        else:
            wrong = sorted([*wrong, Example("wrong: ", track, values, truth)], key=lambda one: -one.values.max())[:EXAMPLES]
    return right + wrong or others


def along(shown: Sequence[Example], name: str | None, labels: Labels) -> Figure:
    """Draw values along sequences, with what is known of them.

    Parameters
    ----------
    shown : sequence of Example
        From :func:`examples`.
    name : str or None
        The class of sites.
    labels : Labels
        What the outputs of the models mean.
    """
    rows = max(1, len(shown))
    figure, axes = canvas(9, 1.5 * rows, rows=rows)
    for axis, example in zip(axes[:, 0], shown, strict=False):
        axis.set_title(plain(f"{example.what}{example.track.id}"), loc="left", fontsize="small")
        axis.set_xlim(-0.5, len(example.values) - 0.5)
        if not labels.classes:
            _numbers(axis, example)
        elif name is not None:
            _sites(axis, example)
        else:
            _classes(axis, example.track, labels)
    if labels.classes and name is None and axes[0, 0].lines:
        axes[0, 0].legend(loc="upper right", ncols=LANES, fontsize="small", bbox_to_anchor=(1, 1.25))
    axes[-1, 0].set_xlabel("position (0-based)")
    return figure


def _numbers(axis: Axes, example: Example) -> None:
    if example.truth is not None:
        axis.plot(example.truth, color=GREY, linewidth=1)
    axis.plot(example.values, color=LOWER, linewidth=1)


def _sites(axis: Axes, example: Example) -> None:
    axis.fill_between(np.arange(len(example.values)), example.values, step="mid", color=LOWER, linewidth=0.8)
    axis.set(ylim=(-0.14, 1.18), ylabel="probability")
    axis.plot([example.values.argmax()], [1.1], "v", color=BEST, markersize=5)
    if example.truth is not None:
        _lane(axis, -0.07, example.truth, LOWER)


def _classes(axis: Axes, track: Track, labels: Labels) -> None:
    """Draw a line and a lane for each class."""
    drawn = labels.measured[:LANES]
    axis.set(ylim=(-0.04 - 0.1 * len(drawn), 1.08), ylabel="probability")
    for place, index in enumerate(drawn):
        name = labels.classes[index]
        [line] = axis.plot(positions.probabilities(track, labels)[:, index], linewidth=1, label=plain(name))
        if track.label is not None:
            _lane(axis, -0.07 - 0.1 * place, labels.truth(track.label, name), line.get_color())


def _lane(axis: Axes, height: float, truth: np.ndarray, color: Any) -> None:
    """Mark known sites below the line of zero."""
    sites = np.flatnonzero(truth == 1)
    axis.axhspan(height - 0.05, height + 0.05, color="#eeeeee", linewidth=0)
    axis.plot(sites, np.full(len(sites), height), "|", color=color, markersize=8, markeredgewidth=2)
