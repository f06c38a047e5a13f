"""How well models predict."""

from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pyarrow.parquet as pq

from rnalm.config import contract
from rnalm.config.contract import picture_name
from rnalm.files import read_json
from rnalm.labels import metrics
from rnalm.labels.labels import Labels
from rnalm.prediction import measure
from rnalm.prediction.columns import label_columns, score_columns
from rnalm.report import curves, figures
from rnalm.report.blocks import Block, Section, by_class, number, picture
from rnalm.report.job import Job, Query
from rnalm.report.training import MAIN


def predictions(job: Job, query: Query) -> Section:
    """Show what was predicted and, where there are labels, how well.

    Parameters
    ----------
    job : Job
        What the report is made of.
    query : Query
        Whose predictions are shown.
    """
    meaning, results = job.meaning, read_json(query.results)
    numbers = meaning.task == "regression"
    measured, scores = _measured(query.predictions, job.meanings, _models(job, query), meaning)
    compared = job.compared(query)
    bar, bars = _measured(compared[0], [compared[1]], {"baseline": []}, compared[1]) if compared else ([], {})
    blocks = [_regressed(job, query, results)] if numbers else _classified(job, query, measured, bar)
    if scores and bars:
        blocks.insert(0, _against_baseline(_together(job), next(iter(scores.values())), bars["baseline"]))
    if each := results.get("per_class", results.get("per_target")):
        blocks.insert(1 + bool(bars), by_class(each, "target" if numbers else "class"))
    if len(scores) > 1:
        blocks.append(_models_table(scores | bars, folded=f"Metrics of each {job.unit(query)}"))
    return Section(query.title("Predictions"), [Block(links=tables_beside(job, query)), *blocks])


def tables_beside(job: Job, query: Query) -> list[tuple[str, str]]:
    """List the tables of predictions: names, and where they lie beside the report.

    Parameters
    ----------
    job : Job
        What the report is made of.
    query : Query
        What was predicted.
    """
    folder = Path(query.predictions).parent
    return [(path.name, job.place(path)) for path in sorted(folder.iterdir()) if path.suffix in (".csv", ".parquet")]


def _places(job: Job, query: Query) -> dict[str, str]:
    """Tell where the page of each scored sequence is, beside the folder of pictures; of several modes, that of the first."""
    if not query.scores:
        return {}
    table = next(iter(query.scores.values()))
    page = job.place(Path(table).with_suffix(".html"))
    scored: set[str] = set()
    for batch in pq.ParquetFile(table).iter_batches(columns=["sequence"]):
        scored.update(batch.column(0).unique().to_pylist())
    return {name: f"../{page}#{quote(name, safe='')}" for name in scored}


def _measured(
    path: str, meanings: list[Labels], models: dict[str, list[int]], meaning: Labels
) -> tuple[list[measure.Measured], dict[str, dict[str, float]]]:
    """Measure what models predicted for rows with labels: what can be drawn of classes, and metrics, by name."""
    measured, scores = [], {}
    if meaning.task == "multilabel":
        for one, means in measure.measure_labels(path, meanings, models, meaning):
            measured.append(one)
            scores[one.name] = means
        return measured, scores
    for name, truth, predicted in measure.read(path, meaning, models):
        measured += [] if meaning.task == "regression" else [measure.measure(name, truth, predicted)]
        scores[name] = getattr(metrics, meaning.task)(truth, predicted) | {"rows": len(truth)}
    return measured, scores


def _together(job: Job) -> str:
    """Name what predicts in the end."""
    return "models and baseline" if job.stacks else "models"


def _against_baseline(who: str, models: dict[str, float], bar: dict[str, float]) -> Block:
    """Put the metrics of all that predict beside those of the baselines."""
    text = (
        "The baseline is a regression, or gradient boosting, on how often short runs of letters occur, on lengths and on "
        "triplets in frame; it learned from the same rows, and predicts the same ones. What a network adds is the difference."
    )
    rows = [
        [name.replace("_", " "), number(value), number(bar[name]), f"{value - bar[name]:+.3f}"]
        for name, value in models.items()
        if name in MAIN and name in bar
    ]
    return Block(text=text, table={"columns": ["metric", who, "baseline", "difference"], "rows": rows})


def _models(job: Job, query: Query) -> dict[str, list[int]]:
    """Name all models together, and, if there are several, those of each fold or else each; with their numbers."""
    count, unit = len(job.models), job.unit(query)
    if count == 1 and not job.stacks:
        return {"all rows": []}
    together = "pooled" if unit == "fold" else "models and baselines" if job.stacks else f"mean of {count} models"
    return {together: []} | (job.by_fold if job.summary else {f"model {k}": [k] for k in range(count)})


def _models_table(scores: dict[str, dict[str, float]], folded: str) -> Block:
    table = pd.DataFrame.from_dict(scores, orient="index")
    table = table[[name for name in table if name in (*MAIN, "rows")]]
    rows = [[name, *map(number, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    return Block(table={"columns": ["", *(name.replace("_", " ") for name in table)], "rows": rows}, folded=folded)


def _regressed(job: Job, query: Query, results: dict) -> Block:
    meaning, caption = job.meaning, _who_predicts(job, query)
    frames: dict = {"": pd.read_parquet(query.predictions, columns=["id", "label", "pred"])}
    frames[""]["place"] = frames[""]["id"].map(_places(job, query)).astype(object).where(lambda place: place.notna(), None)
    if meaning.several:
        columns = list(zip(meaning.classes, label_columns(meaning), score_columns(meaning), strict=True))[: figures.MOST_PANELS]
        frames = {
            name: pd.read_parquet(query.predictions, columns=own)[own].set_axis(["label", "pred"], axis=1)
            for name, *own in columns
        }
        if (count := len(meaning.classes)) > len(frames):
            caption += f" Of {count} targets the first {len(frames)} are shown."
    shown = results.get("per_target", {"": results})
    if (compared := job.compared(query)) and not meaning.several:
        frames = {_together(job): frames[""], "baseline": pd.read_parquet(compared[0], columns=["label", "pred"])}
        shown = {_together(job): results, "baseline": read_json(f"{job.baseline}/{contract.RESULTS}")}
    drawn = figures.regression(frames, shown, meaning.scaler.method == "log", job.label)
    return picture(job.figures, picture_name("predictions", query.name), drawn, caption)


def _classified(job: Job, query: Query, measured: list[measure.Measured], bar: list[measure.Measured]) -> list[Block]:
    classes, unit, caption = job.meaning.classes, job.unit(query), _who_predicts(job, query)
    pooled, each = (measured[0], measured[1:]) if measured else (None, [])
    if pooled is None:
        predicted = pd.read_parquet(query.predictions, columns=["pred"])["pred"]
        if job.meaning.task == "multilabel":
            predicted = predicted.str.split(";").explode()
        drawn = curves.unlabelled(predicted.tolist(), classes)
    else:
        draw = curves.labels if job.meaning.task == "multilabel" else curves.classification
        drawn = draw(pooled, each, classes, unit, *bar)
        caption = f"{caption} {curves.explain(pooled, each, classes, unit)}"
    blocks = [picture(job.figures, picture_name("predictions", query.name), drawn, caption)]
    if len(job.models) > 1 and job.meaning.task == "classification":
        caption = (
            f"True against most probable classes, of the rows that the model{' of the fold' * (unit == 'fold')} predicted."
        )
        if len(each) > curves.MAX_MATRICES:
            caption += f" Of {len(each)} {unit}s the first {curves.MAX_MATRICES} are shown."
        drawn = curves.confusions(each, classes)
        matrices = picture(
            job.figures, picture_name("confusion", query.name), drawn, caption, folded=f"Confusion of each {unit}"
        )
        # Without labels, only the rule wants the picture.
        blocks += [matrices] if each else []
    return blocks


def _who_predicts(job: Job, query: Query) -> str:
    if job.stacks:
        who = "that did not see it, and the baselines of their folds," if job.unit(query) == "fold" else "and baselines"
        return f"Each sequence is predicted by the models {who} by weights that validation rows tell."
    if job.unit(query) == "fold":
        return "Each sequence is predicted by the models that did not see it; where several did not, by their mean."
    count = len(job.models)
    return (
        f"Each sequence is predicted by the mean of {count} models."
        if count > 1
        else "Each sequence is predicted by the model."
    )
