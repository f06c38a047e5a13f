"""Load and save tokenizers; turn sequences into ids and the positions that they stand for."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from rnalm.config.data import SPECIAL_ROLES
from rnalm.errors import RnalmError
from rnalm.files import replacing

#: Special tokens, where the configuration names no others; their position is their id.
SPECIAL_TOKENS = ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "[BOS]", "[EOS]")

#: What no tokenizer knows: it stands for a token of several letters that has no letter of its own.
FOREIGN = "\ufffd"

#: What a unigram tokenizer puts before a sequence, as SentencePiece does before a word.
MARK = "▁"

#: How the file of a k-mer tokenizer says what it is: `tokenizers` itself can only cut sequences into pieces side by side.
KMERS = "(?#k={k},stride={stride})[\\s\\S]{{{k}}}"

#: From a sequence, as letters or as tokens, to ids ``(length,)`` and half-open positions ``(length, 2)``, which are None where
#: each token is one position.
Encoder = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray | None]]


def save(tokenizer: Tokenizer, path: str | Path) -> None:
    """Write a tokenizer as Hugging Face ``tokenizers`` JSON, atomically."""
    with replacing(path) as temporary:
        tokenizer.save(str(temporary))


def load(path: str | Path) -> Tokenizer:
    """Read a tokenizer.

    Parameters
    ----------
    path : path
        A ``tokenizer.json``, or a model folder that holds one.

    Raises
    ------
    RnalmError
        If it is not there or not a tokenizer.
    """
    path = Path(path)
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.exists():
        kind = "model folder without a tokenizer.json" if path.is_dir() else "no such file or model folder"
        raise RnalmError(f"{path}: {kind}")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises a bare Exception
        raise RnalmError(f"{file}: not a tokenizer ({error})") from None


def borrow(model: str) -> Tokenizer:
    """Take the tokenizer of a model: a folder, or a name on the Hugging Face hub.

    Raises
    ------
    RnalmError
        If there is none.
    """
    if Path(model).is_dir():
        return load(model)
    try:
        return Tokenizer.from_pretrained(model)
    except Exception as error:  # the library raises a bare Exception
        reason = str(error).splitlines()[0]
        raise RnalmError(f"{model}: neither a folder here nor a model of the Hugging Face hub ({reason})") from None


def special(tokenizer: Tokenizer) -> list[str]:
    """List the special tokens in the order of their ids."""
    added = tokenizer.get_added_tokens_decoder()
    return [added[index].content for index in sorted(added) if added[index].special]


def special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """Say which id a tokenizer has for each role that one of its special tokens plays, such as ``mask``.

    Raises
    ------
    RnalmError
        If none is for unknown tokens, for padding, or for masking.
    """
    there = special(tokenizer)
    found = {
        role: tokenizer.token_to_id(name) for role, names in SPECIAL_ROLES.items() for name in reversed(names) if name in there
    }
    for role in ("unk", "pad", "mask"):
        if role not in found:
            expected = " or ".join(SPECIAL_ROLES[role])
            raise RnalmError(f"tokenizer: expected a special token {expected}, found {', '.join(there) or 'none'}")
    return found


def tokens(tokenizer: Tokenizer) -> list[str]:
    """List the non-special tokens in the order of their ids."""
    vocabulary = tokenizer.get_vocab()
    return sorted(set(vocabulary) - set(special(tokenizer)), key=vocabulary.__getitem__)


def is_atomic(tokenizer: Tokenizer) -> bool:
    """Whether each token is one position of the sequence."""
    return kmers(tokenizer) is None and _layout(tokenizer)["model"]["type"] == "WordLevel"


def kmers(tokenizer: Tokenizer) -> tuple[int, int] | None:
    """Give k and stride of a k-mer tokenizer, None of another."""
    before = _layout(tokenizer)["pre_tokenizer"] or {}
    found = re.match(r"\(\?#k=(\d+),stride=(\d+)\)", before.get("pattern", {}).get("Regex", ""))
    return (int(found[1]), int(found[2])) if found else None


def letters(tokenizer: Tokenizer) -> dict[str, str]:
    """Give the letters as which a tokenizer treats tokens of several letters."""
    normalizer = _layout(tokenizer)["normalizer"] or {}
    steps = normalizer.get("normalizers", [normalizer])
    return {step["pattern"]["String"]: step["content"] for step in steps if "String" in step.get("pattern", {})}


def _layout(tokenizer: Tokenizer) -> dict[str, Any]:
    """Read how a tokenizer is built; the library itself tells only parts of it."""
    return json.loads(tokenizer.to_str())


def encoder(tokenizer: Tokenizer) -> Encoder:
    """Make the function that turns sequences into ids.

    Returns
    -------
    callable
        From ``str`` (letters) or ``list[str]`` (tokens, each one position) to int32 ids and positions.
    """
    if windows := kmers(tokenizer):
        return _kmer_encoder(tokenizer, *windows)
    return _atomic_encoder(tokenizer) if is_atomic(tokenizer) else _subword_encoder(tokenizer)


def _atomic_encoder(tokenizer: Tokenizer) -> Encoder:
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


def _kmer_encoder(tokenizer: Tokenizer, k: int, stride: int) -> Encoder:
    vocabulary, unknown = tokenizer.get_vocab(), special_ids(tokenizer)["unk"]

    def encode(sequence: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        text = spell(sequence, {})
        # What is shorter than a k-mer is one unknown token.
        starts = np.arange(0, max(1, len(text) - k + 1), stride, dtype=np.int32)
        ids = [vocabulary.get(text[start : start + k], unknown) for start in starts.tolist()]
        return np.array(ids, dtype=np.int32), np.stack([starts, np.minimum(starts + k, len(text))], axis=1, dtype=np.int32)

    return encode


def _subword_encoder(tokenizer: Tokenizer) -> Encoder:
    replacements, mark = letters(tokenizer), tokenizer.token_to_id(MARK)

    def encode(sequence: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        found = tokenizer.encode(spell(sequence, replacements), add_special_tokens=False)
        ids, offsets = np.array(found.ids, dtype=np.int32), np.array(found.offsets, dtype=np.int32).reshape(-1, 2)
        if mark is not None:
            # The mark before a sequence, where it is a token by itself, stands for no letter.
            offsets[ids == mark, 1] = offsets[ids == mark, 0]
        return ids, offsets

    return encode


def spell(sequence: Sequence[str], replacements: dict[str, str]) -> str:
    """Write a sequence with one letter a position: tokens of several letters by those that replace them.

    Parameters
    ----------
    sequence : str or list of str
        A ``str`` is returned as it is.
    replacements : dict
    """
    if isinstance(sequence, str):
        return sequence
    return "".join(token if len(token) == 1 else replacements.get(token, FOREIGN) for token in sequence)
