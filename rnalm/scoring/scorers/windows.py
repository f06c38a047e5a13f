"""Which positions an edit changes, from the tokens up to the bins: arithmetic on indices.

Positions are those of the perturbed sequence. An edit that puts ``width`` tokens at ``start`` changes the window
``[start, start + width)``; left of it everything is as in the sequence itself, right of it as in the sequence shifted by
as many tokens as the edits up to there have added to it. A convolution that reads ``span`` positions further widens a window
to the left by as many, pooling narrows it. Windows may reach beyond the ends of the sequence: what is computed there reaches no
position that exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnalm.models.local import Layer
from rnalm.scoring.edits import Edits, distinct, offsets, ranges


def through(start: Any, width: Any, layer: Layer) -> tuple[Any, Any]:
    """Take windows through a layer.

    The width is what the window needs wherever it lies on the pooling grid, so that windows of one width stay of one width.

    Parameters
    ----------
    start, width : int, numpy.ndarray or Tensor
        First position and number of positions before the layer.
    layer : Layer
        The layer.

    Returns
    -------
    start, width
        First position and number of positions after it, of the types given.

    Examples
    --------
    One changed token, a convolution of five taps, and pooling by two:

    >>> from torch import nn
    >>> through(100, 1, Layer(nn.Conv1d(4, 4, 5), pool=2))
    (48, 3)
    """
    return (start - layer.span) // layer.pool, (width + layer.span + 2 * (layer.pool - 1)) // layer.pool


def through_all(start: Any, width: Any, layers: Sequence[Layer]) -> tuple[Any, Any]:
    """Take windows through all layers; see :func:`through`.

    Parameters
    ----------
    start, width : int, numpy.ndarray or Tensor
        First position and number of positions before the first layer.
    layers : sequence of Layer
        The layers, from the tokens on.
    """
    for layer in layers:
        start, width = through(start, width, layer)
    return start, width


def descents(layers: Sequence[Layer]) -> list[tuple[int, int]]:
    """Say where windows begin after each layer: a window that starts at s, at ``(s - back) // pool``.

    One division stands for those of all layers up to there, as ⌊(⌊s / p⌋ - b) / q⌋ = ⌊(s - b p) / (p q)⌋ (Graham, Knuth and
    Patashnik, Concrete Mathematics, 3.11).

    Parameters
    ----------
    layers : sequence of Layer
        The layers, from the tokens on.

    Returns
    -------
    list of tuple
        ``(back, pool)`` before the first layer, then after each.

    Examples
    --------
    >>> from torch import nn
    >>> descents([Layer(nn.Conv1d(4, 4, 5), pool=2), Layer(nn.Conv1d(4, 4, 3), pool=4)])
    [(0, 1), (4, 2), (8, 8)]
    """
    found = [(0, 1)]
    for layer in layers:
        back, pool = found[-1]
        found.append((back + layer.span * pool, pool * layer.pool))
    return found


def in_bins(start: np.ndarray, width: np.ndarray, layers: Sequence[Layer]) -> tuple[np.ndarray, np.ndarray]:
    """Take many windows of few widths through all layers; see :func:`through`.

    Parameters
    ----------
    start, width : numpy.ndarray
        First position and number of positions before the first layer ``(windows,)``.
    layers : sequence of Layer
        The layers, from the tokens on.

    Returns
    -------
    start, width
        First bin and number of bins ``(windows,)``.
    """
    back, pool = descents(layers)[-1]
    bins = np.zeros(int(width.max(initial=0)) + 1, dtype=np.int64)  # of each width
    for each in distinct(width).tolist():
        _, bins[each] = through_all(0, each, layers)
    return (start - back) // pool, bins[width]


def rounded(width: np.ndarray) -> np.ndarray:
    """Round widths up to 0 or a power of two: few different ones, so that many windows are computed together.

    Parameters
    ----------
    width : numpy.ndarray
        Numbers of positions, int64.
    """
    if width.max(initial=0) <= 2:
        return width
    return np.where(width > 0, 2 ** np.ceil(np.log2(np.maximum(width, 1))).astype(np.int64), 0)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of changed tokens, by perturbation and from left to right; those of one perturbation never meet.

    Attributes
    ----------
    owner : numpy.ndarray
        Perturbation of each window ``(windows,)``.
    rank : numpy.ndarray
        Windows of the same perturbation that are right of it ``(windows,)``.
    start, width : numpy.ndarray
        First position, and number of positions, rounded up by taking in what lies right of the change ``(windows,)``.
    left, right : numpy.ndarray
        By how much what is left and right of it is shifted against the sequence ``(windows,)``.
    top, top_width : numpy.ndarray
        First bin and number of bins ``(windows,)``.
    offset : numpy.ndarray
        Where the tokens of each window begin in ``source`` ``(windows + 1,)``.
    source : numpy.ndarray
        For each position its index in the material (see :class:`rnalm.scoring.scorers.material.Material`).
    """

    owner: np.ndarray
    rank: np.ndarray
    start: np.ndarray
    width: np.ndarray
    left: np.ndarray
    right: np.ndarray
    top: np.ndarray
    top_width: np.ndarray
    offset: np.ndarray
    source: np.ndarray


def find_windows(edits: Edits, length: int, layers: Sequence[Layer]) -> Windows:
    """Find the windows of edits; spans whose windows would meet in some layer share one.

    Parameters
    ----------
    edits : Edits
        Perturbations of one sequence.
    length : int
        Tokens of the sequence.
    layers : sequence of Layer
        The layers of the model, from the tokens on.
    """
    owner, shift = edits.owner, edits.shift
    total = offsets(shift)
    left = total[:-1] - total[edits.first[:-1]][owner]  # (spans,): growth of the spans before it
    start, end = edits.start + left, edits.end + left + shift
    head, tail = _merged(owner, start, end, layers)
    width = rounded(end[tail] - start[head])
    top, top_width = in_bins(start[head], width, layers)
    own = owner[head]
    return Windows(
        owner=own,
        rank=np.searchsorted(own, own, side="right") - 1 - np.arange(len(own)),
        start=start[head],
        width=width,
        left=left[head],
        right=left[tail] + shift[tail],
        top=top,
        top_width=top_width,
        offset=offsets(width),
        source=_sources(edits, length, head, tail, width - (end[tail] - start[head])),
    )


def _merged(owner: np.ndarray, start: np.ndarray, end: np.ndarray, layers: Sequence[Layer]) -> tuple[np.ndarray, np.ndarray]:
    """Merge spans until windows of one perturbation nowhere meet: the first and last span of each window."""
    head = tail = np.arange(len(owner))
    while True:
        again = owner[head][1:] == owner[head][:-1]
        if not again.any():
            return head, tail
        # A layer's windows hold all that those of the layer before reach: what does not meet in the bins meets in no layer.
        top, width = in_bins(start[head], rounded(end[tail] - start[head]), layers)
        meets = again & (top[1:] < top[:-1] + width[:-1])
        if not meets.any():
            return head, tail
        head, tail = head[np.append(True, ~meets)], tail[np.append(~meets, True)]


def _sources(edits: Edits, length: int, head: np.ndarray, tail: np.ndarray, filling: np.ndarray) -> np.ndarray:
    """List the tokens of each window: those that come, with those that stay between them and right of them."""
    if len(head) == len(edits.start) and not filling.any():
        return length + np.arange(len(edits.token))  # those that come, one after the other
    count = edits.count
    stay = np.append(edits.start[1:], 0) - edits.end
    stay[tail] = filling
    starts = np.stack([length + edits.offset[:-1], edits.end], axis=1).ravel()
    counts = np.stack([count, stay], axis=1).ravel()
    source = ranges(starts, counts)
    # What fills a window beyond the last token of the sequence is padding, the last item of the material.
    stays = np.repeat(np.tile([False, True], len(count)), counts)
    return np.where(stays & (source >= length), length + len(edits.token), source)
