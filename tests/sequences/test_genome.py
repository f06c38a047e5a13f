"""Windows of a genome: which are taken, which features they have, and what is refused."""

import gzip
import os
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rnalm.config.load import load
from rnalm.config.parts import read_source
from rnalm.sequences import sample
from rnalm.sequences.intervals import Stack, Union
from rnalm.sequences.read import classes, read_records
from rnalm.sequences.strands import reverse_complement


class Made:
    """A genome in a folder, and sources of it."""

    def __init__(self, folder: Path, contigs: dict[str, str]) -> None:
        self.folder, self.contigs = folder, contigs
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f">{name}\n" + "".join(f"{text[at : at + 60]}\n" for at in range(0, len(text), 60))
            for name, text in contigs.items()
        ]
        (folder / "g.fa").write_text("".join(lines))

    def bed(self, name: str, *rows: tuple) -> str:
        (self.folder / name).write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
        return str(self.folder / name)

    def source(self, **options):
        return read_source({"genome": str(self.folder / "g.fa"), "index": str(self.folder / "index"), **options})

    def read(self, **options) -> list:
        return list(read_records(self.source(**options)))


@pytest.fixture
def made(tmp_path):
    def make(**contigs: str) -> Made:
        draw = np.random.default_rng(0)
        default = {"chr1": "".join(draw.choice(list("ACGT"), 300)), "chr2": "".join(draw.choice(list("ACGT"), 130))}
        return Made(tmp_path, contigs or default)

    return make


def place(record) -> tuple[str, int, int]:
    """Take an id apart: contig, start, end."""
    contig, _, rest = record.id.removesuffix("(-)").rpartition(":")
    start, end = rest.split("-")
    return contig, int(start), int(end)


def test_a_window_is_what_stands_there(made):
    genome = made()
    for record in genome.read(sample={"method": "tiles", "step": 20}, length=50):
        contig, start, end = place(record)
        assert record.sequence == genome.contigs[contig][start:end]
        assert (record.split, end - start) == (contig, 50)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_a_bin_has_a_feature_if_so_many_of_its_bases_are_covered(tmp_path_factory, seed):
    draw = np.random.default_rng(seed)
    genome = Made(tmp_path_factory.mktemp("bins"), {"c": "ACGT" * 700})
    size, threshold = int(draw.integers(100, 1001)), round(float(draw.uniform(0.01, 1)), 2)
    starts = draw.integers(0, 2790, 60)
    rows = [
        ("c", start, min(2800, start + draw.integers(1, 400)), name)
        for start, name in zip(starts, draw.choice(list("xyz"), 60), strict=True)
    ]
    bed, names = genome.bed("f.bed", *rows), sorted({row[3] for row in rows})
    options = {"features": {"path": bed, "threshold": threshold, "thresholds": {names[-1]: 0.3}}, "length": 1000, "bin": size}
    records = genome.read(sample={"method": "random", "n": 40, "seed": 3}, **options)
    covered = {name: np.zeros(2800, bool) for name in names}
    for _, start, end, name in rows:
        covered[name][start:end] = True
    for record in records:
        _, start, _ = place(record)
        first = start + (1000 - size) // 2
        for name, label in zip(names, record.label, strict=True):
            share = Fraction("0.3") if name == names[-1] else Fraction(str(threshold))
            assert label == (covered[name][first : first + size].sum() >= max(1, share * size))


@pytest.mark.parametrize("most", [sample.MOST_PLACES, 0])
def test_every_position_is_as_likely_and_none_is_taken_twice(made, monkeypatch, most):
    monkeypatch.setattr(sample, "MOST_PLACES", most)
    genome = made(a="ACGTACGTACGTACGTACGTACGTACGTAC", b="ACGTACGTACGT")
    counts = Counter()
    for seed in range(300):
        found = [place(record) for record in genome.read(sample={"method": "random", "n": 6, "seed": seed}, length=10)]
        assert len(set(found)) == 6
        counts.update(found)
    every = {("a", start, start + 10) for start in range(21)} | {("b", start, start + 10) for start in range(3)}
    assert set(counts) == every, "the ends are reached, too"
    assert stats.chisquare([counts[one] for one in every]).pvalue > 0.001
    whole = genome.read(sample={"method": "random", "n": 24, "seed": 1}, length=10)
    assert {place(record) for record in whole} == every


def test_the_same_seed_draws_the_same_windows(made):
    genome = made()
    options = {"length": 20, "strand": "random"}
    first, again, other = (
        [(one.id, one.sequence) for one in genome.read(sample={"n": 30, "seed": seed}, **options)] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert any(name.endswith("(-)") for name, _ in first)
    assert any(not name.endswith("(-)") for name, _ in first)


def test_windows_of_other_groups_and_splits_do_not_overlap(made):
    genome = made()
    records = genome.read(sample={"n": 40, "seed": 2}, length=12, contigs={"parts": 3}, strand="both")
    assert {record.split for record in records} == {f"chr{k}.{part}" for k in (1, 2) for part in (1, 2, 3)}
    places = [place(record) for record in records]
    for one, (contig, start, end) in zip(records, places, strict=True):
        for other, (contig2, start2, end2) in zip(records, places, strict=True):
            overlap = contig == contig2 and start < end2 and start2 < end
            assert one.group == other.group or not overlap
            assert one.split == other.split or not overlap
    assert 1 < len({record.group for record in records}) < 40


def test_both_strands_are_one_place(made):
    records = made().read(sample={"n": 5, "seed": 1}, length=9, strand="both")
    assert len(records) == 10
    for plus, minus in zip(records[::2], records[1::2], strict=True):
        assert minus.id == f"{plus.id}(-)"
        assert minus.sequence == reverse_complement(plus.sequence, rna=False)
        assert minus.group == plus.group


def test_regions_are_windows_around_their_middle_or_as_they_are(made, caplog):
    genome = made()
    rows = [("chr1", 100, 101, "r1", 0, "+"), ("chr1", 100, 101, "r2", 0, "-"), ("chr1", 60, 80, "r3", 0, "."), ("chr2", 2, 4)]
    bed = genome.bed("r.bed", *rows, ("chr1", 100, 101, "again", 0, "+"))
    options = {"sample": {"method": "regions", "path": bed}}
    records = genome.read(**options, length=21)
    assert [record.id for record in records] == ["chr1:60-81", "chr1:90-111", "chr1:90-111(-)"]
    assert [record.description for record in records] == ["r3", "r1", "r2"]
    assert "1 of 5 windows are left out: 1 leave their contig, or its part" in caplog.text
    assert "1 regions give a window that another one gives; each is taken once" in caplog.text
    features = {"path": genome.bed("f.bed", ("chr1", 70, 101, "x"), ("chr2", 0, 9, "y")), "thresholds": {"x": 0.6}}
    whole = genome.read(**options, features=features)
    assert [place(record)[1:] for record in whole] == [(60, 80), (100, 101), (100, 101), (2, 4)]
    assert [record.label.tolist() for record in whole] == [[0, 0], [1, 0], [1, 0], [0, 1]]


def test_data_sets_of_selene_have_their_labels(made, refusal):
    genome = made()
    bed = genome.bed("s.bed", ("chr1", 10, 30, "+", "0;2"), ("chr1", 40, 60, "-", ""), ("chr2", 5, 25, "-", "1"))
    options = {"sample": {"method": "regions", "path": bed}, "length": 20, "features": {"classes": ["x", "y", "z"]}}
    records = genome.read(**options)
    assert [record.id for record in records] == ["chr1:10-30", "chr1:40-60(-)", "chr2:5-25(-)"]
    assert [record.label.tolist() for record in records] == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    message = refusal(genome.read, **{**options, "features": {"classes": ["x", "y"]}})
    assert message.endswith("s.bed: region 1 has the label '2', expected numbers from 0 to 1, separated by ';'")


def test_a_saved_window_that_is_given_twice_has_the_same_labels(made, refusal, caplog):
    genome = made()
    rows = [("chr1", 40, 60, "+", "0"), ("chr1", 10, 30, "+", "0;2"), ("chr1", 10, 30, "-", "1"), ("chr1", 12, 28, "+", "2;0")]

    def read(*more: tuple) -> list:
        sample = {"method": "regions", "path": genome.bed("s.bed", *rows, *more)}
        return genome.read(sample=sample, length=20, features={"classes": ["x", "y", "z"]})

    # The fourth is centred where the second is; on the other strand is another window.
    records = read()
    assert sorted(record.id for record in records) == ["chr1:10-30", "chr1:10-30(-)", "chr1:40-60"]
    assert "s.bed: 1 regions give a window that another one gives; each is taken once" in caplog.text
    message = refusal(read, ("chr1", 41, 59, "+", "0;1"))
    expected = "regions 1 and 5 give the same window, with other labels; expected one of them, or the same labels"
    assert message == f"{genome.folder}/s.bed: {expected}"
    assert "other labels (and 1 more such regions); " in refusal(read, ("chr1", 41, 59, "+", ""), ("chr1", 40, 60, "+", "2"))


def test_intervals_give_a_window_each_or_so_many_around_their_bases(made):
    genome = made()
    bed = genome.bed("i.bed", ("chr1", 100, 110), ("chr1", 105, 120), ("chr1", 0, 4), ("chr2", 50, 51))
    middles = [place(record)[1] + 5 for record in genome.read(sample={"method": "intervals", "path": bed}, length=10)]
    assert middles == [105, 112, 50]
    drawn = [place(one) for one in genome.read(sample={"method": "intervals", "path": bed, "n": 21, "seed": 0}, length=10)]
    assert sorted((contig, start + 5) for contig, start, _ in drawn) == [
        *(("chr1", at) for at in range(100, 120)),
        ("chr2", 50),
    ]


def test_windows_without_a_class_can_be_left_out(made):
    genome = made()
    bed = genome.bed("f.bed", ("chr1", 50, 90, "x"))
    features = {"path": bed, "threshold": 0.5}
    records = genome.read(sample={"n": 12, "negatives": False, "seed": 1}, length=10, features=features)
    assert all(record.label.tolist() == [1] for record in records)
    assert len(records) == 12


def test_what_is_blacklisted_or_unknown_is_not_sampled(made):
    genome = made(c="ACGT" * 10 + "N" * 10 + "ACGR" * 10)
    black = genome.bed("b.bed", ("c", 70, 72))
    records = genome.read(sample={"method": "tiles", "step": 1}, length=10, blacklist=black, max_unknown=0.3)
    starts = {place(record)[1] for record in records}
    text = genome.contigs["c"]
    expected = {
        start
        for start in range(len(text) - 9)
        if sum(letter not in "ACGT" for letter in text[start : start + 10]) <= 3 and not (start < 72 and start + 10 > 70)
    }
    assert starts == expected


def test_contigs_match_with_and_without_chr_and_patterns_choose_them(made, caplog):
    caplog.set_level("INFO")
    genome = Made(made().folder, {"1": "ACGT" * 20, "chr2": "ACGT" * 20, "3_alt": "ACGT" * 20})
    bed = genome.bed("f.bed", ("chr1", 0, 80, "x"), ("2", 0, 80, "y"), ("chr3_alt", 0, 5, "x"))
    options = {"sample": {"method": "tiles", "step": 40}, "length": 40, "features": {"path": bed}}
    records = genome.read(**options)
    assert [(record.split, record.label.tolist()) for record in records[::2]] == [("1", [1, 0]), ("chr2", [0, 1])]
    assert "contigs are called as in" in caplog.text
    assert "1 contigs are passed over (source.contigs), such as 3_alt" in caplog.text
    chosen = genome.read(**options | {"contigs": {"include": ["chr*_alt"], "exclude": []}})
    assert {record.split for record in chosen} == {"3_alt"}


def test_lower_case_is_read_as_upper_case_and_counts_as_known(made):
    genome = made(c="acgtacgtnnACGTACGT")
    [record, *_] = genome.read(sample={"method": "tiles", "step": 9}, length=9, max_unknown=0.2)
    assert record.sequence == "ACGTACGTN"
    assert genome.read(sample={"method": "tiles", "step": 9}, length=9, case="keep")[0].sequence == "acgtacgtn"


@pytest.mark.parametrize("how", ["plain", "gzip", "bgzip"])
def test_an_index_is_made_elsewhere(made, how):
    genome = made()
    expected = [record.sequence for record in genome.read(sample={"n": 9, "seed": 1}, length=30)]
    own = genome.folder / "user"
    own.mkdir()
    path = own / ("g.fa" if how == "plain" else "g.fa.gz")
    if how == "gzip":
        path.write_bytes(gzip.compress((genome.folder / "g.fa").read_bytes()))
    elif how == "bgzip":
        pysam.tabix_compress(str(genome.folder / "g.fa"), str(path))
    else:
        path.write_bytes((genome.folder / "g.fa").read_bytes())
    source = {"genome": str(path), "index": str(genome.folder / "other"), "sample": {"n": 9, "seed": 1}, "length": 30}
    for _ in range(2):
        assert [record.sequence for record in read_records(read_source(source))] == expected
    assert [one.name for one in own.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b">a\nACGT\nAC\nACGT\n",
            ": line 3 is shorter than others of its contig, and it cannot be indexed; expected lines of one",
        ),
        (b">a\nACGT\n\nACGT\n", ": line 3 is shorter than others of its contig, and it cannot be indexed; "),
        (
            b">a\nACGT\n>b\nAC\nACGT\n",
            ": line 5 is longer, and it cannot be indexed; expected lines of one length but for the last",
        ),
        (b"ACGT\n>a\nACGT\n", ", line 1: found 'ACGT', expected a header that begins with '>'"),
        (b"", ": there is nothing in it; expected FASTA"),
    ],
)
def test_what_cannot_be_indexed_is_told_in_one_line_of_ours(made, refusal, capfd, content, message):
    genome = made()
    (genome.folder / "g.fa").write_bytes(content)
    found = refusal(genome.read, sample={"method": "tiles", "step": 2}, length=2)
    assert found.startswith(f"{genome.folder}/g.fa{message}")
    assert capfd.readouterr().err == ""


def test_a_bad_index_is_told_in_one_line_of_ours(made, refusal, capfd):
    genome = made()
    (genome.folder / "g.fa.fai").write_text("nonsense\n")
    found = refusal(genome.read, sample={"method": "tiles", "step": 2}, length=2)
    assert found.startswith(f"{genome.folder}/g.fa: cannot be read as FASTA with the index {genome.folder}/g.fa.fai (")
    assert capfd.readouterr().err == ""


def test_contigs_of_one_name_are_told(made, caplog):
    genome = made()
    (genome.folder / "g.fa").write_text(">a\nACGT\n>a\nGGGG\n>b\nTTTT\n")
    assert [record.sequence for record in genome.read(sample={"method": "tiles", "step": 4}, length=4)] == ["ACGT", "TTTT"]
    assert "g.fa: contigs that are called like one before them are not read: 1" in caplog.text


def test_genomes_of_one_name_and_what_they_were_before_are_told_apart(made):
    genome, sample = made(), {"method": "tiles", "step": 50}
    for name, letters in (("one", "AC"), ("two", "GT")):
        (genome.folder / name).mkdir()
        packed = gzip.compress(f">c\n{letters * 50}\n".encode())
        (genome.folder / name / "g.fa.gz").write_bytes(packed)
        (genome.folder / name / "g.fa").write_text(f">c\n{letters * 50}\n")
    for end in ("fa", "fa.gz"):
        for name, letters in (("one", "AC"), ("two", "GT")):
            source = {"genome": str(genome.folder / name / f"g.{end}"), "index": str(genome.folder / "index")}
            records = list(read_records(read_source(source | {"sample": sample, "length": 50})))
            assert [record.sequence for record in records] == [letters * 25] * 2
    changed = genome.folder / "one/g.fa"
    changed.write_text(f">another\n{'TTTTT' * 30}\n")
    os.utime(changed, (1, 1))  # older than what was made of it before
    source = {"genome": str(changed), "index": str(genome.folder / "index"), "sample": sample, "length": 50}
    assert [record.split for record in read_records(read_source(source))] == ["another"] * 3


def test_intervals_of_contigs_that_are_passed_over_are_counted(made, caplog):
    genome = made()
    bed = genome.bed("r.bed", ("chr1", 0, 30), ("chr2", 0, 30), ("chr2", 40, 70))
    records = genome.read(sample={"method": "regions", "path": bed}, contigs={"exclude": ["chr2"]})
    assert len(records) == 1
    assert "r.bed: 2 of 3 intervals are on contigs that are passed over (source.contigs)" in caplog.text


def test_scores_of_a_bed_file_are_no_labels(made, refusal):
    genome = made()
    bed = genome.bed("r.bed", ("chr1", 0, 30, "peak7", 0, "+"))
    message = refusal(genome.read, sample={"method": "regions", "path": bed}, length=20, features={"classes": ["x", "y"]})
    assert (
        "r.bed: found 'peak7' in the fourth column, expected a strand, and numbers of classes in the fifth, as Selene"
        in message
    )


def test_classes_may_stand_in_a_file(made, refusal):
    genome = made()
    bed = genome.bed("f.bed", ("chr1", 0, 9, "b"), ("chr1", 0, 9, "a"), ("chr1", 0, 9, "c"))
    (genome.folder / "names.txt").write_text("c\na\n\n")
    rest = {"sample": {"n": 1}, "length": 9}
    assert classes(genome.source(features={"path": bed, "classes": str(genome.folder / "names.txt")}, **rest)) == ["c", "a"]
    assert classes(genome.source(features={"path": bed, "classes": "all"}, **rest)) == ["a", "b", "c"]
    (genome.folder / "names.txt").write_text("c\nc\n")
    source = genome.source(features={"path": bed, "classes": str(genome.folder / "names.txt")}, **rest)
    assert refusal(classes, source).endswith("names.txt: the class 'c' is named twice")


@pytest.mark.parametrize(
    ("bed", "options", "message"),
    [
        ([("chr9", 0, 9, "x")], {}, "f.bed: has the contig 'chr9', which "),
        (
            [("chr1", 250, 301, "x")],
            {},
            "chr1:250-301 reaches beyond the contig, of 300 bases; is it of another version of the",
        ),
        ([("chr1", 9, 9, "x")], {}, "f.bed: the interval chr1:9-9 ends before it begins, or at once"),
        (
            [("chr1", "a", 9, "x")],
            {},
            "f.bed, line 1: found 'chr1\\ta\\t9\\tx', expected contig, start and end, separated by tabs",
        ),
        ([("chr1", 0, 9)], {}, "f.bed: names no class; expected contig, start, end and class, separated by tabs"),
        ([("chr1", 0, 9, "x")], {"classes": []}, "source.features.classes: names no class; expected one or more"),
        ([("chr1", 0, 9, "x")], {"classes": ["x", "Reb1"]}, "f.bed: no interval is of the class 'Reb1'; valid: x"),
        ([("chr1", 0, 9, "Reb1")], {"thresholds": {"Rep1": 0.1}}, "thresholds: 'Rep1' is no class; did you mean 'Reb1'?"),
    ],
)
def test_features_that_do_not_fit_are_refused(made, refusal, bed, options, message):
    genome = made()
    features = {"path": genome.bed("f.bed", *bed)} | options
    assert message in refusal(genome.read, sample={"n": 3}, length=20, features=features)


def test_classes_on_contigs_that_are_passed_over_are_told(made, refusal, caplog):
    genome = made()
    bed = genome.bed("f.bed", ("chr1", 2, 9, "x"), ("chr2", 2, 9, "y"))
    options = {"sample": {"n": 3}, "length": 20, "features": {"path": bed, "classes": ["x", "y"]}}
    genome.read(**options, contigs={"include": ["chr1"]})
    assert "f.bed: all intervals of y are on contigs that are passed over (source.contigs): no window is of" in caplog.text
    only = options | {"features": {"path": bed, "classes": ["y"]}, "contigs": {"include": ["chr1"]}}
    assert "all intervals of y are on contigs that are passed over" in refusal(genome.read, **only)


def test_points_can_be_widened_and_rare_classes_left_out(made):
    genome = made()
    bed = genome.bed("f.bed", ("chr1", 2, 3, "x"), ("chr1", 40, 41, "x"), ("chr1", 50, 51, "y"))
    features = {"path": bed, "widen": 5, "threshold": 0.5}
    records = genome.read(sample={"method": "tiles", "step": 10}, length=10, features=features)
    assert [record.label.tolist() for record in records[:7]] == [[1, 0], [0, 0], [0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
    few = genome.source(sample={"n": 1}, length=10, features=features | {"least_intervals": 2})
    assert classes(few) == ["x"]


def test_lines_of_a_browser_are_passed_over(made):
    genome = made()
    (genome.folder / "f.bed").write_text("track name=x\n# a comment\n\nchr1\t0\t100\tx\nchr1\t5\t10\ty\tmore\n")
    records = genome.read(sample={"method": "tiles", "step": 20}, length=20, features={"path": str(genome.folder / "f.bed")})
    assert records[0].label.tolist() == [1, 0]


def test_an_index_that_is_older_than_its_genome_is_refused(made, refusal):
    genome = made()
    pysam.faidx(str(genome.folder / "g.fa"))
    os.utime(genome.folder / "g.fa.fai", (1, 1))
    message = refusal(genome.read, sample={"n": 3}, length=20)
    assert message.startswith(f"{genome.folder}/g.fa.fai: older than {genome.folder}/g.fa; index it anew")


def test_more_windows_than_there_are_cannot_be_drawn(made, refusal):
    message = refusal(made(c="ACGT" * 5 + "N" * 20).read, sample={"n": 30, "seed": 1}, length=10)
    assert "source.sample.n: 30 windows are wanted, and 14 were found in " in message
    assert message.endswith("of the places that were tried, 17 have too many unknown letters")
    message = refusal(made(c="ACGT").read, sample={"method": "tiles", "step": 3}, length=10)
    assert message.endswith("g.fa: no window can be taken: a window has 10 bases, and the longest contig or part, c, 4")
    message = refusal(made(c_1="ACGT").read, sample={"method": "tiles", "step": 3}, length=10)
    assert "source.contigs (include None, exclude ['*_*']) leaves none of c_1" in message


def test_why_no_window_was_found_is_told(made, refusal):
    genome = made(a="ACGT" * 5, b="ACGT" * 3)

    def why(**options) -> str:
        return refusal(genome.read, **options).partition("were found in ")[2].partition("g.fa; ")[2]

    sample, all_of_it = {"n": 3, "seed": 1}, genome.bed("all.bed", ("a", 0, 20), ("b", 0, 12))
    assert why(sample=sample, length=30) == "a window has 30 bases, and the longest contig or part, a, 20"
    halves = {"contigs": {"parts": 2}, "length": 12}
    assert why(sample=sample, **halves) == "a window has 12 bases, and the longest contig or part, a.1, 10"
    assert why(sample=sample, length=10, blacklist=all_of_it) == "of the places that were tried, 14 touch the blacklist"
    assert why(sample={"n": 30, "seed": 1}, length=10) == "there are 14 places for them"
    intervals = {"method": "intervals", "path": all_of_it}
    assert why(sample={**sample, **intervals}, length=30) == "a window has 30 bases, and the longest contig or part, a, 20"
    other = {"method": "intervals", "path": genome.bed("other.bed", ("x_1", 0, 20))}
    assert why(sample={**sample, **other}, length=5) == f"none of {other['path']} is on a contig that is read"
    message = refusal(genome.read, sample={"method": "regions", "path": other["path"]}, length=5)
    assert message.endswith(f"g.fa: no window can be taken: none of {other['path']} is on a contig that is read")
    message = refusal(genome.read, sample={"method": "tiles", "step": 3}, length=10, blacklist=all_of_it)
    assert message.endswith("g.fa: no window can be taken: 5 touch the blacklist")


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12),
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 30)), min_size=1),
)
def test_unions_count_each_base_once(rows, asked):
    covered = np.zeros(200, bool)
    for start, length in rows:
        covered[start : start + length] = True
    start, length = np.array(rows, int).reshape(-1, 2).T
    union = Union.of(start, start + length)
    first, size = np.array(asked).T
    expected = [covered[a : a + b].sum() for a, b in asked]
    assert union.covered(first, first + size).tolist() == expected
    assert (union.start[1:] > union.end[:-1]).all()


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.integers(0, 2)), min_size=1, max_size=20),
    st.lists(st.integers(0, 70), min_size=1).map(sorted),
    st.integers(1, 30),
)
def test_overlaps_of_several_classes_are_all_that_there_are(rows, starts, size):
    covered = np.zeros((3, 200), bool)
    for start, length, of in rows:
        covered[of, start : start + length] = True
    each = {of: np.array([(a, a + n) for a, n, own in rows if own == of]).T for _, _, of in rows}
    stack = Stack.on([(of, Union.of(*own)) for of, own in each.items()])
    window, of, bases = stack.overlaps(np.array(starts), np.array(starts) + size)
    assert (bases > 0).all()
    found = np.zeros((len(starts), 3), int)
    np.add.at(found, (window, of), bases)
    assert found.tolist() == [covered[:, start : start + size].sum(axis=1).tolist() for start in starts]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": {"method": "tiles"}}, "source.sample.step is missing, which tiles needs"),
        ({"sample": {"n": 3, "step": 2}}, "source.sample.step is not for method random; expected none"),
        ({"sample": {"method": "rndom"}}, "source.sample.method: found 'rndom'; did you mean 'random'?"),
        ({"length": None}, "source.length is missing: bases of a window; only regions can have lengths of their own"),
        ({"bin": 0, "features": {"path": "f.bed"}}, "source.bin: found 0; expected a number of bases, 1 or more"),
        ({"bin": 400, "features": {"path": "f.bed"}}, "source.bin: 400 bases are more than a window has, 300"),
        (
            {"bin": [200, 301], "features": {"path": "f.bed"}},
            "source.bin: found [200, 301]; expected a start and an end within a window, 0 to 300",
        ),
        (
            {"sample": {"n": 3, "negatives": False}},
            "source.sample.negatives: without features all windows are without a class;",
        ),
        (
            {"features": {"classes": ["x"]}},
            "source.features: path is missing; or, for regions with labels as Selene saves them,",
        ),
        (
            {"features": {"path": "f.bed", "tresholds": {}}},
            "unknown key 'source.features.tresholds'; did you mean 'thresholds'?",
        ),
        ({"bin": 100}, "source.bin: the part that features must cover, of which there are none; expected features, or no bin"),
        (
            {"features": {"path": "f.bed", "classes": ["x"], "least_intervals": 3}},
            "source.features.least_intervals: which of all classes are taken; expected none where classes are named",
        ),
        (
            {"features": {"classes": ["x"], "widen": 3}, "sample": {"method": "regions", "path": "r.bed"}},
            "source.features.widen: how intervals are counted; expected none where path names no intervals",
        ),
        ({"blaclist": "b.bed"}, "unknown key 'source.blaclist'; did you mean 'blacklist'?"),
    ],
)
def test_what_a_genome_cannot_have_is_told_with_its_key(refusal, changes, message):
    source = {"genome": "g.fa", "sample": {"n": 3}, "length": 300} | changes
    assert message in refusal(load, {"output": "o", "task": "multilabel", "finetune": {"metric": "pr_auc"}, "source": source})


def test_features_need_several_classes_and_training_needs_features(refusal):
    source = {"genome": "g.fa", "sample": {"n": 3}, "length": 300}
    message = refusal(load, {"output": "o", "source": source | {"features": {"path": "f.bed"}}})
    assert message == "config: source.features: each feature is a class by itself; expected task: multilabel, found regression"
    message = refusal(load, {"output": "o", "task": "multilabel", "finetune": {"metric": "pr_auc"}, "source": source})
    assert message == "config: source.features is missing: training needs labels"
