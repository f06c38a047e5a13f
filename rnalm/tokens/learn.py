"""Learn the vocabulary of a tokenizer from the sequences of a source."""

import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from rnalm import config
from rnalm.config import Source
from rnalm.errors import RnalmError
from rnalm.sequences.read import Record, read_records
from rnalm.sequences.strands import mixes
from rnalm.tokens.ids import check_letters, respell
from rnalm.tokens.tokenizer import KMERS, LETTER, MARK, plain_tokens

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Learner = Callable[[Source, config.Tokenizer, int | None], Tokenizer]

#: Decimals of a piece's log-probability that are kept: the last ones differ from run to run, with the order of additions.
DECIMALS = 9

#: Byte-pair encoding learns from pieces of so many letters, at most: the library's time grows with the square of their length.
PIECE = 10_000


def learn(source: Source, options: config.Tokenizer | None = None, seed: int | None = 1) -> Tokenizer:
    r"""Learn a tokenizer.

    Parameters
    ----------
    source : Source
        Where the sequences are.
    options : rnalm.config.Tokenizer, optional
        What kind of tokenizer; its own ``source`` is not looked at. None: the defaults.
    seed : int or None
        Draws the sample, if `options` ask for one; None: another one each time.

    Returns
    -------
    tokenizers.Tokenizer
        Special tokens come first. An atomic vocabulary is ordered by descending frequency, ties by token; one of k-mers by
        token.

    Raises
    ------
    RnalmError
        If the source cannot be read, no token is frequent enough or has room in the vocabulary, or a token of several letters
        stands where single letters are expected.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> _ = Path(folder.name, "genes.fa").write_text(">YAL1\nACGTACGTA\n>YAL2\nCGTA\n")
    >>> source = config.Fasta(path=folder.name + "/genes.fa")
    >>> learn(source).encode("ACGT").ids  # the first 7 are special tokens, A is the most frequent letter
    [7, 8, 9, 10]
    >>> learn(source, config.Tokenizer(type="kmer", k=4, min_freq=2)).get_vocab_size()
    9
    """
    options = options or config.Tokenizer()
    room, reserved = options.value("vocab_size"), len(options.special_tokens)
    if room is not None and room <= reserved:
        raise RnalmError(
            f"tokenizer.vocab_size: {room} has no room beside {reserved} special tokens; expected {reserved + 1} or more"
        )
    tokenizer = LEARNERS[options.type](source, options, seed)
    tokenizer.add_special_tokens(options.special_tokens)
    if mixes(letter for token in plain_tokens(tokenizer) for letter in token):
        log.warning("%s: both T and U are in the vocabulary, and mean the same only to a biologist", source.paths[0])
    log.info("%s: %d tokens, %d of them special", options.type, tokenizer.get_vocab_size(), reserved)
    return tokenizer


def _atomic(source: Source, options: config.Tokenizer, seed: int | None) -> Tokenizer:
    """Learn one token a field or letter."""
    counts: Counter[str] = Counter()
    longest = 0
    for record in _records(source, options, seed):
        counts.update(record.sequence)
        longest = max(longest, len(record.sequence))
    if longest == 1 and source.token_sep is not None:
        token = next(iter(counts))
        raise RnalmError(
            f"{source.paths[0]}: every sequence is one token, such as {token[:20]!r}; is token_sep {source.token_sep!r} right?"
        )
    return of_tokens(_frequent(counts, source, options), options, source.token_sep)


def of_tokens(tokens: Sequence[str], options: config.Tokenizer, separator: str | None) -> Tokenizer:
    """Make the tokenizer of some tokens.

    Parameters
    ----------
    tokens : sequence of str
        In the order of their ids.
    options : Tokenizer
        Which special tokens come first.
    separator : str or None
        What stands between them; None: nothing, and they are letters.
    """
    if separator is None:
        return of_letters(tokens, options)
    tokenizer = _words(tokens, options)
    # A plain string, not a pattern: separators such as "|" stand for themselves.
    tokenizer.pre_tokenizer = pre_tokenizers.Split(separator, behavior="removed")
    tokenizer.add_special_tokens(options.special_tokens)
    return tokenizer


def of_letters(letters: Sequence[str], options: config.Tokenizer) -> Tokenizer:
    """Make the tokenizer of which each of some letters is a token.

    Parameters
    ----------
    letters : sequence of str
        In the order of their ids.
    options : Tokenizer
        Which special tokens come first.
    """
    tokenizer = _words(letters, options)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(LETTER), behavior="isolated")
    tokenizer.add_special_tokens(options.special_tokens)
    return tokenizer


def _kmer(source: Source, options: config.Tokenizer, seed: int | None) -> Tokenizer:
    """Learn every ``k`` letters, from ``stride`` to ``stride`` letters."""
    k, stride = options.value("k"), options.value("stride")
    counts: Counter[str] = Counter()
    instead = "k-mers are of single letters; type: atomic takes such tokens, bpe and unigram do with atomic_replacements"
    for record in _records(source, options, seed):
        _check_single(record, {}, instead)
        text = "".join(record.sequence)
        counts.update(text[start : start + k] for start in range(0, len(text) - k + 1, stride))
    if not counts:
        raise RnalmError(f"{source.paths[0]}: no sequence has {k} letters or more (tokenizer.k)")
    tokenizer = _words(sorted(_frequent(counts, source, options)), options)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(KMERS.format(k=k, stride=stride)), behavior="isolated")
    return tokenizer


def _frequent(counts: Counter[str], source: Source, options: config.Tokenizer) -> list[str]:
    """List the tokens that are frequent enough, and as many as there is room for, the most frequent first."""
    least, most = options.value("min_freq"), options.value("vocab_size")
    frequent = sorted(
        (-count, token) for token, count in counts.items() if count >= least and token not in options.special_tokens
    )
    if not frequent:
        raise RnalmError(f"{source.paths[0]}: no token occurs at least {least} times (tokenizer.min_freq)")
    return [token for _, token in frequent][: None if most is None else most - len(options.special_tokens)]


def _words(tokens: Sequence[str], options: config.Tokenizer) -> Tokenizer:
    """Make a tokenizer that looks whole tokens up."""
    vocabulary = {token: index for index, token in enumerate([*options.special_tokens, *tokens])}
    return Tokenizer(models.WordLevel(vocabulary, unk_token=options.special("unk")))


def _bpe(source: Source, options: config.Tokenizer, seed: int | None) -> Tokenizer:
    """Learn which neighbours to merge, letter by letter at first: byte-pair encoding."""
    tokenizer = Tokenizer(models.BPE(unk_token=options.special("unk")))
    replacements, longest = _replacements(options), options.value("max_token_length")
    trainer = trainers.BpeTrainer(
        # The library merges two letters whatever the length; where there is room for letters alone, it merges none.
        vocab_size=options.value("vocab_size") if longest > 1 else 0,
        min_frequency=options.value("min_freq"),
        max_token_length=longest + 1,  # which the library's tokens stay below
        special_tokens=options.special_tokens,
        show_progress=False,
    )
    texts = _texts(source, options, seed, replacements)
    _train(tokenizer, trainer, (text[at : at + PIECE] for text in texts for at in range(0, len(text), PIECE)), options)
    if replacements:
        tokenizer.normalizer = normalizers.Sequence(_replacing(replacements))
    return tokenizer


def _unigram(source: Source, options: config.Tokenizer, seed: int | None) -> Tokenizer:
    """Learn pieces as SentencePiece does (Kudo 2018), with its normalization and its mark before a sequence."""
    tokenizer = Tokenizer(models.Unigram())
    cleaning = [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence(cleaning)
    replacements = _replacements(options)
    for token, letter in replacements.items():
        if letter in (" ", MARK) or tokenizer.normalizer.normalize_str(letter) != letter:
            raise RnalmError(
                f"tokenizer.atomic_replacements: {token!r} is replaced by {letter!r}, which unigram reads as another letter; "
                "expected one such as those of A-Z"
            )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=options.value("vocab_size"),
        max_piece_length=options.value("max_token_length"),
        special_tokens=options.special_tokens,
        unk_token=options.special("unk"),
        show_progress=False,
    )
    _train(tokenizer, trainer, _texts(source, options, seed, replacements), options)
    layout = json.loads(tokenizer.to_str())
    layout["model"]["vocab"] = [[piece, round(weight, DECIMALS)] for piece, weight in layout["model"]["vocab"]]
    tokenizer = Tokenizer.from_str(json.dumps(layout))
    tokenizer.normalizer = normalizers.Sequence([*_replacing(replacements), *cleaning])
    return tokenizer


def _train(tokenizer: Tokenizer, trainer: trainers.Trainer, texts: Iterator[str], options: config.Tokenizer) -> None:
    """Train a tokenizer of the library, in place, and tell where the data give fewer tokens than are asked for."""
    wanted, reserved, letters = options.value("vocab_size"), len(options.special_tokens), set()

    def watched() -> Iterator[str]:
        for text in texts:
            letters.update(text)
            yield text

    try:
        tokenizer.train_from_iterator(watched(), trainer)
    except RnalmError:
        raise
    except Exception as error:  # the library raises a bare Exception
        if "not large enough" not in str(error):
            raise
    learned = tokenizer.get_vocab_size()
    # Unigram's library may take one more than it is given.
    check_room(options, max(len(letters), learned - reserved - (options.type == "unigram") if learned > wanted else 0))
    if learned < wanted:
        log.warning(
            "tokenizer.vocab_size: %s asks for %d tokens, but the data give no more than %d", options.type, wanted, learned
        )


def check_room(options: config.Tokenizer, letters: int) -> None:
    """Refuse a vocabulary that is smaller than the alphabet.

    Parameters
    ----------
    options : Tokenizer
        Of type ``bpe`` or ``unigram``, whose vocabularies have every letter.
    letters : int
        Letters of the data.

    Raises
    ------
    RnalmError
        If they and the special tokens are more than ``vocab_size``; it names the least size.
    """
    wanted, reserved = options.value("vocab_size"), len(options.special_tokens)
    letters += options.type == "unigram"  # its mark before a sequence
    if wanted < reserved + letters:
        problem = f"has no room for the {letters} letters of the data beside {reserved} special tokens"
        raise RnalmError(f"tokenizer.vocab_size: {wanted} {problem}; expected {reserved + letters} or more")


def _replacements(options: config.Tokenizer) -> dict[str, str]:
    """Give the letters that replace tokens of several letters, the longest tokens first."""
    for token in options.atomic_replacements:
        if len(token) < 2:
            raise RnalmError(f"tokenizer.atomic_replacements: found {token!r}, expected a token of several letters")
    return dict(sorted(options.atomic_replacements.items(), key=lambda item: (-len(item[0]), item[0])))


def _replacing(replacements: dict[str, str]) -> list[normalizers.Normalizer]:
    """Make the steps by which a saved tokenizer replaces tokens by itself.

    They are no part of learning: in sequences whose tokens are separated, two letters that only look like such a token side by
    side are not one.
    """
    return [normalizers.Replace(token, letter) for token, letter in replacements.items()]


#: What learns a tokenizer of a type, from a source, the options and the seed of a sample. A new type is a function and an entry
#: here, and an entry of its defaults in :data:`rnalm.config.data.TOKENIZER_DEFAULTS`.
LEARNERS: dict[str, Learner] = {"atomic": _atomic, "bpe": _bpe, "unigram": _unigram, "kmer": _kmer}


def _texts(source: Source, options: config.Tokenizer, seed: int | None, replacements: dict[str, str]) -> Iterator[str]:
    """Give sequences as subwords are learned from them: in single letters."""
    for record in _records(source, options, seed):
        _check_single(record, replacements, "give it a letter in tokenizer.atomic_replacements")
        check_letters(record.sequence, replacements, record.place)
        yield respell(record.sequence, replacements)[0]


def _check_single(record: Record, replacements: dict[str, str], instead: str) -> None:
    """Refuse a sequence with a token of several letters that nothing replaces, saying what to do instead."""
    if isinstance(record.sequence, str):
        return
    for position, token in enumerate(record.sequence, start=1):
        if len(token) > 1 and token not in replacements:
            raise RnalmError(f"{record.place}: token {position} is {token!r}, of several letters; {instead}")


def _records(source: Source, options: config.Tokenizer, seed: int | None) -> Iterable[Record]:
    """Read the records that are learned from: all, or a sample."""
    records = read_records(source)
    return records if options.sample_size is None else sample(records, options.sample_size, seed)


def sample(items: Iterable[Item], size: int, seed: int | None) -> list[Item]:
    """Draw a random sample from a stream, keeping its order.

    Memory holds ``size`` items, however long the stream: algorithm R of Vitter, ACM Trans. Math. Softw. 11, 37–57 (1985).

    Parameters
    ----------
    items : iterable
        The stream.
    size : int
        How many are drawn; all, if there are no more.
    seed : int or None
        Draws the sample; None: another one each time.
    """
    draw = random.Random(seed)
    kept: list[tuple[int, Item]] = []
    for index, item in enumerate(items):
        if index < size:
            kept.append((index, item))
        elif (slot := draw.randrange(index + 1)) < size:
            kept[slot] = (index, item)
    return [item for _, item in sorted(kept, key=lambda pair: pair[0])]
