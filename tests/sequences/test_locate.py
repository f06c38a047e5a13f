"""Regions of a BED file are found by their place."""

import numpy as np
import pytest

from rnalm.config import Variants
from rnalm.sequences.contigs import Reference
from rnalm.sequences.locate import MOST_NAMES, Regions


@pytest.fixture
def located(tmp_path):
    def make(lines: list[str]) -> Regions:
        (tmp_path / "g.fa").write_text(f">chr1\n{100 * 'A'}\n>chr2\n{100 * 'C'}\n")
        (tmp_path / "genes.bed").write_text("".join(f"{line}\n" for line in lines))
        options = Variants(path=["v.vcf"], genome=str(tmp_path / "g.fa"), index=str(tmp_path))
        return Regions(tmp_path / "genes.bed", Reference(options))

    return make


def test_a_place_is_in_the_regions_that_it_overlaps_or_else_near_the_nearest(located):
    draw = np.random.default_rng(0)
    bounds = [sorted(map(int, draw.choice(100, 2, replace=False))) for _ in range(4)]
    regions = located([f"1\t{start}\t{end}\tg{number}" for number, (start, end) in enumerate(bounds)])
    for start in range(100):
        for end in (start, start + 1, start + 4):
            bases = range(start, max(end, start + 1))
            away = [min(abs(base - other) for base in bases for other in range(*own)) for own in bounds]
            told = ", ".join([f"g{number}" for number, own in enumerate(away) if own == min(away)][:MOST_NAMES])
            expected = {0: "", 1: " (next to it)"}.get(min(away), f" ({min(away)} bases away)")
            assert regions.name("chr1", start, end).replace(" and 1 more", "") == told + expected


def test_names_are_told_once_and_not_all_of_many(located):
    regions = located([f"chr1\t10\t20\t{name}" for name in ("a", "a", "b", "", "c", "d")])
    assert regions.name("chr1", 15, 16) == "a, b, chr1:11–20 and 2 more"


def test_a_contig_without_regions_has_none(located):
    regions = located(["chr1\t10\t20\ta", "elsewhere\t10\t20\tb"])
    assert regions.name("chr2", 15, 16) == ""


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["x\t1\t2", "y\t1\t2"], "genes.bed: none of its contigs (x, y) is in "),
        (["# nothing"], "genes.bed: no regions; expected contig, start and end, separated by tabs"),
        (["chr1\t1"], "genes.bed, line 1: found 'chr1\\t1', expected contig, start and end"),
    ],
)
def test_a_file_without_regions_of_the_genome_is_refused(located, refusal, lines, problem):
    assert problem in refusal(located, lines)
