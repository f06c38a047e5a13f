import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Split, WhitespaceSplit

from rnalm import config
from rnalm.config import Table
from rnalm.tokens import learn
from rnalm.tokens.tokenizer import (
    FOREIGN,
    LETTER,
    SPECIAL_TOKENS,
    borrow_tokenizer,
    is_atomic,
    letters_for_tokens,
    load_tokenizer,
    make_encoder,
    save_tokenizer,
    without_letters,
)

SEPARATORS = [",", "|", ".", " ", "*", "^", "\\", "||", "--"]
KNOWN_TOKENS = ["a", "c", "m6A", "aCg", "ψ", "1"]

#: Tokens of several letters that begin and end alike, one within another, and letters of one, two and three bytes.
LETTERS = {"gej": "E", "gg": "É", "jga": "漢", "ggej": "X"}


def table(*sequences: str) -> str:
    return "id\tsequence\n" + "".join(f"s{i}\t{sequence}\n" for i, sequence in enumerate(sequences))


# Files


def test_a_saved_tokenizer_comes_back_from_the_file_or_the_folder(write_source, tmp_path):
    tokenizer = learn.learn(write_source(table("acgt")))
    save_tokenizer(tokenizer, tmp_path / "model" / "tokenizer.json")
    for path in (tmp_path / "model", str(tmp_path / "model" / "tokenizer.json")):
        assert load_tokenizer(path).to_str() == tokenizer.to_str()


def test_a_path_without_a_tokenizer_is_named(tmp_path, refusal):
    (tmp_path / "bad.json").write_text('{"a": 1}')
    assert refusal(load_tokenizer, tmp_path) == f"{tmp_path}: model folder without a tokenizer.json"
    assert refusal(load_tokenizer, tmp_path / "no") == f"{tmp_path / 'no'}: no such file or model folder"
    assert refusal(load_tokenizer, tmp_path / "bad.json").startswith(f"{tmp_path / 'bad.json'}: not a tokenizer (")


@pytest.mark.parametrize("read", [load_tokenizer, borrow_tokenizer])
def test_what_a_file_says_of_truncation_and_padding_is_left_out(write_source, tmp_path, read):
    tokenizer = learn.learn(write_source(table("acgt")))
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = read(str(tmp_path))
    assert found.encode("acgtacgtacgt").ids == [7, 8, 9, 10] * 3
    assert found.truncation is found.padding is None


# Encoding


@pytest.fixture(scope="module")
def contiguous(tmp_path_factory):
    path = tmp_path_factory.mktemp("contiguous") / "table.tsv"
    path.write_text(table("acgtNψ .|"), encoding="utf-8")
    return learn.learn(Table(path=str(path), columns={"id": 1, "sequence": 2}))


@pytest.fixture(scope="module")
def separated(tmp_path_factory):
    """One tokenizer for each separator, all with the same vocabulary."""

    def train(number: int, separator: str):
        path = tmp_path_factory.mktemp("separated") / f"{number}.tsv"
        path.write_text(table(separator.join(KNOWN_TOKENS)), encoding="utf-8")
        return learn.learn(Table(path=str(path), columns={"id": 1, "sequence": 2}, token_sep=separator))

    return {separator: train(number, separator) for number, separator in enumerate(SEPARATORS)}


@given(st.text(st.sampled_from("acgtNψ .|") | st.characters(exclude_categories=["Cs"], exclude_characters="["), max_size=30))
def test_characters_get_the_ids_that_the_tokenizer_itself_gives(contiguous, text):
    ids = make_encoder(contiguous)(text)[0]
    assert ids.dtype == np.int32
    assert ids.tolist() == contiguous.encode(text).ids


@given(st.sampled_from(SEPARATORS), st.lists(st.sampled_from(KNOWN_TOKENS) | st.text(min_size=1, max_size=3), max_size=20))
def test_fields_get_the_ids_that_the_tokenizer_itself_gives(separated, separator, fields):
    clean = [field for field in (field.replace(separator[0], "").replace("[", "") for field in fields) if field]
    ids = make_encoder(separated[separator])(clean)[0]
    assert ids.dtype == np.int32
    assert ids.tolist() == separated[separator].encode(separator.join(clean)).ids


@given(st.text("acgtNψ .|", max_size=30))
def test_known_characters_come_back_from_their_ids(contiguous, text):
    assert [contiguous.id_to_token(i) for i in make_encoder(contiguous)(text)[0]] == list(text)


@given(st.lists(st.sampled_from(KNOWN_TOKENS), max_size=20))
def test_known_fields_come_back_from_their_ids(separated, fields):
    assert [separated[","].id_to_token(i) for i in make_encoder(separated[","])(fields)[0]] == fields


@pytest.mark.parametrize("text", ["", []])
def test_nothing_has_no_ids(contiguous, text):
    assert make_encoder(contiguous)(text)[0].tolist() == []


# Tokens of several letters


@pytest.fixture(scope="module")
def replacing(tmp_path_factory):
    """Tokenizers that replace tokens of several letters, of contiguous text."""
    path = tmp_path_factory.mktemp("replacing") / "table.tsv"
    draw = np.random.default_rng(0)
    path.write_text(table(*("".join(draw.choice(["a", "c", "g", "j", *LETTERS], 40)) for _ in range(30))))
    source = Table(path=str(path), columns={"id": 1, "sequence": 2})
    return {
        kind: learn.learn(source, config.Tokenizer(type=kind, vocab_size=40, atomic_replacements=LETTERS))
        for kind in ("bpe", "unigram")
    }


def replaced(text: str) -> str:
    for token in sorted(LETTERS, key=lambda token: (-len(token), token)):
        text = text.replace(token, LETTERS[token])
    return text


@given(st.sampled_from(["bpe", "unigram"]), st.lists(st.sampled_from(["a", "c", "g", "e", "j", "z", *LETTERS])))
def test_positions_cover_all_letters_of_tokens_that_are_replaced(replacing, kind, pieces):
    text = "".join(pieces)
    ids, offsets = make_encoder(replacing[kind])(text)
    assert "".join(text[start:end] for start, end in offsets) == text
    assert ids.tolist() == make_encoder(replacing[kind])(replaced(text))[0].tolist()
    assert ids.tolist() == replacing[kind].encode(text, add_special_tokens=False).ids
    for index, (start, end) in zip(ids, offsets, strict=True):
        token = replacing[kind].id_to_token(int(index)).removeprefix("▁")
        assert token in ("[UNK]", replaced(text[start:end]))


@given(st.sampled_from(["bpe", "unigram"]), st.lists(st.sampled_from(["a", "c", "g", "e", "j", *LETTERS])))
def test_separate_tokens_are_no_other_token_by_their_spelling(replacing, kind, fields):
    ids, offsets = make_encoder(replacing[kind])(fields)
    assert (
        ids.tolist()
        == make_encoder(without_letters(replacing[kind]))("".join(LETTERS.get(field, field) for field in fields))[0].tolist()
    )
    assert [field for start, end in offsets for field in fields[start:end]] == fields


def test_letters_are_those_that_replace_tokens_of_several_the_longest_first(replacing):
    for tokenizer in replacing.values():
        assert list(letters_for_tokens(tokenizer).items()) == [("ggej", "X"), ("gej", "E"), ("jga", "漢"), ("gg", "É")]
        assert letters_for_tokens(without_letters(tokenizer)) == {}


@pytest.mark.parametrize("kind", ["bpe", "unigram", "kmer"])
def test_a_token_of_several_letters_that_nothing_replaces_is_unknown(write_source, kind):
    source = write_source(table(*["acgtacgtgac"] * 5))
    tokenizer = learn.learn(source, config.Tokenizer(type=kind, **({"k": 1} if kind == "kmer" else {})))
    ids, offsets = make_encoder(tokenizer)(["a", "never", "c"])
    found = [(token, end - start) for token, (start, end) in zip(ids, offsets, strict=True) if end > start]
    assert found[1] == (SPECIAL_TOKENS.index("[UNK]"), 1)
    assert [length for _, length in found] == [1, 1, 1]
    assert ids.tolist().count(SPECIAL_TOKENS.index("[UNK]")) == 1


def test_it_is_unknown_also_to_a_tokenizer_that_has_a_token_for_every_letter(write_source):
    tokenizer = learn.learn(write_source(table(*[f"a{FOREIGN}c"] * 5)), config.Tokenizer(type="bpe", max_token_length=1))
    assert make_encoder(tokenizer)(["a", "never", "c"])[0].tolist() == [7, 0, 8]


# Words


def words(*names: str) -> Tokenizer:
    vocabulary = {name: index for index, name in enumerate([*SPECIAL_TOKENS, *names])}
    found = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    found.add_special_tokens(list(SPECIAL_TOKENS))
    return found


def test_words_are_looked_up_as_they_stand_unless_the_tokenizer_changes_them():
    plain, lower, spaces, own = (words("a", "c", "gej") for _ in range(4))
    lower.normalizer = Lowercase()
    spaces.pre_tokenizer = WhitespaceSplit()
    own.pre_tokenizer = Split(Regex(LETTER), behavior="isolated")
    assert [is_atomic(tokenizer) for tokenizer in (plain, lower, spaces, own)] == [True, False, False, True]


def test_words_are_changed_as_the_tokenizer_says():
    tokenizer = words("a", "c", "gej")
    tokenizer.normalizer = Lowercase()
    for sequence, expected in (("AcX", [7, 8, 0]), (["A", "GEJ", "x", "c"], [7, 9, 0, 8])):
        ids, offsets = make_encoder(tokenizer)(sequence)
        assert ids.tolist() == expected
        assert offsets.tolist() == [[index, index + 1] for index in range(len(expected))]


def test_words_are_cut_as_the_tokenizer_says():
    tokenizer = words("a", "gej")
    tokenizer.pre_tokenizer = WhitespaceSplit()
    assert [found.tolist() for found in make_encoder(tokenizer)("a gej")] == [[7, 8], [[0, 1], [2, 5]]]
    assert [found.tolist() for found in make_encoder(tokenizer)(["gej", "a"])] == [[8, 7], [[0, 1], [1, 2]]]
