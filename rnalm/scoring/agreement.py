"""Scores of two experiments ─► how alike they are, sequence by sequence."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from rnalm.labels.metrics import METRICS
from rnalm.scoring import merge
from rnalm.scoring.table import named

#: What tells one score of a prediction from the others.
KEYS = ("start_offset", "end_offset", "token", "replacement", "class")
#: Fewer scores have no correlation that says anything.
FEWEST = 3


def agreement(first: str | Path, second: str | Path) -> pd.DataFrame:
    """Correlate the scores that two files have of the same tokens of the same sequences.

    Parameters
    ----------
    first, second : path
        Parquet from :func:`rnalm.scoring.merge.merge`, of one mode.

    Returns
    -------
    pandas.DataFrame
        A row for each sequence, or explained position of one, that both have: its name as ``sequence``, ``scores``, how many
        are in common, ``pearson`` and ``spearman``, NaN for fewer than three scores or where all of them are equal.
    """
    rows = []
    for name, own, other in _pairs(first, second):
        keys = [key for key in KEYS if key in own and key in other]
        both = (
            own[[*keys, "loo"]]
            .merge(other[[*keys, "loo"]], on=keys, suffixes=("", "_other"))
            .dropna(subset=["loo", "loo_other"])
        )
        left, right = both["loo"].to_numpy(), both["loo_other"].to_numpy()
        varied = len(both) >= FEWEST and np.ptp(left) > 0 and np.ptp(right) > 0
        found = [METRICS["regression"][of](left, right) if varied else np.nan for of in ("pearson", "spearman")]
        rows.append((name, len(both), *found))
    return pd.DataFrame(rows, columns=["sequence", "scores", "pearson", "spearman"])


def _pairs(first: str | Path, second: str | Path) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Read what both have: what one has earlier than the other waits, which is little where both follow the source."""
    both = _sequences(first) & _sequences(second)
    readers = [merge.read(first), merge.read(second)]
    waiting: list[dict[str, pd.DataFrame]] = [{}, {}]
    open_ends = [0, 1]
    while open_ends:
        for side in tuple(open_ends):
            frame = next(readers[side], None)
            if frame is None:
                open_ends.remove(side)
            elif frame["sequence"].iloc[0] in both:
                name = named(frame)
                if name in waiting[1 - side]:
                    met = waiting[1 - side].pop(name)
                    yield (name, frame, met) if side == 0 else (name, met, frame)
                else:
                    waiting[side][name] = frame


def _sequences(path: str | Path) -> set[str]:
    """Name the sequences that have scores."""
    found: set[str] = set()
    for batch in pq.ParquetFile(path).iter_batches(columns=["sequence"]):
        found.update(batch.column(0).unique().to_pylist())
    return found
