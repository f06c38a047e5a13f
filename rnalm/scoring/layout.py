"""Windows of contigs ─► stretches of letters that hold them, so that what they share is computed once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from rnalm.errors import RnalmError
from rnalm.sequences.edited import Window
from rnalm.sequences.strands import reverse_complement

#: Bases that are known.
KNOWN = b"ACGT"
#: Letters of a stretch, at most, where no window is longer: few enough for the caches of a CPU, and enough to keep a GPU busy.
MOST = {"cpu": 2**15, "cuda": 2**19}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Parts of contigs, one behind the other, and windows of them.

    Attributes
    ----------
    text : str
        Its letters, as the strand has them that is read.
    numbers : numpy.ndarray
        Which of all windows are here ``(windows,)``.
    windows : list of Window
        They, as parts of the text.
    parts : list of tuple
        Contig, start and end of each part, as the forward strand has them.
    """

    text: str
    numbers: np.ndarray
    windows: list[Window]
    parts: list[tuple[str, int, int]]

    @property
    def unknown(self) -> np.ndarray:
        """Which windows have a letter other than A, C, G and T, bool ``(windows,)``."""
        odd = ~np.isin(np.frombuffer(self.text.encode(), dtype=np.uint8), np.frombuffer(KNOWN, dtype=np.uint8))
        before = np.concatenate([[0], np.cumsum(odd)])
        rows = [
            (*(own.left, own.at, own.right + own.behind, own.length - own.behind), not set(own.comes.encode()) <= set(KNOWN))
            for own in self.windows
        ]
        left, at, right, rest, comes = np.array(rows, dtype=np.int64).reshape(-1, 5).T
        # Where a part is empty, it may be said to stand outside of the text.
        left, right = np.where(at > 0, left, 0), np.where(rest > 0, right, 0)
        return (before[left + at] > before[left]) | (before[right + rest] > before[right]) | (comes > 0)


@dataclass(slots=True)
class _Piece:
    """A part of a contig, and the numbers of the windows that are in it."""

    contig: str
    start: int
    end: int
    numbers: list[int]


def lay(
    windows: Sequence[Window],
    places: Sequence[tuple[str, str]],
    letters: Callable[[str, int, int], str],
    most: int = MOST["cpu"],
) -> Iterator[Stretch]:
    """Lay windows that overlap on common stretches.

    Parameters
    ----------
    windows : sequence of Window
        Of contigs.
    places : sequence of tuple
        Of each window the name of its contig, and the strand that is read: ``-``, or any other word for the forward one.
    letters : callable
        Reads the letters of a contig, by its name, between two positions.
    most : int
        Letters of a stretch, at most, or twice as many as the longest window.

    Yields
    ------
    Stretch
        Each window is in one of them.

    Raises
    ------
    RnalmError
        If the other strand is read of letters that are no nucleotides; it names the place on the contig.

    Examples
    --------
    >>> genome = "AACCGGTTAACC"
    >>> snv, other = Window(1, 1, 2, "T", 4), Window(8, 8, 2, "", 4)
    >>> [stretch] = lay([snv, other], [("z", "+")] * 2, lambda contig, first, after: genome[first:after])
    >>> stretch.text, [window.text(lambda first, after: stretch.text[first:after]) for window in stretch.windows]
    ('ACCGAACC', ['ACTG', 'AACC'])
    """
    order = sorted(range(len(windows)), key=lambda n: (places[n][1] == "-", places[n][0], windows[n].reach, n))
    # Of windows that are longer, those that overlap share a stretch all the same.
    most = max([most, *(2 * (after - first) for first, after in (own.reach for own in windows))])
    for turned, numbers in groupby(order, key=lambda number: places[number][1] == "-"):
        held: list[_Piece] = []
        for piece in _pieces(windows, places, numbers, most):
            if held and sum(one.end - one.start for one in [*held, piece]) > most:
                yield _stretch(windows, held, turned, letters)
                held = []
            held.append(piece)
        yield _stretch(windows, held, turned, letters)


def _pieces(
    windows: Sequence[Window], places: Sequence[tuple[str, str]], numbers: Iterator[int], most: int
) -> Iterator[_Piece]:
    """Put windows together that overlap, in the order in which they begin on each contig."""
    piece: _Piece | None = None
    for number in numbers:
        (first, after), contig = windows[number].reach, places[number][0]
        if piece is None or contig != piece.contig or first > piece.end or after - piece.start > most:
            if piece is not None:
                yield piece
            piece = _Piece(contig, first, after, [])
        piece.end = max(piece.end, after)
        piece.numbers.append(number)
    if piece is not None:
        yield piece


def _stretch(windows: Sequence[Window], pieces: list[_Piece], turned: bool, letters: Callable[[str, int, int], str]) -> Stretch:
    """Put pieces one behind the other."""
    text, other, found = "", "", []
    for piece in pieces:
        found += [windows[number].within(piece.start - len(text)) for number in piece.numbers]
        own = letters(piece.contig, piece.start, piece.end)
        text, other = text + own, (_other(piece, own) if turned else "") + other
    if turned:
        found, text = [own.turned(len(text)) for own in found], other
    numbers = np.array([number for piece in pieces for number in piece.numbers])
    parts = [(piece.contig, piece.start, piece.end) for piece in pieces]
    return Stretch(text, numbers, [_plain(own, text) for own in found], parts)


def _other(piece: _Piece, text: str) -> str:
    """Write the other strand of a piece."""
    try:
        return reverse_complement(text, rna=False)
    except RnalmError as error:
        raise RnalmError(f"{piece.contig}:{piece.start}-{piece.end}: {error}") from None


def _plain(window: Window, text: str) -> Window:
    """Write a window that edits nothing in one way, so that it is known again."""
    first, behind = window.left + window.at, window.left + window.behind
    if window.left == window.right and text[first:behind] == window.comes:
        return replace(window, at=window.length, comes="")
    return window
