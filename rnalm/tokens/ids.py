"""Sequences ─► ids and the positions that they stand for, by any tokenizer."""

import re
from collections.abc import Callable, Sequence

import numpy as np
from tokenizers import Tokenizer

from rnalm.errors import RnalmError
from rnalm.tokens.tokenizer import MARK, has_words, is_atomic, kmer_layout, letters_for_tokens, special_ids, without_letters

#: The letter as which subword tokenizers are given a token of several letters that nothing replaces. No vocabulary has it, so
#: that the token is unknown. Unicode keeps this code point for such use inside a program; normalizers leave it as it is.
FOREIGN = "\ufdd0"

#: From a sequence, as letters or as tokens, to ids ``(length,)`` and half-open positions ``(length, 2)``, which are None where
#: each token is one position.
Encoder = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray | None]]


def make_encoder(tokenizer: Tokenizer) -> Encoder:
    """Make the function that turns sequences into ids.

    A tokenizer of a new type needs nothing here if its file says all of how it cuts sequences: the library itself encodes them.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.

    Returns
    -------
    callable
        From a ``str`` (letters) or a list of ``str`` (tokens, each one position) to ids, int32 ``(length,)``, and the half-open
        positions that they stand for, int32 ``(length, 2)``; None where each token is one position.

    Raises
    ------
    RnalmError
        If the tokenizer lacks a special token for unknown tokens, for padding, or for masking.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models
    >>> letters = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "[MASK]": 2, "a": 3, "c": 4}, unk_token="[UNK]"))
    >>> _ = letters.add_special_tokens(["[UNK]", "[PAD]", "[MASK]"])
    >>> ids, positions = make_encoder(letters)("acca?")
    >>> ids.tolist(), positions
    ([3, 4, 4, 3, 0], None)
    """
    if windows := kmer_layout(tokenizer):
        return _kmer_encoder(tokenizer, *windows)
    if is_atomic(tokenizer):
        return _atomic_encoder(tokenizer)
    return (_word_encoder if has_words(tokenizer) else _subword_encoder)(tokenizer)


def _atomic_encoder(tokenizer: Tokenizer) -> Encoder:
    """Look up letters or tokens as they stand."""
    vocabulary, unknown = tokenizer.get_vocab(), special_ids(tokenizer)["unk"]
    # Characters are looked up in a table of code points, a thousand times faster than one by one.
    table = np.full(0x110000, unknown, dtype=np.int32)
    for token, index in vocabulary.items():
        if len(token) == 1:
            table[ord(token)] = index

    def encode(sequence: Sequence[str]) -> tuple[np.ndarray, None]:
        if isinstance(sequence, str):
            return table[np.frombuffer(sequence.encode("utf-32-le"), dtype=np.uint32)], None
        return np.fromiter((vocabulary.get(token, unknown) for token in sequence), dtype=np.int32, count=len(sequence)), None

    return encode


def _word_encoder(tokenizer: Tokenizer) -> Encoder:
    """Look up whole tokens after what the tokenizer itself does to each."""
    cuts = tokenizer.pre_tokenizer is not None

    def encode(sequence: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(sequence, str) and cuts:
            words = tokenizer.encode(sequence, add_special_tokens=False)
            offsets = words.offsets
        else:
            words = tokenizer.encode(list(sequence), is_pretokenized=True, add_special_tokens=False)
            offsets = [(index, index + 1) for index in words.word_ids if index is not None]
        return np.array(words.ids, dtype=np.int32), np.array(offsets, dtype=np.int32).reshape(-1, 2)

    return encode


def _kmer_encoder(tokenizer: Tokenizer, k: int, stride: int) -> Encoder:
    """Look up every k letters, from `stride` to `stride` letters."""
    vocabulary, unknown = tokenizer.get_vocab(), special_ids(tokenizer)["unk"]

    def encode(sequence: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        text = spell(sequence, {})
        # What is shorter than a k-mer is one unknown token.
        starts = np.arange(0, max(1, len(text) - k + 1), stride, dtype=np.int32)
        ids = [vocabulary.get(text[start : start + k], unknown) for start in starts.tolist()]
        return np.array(ids, dtype=np.int32), np.stack([starts, np.minimum(starts + k, len(text))], axis=1, dtype=np.int32)

    return encode


def _subword_encoder(tokenizer: Tokenizer) -> Encoder:
    """Let the library cut sequences, of letters only, and bring its positions back to those of the tokens as they stood."""
    replacements, mark, unknown = letters_for_tokens(tokenizer), tokenizer.token_to_id(MARK), special_ids(tokenizer)["unk"]
    # Of a token that it replaces, the library's own normalizer keeps the last position only.
    plain = without_letters(tokenizer) if replacements else tokenizer

    def encode(sequence: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        text, bounds = respell(sequence, replacements)
        pieces = plain.encode(text, add_special_tokens=False)
        ids, offsets = np.array(pieces.ids, dtype=np.int32), np.array(pieces.offsets, dtype=np.int32).reshape(-1, 2)
        if mark is not None:
            # The mark before a sequence, where it is a token by itself, stands for no letter.
            offsets[ids == mark, 1] = offsets[ids == mark, 0]
        if FOREIGN in text:
            # Some tokenizers have tokens for any letter, such as its bytes: those would be no unknown tokens.
            before = np.cumsum([0, *(letter == FOREIGN for letter in text)])
            ids[before[offsets[:, 1]] > before[offsets[:, 0]]] = unknown
        return ids, bounds[offsets]

    return encode


def spell(sequence: Sequence[str], replacements: dict[str, str]) -> str:
    """Write a sequence with one letter a position: tokens of several letters by those that replace them.

    Parameters
    ----------
    sequence : str or list of str
        A ``str`` is returned as it is.
    replacements : dict
        The letters for tokens of several; :data:`FOREIGN` stands for one that is not among them.
    """
    if isinstance(sequence, str):
        return sequence
    return "".join(token if len(token) == 1 else replacements.get(token, FOREIGN) for token in sequence)


def respell(sequence: Sequence[str], replacements: dict[str, str]) -> tuple[str, np.ndarray]:
    """Write a sequence as subwords are cut from it: each token of several letters as the letter that replaces it.

    Among letters that are not separated, tokens are replaced in the order of `replacements`, as the normalizer of a saved
    tokenizer does.

    Parameters
    ----------
    sequence : str or list of str
        Letters, or tokens that are separated already.
    replacements : dict
        The letters for tokens of several.

    Returns
    -------
    text : str
        What subwords are cut from.
    bounds : numpy.ndarray
        int32 ``(length of the text + 1,)``: where in the sequence each letter of the text begins, and where the last ends.
    """
    text = spell(sequence, replacements)
    bounds = np.arange(len(text) + 1, dtype=np.int32)
    for token, letter in replacements.items() if isinstance(sequence, str) else ():
        starts = np.array([match.start() for match in re.finditer(re.escape(token), text)], dtype=np.int64)
        bounds = np.delete(bounds, starts[:, None] + np.arange(1, len(token)))
        text = text.replace(token, letter)
    return text, bounds


def check_letters(sequence: Sequence[str], replacements: dict[str, str], place: str) -> None:
    """Refuse a sequence with a letter that replaces a token: the two would be one.

    Parameters
    ----------
    sequence : str or list of str
        Letters or tokens.
    replacements : dict
        The letters for tokens of several.
    place : str
        File and line of the sequence, for the message.

    Raises
    ------
    RnalmError
        If one of these letters is in the sequence.
    """
    for token, letter in replacements.items():
        if letter in sequence:
            hint = "tokenizer.atomic_replacements must give a letter that the data do not have"
            raise RnalmError(f"{place}: found {letter!r}, the letter that replaces {token!r}; {hint}")
