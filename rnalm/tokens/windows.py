"""Sequences that are longer than a model reads ─► windows that overlap, of which each position is read in one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from rnalm.tokens.dataset import Encoded


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a sequence that is read at once.

    Attributes
    ----------
    start, stop : int
        The part, half-open.
    first, after : int
        Its own positions, half-open: those that stand more central in it than in any other.
    """

    start: int
    stop: int
    first: int
    after: int


def divide(length: int, size: int) -> list[Window]:
    """Divide a sequence into windows of which neighbours share half, or more.

    Parameters
    ----------
    length : int
        Tokens of the sequence.
    size : int
        Tokens of a window, at most.

    Returns
    -------
    list of Window
        From left to right; each position is one window's own. A sequence that fits is one window.

    Examples
    --------
    >>> for window in divide(9, 6):
    ...     print(window)
    Window(start=0, stop=6, first=0, after=4)
    Window(start=3, stop=9, first=4, after=9)
    """
    if length <= size:
        return [Window(0, length, 0, length)]
    steps = -(-(length - size) // max(1, size // 2))
    starts = [(length - size) * step // steps for step in range(steps + 1)]
    # Between two windows, the middle of what they share is as far from the end of one as from that of the other.
    bounds = [0, *((right + left + size) // 2 for left, right in pairwise(starts)), length]
    return [Window(start, start + size, *own) for start, own in zip(starts, pairwise(bounds), strict=True)]


def cut(sequence: Encoded, window: Window) -> Encoded:
    """Take a window out of a sequence.

    Parameters
    ----------
    sequence : Encoded
        With one strand.
    window : Window
        Of it.

    Returns
    -------
    Encoded
        Its labels are known at the window's own positions alone.
    """
    part = slice(window.start, window.stop)
    label = sequence.label
    if isinstance(label, np.ndarray):
        known = np.full_like(label, np.nan if label.dtype.kind == "f" else "")
        known[window.first : window.after] = label[window.first : window.after]
        label = known[part]
    return replace(
        sequence,
        input_ids=sequence.input_ids[part],
        modifiers=None if sequence.modifiers is None else sequence.modifiers[:, part],
        label=label,
        offsets=None if sequence.offsets is None else sequence.offsets[part],
    )


def parts(sequences: Sequence[Encoded], size: int | None) -> list[Encoded]:
    """Cut all sequences that are longer than a model reads into windows.

    Parameters
    ----------
    sequences : sequence of Encoded
        Of any lengths.
    size : int or None
        Tokens of a window, at most; None: any number.

    Returns
    -------
    list of Encoded
        In order; a sequence that fits is itself.
    """
    whole = []
    for sequence in sequences:
        length = len(sequence.input_ids)
        if size is None or length <= size:
            whole.append(sequence)
        else:
            whole += [cut(sequence, window) for window in divide(length, size)]
    return whole
