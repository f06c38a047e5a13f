import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm import tokenizers
from rnalm.tokenizers import SPECIAL_TOKENS, UNK

SEPARATORS = [",", "|", ".", " ", "*", "^", "\\", "||", "--"]
KNOWN_TOKENS = ["a", "c", "m6A", "aCg", "ψ", "1"]


def table(*sequences: str) -> str:
    return "id\tsequence\n" + "".join(f"s{i}\t{sequence}\n" for i, sequence in enumerate(sequences))


# Training


def test_special_tokens_have_the_first_ids(write_source):
    tokenizer = tokenizers.train(write_source(table("acgt")))
    assert SPECIAL_TOKENS == ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "[BOS]", "[EOS]")
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == list(range(7))


def test_tokens_are_ordered_by_frequency_and_ties_by_name(write_source):
    tokenizer = tokenizers.train(write_source(table("ttgc", "gatc")))
    assert tokenizers.tokens(tokenizer) == ["t", "c", "g", "a"]
    assert tokenizer.token_to_id("t") == 7


def test_the_order_of_the_rows_changes_nothing(write_source):
    one = tokenizers.train(write_source(table("ttgc", "gatc", "nacg")))
    other = tokenizers.train(write_source(table("nacg", "gatc", "ttgc")))
    assert one.to_str() == other.to_str()


def test_every_field_is_a_token_where_tokens_are_separated(write_source):
    tokenizer = tokenizers.train(write_source(table("aa,c,aa", "c,aa"), token_sep=","))
    assert tokenizers.tokens(tokenizer) == ["aa", "c"]


def test_modifiers_are_no_part_of_a_token(write_source):
    tokenizer = tokenizers.train(write_source(table("a#1#2,c,a#3"), token_sep=",", modifier_sep="#"))
    assert tokenizers.tokens(tokenizer) == ["a", "c"]


def test_a_special_token_in_the_data_is_no_second_token(write_source):
    tokenizer = tokenizers.train(write_source(table("a,[MASK],a"), token_sep=","))
    assert tokenizers.tokens(tokenizer) == ["a"]
    assert tokenizers.encoder(tokenizer)(["a", "[MASK]"]).tolist() == [7, tokenizers.MASK]


@pytest.mark.parametrize(
    ("options", "kept"),
    [({"min_freq": 2}, ["a", "c"]), ({"min_freq": 3}, ["a"]), ({"vocab_size": 9}, ["a", "c"]), ({"vocab_size": 8}, ["a"])],
)
def test_rare_tokens_are_left_out_of_the_vocabulary(write_source, options, kept):
    tokenizer = tokenizers.train(write_source(table("aaaccg")), **options)
    assert tokenizers.tokens(tokenizer) == kept
    assert tokenizer.get_vocab_size() == 7 + len(kept)


@pytest.mark.parametrize("token_sep", [None, ","])
def test_a_rare_token_becomes_unknown(write_source, token_sep):
    source = write_source(table(*(["aac"] if token_sep is None else ["a,a,c"])), token_sep=token_sep)
    tokenizer = tokenizers.train(source, min_freq=2)
    assert tokenizers.encoder(tokenizer)("ca" if token_sep is None else ["c", "a"]).tolist() == [UNK, 7]
    assert tokenizer.encode("ca" if token_sep is None else "c,a").ids == [UNK, 7]


def test_a_vocabulary_without_tokens_is_refused(write_source, refusal):
    source = write_source(table("acgt"))
    message = refusal(tokenizers.train, source, min_freq=2)
    assert message == f"{source.path}: no token occurs at least 2 times (tokenizer.min_freq)"


def test_the_vocabulary_can_be_learned_from_a_sample(write_source):
    source = write_source(table(*(chr(0x100 + i) for i in range(50))))
    samples = [tuple(tokenizers.tokens(tokenizers.train(source, sample_size=5, seed=seed))) for seed in (1, 1, 2)]
    assert [len(sample) for sample in samples] == [5, 5, 5]
    assert samples[0] == samples[1] != samples[2]
    assert len(tokenizers.tokens(tokenizers.train(source, sample_size=1000))) == 50


# Sampling


@given(st.integers(0, 40), st.integers(1, 20), st.integers(0, 5))
def test_a_sample_has_its_size_and_keeps_the_order(length, size, seed):
    found = tokenizers.sample(iter(range(length)), size, seed)
    assert len(found) == min(size, length)
    assert found == sorted(set(found))
    assert found == tokenizers.sample(range(length), size, seed)


def test_every_item_is_as_likely_in_a_sample():
    counts = np.zeros(10)
    for seed in range(2000):
        counts[tokenizers.sample(range(10), 3, seed)] += 1
    assert np.all(np.abs(counts - 600) < 100)  # almost 5 standard deviations


# Files


def test_a_saved_tokenizer_comes_back_from_the_file_or_the_folder(write_source, tmp_path):
    tokenizer = tokenizers.train(write_source(table("acgt")))
    tokenizers.save(tokenizer, tmp_path / "model" / "tokenizer.json")
    for path in (tmp_path / "model", str(tmp_path / "model" / "tokenizer.json")):
        assert tokenizers.load(path).to_str() == tokenizer.to_str()


@pytest.mark.parametrize("options", [{}, {"sample_size": 3}], ids=["all", "sample"])
def test_the_same_data_gives_the_same_bytes(write_source, tmp_path, options):
    source = write_source(table("ttgc", "gatc", "nacg", "ryk", "swm"))
    for name in "ab":
        tokenizers.save(tokenizers.train(source, **options), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_path_without_a_tokenizer_is_named(tmp_path, refusal):
    (tmp_path / "bad.json").write_text('{"a": 1}')
    assert refusal(tokenizers.load, tmp_path) == f"{tmp_path}: model folder without a tokenizer.json"
    assert refusal(tokenizers.load, tmp_path / "no") == f"{tmp_path / 'no'}: no such file or model folder"
    assert refusal(tokenizers.load, tmp_path / "bad.json").startswith(f"{tmp_path / 'bad.json'}: not a tokenizer (")


# Encoding


@pytest.fixture(scope="module")
def contiguous(tmp_path_factory):
    path = tmp_path_factory.mktemp("contiguous") / "table.tsv"
    path.write_text(table("acgtNψ .|"), encoding="utf-8")
    return tokenizers.train(tokenizers.Source(path=str(path), columns={"id": 1, "sequence": 2}))


@pytest.fixture(scope="module")
def separated(tmp_path_factory):
    """One tokenizer for each separator, all with the same vocabulary."""

    def train(number: int, separator: str):
        path = tmp_path_factory.mktemp("separated") / f"{number}.tsv"
        path.write_text(table(separator.join(KNOWN_TOKENS)), encoding="utf-8")
        return tokenizers.train(tokenizers.Source(path=str(path), columns={"id": 1, "sequence": 2}, token_sep=separator))

    return {separator: train(number, separator) for number, separator in enumerate(SEPARATORS)}


@given(st.text(st.sampled_from("acgtNψ .|") | st.characters(exclude_categories=["Cs"], exclude_characters="["), max_size=30))
def test_characters_get_the_ids_that_the_tokenizer_itself_gives(contiguous, text):
    ids = tokenizers.encoder(contiguous)(text)
    assert ids.dtype == np.int32
    assert ids.tolist() == contiguous.encode(text).ids


@given(st.sampled_from(SEPARATORS), st.lists(st.sampled_from(KNOWN_TOKENS) | st.text(min_size=1, max_size=3), max_size=20))
def test_fields_get_the_ids_that_the_tokenizer_itself_gives(separated, separator, fields):
    clean = [field for field in (field.replace(separator[0], "").replace("[", "") for field in fields) if field]
    ids = tokenizers.encoder(separated[separator])(clean)
    assert ids.dtype == np.int32
    assert ids.tolist() == separated[separator].encode(separator.join(clean)).ids


@given(st.text("acgtNψ .|", max_size=30))
def test_known_characters_come_back_from_their_ids(contiguous, text):
    assert [contiguous.id_to_token(i) for i in tokenizers.encoder(contiguous)(text)] == list(text)


@given(st.lists(st.sampled_from(KNOWN_TOKENS), max_size=20))
def test_known_fields_come_back_from_their_ids(separated, fields):
    assert [separated[","].id_to_token(i) for i in tokenizers.encoder(separated[","])(fields)] == fields


@pytest.mark.parametrize("text", ["", []])
def test_nothing_has_no_ids(contiguous, text):
    assert tokenizers.encoder(contiguous)(text).tolist() == []
