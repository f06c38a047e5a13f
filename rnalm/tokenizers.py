"""Train, save and load tokenizers; turn the tokens of a record into ids."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from rnalm import sources
from rnalm.config import Source
from rnalm.errors import RnalmError
from rnalm.files import replacing

#: Special tokens; their position is their id.
SPECIAL_TOKENS = ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "[BOS]", "[EOS]")
UNK, PAD, MASK = (SPECIAL_TOKENS.index(token) for token in ("[UNK]", "[PAD]", "[MASK]"))


def train(
    source: Source,
    sample_size: int | None = None,
    min_freq: int = 1,
    vocab_size: int | None = None,
    seed: int | None = 1,
) -> Tokenizer:
    """Learn an atomic tokenizer: one token per field or character.

    Parameters
    ----------
    source : Source
        Where the sequences are.
    sample_size : int, optional
        Look only at a random sample of this many sequences.
    min_freq : int
        Leave out tokens that occur less often.
    vocab_size : int, optional
        Largest vocabulary, special tokens included.
    seed : int or None
        Draws the sample, if there is one.

    Returns
    -------
    tokenizers.Tokenizer
        Its vocabulary is ordered by descending frequency, ties by token.
    """
    records = sources.read(source)
    if sample_size is not None:
        records = sample(records, sample_size, seed)
    counts: Counter[str] = Counter()
    longest = 0
    for record in records:
        counts.update(record.sequence)
        longest = max(longest, len(record.sequence))
    if longest == 1 and source.token_sep is not None:
        token = next(iter(counts))
        raise RnalmError(
            f"{source.path}: every sequence is one token, such as {token[:20]!r}; is token_sep {source.token_sep!r} right?"
        )
    frequent = sorted((-count, token) for token, count in counts.items() if count >= min_freq and token not in SPECIAL_TOKENS)
    if not frequent:
        raise RnalmError(f"{source.path}: no token occurs at least {min_freq} times (tokenizer.min_freq)")
    tokens = [token for _, token in frequent]
    if vocab_size is not None:
        tokens = tokens[: vocab_size - len(SPECIAL_TOKENS)]
    return _atomic(tokens, source.token_sep)


def _atomic(tokens: list[str], token_sep: str | None) -> Tokenizer:
    vocabulary = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *tokens])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    if token_sep is None:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    else:
        # A plain string, not a pattern: separators such as "|" stand for themselves.
        tokenizer.pre_tokenizer = pre_tokenizers.Split(token_sep, behavior="removed")
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def sample(items: Iterable, size: int, seed: int) -> list:
    """Draw a random sample from a stream, keeping its order (Vitter's algorithm R).

    Memory holds ``size`` items, however long the stream.
    """
    draw = random.Random(seed)
    kept: list[tuple[int, object]] = []
    for index, item in enumerate(items):
        if index < size:
            kept.append((index, item))
        elif (slot := draw.randrange(index + 1)) < size:
            kept[slot] = (index, item)
    return [item for _, item in sorted(kept, key=lambda pair: pair[0])]


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


def tokens(tokenizer: Tokenizer) -> list[str]:
    """List the non-special tokens in the order of their ids."""
    vocabulary = tokenizer.get_vocab()
    return sorted(set(vocabulary) - set(SPECIAL_TOKENS), key=vocabulary.__getitem__)


def encoder(tokenizer: Tokenizer) -> Callable[[Sequence[str]], np.ndarray]:
    """Make the function that turns characters or tokens into ids.

    Returns
    -------
    callable
        From ``str`` (one token a character) or ``list[str]`` to int32 ``(length,)``.
    """
    vocabulary = tokenizer.get_vocab()
    # Characters are looked up in a table of code points, a thousand times faster than one by one.
    table = np.full(0x110000, UNK, dtype=np.int32)
    for token, index in vocabulary.items():
        if len(token) == 1:
            table[ord(token)] = index

    def encode(sequence: Sequence[str]) -> np.ndarray:
        if isinstance(sequence, str):
            return table[np.frombuffer(sequence.encode("utf-32-le"), dtype=np.uint32)]
        return np.fromiter((vocabulary.get(token, UNK) for token in sequence), dtype=np.int32, count=len(sequence))

    return encode
