import json
import logging
import tracemalloc

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rnalm
from rnalm.config import Encode, Tokenizer
from rnalm.tokens import dataset, encode, learn
from rnalm.tokens import tokenizer as tokenizers

A, C, G, T = range(7, 11)
EVERY_COLUMN = {name: name for name in ("id", "sequence", "label", "weight", "group", "split")}
ID_SEQUENCE = {"id": "id", "sequence": "sequence"}
QUALITY = {"STRONG": 1.0, "GOOD": 0.75, "WEAK": 0.5, "POOR": 0.25}


@pytest.fixture
def acgt(write_source):
    """One token a character; ids in the order of the letters."""
    return learn.learn(write_source("id\tsequence\none\taaaacccggt\n", "vocabulary.tsv"))


@pytest.fixture
def fields(write_source):
    """One token a field, with modifiers."""
    source = write_source(
        "id\tsequence\none\ta,a,a,a,c,c,c,g,g,t\n", "vocabulary.tsv", token_sep=",", modifier_sep="#", columns=ID_SEQUENCE
    )
    return learn.learn(source)


def run(source, tokenizer, output, **options) -> pd.DataFrame:
    """Encode, with what belongs to the section ``encode`` among the options."""
    section = {key: options.pop(key) for key in list(options) if key in Encode.model_fields}
    encode.encode(source, tokenizer, output, Encode(**section), **options)
    return pd.read_parquet(output)


def rows(*sequences: str) -> str:
    return "id\tsequence\n" + "".join(f"s{i}\t{sequence}\n" for i, sequence in enumerate(sequences))


# What is in the file


def test_a_file_has_one_row_a_sequence_in_input_order(write_source, acgt, tmp_path):
    content = "id\tsequence\tlabel\tweight\tgroup\tsplit\nz\tacgt\t1.5\tGOOD\tg1\ts1\na\tga\t\t\t\t\n"
    table = run(write_source(content, columns=EVERY_COLUMN), acgt, tmp_path / "e.parquet", quality=QUALITY)
    assert table["id"].tolist() == ["z", "a"]
    assert [ids.tolist() for ids in table["input_ids"]] == [[A, C, G, T], [G, A]]
    assert table.loc[0, ["label", "weight", "group", "split"]].tolist() == [1.5, 0.75, "g1", "s1"]
    assert table.loc[1, ["label", "weight", "group", "split"]].isna().all()


@pytest.mark.parametrize(
    ("options", "token_options", "extra"),
    [
        ({}, {}, []),
        ({"truncate": "left"}, {}, ["offsets"]),
        ({"center_token": "a"}, {}, ["offsets"]),
        ({}, {"token_sep": ","}, []),
        ({}, {"token_sep": ",", "modifier_sep": "#"}, ["modifiers"]),
        ({"truncate": "left"}, {"token_sep": ",", "modifier_sep": "#"}, ["offsets", "modifiers"]),
    ],
)
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_the_columns_are_those_of_the_contract(write_source, acgt, tmp_path, options, token_options, extra, task):
    source = write_source(rows("a"), **token_options)
    run(source, acgt, tmp_path / "e.parquet", task=task, **options)
    schema = pq.read_schema(tmp_path / "e.parquet")
    assert schema.names == ["id", "input_ids", *extra, "label", "weight", "group", "split"]
    assert schema.field("input_ids").type == pa.list_(pa.int32())
    assert schema.field("label").type == (pa.float64() if task == "regression" else pa.string())
    if "offsets" in extra:
        assert schema.field("offsets").type == pa.list_(pa.list_(pa.int32(), 2))
    if "modifiers" in extra:
        assert schema.field("modifiers").type == pa.list_(pa.list_(pa.float32()))


def test_the_metadata_names_the_tokenizer_the_version_and_the_cuts(write_source, acgt, tmp_path):
    run(write_source(rows("acgtn", "ac")), acgt, tmp_path / "e.parquet", block_size=4, truncate="left")
    assert encode.metadata(tmp_path / "e.parquet") == {
        "version": rnalm.__version__,
        "tokenizer_sha256": encode.fingerprint(acgt),
        "task": "regression",
        "block_size": 4,
        "truncate": "left",
        "center_token": None,
        "reverse_complement": "none",
        "sequences": 2,
        "tokens": 6,
        "longest": 4,
        "truncated": 1,
        "labelled": 0,
        "modifier_channels": 0,
        "unknown": 1,
    }


def test_another_vocabulary_has_another_fingerprint(write_source, acgt):
    assert encode.fingerprint(acgt) != encode.fingerprint(learn.learn(write_source(rows("acgu"))))
    assert encode.fingerprint(acgt) == encode.fingerprint(tokenizers.Tokenizer.from_str(acgt.to_str()))


def test_the_longest_sequence_is_that_of_either_strand(write_source, tmp_path):
    rows_ = "".join(f"s{row}\t{'ACGTTGCAGG' * 6}\n" for row in range(9))
    source = write_source("id\tsequence\n" + rows_, columns=ID_SEQUENCE)
    tokenizer = learn.learn(source, Tokenizer(type="bpe", vocab_size=30))
    summary = encode.encode(source, tokenizer, tmp_path / "e.parquet", Encode(reverse_complement="augment"))
    [sequence, *_] = next(iter(dataset.read(tmp_path / "e.parquet")))
    assert summary.longest == len(sequence.reverse_ids) > len(sequence.input_ids)


def test_the_summary_tells_what_was_found(write_source, acgt, tmp_path):
    source = write_source("id\tsequence\ty\none\tacnnr\t1\ntwo\ta\t\n", columns=ID_SEQUENCE | {"label": "y"})
    summary = encode.encode(source, acgt, tmp_path / "e.parquet")
    assert (summary.sequences, summary.tokens, summary.longest, summary.labelled, summary.truncated) == (2, 6, 5, 1, 0)
    assert summary.unknown == 3
    assert summary.unknown_tokens == {"n": 2, "r": 1}


def test_what_was_cut_away_is_not_counted_as_unknown(write_source, acgt, tmp_path):
    summary = encode.encode(write_source(rows("acgtnnnn")), acgt, tmp_path / "e.parquet", Encode(block_size=4))
    assert summary.unknown == 0


def test_a_source_of_which_no_token_is_known_is_refused(write_source, acgt, tmp_path, refusal):
    message = refusal(encode.encode, write_source(rows("ACGT", "GG")), acgt, tmp_path / "e.parquet")
    assert "table.tsv: none of its tokens is in the vocabulary, not even 'G'; are token_sep and case right? " in message
    assert not (tmp_path / "e.parquet").exists()


@pytest.mark.parametrize("token_sep", [None, ","])
def test_unknown_tokens_are_reported_with_the_valid_ones(write_source, acgt, tmp_path, caplog, token_sep):
    sequences = ["acnr", "nnac"] if token_sep is None else ["a,c,n,r", "n,n,a,c"]
    with caplog.at_level(logging.WARNING):
        run(write_source(rows(*sequences), token_sep=token_sep), acgt, tmp_path / "e.parquet")
    assert "50.00 % of tokens are not in the vocabulary: 'n' (3), 'r' (1); valid: a, c, g, t" in caplog.text


def test_row_groups_are_bounded_in_rows_and_tokens(write_source, acgt, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "GROUP_ROWS", 4)
    monkeypatch.setattr(encode, "GROUP_TOKENS", 10)
    run(write_source(rows(*["a"] * 9, "acgtacgtacgt", *["acgta"] * 3)), acgt, tmp_path / "e.parquet")
    found = pq.read_metadata(tmp_path / "e.parquet")
    assert [found.row_group(i).num_rows for i in range(found.num_row_groups)] == [4, 4, 2, 2, 1]


def test_memory_does_not_grow_with_the_number_of_sequences(write_source, acgt, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "GROUP_ROWS", 50)

    def peak(n: int) -> int:
        source = write_source(rows(*["acgt" * 50] * n))
        tracemalloc.start()
        encode.encode(source, acgt, tmp_path / "e.parquet")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    encode.encode(write_source(rows("a")), acgt, tmp_path / "e.parquet")  # the first call also imports
    assert peak(1000) < 1.5 * peak(200)


@pytest.mark.parametrize("name", ["table.tsv", "table.tsv.gz"])
def test_the_same_input_gives_the_same_bytes(write_source, acgt, tmp_path, name):
    source = write_source(rows("acgt", "ggn"), name)
    for output in "ab":
        run(source, acgt, tmp_path / output)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_table_that_turns_out_bad_leaves_the_old_file_alone(write_source, acgt, tmp_path, refusal):
    output = tmp_path / "out" / "e.parquet"
    run(write_source(rows("acgt")), acgt, output)
    before = output.read_bytes()
    refusal(encode.encode, write_source(rows("acgt", "")), acgt, output)
    assert [file.name for file in output.parent.iterdir()] == ["e.parquet"]
    assert output.read_bytes() == before


@pytest.mark.parametrize("content", [None, b"text", "other"])
def test_a_file_that_is_not_encoded_is_refused(tmp_path, refusal, content):
    path = tmp_path / "e.parquet"
    if content == "other":
        pd.DataFrame({"a": [1]}).to_parquet(path)
    elif content is not None:
        path.write_bytes(content)
    assert refusal(encode.metadata, path).startswith(f"{path}: not an encoded file (")


# Where sequences are cut


@pytest.mark.parametrize(
    ("sequence", "options", "kept", "first"),
    [
        ("aacgt", {"block_size": 3}, [A, A, C], 0),
        ("aacgt", {"block_size": 3, "truncate": "left"}, [C, G, T], 2),
        ("aacgt", {"block_size": 5, "truncate": "left"}, [A, A, C, G, T], 0),
        ("aacaaaa", {"block_size": 3, "center_token": "c"}, [A, C, A], 1),
        ("aacaaaa", {"block_size": 4, "center_token": "c"}, [A, A, C, A], 0),
        ("aaaacta", {"block_size": 4, "center_token": "c"}, [A, A, C, T], 2),
        ("aaaaaact", {"block_size": 5, "center_token": "c"}, [A, A, A, C, T], 3),
        ("ctaaaa", {"block_size": 3, "center_token": "c"}, [C, T, A], 0),
        ("aagtagc", {"block_size": 3, "center_token": "g"}, [A, G, T], 1),
        ("aacgt", {"block_size": 2, "center_token": "t", "truncate": "right"}, [G, T], 3),
        ("aacg", {"block_size": 2, "center_token": "t", "truncate": "left"}, [C, G], 2),
        ("aacg", {"block_size": 2, "center_token": "t", "truncate": "right"}, [A, A], 0),
    ],
)
def test_a_cut_sequence_knows_where_its_tokens_stood(write_source, acgt, tmp_path, sequence, options, kept, first):
    table = run(write_source(rows(sequence)), acgt, tmp_path / "e.parquet", **options)
    assert table.loc[0, "input_ids"].tolist() == kept
    if first:
        assert [tuple(pair) for pair in table.loc[0, "offsets"]] == [(i, i + 1) for i in range(first, first + len(kept))]
    else:  # then a token's position is its index
        assert "offsets" not in table or table.loc[0, "offsets"] is None


@pytest.mark.parametrize(
    ("options", "modifiers"),
    [
        ({"block_size": 2}, [[1, 0], [0, 0]]),
        ({"block_size": 2, "truncate": "left"}, [[3, 4], [5, 0]]),
        ({"block_size": 3, "center_token": "g"}, [[0, 3, 4], [0, 5, 0]]),
        ({}, [[1, 0, 3, 4], [0, 0, 5, 0]]),
    ],
)
def test_modifiers_are_cut_with_their_tokens(write_source, fields, tmp_path, options, modifiers):
    source = write_source(rows("a#1,c,g#3#5,t#4"), token_sep=",", modifier_sep="#")
    table = run(source, fields, tmp_path / "e.parquet", **options)
    assert [channel.tolist() for channel in table.loc[0, "modifiers"]] == modifiers
    assert encode.metadata(tmp_path / "e.parquet")["modifier_channels"] == 2


def test_an_unknown_center_token_is_refused(write_source, acgt, tmp_path, refusal):
    message = refusal(encode.encode, write_source(rows("a")), acgt, tmp_path / "e.parquet", Encode(center_token="G"))
    assert message == "encode.center_token: 'G' is not in the vocabulary; did you mean 'g'? (valid: a, c, g, t)"


def test_new_sequences_are_cut_as_the_models_own_except_where_told_otherwise(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"filters": 64, "block_size": 100, "truncate": "left", "center_token": "c"}))
    assert encode.inherit({}, [path]) == Encode(block_size=100, truncate="left", center_token="c")
    assert encode.inherit({"block_size": 50}, [path]) == Encode(block_size=50, truncate="left", center_token="c")


def test_models_that_were_cut_differently_are_not_mixed_unless_told_how(tmp_path, refusal):
    for size in (100, 200):
        (tmp_path / f"{size}.json").write_text(json.dumps({"block_size": size, "truncate": "left", "center_token": None}))
    paths = [tmp_path / "100.json", tmp_path / "200.json"]
    assert "encode.block_size: the models were trained with 100 and 200; set it" in refusal(encode.inherit, {}, paths)
    assert encode.inherit({"block_size": 150}, paths) == Encode(block_size=150, truncate="left")


# Labels, weights and ids


def test_labels_are_optional(write_source, acgt, tmp_path):
    assert run(write_source(rows("a")), acgt, tmp_path / "e.parquet")["label"].isna().all()


def test_classes_are_stored_by_name(write_source, acgt, tmp_path):
    source = write_source("id\tsequence\ty\none\ta\t1\ntwo\tc\tno\n", columns=ID_SEQUENCE | {"label": "y"})
    assert run(source, acgt, tmp_path / "e.parquet", task="classification")["label"].tolist() == ["1", "no"]


@pytest.mark.parametrize(
    ("weight", "stored"), [("STRONG", 1.0), ("GOOD", 0.75), ("POOR", 0.25), ("0.3", 0.3), ("0", 0.0), ("1e2", 100.0)]
)
def test_a_weight_is_a_quality_label_or_a_number(write_source, acgt, tmp_path, weight, stored):
    source = write_source(f"id\tsequence\tw\none\ta\t{weight}\n", columns=ID_SEQUENCE | {"weight": "w"})
    assert run(source, acgt, tmp_path / "e.parquet", quality=QUALITY)["weight"].tolist() == [stored]


@pytest.mark.parametrize(
    ("label", "weight", "problem"),
    [
        ("high", "1", "the label of 'two' is 'high', expected a number"),
        ("nan", "1", "the label of 'two' is 'nan', expected a number"),
        ("inf", "1", "the label of 'two' is 'inf', expected a number"),
        ("1,5", "1", "the label of 'two' is '1,5', expected a number"),
        (
            "1",
            "god",
            "the weight of 'two' is 'god', expected a number ≥ 0 or a quality label; "
            "did you mean 'GOOD'? (valid: STRONG, GOOD, WEAK, POOR)",
        ),
        (
            "1",
            "-1",
            "the weight of 'two' is '-1', expected a number ≥ 0 or a quality label; valid: STRONG, GOOD, WEAK, POOR",
        ),
        (
            "1",
            "nan",
            "the weight of 'two' is 'nan', expected a number ≥ 0 or a quality label; valid: STRONG, GOOD, WEAK, POOR",
        ),
        ("", "1", "'two' has no label, but training needs one"),
    ],
)
def test_a_bad_label_or_weight_is_named_with_its_line(write_source, acgt, tmp_path, refusal, label, weight, problem):
    content = f"id\tsequence\ty\tw\none\ta\t1\tGOOD\ntwo\tc\t{label}\t{weight}\n"
    source = write_source(content, columns=ID_SEQUENCE | {"label": "y", "weight": "w"})
    message = refusal(encode.encode, source, acgt, tmp_path / "e", quality=QUALITY, require_labels=True)
    assert message == f"{source.path}, line 3: {problem}"


def test_a_repeated_id_is_refused_with_both_lines(write_source, acgt, tmp_path, refusal):
    source = write_source("id\tsequence\nx\ta\none\tc\ny\tg\none\tt\n")
    message = refusal(encode.encode, source, acgt, tmp_path / "e.parquet")
    assert message == f"{source.path}, line 5: the id 'one' was already used in line 3; ids must be unique"
    assert not (tmp_path / "e.parquet").exists()


def test_two_ids_with_the_same_hash_are_two_ids(write_source, acgt, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "_digest", lambda text: 1)
    assert run(write_source(rows("a", "c", "g")), acgt, tmp_path / "e.parquet")["id"].tolist() == ["s0", "s1", "s2"]
