import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "config" / "demo"


@pytest.fixture(scope="module")
def demo() -> dict:
    return runpy.run_path(str(FOLDER / "make_demo.py"))


@pytest.mark.parametrize("name", ["mrna.tsv", "planted.bed"])
def test_the_generator_makes_the_demo_that_is_here(demo, tmp_path, name):
    demo["write"](tmp_path)
    assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_motifs_are_where_the_bed_file_says(demo):
    for _, _, _, _, tokens, begins in demo["transcripts"](50, seed=1):
        for begin in begins:
            assert "".join(tokens[begin : begin + 8]) == demo["MOTIF"]


def test_motifs_shorten_half_lives(demo):
    by_count: dict[int, list[float]] = {}
    for _, _, hours, _, _, begins in demo["transcripts"](800, seed=1):
        by_count.setdefault(len(begins), []).append(hours)
    means = [sum(hours) / len(hours) for _, hours in sorted(by_count.items())]
    assert means[0] > 2 * means[1] > 4 * means[2]
