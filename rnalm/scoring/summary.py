"""Leave-one-out scores ─► what they show over many sequences."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from rnalm.errors import RnalmError
from rnalm.files import open_text
from rnalm.scoring.table import places

#: Bins of the relative position, from the 5′ to the 3′ end.
BINS = 50


@dataclass(frozen=True)
class Profile:
    """The scores along one sequence.

    Attributes
    ----------
    sequence : str
    label, pred : float or str or None
    tokens : list of str
    starts, ends : numpy.ndarray
        Where each token stands, 0-based and half-open ``(tokens,)``.
    loo : numpy.ndarray
        Score of each token ``(tokens,)``; the mean over its replacements, if there are.
    """

    sequence: str
    label: float | str | None
    pred: float | str
    tokens: list[str]
    starts: np.ndarray
    ends: np.ndarray
    loo: np.ndarray


@dataclass
class Summary:
    """What the scores of a mode show.

    Attributes
    ----------
    profiles : list of Profile
        Of the sequences that were asked for.
    sequences, scores : int
        How many there are.
    position : numpy.ndarray
        Mean |loo| by relative position ``(BINS,)``; NaN where no token is.
    exchanges : pandas.DataFrame or None
        Mean score by token and replacement, in mode replace.
    elements : dict or None
        How well |loo| finds known elements; see :func:`recovery`.
    """

    profiles: list[Profile] = field(default_factory=list)
    sequences: int = 0
    scores: int = 0
    position: np.ndarray = field(default_factory=lambda: np.full(BINS, np.nan))
    exchanges: pd.DataFrame | None = None
    elements: dict[str, float] | None = None


def of_one_class(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of the predicted class where all are explained; over all classes, changes of probability cancel."""
    return frame[frame["class"] == frame["pred"]] if "class" in frame and frame["class"].nunique() > 1 else frame


def profile(frame: pd.DataFrame) -> Profile:
    """Make the profile of one sequence of its rows, for one class."""
    frame = of_one_class(frame)
    grouped = frame.groupby(places(frame), sort=True)
    where = {"starts": ("start_offset", "first"), "ends": ("end_offset", "first")}
    tokens = grouped.agg(tokens=("token", "first"), loo=("loo", "mean"), **where)
    first = frame.iloc[0]
    label = None if pd.isna(first["label"]) else first["label"]
    found = {name: tokens[name].to_numpy() for name in ("starts", "ends", "loo")}
    return Profile(first["sequence"], label, first["pred"], tokens["tokens"].tolist(), **found)


def summarize(
    frames: Iterable[pd.DataFrame], shown: Iterable[str] = (), elements: dict[str, list[tuple[int, int, str]]] | None = None
) -> Summary:
    """Summarize scores, a sequence at a time.

    Parameters
    ----------
    frames : iterable of pandas.DataFrame
        The rows of each sequence, from :func:`rnalm.scoring.merge.read`.
    shown : iterable of str
        Ids of the sequences whose profiles are kept, in this order.
    elements : dict, optional
        Known elements, from :func:`read_bed`.
    """
    summary = Summary()
    shown = list(shown)
    kept: dict[str, Profile] = {}
    total, count = np.zeros(BINS), np.zeros(BINS)
    exchanges: pd.DataFrame | None = None
    magnitudes: list[np.ndarray] = []
    inside: list[np.ndarray] = []
    for frame in frames:
        summary.sequences += 1
        summary.scores += len(frame)
        found = profile(frame)
        if found.sequence in shown:
            kept[found.sequence] = found
        begin, end = found.starts[0], found.starts[-1] + 1
        bins = ((found.starts - begin + 0.5) / (end - begin) * BINS).astype(int)
        total += np.bincount(bins, np.abs(found.loo), BINS)
        count += np.bincount(bins, minlength=BINS)
        if "replacement" in frame:
            sums = of_one_class(frame).groupby(["token", "replacement"])["loo"].agg(["sum", "count"])
            exchanges = sums if exchanges is None else exchanges.add(sums, fill_value=0)
        if elements is not None:
            magnitudes.append(np.abs(found.loo).astype(np.float32))
            inside.append(_inside(found, elements.get(found.sequence, [])))
    summary.profiles = [kept[name] for name in shown if name in kept]
    summary.position = np.divide(total, count, out=np.full(BINS, np.nan), where=count > 0)
    if exchanges is not None:
        summary.exchanges = (exchanges["sum"] / exchanges["count"]).unstack()
    if elements is not None and magnitudes:
        summary.elements = recovery(np.concatenate(magnitudes), np.concatenate(inside))
    return summary


def recovery(magnitude: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Tell how well large scores point at known elements.

    Parameters
    ----------
    magnitude : numpy.ndarray
        |loo| of every token ``(tokens,)``.
    inside : numpy.ndarray
        Whether the token has a letter in a known element, bool ``(tokens,)``.

    Returns
    -------
    dict
        ``auroc`` of |loo| as a detector of element tokens; ``auroc_top_decile``, of being among the tenth of tokens with
        the largest |loo|; ``recall_top_decile``, the share of element tokens among these (0.1 by chance); numbers of
        ``tokens`` and ``element_tokens``. NaN where no token, or every token, is in an element.
    """
    counts = {"tokens": len(inside), "element_tokens": int(inside.sum())}
    if not 0 < inside.sum() < len(inside):
        return {"auroc": np.nan, "auroc_top_decile": np.nan, "recall_top_decile": np.nan, **counts}
    # Ties at the threshold must not make the tenth larger than a tenth.
    top = np.zeros(len(magnitude), dtype=bool)
    top[np.argsort(-magnitude, kind="stable")[: max(1, len(magnitude) // 10)]] = True
    return {
        "auroc": float(roc_auc_score(inside, magnitude)),
        "auroc_top_decile": float(roc_auc_score(inside, top)),
        "recall_top_decile": float(top[inside].mean()),
        **counts,
    }


def _inside(tokens: Profile, elements: list[tuple[int, int, str]]) -> np.ndarray:
    """Say which tokens have a letter in an element: bool ``(tokens,)``."""
    found = np.zeros(len(tokens.starts), dtype=bool)
    for start, end, _ in elements:
        found |= (tokens.starts < end) & (tokens.ends > start)
    return found


def read_bed(path: str | Path) -> dict[str, list[tuple[int, int, str]]]:
    """Read known elements: tab-separated sequence, start, end (0-based, half-open) and, optionally, name.

    Raises
    ------
    RnalmError
        Naming file and line.
    """
    elements: dict[str, list[tuple[int, int, str]]] = {}
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            fields = line.rstrip("\r\n").split("\t")
            if not line.strip() or line.startswith("#"):
                continue
            try:
                start, end = int(fields[1]), int(fields[2])
            except (IndexError, ValueError):
                if line.split()[0] in ("track", "browser"):
                    continue
                raise RnalmError(f"{path}, line {number}: expected sequence, start and end, separated by tabs") from None
            elements.setdefault(fields[0], []).append((start, end, fields[3] if len(fields) > 3 else ""))
    return elements
