"""The list of alleles on haplotypes: a row for each that has one, and why others have none."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pysam
import pysam.bcftools
import pytest

from rnalm.config import Variants
from rnalm.sequences import alleles as listing
from rnalm.sequences.alleles import list_file
from rnalm.sequences.edited import Change
from rnalm.sequences.haplotypes import applied
from rnalm.sequences.neighbours import Neighbours
from rnalm.sequences.vcf import lines

DATA = Path("data/genome/human20")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the genomes in data/")
GENOME = "".join(np.random.default_rng(0).choice(list("ACGT"), 400))
OTHER = dict(zip("ACGT", "CGTA", strict=True))
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA1\tNA2\n"


def snv(pos: int, *calls: str, chrom: str = "z", keys: str = "GT") -> str:
    letter = GENOME[pos - 1]
    return record(pos, letter, OTHER[letter], *calls, chrom=chrom, keys=keys)


def record(pos: int, ref: str, alt: str, *calls: str, chrom: str = "z", keys: str = "GT") -> str:
    return "\t".join([chrom, str(pos), ".", ref, alt, ".", ".", ".", keys, *calls]) + "\n"


@pytest.fixture
def listed(tmp_path):
    def make(*records: str, samples=("NA1", "NA2"), header=HEADER, **options) -> pd.DataFrame:
        (tmp_path / "g.fa").write_text(f">z\n{GENOME}\n>y\n{GENOME}\n")
        (tmp_path / "v.vcf").write_text(header + "".join(records))
        given = {"path": str(tmp_path / "v.vcf"), "genome": str(tmp_path / "g.fa"), "index": str(tmp_path), "length": 31}
        list_file(Variants(**given | {"phased": list(samples)} | options), tmp_path / "alleles.parquet")
        return pq.read_table(tmp_path / "alleles.parquet").to_pandas().astype(object)

    return make


def told(table: pd.DataFrame, *names: str) -> list[tuple]:
    return [tuple(None if pd.isna(value) else value for value in row) for row in table[list(names)].to_numpy().tolist()]


def test_each_haplotype_with_an_allele_has_a_row(listed, caplog):
    table = listed(snv(50, "0|1", "0|0"), snv(60, "1/1", "./."), snv(70, "0|0", "0|0"), snv(80, "0/1", "1|0"))
    assert told(table, "pos", "sample", "haplotype", "reason") == [
        (50, "NA1", 2, None),
        (60, "NA1", 1, None),
        (60, "NA1", 2, None),
        (60, "NA2", None, "no genotype (.)"),
        (80, "NA1", None, "heterozygous, and not phased (/)"),
        (80, "NA2", 1, None),
    ]
    said = "2 of 6 alleles of haplotypes are not scored (NA.tsv): no genotype (.) (1), heterozygous, and not phased (/) (1)"
    assert said in caplog.text


def test_each_alternative_allele_stands_on_its_own_haplotype(listed):
    first, second = [letter for letter in "ACGT" if letter != GENOME[49]][:2]
    table = listed(record(50, GENOME[49], f"{first},{second}", "1|2", "2|2"))
    assert told(table, "alt", "sample", "haplotype") == [
        *((first, "NA1", 1), (second, "NA1", 2)),
        *((second, "NA2", 1), (second, "NA2", 2)),
    ]


def test_of_overlapping_alleles_of_a_haplotype_the_first_stands_and_others_are_told(listed, caplog):
    table = listed(record(50, GENOME[49:53], GENOME[49], "1|0", "0|1"), snv(52, "1|1", "0|0"), snv(53, "1|0", "0|0"))
    overlaps = "overlaps an allele of the haplotype that comes before it"
    assert told(table, "pos", "sample", "haplotype", "reason") == [
        *((50, "NA1", 1, None), (50, "NA2", 2, None)),
        *((52, "NA1", 1, overlaps), (52, "NA1", 2, None), (53, "NA1", 1, overlaps)),
    ]
    assert f"{overlaps} (2)" in caplog.text


def test_phase_sets_are_those_of_the_file(listed):
    records = [snv(50, "0|1:7", "0|1", keys="GT:PS"), snv(60, "1|1:9", "1|0:.", keys="GT:PS")]
    assert told(listed(*records), "phase") == [("7",), (".",), (None,), (None,), (".",)]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([snv(60, "0|1", "0|1"), snv(50, "0|1", "0|1")], "v.vcf, line 4: phased: z:50 comes behind z:60; expected records in"),
        (
            [snv(50, "0|1", "0|1"), snv(50, "0|1", "0|1", chrom="y"), snv(60, "0|1", "0|1")],
            "v.vcf, line 5: phased: contig 'z' comes again; expected records in order, as bcftools sort puts them",
        ),
        ([snv(50, "0|x", "0|1")], "v.vcf, line 3: the genotype of NA1 is '0|x', expected numbers between | or /, as 0|1"),
        ([snv(50, "0|2", "0|1")], "line 3: the genotype of NA1 is '0|2', and the record has alleles 0 to 1"),
        ([snv(50, "0|1")], "v.vcf, line 3: has 10 fields, expected 11 or more, for its samples"),
        ([snv(50, "0|0", "0|0")], "v.vcf: phased: of 1 alternative alleles none is carried by NA1, NA2"),
        ([snv(50, "1|1", "0|0", chrom="x")], "none of the contigs (x) is in "),
    ],
)
def test_what_is_wrong_is_told_in_one_line(listed, refusal, records, message):
    assert message in refusal(listed, *records)


def test_samples_that_a_file_has_not_are_refused(listed, refusal):
    assert "v.vcf: phased: has no sample 'NA3'; did you mean 'NA2'? (valid: NA1, NA2)" in refusal(
        listed, snv(50, "0|1", "0|1"), samples=["NA3"]
    )
    problem = "v.vcf: phased: has no samples; expected a VCF file with genotypes of NA1"
    assert problem in refusal(listed, f"z\t50\t{GENOME[49]}\tN\n", samples=["NA1"], header="chrom\tpos\tref\talt\n")
    assert problem in refusal(listed, "z\t50\t.\tA\tC\n", samples=["NA1"], header="")


def test_neighbours_are_all_alleles_near_whichever_row_group_they_stand_in(listed, tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "GROUP", 5)
    draw = np.random.default_rng(1)
    records = []
    for chrom in ("z", "y"):
        for pos in range(20, 380, 3):
            calls = draw.choice(["0|1", "1|0", "1|1", "0/1", "0|0"], 2)
            size = int(draw.choice([1, 1, 1, 3, 40]))
            letters = GENOME[pos - 1 : pos - 1 + size]
            alt = OTHER[letters] if size == 1 else letters[0]
            records.append(record(pos, letters, alt, *calls, chrom=chrom))
    table = listed(*records)
    near = Neighbours(str(tmp_path / "alleles.parquet"))
    for low, high in ((0, 400), (100, 101), (200, 260), (90, 130)):
        for chrom, sample in (("z", "NA2"), ("y", "NA1")):
            own = table[(table["chrom"] == chrom) & (table["sample"] == sample)]
            scored = own["reason"].isna()
            start = own["start"].where(scored, own["pos"] - 1)
            end = start + own["goes"].where(scored, own["ref"]).str.len()
            expected = sorted(zip(start[(start <= high) & (end >= low)], end[(start <= high) & (end >= low)], strict=True))
            found = near.near(chrom, sample, low, high)
            assert sorted((one.start, one.end) for one in found) == expected
            assert [one.start for one in found] == sorted(one.start for one in found)


def test_a_contig_may_go_on_in_a_further_file(listed, tmp_path, refusal):
    paths = [str(tmp_path / name) for name in ("b.vcf", "v.vcf")]
    (tmp_path / "b.vcf").write_text(HEADER + snv(50, "0|1", "0|0") + snv(60, "1|1", "0|0"))
    table = listed(snv(60, "1|0", "0|0"), snv(70, "1|0", "0|0"), path=paths)
    assert told(table, "pos", "haplotype") == [(50, 2), (60, 1), (60, 2), (60, 1), (70, 1)]
    assert table["reason"].notna().tolist() == [False, False, False, True, False], "one allele overlaps itself"
    assert "v.vcf, line 3: phased: z:55 comes behind z:60; expected" in refusal(listed, snv(55, "1|0", "0|0"), path=paths)


def test_what_is_held_does_not_grow_with_the_number_of_alleles(listed, tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "GROUP", 16)
    listed(*(snv(pos, "0|1", "1|1") for pos in range(20, 380, 2)))
    near, most = Neighbours(str(tmp_path / "alleles.parquet")), 0
    for block in near.file.iter_batches(batch_size=16):
        near.prepare(block, 20)
        for row in block.to_pylist():
            found = near.near(row["chrom"], row["sample"], row["start"] - 10, row["start"] + 10)
            assert {own.start for own in found} == set(range(max(19, row["start"] - 10), min(379, row["start"] + 11), 2))
            most = max(most, sum(map(len, near.loaded.found.values())))
    assert most < 200 < near.file.metadata.num_rows
    assert near.group.cache_info().currsize <= 2


def test_neighbours_are_found_where_they_were_moved(listed, tmp_path):
    run = next(at for at in range(50, 300) if GENOME[at - 1] != GENOME[at] == GENOME[at + 1] == GENOME[at + 2])
    table = listed(record(run + 2, GENOME[run + 1 : run + 3], GENOME[run + 1], "1|0", "0|0"))
    assert told(table, "pos", "start") == [(run + 2, run)]
    near = Neighbours(str(tmp_path / "alleles.parquet"))
    assert [own.start for own in near.near("z", "NA1", run - 5, run)] == [run]
    assert not near.near("z", "NA1", run + 2, run + 5)


@needs_data
@pytest.mark.slow
def test_real_alleles_with_drawn_genotypes_give_the_chromosomes_of_bcftools(tmp_path):
    draw, (folder, records) = np.random.default_rng(0), (tmp_path, [])
    for line in lines(DATA / "z.vcf.gz"):
        fields = line.split("\t")
        if not line.startswith("#") and not set(fields[4]) & set("<["):
            alleles = len(fields[4].split(",")) + 1
            call = "|".join(map(str, draw.integers(0, alleles, 2)))
            records.append("\t".join([*fields[:5], ".", ".", ".", "GT", call]))
    header = "##fileformat=VCFv4.2\n##contig=<ID=z,length=1000000>\n"
    header += '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    header += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA1\n"
    (folder / "v.vcf").write_text(header + "".join(f"{record}\n" for record in records))
    with gzip.open(DATA / "z.fa.gz", "rt") as file:
        (folder / "z.fa").write_text(file.read())
    genome = "".join((folder / "z.fa").read_text().split("\n")[1:]).upper()
    path = pysam.tabix_index(str(folder / "v.vcf"), preset="vcf", force=True)
    options = Variants(path=path, genome=str(folder / "z.fa"), index=str(folder), length=31, phased="NA1")
    list_file(options, folder / "alleles.parquet")
    table = pq.read_table(folder / "alleles.parquet").to_pandas()
    overlapping = table["reason"].notna()
    assert 0 < overlapping.sum() < 0.02 * len(table)
    for haplotype in (1, 2):
        own = table[(table["haplotype"] == haplotype) & ~overlapping].sort_values(["start"], kind="stable")
        changes = [Change(*row) for row in zip(own["start"].astype(int), own["goes"], own["comes"], strict=True)]
        assert len(changes) > 13_000
        fasta = pysam.bcftools.consensus("-f", str(folder / "z.fa"), "-s", "NA1", "-H", f"{haplotype}", path)
        wanted = "".join(str(fasta).split("\n")[1:]).upper()
        assert applied(changes, 0, len(genome), lambda first, after: genome[first:after]) == wanted
