"""Alleles of haplotypes, from a VCF file with genotypes to the report."""

import numpy as np
import pandas as pd
import pytest
import torch

from rnalm.config import Tokenizer
from rnalm.labels.labels import Labels
from rnalm.models import registry
from rnalm.tokens.learn import of_letters
from rnalm.tokens.tokenizer import all_special_ids, save_tokenizer

pytestmark = pytest.mark.e2e


def test_alleles_of_a_sample_are_scored_together_and_reported(make_experiment, tmp_path):
    experiment = make_experiment(tmp_path)
    tokenizer, model = of_letters("ACGT", Tokenizer()), experiment.folder / "model"
    torch.manual_seed(0)
    sizes = {"name": "saluki", "filters": 8, "kernel_size": 3, "layers": 1}
    registry.create(sizes, tokenizer.get_vocab_size(), 0, 1, all_special_ids(tokenizer)).save_pretrained(model)
    save_tokenizer(tokenizer, model / "tokenizer.json")
    Labels("regression").save(model / "labels.json")
    genome = "".join(np.random.default_rng(0).choice(list("ACGT"), 200))
    other = {letter: "ACGT"[("ACGT".index(letter) + 1) % 4] for letter in "ACGT"}
    lines = [
        f"1\t{pos}\t.\t{genome[pos - 1]}\t{other[genome[pos - 1]]}\t.\t.\t.\tGT\t{call}\n"
        for pos, call in ((80, "0|1"), (90, "0|1"), (100, "0/1"), (110, "1|0"))
    ]
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA1\n"
    (experiment.folder / "g.fa").write_text(f">1\n{genome}\n")
    (experiment.folder / "v.vcf").write_text(header + "".join(lines))
    cohort = {"path": "v.vcf", "genome": "g.fa", "length": 40, "phased": "NA1", "shards": 2}
    experiment.config = {"output": "out", "model": {"folders": ["model"]}, "variants": {"mine": cohort}}
    experiment.succeed()
    folder = experiment.output / "variants/mine"
    table = pd.read_parquet(folder / "variants.parquet")
    assert table[["pos", "sample", "haplotype", "alleles", "left_out"]].to_numpy().tolist() == [
        *([80, "NA1", 2, 2, 1], [90, "NA1", 2, 2, 1], [110, "NA1", 1, 1, 1])
    ]
    missing = pd.read_csv(folder / "NA.tsv", sep="\t")
    assert missing[["pos", "sample", "reason"]].to_numpy().tolist() == [[100, "NA1", "heterozygous, and not phased (/)"]]
    assert "of the haplotypes of NA1 in v.vcf" in (experiment.output / "report.html").read_text()
    assert "Nothing to be done" in experiment.succeed()
    # By themselves, alleles have other effects.
    del cohort["phased"]
    experiment.succeed()
    alone = pd.read_parquet(folder / "variants.parquet").set_index("pos")["diff"]
    assert len(alone) == 4
    together = table.set_index("pos")["diff"]
    assert abs(alone[80] - together[80]) > 1e-6
    assert alone[110] == pytest.approx(together[110], abs=1e-6)
