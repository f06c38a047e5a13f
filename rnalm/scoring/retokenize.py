"""Edited letters ─► how their tokens change."""

import re
from collections.abc import Callable, Sequence

import numpy as np
from tokenizers import Tokenizer

from rnalm.tokens.tokenizer import MARK, kmer_layout, special_ids

#: Stands for a masked letter where k-mers are cut out: a letter that no sequence has.
MASKED = "\0"

#: How the file of a tokenizer says where the mark of SentencePiece goes.
MARKING = re.compile(r'"prepend_scheme":"(always|first)"')

#: The place of a letter that changes, and what comes there: a letter, what stands for a mask, or "" for a deletion.
Change = tuple[int, str]

#: Changes that are made together, from left to right; several only where each exchanges a letter for another.
Changes = Sequence[Change]

#: Start and end of a range of tokens, and those that come in its place; an empty list where no token changes.
Spans = list[tuple[int, int, Sequence[int]]]

#: Takes the ids of a whole sequence, and gives those that are kept where they would be too many.
Cut = Callable[[np.ndarray], np.ndarray]


def edited(text: str, changes: Changes) -> str:
    """Make changes of a text.

    Parameters
    ----------
    text : str
        The letters.
    changes : sequence of tuple
        Places, from left to right, and what comes there.

    Examples
    --------
    >>> edited("GATTACA", [(0, "C"), (6, "")])
    'CATTAC'
    """
    for place, letter in reversed(changes):
        text = text[:place] + letter + text[place + 1 :]
    return text


def retokenizer(tokenizer: Tokenizer) -> "Subwords | Kmers":
    """Make what tokenizes edited letters as a tokenizer does whose tokens are several letters.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        The tokenizer.
    """
    return Kmers(tokenizer) if kmer_layout(tokenizer) else Subwords(tokenizer)


class Subwords:
    """Tokenizes edited texts with a tokenizer of the ``tokenizers`` library, each of them whole.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        The tokenizer.

    Attributes
    ----------
    mask : str
        Stands for a masked letter.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.mask = str(tokenizer.id_to_token(special_ids(tokenizer)["mask"]))
        self.marked, *self.unmarked = _variants(tokenizer)
        # A masked letter leaves the mark before it where it was.
        self.before_mask = MARK if self.unmarked and tokenizer.token_to_id(MARK) is not None else ""

    def edits(self, text: str, ids: np.ndarray, changes: Sequence[Changes], cut: Cut, begins: bool = True) -> list[Spans]:
        """Say how the tokens of a text change with it.

        Parameters
        ----------
        text : str
            The letters.
        ids : numpy.ndarray
            Their tokens, cut ``(length,)``.
        changes : sequence of sequence of tuple
            What is made together: places and what comes there.
        cut : callable
            Cuts the tokens of an edited text.
        begins : bool
            Whether the text is where its sequence begins, which SentencePiece marks.

        Returns
        -------
        list
            Spans of what is made together.
        """

        def encode(tokenizer: Tokenizer, text: str) -> np.ndarray:
            mark = self.before_mask if tokenizer is self.marked and text.startswith(self.mask) else ""
            return cut(np.array(tokenizer.encode(mark + text, add_special_tokens=False).ids, dtype=np.int64))

        using = self.marked if begins or not self.unmarked else self.unmarked[0]
        return [differing(ids, encode(using, edited(text, together))) for together in changes]


def _variants(tokenizer: Tokenizer) -> list[Tokenizer]:
    """Make tokenizers with and without the mark of SentencePiece: the first puts it before a text, but not right of a mask.

    Of a tokenizer that puts no mark both are the same, and only one is made.
    """
    layouts = [MARKING.sub(rf'"prepend_scheme":"{scheme}"', tokenizer.to_str()) for scheme in ("first", "never")]
    return [Tokenizer.from_str(layout) for layout in dict.fromkeys(layouts)]


class Kmers:
    """Looks up the k-mers of edited texts; only those that hold the edit, where that does not move the others.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        A k-mer tokenizer.

    Attributes
    ----------
    mask : str
        Stands for a masked letter.
    """

    mask = MASKED

    def __init__(self, tokenizer: Tokenizer) -> None:
        layout = kmer_layout(tokenizer)
        assert layout is not None, "expected a k-mer tokenizer"
        self.k, self.stride = layout
        self.vocabulary, roles = tokenizer.get_vocab(), special_ids(tokenizer)
        self.unknown, self.masked = roles["unk"], roles["mask"]

    def edits(self, text: str, ids: np.ndarray, changes: Sequence[Changes], cut: Cut, begins: bool = True) -> list[Spans]:
        """Say how the k-mers of a text change with it, as :meth:`Subwords.edits`; there are never too many.

        Parameters
        ----------
        text, ids, changes, cut, begins
            As of :meth:`Subwords.edits`; the last two have no effect.

        Returns
        -------
        list
            Spans of each change.
        """
        return [self._edit(text, edited(text, together), ids, together) for together in changes]

    def _edit(self, text: str, after: str, ids: np.ndarray, changes: Changes) -> Spans:
        if len(after) < self.k:
            return differing(ids, np.array([self._look_up(after)]))
        spans: list[tuple[int, int, int]] = []  # first k-mer, that after the last, and how many come
        for place, letter in changes:
            first, last, count = self._span(len(text), len(ids), place, letter)
            if spans and first <= spans[-1][1]:  # several letters are exchanged, which moves no other
                first, before, _ = spans.pop()
                last = max(last, before)
                count = last - first
            spans += [(first, last, count)] if last > first else []
        return [(first, last, self._kmers(after, first, count)) for first, last, count in spans]

    def _span(self, length: int, total: int, place: int, letter: str) -> tuple[int, int, int]:
        """Find the k-mers that hold a letter: the first, that after the last, and how many come in their place."""
        # From the first that ends right of it to the last that starts at it or left of it.
        first, after = max(0, -(-(place - self.k + 1) // self.stride)), min(place // self.stride + 1, total)
        if letter:
            return first, after, after - first
        after = after if self.stride == 1 else total
        return first, after, (length - 1 - self.k) // self.stride + 1 - first - (total - after)

    def _kmers(self, text: str, first: int, count: int) -> list[int]:
        """Look up so many k-mers, from one on."""
        starts = range(first * self.stride, (first + count) * self.stride, self.stride)
        return [self._look_up(text[start : start + self.k]) for start in starts]

    def _look_up(self, kmer: str) -> int:
        return self.masked if MASKED in kmer else self.vocabulary.get(kmer, self.unknown)


def differing(before: np.ndarray, after: np.ndarray) -> Spans:
    """Find the one range in which two lists of ids differ.

    Parameters
    ----------
    before, after : numpy.ndarray
        Ids ``(length,)``, of any lengths.

    Examples
    --------
    >>> differing(np.array([7, 8, 9, 10]), np.array([7, 9, 9, 10]))
    [(1, 2, [9])]
    """
    common = min(len(before), len(after))
    unequal = np.flatnonzero(before[:common] != after[:common])
    head = int(unequal[0]) if len(unequal) else common
    if head == len(before) == len(after):
        return []
    common -= head
    unequal = np.flatnonzero(before[len(before) - common :] != after[len(after) - common :])
    tail = common - 1 - int(unequal[-1]) if len(unequal) else common
    return [(head, len(before) - tail, after[head : len(after) - tail].tolist())]
