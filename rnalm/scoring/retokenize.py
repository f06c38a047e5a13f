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

#: The place of a letter that changes, and what comes there: nothing, a letter, or what stands for a mask.
Change = tuple[int, str]

#: A range of tokens and those that come in its place; a list of one, or of none where nothing changes.
Spans = list[tuple[int, int, Sequence[int]]]

#: Leaves of ids what the block size allows.
Cut = Callable[[np.ndarray], np.ndarray]


def retokenizer(tokenizer: Tokenizer) -> "Subwords | Kmers":
    """Make what tokenizes edited letters as a tokenizer does whose tokens are several letters."""
    return Kmers(tokenizer) if kmer_layout(tokenizer) else Subwords(tokenizer)


class Subwords:
    """Tokenizes edited texts with a tokenizer of the ``tokenizers`` library, each of them whole.

    Attributes
    ----------
    mask : str
        Stands for a masked letter.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.mask = tokenizer.id_to_token(special_ids(tokenizer)["mask"])
        self.marked, *self.unmarked = _variants(tokenizer)
        # A masked letter leaves the mark before it where it was.
        self.before_mask = MARK if self.unmarked and tokenizer.token_to_id(MARK) is not None else ""

    def edits(self, text: str, ids: np.ndarray, changes: list[Change], cut: Cut, begins: bool = True) -> list[Spans]:
        """Say how the tokens of a text change with it.

        Parameters
        ----------
        text : str
        ids : numpy.ndarray
            Its tokens, cut ``(length,)``.
        changes : list of tuple
            Each is made by itself.
        cut : callable
        begins : bool
            Whether the text is where its sequence begins, which SentencePiece marks.

        Returns
        -------
        list
            Spans of each change.
        """

        def encode(tokenizer: Tokenizer, text: str) -> np.ndarray:
            mark = self.before_mask if tokenizer is self.marked and text.startswith(self.mask) else ""
            return cut(np.array(tokenizer.encode(mark + text, add_special_tokens=False).ids, dtype=np.int64))

        using = self.marked if begins or not self.unmarked else self.unmarked[0]
        return [differing(ids, encode(using, text[:place] + came + text[place + 1 :])) for place, came in changes]


def _variants(tokenizer: Tokenizer) -> list[Tokenizer]:
    """Make tokenizers that put the mark of SentencePiece before a text but not right of a mask, and before none at all."""
    layouts = [MARKING.sub(rf'"prepend_scheme":"{scheme}"', tokenizer.to_str()) for scheme in ("first", "never")]
    return [Tokenizer.from_str(layout) for layout in dict.fromkeys(layouts)]


class Kmers:
    """Looks up the k-mers of edited texts; only those that hold the edit, where that does not move the others."""

    mask = MASKED

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.k, self.stride = kmer_layout(tokenizer)
        self.vocabulary, roles = tokenizer.get_vocab(), special_ids(tokenizer)
        self.unknown, self.masked = roles["unk"], roles["mask"]

    def edits(self, text: str, ids: np.ndarray, changes: list[Change], cut: Cut, begins: bool = True) -> list[Spans]:
        """Say how the k-mers of a text change with it, as :meth:`Subwords.edits`; there are never too many."""
        return [self._edit(text, ids, *change) for change in changes]

    def _edit(self, text: str, ids: np.ndarray, place: int, came: str) -> Spans:
        edited, total = text[:place] + came + text[place + 1 :], len(ids)
        if len(edited) < self.k:
            return differing(ids, np.array([self._look_up(edited)]))
        # The k-mers from the first that ends right of the base to the last that starts left of its end.
        first, after = max(0, -(-(place - self.k + 1) // self.stride)), min(place // self.stride + 1, total)
        count = after - first
        if not came:
            after = after if self.stride == 1 else total
            count = (len(edited) - self.k) // self.stride + 1 - first - (total - after)
        starts = range(first * self.stride, (first + count) * self.stride, self.stride)
        return [(first, after, [self._look_up(edited[start : start + self.k]) for start in starts])] if after > first else []

    def _look_up(self, kmer: str) -> int:
        return self.masked if MASKED in kmer else self.vocabulary.get(kmer, self.unknown)


def differing(before: np.ndarray, after: np.ndarray) -> Spans:
    """Find the one range in which two lists of ids differ."""
    common = min(len(before), len(after))
    unequal = np.flatnonzero(before[:common] != after[:common])
    head = int(unequal[0]) if len(unequal) else common
    if head == len(before) == len(after):
        return []
    common -= head
    unequal = np.flatnonzero(before[len(before) - common :] != after[len(after) - common :])
    tail = common - 1 - int(unequal[-1]) if len(unequal) else common
    return [(head, len(before) - tail, after[head : len(after) - tail].tolist())]
