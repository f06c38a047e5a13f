import gzip
import logging
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.config import Attributes, Chunk, Fasta
from rnalm.sequences.fasta import divide
from rnalm.sequences.read import read_records
from rnalm.sequences.records import Record


def read(path, content: str | bytes, **settings) -> list[Record]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_records(Fasta(path=str(path), **settings)))


def test_a_record_has_the_first_word_of_its_header_as_id_and_keeps_the_rest(tmp_path):
    [one, two] = read(tmp_path / "a.fa", ">x1 some gene, 3 kb\nACGT\n>x2\nGG\n")
    assert (one.id, one.description, one.sequence, one.place) == ("x1", "some gene, 3 kb", "ACGT", f"{tmp_path}/a.fa, line 1")
    assert (two.id, two.description, two.sequence, two.place) == ("x2", None, "GG", f"{tmp_path}/a.fa, line 3")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_blank_lines_and_line_ends_are_no_part_of_a_sequence(tmp_path, end, packed):
    content = end.join([">x 1", "ACGT", "NNRY", "", "acgt ACGT", ">y", "U", ""]).encode()
    path = tmp_path / ("a.fasta.gz" if packed else "a.fasta")
    records = read(path, gzip.compress(content) if packed else content)
    assert [(record.id, record.sequence) for record in records] == [("x", "ACGTNNRYACGTACGT"), ("y", "U")]


def test_a_tab_ends_an_id_too(tmp_path):
    [record] = read(tmp_path / "a.fasta", ">id1\tfrom a  tool\nACGT\n")
    assert (record.id, record.description) == ("id1", "from a  tool")


def test_lower_case_is_kept_on_request(tmp_path):
    assert read(tmp_path / "a.fa", ">x\nacGTn\n")[0].sequence == "ACGTN"
    assert read(tmp_path / "a.fa", ">x\nacGTn\n", case="keep")[0].sequence == "acGTn"


def test_files_are_classes(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.fa").write_text(f">{name}1\nA\n>{name}2\nC\n")
    paths = {name: str(tmp_path / f"{name}.fa") for name in "abc"}
    source = Fasta(classes={"yes": paths["b"], "no": [paths["a"], paths["c"]]})
    labels = [(record.id, record.label) for record in read_records(source)]
    assert labels == [("a1", "no"), ("a2", "no"), ("c1", "no"), ("c2", "no"), ("b1", "yes"), ("b2", "yes")]


def attributes(folder, content: str, **columns) -> Attributes:
    (folder / "labels.csv").write_text(content)
    return Attributes(path=str(folder / "labels.csv"), column_sep=",", columns={"id": "name"} | columns)


def test_a_table_gives_labels_weights_groups_and_splits_by_id(tmp_path, caplog):
    table = attributes(tmp_path, "name,y,g,s\nb,2.5,G,1\nz,1,G,1\na,,H,2\n", label="y", group="g", split="s")
    with caplog.at_level(logging.INFO):
        records = read(tmp_path / "a.fa", ">a\nA\n>b\nC\n>c\nG\n", attributes=table)
    assert [(record.label, record.group, record.split) for record in records] == [
        (None, "H", "2"),
        ("2.5", "G", "1"),
        (None, None, None),
    ]
    assert "labels.csv: 1 of 3 rows are about other sequences" in caplog.text


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("chr1,2\n", ": none of its ids is among the ids of {folder}/a.fa, such as '1'"),
        ("1,1\n1,2\n", ", line 3: the id '1' was there before; ids must be unique"),
    ],
    ids=["of other sequences", "an id twice"],
)
def test_a_bad_table_of_attributes_is_refused(tmp_path, refusal, rows, problem):
    table = attributes(tmp_path, "name,y\n" + rows, label="y")
    message = refusal(read, tmp_path / "a.fa", ">1\nA\n", attributes=table)
    assert message == f"{tmp_path}/labels.csv" + problem.format(folder=tmp_path)


LETTERS = "expected letters, '*', '-' or '.'"


def test_letters_stops_and_gaps_pass_and_white_space_and_a_leading_mark_are_left_out(tmp_path):
    [one, two] = read(tmp_path / "a.fa", "\ufeff>a\r\nMKV* \tX-.\u00a0a\r\n \r\n>b\nAC\x0bG\n", case="keep")
    assert (one.sequence, two.sequence) == ("MKV*X-.a", "ACG")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", ": no sequences in it; expected FASTA records, each with a header that begins with '>'"),
        ("\n\n", ": no sequences in it; expected FASTA records, each with a header that begins with '>'"),
        ("ACGT\n", ", line 1: found 'ACGT', expected a header that begins with '>'"),
        (">a\nAC\n>b\n>c\nG\n", ", line 3: the sequence of 'b' is empty"),
        (">a\nAC\n>b\n\n", ", line 3: the sequence of 'b' is empty"),
        (">a\nAC\n> \nAC\n", ", line 3: the header has no id"),
        (">a\nACGT>b two\nGG\n", ", line 2: found '>' in the sequence of 'a'; a header begins a line of its own"),
        (">a\n;a comment\nAC\n", f", line 2: found ';' in the sequence of 'a'; {LETTERS}"),
        (">a one\nAC\n#end\n", f", line 3: found '#' in the sequence of 'a'; {LETTERS}"),
        (">a\n  1 acgt\n", f", line 2: found '1' in the sequence of 'a'; {LETTERS}"),
        (">a\nAC\x1a", f", line 2: found '\\x1a' in the sequence of 'a'; {LETTERS}"),
        (">a\nAC\x1cGT\n", f", line 2: found '\\x1c' in the sequence of 'a'; {LETTERS}"),
        (">a\nAC\x00\n", f", line 2: found '\\x00' in the sequence of 'a'; {LETTERS}"),
        (">a\nAC\n\ufeff>b\nG\n", f", line 3: found '\\ufeff' in the sequence of 'a'; {LETTERS}"),
        (">a\nA\u0421\n", f", line 2: found '\u0421' in the sequence of 'a'; {LETTERS}"),  # a Cyrillic letter
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path, refusal, content, problem):
    assert refusal(read, tmp_path / "a.fa", content) == f"{tmp_path}/a.fa{problem}"


@pytest.mark.parametrize("group", [None, "NA", "nan", " "])
def test_chunks_of_a_sequence_without_a_group_stay_together(group):
    whole = Record("f.fa, line 1", "x", "ACGT" * 5, None, None, None, group, None)
    assert {chunk.group for chunk in divide(whole, Chunk(length=8, overlap=2))} == {"x"}


@given(st.text("ACGT", min_size=1, max_size=60), st.integers(1, 20), st.data())
def test_chunks_cover_the_sequence_overlap_and_share_a_group(sequence, length, data):
    overlap = data.draw(st.integers(0, length - 1))
    whole = Record("f, line 1", "x", sequence, None, None, None, None, None)
    chunks = list(divide(whole, Chunk(length=length, overlap=overlap)))
    if len(sequence) <= length:
        assert [(chunk.id, chunk.sequence, chunk.group) for chunk in chunks] == [("x", sequence, "x")]
        return
    spans = [tuple(map(int, chunk.id.removeprefix("x:").split("-"))) for chunk in chunks]
    assert all(chunk.sequence == sequence[start:end] for chunk, (start, end) in zip(chunks, spans, strict=True))
    assert {chunk.group for chunk in chunks} == {"x"}
    assert (spans[0][0], spans[-1][1]) == (0, len(sequence))
    assert all(end - start == length for start, end in spans[:-1])
    assert all(before[1] - after[0] == overlap for before, after in pairwise(spans))
    assert len({chunk.id for chunk in chunks}) == len(chunks)


def test_chunks_stay_in_the_group_of_their_sequence():
    whole = Record("f, line 1", "x", "ACGTACGT", None, "1", None, "family", None, "a gene")
    chunks = list(divide(whole, Chunk(length=5)))
    assert [(chunk.group, chunk.label, chunk.description) for chunk in chunks] == [("family", "1", "a gene")] * 2
