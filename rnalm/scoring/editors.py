"""What to change in a sequence: its tokens, or its bases, after which it is tokenized again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from rnalm.config import Encode
from rnalm.scoring.check import check_strands, replacement_ids, replacement_letters
from rnalm.scoring.edits import DELETED, Edits, offsets, ranges
from rnalm.scoring.retokenize import Change, Changes, retokenizer
from rnalm.scoring.sites import Sites, extent, token_names, token_sites
from rnalm.sequences.strands import is_nucleic, is_rna, reverse_complement
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenize import RecordTokenizer, kept_range
from rnalm.tokens.tokenizer import is_atomic, plain_tokens, special_ids

#: Modes in which something comes in the place of a token or letter.
EXCHANGING = ("replace", "mutate")


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

    def sites(self, sequence: Encoded) -> Sites:
        """Say what is perturbed, by position, and at each in the order of the replacements.

        Parameters
        ----------
        sequence : Encoded
            The sequence, with its letters where these are edited.
        """
        ...

    def perturbations(self, sequence: Encoded, together: np.ndarray | None = None) -> Perturbations:
        """List the perturbations of a sequence: each site by itself, or several together.

        Parameters
        ----------
        sequence : Encoded
            The sequence, with its letters where these are edited, and with both strands where both are.
        together : numpy.ndarray, optional
            Numbers of sites that are perturbed together, from left to right, int64 ``(perturbations, each)``; several only
            where letters are exchanged.
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
    letters: Sequence[str] = (),
) -> Editor:
    """Make the editor for a level. Where each base is a token the levels are one.

    Parameters
    ----------
    mode : {'remove', 'mask', 'replace', 'mutate'}
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
    letters : sequence of str
        For ``mutate``: what each token or letter, whether known or not, is exchanged for, but itself.

    Raises
    ------
    RnalmError
        If a replacement is unknown, or tokens of several letters are to be edited on both strands.
    """
    if level == "base" and not is_atomic(tokenizer):
        return BaseEditor(mode, tokenizer, options, replacements, both_strands, most, letters)
    return TokenEditor(mode, tokenizer, replacements, replace_modifiers, both_strands, letters)


class TokenEditor:
    """Edits tokens as they stand.

    Parameters
    ----------
    mode, tokenizer, replacements, replace_modifiers, both_strands, letters
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
        letters: Sequence[str] = (),
    ) -> None:
        self.exchanges, self.replace_modifiers = mode in EXCHANGING, replace_modifiers
        self.names, self.mask = token_names(tokenizer), special_ids(tokenizer)["mask"]
        self.incoming = DELETED if mode == "remove" else self.mask
        known = replacement_ids(replacements or {}, tokenizer, both_strands) if mode == "replace" else {}
        if mode == "mutate":
            ids = [tokenizer.token_to_id(letter) for letter in letters]
            known = {token: [other for other in ids if other != token] for token in range(len(self.names))}
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

    def sites(self, sequence: Encoded) -> Sites:
        """Say what is perturbed; see :meth:`Editor.sites`.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        """
        return self._sites(sequence, self.edits(sequence))

    def _sites(self, sequence: Encoded, edits: Edits) -> Sites:
        every = token_sites(sequence, self.names)
        replacement = self.names.take(pa.array(edits.token)) if self.exchanges else None
        return Sites(every.token.take(pa.array(edits.start)), replacement, every.position[edits.start])

    def perturbations(self, sequence: Encoded, together: np.ndarray | None = None) -> Perturbations:
        """List the perturbations of a sequence, each of one token or of several; see :meth:`Editor.perturbations`.

        Parameters
        ----------
        sequence, together
            The sequence, and what is perturbed together.
        """
        edits, twin = self.edits(sequence), None
        sites = self._sites(sequence, edits)
        if self.complement is not None:
            incoming = np.full(len(edits), DELETED)
            incoming[edits.count > 0] = edits.token
            twin = Edits.single(len(sequence.input_ids) - 1 - edits.start, self.complement[incoming])
        if together is None:
            return Perturbations(sites, edits, twin)
        # On the other strand what is right is left.
        return Perturbations(sites.together(together), edits.together(together), twin and twin.together(together[:, ::-1]))

    def edits(self, sequence: Encoded) -> Edits:
        """List the edits of a sequence by position, and at each in the order of the replacements.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        """
        length = len(sequence.input_ids)
        if not self.exchanges:
            return Edits.single(np.arange(length), np.full(length, self.incoming, dtype=np.int64))
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
    mode, tokenizer, options, replacements, both_strands, most, letters
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
        letters: Sequence[str] = (),
    ) -> None:
        self.mode, self.letters, self.options, self.both_strands = mode, letters, options, both_strands
        self.most = min(options.block_size, most or options.block_size)
        self.encoding = RecordTokenizer(tokenizer, options)
        self.others = replacement_letters(replacements or {}, tokenizer, both_strands) if mode == "replace" else {}
        self.retokenizer = retokenizer(tokenizer)

    def sites(self, sequence: Encoded) -> Sites:
        """Say what is perturbed; see :meth:`Editor.sites`.

        Parameters
        ----------
        sequence : Encoded
            The sequence, with its letters.
        """
        text, first = _letters(sequence)
        changes = self._changes(text)
        start = first + np.array([place for place, _ in changes], dtype=np.int64)
        replacement = pa.array([letter for _, letter in changes], pa.string()) if self.mode in EXCHANGING else None
        letters = pa.array([text[place] for place, _ in changes], pa.string())
        return Sites(letters, replacement, start[:, None] + [0, 1])

    def perturbations(self, sequence: Encoded, together: np.ndarray | None = None) -> Perturbations:
        """List the perturbations of a sequence, each of one letter or of several; see :meth:`Editor.perturbations`.

        Parameters
        ----------
        sequence, together
            The sequence, with its letters, and what is perturbed together.
        """
        (text, first), sites, twin = _letters(sequence), self.sites(sequence), None
        single = self._changes(text)
        chosen = np.arange(len(single))[:, None] if together is None else together
        changes = [[single[number] for number in numbers] for numbers in chosen.tolist()]
        edits = self._edits(text, sequence.input_ids, changes, (self.options.truncate, self.encoding.center), first == 0)
        if self.both_strands:
            assert sequence.reverse_ids is not None
            rna = self.encoding.of_rna(text)
            mirrored = [
                [(len(text) - 1 - place, self._complement(letter, rna)) for place, letter in reversed(each)] for each in changes
            ]
            other = reverse_complement(text, rna)
            twin = self._edits(other, sequence.reverse_ids, mirrored, ("right", None))
        return Perturbations(sites if together is None else sites.together(together), edits, twin)

    def _changes(self, text: str) -> list[Change]:
        """List the changes of a text by place, and at each in the order of the replacements."""
        if self.mode in EXCHANGING:
            return [(place, other) for place, letter in enumerate(text) for other in self._others(letter)]
        letter = self.retokenizer.mask if self.mode == "mask" else ""
        return [(place, letter) for place in range(len(text))]

    def _others(self, letter: str) -> list[str]:
        """List what comes in the place of a letter."""
        if self.mode == "mutate":
            return [other for other in self.letters if other != letter]
        return self.others.get(letter, [])

    def _complement(self, letter: str, rna: bool) -> str:
        """Give what comes on the other strand; a deletion and a mask stay what they are."""
        return letter if letter in ("", self.retokenizer.mask) else reverse_complement(letter, rna)

    def _edits(
        self, text: str, ids: np.ndarray, changes: Sequence[Changes], side: tuple[str, int | None], begins: bool = True
    ) -> Edits:
        """Turn changes of a text into edits of its tokens; where these would be too many they are cut on a side."""

        def cut(tokens: np.ndarray) -> np.ndarray:
            start, stop = kept_range(tokens, self.most, *side)
            return tokens[start:stop]

        return Edits.of(self.retokenizer.edits(text, ids, changes, cut, begins), len(ids))


def _letters(sequence: Encoded) -> tuple[str, int]:
    """Give the letters of a sequence that were kept, and where they begin in the whole of it."""
    assert sequence.sequence is not None  # rnalm.tokens.dataset.read(…, letters=True) reads them
    return sequence.sequence, extent(sequence)[0]
