"""Pictures of several experiments beside each other, each in its own colour."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnalm.prediction.measure import GRID
from rnalm.report.curves import PANELS
from rnalm.report.figures import GREY, canvas, plain


def colours(count: int) -> list:
    """Give a colour to each experiment.

    Parameters
    ----------
    count : int
        How many there are.
    """
    palette = mpl.color_sequences["petroff10"]
    return [palette[k % len(palette)] for k in range(count)]


def _legend(figure: Figure, names: Sequence[str]) -> None:
    handles = [Line2D([], [], color=colour, linewidth=2) for colour in colours(len(names))]
    figure.legend(handles, [plain(name) for name in names], fontsize="small", loc="outside lower left", ncols=3)


def intervals(compared: Mapping[str, Mapping[str, list]], names: Sequence[str]) -> Figure:
    """Draw differences from the first experiment and their intervals, a panel a metric.

    Parameters
    ----------
    compared : mapping
        From :func:`rnalm.prediction.paired.differences`.
    names : sequence of str
        Of the experiments, the first of which the others are compared with.
    """
    figure, axes = canvas(2.1 * max(2, len(compared)), 1.1 + 0.35 * len(names), columns=len(compared), sharey=True)
    places = np.arange(len(names) - 1)[::-1]
    for axis, (metric, found) in zip(axes[0], compared.items(), strict=True):
        axis.axvline(0, color=GREY, linewidth=0.8)
        values = np.array([found[key] for key in ("difference", "low", "high")], dtype=float)
        for place, colour, (middle, low, high) in zip(places, colours(len(names))[1:], values.T, strict=True):
            axis.plot([low, high], [place, place], color=colour, linewidth=2)
            axis.plot([middle], [place], "o", color=colour, markersize=5)
        axis.set(title=metric.replace("_", " "), ylim=(-0.6, len(names) - 1.4))
        axis.set_yticks(places, [plain(name) for name in names[1:]])
        axis.locator_params(axis="x", nbins=4)
    figure.supxlabel(f"minus {plain(names[0])}", fontsize="small")
    return figure


def learned(histories: Mapping[str, Mapping[str, list[dict]]], metrics: Sequence[str], by: str = "epoch") -> Figure:
    """Draw metrics of validation by epoch: thin lines are models, thick ones the mean of those that were still trained.

    Parameters
    ----------
    histories : mapping
        ``log_history`` of each model of each experiment, by their names.
    metrics : sequence of str
        What is drawn, a panel each, without ``eval_``.
    by : str
        In what the training is measured.
    """
    figure, axes = canvas(4.2 * max(2, len(metrics)), 3.3, columns=len(metrics))
    for axis, metric in zip(axes[0], metrics, strict=True):
        for models, colour in zip(histories.values(), colours(len(histories)), strict=True):
            lines = [
                pd.Series({entry[by]: entry[f"eval_{metric}"] for entry in history if f"eval_{metric}" in entry}, dtype=float)
                for history in models.values()
            ]
            for line in lines if len(lines) > 1 else ():
                axis.plot(line.index, line, color=colour, linewidth=0.6, alpha=0.5)
            mean = pd.concat(lines, axis=1).mean(axis=1).sort_index()
            axis.plot(mean.index, mean, color=colour, linewidth=2, marker="o" if len(mean) == 1 else None)
        axis.set(xlabel=by, title=f"validation {metric.replace('_', ' ')}")
        axis.locator_params(axis="x", integer=True, nbins=6)
    _legend(figure, list(histories))
    return figure


def told_apart(lines: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw ROC and precision-recall curves, one an experiment.

    Parameters
    ----------
    lines : mapping
        For each experiment, the height of the curves ``roc`` and ``pr`` over :data:`rnalm.prediction.measure.GRID`
        ``(points,)``.
    """
    figure, axes = canvas(8.4, 4, columns=2)
    for kind, axis in zip(("roc", "pr"), axes[0], strict=True):
        _, across, up = PANELS[kind]
        start = [0.0] if kind == "roc" else []
        for heights, colour in zip(lines.values(), colours(len(lines)), strict=True):
            axis.plot([*start, *GRID], [*start, *heights[kind]], color=colour, linewidth=1.5)
        title = {"roc": "ROC", "pr": "Precision-recall"}[kind]
        axis.set(title=title, xlabel=across, ylabel=up, xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
    _legend(figure, list(lines))
    return figure


def alike(correlations: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw how scores of sequences correlate, a panel a mode.

    Parameters
    ----------
    correlations : mapping
        For each mode, by the name of each experiment, the correlation of each sequence with the first experiment
        ``(sequences,)``, of which itself there is none.
    """
    figure, axes = canvas(3.6 * max(2, len(correlations)), 3, columns=len(correlations))
    names = list(next(iter(correlations.values())))
    for axis, (mode, found) in zip(axes[0], correlations.items(), strict=True):
        for values, colour in list(zip(found.values(), colours(len(found)), strict=True))[1:]:
            axis.hist(values, bins=np.linspace(-1, 1, 41), histtype="step", color=colour, linewidth=1.5)
        axis.axvline(0, color=GREY, linewidth=0.8)
        axis.set(title=mode, xlabel=f"Pearson with {plain(names[0])}", ylabel="sequences", xlim=(-1, 1))
    _legend(figure, names)
    return figure
