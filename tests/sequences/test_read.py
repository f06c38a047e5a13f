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


def test_a_modifier_may_have_a_decimal_comma(write_source):
    settings = {"token_sep": " ", "modifier_sep": "#"}
    (record,) = read(write_source("id\tsequence\none\ta#2,5 c#-1\n", **settings, decimal=","))
    np.testing.assert_array_equal(record.modifiers, [[2.5, -1]])


@pytest.mark.parametrize(("case", "sequence"), [(None, "acGT"), ("keep", "acGT"), ("upper", "ACGT")])
def test_a_table_is_read_in_the_case_that_is_asked_for(write_source, case, sequence):
    assert read(write_source("id\tsequence\none\tacGT\n", case=case))[0].sequence == sequence
    separated = read(write_source("id\tsequence\none\ta,c,G,T\n", case=case, token_sep=","))[0].sequence
    assert separated == list(sequence)


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
        (
            'id\tsequence\n"one\ntwo\nthree"\tac\n',
            {},
            f", line 4: the id holds a line break, as where a quote is missing{QUOTING}",
        ),
        (
            'id\tx\tsequence\none\t"\n"\tac\nfour\n',
            {},
            ", line 4: found 1 columns, expected at least 3; is column_sep '\\t' right?",
        ),
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


MANY = "; fields with ',' in them need quotes, and row names a name in the header"
SWALLOWED = ", line 2: a quoted field that goes on to line {} holds what look like rows, as where a quote is missing" + QUOTING


@pytest.mark.parametrize(
    ("content", "settings", "problem"),
    [
        ("id,sequence,label\na,ac,2.5\nb,gt,2,73\n", {}, ", line 3: found 4 columns, the header has 3" + MANY),
        ("id,sequence,label\ngene, isoform 2,ac,1\n", {}, ", line 2: found 4 columns, the header has 3" + MANY),
        ("id,sequence,label\n1,a,ac,2.5\n", {}, ", line 2: found 4 columns, the header has 3" + MANY),
        ("id,sequence,label\na,ac,2.5,\n", {}, ", line 2: found 4 columns, the header has 3" + MANY),
        (
            "a,ac,1\nb,gt,1,5\n",
            {"header": False, "columns": POSITIONS},
            ", line 2: found 4 columns, the first row has 3" + MANY,
        ),
        ("id,sequence,label\na,ac,1\n\nid,sequence,label\n", {}, ", line 4: the header stands here again; expected it in the "),
        ('id,sequence,note\na,"ac,1\nb,gt",2\nc,a,3\n', {}, SWALLOWED.format(3)),
        ('id,sequence,note\na,ac,"1\nb,gt,2\nc,cc,3"\nd,a,4\n', {}, SWALLOWED.format(4)),
    ],
    ids=["decimal comma", "comma in an id", "row names", "comma at the end", "no header", "header again", "two rows", "three"],
)
def test_rows_that_may_stand_under_other_columns_are_refused(write_source, refusal, content, settings, problem):
    source = write_source(content, column_sep=",", **settings)
    assert refusal(read, source).startswith(source.path + problem)


@pytest.mark.parametrize(
    ("sequence", "position", "letter"),
    [("ac gt", 3, " "), ("ac\u00a0gt", 3, "\xa0"), ("\ufeffac", 1, "\ufeff"), ("ac\x07", 3, "\x07"), ("a\u200bc", 2, "\u200b")],
)
def test_what_is_not_seen_in_a_contiguous_sequence_is_refused(write_source, refusal, sequence, position, letter):
    source = write_source(f"id\tsequence\none\tac\ntwo\t{sequence}\n")
    hint = "expected letters only or, where it separates tokens, token_sep"
    assert refusal(read, source) == f"{source.path}, line 3: position {position} of the sequence is {letter!r}; {hint}"


def test_quotes_that_are_not_taken_off_are_refused_in_a_sequence_unless_they_are_ordinary_characters(write_source, refusal):
    content = 'id||sequence\none||"ac"\n'
    source = write_source(content, column_sep="||")
    assert refusal(read, source).startswith(
        f"{source.path}, line 2: position 1 of the sequence is '\"'; expected quotes around"
    )
    assert read(write_source(content, column_sep="||", quote=None))[0].sequence == '"ac"'


@pytest.mark.parametrize(
    ("content", "header", "problem"),
    [
        ("s0\tACG\tneg\ns1\tAC\tpos\n", True, ": the id in the header is 's0'; if there is no header, set header: false"),
        ("a\tCGUAAUGCCUUU\tn\nb\tAC\tp\n", True, ": the sequence in the header is 'CGUAAUGCCUUU'; if there is no header, set "),
        ("a\tMKVLAAGIVGLM\tn\nb\tMVKLAGIAAAA\tp\n", True, ": the sequence in the header is 'MKVLAAGIVGLM'; if there "),
        ("a\tAC\t2.5\nb\tAC\t3\n", True, ": the label in the header is '2.5'; if there is no header, set header: false"),
        ("gene\tutr\thours\na\tAC\t1\n", False, ", line 1: the id is 'gene'; if this is the header, set header: true"),
        ("what\tSequence\ty\na\tAC\t1\n", False, ", line 1: the sequence is 'Sequence'; if this is the header, set header: "),
    ],
)
def test_a_header_taken_for_a_row_or_a_row_for_a_header_is_told(write_source, refusal, content, header, problem):
    source = write_source(content, header=header, columns=POSITIONS | {"label": 3})
    assert refusal(read, source).startswith(source.path + problem)


@pytest.mark.parametrize("header", ["gene\tcds\tclass", "ID\tCat\t3utr", "1\tsequence_of_protein\ty"])
def test_a_header_is_no_row(write_source, header):
    assert [record.id for record in read(write_source(f"{header}\na1\tMCATCDS\tx\n", columns=POSITIONS))] == ["a1"]


@pytest.mark.parametrize(
    ("sequence", "problem"),
    [
        ("a#1_0", "token 1 has the modifier '1_0', expected a number"),
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
