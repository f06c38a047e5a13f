"""What the models find important."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from matplotlib.colors import to_hex

from rnalm.prediction.evaluate import score_columns
from rnalm.report import figures
from rnalm.report.blocks import Block, Section, number, picture
from rnalm.report.job import Job, Query
from rnalm.scoring import merge, summary
from rnalm.scoring.summary import Profile

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


def interpretation(job: Job, query: Query, mode: str) -> Section:
    """Show the scores of one mode: by element, in profiles and along the sequence."""
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
        picture(
            job.figures,
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
    blocks.append(picture(job.figures, name, figures.positions(found.position, found.exchanges), caption, heading="Position"))
    title = "Integrated gradients" if mode == "integrated_gradients" else f"Leave-one-out: {mode}"
    return Section(query.title(title), blocks)


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
    column = score_columns(job.meaning)[-1]
    frame = pd.read_parquet(query.predictions, columns=["id", column]).set_index("id")[column]
    ordered = frame[frame.index.isin(scored)].sort_values(kind="stable").index.tolist()
    low = ordered[: count // 2]
    return low + [name for name in ordered[::-1][: count - len(low)] if name not in low]


def _elements(found: dict[str, float], annotations: str) -> Block:
    rows = [
        ["AUROC of |loo|", number(found["auroc"]), "0.5"],
        ["AUROC of the top decile of |loo|", number(found["auroc_top_decile"]), "0.5"],
        ["share of element tokens in the top decile of |loo|", number(found["recall_top_decile"]), "0.1"],
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
