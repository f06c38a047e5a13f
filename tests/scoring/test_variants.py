"""Effects of variants are differences of predictions for windows of the genome and of the edited chromosome."""

import json
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from rnalm.config import OwnModel, Table, Tokenizer, Variants
from rnalm.labels.labels import Labels
from rnalm.models import registry
from rnalm.models.bring import bring
from rnalm.prediction.panel import Panel
from rnalm.scoring import variants
from rnalm.scoring.effects import columns, merge
from rnalm.scoring.variants import Job, Scorer, score_shard
from rnalm.sequences.alleles import list_file
from rnalm.sequences.edited import Change, normalized, windows
from rnalm.sequences.records import Record
from rnalm.sequences.strands import reverse_complement
from rnalm.tokens.learn import learn, of_letters
from rnalm.tokens.tokenizer import all_special_ids, save_tokenizer

DATA = Path("data/genome")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the genomes in data/")
GENOME = "".join(np.random.default_rng(0).choice(list("ACGT"), 400))
#: A substitution, ways of writing one deletion, an insertion, one that leaves the contig, and one without letters.
RECORDS = [
    (101, GENOME[100], "ACGT"[("ACGT".index(GENOME[100]) + 1) % 4]),
    (150, GENOME[149:153], GENOME[149]),
    (151, GENOME[150:153], "-"),
    (200, GENOME[199], GENOME[199] + "TTG"),
    (2, GENOME[1], "N"),
    (210, GENOME[209], "<DEL>"),
]


@pytest.fixture(scope="module")
def any_length(tmp_path_factory) -> list[str]:
    """Two models that take sequences of any length, of RNA."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = of_letters("ACGU", Tokenizer())
    for seed in range(2):
        torch.manual_seed(seed)
        sizes = {"name": "saluki", "filters": 8, "kernel_size": 3, "layers": 1}
        model = registry.create(sizes, tokenizer.get_vocab_size(), 0, 1, all_special_ids(tokenizer))
        model.save_pretrained(folder / f"{seed}")
        save_tokenizer(tokenizer, folder / f"{seed}" / "tokenizer.json")
        Labels("regression").save(folder / f"{seed}" / "labels.json")
    return [str(folder / f"{seed}") for seed in range(2)]


@pytest.fixture
def cohort(tmp_path):
    def make(records=RECORDS, **options) -> tuple[Variants, str]:
        (tmp_path / "g.fa").write_text(f">z\n{GENOME}\n")
        lines = [f"z\t{pos}\t{ref}\t{alt}\t{'-' if number % 2 else '+'}" for number, (pos, ref, alt) in enumerate(records)]
        (tmp_path / "v.tsv").write_text("\n".join(["chrom\tpos\tref\talt\tstrand", *lines]) + "\n")
        given = {"path": str(tmp_path / "v.tsv"), "genome": str(tmp_path / "g.fa"), "index": str(tmp_path), "length": 61}
        settings = Variants(**given | options)
        list_file(settings, tmp_path / "alleles.parquet")
        return settings, str(tmp_path / "alleles.parquet")

    return make


def run(folder: Path, models: list[str], options: Variants, alleles: str, shards: int = 1, **job) -> pd.DataFrame:
    parts = [folder / f"{shard}.parquet" for shard in range(shards)]
    for shard, part in enumerate(parts):
        score_shard(Job(model_folders=models, alleles=alleles, options=options, shard=shard, shards=shards, **job), part)
    merge(parts, folder / "variants.parquet", folder / "NA.tsv")
    return pd.read_parquet(folder / "variants.parquet")


def told(models: list[str], text: str, minus: bool) -> float:
    """Predict a text by the mean of models, letter by letter."""
    panel = Panel(models)
    text = (reverse_complement(text, rna=False) if minus else text).replace("T", "U")
    ids = [panel.tokenizer.token_to_id(letter) for letter in text]
    return float(np.mean([model.model(torch.tensor([ids])).logits.item() for model in panel.predictors]))


def test_models_of_any_length_get_what_becomes_of_the_window(any_length, cohort, tmp_path, caplog):
    options, alleles = cohort(scores=["diffs", "abs_diffs", "predictions"])
    table = run(tmp_path, any_length, options, alleles)
    assert table["pos"].tolist() == [101, 150, 151, 200]
    assert table["kind"].tolist() == ["SNV", "deletion", "deletion", "insertion"]
    assert table["ref_match"].all()
    listed = pq.read_table(alleles).to_pylist()
    for number, row in enumerate(table.to_dict("records")):
        change = Change(*(listed[number][key] for key in ("start", "goes", "comes")))
        first = (change.start + len(change.ref) // 2 if change.ref else change.start - 1) - 30
        window = GENOME[first : first + 61]
        edited = GENOME[first : change.start] + change.alt + GENOME[change.end : first + 61]
        minus = row["strand"] == "-"
        assert row["ref_pred"] == pytest.approx(told(any_length, window, minus), abs=1e-5)
        assert row["alt_pred"] == pytest.approx(told(any_length, edited, minus), abs=1e-5)
        assert row["diff"] == row["alt_pred"] - row["ref_pred"]
        assert row["abs_diff"] == abs(row["diff"])
    assert f"{options.path[0]}: 1 of 6 alleles have no window (NA.tsv says why)" in caplog.text
    missing = pd.read_csv(tmp_path / "NA.tsv", sep="\t")
    assert missing["reason"].tolist() == ["the window leaves the contig", "symbolic allele"]
    assert missing["place"].tolist() == [f"{options.path[0]}, line {line}" for line in (6, 7)]


def test_one_change_has_one_effect_however_it_is_written(any_length, cohort, tmp_path):
    pos = 151
    spelled = [(pos, GENOME[150:153], "-"), (pos - 1, GENOME[149:153], GENOME[149]), (pos, GENOME[150:154], GENOME[153])]
    spelled = [own for record in spelled for own in (record, record)]  # on both strands
    options, alleles = cohort(spelled)
    table = run(tmp_path, any_length, options, alleles)
    for strand in ("+", "-"):
        assert table.loc[table["strand"] == strand, "diff"].nunique() == 1


def test_what_is_too_short_for_what_is_shared_is_scored_whole(cohort, tmp_path):
    tokenizer = of_letters("ACGT", Tokenizer())
    torch.manual_seed(0)
    sizes = {"name": "saluki", "filters": 4}  # six layers, which read 300 bases and more
    registry.create(sizes, tokenizer.get_vocab_size(), 0, 1, all_special_ids(tokenizer)).save_pretrained(tmp_path / "m")
    save_tokenizer(tokenizer, tmp_path / "m" / "tokenizer.json")
    Labels("regression").save(tmp_path / "m" / "labels.json")
    options, alleles = cohort([(200, GENOME[199], GENOME[199] + "ACGTA" * 80)], length=25)
    made = [
        run(tmp_path, [str(tmp_path / "m")], options.model_copy(update={"scorer": scorer}), alleles)["diff"].item()
        for scorer in ("naive", "incremental")
    ]
    assert made[0] == pytest.approx(made[1], abs=1e-6)


def test_models_of_kmers_of_rna_are_given_u(cohort, tmp_path, kmers_of_rna):
    options, alleles = cohort([RECORDS[0], RECORDS[3]], scores=["predictions"])
    table = run(tmp_path, [kmers_of_rna], options, alleles)
    panel = Panel([kmers_of_rna])
    for start, row in zip((100, 199), table.to_dict("records"), strict=True):
        text = GENOME[start - 30 : start + 31]
        text = (reverse_complement(text, rna=False) if row["strand"] == "-" else text).replace("T", "U")
        encoded = panel.encode(Record("", "", text, None, None, None, None, None))[2]
        assert not np.any(encoded.input_ids == panel.tokenize.unknown)
        assert row["ref_pred"] == pytest.approx(panel.read(panel.outputs([encoded])).item(), abs=1e-6)


@pytest.fixture
def kmers_of_rna(tmp_path) -> str:
    (tmp_path / "all.tsv").write_text("".join(f"s{i}\t{''.join(three)}\n" for i, three in enumerate(product("ACGU", repeat=3))))
    source = Table(path=str(tmp_path / "all.tsv"), header=False, columns={"id": 1, "sequence": 2})
    tokenizer = learn(source, Tokenizer(type="kmer", k=3))
    torch.manual_seed(0)
    sizes = {"name": "saluki", "filters": 4, "kernel_size": 3, "layers": 1}
    registry.create(sizes, tokenizer.get_vocab_size(), 0, 1, all_special_ids(tokenizer)).save_pretrained(tmp_path / "k")
    save_tokenizer(tokenizer, tmp_path / "k" / "tokenizer.json")
    Labels("regression").save(tmp_path / "k" / "labels.json")
    return str(tmp_path / "k")


def test_shards_do_not_show(any_length, cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "BLOCK", 2)
    options, alleles = cohort()
    made = {}
    for shards in (1, 2, 7):
        folder = tmp_path / str(shards)
        folder.mkdir()
        run(folder, any_length, options, alleles, shards)
        made[shards] = [(folder / name).read_bytes() for name in ("variants.parquet", "NA.tsv")]
    assert made[1] == made[2] == made[7]


def test_what_the_models_cannot_tell_is_refused(any_length, cohort, refusal):
    options, _ = cohort()
    panel = Panel(any_length)
    assert "logits are of classes" in refusal(Scorer, panel, options.model_copy(update={"scores": ["logits"]}))
    assert "length is missing" in refusal(Scorer, panel, options.model_copy(update={"length": None}))
    panel.labels = [replace(panel.meaning, per="token")] * 2
    assert "expected models of whole sequences" in refusal(Scorer, panel, options)


@pytest.mark.parametrize(("alphabet", "read"), [("acgu", True), ("acgt", True), ("LKVW", False)])
def test_windows_are_written_as_the_models_know_letters(cohort, tmp_path, refusal, alphabet, read):
    tokenizer = of_letters(alphabet, Tokenizer())
    torch.manual_seed(0)
    sizes = {"name": "saluki", "filters": 16, "kernel_size": 3, "layers": 1}
    registry.create(sizes, tokenizer.get_vocab_size(), 0, 1, all_special_ids(tokenizer)).save_pretrained(tmp_path / "m")
    save_tokenizer(tokenizer, tmp_path / "m" / "tokenizer.json")
    Labels("regression").save(tmp_path / "m" / "labels.json")
    options, alleles = cohort()
    if read:
        assert run(tmp_path, [str(tmp_path / "m")], options, alleles)["diff"].abs().min() > 0
    else:
        assert "know none of the letters of a window" in refusal(run, tmp_path, [str(tmp_path / "m")], options, alleles)


def test_models_that_average_over_strands_do_so_for_windows(any_length, cohort, tmp_path):
    for number, folder in enumerate(any_length):
        shutil.copytree(folder, tmp_path / f"both{number}")
        config = json.loads((tmp_path / f"both{number}" / "config.json").read_text()) | {"reverse_complement": "average"}
        (tmp_path / f"both{number}" / "config.json").write_text(json.dumps(config))
    models = [str(tmp_path / f"both{number}") for number in range(2)]
    # On either strand they see the same.
    records = [record for record in RECORDS[:4] for _ in range(2)]
    options, alleles = cohort(records, scores=["predictions"])
    made = run(tmp_path, models, options, alleles)
    naive = run(tmp_path, models, options.model_copy(update={"scorer": "naive"}), alleles)
    for column in ("ref_pred", "alt_pred"):
        np.testing.assert_allclose(made[column], naive[column], atol=1e-6)
        np.testing.assert_allclose(made[column][::2], made[column][1::2], atol=1e-6)
        both = [np.mean([told(any_length, *one) for one in [(text, False), (text, True)]]) for text in _texts(made, column)]
        np.testing.assert_allclose(made[column][::2], both, atol=1e-5)


def _texts(table: pd.DataFrame, column: str) -> list[str]:
    """Write the windows of alleles by hand."""
    found = []
    for start, ref, alt in ((100, 1, None), (150, 3, ""), (150, 3, ""), (200, 0, "TTG")):
        alt = RECORDS[0][2] if alt is None else alt
        change = normalized(start, GENOME[start : start + ref], alt, lambda first, after: GENOME[first:after])
        window = windows(change, 61, len(GENOME), "whole")[column == "alt_pred"]
        found.append(window.text(lambda first, after: GENOME[first:after]))
    return found


CHAIN = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv1d(4, 8, 5), nn.ReLU(), nn.MaxPool1d(4), nn.Conv1d(8, 6, 4), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(),
            nn.Linear(6 * 10, 3), nn.Sigmoid()
        )
"""


@needs_data
def test_what_windows_share_changes_no_effect_of_real_alleles(tmp_path):
    (tmp_path / "net.py").write_text(CHAIN)
    torch.manual_seed(0)
    section = OwnModel(**{"name": "file", "path": str(tmp_path / "net.py"), "class": "Net", "outputs": "probabilities"})
    bring(section, ["f0", "f1", "f2"], tmp_path / "model", 100)
    given = {"path": str(DATA / "human20/z.vcf.gz"), "genome": str(DATA / "human20/z.fa.gz"), "index": str(tmp_path / "ix")}
    options = Variants(**given, length=100, scores=["diffs", "logits"])
    list_file(options, tmp_path / "alleles.parquet")
    made = {}
    for scorer in ("incremental", "naive"):
        own = options.model_copy(update={"scorer": scorer})
        made[scorer] = run(tmp_path, [str(tmp_path / "model")], own, str(tmp_path / "alleles.parquet"), trust=True)
    scores = [name for name in made["naive"] if name.startswith(("diff", "logit"))]
    assert len(scores) == 6
    assert len(made["naive"]) == 29_118
    np.testing.assert_allclose(made["incremental"][scores], made["naive"][scores], atol=1e-5)
    assert made["naive"]["diff_f0"].abs().mean() > 1e-4


def test_a_genome_in_letters_of_rna_has_the_effects_of_the_same_in_letters_of_dna(any_length, cohort, tmp_path):
    options, alleles = cohort()
    expected = run(tmp_path, any_length, options, alleles)
    (tmp_path / "u.fa").write_text(f">z\n{GENOME.replace('T', 'U')}\n")
    records = [(pos, ref.replace("T", "u"), alt.replace("T", "U")) for pos, ref, alt in RECORDS[:4]]
    for written in (RECORDS, [*records, *RECORDS[4:]]):
        options, alleles = cohort(written, genome=str(tmp_path / "u.fa"))
        found = run(tmp_path, any_length, options, alleles)
        assert found["ref_match"].all()
        assert found["diff"].tolist() == expected["diff"].tolist()


def test_alleles_without_a_window_are_told_with_all_files(any_length, cohort, tmp_path, caplog):
    options, alleles = cohort()
    given = options.model_copy(update={"path": ["a.vcf", "b.vcf"]})
    score_shard(Job(model_folders=any_length, alleles=alleles, options=given), tmp_path / "0.parquet")
    assert "a.vcf, b.vcf: 1 of 6 alleles have no window" in caplog.text


def test_a_shard_reads_only_the_row_groups_that_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "_size", lambda options: 4)
    table = pa.table({"pos": range(43)})
    pq.write_table(table, tmp_path / "alleles.parquet", row_group_size=8)
    asked = []

    class Spied(pq.ParquetFile):
        def iter_batches(self, *args, row_groups, **options):
            asked.append(row_groups)
            return super().iter_batches(*args, row_groups=row_groups, **options)

    for shards in (1, 3, 11, 40):
        asked.clear()
        rows = []
        for shard in range(shards):
            job = Job(model_folders=[], alleles="", options=None, shard=shard, shards=shards)
            first, after = variants._bounds(43, job)
            blocks = [
                batch["pos"].to_pylist() for batch in variants._blocks(Spied(tmp_path / "alleles.parquet"), first, after, 4)
            ]
            assert all(len(block) == 4 for block in blocks) or after == 43
            rows += [row for block in blocks for row in block]
        assert rows == list(range(43))
        assert sum(map(len, asked)) <= 6 + min(shards, 11) - 1


@pytest.mark.parametrize("truncate", ["right", "left", "both"])
def test_what_an_insertion_pushes_beyond_a_limit_is_cut_at_the_end_at_which_sequences_are(
    any_length, cohort, tmp_path, monkeypatch, truncate
):
    """As if the models had a table of 61 positions: of the edited window 61 letters are read."""
    monkeypatch.setattr("rnalm.scoring.outputs.limit", lambda config: 61)
    models = []
    for number, folder in enumerate(any_length):
        models.append(str(shutil.copytree(folder, tmp_path / f"m{number}")))
        config = json.loads((tmp_path / f"m{number}" / "config.json").read_text()) | {"truncate": truncate}
        (tmp_path / f"m{number}" / "config.json").write_text(json.dumps(config))
    pos, alt = 200, GENOME[199] + "TTGCA"
    options, alleles = cohort([(pos, GENOME[199], alt)] * 2, scores=["predictions"])
    for row in run(tmp_path, models, options, alleles).to_dict("records"):
        window = GENOME[199 - 30 : 199] + alt + GENOME[200 : 200 + 30]
        # Cut as it is read.
        text = reverse_complement(window, rna=False) if row["strand"] == "-" else window
        kept = {"right": text[:61], "left": text[5:], "both": text[2:-3]}[truncate]
        assert row["alt_pred"] == pytest.approx(told(any_length, kept, minus=False), abs=1e-5)


def test_an_odd_letter_on_the_other_strand_is_told_with_file_and_place(any_length, cohort, tmp_path, refusal):
    (tmp_path / "odd.fa").write_text(f">z\n{GENOME[:110]}?{GENOME[111:]}\n")
    options, alleles = cohort([RECORDS[0]] * 2, genome=str(tmp_path / "odd.fa"))
    assert refusal(run, tmp_path, any_length, options, alleles).startswith(
        f"{tmp_path}/odd.fa, z:70-131: letter 41 of the sequence is '?', expected a nucleotide code"
    )


def test_columns_are_named_by_score_and_class():
    names = columns(Labels("multilabel", classes=("a", "b")), ["abs_diffs", "predictions"]).names
    assert names[-6:] == ["abs_diff_a", "abs_diff_b", "ref_pred_a", "ref_pred_b", "alt_pred_a", "alt_pred_b"]
    assert columns(Labels("classification", classes=("no", "yes")), ["diffs"]).names[-1] == "diff_yes"
