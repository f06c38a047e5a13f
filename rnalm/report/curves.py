"""Pictures of how models learn and, from their probabilities, of how well they tell classes apart."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnalm.prediction.measure import GRID, KINDS, Measured
from rnalm.report.figures import GREY, canvas, plain

#: More lines of single models than this, in a panel, could not be told apart; the legend has their mean in any case.
MAX_LINES = 20
#: More classes than this are drawn without their names.
MAX_NAMED = 8
#: More models than this have no legend.
MAX_LEGEND = 12
#: Confusion matrices of single models.
MAX_MATRICES = 12

#: Title and axes of each kind of curve.
PANELS = {
    "roc": ("ROC (area)", "false positive rate", "true positive rate"),
    "pr": ("Precision-recall (average precision)", "recall", "precision"),
    "f1": ("F1 by threshold (greatest F1)", "threshold: probability from which a row counts as positive", "F1"),
}


def classification(
    pooled: Measured, each: Sequence[Measured], classes: Sequence[str], unit: str = "fold", baseline: Measured | None = None
) -> Figure:
    """Draw the confusion matrix, and ROC, precision-recall and F1 curves.

    Parameters
    ----------
    pooled : Measured
        All rows.
    each : sequence of Measured
        Single models, if there are several: thin lines, and mean ± standard deviation in the legends.
    classes : sequence of str
        Names of the classes; of two, the last is the positive one.
    unit : str
        What a model stands for.
    baseline : Measured, optional
        What models have to beat: a dotted line, or its mean in the legends.
    """
    figure, axes = canvas(10, 8, rows=2, columns=2)
    figure.set_layout_engine("constrained", h_pad=0.12)
    image = _confusion(axes[0, 0], pooled, classes, inches=3.3 - _longest(classes))
    if not axes[0, 0].texts:
        figure.colorbar(image, ax=axes[0, 0], shrink=0.8)
    axes[0, 0].set_title(f"Confusion, {pooled.name} (share of each true class)")
    for kind, axis in zip(KINDS, axes.flat[1:], strict=True):
        title, across, up = PANELS[kind]
        axis.set(title=title, xlabel=across, ylabel=up, xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
        if np.isnan(pooled.scores[kind]).all():
            axis.text(0.5, 0.5, "no curve: all labels are of one class", ha="center", color=GREY)
        elif len(classes) == 2:
            _one_curve(axis, kind, pooled, each, unit, baseline)
        else:
            _curve_a_class(axis, kind, pooled, each, classes, unit, baseline)
    return figure


def labels(
    pooled: Measured, each: Sequence[Measured], classes: Sequence[str], unit: str = "fold", baseline: Measured | None = None
) -> Figure:
    """Draw ROC, precision-recall and F1 curves of classes of which a row may have any number.

    Parameters
    ----------
    pooled, each, classes, unit, baseline
        As of :func:`classification`.
    """
    figure, axes = canvas(12, 4, columns=3)
    for kind, axis in zip(KINDS, axes[0], strict=True):
        title, across, up = PANELS[kind]
        axis.set(title=title, xlabel=across, ylabel=up, xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
        if np.isnan(pooled.scores[kind]).all():
            axis.text(0.5, 0.5, "no curve: no class has positives and negatives", ha="center", color=GREY)
        else:
            _curve_a_class(axis, kind, pooled, each, classes, unit, baseline)
    return figure


def explain(pooled: Measured, each: Sequence[Measured], classes: Sequence[str], unit: str = "fold") -> str:
    """Say what the curves of :func:`classification` are, and which models lack one.

    Parameters
    ----------
    pooled, each, classes, unit
        As of :func:`classification`.
    """
    if np.isnan(pooled.scores["roc"]).all():
        return "All labels are of one class, so that there are no curves."
    binary = len(pooled.thresholds) == 1 and len(classes) == 2
    of = f"{classes[1]} against {classes[0]}" if binary else "each class against the rest"
    text = f"Curves are of {of}. "
    if len(classes) <= MAX_NAMED:
        text += "Dots mark the greatest F1; it flatters a little, as its threshold is chosen on the same rows. "
    if each:
        lines = f"thin lines are single {unit}s; " if _has_lines(each, pooled) else ""
        text += f"Thick lines are {pooled.name}; {lines}legends give the mean and standard deviation over {unit}s."
    if lacking := [model.name for model in each if np.isnan(model.scores["roc"]).any()]:
        text += f" A class that no row of a {unit} has, or every row, gives no curve there: {', '.join(lacking)}."
    return text.strip()


def _has_lines(each: Sequence[Measured], pooled: Measured) -> bool:
    return len(each) * len(pooled.thresholds) <= MAX_LINES


def _one_curve(
    axis: Axes, kind: str, pooled: Measured, each: Sequence[Measured], unit: str, baseline: Measured | None = None
) -> None:
    """Draw the curve of the positive class, of all rows and of each model."""
    chance = {"roc": (0, 1), "pr": [pooled.counts[1].sum() / pooled.counts.sum()] * 2}
    if kind in chance:
        axis.plot([0, 1], chance[kind], color=GREY, linewidth=1, linestyle="--", label="by chance")
    else:
        axis.axvline(0.5, color=GREY, linewidth=1, linestyle="--", label="0.5, where the predicted class changes")
    for model, colour in zip(each, _colours(len(each)), strict=True):
        if _has_lines(each, pooled):
            _line(axis, kind, model.lines[kind][0], color=colour, linewidth=0.8)
    if baseline:
        name = f"{baseline.name}: {baseline.scores[kind][0]:.3f}"
        _line(axis, kind, baseline.lines[kind][0], color=GREY, linewidth=1.5, linestyle=":", label=name)
    _line(axis, kind, pooled.lines[kind][0], color="black", linewidth=2)
    text = f"{pooled.name}: {pooled.scores[kind][0]:.3f}"
    if kind == "f1":
        axis.plot(pooled.thresholds, pooled.scores[kind], "o", color="black", markersize=5)
        text += f" at {pooled.thresholds[0]:.2f}"
    entries: list[tuple[Artist, str]] = [(Line2D([], [], color="black", linewidth=2), text)]
    if each:
        scores = [model.scores[kind][0] for model in each]
        count = f"{np.isfinite(scores).sum()} of {len(each)}" if np.isnan(scores).any() else len(each)
        entries.append((Line2D([], [], color=_colours(len(each))[0], linewidth=0.8), f"{count} {unit}s: {_spread(scores)}"))
    _legend(axis, [*entries, *zip(*axis.get_legend_handles_labels(), strict=True)])


def _curve_a_class(
    axis: Axes,
    kind: str,
    pooled: Measured,
    each: Sequence[Measured],
    classes: Sequence[str],
    unit: str,
    baseline: Measured | None = None,
) -> None:
    """Draw a curve a class, and the mean of these."""
    named = len(classes) <= MAX_NAMED
    colours = mpl.color_sequences["petroff10"][: len(classes)] if named else [GREY] * len(classes)
    entries = []
    for index, (name, colour) in enumerate(zip(classes, colours, strict=True)):
        for model in each if _has_lines(each, pooled) else ():
            _line(axis, kind, model.lines[kind][index], color=colour, linewidth=0.6, alpha=0.5)
        _line(axis, kind, pooled.lines[kind][index], color=colour, linewidth=1.5 if named else 0.6)
        if kind == "f1" and named:
            axis.plot(pooled.thresholds[index], pooled.scores[kind][index], "o", color=colour, markersize=4)
        text = f"{_name(name)}: {_spread([pooled.scores[kind][index]])}"
        if each:
            scores = [model.scores[kind][index] for model in each]
            some = f", {np.isfinite(scores).sum()} of {len(each)}" if np.isnan(scores).any() else ""
            text += f" ({_spread(scores)}{some})"
        entries.append((Line2D([], [], color=colour, linewidth=1.5), text))
    _line(axis, kind, np.nanmean(pooled.lines[kind], axis=0), color="black", linewidth=2)
    mean = f"mean of classes: {_mean(pooled.scores[kind]):.3f}"
    if each:
        mean += f" ({_spread([_mean(model.scores[kind]) for model in each])})"
    entries = entries if named else [(entries[0][0], f"each of {len(classes)} classes")]
    title = f"{pooled.name} (mean ± sd of {len(each)} {unit}s)" if each else None
    means: list[tuple[Artist, str]] = [(Line2D([], [], color="black", linewidth=2), mean)]
    if baseline:
        style = {"color": "black", "linewidth": 1.5, "linestyle": ":"}
        _line(axis, kind, np.nanmean(baseline.lines[kind], axis=0), **style)
        means.append((Line2D([], [], **style), f"{baseline.name}: {_mean(baseline.scores[kind]):.3f}"))
    _legend(axis, [*means, *entries], title=title)


def _line(axis: Axes, kind: str, heights: np.ndarray, **style) -> None:
    """Draw a curve, if there is one; that of a ROC starts in the corner."""
    start = [0.0] if kind == "roc" else []
    if np.isfinite(heights).any():
        axis.plot([*start, *GRID], [*start, *heights], **style)


def _legend(axis: Axes, entries: Sequence[tuple[Artist, str]], **kwargs) -> None:
    handles, names = zip(*entries, strict=True)
    legend = axis.legend(handles, names, fontsize="small", title_fontsize="small", alignment="left", frameon=True, **kwargs)
    # Lines that cannot be avoided shine through.
    legend.get_frame().set(alpha=0.8, edgecolor="none")


def _mean(values: Sequence[float] | np.ndarray) -> float:
    """Give the mean of the values that there are, NaN if there is none."""
    known = np.array(values)[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _spread(values: Sequence[float]) -> str:
    """Write the mean of the values that there are, and their standard deviation."""
    known = np.array(values)[np.isfinite(values)]
    spread = f" ± {known.std(ddof=1):.3f}" if len(known) > 1 else ""
    return f"{_mean(known):.3f}{spread}" if len(known) else "–"


def _name(text: str) -> str:
    """Shorten the name of a class, for legends and axes; names that are alike tend to differ at an end."""
    return plain(text if len(text) <= 18 else f"{text[:9]}…{text[-8:]}")


def _longest(classes: Sequence[str]) -> float:
    """Give the width of the longest name, in inches."""
    return max(len(_name(name)) for name in classes) * 0.6 * 9 / 72


def _colours(count: int) -> list[str]:
    """Give each model its colour, from dark to light; the same in every picture."""
    return [to_hex(mpl.colormaps["viridis"](position)) for position in np.linspace(0, 0.9, count)]


def confusions(each: Sequence[Measured], classes: Sequence[str]) -> Figure:
    """Draw confusion matrices of single models side by side, of the first :data:`MAX_MATRICES`.

    Parameters
    ----------
    each : sequence of Measured
        The models.
    classes : sequence of str
        Names of the classes.
    """
    shown = each[:MAX_MATRICES]
    columns = min(4, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    # Names stand left of the first column, and below the last matrix of each.
    names = 0.4 + _longest(classes)
    figure, axes = canvas(2 * columns + names, 2.1 * rows + 2 * names, rows, columns)
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    if not shown:
        axes[0, 0].text(0.5, 0.5, "no labels", ha="center", color=GREY)
        return figure
    for index, (model, axis) in enumerate(zip(shown, axes.flat, strict=False)):
        image = _confusion(axis, model, classes, inches=1.7)
        axis.set_title(f"{model.name} (n = {model.counts.sum():,})", fontsize="small")
        if index % columns:
            axis.set(ylabel="", yticklabels=[])
        if index + columns < len(shown):
            axis.set(xlabel="", xticklabels=[])
    if not all(axis.texts for axis in axes.flat[: len(shown)]):
        figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true class")
    return figure


def _confusion(axis: Axes, model: Measured, classes: Sequence[str], inches: float) -> AxesImage:
    """Draw a matrix of this width; numbers and names that would be too small to read are left out."""
    counts, n_classes = model.counts, len(classes)
    rows = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(rows, 1)
    image = axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    cell = 72 * inches / n_classes
    # A digit is about 0.6 as wide as its size; a cell has two lines.
    size = min(9, cell / 2.5, cell / (0.65 * max(len(f"{counts.max():,}"), 4)))
    for (row, column), count in np.ndenumerate(counts) if size >= 5 else ():
        text = f"{count:,}\n{share[row, column]:.0%}" if rows[row] else "0"
        colour = "white" if share[row, column] > 0.5 else "black"
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    axis.set(xticks=range(n_classes), yticks=range(n_classes), xlabel="predicted", ylabel="true")
    letters, names = min(9, cell / 1.2), [_name(name) for name in classes]
    if letters < 5:
        axis.set(xticks=[], yticks=[])
        return image
    across = 72 * _longest(classes) < cell
    axis.set_xticklabels(names, rotation=0 if across else 90, fontsize=letters)
    axis.set_yticklabels(names, fontsize=letters)
    return image


def unlabelled(predicted: Sequence[str], classes: Sequence[str]) -> Figure:
    """Draw how many rows are predicted to be of each class.

    Parameters
    ----------
    predicted : sequence of str
        A class a row.
    classes : sequence of str
        Names of the classes.
    """
    figure, axes = canvas(4.2, max(2.6, 0.2 * len(classes)))
    counts = dict(zip(*np.unique(np.asarray(predicted, dtype=str), return_counts=True), strict=True))
    axes[0, 0].barh(range(len(classes)), [counts.get(name, 0) for name in classes], color=GREY)
    axes[0, 0].set_yticks(range(len(classes)), [_name(name) for name in classes])
    axes[0, 0].set(xlabel="sequences", title="Predicted classes")
    return figure


def learning_curves(
    histories: Mapping[str, list[dict]], metric: str, by: str = "epoch", baseline: Mapping[str, float] | None = None
) -> Figure:
    """Draw loss, the metric that selects the model, and the learning rate.

    Parameters
    ----------
    histories : mapping of str to list
        ``log_history`` of each model's ``trainer_state.json``, by name.
    metric : str
        Name of the validation metric.
    by : {'epoch', 'step'}
        In what the training is measured.
    baseline : mapping of str to float, optional
        What the baselines come to on validation rows, on average: a dashed line.
    """
    panels: dict[str, tuple[str, ...]] = {"Loss (dotted: training, with penalties)": ("loss", "eval_loss")}
    if metric != "loss":
        panels[f"Validation {metric.replace('_', ' ')}"] = (f"eval_{metric}",)
    panels["Learning rate"] = ("learning_rate",)
    figure, axes = canvas(10, 3, columns=len(panels))
    for (title, keys), axis in zip(panels.items(), axes[0], strict=True):
        for history, colour in zip(histories.values(), _colours(len(histories)), strict=True):
            for key in keys:
                points = np.array([(entry[by], entry[key]) for entry in history if key in entry], dtype=float)
                style = {"linestyle": ":", "linewidth": 1} if key == "loss" else {}
                # One epoch makes no line.
                axis.plot(*points.reshape(-1, 2).T, color=colour, marker="o" if len(points) == 1 else None, **style)
        if (bar := (baseline or {}).get(keys[-1], np.nan)) == bar:
            axis.axhline(bar, color=GREY, linewidth=1, linestyle="--", label="baseline")
            axis.legend(fontsize="small")
        axis.set(xlabel=by, title=title)
        axis.xaxis.set_major_locator(MaxNLocator("auto" if by == "epoch" else 4, integer=True, min_n_ticks=1))
    axes[0, -1].set_ylim(bottom=0)
    if 1 < len(histories) <= MAX_LEGEND:
        handles = [Line2D([], [], color=colour) for colour in _colours(len(histories))]
        figure.legend(handles, histories, fontsize="small", loc="outside right center")
    return figure
