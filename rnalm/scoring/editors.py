"""What to change in a sequence: its tokens, or its bases, after which it is tokenized again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from rnalm.config import Encode
from rnalm.scoring.check import check_strands, replacement_ids, replacement_letters
from rnalm.scoring.edits import DELETED, Edits, offsets, ranges
from rnalm.scoring.retokenize import Change, retokenizer
from rnalm.scoring.sites import Sites, token_names, token_sites
from rnalm.sequences.strands import is_nucleic, is_rna, reverse_complement
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenize import RecordTokenizer, kept_range
from rnalm.tokens.tokenizer import is_atomic, plain_tokens, special_ids


@dataclass(frozen=True, slots=True)
class Perturbations:
    """Perturbations of one sequence.

    Attributes
    ----------
    sites : Sites
        What is perturbed.
    edits : Edits
        The perturbations of the sequence's tokens.
    twin : Edits or None
        The same perturbations of the tokens of its other strand, where scores are the mean over both.
    """

    sites: Sites
    edits: Edits
    twin: Edits | None


class Editor(Protocol):
    """Lists the perturbations of a mode for any sequence."""

    def perturbations(self, sequence: Encoded) -> Perturbations:
        """List them by position, and at each in the order of the replacements.

        Parameters
        ----------
        sequence : Encoded
            The sequence, with its letters where these are edited, and with both strands where both are.
        """
        ...


def choose(
    mode: str,
    level: str,
    tokenizer: Tokenizer,
    options: Encode,
    replacements: Mapping[str, list[str]] | None = None,
    replace_modifiers: bool = False,
    both_strands: bool = False,
    most: int | None = None,
) -> Editor:
    """Make the editor for a level. Where each base is a token the levels are one.

    Parameters
    ----------
    mode : {'remove', 'mask', 'replace'}
        What is done to each token or letter.
    level : {'token', 'base'}
        What is perturbed: tokens, or letters, after which sequences are tokenized again.
    tokenizer : tokenizers.Tokenizer
        The tokenizer of the models.
    options : Encode
        By which sequences were cut.
    replacements : mapping, optional
        For ``replace``: each token, or letter, and those that take its place.
    replace_modifiers : bool
        For ``replace``: also keep the token and set its modifiers to 0, where it has any.
    both_strands : bool
        Whether to edit the other strand, too.
    most : int, optional
        Tokens that the model takes: what an edit of a base pushes beyond them is cut off.

    Raises
    ------
    RnalmError
        If a replacement is unknown, or tokens of several letters are to be edited on both strands.
    """
    if level == "base" and not is_atomic(tokenizer):
        return BaseEditor(mode, tokenizer, options, replacements, both_strands, most)
    return TokenEditor(mode, tokenizer, replacements, replace_modifiers, both_strands)


class TokenEditor:
    """Edits tokens as they stand.

    Parameters
    ----------
    mode, tokenizer, replacements, replace_modifiers, both_strands
        As of :func:`choose`.

    Raises
    ------
    RnalmError
        If a replacement is unknown, or tokens of several letters are to be edited on both strands.
    """

    def __init__(
        self,
        mode: str,
        tokenizer: Tokenizer,
        replacements: Mapping[str, list[str]] | None = None,
        replace_modifiers: bool = False,
        both_strands: bool = False,
    ) -> None:
        self.mode, self.replace_modifiers = mode, replace_modifiers
        self.names, self.mask = token_names(tokenizer), special_ids(tokenizer)["mask"]
        known = replacement_ids(replacements or {}, tokenizer, both_strands) if mode == "replace" else {}
        listed = [known.get(token, []) for token in range(len(self.names))]
        # For each id, how many tokens take its place, and where they begin in the list of all.
        self.count = np.array([len(others) for others in listed], dtype=np.int64)
        self.first = offsets(self.count)
        self.others = np.array([other for others in listed for other in others], dtype=np.int64)
        self.complement = None
        if both_strands:
            check_strands("interpret.level: token", "level: base", tokenizer)
            # DELETED is -1 and looks up the last: the complement of a deletion is a deletion.
            self.complement = np.append(complements(tokenizer), DELETED)

    def perturbations(self, sequence: Encoded) -> Perturbations:
        """List the perturbations of a sequence, each of one token.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        """
        edits, twin = self.edits(sequence), None
        incoming = np.full(len(edits), DELETED)
        incoming[edits.count > 0] = edits.token
        if self.complement is not None:
            twin = Edits.single(len(sequence.input_ids) - 1 - edits.start, self.complement[incoming])
        every = token_sites(sequence, self.names)
        replacement = self.names.take(pa.array(incoming)) if self.mode == "replace" else None
        return Perturbations(
            Sites(every.token.take(pa.array(edits.start)), replacement, every.position[edits.start]), edits, twin
        )

    def edits(self, sequence: Encoded) -> Edits:
        """List the edits of a sequence by position, and at each in the order of the replacements.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        """
        length = len(sequence.input_ids)
        if self.mode != "replace":
            token = DELETED if self.mode == "remove" else self.mask
            return Edits.single(np.arange(length), np.full(length, token, dtype=np.int64))
        ids, modified = sequence.input_ids, np.zeros(length, dtype=bool)
        if self.replace_modifiers and sequence.modifiers is not None:
            modified = (sequence.modifiers != 0).any(axis=0)
        exchanges = self.count[ids] + modified
        position = np.repeat(np.arange(length), exchanges)
        number = ranges(np.zeros(length, dtype=np.int64), exchanges)
        clear = number >= self.count[ids[position]]
        token = ids[position].astype(np.int64)
        token[~clear] = self.others[(self.first[ids[position]] + number)[~clear]]
        return Edits.single(position, token, clear)


def complements(tokenizer: Tokenizer) -> np.ndarray:
    """Give each token's complement, by ids: special tokens are their own, what has none in the vocabulary is unknown.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        One whose tokens are letters.

    Returns
    -------
    numpy.ndarray
        int64 ``(vocabulary,)``
    """
    letters, unknown = plain_tokens(tokenizer), special_ids(tokenizer)["unk"]
    rna, vocabulary = is_rna(filter(is_nucleic, letters)), tokenizer.get_vocab()
    ids = np.arange(tokenizer.get_vocab_size())
    for letter in letters:
        ids[vocabulary[letter]] = vocabulary.get(reverse_complement(letter, rna), unknown) if is_nucleic(letter) else unknown
    return ids


class BaseEditor:
    """Edits the letters of sequences, and tokenizes each edited sequence again, as it was encoded.

    The letters are those that were kept when the sequence was cut; what an edit pushes beyond ``encode.block_size``, or what
    the model takes, is cut off again. In mode ``mask``, where the mask is a token, what is left and right of it is tokenized by
    itself; every k-mer that holds a masked base is masked. The mark that SentencePiece puts before a sequence stands there and
    nowhere else.

    Parameters
    ----------
    mode, tokenizer, options, replacements, both_strands, most
        As of :func:`choose`.

    Raises
    ------
    RnalmError
        If a replacement is unknown.
    """

    def __init__(
        self,
        mode: str,
        tokenizer: Tokenizer,
        options: Encode,
        replacements: Mapping[str, list[str]] | None = None,
        both_strands: bool = False,
        most: int | None = None,
    ) -> None:
        self.mode, self.options, self.both_strands = mode, options, both_strands
        self.most = min(options.block_size, most or options.block_size)
        self.encoding = RecordTokenizer(tokenizer, options)
        self.others = replacement_letters(replacements or {}, tokenizer, both_strands) if mode == "replace" else {}
        self.retokenizer = retokenizer(tokenizer)

    def perturbations(self, sequence: Encoded) -> Perturbations:
        """List the perturbations of a sequence, each of one letter.

        Parameters
        ----------
        sequence : Encoded
            The sequence, with its letters.
        """
        text, twin = sequence.sequence, None
        assert text is not None  # rnalm.tokens.dataset.read(…, letters=True) reads them
        changes = self._changes(text)
        first = 0 if sequence.offsets is None or not len(sequence.offsets) else sequence.offsets[0, 0]
        edits = self._edits(text, sequence.input_ids, changes, (self.options.truncate, self.encoding.center), first == 0)
        if self.both_strands:
            assert sequence.reverse_ids is not None
            rna = self.encoding.of_rna(text)
            mirrored = [(len(text) - 1 - place, self._complement(letter, rna)) for place, letter in changes]
            other = reverse_complement(text, rna)
            twin = self._edits(other, sequence.reverse_ids, mirrored, ("right", None))
        start = first + np.array([place for place, _ in changes], dtype=np.int64)
        replacement = pa.array([letter for _, letter in changes], pa.string()) if self.mode == "replace" else None
        letters = pa.array([text[place] for place, _ in changes], pa.string())
        return Perturbations(Sites(letters, replacement, start[:, None] + [0, 1]), edits, twin)

    def _changes(self, text: str) -> list[Change]:
        """List the changes of a text by place, and at each in the order of the replacements."""
        if self.mode == "replace":
            return [(place, other) for place, letter in enumerate(text) for other in self.others.get(letter, [])]
        letter = self.retokenizer.mask if self.mode == "mask" else ""
        return [(place, letter) for place in range(len(text))]

    def _complement(self, letter: str, rna: bool) -> str:
        """Give what comes on the other strand; a deletion and a mask stay what they are."""
        return letter if letter in ("", self.retokenizer.mask) else reverse_complement(letter, rna)

    def _edits(
        self, text: str, ids: np.ndarray, changes: list[Change], side: tuple[str, int | None], begins: bool = True
    ) -> Edits:
        """Turn changes of a text into edits of its tokens; where these would be too many they are cut on a side."""

        def cut(tokens: np.ndarray) -> np.ndarray:
            start, stop = kept_range(tokens, self.most, *side)
            return tokens[start:stop]

        return Edits.of(self.retokenizer.edits(text, ids, changes, cut, begins), len(ids))
