"""Ragged arrays become a table and come back; what else a pickle holds is refused, and not run."""

import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from rnalm.cli import main
from rnalm.sequences import tis

DATA = Path(__file__).parents[2] / "data" / "tis"


def save(path: Path, rows: list, protocol: int = 4) -> Path:
    array = np.empty((len(rows), 2), dtype=object)
    for number, row in enumerate(rows):
        array[number, 0], array[number, 1] = row
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": array.shape})
        pickle.dump(array, file, protocol=protocol)
    return path


def row(letters: str, *sites: int) -> np.ndarray:
    values = np.zeros((len(letters), 2), dtype=np.int16)
    values[:, 0] = ["ATCGN".index(letter) for letter in letters]
    values[list(sites), 1] = 1
    return values


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_become_a_table_and_come_back(tmp_path, capsys, protocol):
    one = save(tmp_path / "chr1.npy", [[row("ATGCN", 0, 3), "t1"], [row("GG"), "t2"]], protocol)
    two = tmp_path / "chr2.npy.gz"
    two.write_bytes(gzip.compress(save(tmp_path / "x.npy", [[row("TTA", 2), "t3"]]).read_bytes()))
    table = tmp_path / "all.tsv.gz"
    assert main(["import", "tis", str(one), str(two), "--output", str(table)]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "chr1: 2 transcripts, 7 nucleotides, 2 sites",
        "chr2: 1 transcripts, 3 nucleotides, 1 sites",
    ]
    assert gzip.decompress(table.read_bytes()).decode().splitlines() == [
        *("id\tsequence\tsites\tsplit", "t1\tATGCN\t0,3\tchr1", "t2\tGG\t\tchr1", "t3\tTTA\t2\tchr2"),
    ]
    assert main(["import", "tis", str(table), "--output", str(tmp_path / "back")]) == 0
    for path in (one, tmp_path / "x.npy"):
        name = "chr1.npy" if path == one else "chr2.npy"
        before, after = (np.load(file, allow_pickle=True) for file in (path, tmp_path / "back" / name))
        assert before.shape == after.shape
        for (values, name), (again, named) in zip(before, after, strict=True):
            assert name == named
            assert values.dtype == again.dtype
            np.testing.assert_array_equal(values, again)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_what_a_pickle_would_run_is_refused_and_does_not_run(tmp_path, refusal):
    path = save(tmp_path / "a.npy", [[Evil(tmp_path / "made"), "t1"]])
    told = refusal(tis.read_arrays, path)
    assert told == f"{path}: its pickle refers to posix.mkdir; expected arrays of numbers alone, nothing of it was run"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (
            [[row("ACG"), "a"], [np.zeros((4, 3), np.int16), "b"]],
            "row 2, b: expected whole numbers of shape (length, 2), found int16 (4, 3)",
        ),
        ([["ACGT", "a"]], "row 1, a: expected whole numbers of shape (length, 2), found str"),
        ([[np.full((2, 2), 5, np.int16), "a"]], "row 1, a: a base is 5, expected 0 to 4"),
        ([[np.array([[0, 2]], np.int16), "a"]], "row 1, a: a label is 2, expected 0 to 1"),
    ],
)
def test_a_row_that_is_no_transcript_is_told(tmp_path, refusal, rows, problem):
    assert refusal(tis.read_arrays, save(tmp_path / "a.npy", rows)) == f"{tmp_path}/a.npy, {problem}"


def test_a_file_that_is_none_is_told(tmp_path, refusal):
    (tmp_path / "a.npy").write_text("id\tsequence\n")
    assert refusal(tis.read_arrays, tmp_path / "a.npy").endswith("a.npy: no .npy file, expected one that numpy has saved")
    np.save(tmp_path / "b.npy", np.zeros(3))
    assert "an array of float64, expected one of arrays" in refusal(tis.read_arrays, tmp_path / "b.npy")
    whole = save(tmp_path / "c.npy", [[row("ACGT" * 20), "t1"]]).read_bytes()
    (tmp_path / "c.npy").write_bytes(whole[:-30])
    assert "c.npy: its pickle is damaged" in refusal(tis.read_arrays, tmp_path / "c.npy")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("id\tsequence\tsplit\n", "no column 'sites'; "),
        ("id\tsequence\tsites\tsplit\na\tACGR\t\tx\n", ", line 2: 'a' has the letter 'R'; expected A, C, G, T (U) or N"),
        ("id\tsequence\tsites\tsplit\na\tACG\t3\tx\n", ", line 2: 'a' has the site '3'; expected 0 to 2"),
        ("id\tsequence\tsites\tsplit\na\tACG\t\t../x\n", ", line 2: the split is '../x'; expected the name of a file"),
        ("id\tsequence\tsites\tsplit\na\tACG\t\t\n", ", line 2: the split is ''; expected the name of a file"),
        ("id\tsequence\tsites\tsplit\na\tACG\t-1\tx\n", ", line 2: 'a' has the site '-1'; expected 0 to 2"),
    ],
)
def test_a_table_that_cannot_go_back_is_told(tmp_path, refusal, table, problem):
    (tmp_path / "table.tsv").write_text(table)
    assert problem in refusal(lambda: list(tis.write_arrays(tmp_path / "table.tsv", tmp_path)))


def test_places_to_write_to_are_looked_at_first(tmp_path, refusal):
    one = save(tmp_path / "chr1.npy", [[row("A"), "a"]])
    assert "expected a name in .tsv or .tsv.gz" in refusal(lambda: list(tis.write_table([one], tmp_path / "all.csv")))
    list(tis.write_table([one], tmp_path / "all.tsv"))
    assert "is there and no folder" in refusal(lambda: list(tis.write_arrays(tmp_path / "all.tsv", one)))


def test_two_files_of_one_name_are_told(tmp_path, refusal):
    (tmp_path / "other").mkdir()
    files = [save(folder / "chr1.npy", [[row("A"), "a"]]) for folder in (tmp_path, tmp_path / "other")]
    assert "is called chr1 too" in refusal(lambda: list(tis.write_table(files, tmp_path / "all.tsv")))
    assert not (tmp_path / "all.tsv").exists()


@pytest.mark.nightly
@pytest.mark.skipif(not DATA.exists(), reason="real data are not here")
def test_the_files_of_four_chromosomes_are_read_whole_and_come_back(tmp_path):
    counts = {"chr18": (4497, 1532), "chr20": (5456, 2054), "chr22": (4996, 1968), "chrY": (816, 145)}
    files = [DATA / f"{name}.npy.gz" for name in counts]
    found = {split: (transcripts, sites) for split, transcripts, _, sites in tis.write_table(files, tmp_path / "all.tsv")}
    assert found == counts
    list(tis.write_arrays(tmp_path / "all.tsv", tmp_path))
    for path in files:
        before, after = tis.read_arrays(path), tis.read_arrays(tmp_path / path.with_suffix("").name)
        assert [(one.id, one.sequence, one.sites.tolist()) for one in before] == [
            (one.id, one.sequence, one.sites.tolist()) for one in after
        ]
