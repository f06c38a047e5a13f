"""Results ─► one HTML file that a biologist can read, and its pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

import rnalm
from rnalm.config import contract
from rnalm.config.contract import picture_name
from rnalm.files import read_json
from rnalm.report import figures, spectra
from rnalm.report.blocks import Block, Section, picture, render
from rnalm.report.interpretation import interpretation
from rnalm.report.job import Job
from rnalm.report.learned import learned
from rnalm.report.predictions import predictions
from rnalm.report.tracks import predicted_tokens
from rnalm.report.training import pretraining, training
from rnalm.report.variants import variants
from rnalm.report.verdict import verdict
from rnalm.tokens import dataset, encode


def write(job: Job, output: str | Path) -> None:
    """Write the report and its pictures.

    Parameters
    ----------
    job : Job
        What the report is made of.
    output : path
        The page; pictures go into the job's own folder, too.
    """
    sections = [_data(job)] if job.sources else []
    if job.pretrained:
        sections.append(pretraining(job))
    if job.summary is not None:
        sections.append(training(job))
    for query in job.queries:
        sections.append(predicted_tokens(job, query) if job.meaning.per == "token" else predictions(job, query))
        sections += [interpretation(job, query, mode) for mode in query.scores]
        sections += learned(job, query)
    sections += [variants(job, cohort) for cohort in job.cohorts]
    if job.spectra is not None:
        sections.append(Section(spectra.TITLE, spectra.describe(job.spectra)))
    sections.append(_reproduce(job))
    render(output, job.config["report"]["title"], _lead(job), _cards(job), sections, verdict(job))


def _lead(job: Job) -> str:
    count = len(job.models)
    lead = f"{job.config['task'].capitalize()} with {count} model{'s' if count > 1 else ''}."
    if job.summary is None and not job.sources:
        return f"{lead} Effects are those that trained models predict; nothing was trained here."
    if job.summary is None:
        return f"{lead} Predictions are those of trained models; nothing was trained here."
    if any(query.name == "source" for query in job.queries):
        return f"{lead} Predictions and scores are of held-out sequences: neither training nor model selection has seen them."
    return f"{lead} There are no test rows: metrics are those of the validation rows that selected the models."


def _cards(job: Job) -> list[tuple[str, str]]:
    model = read_json(Path(job.models[0]) / contract.CONFIG)
    cards = _cards_of_sequences([encode.metadata(path) for path in job.sources]) if job.sources else []
    cards += [("architecture", model["model_type"].capitalize()), ("models", f"{len(job.models)}")]
    if job.cohorts:
        cards.append(("alleles with an effect", f"{sum(pq.read_metadata(cohort.table).num_rows for cohort in job.cohorts):,}"))
    return cards


def _cards_of_sequences(encoded: list[dict[str, Any]]) -> list[tuple[str, str]]:
    cards = [
        ("sequences", f"{sum(entry['sequences'] for entry in encoded):,}"),
        ("tokens", f"{sum(entry['tokens'] for entry in encoded):,}"),
        ("longest (tokens)", f"{max(entry['longest'] for entry in encoded):,}"),
    ]
    if cut := sum(entry["truncated"] for entry in encoded):
        cards.append(("cut to the block size", f"{cut:,}"))
    if dropped := sum(entry["dropped"] for entry in encoded):
        cards.insert(1, ("left out without a label", f"{dropped:,}"))
    return cards


def _data(job: Job) -> Section:
    path = job.sources[0]
    of = "tokens" if job.meaning.per == "token" else "sequences"
    labels = dataset.labels(path).to_pandas()
    if job.meaning.several:
        # Of a source without labels, there is a column of numbers that are all missing.
        table = (labels[:0] if labels.isna().all() else labels).to_numpy().reshape(-1, job.meaning.n_outputs)
        if job.meaning.task == "regression":
            labels = pd.DataFrame(table, columns=list(job.meaning.classes))
        else:
            # Of each sequence, or token, the names of the classes that it has.
            labels = pd.Series(np.array(job.meaning.classes, dtype=object)[np.nonzero(table == 1)[1]])
    figure = figures.data(dataset.lengths(path), labels, job.meaning.scaler.method == "log", of, job.label)
    return Section(
        "Data",
        [
            picture(
                job.figures, picture_name("data"), figure, "How long the sequences are, and what the model learns to predict."
            )
        ],
    )


def _reproduce(job: Job) -> Section:
    text = f"Made with rnalm {rnalm.__version__}. The same configuration on the same machine gives the same results."
    code = yaml.safe_dump(job.config, sort_keys=False, allow_unicode=True)
    return Section(
        "How this was made", [Block(text=text), Block(code=code, folded="The whole configuration, defaults included")]
    )
