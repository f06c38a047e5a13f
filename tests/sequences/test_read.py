import tracemalloc

import numpy as np
import pytest

from rnalm.config import Table
from rnalm.sequences.read import Record, read_records

ALL_COLUMNS = {name: name for name in ("id", "sequence", "label", "weight", "group", "split")}
POSITIONS = {"id": 1, "sequence": 2}
LONG = "acgt" * 50_000  # longer than the csv module's limit for a field


def read(source: Table) -> list[Record]:
    return list(read_records(source))


# Columns and the format of the table


def test_columns_are_found_by_name_in_any_order_and_empty_optional_fields_are_none(write_source):
    content = "split\tsequence\textra\tlabel\tid\tweight\tgroup\ns1\tacgt\tx\t1.5\tone\tGOOD\tg1\n\tacgt\t\t  \ttwo\t\t \n"
    one, two = read(write_source(content, columns=ALL_COLUMNS))
    assert (one.id, one.sequence, one.modifiers) == ("one", "acgt", None)
    assert (one.label, one.weight, one.group, one.split) == ("1.5", "GOOD", "g1", "s1")
    assert (two.label, two.weight, two.group, two.split) == (None, None, None, None)


@pytest.mark.parametrize(
    ("content", "settings", "records"),
    [
        ("name\tseq\none\tac\ntwo\tgt\n", {"columns": POSITIONS}, [("one", "ac"), ("two", "gt")]),
        ("one\tac\ntwo\tgt\n", {"columns": POSITIONS, "header": False}, [("one", "ac"), ("two", "gt")]),
        ("name\tseq\none\tac\n", {"columns": {"id": 1, "sequence": "seq"}}, [("one", "ac")]),
        (" id , sequence \n one , ac \n", {"column_sep": ","}, [("one", "ac")]),
        (
            'id,note,sequence\n"one, ""the first""","two\r\nlines",ac\n"two",,"g,t"\n',
            {"column_sep": ","},
            [('one, "the first"', "ac"), ("two", "g,t")],
        ),
        ("id,sequence\n'a,b',\"c\n", {"column_sep": ",", "quote": "'"}, [("a,b", '"c')]),
        ('id,sequence\n"one,"ac\n', {"column_sep": ",", "quote": None}, [('"one', '"ac')]),
        ("id||sequence\none||a|c\n", {"column_sep": "||"}, [("one", "a|c")]),
        ("id\tsequence\n\none\tac\n\n\ntwo\tgt\n\n", {}, [("one", "ac"), ("two", "gt")]),
        (f"id\tsequence\none\t{LONG}\n", {}, [("one", LONG)]),
        ("id\tsequence\none\ta,c\n", {}, [("one", "a,c")]),
    ],
    ids=["positions", "no header", "mixed", "spaces", "quoting", "other quote", "no quote", "||", "blank", "long", "letters"],
)
def test_a_table_is_read_as_its_source_says(write_source, content, settings, records):
    assert [(record.id, record.sequence) for record in read(write_source(content, **settings))] == records


@pytest.mark.parametrize("name", ["table.tsv", "table.tsv.gz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False], ids=["end of line at the end", "none at the end"])
@pytest.mark.parametrize("column_sep", [",", "::"])
def test_compression_a_byte_order_mark_and_ends_of_lines_change_nothing(write_source, name, mark, end, last, column_sep):
    lines = end.join(column_sep.join(fields) for fields in (("id", "sequence"), ("one", "ac"), ("two", "gt")))
    records = read(write_source(mark + (lines + end * last).encode(), name, column_sep=column_sep))
    assert [(record.id, record.sequence) for record in records] == [("one", "ac"), ("two", "gt")]


# Tokens and modifiers


@pytest.mark.parametrize("token_sep", [",", " ", "|", ".", "--"])
@pytest.mark.parametrize("trailing", [False, True], ids=["", "separator at the end"])
def test_a_separated_sequence_becomes_its_fields(write_source, token_sep, trailing):
    sequence = token_sep.join(["a", "m6A", "c"]) + token_sep * trailing
    (record,) = read(write_source(f"id\tsequence\none\t{sequence}\n", token_sep=token_sep))
    assert record.sequence == ["a", "m6A", "c"]


@pytest.mark.parametrize(
    ("sequence", "separators", "tokens", "modifiers"),
    [
        ("a#2.5,c,g#-1e-2", (",", "#"), ["a", "c", "g"], [[2.5, 0, -0.01]]),
        ("a#1,c#2#3#4,g", (",", "#"), ["a", "c", "g"], [[1, 2, 0], [0, 3, 0], [0, 4, 0]]),
        ("a,c", (",", "#"), ["a", "c"], np.zeros((0, 2))),
        ("a::1--c::2", ("--", "::"), ["a", "c"], [[1, 2]]),
    ],
    ids=["a missing one is 0", "channels are those of the widest token", "none", "separators of several characters"],
)
def test_a_modifier_is_attached_to_its_token(write_source, sequence, separators, tokens, modifiers):
    token_sep, modifier_sep = separators
    (record,) = read(write_source(f"id\tsequence\none\t{sequence}\n", token_sep=token_sep, modifier_sep=modifier_sep))
    assert record.sequence == tokens
    assert record.modifiers.dtype == np.float32
    np.testing.assert_array_equal(record.modifiers, np.array(modifiers, dtype=np.float32))


# Reading in a stream


def test_records_come_before_the_rest_is_read_and_memory_does_not_grow_with_their_number(write_source):
    records = read_records(write_source("id\tsequence\none\tac\ntwo\n"))
    assert next(records).id == "one"

    def peak(rows: int) -> int:
        source = write_source("id\tsequence\n" + "".join(f"s{i}\t{'a,' * 200}\n" for i in range(rows)), token_sep=",")
        tracemalloc.start()
        for _ in read_records(source):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(1000) < 1.5 * peak(100)


# Messages


QUOTING = "; if '\"' is an ordinary character, set quote: null"
SHORT = "found 1 columns, expected at least 2; is column_sep '\\t' right?"


@pytest.mark.parametrize(
    ("content", "settings", "problem"),
    [
        ("", {}, ": the file is empty, expected a header"),
        ("", {"header": False, "columns": POSITIONS}, ": no sequences in it"),
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
        ("id\tsequence\none\tac\n\ntwo\n", {}, f", line 4: {SHORT}"),
        ("one,ac\n", {"header": False, "columns": POSITIONS}, f", line 1: {SHORT}"),
        ('id\tsequence\n"one\ntwo\nthree"\tac\nfour\n', {}, f", line 5: {SHORT}"),
        ("id\tsequence\none\tac\n \tgt\n", {}, ", line 3: the id is empty"),
        ("id\tsequence\none\t \n", {}, ", line 2: the sequence of 'one' is empty"),
        ('id\tsequence\none\t"ac\n', {}, f", line 2: unexpected end of data{QUOTING}"),
        ('id\tsequence\none\t"a"c\n', {}, f", line 2: '\t' expected after '\"'{QUOTING}"),
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


def test_a_compressed_file_that_was_cut_is_refused(write_source, refusal, tmp_path):
    source = write_source("id\tsequence\n" + "".join(f"{i * 7919 % 104729}\tac\n" for i in range(5000)), "table.tsv.gz")
    whole = (tmp_path / "table.tsv.gz").read_bytes()
    (tmp_path / "table.tsv.gz").write_bytes(whole[: len(whole) // 2])
    assert refusal(read, source) == f"{source.path}: the gzip file ends too early; it is damaged or was cut"
