import pytest

from rnalm.sequences.bed import read_bed


def test_a_bed_file_may_have_comments_headers_blank_lines_and_crlf(tmp_path):
    path = tmp_path / "known.bed"
    path.write_bytes(
        b"# by hand\ntrack name=known\nbrowser position s\r\n\ns\t3\t7\tmotif\t0\t+\r\nt\t0\t2\ns\t9\t11\ntracker-1\t0\t2\n"
    )
    assert read_bed(path) == {"s": [(3, 7, "motif"), (9, 11, "")], "t": [(0, 2, "")], "tracker-1": [(0, 2, "")]}


@pytest.mark.parametrize("wrong", ["s 3 7", "s\t3", "s\tthree\t7", "s\t1_0\t20", "s\t-3\t7"])
def test_a_wrong_line_of_a_bed_file_is_named(tmp_path, refusal, wrong):
    path = tmp_path / "known.bed"
    path.write_text(f"# header\ns\t1\t2\n{wrong}\n")
    assert refusal(read_bed, path) == f"{path}, line 3: expected sequence, start and end, separated by tabs"


def test_a_bed_file_that_is_not_there_is_named(tmp_path, refusal):
    assert "known.bed: no such file" in refusal(read_bed, tmp_path / "known.bed")
