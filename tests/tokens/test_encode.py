import json
import logging
import tracemalloc

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

import rnalm
from rnalm.config import Encode, Fasta, Labels
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
    table = read_back(write_source(content, columns=EVERY_COLUMN), labels=Labels(quality=QUALITY))
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
    letters = {"lower": 7, "upper": 0, "dropped": 0, "case": "keep", "per": "sequence", "positions": 0}
    assert encode.metadata(path) == origin | cuts | counts | letters


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


# The case of letters


@pytest.mark.parametrize("kind", ["table", "fasta"])
@pytest.mark.parametrize("case", [None, "upper", "keep"])
def test_mixed_case_is_told_where_nobody_has_decided_it(tmp_path, write_source, learned, path, caplog, kind, case):
    (tmp_path / "a.fa").write_text(">one\nACGT\n>two\nacGT\nNNNN..\n")
    fasta = Fasta(path=str(tmp_path / "a.fa"), case=case)
    source = fasta if kind == "fasta" else write_source("id\tsequence\none\tACGT\ntwo\tGTac12NNNN\n", case=case)
    encode.encode(source, learned("ACGTacN"), path)
    how = "as upper-case ones" if kind == "fasta" else "as other letters than upper-case ones"
    warnings = [record.message for record in caplog.records if "lower-case" in record.message]
    share = "16.7 % of letters are lower-case, 83.3 % upper-case; lower-case ones are read "
    assert warnings == ([] if case else [f"{source.paths[0]}: {share}{how}; decide with source.case"])


@pytest.mark.parametrize(
    ("sequences", "settings", "case"),
    [
        (("ACGT", "acgt"), {}, "keep"),
        (("ACGT", "acgt"), {"case": "upper"}, "upper"),
        (("ACGT",), {}, "upper"),  # as written and in upper case are the same
        (("ACGT",), {"case": "keep"}, "keep"),
        (("acgt",), {}, "keep"),
        (("A,m6A",), {"token_sep": ","}, "keep"),
    ],
)
def test_the_case_that_others_need_to_be_alike_is_remembered(write_rows, learned, path, sequences, settings, case):
    encode.encode(write_rows(*sequences, **settings), learned("ACGTacgt"), path)
    assert encode.metadata(path)["case"] == case


def test_new_sequences_are_read_in_the_case_of_the_models_own_except_where_told_otherwise(
    tmp_path, write_rows, learned, read_back, refusal, caplog
):
    for name in ("keep", "upper"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"case": name}))
    (tmp_path / "old.json").write_text("{}")
    keep, upper, old = (tmp_path / f"{name}.json" for name in ("keep", "upper", "old"))
    source = write_rows("acGT")
    assert [encode.inherited_case(configs, source) for configs in ([keep], [upper, old], [old])] == ["keep", "upper", None]
    both = f"source.case: the models were trained with keep and upper; set it for {source.path}"
    assert refusal(encode.inherited_case, [upper, keep], source) == both
    told = source.model_copy(update={"case": "keep"})
    encode.inherited_case([upper], told)
    assert f"{source.path}: read with case: keep, but the models were trained with upper" in caplog.text
    tokenizer = learned("ACGTacgt")
    ids = [read_back(one, tokenizer, case="upper")["input_ids"][0].tolist() for one in (source, told)]
    assert ids == [tokenizer.encode(text).ids for text in ("ACGT", "acGT")]


@pytest.mark.parametrize(("sequence", "case"), [("ACGT", "upper"), ("acGT", "keep")])
def test_a_vocabulary_tells_its_case(learned, sequence, case):
    assert encode.case_of(learned(sequence)) == case


# Labels, weights and ids


def test_classes_are_stored_by_name_and_labels_are_optional(labelled, read_back):
    rows = ("one\ta\t1\t", "two\tc\tno\t", "three\tg\t\t")
    labels = read_back(labelled(*rows), task="classification")["label"]
    assert labels[:2].tolist() == ["1", "no"]
    assert labels.isna().tolist() == [False, False, True]


def test_a_weight_is_a_quality_label_or_a_number(labelled, read_back):
    weights = {"STRONG": 1.0, "GOOD": 0.75, "POOR": 0.25, "0.3": 0.3, "0": 0.0, "1e2": 100.0}
    rows = [f"{text}\ta\t1\t{text}" for text in weights]
    assert read_back(labelled(*rows), labels=Labels(quality=QUALITY))["weight"].tolist() == list(weights.values())


NO_NUMBER = "the label of 'two' is {!r}, expected a number"
NO_WEIGHT = "the weight of 'two' is {!r}, expected a number ≥ 0 or a quality label; "


@pytest.mark.parametrize(
    ("label", "weight", "problem"),
    [
        *((label, "1", NO_NUMBER.format(label)) for label in ("high", "inf", "1_05", "1 000", "1,234.5", "\u0661")),
        ("nan", "1", NO_NUMBER.format("nan") + "; if it stands for no label, set source.missing: ['nan']"),
        ("1,5", "1", NO_NUMBER.format("1,5") + "; if ',' stands before its decimals, set source.decimal: ','"),
        *(("1", weight, NO_WEIGHT.format(weight) + "valid: STRONG, GOOD, WEAK, POOR") for weight in ("-1", "nan", "1_0")),
        ("1", "god", NO_WEIGHT.format("god") + "did you mean 'GOOD'? (valid: STRONG, GOOD, WEAK, POOR)"),
        ("", "1", "'two' has no label, but training needs one; to leave such rows out, set source.unlabelled: drop"),
    ],
)
def test_a_bad_label_or_weight_is_named_with_its_line(labelled, acgt, path, refusal, label, weight, problem):
    source = labelled("one\ta\t1\tGOOD", f"two\tc\t{label}\t{weight}")
    message = refusal(encode.encode, source, acgt, path, labels=Labels(quality=QUALITY), require_labels=True)
    assert message == f"{source.path}, line 3: {problem}"


def test_of_many_bad_rows_the_first_is_told_and_the_log_has_the_others(labelled, acgt, path, refusal, caplog):
    source = labelled(*(f"s{row}\ta\thigh\t1" for row in range(30)), "s0\tc\t1\t1")
    message = refusal(encode.encode, source, acgt, path, labels=Labels(quality=QUALITY))
    assert message == f"{source.path}, line 2: {NO_NUMBER.format('high').replace('two', 's0')} (and 30 more, see the log)"
    told = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert told == [
        f"{source.path}, line {line}: the label of 's{line - 2}' is 'high', expected a number" for line in range(3, 22)
    ]
    assert not path.exists()


def test_labels_and_weights_may_have_a_decimal_comma_and_then_no_point(labelled, read_back, refusal):
    table = read_back(labelled("one\ta\t1,5\t0,25", "two\tc\t-2e-1\t1").model_copy(update={"decimal": ","}))
    assert table[["label", "weight"]].to_numpy().tolist() == [[1.5, 0.25], [-0.2, 1]]
    source = labelled("one\ta\t1.234\t1").model_copy(update={"decimal": ","})
    assert "the label of 'one' is '1.234', expected a number; if '.' stands" in refusal(read_back, source)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_what_stands_for_no_label_says_the_source_and_such_rows_can_be_left_out(labelled, read_back, refusal, caplog, task):
    source = labelled("one\ta\t1\t", "two\tc\tNA\t", "three\tg\t\t", "four\ta\t-9\t")
    source = type(source)(**source.model_dump() | {"missing": ["NA", -9]})
    assert read_back(source, task=task)["label"].isna().tolist() == [False, True, True, True]
    assert "line 3: 'two' has no label" in refusal(read_back, source, task=task, require_labels=True)
    source = source.model_copy(update={"unlabelled": "drop"})
    assert read_back(source, task=task, require_labels=True)["id"].tolist() == ["one"]
    assert f"{source.path}: 3 of 4 sequences have no label and are left out" in caplog.text
    source = source.model_copy(update={"missing": ["NA", "-9", "1"]})
    assert refusal(read_back, source, require_labels=True) == (
        f"{source.path}: none of its 4 sequences has a label; what stands for none says source.missing"
    )


def test_a_class_called_as_if_there_were_none_is_a_class_with_a_warning(labelled, read_back, caplog):
    source = labelled("one\ta\tNA\t", "two\tc\tnone\t", "three\tg\tNA\t")
    assert read_back(source, task="classification", require_labels=True)["label"].tolist() == ["NA", "none", "NA"]
    hint = "; if it stands for no label, set source.missing: "
    assert f"{source.path}: 2 sequences have the class 'NA'{hint}['NA']" in caplog.text
    assert f"{source.path}: 1 sequences have the class 'none'{hint}['none']" in caplog.text


def test_a_repeated_id_is_refused_with_both_lines(labelled, acgt, path, refusal):
    source = labelled("x\ta\t\t", "one\tc\t\t", "y\tg\t\t", "one\tt\t\t")
    message = refusal(encode.encode, source, acgt, path)
    assert message == f"{source.path}, line 5: the id 'one' was already used in line 3; ids must be unique"
    assert not path.exists()


def test_two_ids_with_the_same_hash_are_two_ids(write_rows, read_back, monkeypatch):
    monkeypatch.setattr(rows, "_digest", lambda text: 1)
    assert read_back(write_rows("a", "c", "g"))["id"].tolist() == ["s0", "s1", "s2"]
