"""Pictures of data, predicted numbers and scores, as SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from rnalm.files import replacing
from rnalm.scoring.summary import REACH, Around, Profile
from rnalm.sequences.bed import Elements

mpl.use("svg")
mpl.rcParams |= {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "font.size": 9,
    "legend.frameon": False,
    # The browser's own letters: small files, and text that can be searched.
    "svg.fonttype": "none",
    "svg.hashsalt": "rnalm",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
}

#: Colours of what is predicted, and of what is to be seen first.
LOWER, RAISE = "#2166ac", "#b2182b"
#: Colours of effects: what raises the prediction, and what lowers it. Told apart by colour-blind readers too.
UP, DOWN = "#2166ac", "#d95f02"
EFFECTS = LinearSegmentedColormap.from_list("effects", [DOWN, "#ffffff", UP])
GREY = "#8a8f98"
#: A profile has no more bars than a screen has columns.
MAX_BARS = 1000
#: More classes than this are drawn without their names.
MOST_NAMED = 30
#: Targets that have a panel each.
MOST_PANELS = 12
#: More points than this are drawn as an image.
MOST_POINTS = 3000
#: How far from an explained position the tokens are told apart.
NEARBY = 15


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as SVG, the same bytes for the same content.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : path
        The file.
    """
    if engine := figure.get_layout_engine():
        # Once: matplotlib would draw the whole figure, unseen, to do the same.
        engine.execute(figure)
        figure.set_layout_engine("none")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})


def plain(text: str) -> str:
    """Keep dollar signs in names from being read as formulas.

    Parameters
    ----------
    text : str
        Any text.
    """
    return text.replace("$", r"\$")


def dark(colour: Sequence[float]) -> bool:
    """Tell whether letters on a colour have to be white.

    Parameters
    ----------
    colour : sequence of float
        Red, green and blue, 0 to 1.
    """
    return float(np.dot(colour[:3], (0.299, 0.587, 0.114))) < 0.55


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **kwargs: Any) -> tuple[Figure, np.ndarray]:
    """Make a figure, and its axes ``(rows, columns)``.

    Parameters
    ----------
    width, height : float
        In inches.
    rows, columns : int
        How many axes stand above and beside each other.
    **kwargs : Any
        For matplotlib's ``subplots``.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **kwargs)


def data(
    lengths: np.ndarray, labels: pd.Series | pd.DataFrame, log_labels: bool = False, of: str = "sequences", name: str = "label"
) -> Figure:
    """Draw how long sequences are and how labels are distributed.

    Parameters
    ----------
    lengths : numpy.ndarray
        Tokens of each sequence ``(rows,)``.
    labels : pandas.Series or pandas.DataFrame
        Numbers or class names, or a column of numbers a target; missing ones are left out.
    log_labels : bool
        Whether numbers are drawn on a logarithmic axis.
    of : {'sequences', 'tokens'}
        What has a label.
    name : str
        What labels are, with their unit.
    """
    figure, axes = canvas(8, 2.6, columns=2)
    left, right = axes[0]
    left.hist(lengths, bins=40, color=GREY)
    left.set(xlabel="length (tokens)", ylabel="sequences", title="Sequence length")
    if isinstance(labels, pd.DataFrame):
        _targets(right, labels, log_labels)
        return figure
    labels = labels.dropna()
    if pd.api.types.is_numeric_dtype(labels) and len(labels):
        logarithmic = log_labels and labels.min() > 0
        bins = np.geomspace(labels.min(), labels.max(), 41) if logarithmic and labels.min() < labels.max() else 40
        right.hist(labels, bins=bins, color=GREY)
        right.set(xlabel=plain(name), ylabel=of, title="Labels", xscale="log" if logarithmic else "linear")
    elif len(labels):
        counts = labels.value_counts()
        few = len(counts) <= MOST_NAMED
        counts = counts.sort_index() if few else counts
        right.barh(counts.index.map(plain), counts, color=GREY)
        if not few:
            # Their names would lie over each other; a table has them.
            right.set(yticks=[], ylabel=f"{len(counts)} classes")
        right.set(xlabel=of, title="Classes")
        if of == "tokens":
            # Of tokens one class can be a thousand times as frequent as another; a bar of one token is to be seen, too.
            right.set(xscale="log", xlim=(0.8, None))
    else:
        right.text(0.5, 0.5, "no labels", ha="center", color=GREY)
        right.set_axis_off()
    return figure


def _targets(axis: Axes, labels: pd.DataFrame, logarithmic: bool) -> None:
    """Draw how the numbers of several targets are distributed."""
    logarithmic = logarithmic and bool((labels.min() > 0).all())
    # From above to below, as they stand in the configuration.
    known = [(plain(name), labels[name].dropna()) for name in labels.columns[:MOST_NAMED]][::-1]
    axis.boxplot(
        [own for _, own in known], orientation="horizontal", tick_labels=[name for name, _ in known], sym=".", widths=0.6
    )
    of = f", {MOST_NAMED} of {labels.shape[1]}" if labels.shape[1] > MOST_NAMED else ""
    axis.set(xlabel="label", title=f"Targets{of}", xscale="log" if logarithmic else "linear")


def regression(
    frames: Mapping[str, pd.DataFrame], metrics: Mapping[str, Mapping[str, float]], logarithmic: bool = False, of: str = ""
) -> Figure:
    """Draw predicted against true numbers, a panel a target; without labels, how predictions are distributed.

    Parameters
    ----------
    frames : mapping of str to pandas.DataFrame
        With ``label`` and ``pred``, of each target by its name; of one target, the name may be empty. With ``place``, points
        lead there, but for those of many.
    metrics : mapping of str to mapping
        Correlations for the titles, by the same names.
    logarithmic : bool
        Whether to use logarithmic axes.
    of : str
        What is predicted, with its unit, for the axes.
    """
    columns = min(3, len(frames))
    rows = -(-len(frames) // columns)
    figure, axes = canvas(4.2 if columns == 1 else 3.4 * columns, 3.8 if columns == 1 else 3.1 * rows, rows, columns)
    for axis in axes.flat[len(frames) :]:
        axis.set_axis_off()
    for axis, (name, frame) in zip(axes.flat, frames.items(), strict=False):
        _numbers(axis, frame, metrics.get(name, {}), logarithmic, of)
        if name:
            axis.set_title(f"{plain(name)}\n{axis.get_title()}")
    return figure


def _numbers(axis: Axes, frame: pd.DataFrame, metrics: Mapping[str, float], logarithmic: bool, of: str) -> None:
    """Draw predicted against true numbers of one target."""
    known = frame.dropna(subset=["label"])
    if known.empty:
        axis.hist(frame["pred"], bins=40, color=GREY)
        axis.set(xlabel=plain(f"predicted {of}".strip()), ylabel="sequences", title=f"{len(frame):,} predictions")
        return
    scale = "log" if logarithmic and (known[["label", "pred"]].to_numpy() > 0).all() else "linear"
    # Many thousands of points as vectors would make the report slow to open.
    many = len(known) > MOST_POINTS
    points = axis.scatter(known["label"], known["pred"], s=6, alpha=0.4, color=LOWER, linewidths=0, rasterized=many)
    if "place" in known and not many:
        points.set_urls(known["place"].tolist())
    ends = [known[["label", "pred"]].min(axis=None), known[["label", "pred"]].max(axis=None)]
    axis.plot(ends, ends, color=GREY, linewidth=1, linestyle="--")
    shown = "  ".join(
        f"{name} {metrics[key]:.3f}"
        for name, key in (("Pearson", "pearson"), ("Spearman", "spearman"))
        if metrics.get(key) is not None
    )
    title = f"{shown}  (n = {len(known):,})"
    names = {"xlabel": plain(f"true {of}".strip()), "ylabel": plain(f"predicted {of}".strip())}
    axis.set(**names, xscale=scale, yscale=scale, title=title)


def profiles(
    shown: Sequence[Profile],
    elements: Elements | None = None,
    limit: float = 1.0,
    unit: str = "",
    pages: Mapping[str, str] | None = None,
) -> Figure:
    """Draw effects along sequences, one track each, on one scale; known elements are marked below.

    Parameters
    ----------
    shown : sequence of Profile
        What is drawn, from top to bottom; scores are effects.
    elements : dict, optional
        Known elements, from :func:`rnalm.sequences.bed.read_bed`.
    limit : float
        The largest effect that fits.
    unit : str
        Of the effects.
    pages : mapping, optional
        Where the page of each sequence is, by its name.
    """
    figure, axes = canvas(10, 0.4 + 1.25 * max(1, len(shown)), rows=max(1, len(shown)))
    for profile, axis in zip(shown, axes[:, 0], strict=False):
        centres, width, heights = _bars(profile)
        axis.bar(centres, heights, width=width, color=np.where(heights < 0, DOWN, UP), linewidth=0)
        axis.axhline(0, color=GREY, linewidth=0.5)
        bottom = -1.15 * limit
        if profile.position is not None:
            axis.axvline(profile.position + 0.5, color=GREY, linewidth=0.8, linestyle=":")
        for start, end, _ in (elements or {}).get(profile.sequence, []):
            axis.plot([start, end], [bottom, bottom], color="black", linewidth=2.5, solid_capstyle="butt")
        label = "" if profile.label is None else f", true {_short(profile.label)}"
        title = axis.set_title(plain(f"{profile.name}: predicted {_short(profile.pred)}{label}"), loc="left", fontsize="small")
        title.set_url((pages or {}).get(profile.name))
        axis.set(
            ylabel=measured("effect", unit),
            xlim=(profile.starts[0], profile.starts[-1] + 1),
            ylim=(1.2 * bottom, -1.2 * bottom),
        )
    axes[-1, 0].set_xlabel("position in the sequence" + ("; black: known elements" if elements else ""))
    return figure


def _bars(profile: Profile) -> tuple[np.ndarray, float, np.ndarray]:
    """Give bars of a profile; in a long one each stands for the largest change in its stretch."""
    size = -(-len(profile.loo) // MAX_BARS)
    begins = np.arange(0, len(profile.loo), size)
    groups = np.split(profile.loo, begins[1:])
    heights = np.array([group[np.nan_to_num(np.abs(group)).argmax()] for group in groups])
    return profile.starts[begins] + size / 2, size, heights


def measured(name: str, unit: str) -> str:
    """Write what is measured, and in what, for an axis.

    Parameters
    ----------
    name, unit : str
        The unit may be empty.
    """
    return plain(f"{name} ({unit})" if unit else name)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def around(scores: Around, exchanges: pd.DataFrame | None = None) -> Figure:
    """Draw the mean size of effects by distance from the explained position and, nearby, the mean effect of each token.

    Parameters
    ----------
    scores : Around
        What tokens do at each distance.
    exchanges : pandas.DataFrame, optional
        Tokens by replacements.
    """
    figure, axes = canvas(10 if exchanges is None else 14, 2.8, columns=2 if exchanges is None else 3)
    left, right, *further = axes[0]
    distance = "distance from the explained position (tokens)"
    left.fill_between(np.arange(-REACH, REACH + 1), scores.size(), color=GREY, alpha=0.6)
    left.set(xlabel=distance, ylabel="mean |effect|", xlim=(-REACH, REACH), ylim=(0, None), title="Where tokens matter")
    if exchanges is not None:
        _exchanges(figure, further[0], exchanges)
    table = scores.of_tokens(NEARBY)
    right.set_title("Mean effect of each token nearby")
    if table.empty:
        right.text(0.5, 0.5, f"no scores within {REACH} tokens", ha="center", color=GREY)
        right.set_axis_off()
        return figure
    _table(figure, right, table, extent=(-NEARBY - 0.5, NEARBY + 0.5, len(table) - 0.5, -0.5))
    right.set(xlabel=distance)
    return figure


def positions(position: np.ndarray, exchanges: pd.DataFrame | None = None, ends: tuple[str, str] = ("5′", "3′")) -> Figure:
    """Draw the mean size of effects by relative position and, for replacements, the mean effect of each exchange.

    Parameters
    ----------
    position : numpy.ndarray
        ``(bins,)``
    exchanges : pandas.DataFrame, optional
        Tokens by replacements.
    ends : tuple of str
        What the first and the last end of a sequence are called.
    """
    figure, axes = canvas(10 if exchanges is not None else 6, 2.8, columns=1 if exchanges is None else 2)
    axis = axes[0, 0]
    axis.fill_between((np.arange(len(position)) + 0.5) / len(position), position, color=GREY, alpha=0.6)
    axis.set(
        xlabel=f"relative position ({ends[0]} to {ends[1]})",
        ylabel="mean |effect|",
        xlim=(0, 1),
        ylim=(0, None),
        title="Where tokens matter",
    )
    if exchanges is not None:
        _exchanges(figure, axes[0, 1], exchanges)
    return figure


def _exchanges(figure: Figure, axis: Axes, exchanges: pd.DataFrame) -> None:
    """Draw the mean effect of each exchange."""
    _table(figure, axis, exchanges)
    axis.set(xticks=range(exchanges.shape[1]), xlabel="replacement", title="Mean effect against each replacement")
    axis.set_xticklabels(map(plain, exchanges.columns))


def _table(figure: Figure, axis: Axes, table: pd.DataFrame, **options: Any) -> None:
    """Colour mean effects, a token a row."""
    limit = np.nanmax(np.abs(table.to_numpy()), initial=1e-12)
    image = axis.imshow(table, cmap=EFFECTS, vmin=-limit, vmax=limit, aspect="auto", **options)
    axis.set(yticks=range(len(table)), ylabel="token")
    axis.set_yticklabels(map(plain, table.index))
    figure.colorbar(image, ax=axis, label="mean effect")
