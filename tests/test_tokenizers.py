import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm import tokenizers, vocabulary
from rnalm.config import Table

SEPARATORS = [",", "|", ".", " ", "*", "^", "\\", "||", "--"]
KNOWN_TOKENS = ["a", "c", "m6A", "aCg", "ψ", "1"]


def table(*sequences: str) -> str:
    return "id\tsequence\n" + "".join(f"s{i}\t{sequence}\n" for i, sequence in enumerate(sequences))


# Files


def test_a_saved_tokenizer_comes_back_from_the_file_or_the_folder(write_source, tmp_path):
    tokenizer = vocabulary.learn(write_source(table("acgt")))
    tokenizers.save(tokenizer, tmp_path / "model" / "tokenizer.json")
    for path in (tmp_path / "model", str(tmp_path / "model" / "tokenizer.json")):
        assert tokenizers.load(path).to_str() == tokenizer.to_str()


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
    return vocabulary.learn(Table(path=str(path), columns={"id": 1, "sequence": 2}))


@pytest.fixture(scope="module")
def separated(tmp_path_factory):
    """One tokenizer for each separator, all with the same vocabulary."""

    def train(number: int, separator: str):
        path = tmp_path_factory.mktemp("separated") / f"{number}.tsv"
        path.write_text(table(separator.join(KNOWN_TOKENS)), encoding="utf-8")
        return vocabulary.learn(Table(path=str(path), columns={"id": 1, "sequence": 2}, token_sep=separator))

    return {separator: train(number, separator) for number, separator in enumerate(SEPARATORS)}


@given(st.text(st.sampled_from("acgtNψ .|") | st.characters(exclude_categories=["Cs"], exclude_characters="["), max_size=30))
def test_characters_get_the_ids_that_the_tokenizer_itself_gives(contiguous, text):
    ids = tokenizers.encoder(contiguous)(text)[0]
    assert ids.dtype == np.int32
    assert ids.tolist() == contiguous.encode(text).ids


@given(st.sampled_from(SEPARATORS), st.lists(st.sampled_from(KNOWN_TOKENS) | st.text(min_size=1, max_size=3), max_size=20))
def test_fields_get_the_ids_that_the_tokenizer_itself_gives(separated, separator, fields):
    clean = [field for field in (field.replace(separator[0], "").replace("[", "") for field in fields) if field]
    ids = tokenizers.encoder(separated[separator])(clean)[0]
    assert ids.dtype == np.int32
    assert ids.tolist() == separated[separator].encode(separator.join(clean)).ids


@given(st.text("acgtNψ .|", max_size=30))
def test_known_characters_come_back_from_their_ids(contiguous, text):
    assert [contiguous.id_to_token(i) for i in tokenizers.encoder(contiguous)(text)[0]] == list(text)


@given(st.lists(st.sampled_from(KNOWN_TOKENS), max_size=20))
def test_known_fields_come_back_from_their_ids(separated, fields):
    assert [separated[","].id_to_token(i) for i in tokenizers.encoder(separated[","])(fields)[0]] == fields


@pytest.mark.parametrize("text", ["", []])
def test_nothing_has_no_ids(contiguous, text):
    assert tokenizers.encoder(contiguous)(text)[0].tolist() == []
