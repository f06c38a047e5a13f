"""BED files ─► intervals by contig, and how much of windows they cover together."""

from collections.abc import Mapping, Sequence
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

    def _until(self, position: np.ndarray) -> np.ndarray:
        """Count the bases in intervals that lie before positions."""
        if not len(self.start):
            return np.zeros(len(position), dtype=np.int64)
        begun = np.searchsorted(self.start, position)  # intervals that begin before the position
        last = np.maximum(begun - 1, 0)
        inside = np.minimum(position, self.end[last]) - self.start[last]
        return self.before[last] + np.where(begun > 0, inside, 0)


@dataclass(frozen=True)
class Stack:
    """Intervals of several classes on one contig; those of one class are disjoint.

    Attributes
    ----------
    start, end : numpy.ndarray
        int64 ``(intervals,)``, ascending by start.
    of : numpy.ndarray
        Numbers of their classes, int64 ``(intervals,)``.
    furthest : numpy.ndarray
        The greatest end of each interval and of those before it ``(intervals,)``.
    """

    start: np.ndarray
    end: np.ndarray
    of: np.ndarray
    furthest: np.ndarray

    @classmethod
    def on(cls, known: Sequence[tuple[int, Union]]) -> "Stack":
        """Put the intervals of classes together.

        Parameters
        ----------
        known : sequence of tuple
            Numbers of classes, and their intervals.
        """
        start, end = (np.concatenate([getattr(union, edge) for _, union in known]) for edge in ("start", "end"))
        of = np.repeat([index for index, _ in known], [len(union.start) for _, union in known])
        order = np.argsort(start, kind="stable")
        return cls(start[order], end[order], of[order], np.maximum.accumulate(end[order]))

    def overlaps(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """List which intervals overlap which windows, in time that grows with the length of the list.

        Parameters
        ----------
        start, end : numpy.ndarray
            Half-open, both ascending ``(windows,)``, of which there are some.

        Returns
        -------
        window, of, bases : numpy.ndarray
            int64 ``(overlaps,)``: number of the window, that of the class, and how many bases are in both.
        """
        near = slice(np.searchsorted(self.furthest, start[0], side="right"), np.searchsorted(self.start, end[-1]))
        own_start, own_end, of = self.start[near], self.end[near], self.of[near]
        # The windows that an interval overlaps are a run.
        first, after = np.searchsorted(end, own_start, side="right"), np.searchsorted(start, own_end)
        count = after - first
        own = np.repeat(np.arange(len(count)), count)
        window = np.arange(len(own)) + (first - (np.cumsum(count) - count))[own]
        bases = np.minimum(end[window], own_end[own]) - np.maximum(start[window], own_start[own])
        return window, of[own], bases


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
    texts = ["contig", *names[3:]]
    # Read as text first: pandas would make numbers of categories that look like some, and one contig of "1" and "01".
    kinds = {"start": np.int64, "end": np.int64} | dict.fromkeys(texts, "str")
    with open_text(path) as text:
        try:
            frame = pd.read_csv(text, dtype=kinds, index_col=False, **options)  # pyright: ignore[reportArgumentType, reportCallIssue]
        except ValueError:
            frame = None
    if frame is None:
        frame = _line_by_line(path, columns).astype(kinds)  # pyright: ignore[reportArgumentType]
    frame = frame.astype(dict.fromkeys(texts, "category"))
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
