from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.config import Fasta, Tokenizer
from rnalm.tokens import learn
from rnalm.tokens.tokenizer import SPECIAL_TOKENS, make_encoder, plain_tokens, save_tokenizer, special_ids

UNK = SPECIAL_TOKENS.index("[UNK]")


def table(*sequences: str) -> str:
    return "id\tsequence\n" + "".join(f"s{i}\t{sequence}\n" for i, sequence in enumerate(sequences))


# Training


def test_special_tokens_have_the_first_ids(write_source):
    tokenizer = learn.learn(write_source(table("acgt")))
    assert SPECIAL_TOKENS == ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "[BOS]", "[EOS]")
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == list(range(7))


def test_tokens_are_ordered_by_frequency_and_ties_by_name(write_source):
    tokenizer = learn.learn(write_source(table("ttgc", "gatc")))
    assert plain_tokens(tokenizer) == ["t", "c", "g", "a"]
    assert tokenizer.token_to_id("t") == 7


def test_the_order_of_the_rows_changes_nothing(write_source):
    one = learn.learn(write_source(table("ttgc", "gatc", "nacg")))
    other = learn.learn(write_source(table("nacg", "gatc", "ttgc")))
    assert one.to_str() == other.to_str()


def test_every_field_is_a_token_where_tokens_are_separated(write_source):
    tokenizer = learn.learn(write_source(table("aa,c,aa", "c,aa"), token_sep=","))
    assert plain_tokens(tokenizer) == ["aa", "c"]


def test_modifiers_are_no_part_of_a_token(write_source):
    tokenizer = learn.learn(write_source(table("a#1#2,c,a#3"), token_sep=",", modifier_sep="#"))
    assert plain_tokens(tokenizer) == ["a", "c"]


def test_a_special_token_in_the_data_is_no_second_token(write_source):
    tokenizer = learn.learn(write_source(table("a,[MASK],a"), token_sep=","))
    assert plain_tokens(tokenizer) == ["a"]
    assert make_encoder(tokenizer)(["a", "[MASK]"])[0].tolist() == [7, SPECIAL_TOKENS.index("[MASK]")]


@pytest.mark.parametrize(
    ("options", "kept"),
    [({"min_freq": 2}, ["a", "c"]), ({"min_freq": 3}, ["a"]), ({"vocab_size": 9}, ["a", "c"]), ({"vocab_size": 8}, ["a"])],
)
def test_rare_tokens_are_left_out_of_the_vocabulary(write_source, options, kept):
    tokenizer = learn.learn(write_source(table("aaaccg")), Tokenizer(**options))
    assert plain_tokens(tokenizer) == kept
    assert tokenizer.get_vocab_size() == 7 + len(kept)


@pytest.mark.parametrize("token_sep", [None, ","])
def test_a_rare_token_becomes_unknown(write_source, token_sep):
    source = write_source(table(*(["aac"] if token_sep is None else ["a,a,c"])), token_sep=token_sep)
    tokenizer = learn.learn(source, Tokenizer(min_freq=2))
    assert make_encoder(tokenizer)("ca" if token_sep is None else ["c", "a"])[0].tolist() == [UNK, 7]
    assert tokenizer.encode("ca" if token_sep is None else "c,a").ids == [UNK, 7]


def test_a_vocabulary_without_tokens_is_refused(write_source, refusal):
    source = write_source(table("acgt"))
    message = refusal(learn.learn, source, Tokenizer(min_freq=2))
    assert message == f"{source.path}: no token occurs at least 2 times (tokenizer.min_freq)"


@pytest.mark.parametrize("kind", ["atomic", "bpe", "unigram", "kmer"])
def test_a_vocabulary_without_room_for_tokens_is_refused(write_source, refusal, kind):
    options = Tokenizer(type=kind, vocab_size=8, special_tokens=[*SPECIAL_TOKENS, "[X]"])
    message = refusal(learn.learn, write_source(table("acgt")), options)
    assert message == "tokenizer.vocab_size: 8 has no room beside 8 special tokens; expected 9 or more"


def test_the_vocabulary_can_be_learned_from_a_sample(write_source):
    source = write_source(table(*(chr(0x100 + i) for i in range(50))))
    samples = [tuple(plain_tokens(learn.learn(source, Tokenizer(sample_size=5), seed))) for seed in (1, 1, 2)]
    assert [len(sample) for sample in samples] == [5, 5, 5]
    assert samples[0] == samples[1] != samples[2]
    assert len(plain_tokens(learn.learn(source, Tokenizer(sample_size=1000)))) == 50


# Sampling


@given(st.integers(0, 40), st.integers(1, 20), st.integers(0, 5))
def test_a_sample_has_its_size_and_keeps_the_order(length, size, seed):
    found = learn.sample(iter(range(length)), size, seed)
    assert len(found) == min(size, length)
    assert found == sorted(set(found))
    assert found == learn.sample(range(length), size, seed)


def test_every_item_is_as_likely_in_a_sample():
    counts = np.zeros(10)
    for seed in range(2000):
        counts[learn.sample(range(10), 3, seed)] += 1
    assert np.all(np.abs(counts - 600) < 100)  # almost 5 standard deviations


@pytest.mark.parametrize("options", [{}, {"sample_size": 3}], ids=["all", "sample"])
def test_the_same_data_gives_the_same_bytes(write_source, tmp_path, options):
    source = write_source(table("ttgc", "gatc", "nacg", "ryk", "swm"))
    for name in "ab":
        save_tokenizer(learn.learn(source, Tokenizer(**options)), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# Subwords


PROMOTERS = [Path(__file__).parents[2] / "data" / f"ecoli_{name}.fasta.gz" for name in ("promoter", "non_promoter")]


@pytest.mark.skipif(not PROMOTERS[0].exists(), reason="the real data are not there")
def test_a_unigram_tokenizer_of_promoters_is_that_of_genomenlp():
    special = ["<s>", "</s>", "<unk>", "<pad>", "<mask>"]
    source = Fasta(path=list(map(str, PROMOTERS)))
    tokenizer = learn.learn(source, Tokenizer(type="unigram", vocab_size=32_000, special_tokens=special))
    assert [tokenizer.token_to_id(token) for token in special] == list(range(5))
    found = tokenizer.encode("AACCGGTT", add_special_tokens=False)
    assert (found.ids, found.tokens) == ([156, 2304], ["▁AA", "CCGGTT"])
    assert tokenizer.get_vocab_size() == 22_751


@pytest.fixture
def dna(write_source):
    draw = np.random.default_rng(0)
    return write_source(table(*("".join(draw.choice(list("ACGT"), 50)) for _ in range(100))))


@pytest.mark.parametrize("kind", ["bpe", "unigram", "kmer"])
def test_the_same_sequences_give_the_same_bytes_of_any_tokenizer(dna, tmp_path, kind):
    for name in "ab":
        save_tokenizer(learn.learn(dna, Tokenizer(type=kind, vocab_size=100)), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("kind", "longest"), [("bpe", 1), ("bpe", 2), ("bpe", 3), ("bpe", 5), ("unigram", 1), ("unigram", 4)])
def test_tokens_are_no_longer_than_asked(dna, kind, longest):
    tokenizer = learn.learn(dna, Tokenizer(type=kind, max_token_length=longest))
    assert max(len(token.strip("▁")) for token in plain_tokens(tokenizer)) == longest


def test_a_vocabulary_has_the_size_asked_for(dna):
    assert learn.learn(dna, Tokenizer(type="bpe", vocab_size=60)).get_vocab_size() == 60


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_vocabulary_larger_than_the_data_allow_is_told(dna, caplog, kind):
    found = learn.learn(dna, Tokenizer(type=kind)).get_vocab_size()
    wanted = {"bpe": 20_000, "unigram": 32_000}[kind]
    assert f"tokenizer.vocab_size: {kind} asks for {wanted} tokens, but the data give no more than {found}" in caplog.text


def test_kmers_are_sorted_and_rare_ones_left_out(write_source):
    source = write_source(table("TTACG", "ACGTT"))
    tokens = plain_tokens(learn.learn(source, Tokenizer(type="kmer", k=3)))
    assert tokens == ["ACG", "CGT", "GTT", "TAC", "TTA"]
    assert plain_tokens(learn.learn(source, Tokenizer(type="kmer", k=3, min_freq=2))) == ["ACG"]
    assert plain_tokens(learn.learn(source, Tokenizer(type="kmer", k=3, stride=2))) == ["ACG", "GTT", "TTA"]


def test_a_kmer_longer_than_every_sequence_is_refused(write_source, refusal):
    source = write_source(table("ACG"))
    message = refusal(learn.learn, source, Tokenizer(type="kmer", k=4))
    assert message == f"{source.path}: no sequence has 4 letters or more (tokenizer.k)"


def test_special_tokens_play_the_roles_that_their_names_say(dna):
    options = Tokenizer(special_tokens=["<s>", "</s>", "<unk>", "<pad>", "<mask>"])
    found = special_ids(learn.learn(dna, options))
    assert found == {"cls": 0, "bos": 0, "sep": 1, "eos": 1, "unk": 2, "pad": 3, "mask": 4}


# Tokens of several letters


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_token_of_several_letters_needs_one_that_replaces_it(write_source, refusal, kind):
    source = write_source(table("a,c", "a,gej,xyz"), token_sep=",")
    message = refusal(learn.learn, source, Tokenizer(type=kind, atomic_replacements={"gej": "E"}))
    problem = "token 3 is 'xyz', of several letters; give it a letter in tokenizer.atomic_replacements"
    assert message == f"{source.path}, line 3: {problem}"


def test_kmers_are_of_single_letters(write_source, refusal):
    source = write_source(table("a,gej,c"), token_sep=",")
    assert refusal(learn.learn, source, Tokenizer(type="kmer", k=2)) == (
        f"{source.path}, line 2: token 2 is 'gej', of several letters; "
        "k-mers are of single letters; type: atomic takes such tokens, bpe and unigram do with atomic_replacements"
    )


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize(("sequence", "token_sep"), [("acEgej", None), ("a,c,E,gej", ",")])
def test_a_letter_that_replaces_a_token_is_no_letter_of_the_data(write_source, refusal, kind, sequence, token_sep):
    source = write_source(table(sequence), token_sep=token_sep)
    message = refusal(learn.learn, source, Tokenizer(type=kind, atomic_replacements={"gej": "E"}))
    hint = "tokenizer.atomic_replacements must give a letter that the data do not have"
    assert message == f"{source.path}, line 2: found 'E', the letter that replaces 'gej'; {hint}"


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_separate_tokens_are_learned_as_they_stand(write_source, kind):
    rows = ["a,c,g,t", "t,g,a,c", "g,a,c,t", "ac,g,t"] * 10
    options = {"type": kind, "vocab_size": 40, "max_token_length": 2}
    with_ac = Tokenizer(**options, atomic_replacements={"ac": "E"})
    found = set(plain_tokens(learn.learn(write_source(table(*rows), token_sep=","), with_ac)))
    other = [row.replace("ac,", "E,").replace(",", "") for row in rows]
    expected = set(plain_tokens(learn.learn(write_source(table(*other)), Tokenizer(**options))))
    assert found == expected
    assert {"E", "ac"} <= found


@pytest.mark.parametrize("letter", [" ", "▁", "²"])
def test_a_letter_that_unigram_takes_for_another_replaces_no_token(write_source, refusal, letter):
    options = Tokenizer(type="unigram", atomic_replacements={"gej": letter})
    message = refusal(learn.learn, write_source(table("acgej")), options)
    found = f"'gej' is replaced by {letter!r}, which unigram reads as another letter"
    assert message == f"tokenizer.atomic_replacements: {found}; expected one such as those of A-Z"


@pytest.mark.parametrize("token", ["", "a"])
def test_single_letters_are_not_replaced(write_source, refusal, token):
    message = refusal(learn.learn, write_source(table("ac")), Tokenizer(type="bpe", atomic_replacements={token: "E"}))
    assert message == f"tokenizer.atomic_replacements: found {token!r}, expected a token of several letters"
