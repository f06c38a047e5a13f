"""What the models find important."""

import heapq
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from matplotlib.colors import to_hex

from rnalm.config.contract import picture_name
from rnalm.config.results import Sites
from rnalm.prediction.columns import score_columns
from rnalm.report import figures
from rnalm.report.anchor import cover, survey
from rnalm.report.blocks import Block, Section, number, picture
from rnalm.report.job import Job, Query
from rnalm.report.learned import strongest
from rnalm.report.modes import MODES
from rnalm.scoring import merge, summary
from rnalm.scoring.check import explained_site, named_classes
from rnalm.scoring.summary import Profile
from rnalm.scoring.table import named
from rnalm.sequences.bed import read_bed

#: A letter track has no more tokens than this.
MAX_LETTERS = 5000


def interpretation(job: Job, query: Query, mode: str) -> Section:
    """Show the scores of one mode: by element, in profiles and along the sequence.

    Parameters
    ----------
    job : Job
        What the report is made of.
    query : Query
        Whose scores are shown.
    mode : str
        Which of its scores: a key of :data:`rnalm.report.modes.MODES`.
    """
    words, annotations = MODES[mode], job.config["report"]["annotations"]
    elements = read_bed(annotations) if annotations else None
    effects = (frame.assign(loo=words.sense * frame["loo"]) for frame in merge.read(query.scores[mode]))
    shown = summary.summarize(effects, _extremes(job, query, mode), elements)
    what = {"token": "token", "base": "letter"}[job.config["interpret"]["level"]]
    of = "sequences" if shown.around is None else "explained positions"
    count = f"{shown.scores:,} scores of {shown.predictions:,} {of}"
    text = f"{count}: {words.change.format(what)}. {_explained(job)}{words.reading.format(what)}"
    blocks = [Block(text=text, links=_files(job, query, mode), linked="All sequences and scores:")]
    if shown.elements is not None:
        blocks.append(_elements(shown.elements, annotations))
    seen, pages = survey(query.scores[mode]), _pages(job, query, mode, shown.profiles)
    limit = cover(seen.step, max((_largest(profile.loo) for profile in shown.profiles), default=0))
    drawn = figures.profiles(
        shown.profiles, elements, limit, job.unit_of_effects, {name: f"../{place}" for name, place in pages.items()}
    )
    chosen = "with the lowest and highest predictions" if shown.around is None else "that single tokens change most"
    caption = f"The {of} {chosen}, on one scale. {_explained(job)}Up, blue: the {what} raises the prediction; down, orange: it "
    caption += "lowers it. Each name leads to its sequence."
    blocks.append(picture(job.figures, picture_name("profiles", query.name, mode), drawn, caption, heading="Profiles"))
    if shown.profiles:
        letters = [_letters(profile, seen.step) | {"place": pages[profile.name]} for profile in shown.profiles]
        said = f"Full colour: an effect of {number(seen.step)}{job.unit_of_effects and f' {job.unit_of_effects}'}, {seen.said}."
        blocks.append(Block(text=said, letters=letters, folded="The same, letter by letter"))
        drawn = strongest(shown.profiles, query.scores[mode], f"{query.name}-{mode}", limit)
        blocks += [Block(heading="Their strongest elements"), *drawn] if drawn else []
    if shown.around is None:
        drawn = figures.positions(shown.position, shown.exchanges, seen.ends)
        caption = f"Mean size of the effects along the sequence, from its {seen.ends[0]} to its {seen.ends[1]} end."
    else:
        drawn = figures.around(shown.around, shown.exchanges)
        caption = "Effects by their distance from the position whose prediction they explain, and there by token."
    blocks.append(picture(job.figures, picture_name("positions", query.name, mode), drawn, caption, heading="Position"))
    return Section(query.title(words.title), blocks, read=True)


def _explained(job: Job) -> str:
    """Say of which class or target the scores are."""
    if job.meaning.task == "regression":
        named = _explained_targets(job)
        others = f", of the explained targets the first of {len(named)}" if len(named) > 1 else ""
        return f"The prediction is that of {named[0]!r}{others}. " if named else ""
    asked, sites = job.config["interpret"], job.config["predict"]["sites"]
    explain = asked["explain"]
    if explain is None and job.meaning.per == "token":
        explain = explained_site(None, asked["explain_at"], job.meaning, Sites(**sites) if sites else None)
    predicted = "the most probable class" if job.config["task"] == "multilabel" else "the predicted class"
    named = " and ".join(map(repr, named_classes(explain)))
    which = f"class {named}" if isinstance(explain, str) and named else predicted
    if isinstance(explain, list):
        which = f"{predicted}, or of {explain[0]!r} where another one than {named} is"
    return f"The prediction is the {job.config['interpret']['scale']} of {which}. "


def _explained_targets(job: Job) -> list[str]:
    """Name the targets that are explained, where there are several; the first is shown."""
    if job.meaning.task != "regression":
        return []
    return named_classes(job.config["interpret"]["explain"]) or list(job.meaning.classes)


def _extremes(job: Job, query: Query, mode: str) -> list[str]:
    """Choose the scored sequences with the lowest and highest predictions (for classes: the most certain ones).

    Of explained positions, those that single tokens change most.
    """
    count = job.config["report"]["profiles"]
    if job.meaning.per == "token":
        frames = merge.read(query.scores[mode])
        most = heapq.nlargest(count, ((_largest(frame["loo"].to_numpy()), named(frame)) for frame in frames))
        return [name for _, name in most]
    scored: set[str] = set()
    for batch in pq.ParquetFile(query.scores[mode]).iter_batches(columns=["sequence"]):
        scored.update(batch.column(0).unique().to_pylist())
    targets = _explained_targets(job)
    column = score_columns(job.meaning)[job.meaning.classes.index(targets[0]) if targets else -1]
    frame = pd.read_parquet(query.predictions, columns=["id", column]).set_index("id")
    ordered = frame.loc[frame.index.isin(scored)].sort_values(column, kind="stable").index.tolist()
    low = ordered[: count // 2]
    return low + [name for name in ordered[::-1][: count - len(low)] if name not in low]


def _elements(recovery: dict[str, float], annotations: str) -> Block:
    rows = [
        ["AUROC of |loo|", number(recovery["auroc"]), "0.5"],
        ["AUROC of the top decile of |loo|", number(recovery["auroc_top_decile"]), "0.5"],
        ["share of element tokens in the top decile of |loo|", number(recovery["recall_top_decile"]), "0.1"],
    ]
    text = f"Do large scores point at the known elements in {Path(annotations).name}? {recovery['element_tokens']:,} of "
    text += f"{recovery['tokens']:,} scored tokens are in one."
    if not recovery["element_tokens"]:
        text += " Are its sequences named as in the source?"
    return Block(heading="Known elements", text=text, table={"columns": ["", "found", "by chance"], "rows": rows})


def _largest(loo: np.ndarray) -> float:
    """Give the size of the largest score; 0 where there is none."""
    return float(np.nanmax(np.abs(loo), initial=0))


def _letters(profile: Profile, step: float) -> dict:
    colours = figures.EFFECTS(0.5 + 0.5 * np.nan_to_num(profile.loo) / step)
    rows = list(zip(profile.tokens, profile.starts, profile.loo, colours, strict=True))[:MAX_LETTERS]
    tokens = [
        (token, to_hex(colour), figures.dark(colour), f"{start} {token}: {'none' if np.isnan(loo) else f'{loo:+.3g}'}")
        for token, start, loo, colour in rows
    ]
    return {"name": profile.name, "tokens": tokens}


def _files(job: Job, query: Query, mode: str) -> list[tuple[str, str]]:
    """List the page of a mode, and its tables."""
    table = Path(query.scores[mode])
    return [(path.name, job.place(path)) for path in (table.with_suffix(".html"), table.with_suffix(".csv"), table)]


def _pages(job: Job, query: Query, mode: str, shown: list[Profile]) -> dict[str, str]:
    """Tell where each profile has its page."""
    page = job.place(Path(query.scores[mode]).with_suffix(".html"))
    return {profile.name: f"{page}#{quote(profile.name, safe='')}" for profile in shown}
