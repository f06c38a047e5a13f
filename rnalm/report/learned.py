"""What models learned: the k-mers and motifs with the largest effects, and the strongest elements of shown sequences."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnalm.config.contract import PATTERNS
from rnalm.report.blocks import Block, Section, number
from rnalm.report.job import Job, Query
from rnalm.report.logo import logo
from rnalm.report.modes import MODES
from rnalm.scoring.summary import Profile

#: K-mers that are told each way, and those whose false discovery rate is below this.
MOST_KMERS, SURE = 20, 0.05
#: Motifs that are drawn of a class, and classes that are told of.
MOST_MOTIFS, MOST_CLASSES = 8, 10
#: Tokens to each side of an element.
BESIDE = 6
#: What stands above the columns of the tables.
CONTEXTS = {
    **{"five_prime": "5′ third", "middle": "middle", "three_prime": "3′ third"},
    **{f"frame_{frame}": f"frame {frame}" for frame in range(3)},
}


def learned(job: Job, query: Query) -> list[Section]:
    """Tell which k-mers and motifs change the prediction most, mode by mode; of the first mode unfolded.

    Parameters
    ----------
    job : Job
        What the report is made of.
    query : Query
        Whose scores are told.
    """
    what = "class" if job.config["task"] != "regression" else "target"
    blocks = [block for rank, mode in enumerate(query.scores) for block in _of_mode(query, mode, what, folded=rank > 0)]
    if not blocks:
        return []
    text = (
        "An effect is what letters do to the prediction: above 0 they raise it (of a class, they speak for it), below 0 they "
        "lower it; of k-mers and motifs it is the sum over their letters, each changed by itself. A k-mer is listed "
        f"where it does more than as many other letters of the same sequences, at a false discovery rate below {SURE:g}; "
        "frames are positions in the codon where tokens mark codons, else positions in the sequence modulo 3. A motif is a "
        f"group of alike seqlets, which are spans with more effect than chance would have it. All are in {_files(query)}."
    )
    return [Section(query.title("What the model learned"), [Block(text=text), *blocks], read=True)]


def _files(query: Query) -> str:
    stem = Path(next(iter(query.scores.values()))).stem
    ends = [end for key, end in PATTERNS.items() if key in ("kmers", "seqlets", "motifs", "meme")]
    return f"{stem}.{{{','.join(ends)}}}" + (" and those of other modes" if len(query.scores) > 1 else "")


def beside(scores: str | Path, kind: str) -> Path:
    """Name a file of patterns beside the scores in which they were found.

    Parameters
    ----------
    scores : path
        Merged scores, as Parquet.
    kind : str
        One of :data:`rnalm.config.contract.PATTERNS`.
    """
    return Path(scores).with_suffix(f".{PATTERNS[kind]}")


def _of_mode(query: Query, mode: str, what: str, folded: bool) -> Iterator[Block]:
    """Show what was found in the scores of one mode."""
    kmers, motifs, matrices = (_read(beside(query.scores[mode], kind)) for kind in ("kmers", "motifs", "matrices"))
    title = MODES[mode].title
    classes = sorted(set(kmers["class"])) if "class" in kmers else [None]
    yield Block(heading=title, text=_named(classes, what) if classes else "Too few sequences were scored to tell of k-mers.")
    for rank, explained in enumerate(classes[:MOST_CLASSES]):
        of = "" if explained is None else f", {what} {explained}"
        own = [_of_class(table, explained) for table in (kmers, motifs, matrices)]
        for way, sign in (("raise", 1), ("lower", -1)):
            yield _kmers(own[0], sign, f"k-mers that {way} the prediction{of}", f"{title}: " if folded else "")
        yield from _motifs(own[1], own[2], f"{query.name}-{mode}-{rank}", of, f"{title}: " if folded else "")


def _read(path: Path) -> pd.DataFrame:
    """Read a table of patterns; no letter or class is taken for a missing value."""
    texts: dict[Any, Any] = dict.fromkeys(("kmer", "class", "motif", "consensus", "letter"), str)
    return pd.read_csv(path, dtype=texts, keep_default_na=False, na_values={name: [""] for name in ("q", "sd", *CONTEXTS)})


def _of_class(table: pd.DataFrame, explained: str | None) -> pd.DataFrame:
    return table if explained is None else table.loc[table["class"] == explained]


def _named(classes: Sequence[str | None], what: str) -> str:
    """Say which classes or targets are explained."""
    names = [name for name in classes if name is not None]
    if not names:
        return ""
    more = f", of which the first {MOST_CLASSES} are shown" if len(names) > MOST_CLASSES else ""
    plural = f"{what}es" if what == "class" else f"{what}s"
    return f"Effects are on {len(names)} {plural if len(names) > 1 else what}: {', '.join(names[:MOST_CLASSES])}{more}."


def _kmers(table: pd.DataFrame, sign: int, title: str, before: str) -> Block:
    """Tabulate the k-mers with the largest effects one way; folded, where something stands before the title."""
    signs = np.sign(table[["effect", "excess"]].to_numpy(float))
    sure = table.loc[(table["q"].to_numpy(float) < SURE) & (signs == sign).all(axis=1)]
    shown = sure.head(MOST_KMERS).to_dict("records")
    if not shown:
        return Block(text=f"{before}There are no {title} for sure.")
    contexts = [name for name in CONTEXTS if any(not np.isnan(row[name]) for row in shown)]
    rows = [
        [
            *(row["kmer"], number(row["sequences"]), f"{row['effect']:+.3g}", f"{row['sd']:.2g}", f"{row['q']:.1g}"),
            *("–" if np.isnan(row[name]) else f"{row[name]:+.3g}" for name in contexts),
        ]
        for row in shown
    ]
    count = f"{len(shown)} of {len(sure):,}" if len(sure) > len(shown) else f"{len(shown)}"
    columns = ["k-mer", "sequences", "effect", "sd", "q", *(CONTEXTS[name] for name in contexts)]
    named = f"{before}{count} {title}"
    table_shown = {"columns": columns, "rows": rows}
    return Block(table=table_shown, folded=named) if before else Block(table=table_shown, text=f"{named}:")


def _motifs(motifs: pd.DataFrame, matrices: pd.DataFrame, name: str, of: str, before: str) -> Iterator[Block]:
    """Draw motifs, that with most effect first; folded, where something stands before the title."""
    if motifs.empty:
        yield Block(text=f"{before}No motif was found{of}.")
    shown = motifs.head(MOST_MOTIFS)
    limit = float(matrices.loc[matrices["motif"].isin(shown["motif"]), "effect"].abs().max()) if len(shown) else 0.0
    for rank, row in enumerate(shown.to_dict("records")):
        own = matrices.loc[matrices["motif"] == row["motif"]]
        letters = list(dict.fromkeys(own["letter"].tolist()))
        effects = own["effect"].to_numpy(float).reshape(-1, len(letters))
        where = ", ".join(f"{row[key]:.0%} in the {CONTEXTS[key]}" for key in ("five_prime", "middle", "three_prime"))
        told = (
            f"Motif {row['motif']}{of}: {row['consensus']}; {row['seqlets']:,} seqlets in {row['sequences']:,} sequences, "
            f"mean effect {row['effect']:+.3g}; {where}."
        )
        drawn = logo(effects, letters, f"{name}-{rank}", told, limit, range(1, len(effects) + 1))
        yield Block(figure=drawn, caption=told, folded=f"{before}motif {row['consensus']}" if before else "")


def strongest(profiles: Sequence[Profile], scores: str | Path, name: str, limit: float) -> list[Block]:
    """Draw the letters in and around the strongest seqlet of each sequence that a report shows.

    Parameters
    ----------
    profiles : sequence of Profile
        What is shown of its sequences: effects, not scores.
    scores : path
        The merged scores that they are of.
    name : str
        Of the part of the page, for ids.
    limit : float
        The effect that fills the height of a logo.
    """
    found = _seqlets(scores, {profile.sequence for profile in profiles})
    blocks = []
    for rank, profile in enumerate(profiles):
        if (bounds := _bounds(found, profile)) is None:
            continue
        # A token of several letters may begin before them.
        first = max(0, int(np.searchsorted(profile.starts, bounds[0], side="right")) - 1)
        after = max(first + 1, int(np.searchsorted(profile.starts, bounds[1])))
        own, mean = slice(max(0, first - BESIDE), after + BESIDE), np.mean(profile.loo[first:after])
        letters, numbers = np.unique(profile.tokens[own], return_inverse=True)
        effects = np.zeros((len(numbers), len(letters)))
        effects[np.arange(len(numbers)), numbers] = profile.loo[own]
        text = "".join(profile.tokens[first:after])
        told = f"{profile.name}: {text}, from {bounds[0]} to {bounds[1]}, mean effect of a token {mean:+.3g}"
        drawn = logo(effects, letters.tolist(), f"{name}-element-{rank}", told, limit, profile.starts[own].tolist())
        blocks.append(Block(figure=drawn, caption=f"{told}.", folded=told if blocks else ""))
    return blocks


def _seqlets(scores: str | Path, names: set[str]) -> list[dict[str, Any]]:
    """Read the seqlets of some sequences."""
    with open(beside(scores, "seqlets"), newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["sequence"] in names]


def _bounds(found: Sequence[dict[str, Any]], profile: Profile) -> tuple[int, int] | None:
    """Find the strongest seqlet of a profile; None where it has none."""
    own = [row for row in found if row["sequence"] == profile.sequence]
    own = [row for row in own if profile.position is None or row["explained_position"] == str(profile.position)]
    own = [row for row in own if profile.explained is None or row.get("class", profile.explained) == profile.explained]
    if not own:
        return None
    best = max(own, key=lambda row: abs(float(row["effect"])))
    return int(best["start"]), int(best["end"])
