"""Leave-one-out scores ─► what they show over many sequences."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from rnalm.scoring.table import named, places
from rnalm.sequences.bed import Elements

#: Bins of the relative position, from the 5′ to the 3′ end.
BINS = 50

#: How far from an explained position scores are summarized by their distance, in tokens.
REACH = 150


@dataclass(frozen=True)
class Profile:
    """The scores along one sequence.

    Attributes
    ----------
    name : str
        Of the prediction, from :func:`rnalm.scoring.table.named`: its id, and the position that is explained, if there is one.
    sequence : str
        Its id.
    position : int or None
        The position whose prediction is explained.
    label, pred : float or str or None
        What is known of it, and what is predicted; a label may be missing.
    tokens : list of str
        Its tokens, from left to right.
    starts, ends : numpy.ndarray
        Where each token stands, 0-based and half-open ``(tokens,)``.
    loo : numpy.ndarray
        Score of each token ``(tokens,)``; the mean over its replacements, if there are; NaN for one with which that whose
        prediction is explained is gone.
    explained : str or None
        The class or target whose scores they are; None: there is only one, without a name.
    """

    name: str
    sequence: str
    position: int | None
    label: float | str | None
    pred: float | str
    tokens: list[str]
    starts: np.ndarray
    ends: np.ndarray
    loo: np.ndarray
    explained: str | None = None


class Around:
    """What tokens do to the prediction for a position at some distance from them.

    Attributes
    ----------
    totals, sizes, counts : dict of str to numpy.ndarray
        For each token, the sum of its scores, that of their sizes, and their number, by distance from :data:`REACH` tokens
        before an explained position to as many after it ``(2 · REACH + 1,)``.
    """

    def __init__(self) -> None:
        width = 2 * REACH + 1
        self.totals, self.sizes, self.counts = (defaultdict(lambda: np.zeros(width)) for _ in range(3))

    def add(self, one: Profile) -> None:
        """Add the scores for one explained position.

        Parameters
        ----------
        one : Profile
            That with these scores.
        """
        place = one.starts - (one.position or 0) + REACH
        near = np.flatnonzero((place >= 0) & (place <= 2 * REACH) & ~np.isnan(one.loo))
        tokens = np.array(one.tokens, dtype=object)[near]
        for token in set(tokens):
            own = near[tokens == token]
            np.add.at(self.totals[token], place[own], one.loo[own])
            np.add.at(self.sizes[token], place[own], np.abs(one.loo[own]))
            np.add.at(self.counts[token], place[own], 1)

    def size(self) -> np.ndarray:
        """Give the mean size of scores by distance, NaN where there is none ``(2 · REACH + 1,)``."""
        count, total = sum(self.counts.values()), sum(self.sizes.values())
        return np.divide(total, count, out=np.full(2 * REACH + 1, np.nan), where=np.asarray(count) > 0)

    def of_tokens(self, reach: int) -> pd.DataFrame:
        """Give the mean score of each token at each distance; NaN where it does not stand.

        Parameters
        ----------
        reach : int
            The longest distance, to either side.
        """
        near = slice(REACH - reach, REACH + reach + 1)
        with np.errstate(invalid="ignore"):
            rows = {token: (self.totals[token] / self.counts[token])[near] for token in sorted(self.totals)}
        return pd.DataFrame.from_dict(rows, orient="index", columns=list(range(-reach, reach + 1)), dtype=float)


@dataclass
class Summary:
    """What the scores of a mode show.

    Attributes
    ----------
    profiles : list of Profile
        Of the sequences that were asked for.
    predictions, scores : int
        How many there are: explained predictions, and scores for these.
    position : numpy.ndarray
        Mean |loo| by relative position ``(BINS,)``; NaN where no token is.
    around : Around or None
        What tokens do at each distance from an explained position, if there are such.
    exchanges : pandas.DataFrame or None
        Mean score by token and replacement, in mode replace.
    elements : dict or None
        How well |loo| finds known elements; see :func:`recovery`.
    """

    profiles: list[Profile] = field(default_factory=list)
    predictions: int = 0
    scores: int = 0
    position: np.ndarray = field(default_factory=lambda: np.full(BINS, np.nan))
    around: "Around | None" = None
    exchanges: pd.DataFrame | None = None
    elements: dict[str, float] | None = None


def of_one_class(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of one class where several are explained: the predicted one, or else the first.

    Over all classes, changes of probability cancel.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of scores.
    """
    if "class" not in frame or len(set(frame["class"])) == 1:
        return frame
    shown = frame["pred"].iat[0] if frame["pred"].iat[0] in set(frame["class"]) else frame["class"].iat[0]
    return frame.loc[frame["class"] == shown]


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
    position = int(first["explained_position"]) if "explained_position" in first else None
    explained = first.get("class", first["pred"] if isinstance(first["pred"], str) else None)
    told = (named(frame), first["sequence"], position, label, first["pred"], tokens["tokens"].tolist())
    return Profile(*told, *numbers, explained=explained)


def summarize(frames: Iterable[pd.DataFrame], shown: Iterable[str] = (), elements: Elements | None = None) -> Summary:
    """Summarize scores, a sequence or an explained position of one at a time.

    Parameters
    ----------
    frames : iterable of pandas.DataFrame
        The rows for each prediction, from :func:`rnalm.scoring.merge.read`.
    shown : iterable of str
        Names of the predictions whose profiles are kept, in this order.
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
        summary.predictions += 1
        summary.scores += len(frame)
        one = profile(frame)
        if one.name in shown:
            kept[one.name] = one
        if one.position is not None:
            summary.around = summary.around or Around()
            summary.around.add(one)
        begin, end, known = one.starts[0], one.starts[-1] + 1, ~np.isnan(one.loo)
        bins = ((one.starts[known] - begin + 0.5) / (end - begin) * BINS).astype(int)
        total += np.bincount(bins, np.abs(one.loo[known]), BINS)
        count += np.bincount(bins, minlength=BINS)
        if "replacement" in frame:
            sums = of_one_class(frame).groupby(["token", "replacement"])["loo"].agg(["sum", "count"])
            exchanges = sums if exchanges is None else exchanges.add(sums, fill_value=0)
        if elements is not None:
            magnitudes.append(np.abs(one.loo[known]).astype(np.float32))
            inside.append(_inside(one, elements.get(one.sequence, []))[known])
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
