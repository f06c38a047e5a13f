"""What the page that compares experiments shows: sections made of the numbers and of the experiments."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import yaml

from rnalm.labels import metrics
from rnalm.prediction import measure, paired
from rnalm.prediction.finished import Finished
from rnalm.report import compared, figures
from rnalm.report.blocks import Block, Section, drawn, number

#: Sequences whose scores agree least, of each mode.
LEAST = 10


def signed(value: float | None) -> str:
    """Write a difference, with its sign.

    Parameters
    ----------
    value : float or None
        The difference.

    Examples
    --------
    >>> signed(0.25), signed(-0.25), signed(0.0), signed(None)
    ('+0.250', '−0.250', '0.000', '–')
    """
    text = number(None if value is None else abs(value))
    return text if not value or np.isnan(value) else f"{'+' if value > 0 else '−'}{text}"


def _spread(apart: float | None, low: float | None, high: float | None) -> str:
    """Write a difference and its interval."""
    return signed(apart) + (f" ({signed(low)} to {signed(high)})" if low is not None else "")


def rows(found: dict, names: Sequence[str], experiments: Sequence[Finished], rows: paired.Common) -> Section:
    """Show differences over the rows that all have predicted.

    Parameters
    ----------
    found : dict
        The numbers, from :func:`rnalm.report.comparison.write`.
    names : sequence of str
        Of the experiments, the first of which the others are compared with.
    experiments : sequence of Finished
        What is compared.
    rows : Common
        Over which rows.
    """
    counts = found["rows"]
    others = ", ".join(f"{count:,} of {name}" for name, count in zip(names, counts["not_common"], strict=True))
    text = (
        f"{counts['common']:,} labelled test rows, in {counts['groups']:,} groups, were predicted in all experiments by models "
        f"that had not seen them. Left out are {others}"
        + (f"; of these {counts['labels_differ']:,} as their labels differ. " if counts["labels_differ"] else ". ")
        + f"Intervals hold 95% of {found['resamples']:,} paired resamples of whole groups; each stands for itself alone."
    )
    table = [
        [metric.replace("_", " "), *map(number, of["values"]), *map(_spread, of["difference"], of["low"], of["high"])]
        for metric, of in found["metrics"].items()
    ]
    columns = ["metric", *names, *(f"{name} − {names[0]}" for name in names[1:])]
    caption = f"Differences from {names[0]}, and their intervals. A line at 0 stands for no difference."
    blocks = [Block(text=text, table={"columns": columns, "rows": table})]
    blocks += [drawn(compared.intervals(found["metrics"], names), caption), _predicted(experiments, names, rows)]
    return Section("The same rows", blocks)


def _predicted(experiments: Sequence[Finished], names: Sequence[str], rows: paired.Common) -> Block:
    """Draw predictions for the rows in common: of numbers against the labels, of classes as curves."""
    labels = experiments[0].labels
    if labels.task == "regression":
        frames: dict[str, pd.DataFrame] = {}
        for target, truth, predicted in rows.outputs(experiments):
            for name, own in zip(names, predicted, strict=True):
                if len(frames) < figures.MOST_PANELS:
                    frames[f"{target}, {name}" if target else name] = pd.DataFrame({"label": truth, "pred": own})
        known = {name: frame.dropna().to_numpy() for name, frame in frames.items()}
        titles = {name: metrics.regression(*values.T) for name, values in known.items()}
        caption = "Predicted against true numbers of the same rows."
        if (panels := labels.n_outputs * len(names)) > len(frames):
            caption += f" Of {panels} panels the first {len(frames)} are shown."
        return drawn(figures.regression(frames, titles, labels.scaler.method == "log"), caption)
    curves: list[list[dict[str, np.ndarray]]] = [[] for _ in names]
    for _, truth, predicted in rows.outputs(experiments):
        for k, own in enumerate(predicted):
            curves[k] += _curves(truth, own, labels.measured if labels.task == "classification" else None)
    lines = {
        name: {kind: _mean([one[kind] for one in own]) for kind in ("roc", "pr")}
        for name, own in zip(names, curves, strict=True)
    }
    of = (
        f"{labels.classes[1]} against {labels.classes[0]}"
        if labels.task == "classification" and len(labels.classes) == 2
        else ""
    )
    return drawn(compared.told_apart(lines), f"Curves over the same rows, {f'of {of}' if of else 'the mean of all classes'}.")


def _curves(truth: np.ndarray, scores: np.ndarray, classes: list[int] | None) -> list[dict[str, np.ndarray]]:
    """Measure the curves of a class with negatives of its own or, of classes of which one is right, of each."""
    if classes is None:
        known = ~np.isnan(truth)
        return [measure.measure_class(truth[known] == 1, scores[known])[0]]
    return [measure.measure_class(truth == c, scores[:, c])[0] for c in classes]


def _mean(lines: list[np.ndarray]) -> np.ndarray:
    """Average the curves that there are."""
    known = [line for line in lines if np.isfinite(line).any()]
    return np.mean(known, axis=0) if known else np.full(len(measure.GRID), np.nan)


def folds(found: dict[str, dict], names: Sequence[str]) -> Section:
    """Show differences over the folds that have the same test rows in all.

    Parameters
    ----------
    found : dict
        From :func:`rnalm.prediction.paired.by_fold`.
    names : sequence of str
        Of the experiments, the first of which the others are compared with.
    """
    title = "The same folds"
    if not found:
        return Section(title, [Block(text="No fold has the same test rows in all experiments.")])
    folds = next(iter(found.values()))["folds"]
    text = (
        f"{len(folds)} folds have the same test rows in all experiments. Means of differences, with 95% intervals of the "
        "corrected resampled t-test where there are two folds or more: it allows for training rows that folds share."
    )
    means = [
        [
            metric.replace("_", " "),
            *(number(float(np.mean(own))) for own in of["values"]),
            *map(_spread, of["difference"], of["low"], of["high"]),
        ]
        for metric, of in found.items()
    ]
    columns = ["metric", *names, *(f"{name} − {names[0]}" for name in names[1:])]
    single = [
        [f"{metric.replace('_', ' ')}, fold {fold}", *(number(own[k]) for own in of["values"])]
        for metric, of in found.items()
        for k, fold in enumerate(folds)
    ]
    each = Block(folded="Each fold", table={"columns": ["metric", *names], "rows": single})
    return Section(title, [Block(text=text, table={"columns": columns, "rows": means}), each])


def learned(experiments: Sequence[Finished], config: dict | None) -> Section:
    """Draw how models learned.

    Parameters
    ----------
    experiments : sequence of Finished
        What is compared.
    config : dict or None
        The configuration of the first, if it is known.
    """
    histories = {one.name: one.histories() for one in experiments}
    entries = [[entry for history in of.values() for entry in history] for of in histories.values()]
    logged = [{key.removeprefix("eval_") for entry in own for key in entry if key.startswith("eval_")} for own in entries]
    wanted = [config["finetune"]["metric"]] if config else []
    wanted = ["loss", *wanted, *paired.COMPARED[experiments[0].labels.task][:2]]
    shown = [name for name in dict.fromkeys(wanted) if all(name in of for of in logged)][:3]
    if not shown:
        return Section("Training", [Block(text="No metric of validation was noted in all experiments.")])
    by = "epoch" if all("epoch" in entry for own in entries for entry in own) else "step"
    caption = (
        "On validation rows, which need not be the same. Thin lines are single models, thick ones the mean of an experiment."
    )
    return Section("Training", [drawn(compared.learned(histories, shown, by), caption)])


def scores(tables: dict[str, dict[str, pd.DataFrame]], summaries: dict[str, dict], names: Sequence[str]) -> Section:
    """Show how far scores of the same tokens agree.

    Parameters
    ----------
    tables : dict
        By mode and name, from :func:`rnalm.scoring.agreement.agreement`.
    summaries : dict
        What they come to, by mode and name.
    names : sequence of str
        Of the experiments, the first of which the others are compared with.
    """
    rows, blocks = [], []
    for mode, of in tables.items():
        for name, table in of.items():
            summary = summaries[mode][name]
            middle = [_quartiles(summary[key]) for key in ("pearson", "spearman")]
            rows.append([mode, name, *(number(summary[key]) for key in ("sequences", "scores")), *middle])
            least = table.dropna().nsmallest(LEAST, "pearson")
            cells = [[name_of, *map(number, values)] for name_of, *values in least.itertuples(index=False)]
            columns = ["sequence", "scores", "Pearson", "Spearman"]
            blocks += (
                [Block(folded=f"{mode}: where {name} agrees least", table={"columns": columns, "rows": cells})] if cells else []
            )
    columns = ["mode", "experiment", "sequences in common", "scores in common", "Pearson", "Spearman"]
    text = (
        f"Scores of the same tokens, sequence by sequence, correlated with those of {names[0]}: the median over sequences, and "
        "the quartiles. Sequences of fewer than three scores in common, or whose scores are all equal, have no correlation."
    )
    shown = {
        mode: {names[0]: np.array([]), **{name: of[name]["pearson"].dropna().to_numpy() for name in names[1:] if name in of}}
        for mode, of in tables.items()
    }
    whole = {mode: of for mode, of in shown.items() if len(of) == len(names) and any(map(len, of.values()))}
    pictures = [drawn(compared.alike(whole), "How many sequences have which correlation.")] if whole else []
    return Section("Scores", [Block(text=text, table={"columns": columns, "rows": rows}), *pictures, *blocks])


def _quartiles(found: Mapping[str, float] | None) -> str:
    return f"{number(found['median'])} ({number(found['lower'])} to {number(found['upper'])})" if found else "–"


def configurations(found: dict, names: Sequence[str]) -> Section:
    """List the keys that differ.

    Parameters
    ----------
    found : dict
        The numbers, from :func:`rnalm.report.comparison.write`.
    names : sequence of str
        Of the experiments, the first of which the others are compared with.
    """
    known = [name for name in names if name not in found["configuration_unknown"]]
    blocks = []
    if found["configuration_unknown"]:
        text = f"Not known of {', '.join(found['configuration_unknown'])}: it is noted when a report is written, and none was."
        blocks.append(Block(text=text))
    if found["configuration"]:
        rows = [[key, *map(_written, values)] for key, values in found["configuration"].items()]
        blocks.append(
            Block(text="Keys that differ, but for output and report.", table={"columns": ["key", *known], "rows": rows})
        )
    elif len(known) > 1:
        blocks.append(Block(text="They do not differ, but perhaps for output and report."))
    return Section("Configurations", blocks)


def _written(value: object) -> str:
    """Write a value as a configuration has it, in one line; a long one is cut."""
    text = re.sub(
        r"\s+", " ", yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6).removesuffix("...\n")
    ).strip()
    return text if len(text) <= 60 else f"{text[:59]}…"
