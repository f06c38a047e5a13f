"""Load and save tokenizers, and say what they are: their special tokens, and how they cut sequences."""

import json
import re
from itertools import takewhile
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from rnalm.config.data import SPECIAL_ROLES
from rnalm.config.data import Tokenizer as Options
from rnalm.errors import RnalmError
from rnalm.files import replacing

#: Special tokens of what we learn, where the configuration names no others; there, their position is their id. What ids another
#: tokenizer has for them says :func:`special_ids`.
SPECIAL_TOKENS = tuple(Options().special_tokens)

#: What a unigram tokenizer puts before a sequence, as SentencePiece does before a word.
MARK = "▁"

#: The pattern in the file of a k-mer tokenizer. `tokenizers` itself can only cut sequences into pieces side by side, which is
#: what the pattern makes it do; :mod:`rnalm.tokens.ids` cuts k-mers that overlap, by what its comment says of k and stride.
KMERS = "(?#k={k},stride={stride})[\\s\\S]{{{k}}}"

#: The pattern by which the file of an atomic tokenizer cuts a text into letters.
LETTER = "[\\s\\S]"


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


def token_names(tokenizer: Tokenizer) -> list[str]:
    """List all tokens by their ids; an id without a token has an empty name.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.
    """
    names = {index: token for token, index in tokenizer.get_vocab().items()}
    return [names.get(index, "") for index in range(max(names) + 1)]


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
    return has_words(tokenizer) and plain


def is_separated(tokenizer: Tokenizer) -> bool:
    """Say whether tokens are told from each other by a separator (``token_sep``), as tokens of several letters have to be.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.
    """
    before = _layout(tokenizer)["pre_tokenizer"] or {}
    return is_atomic(tokenizer) and before.get("pattern", {}).get("Regex") != LETTER


def has_words(tokenizer: Tokenizer) -> bool:
    """Say whether a tokenizer looks whole tokens up, after what it does to each.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.
    """
    return _layout(tokenizer)["model"]["type"] == "WordLevel"


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
