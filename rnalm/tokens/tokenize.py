"""A record ─► its tokens: cut to the block size, with their positions, and the tokens of its other strand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from rnalm.config import Encode
from rnalm.errors import RnalmError, nearest
from rnalm.sequences.records import Record
from rnalm.sequences.strands import is_nucleic, is_rna, reverse_complement
from rnalm.tokens.ids import check_letters, make_encoder, spell
from rnalm.tokens.tokenizer import is_atomic, letters_for_tokens, plain_tokens, special_ids


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a sequence, as far as it is kept.

    Attributes
    ----------
    input_ids : numpy.ndarray
        int32 ``(length,)``
    start : int
        How many tokens were cut from the 5′ end.
    total : int
        How many tokens the whole sequence has.
    offsets : numpy.ndarray or None
        int32 ``(length, 2)``, half-open positions in the whole sequence; None where they are the tokens' own indices.
    sequence : str or None
        The letters that the tokens stand for; None where each letter is a token.
    reverse_ids : numpy.ndarray or None
        Tokens of the reverse complement of these letters, int32; None where it is not asked for.
    """

    input_ids: np.ndarray
    start: int
    total: int
    offsets: np.ndarray | None
    sequence: str | None
    reverse_ids: np.ndarray | None


class RecordTokenizer:
    """Tokenizes one record after another.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer with special tokens for unknown tokens, for padding and for masking.
    options : Encode
        Where sequences are cut, and whether the other strand is wanted.

    Attributes
    ----------
    letters : set of str
        Those of which tokens are made.
    unknown : int
        The id of tokens that are not known.

    Raises
    ------
    RnalmError
        If the center token is not in the vocabulary, or the tokenizer lacks a special token that is needed.
    """

    def __init__(self, tokenizer: Tokenizer, options: Encode) -> None:
        self.options, self.to_ids = options, make_encoder(tokenizer)
        self.atomic, self.replacements = is_atomic(tokenizer), letters_for_tokens(tokenizer)
        self.unknown = special_ids(tokenizer)["unk"]
        self.center = None
        if options.center_token is not None:
            self.center = tokenizer.token_to_id(options.center_token)
            if self.center is None:
                hint = nearest(options.center_token, sorted(plain_tokens(tokenizer)))
                raise RnalmError(f"encode.center_token: {options.center_token!r} is not in the vocabulary; {hint}")
        self.both_strands = options.reverse_complement != "none"
        plain = plain_tokens(tokenizer)
        self.letters = {letter for token in plain if len(token) == 1 or not self.atomic for letter in token}
        self.rna = self.both_strands and is_rna(filter(is_nucleic, self.letters))

    def __call__(self, record: Record) -> Tokens:
        """Tokenize a record.

        Parameters
        ----------
        record : Record
            A sequence, as it stands in its source.

        Returns
        -------
        Tokens
            Those that are kept.

        Raises
        ------
        RnalmError
            If the other strand is wanted of what is no nucleic acid, or if the sequence has a letter that replaces a token of
            several letters; it names file and line.
        """
        check_letters(record.sequence, self.replacements, record.place)
        ids, positions = self.to_ids(record.sequence)
        start, stop = kept_range(ids, self.options.block_size, self.options.truncate, self.center)
        if positions is None and start:
            positions = np.arange(len(ids), dtype=np.int32)[:, None] + np.array([0, 1], dtype=np.int32)
        offsets = None if positions is None else _part(positions, start, stop)
        first, after = self._span(record, start, stop, len(ids), offsets)
        sequence = None if self.atomic else spell(record.sequence, self.replacements)[first:after]
        reverse_ids = self._reverse(record, first, after) if self.both_strands else None
        return Tokens(_part(ids, start, stop), start, len(ids), offsets, sequence, reverse_ids)

    @staticmethod
    def _span(record: Record, start: int, stop: int, total: int, offsets: np.ndarray | None) -> tuple[int, int]:
        """Find the letters that are kept: at an end that is not cut, all, also those that belong to no k-mer."""
        if offsets is None:
            return start, stop
        first = int(offsets[0, 0]) if start else 0
        return first, int(offsets[-1, 1]) if stop < total else len(record.sequence)

    def _reverse(self, record: Record, first: int, after: int) -> np.ndarray:
        """Tokenize the reverse complement of the letters that are kept: int32 ``(length,)``, cut to the block size too."""
        kept = "".join(record.sequence[first:after])
        other = other_strand(record, record.sequence[first:after], self.of_rna(kept))
        return _part(self.to_ids(other)[0], 0, self.options.block_size)

    def of_rna(self, letters: str) -> bool:
        """Say whether the other strand of a nucleic acid has U.

        Parameters
        ----------
        letters : str
            The letters of a sequence that are kept. If they have neither U nor T, the vocabulary decides.
        """
        return self.rna if set(letters).isdisjoint("UuTt") else is_rna(letters)


def other_strand(record: Record, kept: str | Sequence[str], rna: bool) -> str:
    """Write the other strand of what is kept of a record.

    Parameters
    ----------
    record : Record
        The record, for the message.
    kept : str or sequence of str
        Its letters, or its tokens, that are kept.
    rna : bool
        Whether the complement of A is U; otherwise it is T.

    Raises
    ------
    RnalmError
        If a token has several letters, or a letter is no nucleotide code; it names file and line.
    """
    try:
        if not isinstance(kept, str) and (long := next((token for token in kept if len(token) > 1), None)):
            raise RnalmError(f"found the token {long!r}, expected single letters")
        return reverse_complement("".join(kept), rna)
    except RnalmError as error:
        hint = "encode.reverse_complement is for DNA and RNA"
        raise RnalmError(f"{record.place}: {record.id!r} has no reverse complement, {error}; {hint}") from None


def _part(array: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Cut an array; a part does not keep the whole in memory."""
    return array if stop - start >= len(array) else array[start:stop].copy()


def kept_range(ids: Sequence | np.ndarray, block_size: int, truncate: str, center: int | None = None) -> tuple[int, int]:
    """Find the half-open range of tokens that is kept.

    Parameters
    ----------
    ids : numpy.ndarray or sequence
        ``(length,)``; without ``center``, only its length matters.
    block_size : int
        How many tokens are kept, at most.
    truncate : {'right', 'left', 'both'}
        The end that is dropped; of an odd number of tokens that ``both`` drop, the right one drops one more, as with Selene.
    center : int, optional
        Keep equal context on both sides of the first token with this id; what one side cannot use goes to the
        other, left first. Without such a token, `truncate` decides.

    Returns
    -------
    start, stop : int
        The first token that is kept, and the one after the last.

    Examples
    --------
    >>> kept_range(np.array([7, 7, 9, 8, 8, 8]), block_size=3, truncate="right")
    (0, 3)
    >>> kept_range(np.array([7, 7, 9, 8, 8, 8]), block_size=3, truncate="both")
    (1, 4)
    >>> kept_range(np.array([7, 7, 9, 8, 8, 8]), block_size=3, truncate="right", center=9)
    (1, 4)
    """
    length = len(ids)
    if length <= block_size:
        return 0, length
    centers = [] if center is None else np.flatnonzero(np.equal(ids, center)).tolist()
    if not centers:
        start = {"right": 0, "left": length - block_size, "both": (length - block_size) // 2}[truncate]
        return start, start + block_size
    left_room, right_room = centers[0], length - 1 - centers[0]
    half = (block_size - 1) // 2
    left, right = min(left_room, half), min(right_room, half)
    left += min(left_room - left, block_size - 1 - left - right)
    right += min(right_room - right, block_size - 1 - left - right)
    return left_room - left, left_room + 1 + right
