import tracemalloc

import numpy as np
import pytest

from rnalm.config import Table
from rnalm.sequences.read import Record, read_records

ALL_COLUMNS = {name: name for name in ("id", "sequence", "label", "weight", "group", "split")}


def read(source: Table) -> list[Record]:
    return list(read_records(source))


def pairs(source: Table) -> list[tuple[str, str]]:
    return [(record.id, record.sequence) for record in read_records(source)]


# Columns


def test_columns_are_found_by_name_in_any_order(write_source):
    content = "split\tsequence\textra\tlabel\tid\tweight\tgroup\ns1\tacgt\tx\t1.5\tone\tGOOD\tg1\n"
    (record,) = read(write_source(content, columns=ALL_COLUMNS))
    assert (record.id, record.sequence, record.label) == ("one", "acgt", "1.5")
    assert (record.weight, record.group, record.split) == ("GOOD", "g1", "s1")
    assert record.modifiers is None


@pytest.mark.parametrize("header", [True, False])
def test_columns_are_found_by_position_counted_from_one(write_source, header):
    content = ("name\tseq\n" if header else "") + "one\tac\ntwo\tgt\n"
    assert pairs(write_source(content, header=header, columns={"id": 1, "sequence": 2})) == [("one", "ac"), ("two", "gt")]


def test_a_position_may_be_mixed_with_names(write_source):
    assert pairs(write_source("name\tseq\none\tac\n", columns={"id": 1, "sequence": "seq"})) == [("one", "ac")]


@pytest.mark.parametrize("blank", ["", "  "])
def test_an_empty_optional_field_is_none(write_source, blank):
    content = "id\tsequence\tlabel\tweight\tgroup\tsplit\none\tac" + f"\t{blank}" * 4 + "\n"
    (record,) = read(write_source(content, columns=ALL_COLUMNS))
    assert (record.label, record.weight, record.group, record.split) == (None, None, None, None)


def test_spaces_around_names_and_fields_do_not_count(write_source):
    assert pairs(write_source(" id , sequence \n one , ac \n", column_sep=",")) == [("one", "ac")]


# The format of the table


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False], ids=["end of line at the end", "none at the end"])
@pytest.mark.parametrize("column_sep", [",", "::"])
def test_lines_may_end_in_either_way(write_source, end, last, column_sep):
    lines = [column_sep.join(fields) for fields in (("id", "sequence"), ("one", "ac"), ("two", "gt"))]
    content = end.join(lines) + (end if last else "")
    assert pairs(write_source(content, column_sep=column_sep)) == [("one", "ac"), ("two", "gt")]


def test_quoted_fields_hold_separators_quotes_and_line_breaks(write_source):
    content = 'id,note,sequence\n"one, ""the first""","two\r\nlines",ac\n"two",,"g,t"\n'
    assert pairs(write_source(content, column_sep=",")) == [('one, "the first"', "ac"), ("two", "g,t")]


def test_another_quoting_character_can_be_chosen(write_source):
    assert pairs(write_source("id,sequence\n'a,b',\"c\n", column_sep=",", quote="'")) == [("a,b", '"c')]


def test_without_a_quoting_character_quotes_are_ordinary(write_source):
    assert pairs(write_source('id,sequence\n"one,"ac\n', column_sep=",", quote=None)) == [('"one', '"ac')]


def test_a_column_separator_may_have_several_characters(write_source):
    assert pairs(write_source("id||sequence\none||a|c\n", column_sep="||")) == [("one", "a|c")]


def test_blank_lines_are_skipped(write_source):
    assert pairs(write_source("id\tsequence\n\none\tac\n\n\ntwo\tgt\n\n")) == [("one", "ac"), ("two", "gt")]


@pytest.mark.parametrize("name", ["table.tsv", "table.tsv.gz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "byte order mark"])
def test_compression_and_a_byte_order_mark_change_nothing(write_source, name, mark):
    assert pairs(write_source(mark + b"id\tsequence\none\tac\n", name)) == [("one", "ac")]


def test_a_sequence_longer_than_the_csv_modules_limit_is_read(write_source):
    long = "acgt" * 50_000
    assert pairs(write_source(f"id\tsequence\none\t{long}\n")) == [("one", long)]


# Tokens and modifiers


def test_a_contiguous_sequence_stays_a_string(write_source):
    (record,) = read(write_source("id\tsequence\none\ta,c\n"))
    assert record.sequence == "a,c"


@pytest.mark.parametrize("token_sep", [",", " ", "|", ".", "--"])
@pytest.mark.parametrize("trailing", [False, True], ids=["", "separator at the end"])
def test_a_separated_sequence_becomes_its_fields(write_source, token_sep, trailing):
    sequence = token_sep.join(["a", "m6A", "c"]) + token_sep * trailing
    (record,) = read(write_source(f"id\tsequence\none\t{sequence}\n", token_sep=token_sep))
    assert record.sequence == ["a", "m6A", "c"]


def test_a_modifier_is_attached_to_its_token_and_a_missing_one_is_zero(write_source):
    (record,) = read(write_source("id\tsequence\none\ta#2.5,c,g#-1e-2\n", token_sep=",", modifier_sep="#"))
    assert record.sequence == ["a", "c", "g"]
    assert record.modifiers.dtype == np.float32
    np.testing.assert_array_equal(record.modifiers, np.array([[2.5, 0, -0.01]], dtype=np.float32))


def test_there_are_as_many_channels_as_the_widest_token_has_modifiers(write_source):
    (record,) = read(write_source("id\tsequence\none\ta#1,c#2#3#4,g\n", token_sep=",", modifier_sep="#"))
    np.testing.assert_array_equal(record.modifiers, [[1, 2, 0], [0, 3, 0], [0, 4, 0]])


def test_a_sequence_without_any_modifier_has_no_channels(write_source):
    (record,) = read(write_source("id\tsequence\none\ta,c\n", token_sep=",", modifier_sep="#"))
    assert record.modifiers.shape == (0, 2)


def test_token_and_modifier_separators_may_have_several_characters(write_source):
    (record,) = read(write_source("id\tsequence\none\ta::1--c::2\n", token_sep="--", modifier_sep="::"))
    assert record.sequence == ["a", "c"]
    np.testing.assert_array_equal(record.modifiers, [[1, 2]])


# Reading in a stream


def test_records_come_before_the_rest_is_read(write_source):
    records = read_records(write_source("id\tsequence\none\tac\ntwo\n"))
    assert next(records).id == "one"


def test_memory_does_not_grow_with_the_number_of_sequences(write_source):
    def peak(rows: int) -> int:
        source = write_source("id\tsequence\n" + "".join(f"s{i}\t{'a,' * 200}\n" for i in range(rows)), token_sep=",")
        tracemalloc.start()
        for _ in read_records(source):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(1000) < 1.5 * peak(100)


# Messages


@pytest.mark.parametrize(
    ("content", "settings", "problem"),
    [
        ("", {}, ": the file is empty, expected a header"),
        ("", {"header": False, "columns": {"id": 1, "sequence": 2}}, ": no sequences in it"),
        ("id\tsequence\n", {}, ": no sequences in it"),
        ("id\tsequence\n\n\n", {}, ": no sequences in it"),
        (
            "id\tSequences\n1\ta\n",
            {},
            ": no column 'sequence' for columns.sequence; did you mean 'Sequences'? (valid: id, Sequences)",
        ),
        ("x\ty\n1\ta\n", {}, ": no column 'id' for columns.id; valid: x, y"),
        ("id\tid\tsequence\n1\t1\ta\n", {}, ": 2 columns are named 'id'; give columns.id as a position"),
        ("x\ty\n1\ta\n", {"columns": {"id": 1, "sequence": 3}}, ": columns.sequence is 3, but the file has 2 columns"),
        (
            "id\tsequence\none\tac\n\ntwo\n",
            {},
            ", line 4: found 1 columns, expected at least 2; is column_sep '\\t' right?",
        ),
        (
            "one,ac\n",
            {"header": False, "columns": {"id": 1, "sequence": 2}},
            ", line 1: found 1 columns, expected at least 2; is column_sep '\\t' right?",
        ),
        ("id\tsequence\none\tac\n \tgt\n", {}, ", line 3: the id is empty"),
        ("id\tsequence\none\t \n", {}, ", line 2: the sequence of 'one' is empty"),
        ('id\tsequence\none\t"ac\n', {}, ", line 2: unexpected end of data; if '\"' is an ordinary character, set quote: null"),
        (
            'id\tsequence\none\t"a"c\n',
            {},
            ", line 2: '\t' expected after '\"'; if '\"' is an ordinary character, set quote: null",
        ),
        ("id\tsequence\none\ta,,c\n", {"token_sep": ","}, ", line 2: token 2 is empty, between two ','"),
        ("id\tsequence\none\t,a\n", {"token_sep": ","}, ", line 2: token 1 is empty, between two ','"),
        ("id\tsequence\none\t,\n", {"token_sep": ","}, ", line 2: token 1 is empty, between two ','"),
    ],
)
def test_a_bad_table_gets_one_clear_line(write_source, refusal, content, settings, problem):
    source = write_source(content, **settings)
    assert refusal(read, source) == source.path + problem


@pytest.mark.parametrize(
    ("sequence", "problem"),
    [
        ("a#1,#2", "token 2 has a modifier but no name"),
        ("a,c#x", "token 2 has the modifier 'x', expected a number"),
        ("a#1#nan", "token 1 has the modifier 'nan', expected a number"),
        ("a#inf", "token 1 has the modifier 'inf', expected a number"),
        ("a,c,g#1e39", "token 3 has the modifier '1e39', expected a number"),  # beyond float32, it would be infinite
    ],
)
def test_a_bad_modifier_is_named(write_source, refusal, sequence, problem):
    source = write_source(f"id\tsequence\none\ta#1\ntwo\t{sequence}\n", token_sep=",", modifier_sep="#")
    assert refusal(read, source) == f"{source.path}, line 3: {problem}"


def test_the_line_is_the_one_in_the_file_also_after_quoted_line_breaks(write_source, refusal):
    source = write_source('id,sequence\n"one\ntwo\nthree",ac\nfour\n', column_sep=",")
    assert refusal(read, source).startswith(f"{source.path}, line 5: found 1 columns")


def test_a_compressed_file_that_was_cut_is_refused(write_source, refusal, tmp_path):
    source = write_source("id\tsequence\n" + "".join(f"{i * 7919 % 104729}\tac\n" for i in range(5000)), "table.tsv.gz")
    whole = (tmp_path / "table.tsv.gz").read_bytes()
    (tmp_path / "table.tsv.gz").write_bytes(whole[: len(whole) // 2])
    assert refusal(read, source) == f"{source.path}: the gzip file ends too early; it is damaged or was cut"
