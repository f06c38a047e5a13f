import json
import logging
import tracemalloc

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

import rnalm
from rnalm.config import Encode
from rnalm.tokens import dataset, encode, rows

A, C, G, T = range(7, 11)
EVERY_COLUMN = {name: name for name in ("id", "sequence", "label", "weight", "group", "split")}
QUALITY = {"STRONG": 1.0, "GOOD": 0.75, "WEAK": 0.5, "POOR": 0.25}
MODIFIED = {"token_sep": ",", "modifier_sep": "#"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "e.parquet"


@pytest.fixture
def read_back(acgt, path):
    """Encode a source, with what belongs to the section ``encode`` among the options, and read the file."""

    def run(source, tokenizer: Tokenizer = acgt, **options) -> pd.DataFrame:
        section = {key: options.pop(key) for key in list(options) if key in Encode.model_fields}
        encode.encode(source, tokenizer, path, Encode(**section), **options)
        return pd.read_parquet(path)

    return run


@pytest.fixture
def labelled(write_source):
    """Write a table with ids, sequences, labels and weights."""
    columns = {"id": "id", "sequence": "sequence", "label": "y", "weight": "w"}
    return lambda *rows: write_source("id\tsequence\ty\tw\n" + "".join(f"{row}\n" for row in rows), columns=columns)


# What is in the file


def test_a_file_has_one_row_a_sequence_in_input_order(write_source, read_back):
    content = "id\tsequence\tlabel\tweight\tgroup\tsplit\nz\tacgt\t1.5\tGOOD\tg1\ts1\na\tga\t\t\t\t\n"
    table = read_back(write_source(content, columns=EVERY_COLUMN), quality=QUALITY)
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
        ({}, MODIFIED, ["modifiers"]),
        ({"truncate": "left"}, MODIFIED, ["offsets", "modifiers"]),
    ],
)
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_the_columns_are_those_of_the_contract(write_rows, read_back, path, options, token_options, extra, task):
    read_back(write_rows("a", **token_options), task=task, **options)
    label = pa.float64() if task == "regression" else pa.string()
    types = {"offsets": pa.list_(pa.list_(pa.int32(), 2)), "modifiers": pa.list_(pa.list_(pa.float32()))}
    columns = {"id": pa.string(), "input_ids": pa.list_(pa.int32())} | {name: types[name] for name in extra}
    columns |= {"label": label, "weight": pa.float64(), "group": pa.string(), "split": pa.string()}
    assert pq.read_schema(path).remove_metadata() == pa.schema(list(columns.items()))


def test_the_metadata_names_the_tokenizer_the_version_and_the_cuts(write_rows, read_back, acgt, path):
    read_back(write_rows("acgtn", "ac"), block_size=4, truncate="left")
    origin = {"version": rnalm.__version__, "tokenizer_sha256": encode.fingerprint(acgt), "task": "regression"}
    cuts = {"block_size": 4, "truncate": "left", "center_token": None, "reverse_complement": "none"}
    counts = {"sequences": 2, "tokens": 6, "longest": 4, "truncated": 1, "labelled": 0, "modifier_channels": 0, "unknown": 1}
    assert encode.metadata(path) == origin | cuts | counts


def test_another_vocabulary_has_another_fingerprint(acgt, learned):
    assert encode.fingerprint(acgt) != encode.fingerprint(learned("acgu"))
    assert encode.fingerprint(acgt) == encode.fingerprint(Tokenizer.from_str(acgt.to_str()))


def test_the_longest_sequence_is_that_of_either_strand(write_rows, learned, path):
    sequences = ["ACGTTGCAGG" * 6] * 9
    tokenizer = learned(*sequences, type="bpe", vocab_size=30)
    summary = encode.encode(write_rows(*sequences), tokenizer, path, Encode(reverse_complement="augment"))
    [sequence, *_] = next(iter(dataset.read(path)))
    assert summary.longest == len(sequence.reverse_ids) > len(sequence.input_ids)


def test_the_summary_tells_what_was_found_and_not_what_was_cut_away(labelled, acgt, path):
    summary = encode.encode(labelled("one\tacnnr\t1\t", "two\ta\t\t"), acgt, path, Encode(block_size=4))
    assert (summary.sequences, summary.tokens, summary.longest, summary.labelled, summary.truncated) == (2, 5, 4, 1, 1)
    assert (summary.unknown, summary.unknown_tokens) == (2, {"n": 2})


def test_a_source_of_which_no_token_is_known_is_refused(write_rows, acgt, path, refusal):
    message = refusal(encode.encode, write_rows("ACGT", "GG"), acgt, path)
    assert "table.tsv: none of its tokens is in the vocabulary, not even 'G'; are token_sep and case right? " in message
    assert not path.exists()


@pytest.mark.parametrize(("token_sep", "sequences"), [(None, ["acnr", "nnac"]), (",", ["a,c,n,r", "n,n,a,c"])])
def test_unknown_tokens_are_reported_with_the_valid_ones(write_rows, read_back, caplog, token_sep, sequences):
    with caplog.at_level(logging.WARNING):
        read_back(write_rows(*sequences, token_sep=token_sep))
    assert "50.00 % of tokens are not in the vocabulary: 'n' (3), 'r' (1); valid: a, c, g, t" in caplog.text


def test_row_groups_are_bounded_in_rows_and_tokens(write_rows, read_back, path, monkeypatch):
    monkeypatch.setattr(encode, "GROUP_ROWS", 4)
    monkeypatch.setattr(encode, "GROUP_TOKENS", 10)
    read_back(write_rows(*["a"] * 9, "acgtacgtacgt", *["acgta"] * 3))
    groups = pq.read_metadata(path)
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [4, 4, 2, 2, 1]


def test_memory_does_not_grow_with_the_number_of_sequences(write_rows, acgt, path, monkeypatch):
    monkeypatch.setattr(encode, "GROUP_ROWS", 50)

    def peak(rows: int) -> int:
        source = write_rows(*["acgt" * 50] * rows)
        tracemalloc.start()
        encode.encode(source, acgt, path)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # the first call also imports
    assert peak(1000) < 1.5 * peak(200)


@pytest.mark.parametrize("name", ["table.tsv", "table.tsv.gz"])
def test_the_same_input_gives_the_same_bytes_and_a_bad_one_leaves_them_alone(write_rows, read_back, acgt, path, refusal, name):
    contents = []
    for _ in range(2):
        read_back(write_rows("acgt", "ggn", name=name))
        contents.append(path.read_bytes())
    refusal(encode.encode, write_rows("acgt", "", name=name), acgt, path)
    assert [file.name for file in path.parent.iterdir()] == ["e.parquet"]
    assert contents == [path.read_bytes()] * 2


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
        ("aaaacta", {"block_size": 4, "center_token": "c"}, [A, A, C, T], 2),
        ("aagtagc", {"block_size": 3, "center_token": "g"}, [A, G, T], 1),
        ("aacg", {"block_size": 2, "center_token": "t", "truncate": "left"}, [C, G], 2),
        ("aacg", {"block_size": 2, "center_token": "t", "truncate": "right"}, [A, A], 0),
    ],
)
def test_a_cut_sequence_knows_where_its_tokens_stood(write_rows, read_back, sequence, options, kept, first):
    table = read_back(write_rows(sequence), **options)
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
def test_modifiers_are_cut_with_their_tokens(write_rows, read_back, learned, path, options, modifiers):
    tokenizer = learned("a,a,a,a,c,c,c,g,g,t", **MODIFIED)
    table = read_back(write_rows("a#1,c,g#3#5,t#4", **MODIFIED), tokenizer, **options)
    assert [channel.tolist() for channel in table.loc[0, "modifiers"]] == modifiers
    assert encode.metadata(path)["modifier_channels"] == 2


def test_an_unknown_center_token_is_refused(write_rows, acgt, path, refusal):
    message = refusal(encode.encode, write_rows("a"), acgt, path, Encode(center_token="G"))
    assert message == "encode.center_token: 'G' is not in the vocabulary; did you mean 'g'? (valid: a, c, g, t)"


def test_new_sequences_are_cut_as_the_models_own_except_where_told_otherwise(tmp_path, refusal):
    paths = [tmp_path / "100.json", tmp_path / "200.json"]
    for path, size in zip(paths, (100, 200), strict=True):
        path.write_text(json.dumps({"filters": 64, "block_size": size, "truncate": "left", "center_token": "c"}))
    assert encode.inherit({}, paths[:1]) == Encode(block_size=100, truncate="left", center_token="c")
    for configs in (paths[:1], paths):
        assert encode.inherit({"block_size": 50}, configs) == Encode(block_size=50, truncate="left", center_token="c")
    assert "encode.block_size: the models were trained with 100 and 200; set it" in refusal(encode.inherit, {}, paths)


# Labels, weights and ids


def test_classes_are_stored_by_name_and_labels_are_optional(labelled, read_back):
    rows = ("one\ta\t1\t", "two\tc\tno\t", "three\tg\t\t")
    labels = read_back(labelled(*rows), task="classification")["label"]
    assert labels[:2].tolist() == ["1", "no"]
    assert labels.isna().tolist() == [False, False, True]


def test_a_weight_is_a_quality_label_or_a_number(labelled, read_back):
    weights = {"STRONG": 1.0, "GOOD": 0.75, "POOR": 0.25, "0.3": 0.3, "0": 0.0, "1e2": 100.0}
    rows = [f"{text}\ta\t1\t{text}" for text in weights]
    assert read_back(labelled(*rows), quality=QUALITY)["weight"].tolist() == list(weights.values())


NO_WEIGHT = "the weight of 'two' is {!r}, expected a number ≥ 0 or a quality label; "


@pytest.mark.parametrize(
    ("label", "weight", "problem"),
    [
        *((label, "1", f"the label of 'two' is {label!r}, expected a number") for label in ("high", "nan", "inf", "1,5")),
        *(("1", weight, NO_WEIGHT.format(weight) + "valid: STRONG, GOOD, WEAK, POOR") for weight in ("-1", "nan")),
        ("1", "god", NO_WEIGHT.format("god") + "did you mean 'GOOD'? (valid: STRONG, GOOD, WEAK, POOR)"),
        ("", "1", "'two' has no label, but training needs one"),
    ],
)
def test_a_bad_label_or_weight_is_named_with_its_line(labelled, acgt, path, refusal, label, weight, problem):
    source = labelled("one\ta\t1\tGOOD", f"two\tc\t{label}\t{weight}")
    message = refusal(encode.encode, source, acgt, path, quality=QUALITY, require_labels=True)
    assert message == f"{source.path}, line 3: {problem}"


def test_a_repeated_id_is_refused_with_both_lines(labelled, acgt, path, refusal):
    source = labelled("x\ta\t\t", "one\tc\t\t", "y\tg\t\t", "one\tt\t\t")
    message = refusal(encode.encode, source, acgt, path)
    assert message == f"{source.path}, line 5: the id 'one' was already used in line 3; ids must be unique"
    assert not path.exists()


def test_two_ids_with_the_same_hash_are_two_ids(write_rows, read_back, monkeypatch):
    monkeypatch.setattr(rows, "_digest", lambda text: 1)
    assert read_back(write_rows("a", "c", "g"))["id"].tolist() == ["s0", "s1", "s2"]
