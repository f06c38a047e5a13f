"""Power laws of layers ─► tables, pictures, and what a report tells of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from rnalm.files import replacing
from rnalm.report import figures
from rnalm.report.blocks import Block, svg
from rnalm.report.powerlaw import GOOD, summarize

#: Bins of the histogram, over a range that is always the same, so that pictures can be compared. No alpha is below 1.
BINS = np.linspace(1, 10, 101)
#: More models than this are drawn without a legend.
MAX_NAMED = 12
#: A table of the report has no more rows than this.
MAX_ROWS = 1000

TITLE = "Power laws of the weights"
TEXT = (
    "The largest eigenvalues of WᵀW of each weight matrix W are fitted by a power law with exponent alpha; no data are needed. "
    f"As a guideline, most alphas of a well trained model lie between {GOOD[0]} and {GOOD[1]}, close together. Few eigenvalues "
    "mean a wide error; given is one standard error, without what the choice of the tail adds. The weighted mean, that of "
    "alpha · log₁₀ of the largest eigenvalue, also depends on the size of weights: it compares models of one architecture."
)


def write(table: pd.DataFrame, folder: str | Path) -> None:
    """Write the table, its summary and their pictures.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`rnalm.report.powerlaw.compare`.
    folder : path
        Gets ``alphas.csv``, ``summary.csv``, and ``histogram`` and ``layers`` as ``.svg`` and ``.pdf``.
    """
    folder = Path(folder)
    for name, content in (("alphas", table), ("summary", summarize(table))):
        with replacing(folder / f"{name}.csv") as temporary:
            # The last digits of singular values depend on the number of threads.
            content.to_csv(temporary, index=False, float_format="%.6g")
    save(histogram(table), folder / "histogram")
    save(layers(table), folder / "layers")


def save(figure: Figure, stem: str | Path) -> None:
    """Write a figure as SVG and as PDF, the same bytes for the same content.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    stem : path
        The files' path without ``.svg`` and ``.pdf``.
    """
    figures.save(figure, f"{stem}.svg")
    with replacing(f"{stem}.pdf") as temporary:
        figure.savefig(temporary, format="pdf", metadata={"CreationDate": None})


def histogram(table: pd.DataFrame) -> Figure:
    """Draw how the alphas of each model are distributed, with a dashed line at their mean.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`rnalm.report.powerlaw.compare`.
    """
    figure, axis = _canvas(table, 3.2)
    beyond = 0
    for name, group, colour in _models(table):
        alphas = group["alpha"]
        beyond += (alphas > BINS[-1]).sum()
        label = f"{figures.plain(name)}: mean {alphas.mean():.2f}, {len(alphas)} layers"
        counts, _ = np.histogram(np.minimum(alphas, BINS[-1]), BINS)
        axis.stairs(counts, BINS, fill=True, color=colour, alpha=0.6, label=label)
        axis.axvline(min(alphas.mean(), BINS[-1]), color=colour, linestyle="--")
    more = f"; {beyond} above {BINS[-1]:g} stand in the last bin" if beyond else ""
    axis.set(xlabel=f"alpha{more}", ylabel="layers", xlim=(BINS[0], BINS[-1]), ylim=(0, None))
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axis, table)
    return figure


def layers(table: pd.DataFrame) -> Figure:
    """Draw the alpha of each layer, with its standard error.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`rnalm.report.powerlaw.compare`.
    """
    figure, axis = _canvas(table, 3.6)
    axis.axhspan(*GOOD, color=figures.GREY, alpha=0.15, linewidth=0)
    models = list(_models(table))
    for place, (name, group, colour) in zip(np.linspace(-0.3, 0.3, len(models) + 2)[1:-1], models, strict=True):
        # A logarithmic axis has no place for what an error takes below 0.
        below = np.minimum(group["sigma"], 0.9 * group["alpha"])
        style = {"fmt": "o", "color": colour, "markersize": 3, "elinewidth": 0.7, "label": figures.plain(name)}
        axis.errorbar(group["layer"] + place, group["alpha"], (below, group["sigma"]), **style)
    axis.set(xlabel="layer, in the order of names", ylabel="alpha (± standard error)", yscale="log")
    axis.set_yticks([1, 2, 3, 4, 6, 10, 20, 50])
    axis.yaxis.set_major_formatter(ScalarFormatter())
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    fitted = table.dropna(subset=["alpha"])
    axis.set_ylim(1, max(10, 1.1 * (fitted["alpha"] + fitted["sigma"]).to_numpy().max()) if len(fitted) else 10)
    _legend(axis, table)
    return figure


def _canvas(table: pd.DataFrame, height: float) -> tuple[Figure, Axes]:
    figure, axes = figures.canvas(8, height)
    if table["alpha"].isna().to_numpy().all():
        axes[0, 0].text(0.5, 0.5, "no layer could be fitted", ha="center", color=figures.GREY, transform=axes[0, 0].transAxes)
    return figure, axes[0, 0]


def _models(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield name, fitted layers and colour of each model that has any, from the first (dark) to the last (light)."""
    names = table["model"].unique()
    for name, place in zip(names, np.linspace(0, 0.85, len(names)), strict=True):
        group = table.loc[(table["model"] == name) & table["alpha"].notna()]
        if len(group):
            yield name, group, to_hex(mpl.colormaps["viridis"](place))


def _legend(axis: Axes, table: pd.DataFrame) -> None:
    if 0 < len(set(table.dropna(subset=["alpha"])["model"])) <= MAX_NAMED:
        axis.legend(fontsize="small")


def describe(folder: str | Path) -> list[Block]:
    """Show in a report what :func:`write` has written.

    Parameters
    ----------
    folder : path
        What :func:`write` has filled.

    Returns
    -------
    list of Block
        Text, tables and pictures.
    """
    folder = Path(folder)
    table, summary = (_read(folder / f"{name}.csv") for name in ("alphas", "summary"))
    fitted = table.loc[table["alpha"].notna()]
    # That vectors and counters have no spectrum needs no list in a report.
    matrices = table.loc[table["alpha"].isna() & (table[["rows", "columns"]] > 1).all(axis=1)]
    pictures = {
        "histogram": "Alphas of the layers; dashed: their mean. One colour a model, from first (dark) to last (light).",
        "layers": "Layers are numbered in the natural order of their names: files of weights keep no other. "
        f"Shaded: {GOOD[0]} to {GOOD[1]}.",
    }
    return [
        Block(text=TEXT, table=_table(summary, _of_model)),
        *(Block(figure=svg(folder / f"{name}.svg", caption), caption=caption) for name, caption in pictures.items()),
        Block(folded=f"Layer by layer{_cut(fitted)}", table=_table(fitted, _of_layer)),
        Block(folded=f"Matrices left out, and why{_cut(matrices)}", table=_table(matrices, _of_left_out)),
    ]


def _read(path: Path) -> pd.DataFrame:
    # A model may be called NA.
    return pd.read_csv(path, dtype={"model": str}, keep_default_na=False, na_values=[""])


def _cut(table: pd.DataFrame) -> str:
    return f" (the first {MAX_ROWS:,} of {len(table):,}; all are in alphas.csv)" if len(table) > MAX_ROWS else ""


def _table(table: pd.DataFrame, describing: Callable[[Any], dict[str, str]]) -> dict[str, list]:
    rows = [describing(row) for row in table.head(MAX_ROWS).itertuples()]
    return {"columns": list(rows[0]) if rows else ["none"], "rows": [list(row.values()) for row in rows]}


def _of_model(row: Any) -> dict[str, str]:
    known = row.fitted > 0
    spread = f" ± {row.sd:.2f}" if row.fitted > 1 else ""
    return {
        "model": row.model,
        "fitted": f"{row.fitted:,}",
        "left out": f"{row.left_out:,}",
        "mean alpha ± sd": f"{row.mean:.2f}{spread}" if known else "–",
        "median": f"{row.median:.2f}" if known else "–",
        "least to greatest": f"{row.least:.2f} to {row.greatest:.2f}" if known else "–",
        f"between {GOOD[0]} and {GOOD[1]}": f"{row.good:.0%}" if known else "–",
        "weighted mean": f"{row.weighted:.2f}" if known else "–",
    }


def _of_layer(row: Any) -> dict[str, str]:
    return _of_tensor(row) | {
        "eigenvalues": f"{row.eigenvalues:,.0f}",
        "in the tail": f"{row.tail:,.0f}",
        "alpha ± error": f"{row.alpha:.2f} ± {row.sigma:.2f}",
        "KS distance": f"{row.ks:.3f}",
    }


def _of_left_out(row: Any) -> dict[str, str]:
    return _of_tensor(row) | {"reason": row.reason}


def _of_tensor(row: Any) -> dict[str, str]:
    return {"model": row.model, "layer": f"{row.layer}", "name": row.name, "size": f"{row.rows:,} × {row.columns:,}"}
