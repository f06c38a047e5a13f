"""A section of variants says what is written of each file, under names that differ."""

import pytest
from pydantic import ValidationError

from rnalm.config import Variants
from rnalm.config.load import load
from rnalm.errors import RnalmError

GIVEN = {"genome": "g.fa", "length": 9}


def test_each_file_has_those_of_selene_for_each_score():
    section = Variants(
        **GIVEN, path=["x/a.b.vcf.gz", "c.bcf"], scores=["predictions", "diffs"], formats=["parquet", "tsv", "vcf"]
    )
    assert set(section.files) == {
        f"selene/{stem}{end}"
        for stem in ("a.b", "c")
        for end in (".ref_predictions.tsv", ".alt_predictions.tsv", "_diffs.tsv", ".NA")
    } | {"a.b.vcf.gz", "c.vcf.gz"}
    assert section.files["selene/c.alt_predictions.tsv"] == {
        **{"column": "alt_pred", "kind": "tsv"},
        **{"path": "c.bcf", "spliced": False},
    }
    assert not Variants(**GIVEN, path="a.vcf").files


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"phased": ["a", "b", "a"]}, "phased: samples must differ from each other, found ['a', 'b', 'a']"),
        (
            {"phased": "a", "formats": ["parquet", "vcf"]},
            "formats: of haplotypes (phased) there is parquet alone, found vcf, which tells of alleles by themselves",
        ),
        (
            {"phased": "a", "genome": None, "length": None, "transcripts": {"fasta": "t.fa", "bed": "t.gtf"}},
            "phased is for variants on a genome, found transcripts",
        ),
    ],
)
def test_what_haplotypes_have_not_is_refused(options, message):
    with pytest.raises(ValidationError) as caught:
        Variants(**GIVEN | {"path": "a.vcf"} | options)
    assert message in str(caught.value)
    assert Variants(**GIVEN, path="a.vcf", phased="a").phased == ["a"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (["x/a.vcf", "y/a.vcf.gz"], "path: x/a.vcf and y/a.vcf.gz would both become a.…; rename one, or put them into"),
        (["{a}.vcf"], "path: files beside Parquet are called after '{a}.vcf'; expected a name without braces"),
    ],
)
def test_files_that_could_not_be_told_apart_are_refused(path, message):
    with pytest.raises(ValidationError, match="path") as caught:
        Variants(**GIVEN, path=path, formats=["parquet", "tsv"])
    assert message in str(caught.value)
    Variants(**GIVEN, path=path)  # of which nothing is called so


def test_tracks_are_of_single_alleles():
    config = {"output": "out", "model": ["given"], "variants": {"mine": GIVEN | {"path": "a.vcf", "phased": "NA1"}}}
    load(config)
    with pytest.raises(RnalmError) as caught:
        load(config | {"tracks": {}})
    assert "variants.mine.phased: tracks are of single alleles, found those of NA1" in str(caught.value)
