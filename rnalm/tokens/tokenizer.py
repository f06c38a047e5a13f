"""Load and save tokenizers; turn sequences into ids and the positions that they stand for."""

import json
import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from rnalm.config.data import SPECIAL_ROLES
from rnalm.config.data import Tokenizer as Options
from rnalm.errors import RnalmError
from rnalm.files import replacing

#: Special tokens of what we learn, where the configuration names no others; there, their position is their id. What ids another
#: tokenizer has for them says :func:`special_ids`.
SPECIAL_TOKENS = tuple(Options().special_tokens)

#: The letter as which subword tokenizers are given a token of several letters that nothing replaces. No vocabulary has it, so
#: that the token is unknown. Unicode keeps this code point for such use inside a program; normalizers leave it as it is.
FOREIGN = "\ufdd0"

#: What a unigram tokenizer puts before a sequence, as SentencePiece does before a word.
MARK = "▁"

#: The pattern in the file of a k-mer tokenizer. `tokenizers` itself can only cut sequences into pieces side by side, which is
#: what the pattern makes it do; k-mers that overlap are cut here, by what its comment says of k and stride.
KMERS = "(?#k={k},stride={stride})[\\s\\S]{{{k}}}"

#: The pattern by which the file of an atomic tokenizer cuts a text into letters.
LETTER = "[\\s\\S]"

#: From a sequence, as letters or as tokens, to ids ``(length,)`` and half-open positions ``(length, 2)``, which are None where
#: each token is one position.
Encoder = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray | None]]


def save_tokenizer(tokenizer: Tokenizer, path: str | Path) -> None:
    """Write a tokenizer as Hugging Face ``tokenizers`` JSON, whole or not at all.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.
    path : path
        The file, such as ``tokenizer.json``.
    """
    with replacing(path) as temporary:
        tokenizer.save(str(temporary))


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read a tokenizer. What its file says of truncation and padding is left out: sequences are cut by ``encode`` alone.

    Parameters
    ----------
    path : path
        A ``tokenizer.json``, or a model folder that holds one.

    Raises
    ------
    RnalmError
        If there is no such file, or it is not a tokenizer.
    """
    path = Path(path)
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.exists():
        kind = "model folder without a tokenizer.json" if path.is_dir() else "no such file or model folder"
        raise RnalmError(f"{path}: {kind}")
    try:
        return _uncut(Tokenizer.from_file(str(file)))
    except Exception as error:  # the library raises a bare Exception
        raise RnalmError(f"{file}: not a tokenizer ({error})") from None


def borrow_tokenizer(model: str) -> Tokenizer:
    """Take the tokenizer of a model, as :func:`load_tokenizer` does.

    Parameters
    ----------
    model : str
        A model folder, or a name on the Hugging Face hub.

    Raises
    ------
    RnalmError
        If there is no such model, or it has no tokenizer.
    """
    if Path(model).is_dir():
        return load_tokenizer(model)
    try:
        return _uncut(Tokenizer.from_pretrained(model))
    except Exception as error:  # the library raises a bare Exception
        reason = str(error).splitlines()[0]
        raise RnalmError(f"{model}: neither a folder here nor a model of the Hugging Face hub ({reason})") from None


def _uncut(tokenizer: Tokenizer) -> Tokenizer:
    """Make a tokenizer leave sequences as long as they are, in place."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def special_tokens(tokenizer: Tokenizer) -> list[str]:
    """List the special tokens in the order of their ids.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.
    """
    added = tokenizer.get_added_tokens_decoder()
    return [added[index].content for index in sorted(added) if added[index].special]


def special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """Say which id a tokenizer has for each role that one of its special tokens plays.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer; what its special tokens are for is told by their names.

    Returns
    -------
    dict
        Ids by role: ``unk``, ``pad``, ``mask`` and, where there are such tokens, ``cls``, ``sep``, ``bos`` and ``eos``.

    Raises
    ------
    RnalmError
        If none is for unknown tokens, for padding, or for masking.
    """
    special, vocabulary = special_tokens(tokenizer), tokenizer.get_vocab()
    ids = {role: vocabulary[name] for role, names in SPECIAL_ROLES.items() for name in reversed(names) if name in special}
    for role in ("unk", "pad", "mask"):
        if role not in ids:
            expected = " or ".join(SPECIAL_ROLES[role])
            raise RnalmError(f"tokenizer: expected a special token {expected}, found {', '.join(special) or 'none'}")
    return ids


def all_special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """Say which id each special token has, by its role or, where it plays none, by its name.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer with the roles that :func:`special_ids` needs.
    """
    roles, vocabulary = special_ids(tokenizer), tokenizer.get_vocab()
    others = {name: vocabulary[name] for name in special_tokens(tokenizer)}
    return roles | {name: index for name, index in others.items() if index not in roles.values()}


def plain_tokens(tokenizer: Tokenizer) -> list[str]:
    """List the non-special tokens in the order of their ids.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.
    """
    vocabulary = tokenizer.get_vocab()
    return sorted(set(vocabulary) - set(special_tokens(tokenizer)), key=vocabulary.__getitem__)


def is_atomic(tokenizer: Tokenizer) -> bool:
    """Say whether each token is one position of the sequence, to be looked up as it stands.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.
    """
    layout = _layout(tokenizer)
    plain = layout["normalizer"] is None and _cuts_nothing(layout["pre_tokenizer"])
    return layout["model"]["type"] == "WordLevel" and plain


def _cuts_nothing(before: dict[str, Any] | None) -> bool:
    """Say whether a pre-tokenizer takes no token apart: it is none, or cuts at each letter or at a separator, as our own do."""
    if before is None:
        return True
    pattern, ours = before.get("pattern", {}), {"type": "Split", "invert": False}
    letter, separator = {"Regex": LETTER}, {"String": pattern.get("String")}
    return before in (ours | {"pattern": letter, "behavior": "Isolated"}, ours | {"pattern": separator, "behavior": "Removed"})


def kmer_layout(tokenizer: Tokenizer) -> tuple[int, int] | None:
    """Give k and stride of a k-mer tokenizer, None of another.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.
    """
    before = _layout(tokenizer)["pre_tokenizer"] or {}
    numbers = re.match(r"\(\?#k=(\d+),stride=(\d+)\)", before.get("pattern", {}).get("Regex", ""))
    return (int(numbers[1]), int(numbers[2])) if numbers else None


def letters_for_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """Give the letters as which a tokenizer treats tokens of several letters, in the order in which it replaces them.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer; most replace none.
    """
    return {step["pattern"]["String"]: step["content"] for step in takewhile(_is_replacing, _steps(_layout(tokenizer)))}


def _steps(layout: dict[str, Any]) -> list[dict[str, Any]]:
    """List what a tokenizer does to a text before it cuts it."""
    normalizer = layout["normalizer"]
    return [] if normalizer is None else normalizer.get("normalizers", [normalizer])


def _is_replacing(step: dict[str, Any]) -> bool:
    """Say whether a step of a normalizer exchanges a token of several letters for one letter."""
    return step["type"] == "Replace" and len(step["pattern"].get("String", "")) > 1 and len(step["content"]) == 1


def without_letters(tokenizer: Tokenizer) -> Tokenizer:
    """Copy a tokenizer, but for the steps that replace tokens of several letters: what it gets is spelled already.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer; it is not changed.
    """
    layout = _layout(tokenizer)
    steps = _steps(layout)[len(letters_for_tokens(tokenizer)) :]
    layout["normalizer"] = {"type": "Sequence", "normalizers": steps} if steps else None
    return Tokenizer.from_str(json.dumps(layout))


def _layout(tokenizer: Tokenizer) -> dict[str, Any]:
    """Read how a tokenizer is built; the library itself tells only parts of it."""
    return json.loads(tokenizer.to_str())


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
    return (_word_encoder if _layout(tokenizer)["model"]["type"] == "WordLevel" else _subword_encoder)(tokenizer)


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
