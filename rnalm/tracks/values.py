"""Tables of scores and predictions ─► the values of the tokens of each sequence."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from rnalm.errors import RnalmError, nearest
from rnalm.scoring import merge, summary

log = logging.getLogger(__name__)

#: Rows of predictions that are read at once.
ROWS = 1024


@dataclass(frozen=True, slots=True)
class Track:
    """The values of the tokens of a sequence.

    Attributes
    ----------
    id : str
        What the sequence is called.
    starts, ends : numpy.ndarray
        Where each token stands in the uncut sequence, 0-based and half-open: int64 ``(tokens,)``.
    values : numpy.ndarray
        float64 ``(tokens,)``, NaN where there is none.
    """

    id: str
    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray

    def along(self) -> tuple[np.ndarray, np.ndarray]:
        """Give each position the value of its token, or the mean of those of several.

        Returns
        -------
        positions : numpy.ndarray
            Those that have a value, ascending: int64 ``(positions,)``.
        values : numpy.ndarray
            float64 ``(positions,)``

        Examples
        --------
        >>> track = Track("s", np.array([2, 3]), np.array([4, 5]), np.array([1.0, 3.0]))
        >>> [part.tolist() for part in track.along()]
        [[2, 3, 4], [1.0, 2.0, 3.0]]
        """
        known = np.flatnonzero(~np.isnan(self.values))
        widths = self.ends[known] - self.starts[known]
        within = np.arange(widths.sum()) - np.repeat(np.cumsum(widths) - widths, widths)
        places = np.repeat(self.starts[known], widths) + within
        sums, counts = np.bincount(places, np.repeat(self.values[known], widths)), np.bincount(places)
        positions = np.flatnonzero(counts)
        return positions, sums[positions] / counts[positions]


def scored(path: str | Path, sense: int, chosen: str | None = None) -> Iterator[Track]:
    """Read the effects of tokens, a sequence at a time: of several replacements, or explained positions, their mean.

    Parameters
    ----------
    path : path
        Scores from :func:`rnalm.scoring.merge.merge`.
    sense : {-1, 1}
        The sign by which ``loo`` becomes an effect, which is positive where a token speaks for what is explained.
    chosen : str, optional
        The class or target whose scores they are; None: the predicted class, or the first target.

    Yields
    ------
    Track
        In the order of the file.

    Raises
    ------
    RnalmError
        If there are no scores of the class.
    """
    several = 0
    for number, (name, group) in enumerate(groupby(merge.read(path), lambda frame: frame["sequence"].iat[0])):
        frames = [_of_class(frame, path, chosen, first=number == 0) for frame in group]
        several += len(frames) > 1
        profiles = [summary.profile(frame) for frame in frames]
        yield _mean(str(name), profiles, sense)
    if several:
        log.warning("%s: of %d sequences several positions are explained; tracks are of the mean", path, several)


def _of_class(frame: pd.DataFrame, path: str | Path, chosen: str | None, first: bool) -> pd.DataFrame:
    """Keep the scores of one class, where it is named."""
    classes = list(dict.fromkeys(frame["class"])) if "class" in frame else []
    if chosen is None:
        if first and len(classes) > 1:
            told = "%s: tracks are of the predicted class or, where that is not explained, %s; tracks.classes names others"
            log.warning(told, path, classes[0])
        return frame
    if not classes:
        raise RnalmError(f"{path}: tracks.classes names {chosen!r}, but no class is named there; see interpret.explain")
    if chosen not in classes:
        raise RnalmError(f"{path}: tracks.classes names {chosen!r}, which is not explained; {nearest(chosen, classes)}")
    return frame.loc[frame["class"] == chosen]


def _mean(name: str, profiles: list[summary.Profile], sense: int) -> Track:
    """Average the scores of one sequence for several positions."""
    one = profiles[0]
    starts, ends, values = one.starts, one.ends, one.loo
    if len(profiles) > 1:
        parts = [pd.DataFrame({"start": each.starts, "end": each.ends, "loo": each.loo}) for each in profiles]
        mean = pd.concat(parts).groupby(["start", "end"]).agg(loo=("loo", "mean")).reset_index()
        starts, ends, values = (mean[column].to_numpy() for column in ("start", "end", "loo"))
    # Without the sign that a zero would get.
    return Track(name, starts.astype(np.int64), ends.astype(np.int64), sense * values + 0.0)


def predicted(path: str | Path, encoded: str | Path, chosen: str | None = None) -> Iterator[Track]:
    """Read the predictions for tokens, a sequence at a time.

    Parameters
    ----------
    path : path
        From :func:`rnalm.prediction.tracks.merge`.
    encoded : path
        The sequences, for the places of their tokens.
    chosen : str, optional
        The class or target whose predictions they are; None: the only one, or the second of two.

    Yields
    ------
    Track
        In the order of the file.

    Raises
    ------
    RnalmError
        If there is no such class, or there are several and none is chosen.
    """
    file = pq.ParquetFile(path)
    names = [name for name in file.schema_arrow.names if name.startswith(("pred", "prob"))]
    column = column_of(_values(names), ("pred", "prob"), chosen, path)
    places = _places(encoded)
    for batch in file.iter_batches(batch_size=ROWS, columns=["id", column]):
        for name, values in zip(batch["id"].to_pylist(), batch[column].to_numpy(zero_copy_only=False), strict=True):
            offsets = next(own for other, own in places if other == name)
            starts = np.arange(len(values)) if offsets is None else np.array(list(offsets), dtype=np.int64)[:, 0]
            yield Track(name, starts, starts + 1, values.astype(np.float64))


def _values(names: list[str]) -> list[str]:
    """Leave out the columns that hold standard deviations, which stand behind the others."""
    half = len(names) // 2
    return names[:half] if names[half:] == [f"{name}_sd" for name in names[:half]] else names


def _places(encoded: str | Path) -> Iterator[tuple[str, np.ndarray | None]]:
    """Go through the sequences: their ids, and the places of their tokens, where these are not the numbers of the tokens."""
    file = pq.ParquetFile(encoded)
    columns = ["id", *(["offsets"] if "offsets" in file.schema_arrow.names else [])]
    for batch in file.iter_batches(batch_size=ROWS, columns=columns):
        ids = batch["id"].to_pylist()
        offsets: Iterable = batch["offsets"].to_numpy(zero_copy_only=False) if len(columns) > 1 else [None] * len(ids)
        yield from zip(ids, offsets, strict=True)


def column_of(names: list[str], stems: tuple[str, ...], chosen: str | None, path: str | Path) -> str:
    """Find the column of a class or target.

    Parameters
    ----------
    names : list of str
        Columns, one for each class.
    stems : tuple of str
        How they may begin, before an underscore and the class.
    chosen : str or None
        The class; None: the only one.
    path : path
        Their file, for messages.

    Raises
    ------
    RnalmError
        If there is no such class, or there are several and none is chosen.

    Examples
    --------
    >>> column_of(["diff_Abf1", "diff_Reb1"], ("diff",), "Reb1", "variants.parquet")
    'diff_Reb1'
    """
    if chosen is None and len(names) == 1:
        return names[0]
    classes = [name.partition("_")[2] for name in names]
    if chosen is None:
        shown = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
        raise RnalmError(f"{path}: has several classes or targets ({shown}); tracks.classes must name one or more")
    found = next((f"{stem}_{chosen}" for stem in stems if f"{stem}_{chosen}" in names), None)
    if found is None:
        raise RnalmError(f"{path}: tracks.classes names {chosen!r}, which is not there; {nearest(chosen, classes)}")
    return found
