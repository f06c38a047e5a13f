"""Results ─► one HTML file that a biologist can read, and its pictures."""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml
from jinja2 import Environment
from matplotlib.colors import to_hex

import rnalm
from rnalm import datasets, encode, figures
from rnalm.files import read_json, replacing
from rnalm.labels import Labels
from rnalm.perturb import merge, summary
from rnalm.perturb.summary import Profile

#: Metrics that the first table shows; the rest are a click away.
MAIN = ("mse", "mae", "r2", "pearson", "spearman", "accuracy", "f1_macro", "f1_weighted", "roc_auc", "pr_auc")
#: A letter track has no more tokens than this.
MAX_LETTERS = 5000

MODES = {
    "remove": "each token is deleted, and what stands right of it moves up",
    "mask": "each token is blanked",
    "replace": "each token is exchanged for others; the mean over its replacements is drawn",
}


@dataclass(frozen=True)
class Query:
    """What was predicted and interpreted together.

    Attributes
    ----------
    name : str
        Of the source.
    encoded, predictions, results : str
        Files.
    scores : dict
        Merged leave-one-out scores by mode.
    """

    name: str
    encoded: str
    predictions: str
    results: str
    scores: dict[str, str]


@dataclass(frozen=True)
class Job:
    """What a report is made of.

    Attributes
    ----------
    config : dict
        The whole configuration.
    source : str or None
        The encoded source of the experiment.
    models : list of str
        Model folders.
    summary : str or None
        ``summary.csv`` of the folds trained here.
    queries : list of Query
    figures : str
        Folder for the pictures.
    """

    config: dict
    source: str | None
    models: list[str]
    summary: str | None
    queries: list[Query]
    figures: str


@dataclass
class Block:
    """A piece of a section: text, table, picture, coloured letters or code."""

    heading: str = ""
    text: str = ""
    table: dict | None = None
    figure: str = ""
    caption: str = ""
    letters: list[dict] = field(default_factory=list)
    code: str = ""
    folded: str = ""


@dataclass
class Section:
    """A part of the report."""

    title: str
    blocks: list[Block]


def write(job: Job, output: str | Path) -> None:
    """Write the report and its pictures."""
    sections = [_data(job)]
    if job.summary is not None:
        sections.append(_training(job))
    for query in job.queries:
        sections.append(_predictions(job, query))
        sections += [_interpretation(job, query, mode) for mode in query.scores]
    sections.append(_reproduce(job))
    template = Environment(autoescape=True, trim_blocks=True).from_string(files(rnalm).joinpath("report.html").read_text())
    html = template.render(title=job.config["report"]["title"], lead=_lead(job), cards=_cards(job), sections=sections)
    with replacing(output) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _picture(job: Job, name: str, figure, caption: str, **kwargs) -> Block:
    path = Path(job.figures) / f"{name}.svg"
    figures.save(figure, path)
    svg = path.read_text(encoding="utf-8")
    return Block(figure=svg[svg.index("<svg") :], caption=caption, **kwargs)


def _lead(job: Job) -> str:
    count = len(job.models)
    lead = f"{job.config['task'].capitalize()} with {count} model{'s' if count > 1 else ''}."
    if job.summary is None:
        return f"{lead} Predictions are those of trained models; nothing was trained here."
    if any(query.name == "source" for query in job.queries):
        return f"{lead} Predictions and scores are of held-out sequences: neither training nor model selection has seen them."
    return f"{lead} There are no test rows: metrics are those of the validation rows that selected the models."


def _cards(job: Job) -> list[tuple[str, str]]:
    found = [encode.metadata(path) for path in ([job.source] if job.source else [query.encoded for query in job.queries])]
    model = read_json(Path(job.models[0]) / "config.json")
    cards = [
        ("sequences", f"{sum(entry['sequences'] for entry in found):,}"),
        ("tokens", f"{sum(entry['tokens'] for entry in found):,}"),
        ("longest (tokens)", f"{max(entry['longest'] for entry in found):,}"),
        ("architecture", model["model_type"].capitalize()),
        ("models", f"{len(job.models)}"),
    ]
    if cut := sum(entry["truncated"] for entry in found):
        cards.insert(3, ("cut to the block size", f"{cut:,}"))
    return cards


def _data(job: Job) -> Section:
    path = job.source or job.queries[0].encoded
    labels = datasets.column(path, "label").to_pandas()
    figure = figures.data(datasets.lengths(path), labels, _meaning(job).scaler.method == "log")
    return Section("Data", [_picture(job, "data", figure, "How long the sequences are, and what the model learns to predict.")])


def _training(job: Job) -> Section:
    table = pd.read_csv(job.summary, index_col="metric")
    main = table[[name.partition("_")[0] in ("eval", "test") and name.partition("_")[2] in MAIN for name in table.index]]
    tested = any(name.startswith("test_") for name in main.index)
    shown = main[main.index.str.startswith("test_" if tested else "eval_")]
    histories = [read_json(Path(model) / "trainer_state.json")["log_history"] for model in job.models]
    curves = figures.learning_curves(histories, job.config["finetune"]["metric"])
    part = "test" if tested else "validation"
    units = ", in the units of the labels" if job.config["task"] == "regression" else ""
    return Section(
        "Training",
        [
            Block(text=f"Metrics on the {part} rows of each fold{units}.", table=_metrics_table(shown)),
            Block(folded="All figures of all folds", table=_metrics_table(table)),
            _picture(job, "learning_curves", curves, "One colour a model. The epoch with the best validation metric is kept."),
        ],
    )


def _metrics_table(table: pd.DataFrame) -> dict:
    def cells(row: pd.Series) -> list[str]:
        folds = [_number(row[name]) for name in table.columns if name.startswith("fold_")]
        spread = "" if pd.isna(row["sd"]) else f" ± {_number(row['sd'])}"
        return [row.name.replace("_", " "), f"{_number(row['mean'])}{spread}", *folds]

    names = [name.replace("_", " ") for name in table.columns if name.startswith("fold_")]
    return {"columns": ["metric", "mean ± sd", *names], "rows": [cells(row) for _, row in table.iterrows()]}


def _number(value: float) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 2 else f"{value:.3f}"


def _predictions(job: Job, query: Query) -> Section:
    classes = _meaning(job).classes
    wanted = ["label", "pred", *(f"prob_{name}" for name in classes)]
    frame = pd.read_parquet(query.predictions, columns=wanted)
    results = read_json(query.results)
    if classes:
        figure = figures.classification(frame, classes)
    else:
        figure = figures.regression(frame, results, _meaning(job).scaler.method == "log")
    caption = _who_predicts(job, query)
    blocks = [_picture(job, f"predictions_{query.name}", figure, caption)]
    if per_class := results.get("per_class"):
        rows = [[name, *(_number(value) for value in scores.values())] for name, scores in per_class.items()]
        blocks.append(Block(table={"columns": ["class", "precision", "recall", "F1", "rows"], "rows": rows}))
    return Section(_title("Predictions", query), blocks)


def _meaning(job: Job) -> Labels:
    return Labels.load(Path(job.models[0]) / "labels.json")


def _who_predicts(job: Job, query: Query) -> str:
    if query.name == "source" and job.summary:
        return "Each sequence is predicted by the models that did not see it; where several did not, by their mean."
    count = len(job.models)
    return (
        f"Each sequence is predicted by the mean of {count} models."
        if count > 1
        else "Each sequence is predicted by the model."
    )


def _title(stage: str, query: Query) -> str:
    return stage if query.name == "source" else f"{stage}: {query.name}"


def _interpretation(job: Job, query: Query, mode: str) -> Section:
    annotations = job.config["report"]["annotations"]
    elements = summary.read_bed(annotations) if annotations else None
    found = summary.summarize(merge.read(query.scores[mode]), _extremes(job, query, mode), elements)
    blocks = [
        Block(
            text=f"{found.scores:,} scores of {found.sequences:,} sequences: {MODES[mode]}. {_explained(job)}"
            "A score (loo) is the prediction for the changed sequence minus that for the original: "
            "below 0, the token holds the prediction up; above 0, it holds it down."
        )
    ]
    if found.elements is not None:
        blocks.append(_elements(found.elements, annotations))
    drawn = figures.profiles(found.profiles, elements)
    blocks.append(
        _picture(
            job,
            f"profiles_{mode}_{query.name}",
            drawn,
            "The sequences with the lowest and highest predictions. "
            "Blue: changing the token lowers the prediction; red: it raises it.",
            heading="Profiles",
        )
    )
    if found.profiles:
        blocks.append(Block(letters=[_letters(profile) for profile in found.profiles], folded="The same, letter by letter"))
    name = f"positions_{mode}_{query.name}"
    caption = "Mean size of the scores along the sequence, from its 5′ to its 3′ end."
    blocks.append(_picture(job, name, figures.positions(found.position, found.exchanges), caption, heading="Position"))
    return Section(_title(f"Leave-one-out: {mode}", query), blocks)


def _explained(job: Job) -> str:
    """Say of which class the scores are, for classification."""
    if job.config["task"] == "regression":
        return ""
    explain = job.config["interpret"]["explain"]
    which = "the predicted class" if explain in ("predicted", "all") else f"class {explain!r}"
    return f"The prediction is the {job.config['interpret']['scale']} of {which}. "


def _extremes(job: Job, query: Query, mode: str) -> list[str]:
    """Choose the scored sequences with the lowest and highest predictions (for classes: the most certain ones)."""
    count = job.config["report"]["profiles"]
    scored: set[str] = set()
    for batch in pq.ParquetFile(query.scores[mode]).iter_batches(columns=["sequence"]):
        scored.update(batch.column(0).unique().to_pylist())
    column = next((f"prob_{name}" for name in _meaning(job).classes[-1:]), "pred")
    frame = pd.read_parquet(query.predictions, columns=["id", column]).set_index("id")[column]
    ordered = frame[frame.index.isin(scored)].sort_values(kind="stable").index.tolist()
    low = ordered[: count // 2]
    return low + [name for name in ordered[::-1][: count - len(low)] if name not in low]


def _elements(found: dict[str, float], annotations: str) -> Block:
    rows = [
        ["AUROC of |loo|", _number(found["auroc"]), "0.5"],
        ["AUROC of the top decile of |loo|", _number(found["auroc_top_decile"]), "0.5"],
        ["share of element tokens in the top decile of |loo|", _number(found["recall_top_decile"]), "0.1"],
    ]
    text = f"Do large scores point at the known elements in {Path(annotations).name}? {found['element_tokens']:,} of "
    text += f"{found['tokens']:,} scored tokens are in one."
    if not found["element_tokens"]:
        text += " Are its sequences named as in the source?"
    return Block(heading="Known elements", text=text, table={"columns": ["", "found", "by chance"], "rows": rows})


def _letters(found: Profile) -> dict:
    limit = max(np.abs(found.loo).max(initial=0), 1e-12)
    colours = mpl.colormaps["RdBu_r"](0.5 + 0.45 * found.loo / limit)
    rows = list(zip(found.tokens, found.starts, found.loo, colours, strict=True))[:MAX_LETTERS]
    tokens = [(token, to_hex(colour), f"{start} {token}: {loo:+.3g}") for token, start, loo, colour in rows]
    return {"name": found.sequence, "tokens": tokens}


def _reproduce(job: Job) -> Section:
    text = f"Made with rnalm {rnalm.__version__}. The same configuration on the same machine gives the same results."
    code = yaml.safe_dump(job.config, sort_keys=False, allow_unicode=True)
    return Section(
        "How this was made", [Block(text=text), Block(code=code, folded="The whole configuration, defaults included")]
    )
