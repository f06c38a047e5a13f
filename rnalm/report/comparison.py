"""Several finished experiments ─► one page, and the same numbers for machines, that say which is better and by how much."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from rnalm.config import METRICS
from rnalm.files import write_json
from rnalm.prediction import finished, paired
from rnalm.prediction.finished import Finished
from rnalm.report import comparison_page as page
from rnalm.report.blocks import Block, Section, number, render
from rnalm.report.comparison_page import signed
from rnalm.scoring.agreement import agreement
from rnalm.scoring.table import PLACES


def write(
    folders: Sequence[str | Path],
    configs: Sequence[dict | None],
    output: str | Path,
    json: str | Path | None = None,
    resamples: int = 1000,
) -> list[str]:
    """Compare experiments with the first of them.

    Parameters
    ----------
    folders : sequence of path
        Of the experiments.
    configs : sequence
        The configuration of each, None where it is not known.
    output : path
        The page.
    json : path, optional
        Where the numbers of the page go.
    resamples : int
        How often the bootstrap draws.

    Returns
    -------
    list of str
        The verdicts, each a sentence.

    Raises
    ------
    RnalmError
        If they cannot be compared.
    """
    experiments = finished.read(folders)
    names = [one.name for one in experiments]
    labels, sequences = experiments[0].labels, experiments[0].labels.per == "sequence"
    rows = paired.common(experiments) if sequences else None
    found: dict[str, Any] = {
        "task": labels.task,
        "experiments": [{"name": one.name, "folder": str(one.folder)} for one in experiments],
    }
    if rows is not None:
        found["rows"] = {
            "common": len(rows.ids),
            "groups": int(rows.groups.max()) + 1,
            "not_common": rows.alone,
            "labels_differ": rows.changed,
        }
        found["resamples"], found["metrics"] = resamples, paired.differences(experiments, rows, resamples)
    found["folds"] = paired.by_fold(experiments)
    tables = _agreements(experiments)
    found["scores"] = {mode: {name: _summary(table) for name, table in of.items()} for mode, of in tables.items()}
    known = dict(zip(names, configs, strict=True))
    found["configuration"] = finished.differing(known)
    found["configuration_unknown"] = [name for name, config in known.items() if config is None]
    found["verdict"] = _verdicts(found, names, _deciding(found, configs[0]))
    sections = [Section("Verdict", [Block(text=sentence) for sentence in found["verdict"]])]
    sections += [page.rows(found, names, experiments, rows)] if rows is not None else []
    sections += [page.folds(found["folds"], names)]
    sections += [page.learned(experiments, configs[0])]
    sections += [page.scores(tables, found["scores"], names)] if tables else []
    sections += [page.configurations(found, names)]
    render(output, "Comparison of experiments", f"All are compared with {names[0]}.", _cards(found), sections)
    if json is not None:
        write_json(json, found)
    return found["verdict"]


def _cards(found: dict) -> list[tuple[str, str]]:
    cards = [("task", found["task"]), ("experiments", f"{len(found['experiments'])}")]
    if "rows" in found:
        cards += [("rows in common", f"{found['rows']['common']:,}"), ("groups of rows", f"{found['rows']['groups']:,}")]
    folds = next(iter(found["folds"].values()), {"folds": []})["folds"]
    return [*cards, ("folds in common", f"{len(folds)}")]


def _deciding(found: dict, config: dict | None) -> str | None:
    """Choose the metric of the verdict: that which selected the models, or the first that there is."""
    known = list(found.get("metrics") or found["folds"])
    wanted = config["finetune"]["metric"] if config else None
    preferred = [name for name in (wanted, *paired.COMPARED[found["task"]]) if name in known]
    return next(iter([*preferred, *known]), None)


def _verdicts(found: dict, names: Sequence[str], metric: str | None) -> list[str]:
    """Say of each experiment in a sentence whether it is better than the first."""
    if metric is None:
        return ["Nothing can be told: no fold has the same test rows in all experiments."]
    if "metrics" in found:
        of, where = found["metrics"][metric], f"over the {found['rows']['common']:,} test rows in common"
        values = of["values"]
    else:
        of = found["folds"][metric]
        where, values = (
            f"over {len(of['folds'])} fold{'s' * (len(of['folds']) > 1)} in common",
            [float(np.mean(own)) for own in of["values"]],
        )
    greater = METRICS[found["task"]][metric]
    each = zip(names[1:], values[1:], of["difference"], of["low"], of["high"], strict=True)
    return [_verdict(names[0], values[0], metric, greater, where, *one) for one in each]


def _verdict(
    first: str,
    base: float | None,
    metric: str,
    greater: bool,
    where: str,
    name: str,
    value: float | None,
    apart: float | None,
    low: float | None,
    high: float | None,
) -> str:
    """Say it of one experiment."""
    title = metric.replace("_", " ")
    if apart is None:
        return f"{name} and {first} cannot be told apart: {title} is not defined {where}."
    figures_of = f"{title} {number(value)} against {number(base)} {where}"
    if low is None or high is None:
        return f"{name} and {first}: {figures_of}, a difference of {signed(apart)}; there is too little for an interval."
    interval = f"a difference of {signed(apart)} (95% interval {signed(low)} to {signed(high)})"
    if low <= 0 <= high:
        return f"No difference between {name} and {first} can be told: {figures_of}, {interval}, which holds 0."
    better = (apart > 0) == greater
    return f"{name} is {'better' if better else 'worse'} than {first}: {figures_of}, {interval}."


def _agreements(experiments: Sequence[Finished]) -> dict[str, dict[str, pd.DataFrame]]:
    """Hold the scores of each experiment against those of the first, by mode and name; what has none is not there."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for mode, path in experiments[0].scores().items():
        for other in experiments[1:]:
            there = other.scores().get(mode)
            if there and not any(PLACES in pq.read_schema(each).names for each in (path, there)):
                found.setdefault(mode, {})[other.name] = agreement(path, there)
    return found


def _summary(table: pd.DataFrame) -> dict[str, Any]:
    """Say of correlations how many there are, and where most of them lie."""
    known = table.dropna(subset=["pearson"])
    found: dict[str, Any] = {"sequences": len(table), "correlated": len(known), "scores": int(table["scores"].to_numpy().sum())}
    for name in ("pearson", "spearman"):
        quartiles = known[name].quantile([0.25, 0.5, 0.75]).tolist()
        found[name] = dict(zip(("lower", "median", "upper"), quartiles, strict=True)) if len(known) else None
    return found
