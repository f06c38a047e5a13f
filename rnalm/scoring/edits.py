"""What to change: edits of a sequence, on its encoded form."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnalm.errors import RnalmError
from rnalm.tokens.dataset import Encoded

#: The id that marks a deletion: no token comes in the place of the one that goes.
DELETED = -1

#: The position that marks a token without modifiers: it takes those of no position in the sequence.
NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Edits:
    """Perturbations of one sequence: in each, spans of tokens give way to others.

    Spans of one perturbation do not overlap and go from left to right. Make them with :meth:`of` or :meth:`single`.

    Attributes
    ----------
    first : numpy.ndarray
        Spans ``first[i]:first[i + 1]`` are those of perturbation i, int64 ``(edits + 1,)``.
    start, end : numpy.ndarray
        Half-open range of the tokens that go, int64 ``(spans,)``; empty for an insertion.
    offset : numpy.ndarray
        Tokens ``offset[k]:offset[k + 1]`` come in place of span k, int64 ``(spans + 1,)``.
    token : numpy.ndarray
        Ids of the tokens that come, int64 ``(tokens,)``.
    keep : numpy.ndarray
        Position in the sequence whose modifiers such a token takes, or ``NOWHERE``, int64 ``(tokens,)``.
    """

    first: np.ndarray
    start: np.ndarray
    end: np.ndarray
    offset: np.ndarray
    token: np.ndarray
    keep: np.ndarray

    @classmethod
    def of(cls, perturbations: Sequence[Sequence[tuple[int, int, Sequence[int]]]], length: int) -> "Edits":
        """Make edits of lists of ``(start, end, tokens)``, one list a perturbation.

        Tokens take the modifiers of those in whose place they stand, one by one from the left; what is beyond has none.

        Parameters
        ----------
        perturbations : sequence of sequence of tuple
            Spans of each perturbation, from left to right: the tokens ``start`` to ``end`` give way to these ids.
        length : int
            Tokens of the sequence.

        Raises
        ------
        RnalmError
            If a span is not in the sequence, or overlaps the one before it.

        Examples
        --------
        A deletion of two tokens; and an insertion with, further right, a substitution:

        >>> Edits.of([[(3, 5, [])], [(0, 0, [7, 7]), (8, 9, [10])]], length=12).growth.tolist()
        [-2, 2]
        """
        for spans in perturbations:
            after = 0
            for start, end, _ in spans:
                if not after <= start <= end <= length:
                    raise RnalmError(f"an edit replaces tokens {start} to {end}, expected a range within {after} to {length}")
                after = end
        spans = [span for spans in perturbations for span in spans]
        start, end = (np.array([span[side] for span in spans], dtype=np.int64) for side in (0, 1))
        count = np.array([len(span[2]) for span in spans], dtype=np.int64)
        place = ranges(start, count)
        return cls(
            first=offsets([len(spans) for spans in perturbations]),
            start=start,
            end=end,
            offset=offsets(count),
            token=np.array([token for span in spans for token in span[2]], dtype=np.int64),
            keep=np.where(place < np.repeat(end, count), place, NOWHERE),
        )

    @classmethod
    def single(cls, position: np.ndarray, token: np.ndarray, clear: np.ndarray | None = None) -> "Edits":
        """Make edits of one token each.

        Parameters
        ----------
        position : numpy.ndarray
            Of the token that goes ``(edits,)``.
        token : numpy.ndarray
            The id that comes in its place, with its modifiers, or ``DELETED`` ``(edits,)``.
        clear : numpy.ndarray, optional
            Whether the token that comes loses its modifiers, bool ``(edits,)``.
        """
        comes = token != DELETED
        keep = position if clear is None else np.where(clear, NOWHERE, position)
        return cls(np.arange(len(position) + 1), position, position + 1, offsets(comes), token[comes], keep[comes])

    def __len__(self) -> int:
        return len(self.first) - 1

    def __getitem__(self, chosen: slice | np.ndarray) -> "Edits":
        """Choose perturbations by a slice or by their numbers (not by a mask)."""
        if isinstance(chosen, slice):
            chosen = np.arange(len(self))[chosen]
        spans = ranges(self.first[chosen], np.diff(self.first)[chosen])  # numbers of their spans
        tokens = ranges(self.offset[spans], self.count[spans])  # numbers of the tokens that come in these
        return Edits(
            offsets(np.diff(self.first)[chosen]),
            self.start[spans],
            self.end[spans],
            offsets(self.count[spans]),
            self.token[tokens],
            self.keep[tokens],
        )

    def together(self, chosen: np.ndarray) -> "Edits":
        """Make several perturbations at once, again and again; their spans must not overlap.

        Parameters
        ----------
        chosen : numpy.ndarray
            Numbers of those that are made together, from left to right, int64 ``(edits, each)``.

        Examples
        --------
        >>> single = Edits.single(np.array([2, 2, 4]), np.array([7, 8, 9]))
        >>> both = single.together(np.array([[0, 2], [1, 2]]))
        >>> both.first.tolist(), both.token.tolist()
        ([0, 2, 4], [7, 9, 8, 9])
        """
        each = self[chosen.ravel()]
        return replace(each, first=each.first[:: chosen.shape[1]])

    def check(self, sequence: Encoded, vocab_size: int | None) -> None:
        """Refuse edits that do not fit: on a GPU they would end the program, or change other tokens than those meant.

        Parameters
        ----------
        sequence : Encoded
            The sequence to edit.
        vocab_size : int or None
            Ids below this exist; None: it is not known.

        Raises
        ------
        RnalmError
            If a span reaches beyond the sequence, or an id is none of the vocabulary.
        """
        length, end = len(sequence.input_ids), self.end.max(initial=0)
        if end > length:
            raise RnalmError(f"an edit replaces tokens up to {end}, but sequence {sequence.id!r} has {length}")
        lowest, highest = self.token.min(initial=0), self.token.max(initial=0)
        if lowest < 0 or (vocab_size is not None and highest >= vocab_size):
            wrong = lowest if lowest < 0 else highest
            raise RnalmError(f"an edit puts token {wrong}, expected an id below the size of the vocabulary, {vocab_size}")

    def moved(self, places: np.ndarray) -> np.ndarray:
        """Tell where tokens of the sequence stand after each edit.

        What comes in the place of a token, one by one from the left, stands for it.

        Parameters
        ----------
        places : numpy.ndarray
            Where they stand in the sequence ``(tokens,)``.

        Returns
        -------
        numpy.ndarray
            int64 ``(edits, tokens)``; :data:`NOWHERE` where one is deleted.

        Examples
        --------
        >>> Edits.single(np.array([2, 4]), np.array([DELETED, 9])).moved(np.array([1, 2, 3])).tolist()
        [[1, -1, 2], [1, 2, 3]]
        """
        moved = np.repeat(places[None].astype(np.int64), len(self), axis=0)
        first, spans = self.first[:-1], np.diff(self.first)
        for number in range(spans.max(initial=0)):
            span = np.where(number < spans, first + number, 0)
            # Where a perturbation has no such span, it stands beyond all tokens and changes nothing.
            start, end = (np.where(number < spans, side[span], np.inf)[:, None] for side in (self.start, self.end))
            count, shift = self.count[span][:, None], self.shift[span][:, None]
            gone = (places >= start) & (places < end) & (places - start >= count)
            moved = np.where(places >= end, moved + shift, np.where(gone, NOWHERE, moved))
        return moved

    @property
    def count(self) -> np.ndarray:
        """Tokens that come in place of each span ``(spans,)``."""
        return np.diff(self.offset)

    @property
    def owner(self) -> np.ndarray:
        """The perturbation to which each span belongs ``(spans,)``."""
        return np.repeat(np.arange(len(self)), np.diff(self.first))

    @property
    def shift(self) -> np.ndarray:
        """By how many tokens each span moves what is right of it; the spans left of it not counted ``(spans,)``."""
        return self.count - (self.end - self.start)

    @property
    def growth(self) -> np.ndarray:
        """By how many tokens each perturbed sequence is longer ``(edits,)``."""
        return np.diff(offsets(self.shift)[self.first])


def surrounded(sequence: Encoded, edits: Edits, margin: tuple[int, int], token: int) -> tuple[Encoded, Edits]:
    """Put tokens around a sequence, and let edits change the same tokens as before.

    Parameters
    ----------
    sequence, edits
        The sequence and its perturbations.
    margin : tuple of int
        How many tokens come to the left, and to the right.
    token : int
        Their id.
    """
    if not any(margin):
        return sequence, edits
    ids, modifiers = np.pad(sequence.input_ids, margin, constant_values=token), sequence.modifiers
    modifiers = None if modifiers is None else np.pad(modifiers, ((0, 0), margin))
    keep = np.where(edits.keep == NOWHERE, NOWHERE, edits.keep + margin[0])
    moved = replace(edits, start=edits.start + margin[0], end=edits.end + margin[0], keep=keep)
    return replace(sequence, input_ids=ids, modifiers=modifiers), moved


def offsets(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Tell where runs begin that follow each other, and where the last ends: int64 ``(runs + 1,)``.

    Parameters
    ----------
    counts : sequence of int
        Lengths of the runs ``(runs,)``.

    Examples
    --------
    >>> offsets([2, 0, 3]).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def distinct(numbers: np.ndarray) -> np.ndarray:
    """List the different ones of integers that lie close together, in ascending order: faster than by sorting or hashing.

    Parameters
    ----------
    numbers : numpy.ndarray
        int64, of any sign ``(numbers,)``.

    Examples
    --------
    >>> distinct(np.array([3, -1, 3, 0])).tolist()
    [-1, 0, 3]
    """
    least = numbers.min(initial=0)
    return np.flatnonzero(np.bincount(numbers - least)) + least


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Concatenate ranges: ``starts[i], starts[i] + 1, …``, ``counts[i]`` numbers of each.

    Parameters
    ----------
    starts : numpy.ndarray
        First number of each range ``(ranges,)``.
    counts : numpy.ndarray
        How many numbers it has ``(ranges,)``.

    Examples
    --------
    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    before = offsets(counts)
    return np.arange(before[-1]) + np.repeat(starts - before[:-1], counts)
