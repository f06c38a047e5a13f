"""Finished studies ─► one HTML page of what was tried, and how well it did."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import optuna
import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution

from rnalm.config import contract
from rnalm.config.parameter import Parameter
from rnalm.config.sweep import Sweep
from rnalm.report.blocks import Block, Section, drawn, render
from rnalm.report.figures import GREY, LOWER, RAISE, canvas, plain
from rnalm.training.sweep.best import cell
from rnalm.training.sweep.study import distribution

#: With fewer complete trials than this, nothing is said of which key matters.
FEWEST = 4
#: Panels beside each other.
PANELS = 4
#: A metric that spreads further than by this factor is drawn on a logarithmic axis.
WIDE = 50


@dataclass(frozen=True)
class Scale:
    """Where the values of a key stand on an axis.

    Attributes
    ----------
    positions : numpy.ndarray
        Of each trial ``(trials,)``.
    names : list of str
        Values that stand at 0, 1, …; empty where positions are the values themselves.
    log : bool
        Whether the axis is logarithmic.
    """

    positions: np.ndarray
    names: list[str]
    log: bool


def write(folders: Mapping[str, str | Path], sweep: Sweep, output: str | Path) -> None:
    """Write the page.

    Parameters
    ----------
    folders : mapping
        Folder of the study of each fold, with ``trials.csv`` and ``best.yaml``.
    sweep : Sweep
        With all names written out.
    output : path
        The page.
    """
    tables = {fold: read(folder, sweep) for fold, folder in folders.items()}
    best = {
        fold: yaml.safe_load((Path(folder) / contract.BEST).read_text(encoding="utf-8")) for fold, folder in folders.items()
    }
    states = pd.concat(tables.values())["state"].value_counts()
    cards = [("method", sweep.method), ("metric", sweep.metric), ("trials a fold", f"{sweep.count:,}")]
    cards += [(name, f"{states[name]:,}") for name in ("pruned", "failed") if name in states]
    lead = (
        f"Which values make {sweep.metric} on a fold's validation rows {'least' if sweep.goal == 'minimize' else 'greatest'}. "
        "The fold's models are trained with the best. No trial has seen a test row."
    )
    sections = [Section("Best values", [Block(table=_overview(best, sweep))])]
    sections += [Section(f"Fold {fold}", _blocks(tables[fold], best[fold]["trial"], sweep)) for fold in folders]
    render(output, "Sweep", lead, cards, sections)


def read(folder: str | Path, sweep: Sweep) -> pd.DataFrame:
    """Read the trials of a study: ``trial``, ``state``, ``value``, ``epochs``, each key as it is written, ``note``.

    Parameters
    ----------
    folder : path
        Folder of the study, with ``trials.csv``.
    sweep : Sweep
        What was tried, and by which metric.
    """
    text: dict[Any, Any] = dict.fromkeys([*sweep.parameters, "state", "note"], str)
    frame = pd.read_csv(Path(folder) / contract.TRIALS, dtype=text, keep_default_na=False, na_values={sweep.metric: [""]})
    return frame.rename(columns={sweep.metric: "value"})


def _overview(best: Mapping[str, dict], sweep: Sweep) -> dict:
    rows = [[key, *(_short(trial["parameters"][key]) for trial in best.values())] for key in sorted(sweep.parameters)]
    rows += [
        [name, *(_short(trial[key]) for trial in best.values())] for name, key in ((sweep.metric, "value"), ("trial",) * 2)
    ]
    return {"columns": ["", *(f"fold {fold}" for fold in best)], "rows": rows}


def _short(value: object) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.4g}"
    return str(value)


def _blocks(frame: pd.DataFrame, best: int, sweep: Sweep) -> list[Block]:
    shown = frame.loc[(frame["state"] != "failed") & frame["value"].notna()]
    scales = {key: scale(shown[key], parameter) for key, parameter in sorted(sweep.parameters.items())}
    matter = importance(frame, sweep)
    blocks = [
        drawn(history(shown, best, sweep), "Each trial, and the best so far. A cross is a pruned trial after its last epoch."),
        drawn(slices(shown, best, scales, sweep), "The same trials by the values of each key. Red: the best."),
        drawn(parallel(shown, best, scales, sweep), "A line a trial, the darker the better. Red: the best; dotted: pruned."),
    ]
    if matter:
        caption = "Share of each key in how much complete trials differ (functional ANOVA; Hutter et al., ICML 2014)."
        blocks.append(drawn(bars(matter), caption))
    rows = [list(map(_short, row)) for row in frame.itertuples(index=False)]
    columns = [sweep.metric if name == "value" else name for name in frame.columns]
    return [*blocks, Block(folded="All trials", table={"columns": columns, "rows": rows})]


def scale(cells: pd.Series, parameter: Parameter) -> Scale:
    """Place the values of a key on an axis: those of a list beside each other, in its order.

    Parameters
    ----------
    cells : pandas.Series
        As ``trials.csv`` has them.
    parameter : Parameter
        The values that the key may have.
    """
    if parameter.values is None:
        return Scale(cells.astype(float).to_numpy(), [], parameter.log)
    names = [cell(value) for value in parameter.values]
    return Scale(cells.map(names.index).to_numpy(float), names, log=False)


def importance(frame: pd.DataFrame, sweep: Sweep) -> dict[str, float]:
    """Tell how much of the differences among complete trials each key explains, the most first; nothing of too few trials.

    Parameters
    ----------
    frame : pandas.DataFrame
        Trials, from :func:`read`.
    sweep : Sweep
        What was tried, and by which metric.
    """
    frame = frame.loc[frame["state"] == "complete"]
    if len(frame) < FEWEST or len(set(frame["value"])) < 2:
        return {}
    space, columns = {}, {}
    for key, parameter in sorted(sweep.parameters.items()):
        if parameter.values is None:
            space[key] = distribution(parameter)
            columns[key] = frame[key].astype(int if parameter.integer else float).tolist()
        else:
            space[key], columns[key] = CategoricalDistribution([*map(cell, parameter.values)]), frame[key].tolist()
    study = optuna.create_study(direction=sweep.goal, sampler=optuna.samplers.RandomSampler(0))
    for row, value in enumerate(frame["value"]):
        params = {key: column[row] for key, column in columns.items()}
        study.add_trial(optuna.trial.create_trial(value=value, params=params, distributions=space))
    return optuna.importance.get_param_importances(study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0))


def history(frame: pd.DataFrame, best: int, sweep: Sweep) -> Figure:
    """Draw the metric of each trial in their order.

    Parameters
    ----------
    frame : pandas.DataFrame
        From :func:`read`, of trials with a value.
    best : int
        Number of the best trial.
    sweep : Sweep
        What was tried, and by which metric.
    """
    figure, axes = canvas(8, 2.6)
    axis = axes[0, 0]
    _points(axis, frame["trial"].to_numpy(), frame, best)
    complete = frame.loc[frame["state"] == "complete"]
    reached = complete["value"].cummin() if sweep.goal == "minimize" else complete["value"].cummax()
    axis.step(complete["trial"], reached, where="post", color=LOWER, linewidth=1)
    axis.set(xlabel="trial", ylabel=sweep.metric, yscale=_stretch(frame))
    axis.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _points(axis: Axes, positions: np.ndarray, frame: pd.DataFrame, best: int) -> None:
    looks = {"complete": {"marker": "o", "color": LOWER, "linewidths": 0}, "pruned": {"marker": "x", "color": GREY}}
    for state, look in looks.items():
        chosen = (frame["state"] == state).to_numpy()
        axis.scatter(positions[chosen], frame["value"][chosen], s=18, alpha=0.7, **look)
    chosen = (frame["trial"] == best).to_numpy()
    axis.scatter(positions[chosen], frame["value"][chosen], s=36, color=RAISE, zorder=3)


def _stretch(frame: pd.DataFrame) -> str:
    """Choose the kind of axis for the metric."""
    least, greatest = frame["value"].to_numpy().min(), frame["value"].to_numpy().max()
    return "log" if least > 0 and greatest > WIDE * least else "linear"


def slices(frame: pd.DataFrame, best: int, scales: Mapping[str, Scale], sweep: Sweep) -> Figure:
    """Draw the metric by the values of each key.

    Parameters
    ----------
    frame, best, sweep
        As in :func:`history`.
    scales : mapping
        Scale by key.
    """
    columns = min(PANELS, len(scales))
    rows = -(-len(scales) // columns)
    figure, axes = canvas(1 + 2.3 * columns, 2.4 * rows, rows, columns, sharey=True)
    for axis in axes.flat[len(scales) :]:
        axis.set_axis_off()
    for (key, placed), axis in zip(scales.items(), axes.flat, strict=False):
        _points(axis, placed.positions, frame, best)
        axis.set(xlabel=key, yscale=_stretch(frame), xscale="log" if placed.log else "linear")
        if placed.names:
            axis.set_xticks(
                range(len(placed.names)), [plain(name) for name in placed.names], rotation=30 * (len(placed.names) > 3)
            )
            axis.set_xlim(-0.5, len(placed.names) - 0.5)
    for axis in axes[:, 0]:
        axis.set_ylabel(sweep.metric)
    return figure


def parallel(frame: pd.DataFrame, best: int, scales: Mapping[str, Scale], sweep: Sweep) -> Figure:
    """Draw each trial as a line through its values and its metric.

    Parameters
    ----------
    frame, best, scales, sweep
        As in :func:`slices`.
    """
    figure, axes = canvas(1.5 + 1.7 * len(scales), 3)
    axis = axes[0, 0]
    all_scales = {**scales, sweep.metric: Scale(frame["value"].to_numpy(), [], _stretch(frame) == "log")}
    heights = np.column_stack([_draw_scale(axis, place, placed) for place, placed in enumerate(all_scales.values())])
    rank = frame["value"].rank(pct=True, ascending=sweep.goal == "minimize").to_numpy()
    for line, trial, state, place in zip(heights, frame["trial"], frame["state"], rank, strict=True):
        colour, width = (RAISE, 2) if trial == best else (mpl.colormaps["viridis"](place * 0.9), 1)
        style = "-" if state == "complete" else ":"
        axis.plot(line, color=colour, linewidth=width, linestyle=style, alpha=0.8, zorder=2 + (trial == best))
    axis.set(xlim=(-0.2, len(all_scales) - 0.5), ylim=(-0.05, 1.05), yticks=[])
    axis.set_xticks(range(len(all_scales)), all_scales, rotation=15)
    axis.spines[:].set_visible(False)
    return figure


def _draw_scale(axis: Axes, place: int, placed: Scale) -> np.ndarray:
    """Draw a vertical axis; give the heights of its trials, 0 to 1 ``(trials,)``."""
    positions = np.log(placed.positions) if placed.log else placed.positions
    low, high = (0, len(placed.names) - 1) if placed.names else (positions.min(), positions.max())
    span = high - low
    labels = dict(enumerate(placed.names)) or {end: f"{np.exp(end) if placed.log else end:.3g}" for end in (low, high)}
    axis.axvline(place, color=GREY, linewidth=0.8, zorder=1)
    for position, label in labels.items():
        height = (position - low) / span if span else 0.5
        behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
        axis.text(place + 0.03, height, plain(label), fontsize="small", va="center", zorder=4, bbox=behind)
    return (positions - low) / span if span else np.full(len(positions), 0.5)


def bars(shares: Mapping[str, float]) -> Figure:
    """Draw how much each key matters.

    Parameters
    ----------
    shares : mapping
        From :func:`importance`.
    """
    figure, axes = canvas(6, 0.6 + 0.3 * len(shares))
    names = list(shares)[::-1]
    axes[0, 0].barh(names, [shares[name] for name in names], color=GREY)
    axes[0, 0].set(xlabel="importance", xlim=(0, 1))
    return figure
