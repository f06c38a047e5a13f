"""Effects along sequences ─► the elements that are stronger than chance: runs of tokens whose effects are large together.

A run scores the sum of how much the size of each effect exceeds what is usual in its sequence; runs of maximal score are found
one after the other, each beside those before (Karlin & Altschul, PNAS 87, 2264, 1990; Ruzzo & Tompa, ISMB 7, 234, 1999). What
chance makes of it is seen when the effects of the sequence change places: the score of the best run, each time. A run is an
element where its score is greater than those of a given share of the permutations.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from rnalm.config.tracks import Elements
from rnalm.files import replacing
from rnalm.tracks import lay
from rnalm.tracks.values import Track
from rnalm.tracks.write import finder, read

log = logging.getLogger(__name__)

#: Numbers that are permuted at once.
AT_ONCE = 2**20


@dataclass(frozen=True, slots=True)
class Element:
    """A run of tokens with large effects.

    Attributes
    ----------
    first, after : int
        Numbers of its first token and of that behind it.
    score : float
        Sum of what its effects exceed, in size, the usual; of the unit of the effects.
    """

    first: int
    after: int
    score: float


def excess(effects: np.ndarray) -> np.ndarray:
    """Say by how much the size of each effect exceeds what is usual: the mean size and its standard deviation.

    With half the standard deviation, some more weak elements are found in noise with heavy tails (of 200 of two standard
    deviations, 86 instead of 61), but of strong ones fewer have their bounds (154 of 200 instead of 186).

    Parameters
    ----------
    effects : numpy.ndarray
        Of one sequence ``(tokens,)``.

    Returns
    -------
    numpy.ndarray
        Negative for most ``(tokens,)``; it adds up to less than 0, as scores of segments must.
    """
    size = np.abs(effects)
    return size - (size.mean() + size.std())


def best(excesses: np.ndarray, min_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the run of maximal sum in each of several rows; of those alike, the leftmost.

    Parameters
    ----------
    excesses : numpy.ndarray
        From :func:`excess` ``(rows, tokens)``, of ``min_length`` tokens or more.
    min_length : int
        Tokens of a run, at least.

    Returns
    -------
    first, after : numpy.ndarray
        Bounds of each run ``(rows,)``.
    score : numpy.ndarray
        Its sum ``(rows,)``.

    Examples
    --------
    >>> [part.tolist() for part in best(np.array([[-1.0, 2.0, -0.5, 2.0, -1.0]]), min_length=1)]
    [[1], [4], [3.5]]
    """
    sums = np.pad(np.cumsum(excesses, axis=1), ((0, 0), (1, 0)))
    before = sums[:, : sums.shape[1] - min_length]  # where runs may begin that end at min_length, …
    gain = sums[:, min_length:] - np.minimum.accumulate(before, axis=1)
    last, row = gain.argmax(axis=1), np.arange(len(sums))
    first = np.array([before[number, : end + 1].argmin() for number, end in enumerate(last)])
    return first, last + min_length, gain[row, last]


def find(effects: np.ndarray, options: Elements, draw: np.random.Generator) -> list[Element]:
    """Find the elements of a sequence, from left to right.

    Parameters
    ----------
    effects : numpy.ndarray
        Of its tokens, in their order ``(tokens,)``.
    options : rnalm.config.tracks.Elements
        How much stronger than chance they are, and how long.
    draw : numpy.random.Generator
        From which permutations are drawn.
    """
    if len(effects) < options.min_length:
        return []
    excesses = excess(effects)
    limit = threshold(excesses, options, draw)
    found, waiting = [], [(0, len(excesses))]
    while waiting:
        start, end = waiting.pop()
        if end - start < options.min_length:
            continue
        (first,), (after,), (score,) = best(excesses[None, start:end], options.min_length)
        if score > limit and score > 0:
            found.append(Element(int(start + first), int(start + after), float(score)))
            waiting += [(start, start + int(first)), (start + int(after), end)]
    return sorted(found, key=lambda element: element.first)


def threshold(excesses: np.ndarray, options: Elements, draw: np.random.Generator) -> float:
    """Tell what the best run of a sequence scores by chance: a share of ``options.threshold`` of permutations score less.

    Of n permutations it is that of rank ⌈threshold · (n + 1)⌉: where places mean nothing, the sequence's own score is as likely
    to have any rank among them (Davison & Hinkley, Bootstrap Methods, 1997, 4.3).

    Parameters
    ----------
    excesses : numpy.ndarray
        From :func:`excess` ``(tokens,)``.
    options, draw
        As for :func:`find`.
    """
    scores: list[float] = []
    rows = max(1, AT_ONCE // len(excesses))
    while (left := options.permutations - len(scores)) > 0:
        permuted = draw.permuted(np.tile(excesses, (min(rows, left), 1)), axis=1)
        scores += best(permuted, options.min_length)[2].tolist()
    return sorted(scores)[options.rank - 1]


def lines(track: Track, elements: Iterable[Element], place: lay.Placing | None) -> Iterator[str]:
    """Write the elements of a sequence as BED: several lines with one name, where introns part an element.

    Parameters
    ----------
    track : Track
        Values of the tokens, none of them NaN.
    elements : iterable of Element
        Those of the sequence.
    place : rnalm.tracks.lay.Placing or None
        Where it lies on the genome; None: in its own coordinates.

    Yields
    ------
    str
        Contig, start, end, name, score, strand and mean effect. The score is the mean size of the effects, where 1,000 is the
        largest of the sequence.
    """
    lies = place(track) if place else None
    if place and lies is None:
        return
    most = np.abs(track.values).max(initial=0)
    for element in elements:
        own = slice(element.first, element.after)
        start, end = int(track.starts[own].min()), int(track.ends[own].max())
        score = round(1000 * float(np.abs(track.values[own]).mean() / most))
        rest = f"{track.id}:{start}-{end}\t{score}\t{lies.strand if lies else '+'}\t{track.values[own].mean():.7g}\n"
        for first, last in lies.blocks(start, end) if lies else [(start, end)]:
            yield f"{lies.contig if lies else track.id}\t{first}\t{last}\t{rest}"


def find_elements(
    table: str | Path,
    outputs: Iterable[str | Path],
    kind: str,
    classes: Iterable[str],
    options: Elements,
    seed: int,
    windows: bool = False,
    transcripts: str | None = None,
) -> None:
    """Write the elements of all sequences, in the order of these.

    Parameters
    ----------
    table, kind, windows, transcripts
        As for :func:`rnalm.tracks.write.write_tracks`.
    outputs : iterable of path
        A BED file for each class.
    classes : iterable of str
        Classes or targets; none: that which is explained.
    options : rnalm.config.tracks.Elements
        What an element is.
    seed : int
        From which permutations are drawn, and from the name of the sequence.

    Raises
    ------
    RnalmError
        If there is no such class, or no sequence lies on the genome.
    """
    finds, where = finder(windows, transcripts, str(table))
    for output, chosen in zip(outputs, list(classes) or [None], strict=True):
        place = lay.Placing(finds, where) if finds else None
        sequences = having = 0
        with replacing(output) as temporary, open(temporary, "w", encoding="utf-8") as text:
            for track in read(table, kind, chosen, None):
                track = _known(track)
                elements = find(track.values, options, _generator(seed, track.id))
                sequences, having = sequences + 1, having + bool(elements)
                text.writelines(lines(track, elements, place))
        if place:
            place.conclude()
        log.info("%s: %d of %d sequences have elements", output, having, sequences)


def _known(track: Track) -> Track:
    """Leave out the tokens that have no value or no width."""
    kept = ~np.isnan(track.values) & (track.ends > track.starts)
    return Track(track.id, track.starts[kept], track.ends[kept], track.values[kept])


def _generator(seed: int, name: str) -> np.random.Generator:
    """Make a generator for a sequence, so that its elements do not depend on those before it."""
    return np.random.default_rng([seed, int.from_bytes(sha256(name.encode()).digest()[:8])])
