"""BED files are read as they are written."""

from rnalm.sequences.intervals import read


def test_contigs_and_names_that_are_numbers_are_texts(tmp_path):
    (tmp_path / "a.bed").write_text("1\t5\t10\t7\n01\t5\t10\t07\n")
    frame = read(str(tmp_path / "a.bed"))
    assert frame["contig"].tolist() == ["1", "01"]
    assert frame["3"].tolist() == ["7", "07"]
    assert frame["contig"].cat.categories.map(type).tolist() == [str, str]
