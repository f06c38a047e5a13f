import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Split, WhitespaceSplit

from rnalm.tokens.ids import FOREIGN, make_encoder
from rnalm.tokens.tokenizer import (
    LETTER,
    SPECIAL_TOKENS,
    borrow_tokenizer,
    is_atomic,
    letters_for_tokens,
    load_tokenizer,
    save_tokenizer,
    without_letters,
)

SEPARATORS = [",", "|", ".", " ", "*", "^", "\\", "||", "--"]
KNOWN_TOKENS = ["a", "c", "m6A", "aCg", "ψ", "1"]

UNK = SPECIAL_TOKENS.index("[UNK]")
SUBWORDS = st.sampled_from(["bpe", "unigram"])

#: Tokens of several letters that begin and end alike, one within another, and letters of one, two and three bytes.
LETTERS = {"gej": "E", "gg": "É", "jga": "漢", "ggej": "X"}


# Files


def test_a_saved_tokenizer_comes_back_from_the_file_or_the_folder(acgt, tmp_path):
    save_tokenizer(acgt, tmp_path / "model" / "tokenizer.json")
    for path in (tmp_path / "model", str(tmp_path / "model" / "tokenizer.json")):
        assert load_tokenizer(path).to_str() == acgt.to_str()


def test_a_path_without_a_tokenizer_is_named(tmp_path, refusal):
    (tmp_path / "bad.json").write_text('{"a": 1}')
    assert refusal(load_tokenizer, tmp_path) == f"{tmp_path}: model folder without a tokenizer.json"
    assert refusal(load_tokenizer, tmp_path / "no") == f"{tmp_path / 'no'}: no such file or model folder"
    assert refusal(load_tokenizer, tmp_path / "bad.json").startswith(f"{tmp_path / 'bad.json'}: not a tokenizer (")


@pytest.mark.parametrize("read", [load_tokenizer, borrow_tokenizer])
def test_what_a_file_says_of_truncation_and_padding_is_left_out(learned, tmp_path, read):
    cutting = learned("acgt")
    cutting.enable_truncation(5)
    cutting.enable_padding(length=8)
    cutting.save(str(tmp_path / "tokenizer.json"))
    tokenizer = read(str(tmp_path))
    assert tokenizer.encode("acgtacgtacgt").ids == [7, 8, 9, 10] * 3
    assert tokenizer.truncation is tokenizer.padding is None


# Encoding


@pytest.fixture(scope="module")
def contiguous(learned):
    return learned("acgtNψ_.|")


@pytest.fixture(scope="module")
def separated(learned):
    """One tokenizer for each separator, all with the same vocabulary."""
    return {separator: learned(separator.join(KNOWN_TOKENS), token_sep=separator) for separator in SEPARATORS}


@given(st.text(st.sampled_from("acgtNψ_.|") | st.characters(exclude_categories=["Cs"], exclude_characters="["), max_size=30))
def test_characters_get_the_ids_that_the_tokenizer_itself_gives(contiguous, text):
    ids, positions = make_encoder(contiguous)(text)
    assert (ids.dtype, positions) == (np.int32, None)
    assert ids.tolist() == contiguous.encode(text).ids


@examples(50)
@given(st.sampled_from(SEPARATORS), st.lists(st.sampled_from(KNOWN_TOKENS) | st.text(min_size=1, max_size=3), max_size=20))
def test_fields_get_the_ids_that_the_tokenizer_itself_gives(separated, separator, fields):
    clean = [field for field in (field.replace(separator[0], "").replace("[", "") for field in fields) if field]
    ids, positions = make_encoder(separated[separator])(clean)
    assert (ids.dtype, positions) == (np.int32, None)
    assert ids.tolist() == separated[separator].encode(separator.join(clean)).ids


@given(st.text("acgtNψ_.|", max_size=30), st.lists(st.sampled_from(KNOWN_TOKENS), max_size=20))
def test_what_is_known_comes_back_from_its_ids(contiguous, separated, text, fields):
    for tokenizer, sequence in ((contiguous, text), (separated[","], fields), (contiguous, ""), (contiguous, [])):
        assert [tokenizer.id_to_token(index) for index in make_encoder(tokenizer)(sequence)[0]] == list(sequence)


# Tokens of several letters


@pytest.fixture(scope="module")
def replacing(learned):
    """Tokenizers that replace tokens of several letters, of contiguous text."""
    rows = ["".join(row) for row in np.random.default_rng(0).choice(["a", "c", "g", "j", *LETTERS], (30, 40))]
    return {kind: learned(*rows, type=kind, vocab_size=40, atomic_replacements=LETTERS) for kind in ("bpe", "unigram")}


def replaced(text: str) -> str:
    for token in sorted(LETTERS, key=lambda token: (-len(token), token)):
        text = text.replace(token, LETTERS[token])
    return text


@examples(50)
@given(SUBWORDS, st.lists(st.sampled_from(["a", "c", "g", "e", "j", "z", *LETTERS])))
def test_positions_cover_all_letters_of_tokens_that_are_replaced(replacing, kind, pieces):
    text = "".join(pieces)
    ids, offsets = make_encoder(replacing[kind])(text)
    assert "".join(text[start:end] for start, end in offsets) == text
    assert ids.tolist() == make_encoder(replacing[kind])(replaced(text))[0].tolist()
    assert ids.tolist() == replacing[kind].encode(text, add_special_tokens=False).ids
    for index, (start, end) in zip(ids, offsets, strict=True):
        token = replacing[kind].id_to_token(int(index)).removeprefix("▁")
        assert token in ("[UNK]", replaced(text[start:end]))


@examples(50)
@given(SUBWORDS, st.lists(st.sampled_from(["a", "c", "g", "e", "j", *LETTERS])))
def test_separate_tokens_are_no_other_token_by_their_spelling(replacing, kind, fields):
    ids, offsets = make_encoder(replacing[kind])(fields)
    letters = "".join(LETTERS.get(field, field) for field in fields)
    assert ids.tolist() == make_encoder(without_letters(replacing[kind]))(letters)[0].tolist()
    assert [field for start, end in offsets for field in fields[start:end]] == fields


def test_letters_are_those_that_replace_tokens_of_several_the_longest_first(replacing):
    for tokenizer in replacing.values():
        assert list(letters_for_tokens(tokenizer).items()) == [("ggej", "X"), ("gej", "E"), ("jga", "漢"), ("gg", "É")]
        assert letters_for_tokens(without_letters(tokenizer)) == {}


@pytest.mark.parametrize("kind", ["bpe", "unigram", "kmer"])
def test_a_token_of_several_letters_that_nothing_replaces_is_unknown(learned, kind):
    tokenizer = learned(*["acgtacgtgac"] * 5, type=kind, **({"k": 1} if kind == "kmer" else {}))
    ids, offsets = make_encoder(tokenizer)(["a", "never", "c"])
    spans = [(token, end - start) for token, (start, end) in zip(ids, offsets, strict=True) if end > start]
    assert [length for _, length in spans] == [1, 1, 1]
    assert spans[1] == (UNK, 1)
    assert ids.tolist().count(UNK) == 1


def test_it_is_unknown_also_to_a_tokenizer_that_has_a_token_for_every_letter(learned):
    tokenizer = learned(*[f"a{FOREIGN}c"] * 5, type="bpe", max_token_length=1)
    assert make_encoder(tokenizer)(["a", "never", "c"])[0].tolist() == [7, UNK, 8]


# Words


def words(*names: str) -> Tokenizer:
    vocabulary = {name: index for index, name in enumerate([*SPECIAL_TOKENS, *names])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def test_words_are_looked_up_as_they_stand_unless_the_tokenizer_changes_them():
    plain, lower, spaces, own = (words("a", "c", "gej") for _ in range(4))
    lower.normalizer = Lowercase()
    spaces.pre_tokenizer = WhitespaceSplit()
    own.pre_tokenizer = Split(Regex(LETTER), behavior="isolated")
    assert [is_atomic(tokenizer) for tokenizer in (plain, lower, spaces, own)] == [True, False, False, True]


@pytest.mark.parametrize(
    ("changes", "sequence", "ids", "positions"),
    [
        ({"normalizer": Lowercase()}, "AcX", [7, 8, UNK], [[0, 1], [1, 2], [2, 3]]),
        ({"normalizer": Lowercase()}, ["A", "GEJ", "x", "c"], [7, 9, UNK, 8], [[0, 1], [1, 2], [2, 3], [3, 4]]),
        ({"pre_tokenizer": WhitespaceSplit()}, "a gej", [7, 9], [[0, 1], [2, 5]]),
        ({"pre_tokenizer": WhitespaceSplit()}, ["gej", "a"], [9, 7], [[0, 1], [1, 2]]),
    ],
)
def test_words_are_changed_and_cut_as_the_tokenizer_says(changes, sequence, ids, positions):
    tokenizer = words("a", "c", "gej")
    for name, step in changes.items():
        setattr(tokenizer, name, step)
    assert [array.tolist() for array in make_encoder(tokenizer)(sequence)] == [ids, positions]
