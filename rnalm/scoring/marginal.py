"""Scores of several positions at a time ─► the mean score of each position."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import pandas as pd

from rnalm.scoring.sites import JOINT
from rnalm.scoring.table import PLACES

#: What is the same in all rows of a sequence, or of a class of it.
SAME = ["label", "pred"]


def by_position(tables: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Give each position of a sequence the mean of the scores in which it takes part.

    Of a sequence no more is held than these, however many combinations of positions there are. What models disagree by
    (``loo_sd``) cannot be told of a mean, and replacements are several: both are left out.

    Parameters
    ----------
    tables : iterable of pandas.DataFrame
        Rows of scores with a column ``positions``, those of a sequence together.

    Yields
    ------
    pandas.DataFrame
        A row for each position of a sequence, from left to right, and at each one for each class.

    Examples
    --------
    >>> pairs = {"token": ["a;c", "a;g"], "positions": ["3;4", "3;6"], "loo": [0.5, 1.5]}
    >>> [one] = by_position([pd.DataFrame(pairs).assign(sequence="s", label=None, pred=1.5)])
    >>> one[["token", "start_offset", "loo"]].values.tolist()
    [['a', 3, 1.0], ['c', 4, 0.5], ['g', 6, 1.5]]
    """
    held: pd.DataFrame | None = None
    for frame in tables:
        names = frame["sequence"].to_numpy()
        begins = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
        for start, stop in pairwise(begins):
            part = _sums(frame.iloc[start:stop])
            if held is not None and held["sequence"].iat[0] != names[start]:
                yield _means(held)
                held = None
            held = part if held is None else _added(pd.concat([held, part]))
    if held is not None:
        yield _means(held)


def _keys(frame: pd.DataFrame) -> list[str]:
    """Name what tells rows of the result apart."""
    return ["start_offset", *(["class"] if "class" in frame else [])]


def _sums(frame: pd.DataFrame) -> pd.DataFrame:
    """Sum and count the scores at each position, for some rows of a sequence."""
    tokens, places = (frame[name].str.split(JOINT, expand=True) for name in ("token", PLACES))
    kept = ["sequence", *SAME, *(["class"] if "class" in frame else []), "loo"]
    each = [
        frame[kept].assign(token=tokens[number], start_offset=places[number].astype(np.int64), count=1) for number in places
    ]
    return _added(pd.concat(each))


def _added(parts: pd.DataFrame) -> pd.DataFrame:
    """Add what is known of each position; classes stay in the order in which they are explained."""
    first = {name: (name, "first") for name in ("sequence", "token", *SAME)}
    sums = {name: (name, "sum") for name in ("loo", "count")}
    # A label that is not known has no first value, which pandas takes for none at all.
    return parts.groupby(_keys(parts), sort=False, as_index=False).agg(**first, **sums)


def _means(sums: pd.DataFrame) -> pd.DataFrame:
    """Make rows of scores of sums."""
    sums = sums.iloc[np.argsort(sums["start_offset"].to_numpy(), kind="stable")].reset_index(drop=True)
    means = sums.assign(end_offset=sums["start_offset"] + 1, loo=sums["loo"] / sums["count"])
    columns = ["sequence", "token", *SAME, "start_offset", "end_offset", "loo", *(["class"] if "class" in sums else [])]
    return means.loc[:, columns]
