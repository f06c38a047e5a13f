"""Learn the vocabulary of a tokenizer from the sequences of a source."""

import json
import logging
import random
from collections import Counter
from collections.abc import Iterable, Iterator

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from rnalm import config, sources
from rnalm.config import Source
from rnalm.errors import RnalmError
from rnalm.sources import Record
from rnalm.tokenizers import KMERS, spell

log = logging.getLogger(__name__)

#: Decimals of a piece's log-probability that are kept: the last ones differ from run to run, with the order of additions.
DECIMALS = 9


def learn(source: Source, options: config.Tokenizer | None = None, seed: int | None = 1) -> Tokenizer:
    """Learn a tokenizer.

    Parameters
    ----------
    source : Source
        Where the sequences are.
    options : rnalm.config.Tokenizer, optional
        What kind of tokenizer; its own ``source`` is not looked at. None: the defaults.
    seed : int or None
        Draws the sample, if there is one.

    Returns
    -------
    tokenizers.Tokenizer
        Special tokens come first. An atomic vocabulary is ordered by descending frequency, ties by token; one of k-mers by
        token.

    Raises
    ------
    RnalmError
        If the source cannot be read, or no token is frequent enough.
    """
    options = options or config.Tokenizer()
    if options.type in ("atomic", "kmer"):
        tokenizer = (_atomic if options.type == "atomic" else _kmer)(source, options, seed)
    else:
        tokenizer = (_bpe if options.type == "bpe" else _unigram)(source, options, seed)
    tokenizer.add_special_tokens(options.special_tokens)
    wanted, found = options.value("vocab_size"), tokenizer.get_vocab_size()
    if wanted is not None and found < wanted and options.type in ("bpe", "unigram"):
        log.warning(
            "tokenizer.vocab_size: %s asks for %d tokens, but the data give no more than %d", options.type, wanted, found
        )
    log.info("%s: %d tokens, %d of them special", options.type, found, len(options.special_tokens))
    return tokenizer


def _atomic(source: Source, options: config.Tokenizer, seed: int | None) -> Tokenizer:
    """One token a field or character."""
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
    tokens = _frequent(counts, source, options)
    tokenizer = _words(tokens, options)
    if source.token_sep is None:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    else:
        # A plain string, not a pattern: separators such as "|" stand for themselves.
        tokenizer.pre_tokenizer = pre_tokenizers.Split(source.token_sep, behavior="removed")
    return tokenizer


def _kmer(source: Source, options: config.Tokenizer, seed: int | None) -> Tokenizer:
    """Every ``k`` letters, from ``stride`` to ``stride`` letters."""
    k, stride = options.value("k"), options.value("stride")
    counts: Counter[str] = Counter()
    for record in _records(source, options, seed):
        text = spell(record.sequence, {})
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
    return [token for _, token in frequent][: None if most is None else max(0, most - len(options.special_tokens))]


def _words(tokens: list[str], options: config.Tokenizer) -> Tokenizer:
    vocabulary = {token: index for index, token in enumerate([*options.special_tokens, *tokens])}
    return Tokenizer(models.WordLevel(vocabulary, unk_token=options.special("unk")))


def _bpe(source: Source, options: config.Tokenizer, seed: int | None) -> Tokenizer:
    """Byte-pair encoding of whole sequences, letter by letter at first."""
    tokenizer = Tokenizer(models.BPE(unk_token=options.special("unk")))
    if options.atomic_replacements:
        tokenizer.normalizer = normalizers.Sequence(_replacing(options))
    trainer = trainers.BpeTrainer(
        vocab_size=options.value("vocab_size"),
        min_frequency=options.value("min_freq"),
        max_token_length=options.value("max_token_length") + 1,  # which the library's tokens stay below
        special_tokens=options.special_tokens,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(source, options, seed), trainer)
    return tokenizer


def _unigram(source: Source, options: config.Tokenizer, seed: int | None) -> Tokenizer:
    """Learn pieces as SentencePiece does (Kudo 2018), with its normalization and its mark before a sequence."""
    tokenizer = Tokenizer(models.Unigram())
    cleaning = [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence([*_replacing(options), *cleaning])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=options.value("vocab_size"),
        max_piece_length=options.value("max_token_length"),
        special_tokens=options.special_tokens,
        unk_token=options.special("unk"),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(source, options, seed), trainer)
    layout = json.loads(tokenizer.to_str())
    layout["model"]["vocab"] = [[piece, round(weight, DECIMALS)] for piece, weight in layout["model"]["vocab"]]
    return Tokenizer.from_str(json.dumps(layout))


def _replacing(options: config.Tokenizer) -> list[normalizers.Normalizer]:
    """Make the steps that exchange tokens of several letters for single letters, the longest tokens first."""
    longest_first = sorted(options.atomic_replacements.items(), key=lambda item: (-len(item[0]), item[0]))
    return [normalizers.Replace(token, letter) for token, letter in longest_first]


def _texts(source: Source, options: config.Tokenizer, seed: int | None) -> Iterator[str]:
    for record in _records(source, options, seed):
        yield spell(record.sequence, options.atomic_replacements)


def _records(source: Source, options: config.Tokenizer, seed: int | None) -> Iterable[Record]:
    records = sources.read(source)
    return records if options.sample_size is None else sample(records, options.sample_size, seed)


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
