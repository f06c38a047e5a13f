"""BED files ─► intervals by contig, and how much of windows they cover together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rnalm.errors import RnalmError
from rnalm.sequences.text import open_text

#: What lines of a genome browser, and comments, begin with.
PASSED_OVER = ("#", "track ", "track\t", "browser ", "browser\t")


@dataclass(frozen=True)
class Union:
    """Intervals of one contig, of which those that overlap or touch are one.

    Attributes
    ----------
    start, end : numpy.ndarray
        int64 ``(intervals,)``, ascending and disjoint.
    before : numpy.ndarray
        Bases in all intervals before each, and at last in all ``(intervals + 1,)``.
    """

    start: np.ndarray
    end: np.ndarray
    before: np.ndarray

    @classmethod
    def of(cls, start: np.ndarray, end: np.ndarray) -> "Union":
        """Join intervals.

        Parameters
        ----------
        start, end : numpy.ndarray
            Half-open, in any order ``(intervals,)``.

        Examples
        --------
        >>> one = Union.of(np.array([5, 0, 3]), np.array([7, 2, 5]))
        >>> one.start.tolist(), one.end.tolist(), one.covered(np.array([1]), np.array([6])).tolist()
        ([0, 3], [2, 7], [4])
        """
        order = np.argsort(start, kind="stable")
        start, end = start[order].astype(np.int64), end[order].astype(np.int64)
        furthest = np.maximum.accumulate(end)
        first = np.flatnonzero(np.concatenate([[True], start[1:] > furthest[:-1]])) if len(start) else np.zeros(0, int)
        start, end = start[first], furthest[np.concatenate([first[1:] - 1, [len(furthest) - 1]])] if len(first) else end
        return cls(start, end, np.concatenate([[0], np.cumsum(end - start)]))

    def covered(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Count the bases of windows that are in an interval.

        Parameters
        ----------
        start, end : numpy.ndarray
            Half-open ``(windows,)``.

        Returns
        -------
        numpy.ndarray
            int64 ``(windows,)``
        """
        return self._until(end) - self._until(start)

    def covered_in_order(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Count the bases as :meth:`covered` does, of windows in order: in time that grows with what overlaps.

        Parameters
        ----------
        start, end : numpy.ndarray
            Half-open, both ascending ``(windows,)``, of which there are some.

        Returns
        -------
        numpy.ndarray
            float64 ``(windows,)``
        """
        near = slice(np.searchsorted(self.end, start[0], side="right"), np.searchsorted(self.start, end[-1]))
        own_start, own_end = self.start[near], self.end[near]
        # The windows that an interval overlaps are a run.
        first, after = np.searchsorted(end, own_start, side="right"), np.searchsorted(start, own_end)
        count = after - first
        window = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(count.sum())
        own = np.repeat(np.arange(len(count)), count)
        bases = np.minimum(end[window], own_end[own]) - np.maximum(start[window], own_start[own])
        return np.bincount(window, bases, minlength=len(start))

    def _until(self, position: np.ndarray) -> np.ndarray:
        """Count the bases in intervals that lie before positions."""
        if not len(self.start):
            return np.zeros(len(position), dtype=np.int64)
        begun = np.searchsorted(self.start, position)  # intervals that begin before the position
        last = np.maximum(begun - 1, 0)
        inside = np.minimum(position, self.end[last]) - self.start[last]
        return self.before[last] + np.where(begun > 0, inside, 0)


#: No interval at all.
NOWHERE = Union.of(np.zeros(0, int), np.zeros(0, int))


def read(path: str, columns: int = 4) -> pd.DataFrame:
    """Read the first columns of a BED file; comments, blank lines and the lines of a genome browser are passed over.

    Parameters
    ----------
    path : str
        Tab-separated; compressed if its name ends in ``.gz`` and the like.
    columns : int
        How many are read: ``contig``, ``start``, ``end``, and texts ``3``, ``4`` …, empty where a line has fewer.

    Raises
    ------
    RnalmError
        If the file is not there, or a line has no start and end; it names the line.
    """
    names = ["contig", "start", "end", *(str(number) for number in range(3, columns))]
    options = {"sep": "\t", "header": None, "names": names, "usecols": range(columns), "quoting": 3, "keep_default_na": False}
    kinds = {"contig": "category", "start": np.int64, "end": np.int64} | dict.fromkeys(names[3:], "category")
    with open_text(path) as text:
        try:
            # Text at first: of names that are all numbers, categories would be numbers, too.
            texts = {name: str if kind == "category" else kind for name, kind in kinds.items()}
            frame = pd.read_csv(text, dtype=texts, index_col=False, **options)  # pyright: ignore[reportArgumentType, reportCallIssue]
        except ValueError:
            frame = None
    frame = (_line_by_line(path, columns) if frame is None else frame).astype(kinds)
    wrong = np.flatnonzero((frame["start"] < 0) | (frame["end"] <= frame["start"]))
    if len(wrong):
        row = frame.iloc[wrong[0]]
        raise RnalmError(f"{path}: the interval {row['contig']}:{row['start']}-{row['end']} ends before it begins, or at once")
    return frame


def _line_by_line(path: str, columns: int) -> pd.DataFrame:
    """Read a file that has other lines than intervals in it, and tell the first that is neither."""
    rows = []
    with open_text(path) as text:
        for number, line in enumerate(text, start=1):
            if not line.strip() or line.startswith(PASSED_OVER):
                continue
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) < 3 or not (fields[1].isdecimal() and fields[2].isdecimal()):
                hint = "expected contig, start and end, separated by tabs"
                raise RnalmError(f"{path}, line {number}: found {line.strip()[:40]!r}, {hint}")
            rows.append([fields[0], int(fields[1]), int(fields[2]), *(fields[3:columns] + [""] * (columns - len(fields)))])
    return pd.DataFrame(rows, columns=["contig", "start", "end", *(str(number) for number in range(3, columns))])


def unions(frame: pd.DataFrame) -> Mapping[str, Union]:
    """Join the intervals of each contig.

    Parameters
    ----------
    frame : pandas.DataFrame
        From :func:`read`.
    """
    groups = frame.groupby("contig", observed=True, sort=False)
    return {str(name): Union.of(own["start"].to_numpy(), own["end"].to_numpy()) for name, own in groups}
