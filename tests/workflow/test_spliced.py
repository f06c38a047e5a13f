"""Variants of a genome in models of transcripts, from the files to the report, in each format alike."""

import re

import numpy as np
import pandas as pd
import pysam
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("tracked")]


def test_every_format_has_the_effects_of_each_allele_in_each_transcript(several):
    folder = several.output / "variants/laid"
    table = pd.read_parquet(folder / "variants.parquet")
    # An SNV, an insertion and a deletion, in the order of the file, each in both transcripts.
    assert table[["pos", "transcript"]].values.tolist() == [[pos, name] for pos in (70, 50, 60) for name in ("plus", "minus")]
    assert table["ref_match"].all()
    text = pd.read_csv(folder / "selene/v_diffs.tsv", sep="\t")
    assert text["transcript"].tolist() == table["transcript"].tolist()
    with pysam.VariantFile(str(folder / "v.vcf.gz")) as file:
        entries = [entry.split("|") for record in file for entry in record.info.get("RNALM", ())]
    assert [entry[:2] for entry in entries] == table[["alt", "transcript"]].values.tolist()
    for number, name in enumerate(("GG", "TTA")):
        expected = table[f"diff_{name}"].astype(np.float32)
        np.testing.assert_array_equal(text[name].astype(np.float32), expected)
        np.testing.assert_array_equal(np.array([entry[2 + number] for entry in entries], dtype=np.float32), expected)
    assert (folder / "selene/v.NA").read_text().split("\t")[1] == "5"
    missing = pd.read_csv(folder / "NA.tsv", sep="\t")
    assert missing["reason"].tolist() == ["symbolic allele"]


def test_the_report_shows_the_letters_of_the_transcripts(several):
    drawn = (several.output / "figures/letters_laid.svg").read_text()
    titles = re.findall(r">1:\d+ [^<]* in (plus|minus): ", drawn)
    assert len(titles) == 6
    assert "Effects of variants: laid" in (several.output / "report.html").read_text()
