from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.config import Fasta, Tokenizer
from rnalm.config.data import TOKENIZER_DEFAULTS
from rnalm.tokens import learn
from rnalm.tokens.ids import make_encoder
from rnalm.tokens.tokenizer import SPECIAL_TOKENS, plain_tokens, special_ids

UNK, MASK = SPECIAL_TOKENS.index("[UNK]"), SPECIAL_TOKENS.index("[MASK]")
DNA = ["".join(row) for row in np.random.default_rng(0).choice(list("ACGT"), (100, 50))]
TYPES = sorted(learn.LEARNERS)
SUBWORDS = pytest.mark.parametrize("kind", ["bpe", "unigram"])


def test_every_type_of_the_configuration_can_be_learned():
    assert set(learn.LEARNERS) == set(TOKENIZER_DEFAULTS) == set(get_args(Tokenizer.model_fields["type"].annotation))


# Letters, fields and k-mers


def test_special_tokens_have_the_first_ids(learned):
    assert SPECIAL_TOKENS == ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "[BOS]", "[EOS]")
    assert [learned("acgt").token_to_id(token) for token in SPECIAL_TOKENS] == list(range(7))


def test_special_tokens_play_the_roles_that_their_names_say(learned):
    ids = special_ids(learned(*DNA, special_tokens=["<s>", "</s>", "<unk>", "<pad>", "<mask>"]))
    assert ids == {"cls": 0, "bos": 0, "sep": 1, "eos": 1, "unk": 2, "pad": 3, "mask": 4}


@pytest.mark.parametrize(
    ("sequences", "separators", "options", "tokens"),
    [
        (["ttgc", "gatc"], {}, {}, ["t", "c", "g", "a"]),
        (["aa,c,aa", "c,aa"], {"token_sep": ","}, {}, ["aa", "c"]),
        (["a#1#2,c,a#3"], {"token_sep": ",", "modifier_sep": "#"}, {}, ["a", "c"]),
        (["aaaccg"], {}, {"min_freq": 2}, ["a", "c"]),
        (["aaaccg"], {}, {"min_freq": 3}, ["a"]),
        (["aaaccg"], {}, {"vocab_size": 9}, ["a", "c"]),
        (["aaaccg"], {}, {"vocab_size": 8}, ["a"]),
        (["TTACG", "ACGTT"], {}, {"type": "kmer", "k": 3}, ["ACG", "CGT", "GTT", "TAC", "TTA"]),
        (["TTACG", "ACGTT"], {}, {"type": "kmer", "k": 3, "min_freq": 2}, ["ACG"]),
        (["TTACG", "ACGTT"], {}, {"type": "kmer", "k": 3, "stride": 2}, ["ACG", "GTT", "TTA"]),
    ],
)
def test_tokens_are_by_frequency_then_name_and_kmers_by_name_and_rare_ones_left_out(
    learned, sequences, separators, options, tokens
):
    tokenizer = learned(*sequences, **separators, **options)
    assert plain_tokens(tokenizer) == tokens
    assert tokenizer.token_to_id(tokens[0]) == 7
    assert tokenizer.get_vocab_size() == 7 + len(tokens)


def test_a_special_token_in_the_data_is_no_second_token(learned):
    tokenizer = learned("a,[MASK],a", token_sep=",")
    assert plain_tokens(tokenizer) == ["a"]
    assert make_encoder(tokenizer)(["a", "[MASK]"])[0].tolist() == [7, MASK]


@pytest.mark.parametrize(("token_sep", "learn_of", "text"), [(None, "aac", "ca"), (",", "a,a,c", "c,a")])
def test_a_rare_token_becomes_unknown(learned, token_sep, learn_of, text):
    tokenizer = learned(learn_of, token_sep=token_sep, min_freq=2)
    assert make_encoder(tokenizer)(text.split(token_sep) if token_sep else text)[0].tolist() == [UNK, 7]
    assert tokenizer.encode(text).ids == [UNK, 7]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"min_freq": 2}, "no token occurs at least 2 times (tokenizer.min_freq)"),
        ({"type": "kmer", "k": 5}, "no sequence has 5 letters or more (tokenizer.k)"),
    ],
)
def test_a_vocabulary_without_tokens_is_refused(write_rows, refusal, options, problem):
    source = write_rows("acgt")
    assert refusal(learn.learn, source, Tokenizer(**options)) == f"{source.path}: {problem}"


@pytest.mark.parametrize("kind", TYPES)
def test_a_vocabulary_without_room_for_tokens_is_refused(write_rows, refusal, kind):
    options = Tokenizer(type=kind, vocab_size=8, special_tokens=[*SPECIAL_TOKENS, "[X]"])
    message = refusal(learn.learn, write_rows("acgt"), options)
    assert message == "tokenizer.vocab_size: 8 has no room beside 8 special tokens; expected 9 or more"


# The same data give the same tokenizer


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("sample_size", [None, 30])
def test_the_same_data_give_the_same_bytes(learned, kind, sample_size):
    once, again = (learned(*DNA, type=kind, vocab_size=100, sample_size=sample_size).to_str() for _ in range(2))
    assert once == again


def test_the_order_of_the_rows_changes_nothing(learned):
    assert learned("ttgc", "gatc", "nacg").to_str() == learned("nacg", "gatc", "ttgc").to_str()


def test_the_vocabulary_can_be_learned_from_a_sample(learned):
    rows = [chr(0x100 + number) for number in range(50)]
    one, again, other = (plain_tokens(learned(*rows, sample_size=5, seed=seed)) for seed in (1, 1, 2))
    assert [len(one), len(other), len(plain_tokens(learned(*rows, sample_size=1000)))] == [5, 5, 50]
    assert one == again != other


@given(st.integers(0, 40), st.integers(1, 20), st.integers(0, 5))
def test_a_sample_has_its_size_and_keeps_the_order(length, size, seed):
    sample = learn.sample(iter(range(length)), size, seed)
    assert len(sample) == min(size, length)
    assert sample == sorted(set(sample))
    assert sample == learn.sample(range(length), size, seed)


def test_every_item_is_as_likely_in_a_sample():
    counts = np.zeros(10)
    for seed in range(2000):
        counts[learn.sample(range(10), 3, seed)] += 1
    assert np.all(np.abs(counts - 600) < 100)  # almost 5 standard deviations


# Subwords


PROMOTERS = [Path(__file__).parents[2] / "data" / f"ecoli_{name}.fasta.gz" for name in ("promoter", "non_promoter")]


@pytest.mark.nightly
@pytest.mark.skipif(not PROMOTERS[0].exists(), reason="the real data are not there")
def test_a_unigram_tokenizer_of_promoters_is_that_of_genomenlp():  # takes long: all sequences of a published study
    special = ["<s>", "</s>", "<unk>", "<pad>", "<mask>"]
    source = Fasta(path=list(map(str, PROMOTERS)))
    tokenizer = learn.learn(source, Tokenizer(type="unigram", vocab_size=32_000, special_tokens=special))
    assert [tokenizer.token_to_id(token) for token in special] == list(range(5))
    pieces = tokenizer.encode("AACCGGTT", add_special_tokens=False)
    assert (pieces.ids, pieces.tokens) == ([156, 2304], ["▁AA", "CCGGTT"])
    assert tokenizer.get_vocab_size() == 22_751


@pytest.mark.parametrize(("kind", "longest"), [("bpe", 1), ("bpe", 2), ("bpe", 3), ("bpe", 5), ("unigram", 1), ("unigram", 4)])
def test_tokens_are_no_longer_than_asked(learned, kind, longest):
    tokenizer = learned(*DNA, type=kind, max_token_length=longest)
    assert max(len(token.strip("▁")) for token in plain_tokens(tokenizer)) == longest


def test_a_vocabulary_has_the_size_asked_for(learned):
    assert learned(*DNA, type="bpe", vocab_size=60).get_vocab_size() == 60


def test_pairs_are_merged_from_pieces_of_long_sequences(learned, monkeypatch):
    """As if the pieces were sequences: of a whole chromosome, learning would take hours."""
    monkeypatch.setattr(learn, "PIECE", 60)
    pieces = ["".join(DNA)[at : at + 60] for at in range(0, 5000, 60)]
    options = {"type": "bpe", "vocab_size": 100}
    assert learned("".join(DNA), **options).to_str() == learned(*pieces, **options).to_str()


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_vocabulary_smaller_than_the_alphabet_is_refused_with_the_least_size(write_rows, learned, refusal, kind):
    protein = "ACDEFGHIKLMNPQRSTVWYACDEFGHIKLMNPQRSTVWY"
    message = refusal(learn.learn, write_rows(protein, protein), Tokenizer(type=kind, vocab_size=20))
    least = int(message.split()[-3])
    assert "tokenizer.vocab_size: 20 has no room for the" in message
    assert least <= learned(protein, protein, type=kind, vocab_size=least + 1).get_vocab_size() <= least + 1


@pytest.mark.parametrize(("kind", "wanted"), [("bpe", 20_000), ("unigram", 32_000)])
def test_a_vocabulary_larger_than_the_data_allow_is_told(learned, caplog, kind, wanted):
    most = learned(*DNA, type=kind).get_vocab_size()
    assert f"tokenizer.vocab_size: {kind} asks for {wanted} tokens, but the data give no more than {most}" in caplog.text


# Tokens of several letters


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("bpe", "token 3 is 'xyz', of several letters; give it a letter in tokenizer.atomic_replacements"),
        ("unigram", "token 3 is 'xyz', of several letters; give it a letter in tokenizer.atomic_replacements"),
        (
            "kmer",
            "token 2 is 'gej', of several letters; "
            "k-mers are of single letters; type: atomic takes such tokens, bpe and unigram do with atomic_replacements",
        ),
    ],
)
def test_a_token_of_several_letters_needs_one_that_replaces_it(write_rows, refusal, kind, problem):
    source = write_rows("a,c", "a,gej,xyz", token_sep=",")
    options = {} if kind == "kmer" else {"atomic_replacements": {"gej": "E"}}
    assert refusal(learn.learn, source, Tokenizer(type=kind, **options)) == f"{source.path}, line 3: {problem}"


@SUBWORDS
@pytest.mark.parametrize(("sequence", "token_sep"), [("acEgej", None), ("a,c,E,gej", ",")])
def test_a_letter_that_replaces_a_token_is_no_letter_of_the_data(write_rows, refusal, kind, sequence, token_sep):
    source = write_rows(sequence, token_sep=token_sep)
    message = refusal(learn.learn, source, Tokenizer(type=kind, atomic_replacements={"gej": "E"}))
    hint = "tokenizer.atomic_replacements must give a letter that the data do not have"
    assert message == f"{source.path}, line 2: found 'E', the letter that replaces 'gej'; {hint}"


@SUBWORDS
def test_separate_tokens_are_learned_as_they_stand(learned, kind):
    rows = ["a,c,g,t", "t,g,a,c", "g,a,c,t", "ac,g,t"] * 10
    options = {"type": kind, "vocab_size": 40, "max_token_length": 2}
    tokens = set(plain_tokens(learned(*rows, token_sep=",", atomic_replacements={"ac": "E"}, **options)))
    assert tokens == set(plain_tokens(learned(*(row.replace("ac,", "E,").replace(",", "") for row in rows), **options)))
    assert {"E", "ac"} <= tokens


@pytest.mark.parametrize("letter", [" ", "▁", "²"])
def test_a_letter_that_unigram_takes_for_another_replaces_no_token(write_rows, refusal, letter):
    message = refusal(learn.learn, write_rows("acgej"), Tokenizer(type="unigram", atomic_replacements={"gej": letter}))
    problem = f"'gej' is replaced by {letter!r}, which unigram reads as another letter"
    assert message == f"tokenizer.atomic_replacements: {problem}; expected one such as those of A-Z"


@pytest.mark.parametrize("token", ["", "a"])
def test_single_letters_are_not_replaced(write_rows, refusal, token):
    message = refusal(learn.learn, write_rows("ac"), Tokenizer(type="bpe", atomic_replacements={token: "E"}))
    assert message == f"tokenizer.atomic_replacements: found {token!r}, expected a token of several letters"


def test_a_vocabulary_of_both_dna_and_rna_is_told(write_source, caplog):
    learn.learn(write_source("id\tsequence\na\tACGT\nb\tACGU\n"))
    assert "both T and U are in the vocabulary" in caplog.text
    caplog.clear()
    learn.learn(write_source("id\tsequence\na\tMKTU\nb\tACGLE\n"))
    assert caplog.text == ""
