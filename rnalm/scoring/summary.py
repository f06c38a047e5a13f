"""Leave-one-out scores ─► what they show over many sequences."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from rnalm.scoring.table import places
from rnalm.sequences.bed import Elements

#: Bins of the relative position, from the 5′ to the 3′ end.
BINS = 50


@dataclass(frozen=True)
class Profile:
    """The scores along one sequence.

    Attributes
    ----------
    sequence : str
        Its id.
    label, pred : float or str or None
        What is known of it, and what is predicted; a label may be missing.
    tokens : list of str
        Its tokens, from left to right.
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
    """Keep the rows of the predicted class where all are explained; over all classes, changes of probability cancel.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of scores.
    """
    return frame.loc[frame["class"] == frame["pred"]] if "class" in frame and len(set(frame["class"])) > 1 else frame


def profile(frame: pd.DataFrame) -> Profile:
    """Make the profile of one sequence, for one class.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its rows.

    Examples
    --------
    >>> scores = {"sequence": "s", "token": ["g", "a"], "label": None, "pred": 1.5, "loo": [0.5, -1.5]}
    >>> profile(pd.DataFrame(scores).assign(start_offset=[0, 1], end_offset=[1, 2])).loo.tolist()
    [0.5, -1.5]
    """
    frame = of_one_class(frame)
    grouped = frame.groupby(places(frame), sort=True)
    where = {"starts": ("start_offset", "first"), "ends": ("end_offset", "first")}
    tokens = grouped.agg(tokens=("token", "first"), loo=("loo", "mean"), **where)
    first = frame.iloc[0]
    label = None if pd.isna(first["label"]) else first["label"]
    numbers = (tokens[name].to_numpy() for name in ("starts", "ends", "loo"))
    return Profile(first["sequence"], label, first["pred"], tokens["tokens"].tolist(), *numbers)


def summarize(frames: Iterable[pd.DataFrame], shown: Iterable[str] = (), elements: Elements | None = None) -> Summary:
    """Summarize scores, a sequence at a time.

    Parameters
    ----------
    frames : iterable of pandas.DataFrame
        The rows of each sequence, from :func:`rnalm.scoring.merge.read`.
    shown : iterable of str
        Ids of the sequences whose profiles are kept, in this order.
    elements : dict, optional
        Known elements, from :func:`rnalm.sequences.bed.read_bed`; None: nothing is said of them.
    """
    summary = Summary()
    shown = list(shown)
    kept: dict[str, Profile] = {}
    total, count = np.zeros(BINS), np.zeros(BINS)
    exchanges: Any = None  # sums and numbers of scores, by token and replacement
    magnitudes: list[np.ndarray] = []
    inside: list[np.ndarray] = []
    for frame in frames:
        summary.sequences += 1
        summary.scores += len(frame)
        one = profile(frame)
        if one.sequence in shown:
            kept[one.sequence] = one
        begin, end = one.starts[0], one.starts[-1] + 1
        bins = ((one.starts - begin + 0.5) / (end - begin) * BINS).astype(int)
        total += np.bincount(bins, np.abs(one.loo), BINS)
        count += np.bincount(bins, minlength=BINS)
        if "replacement" in frame:
            sums = of_one_class(frame).groupby(["token", "replacement"])["loo"].agg(["sum", "count"])
            exchanges = sums if exchanges is None else exchanges.add(sums, fill_value=0)
        if elements is not None:
            magnitudes.append(np.abs(one.loo).astype(np.float32))
            inside.append(_inside(one, elements.get(one.sequence, [])))
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

    Examples
    --------
    >>> recovery(np.array([0.1, 0.2, 5.0]), np.array([False, False, True]))["auroc"]
    1.0
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
    inside = np.zeros(len(tokens.starts), dtype=bool)
    for start, end, _ in elements:
        inside |= (tokens.starts < end) & (tokens.ends > start)
    return inside
