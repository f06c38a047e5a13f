"""How models were pretrained and trained."""

from pathlib import Path

import pandas as pd

from rnalm.config import contract
from rnalm.config.contract import picture_name
from rnalm.files import read_json
from rnalm.report import curves
from rnalm.report.blocks import Block, Section, number, picture
from rnalm.report.job import Job

#: Metrics that the first table shows; the rest are a click away.
MAIN = ("mse", "mae", "r2", "pearson", "spearman", "accuracy", "f1_macro", "f1_weighted", "roc_auc", "pr_auc")


def pretraining(job: Job) -> Section:
    """Show what language models learned, beside what frequencies alone would tell.

    Parameters
    ----------
    job : Job
        What the report is made of; one model was pretrained here, or one for each fold.
    """
    results = pd.DataFrame([read_json(Path(folder) / contract.EVAL_RESULTS) for folder in job.pretrained])
    histories = [read_json(Path(folder) / contract.HISTORY)["log_history"] for folder in job.pretrained]
    settings, by_fold = job.config["pretrain"], job.config["pretrain"]["rows"] == "training"
    mean: dict[str, float] = results.mean().to_dict()
    rows = [
        ["perplexity", number(mean["eval_perplexity"]), number(mean["baseline_perplexity"])],
        ["hidden tokens that are found", number(mean["eval_masked_accuracy"]), number(mean["baseline_masked_accuracy"])],
    ]
    who = "The model" + (" of each fold" if by_fold else "")
    text = (
        f"{who} first learned to fill in hidden tokens. What it finds in {results['eval_rows'].min():,} sequences that it had "
        "not seen stands beside what one finds who knows only how frequent each token is. "
        "A perplexity of n is that of a guess among n equally likely tokens."
    )
    if by_fold:
        text += " It learned from the sequences that train its fold, and figures are the means of all folds."
    elif settings["source"] is None and not job.config["finetune"]["from_scratch"]:
        text += (
            " It has seen all sequences of the source, without their labels, those among them by which it is tested below: "
            "sequences that are new to it may be predicted less well. With pretrain.rows: training it would see none of these."
        )
    names = [f"fold {Path(folder).name}" if by_fold else "pretraining" for folder in job.pretrained]
    curves_of = curves.learning_curves(dict(zip(names, histories, strict=True)), "masked_accuracy", _measured_in(settings))
    table = {"columns": ["", "model", "by frequencies alone"], "rows": rows}
    return Section(
        "Pretraining",
        [Block(text=text, table=table), picture(job.figures, picture_name("pretraining"), curves_of, "By epoch.")],
    )


def training(job: Job) -> Section:
    """Show the metrics of each fold and the learning curves.

    Parameters
    ----------
    job : Job
        What the report is made of; its models were trained here.
    """
    assert job.summary is not None
    table = pd.read_csv(job.summary, index_col="metric")
    further = {kind: _of_kind(table, kind) for kind in ("baseline", "stack")}
    bar = further["baseline"]
    main = table[[name.partition("_")[0] in ("eval", "test") and name.partition("_")[2] in MAIN for name in table.index]]
    tested = main.index.str.startswith("test_").any()
    shown = main[main.index.str.startswith("test_" if tested else "eval_")]
    histories = [read_json(Path(model) / contract.HISTORY)["log_history"] for model in job.models]
    settings = job.config["finetune"]
    by = _measured_in(settings)
    drawn = curves.learning_curves(
        dict(zip(job.fold_names, histories, strict=True)), settings["metric"], by, bar["mean"].to_dict()
    )
    part = "test" if tested else "validation"
    folds = {name: [f"fold_{Path(job.models[k]).name}" for k in numbers] for name, numbers in job.by_fold.items()}
    by_fold = pd.DataFrame({name.replace(" ", "_"): shown[models].mean(axis=1) for name, models in folds.items()})
    by_fold = by_fold.assign(mean=shown["mean"], sd=shown["sd"])
    columns = {models[0]: name.replace(" ", "_") for name, models in folds.items()}
    by_fold = _beside(by_fold, {kind: own.rename(columns=columns) for kind, own in further.items() if len(own)})
    of_means = ", the mean of its models" if len(folds) < len(job.models) else ""
    units = f", in the units of the labels{job.unit_of_labels and f' ({job.unit_of_labels})'}"
    units = units if job.config["task"] == "regression" else ""
    return Section(
        "Training",
        [
            Block(text=f"Metrics on the {part} rows of each fold{of_means}{units}.", table=_metrics_table(by_fold)),
            Block(folded="All figures of all models", table=_metrics_table(table)),
            *([_weights(job.stacks)] if job.stacks else []),
            picture(
                job.figures,
                picture_name("learning_curves"),
                drawn,
                "One colour a model, from the first (dark) to the last (light). "
                f"The {by} with the best validation metric is kept."
                + (" Dashed: the baselines, on average." if len(bar) else ""),
            ),
        ],
    )


def _of_kind(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Give the metrics of baselines, or of stacks, under the names of those of models."""
    own: pd.DataFrame = table.loc[table.index.str.startswith(f"{kind}_")].rename(
        index=lambda name: name.removeprefix(f"{kind}_")
    )
    return own


def _beside(models: pd.DataFrame, further: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Put the metrics of baselines and stacks below those of the models, one by one."""
    each = [own.reindex(models.index)[models.columns].add_prefix(f"{kind}: ", axis=0) for kind, own in further.items()]
    rows = [name for metric in models.index for name in (metric, *(f"{kind}: {metric}" for kind in further))]
    return pd.concat([models, *each]).loc[rows]


def _weights(stacks: list[str]) -> Block:
    """Show how much models and baselines count in what they predict together."""
    rows = []
    for folder in stacks:
        told = read_json(Path(folder) / contract.STACK)
        losses = told["validation_loss_of_each"]
        rows += [
            [f"fold {Path(folder).name}", name, number(own), number(losses[name])] for name, own in told["weights"].items()
        ]
        rows.append([f"fold {Path(folder).name}", "together", "1", number(told["validation_loss"])])
    columns = ["fold", "model", "weight", "validation loss"]
    return Block(folded="How much each model and baseline counts", table={"columns": columns, "rows": rows})


def _measured_in(settings: dict) -> str:
    """Say in what a training is measured."""
    return "step" if settings.get("max_steps") else "epoch"


def _metrics_table(table: pd.DataFrame) -> dict:
    folds = [name for name in table.columns if name.startswith("fold_")]
    rows = []
    for metric, mean, sd, *each in table[["mean", "sd", *folds]].astype(float).itertuples():
        spread = "" if pd.isna(sd) else f" ± {number(sd)}"
        rows.append([metric.replace("_", " "), f"{number(mean)}{spread}", *map(number, each)])
    return {"columns": ["metric", "mean ± sd", *(name.replace("_", " ") for name in folds)], "rows": rows}
