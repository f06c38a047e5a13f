import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "config" / "demo"


@pytest.fixture(scope="module")
def demo() -> dict:
    return runpy.run_path(str(FOLDER / "make_demo.py"))


def test_the_generator_makes_the_demo_that_is_here(demo, tmp_path):
    demo["write"](tmp_path)
    for name in ("mrna.tsv", "planted.bed"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_motifs_are_where_the_bed_file_says_and_shorten_half_lives(demo):
    by_count: dict[int, list[float]] = {}
    for _, _, hours, _, tokens, begins in demo["transcripts"](800, seed=1):
        assert {"".join(tokens[begin : begin + 8]) for begin in begins} <= {demo["MOTIF"]}
        by_count.setdefault(len(begins), []).append(hours)
    means = [sum(hours) / len(hours) for _, hours in sorted(by_count.items())]
    assert means[0] > 2 * means[1] > 4 * means[2]
