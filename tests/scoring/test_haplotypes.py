"""Effects of haplotypes are those of all their alleles together, on windows of the chromosome that they edit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rnalm.config import OwnModel, Tokenizer, Variants
from rnalm.labels.labels import Labels
from rnalm.models import registry
from rnalm.models.bring import bring
from rnalm.prediction.panel import Panel
from rnalm.scoring import variants
from rnalm.scoring.effects import merge
from rnalm.scoring.variants import Job, score_shard
from rnalm.sequences import alleles as listing
from rnalm.sequences.alleles import list_file
from rnalm.tokens.learn import of_letters
from rnalm.tokens.tokenizer import all_special_ids, save_tokenizer

DATA = Path("data/genome")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the genomes in data/")
SIZE, LENGTH = 500, 40
GENOMES = {name: "".join(np.random.default_rng(seed).choice(list("ACGT"), SIZE)) for seed, name in enumerate("zy")}
OTHER = dict(zip("ACGT", "CGTA", strict=True))
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA1\tNA2\n"

CHAIN = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.MaxPool1d(4), nn.Flatten(), nn.Linear(8 * 9, 2), nn.Sigmoid())
"""


@pytest.fixture(scope="module")
def any_length(tmp_path_factory) -> str:
    """A model that takes sequences of any length."""
    folder = tmp_path_factory.mktemp("models") / "any"
    tokenizer = of_letters("ACGT", Tokenizer())
    torch.manual_seed(0)
    sizes = {"name": "saluki", "filters": 8, "kernel_size": 3, "layers": 1}
    registry.create(sizes, tokenizer.get_vocab_size(), 0, 1, all_special_ids(tokenizer)).save_pretrained(folder)
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    Labels("regression").save(folder / "labels.json")
    return str(folder)


@pytest.fixture(scope="module")
def one_length(tmp_path_factory) -> str:
    """A network of one's own, which takes windows of one length."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "net.py").write_text(CHAIN)
    torch.manual_seed(0)
    section = OwnModel(**{"name": "file", "path": str(folder / "net.py"), "class": "Net", "outputs": "probabilities"})
    bring(section, ["f0", "f1"], folder / "one", LENGTH)
    return str(folder / "one")


def drawn(seed: int) -> list[tuple[str, int, str, str, tuple[str, str]]]:
    """Draw records of two contigs whose alleles lie close together, and do not overlap."""
    draw, records = np.random.default_rng(seed), []
    for chrom, genome in GENOMES.items():
        at = 30
        while at < SIZE - 60:
            size = int(draw.choice([1, 1, 1, 2, 6]))
            ref = genome[at : at + size]
            comes = "GATTACA"[: int(draw.integers(0, 8))] if size == 1 else ""
            alt = OTHER[ref] if size == 1 and draw.random() < 0.8 else ref[0] + comes
            if alt != ref:
                calls = tuple(str(call) for call in draw.choice(["0|1", "1|0", "1|1", "0|0"], 2))
                records.append((chrom, at + 1, ref, alt, calls))
            at += size + int(draw.integers(1, 14))
    return records


@pytest.fixture
def cohort(tmp_path):
    def make(records, keys: str = "GT", **options) -> tuple[Variants, str]:
        (tmp_path / "g.fa").write_text("".join(f">{name}\n{genome}\n" for name, genome in GENOMES.items()))
        lines = [f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\t{keys}\t{a}\t{b}\n" for chrom, pos, ref, alt, (a, b) in records]
        (tmp_path / "v.vcf").write_text(HEADER + "".join(lines))
        given = {"path": str(tmp_path / "v.vcf"), "genome": str(tmp_path / "g.fa"), "index": str(tmp_path), "length": LENGTH}
        settings = Variants(**given | {"phased": ["NA1", "NA2"], "scores": ["diffs", "predictions"]} | options)
        list_file(settings, tmp_path / "alleles.parquet")
        return settings, str(tmp_path / "alleles.parquet")

    return make


def run(folder: Path, model: str, options: Variants, alleles: str, shards: int = 1) -> pd.DataFrame:
    parts = [folder / f"{shard}.parquet" for shard in range(shards)]
    for shard, part in enumerate(parts):
        job = Job(model_folders=[model], alleles=alleles, options=options, shard=shard, shards=shards, trust=True)
        score_shard(job, part)
    merge(parts, folder / "variants.parquet", folder / "NA.tsv")
    return pd.read_parquet(folder / "variants.parquet")


def told(model: str) -> Callable[[str], np.ndarray]:
    """Predict a text by itself."""
    panel = Panel([model], trust=True)

    def predict(text: str) -> np.ndarray:
        ids = torch.tensor([[panel.tokenizer.token_to_id(letter) for letter in text]])
        with torch.inference_mode():
            return panel.read([panel.predictors[0].model(ids).logits.numpy()])[0]

    return predict


def chromosomes(records, sample: int, haplotype: int) -> dict[str, tuple[str, dict[int, int]]]:
    """Apply alleles from right to left, by hand: of each contig the letters, and where its bases stand."""
    made = {}
    for chrom, genome in GENOMES.items():
        letters = list(genome)
        for own, pos, ref, alt, calls in reversed(records):
            if own == chrom and calls[sample].split("|")[haplotype - 1] == "1":
                # What comes stands in the place of the first letter, so that others are still found by their position.
                letters[pos - 1 : pos - 1 + len(ref)] = [alt, *[""] * (len(ref) - 1)]
        before = np.concatenate([[0], np.cumsum([len(text) for text in letters])])
        made[chrom] = "".join(letters), dict(enumerate(before.tolist()))
    return made


def clear(listed: pd.DataFrame, first: int, after: int, row) -> bool:
    """Say whether neither end of a window touches an indel of the haplotype, as it is written, moved or on the way."""
    own = listed[(listed["chrom"] == row.chrom) & (listed["sample"] == row.sample) & (listed["haplotype"] == row.haplotype)]
    own = own[own["ref"].str.len() != own["alt"].str.len()]
    low, high = np.minimum(own["start"], own["pos"] - 1), own["pos"] - 1 + own["ref"].str.len()
    return not any(((low <= end) & (end <= high)).any() for end in (first, after))


@pytest.mark.parametrize("anchor", ["left", "right", "both", "whole"])
def test_effects_are_those_of_the_chromosome_of_the_haplotype(anchor, any_length, one_length, cohort, tmp_path):
    model, records = any_length if anchor == "whole" else one_length, drawn(0)
    options, alleles = cohort(records, anchor="both" if anchor == "whole" else anchor)
    table, predict, checked = run(tmp_path, model, options, alleles), told(model), 0
    listed = pd.read_parquet(alleles)
    assert len(table) + len(pd.read_csv(tmp_path / "NA.tsv", sep="\t")) == len(listed)
    expected_rows = sum(calls[sample].count("1") for *_, calls in records for sample in (0, 1))
    assert len(listed) == expected_rows
    known = {(row.chrom, row.pos, row.sample, row.haplotype): row for row in listed.itertuples()}
    made = {(sample, h): chromosomes(records, sample, h) for sample in (0, 1) for h in (1, 2)}
    for row in table.itertuples():
        own = known[row.chrom, row.pos, row.sample, row.haplotype]
        center = own.start + len(own.goes) // 2 if own.goes else own.start - 1
        first = center - (LENGTH - 1) // 2
        genome = GENOMES[row.chrom]
        ref = predict(genome[first : first + LENGTH])
        if not clear(listed, first, first + LENGTH, row):
            continue
        text, place = made[int(row.sample == "NA2"), row.haplotype][row.chrom]
        begin, end = place[first], place[first + LENGTH]
        bounds = {"left": (begin, begin + LENGTH), "right": (end - LENGTH, end), "whole": (begin, end)}
        sides = ["left", "right"] if anchor == "both" else [anchor]
        alt = np.mean([predict(text[slice(*bounds[side])]) for side in sides], axis=0)
        names = [""] if anchor == "whole" else ["_f0", "_f1"]
        np.testing.assert_allclose([getattr(row, f"ref_pred{name}") for name in names], ref, atol=1e-5)
        np.testing.assert_allclose([getattr(row, f"alt_pred{name}") for name in names], alt, atol=1e-5)
        np.testing.assert_allclose([getattr(row, f"diff{name}") for name in names], alt - ref, atol=1e-5)
        assert row.left_out == 0
        assert row.alleles >= 1
        checked += 1
    assert checked > 40
    assert (table["alleles"] > 2).mean() > 0.3


def test_an_allele_without_others_has_the_effect_that_it_has_by_itself(one_length, cohort, tmp_path):
    records = [
        ("z", 100, GENOMES["z"][99], OTHER[GENOMES["z"][99]], ("0|1", "0|0")),
        ("z", 300, GENOMES["z"][299:304], GENOMES["z"][299], ("1|1", "0|0")),
        ("z", 400, GENOMES["z"][399], GENOMES["z"][399] + "TTG", ("0|0", "1|0")),
    ]
    options, alleles = cohort(records)
    table = run(tmp_path, one_length, options, alleles)
    assert table[["pos", "sample", "haplotype", "alleles", "left_out"]].to_numpy().tolist() == [
        *([100, "NA1", 2, 1, 0], [300, "NA1", 1, 1, 0], [300, "NA1", 2, 1, 0], [400, "NA2", 1, 1, 0]),
    ]
    alone = options.model_copy(update={"phased": None})
    list_file(alone, tmp_path / "alone.parquet")
    by_itself = run(tmp_path, one_length, alone, str(tmp_path / "alone.parquet"))
    np.testing.assert_allclose(table["diff_f0"], by_itself["diff_f0"].to_numpy()[[0, 1, 1, 2]], atol=1e-7)
    assert "sample" not in by_itself


def test_what_is_not_known_to_be_on_the_haplotype_is_left_out_and_counted(one_length, cohort, tmp_path):
    at, genome = [200, 205, 210, 215, 220, 225], GENOMES["z"]
    calls = ["0|1:1", "0/1:.", "0|1:2", "./.:.", "1/1:.", "0|1:1"]
    records = [("z", pos, genome[pos - 1], OTHER[genome[pos - 1]], (call, "0|0")) for pos, call in zip(at, calls, strict=True)]
    records.insert(1, ("z", 203, genome[202], "<DEL>", ("1|0:1", "0|0")))
    options, alleles = cohort(records, keys="GT:PS")
    table = run(tmp_path, one_length, options, alleles)
    told = {(row.pos, row.haplotype): (row.alleles, row.left_out) for row in table.itertuples()}
    assert told == {
        (200, 2): (2, 3),  # with 220, the last base of its window; without 205, 210 and 215; 203 is on the other haplotype
        (210, 2): (2, 5),  # with 220; without 205 and 215, and 200, 203 and 225, of which it is not known on which they are
        (220, 1): (1, 4),  # of the nearest set, that of 225; without 203, 205, 210 and 215
        (220, 2): (2, 3),  # with 225; without 205, 210 and 215
        (225, 2): (2, 2),  # with 220; without 210 and 215; 205 stands before its window
    }
    missing = pd.read_csv(tmp_path / "NA.tsv", sep="\t")
    assert missing["pos"].tolist() == [203, 205, 215]
    assert missing["reason"].tolist() == ["symbolic allele", "heterozygous, and not phased (/)", "no genotype (.)"]
    assert missing["sample"].tolist() == ["NA1"] * 3


def test_shards_do_not_show(one_length, cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "BLOCK", 16)
    monkeypatch.setattr(listing, "GROUP", 48)
    options, alleles = cohort(drawn(1))
    made = {}
    for shards in (1, 2, 7):
        folder = tmp_path / str(shards)
        folder.mkdir()
        run(folder, one_length, options, alleles, shards)
        made[shards] = [(folder / name).read_bytes() for name in ("variants.parquet", "NA.tsv")]
    assert made[1] == made[2] == made[7]


def test_blocks_are_smaller_where_windows_are_longer():
    options = Variants(path="v.vcf", genome="g.fa", phased="NA1", length=1000)
    sizes = [variants._size(options.model_copy(update={"length": length})) for length in (1000, 200_000, 2**26)]
    assert sizes == [2048, 64, 1]
    assert variants._size(options.model_copy(update={"length": 200_000, "phased": None})) == 2048


def test_what_windows_share_changes_no_effect(one_length, any_length, cohort, tmp_path):
    options, alleles = cohort(drawn(2))
    for model in (one_length, any_length):
        fast = run(tmp_path, model, options, alleles)
        slow = run(tmp_path, model, options.model_copy(update={"scorer": "naive"}), alleles)
        scores = [name for name in fast if name.startswith(("diff", "ref_pred", "alt_pred"))]
        np.testing.assert_allclose(fast[scores], slow[scores], atol=1e-6)
