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
from rnalm import compare, curves, datasets, encode, figures, metrics, spectra
from rnalm.files import read_json, replacing
from rnalm.labels import Labels
from rnalm.perturb import merge, summary
from rnalm.perturb.summary import Profile

#: Metrics that the first table shows; the rest are a click away.
MAIN = ("mse", "mae", "r2", "pearson", "spearman", "accuracy", "f1_macro", "f1_weighted", "roc_auc", "pr_auc")
#: A letter track has no more tokens than this.
MAX_LETTERS = 5000

#: What is done to each token or, at level base, to each letter.
MODES = {
    "remove": "each {0} is deleted, and what stands right of it moves up",
    "mask": "each {0} is blanked",
    "replace": "each {0} is exchanged for others; the mean over its replacements is drawn",
    "integrated_gradients": "what each token adds on the way from a sequence of [PAD] alone",
}

#: How to read a score, and the colours of a profile.
CHANGED = (
    "A score (loo) is the prediction for the changed sequence minus that for the original: "
    "below 0, the {0} holds the prediction up; above 0, it holds it down.",
    "Blue: changing the {0} lowers the prediction; red: it raises it.",
)
ADDED = (
    "Scores of a sequence add up, but for the error of the numerical integral, to the difference of its prediction "
    "from that for [PAD] alone: above 0, the token raises the prediction; below 0, it lowers it.",
    "Red: the token raises the prediction; blue: it lowers it.",
)


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
    pretrained : str or None
        Folder of the model that was pretrained here.
    spectra : str or None
        Folder of the comparison of the models' weights.
    """

    config: dict
    source: str | None
    models: list[str]
    summary: str | None
    queries: list[Query]
    figures: str
    pretrained: str | None = None
    spectra: str | None = None


@dataclass
class Block:
    """A piece of a section: text, table, picture, coloured letters or code; folded under a title, if it has one."""

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
    if job.pretrained is not None:
        sections.append(_pretraining(job))
    if job.summary is not None:
        sections.append(_training(job))
    for query in job.queries:
        sections.append(_predictions(job, query))
        sections += [_interpretation(job, query, mode) for mode in query.scores]
    if job.spectra is not None:
        sections.append(Section(spectra.TITLE, [Block(**block) for block in spectra.describe(job.spectra)]))
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


def _pretraining(job: Job) -> Section:
    found = read_json(Path(job.pretrained) / "eval_results.json")
    history = read_json(Path(job.pretrained) / "trainer_state.json")["log_history"]
    rows = [
        ["perplexity", _number(found["eval_perplexity"]), _number(found["baseline_perplexity"])],
        ["hidden tokens that are found", _number(found["eval_masked_accuracy"]), _number(found["baseline_masked_accuracy"])],
    ]
    text = (
        f"The model first learned to fill in hidden tokens. What it finds in {found['eval_rows']:,} sequences that it had not "
        "seen stands beside what one finds who knows only how frequent each token is. "
        "A perplexity of n is that of a guess among n equally likely tokens."
    )
    curves_of = curves.learning_curves({"pretraining": history}, "masked_accuracy")
    table = {"columns": ["", "model", "by frequencies alone"], "rows": rows}
    return Section("Pretraining", [Block(text=text, table=table), _picture(job, "pretraining", curves_of, "By epoch.")])


def _training(job: Job) -> Section:
    table = pd.read_csv(job.summary, index_col="metric")
    main = table[[name.partition("_")[0] in ("eval", "test") and name.partition("_")[2] in MAIN for name in table.index]]
    tested = any(name.startswith("test_") for name in main.index)
    shown = main[main.index.str.startswith("test_" if tested else "eval_")]
    histories = [read_json(Path(model) / "trainer_state.json")["log_history"] for model in job.models]
    drawn = curves.learning_curves(dict(zip(_names(job), histories, strict=True)), job.config["finetune"]["metric"])
    part = "test" if tested else "validation"
    units = ", in the units of the labels" if job.config["task"] == "regression" else ""
    return Section(
        "Training",
        [
            Block(text=f"Metrics on the {part} rows of each fold{units}.", table=_metrics_table(shown)),
            Block(folded="All figures of all folds", table=_metrics_table(table)),
            _picture(
                job,
                "learning_curves",
                drawn,
                "One colour a model, from the first (dark) to the last (light). "
                "The epoch with the best validation metric is kept.",
            ),
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
    meaning, results = _meaning(job), read_json(query.results)
    measured, found = [], {}
    for name, truth, predicted in compare.read(query.predictions, meaning, _models(job, query)):
        if meaning.classes:
            measured.append(compare.measure(name, truth, predicted))
        score = metrics.classification if meaning.classes else metrics.regression
        found[name] = score(truth, predicted) | {"rows": len(truth)}
    blocks = _classified(job, query, measured) if meaning.classes else [_regressed(job, query, results)]
    if per_class := results.get("per_class"):
        rows = [[name, *(_number(value) for value in scores.values())] for name, scores in per_class.items()]
        blocks.insert(1, Block(table={"columns": ["class", "precision", "recall", "F1", "rows"], "rows": rows}))
    if len(found) > 1:
        blocks.append(_models_table(found, folded=f"Metrics of each {_unit(job, query)}"))
    return Section(_title("Predictions", query), blocks)


def _unit(job: Job, query: Query) -> str:
    """Name what a model stands for: a fold, where it predicts only what its fold held out."""
    return "fold" if query.name == "source" and job.summary else "model"


def _models(job: Job, query: Query) -> dict[str, str]:
    """Name all models together and, if there are several, each; with the end of the names of their columns."""
    count, unit = len(job.models), _unit(job, query)
    if count == 1:
        return {"all rows": ""}
    together = "pooled" if unit == "fold" else f"mean of {count} models"
    names = _names(job) if job.summary else [f"model {k}" for k in range(count)]
    return {together: ""} | {name: f".{k}" for k, name in enumerate(names)}


def _names(job: Job) -> list[str]:
    """Name the models that were trained here."""
    return [f"fold {Path(model).name}" for model in job.models]


def _models_table(found: dict[str, dict[str, float]], folded: str) -> Block:
    table = pd.DataFrame.from_dict(found, orient="index")
    table = table[[name for name in table if name in (*MAIN, "rows")]]
    rows = [[name, *map(_number, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)]
    return Block(table={"columns": ["", *(name.replace("_", " ") for name in table)], "rows": rows}, folded=folded)


def _regressed(job: Job, query: Query, results: dict) -> Block:
    frame = pd.read_parquet(query.predictions, columns=["label", "pred"])
    drawn = figures.regression(frame, results, _meaning(job).scaler.method == "log")
    return _picture(job, f"predictions_{query.name}", drawn, _who_predicts(job, query))


def _classified(job: Job, query: Query, measured: list[compare.Measured]) -> list[Block]:
    classes, unit, caption = _meaning(job).classes, _unit(job, query), _who_predicts(job, query)
    together, each = (measured[0], measured[1:]) if measured else (None, [])
    if together is None:
        drawn = curves.unlabelled(pd.read_parquet(query.predictions, columns=["pred"])["pred"], classes)
    else:
        drawn = curves.classification(together, each, classes, unit)
        caption = f"{caption} {curves.explain(together, each, classes, unit)}"
    blocks = [_picture(job, f"predictions_{query.name}", drawn, caption)]
    if len(job.models) > 1:
        caption = (
            f"True against most probable classes, of the rows that the model{' of the fold' * (unit == 'fold')} predicted."
        )
        if len(each) > curves.MAX_MATRICES:
            caption += f" Of {len(each)} {unit}s the first {curves.MAX_MATRICES} are shown."
        matrices = _picture(
            job, f"confusion_{query.name}", curves.confusions(each, classes), caption, folded=f"Confusion of each {unit}"
        )
        # Without labels, only the rule wants the picture.
        blocks += [matrices] if each else []
    return blocks


def _meaning(job: Job) -> Labels:
    return Labels.load(Path(job.models[0]) / "labels.json")


def _who_predicts(job: Job, query: Query) -> str:
    if _unit(job, query) == "fold":
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
    what = {"token": "token", "base": "letter"}[job.config["interpret"]["level"]]
    reading, colours = (text.format(what) for text in (ADDED if mode == "integrated_gradients" else CHANGED))
    count = f"{found.scores:,} scores of {found.sequences:,} sequences"
    blocks = [Block(text=f"{count}: {MODES[mode].format(what)}. {_explained(job)}{reading}")]
    if found.elements is not None:
        blocks.append(_elements(found.elements, annotations))
    drawn = figures.profiles(found.profiles, elements)
    blocks.append(
        _picture(
            job,
            f"profiles_{mode}_{query.name}",
            drawn,
            f"The sequences with the lowest and highest predictions. {colours}",
            heading="Profiles",
        )
    )
    if found.profiles:
        blocks.append(Block(letters=[_letters(profile) for profile in found.profiles], folded="The same, letter by letter"))
    name = f"positions_{mode}_{query.name}"
    caption = "Mean size of the scores along the sequence, from its 5′ to its 3′ end."
    blocks.append(_picture(job, name, figures.positions(found.position, found.exchanges), caption, heading="Position"))
    title = "Integrated gradients" if mode == "integrated_gradients" else f"Leave-one-out: {mode}"
    return Section(_title(title, query), blocks)


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
