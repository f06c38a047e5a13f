"""An allele of a genome changes in a transcript what it changes in its exons."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnalm.config import Tokenizer, Variants
from rnalm.config.load import load
from rnalm.labels.labels import Labels
from rnalm.models import registry
from rnalm.scoring import selene
from rnalm.scoring.effects import merge
from rnalm.scoring.variants import Job, score_shard
from rnalm.sequences import laid
from rnalm.sequences.alleles import list_file
from rnalm.sequences.spliced import Exons
from rnalm.sequences.strands import reverse_complement
from rnalm.tokens.learn import of_letters
from rnalm.tokens.tokenizer import all_special_ids, save_tokenizer

GENOME = "".join(np.random.default_rng(3).choice(list("ACGT"), 400))
#: Name, strand, exons and the coding sequence on the genome.
LAID = [("plus", "+", [(20, 60), (90, 130), (200, 240)], (30, 215)), ("minus", "-", [(100, 150), (220, 280)], (110, 270))]
LAID.append(("short", "+", [(300, 330)], (300, 330)))


def spliced(strand: str, exons: list[tuple[int, int]], genome: str = GENOME) -> str:
    text = "".join(genome[start:end] for start, end in exons)
    return reverse_complement(text, rna=False) if strand == "-" else text


def write(folder: Path) -> dict:
    lines, letters = [], []
    for name, strand, exons, cds in LAID:
        sizes, starts = (",".join(map(str, own)) for own in ([b - a for a, b in exons], [a - exons[0][0] for a, _ in exons]))
        place = ["chr1", exons[0][0], exons[-1][1], name, 0, strand, *cds, 0, len(exons), sizes, starts]
        lines.append("\t".join(map(str, place)))
        text = spliced(strand, exons)
        letters.append(f">{name}|gene\n{text if name != 'short' else text[:-1]}\n")
    (folder / "t.bed").write_text("\n".join(lines) + "\n")
    (folder / "t.fa").write_text("".join(letters))
    return {"fasta": str(folder / "t.fa"), "bed": str(folder / "t.bed")}


@pytest.fixture(scope="module")
def exons(tmp_path_factory) -> Exons:
    folder = tmp_path_factory.mktemp("laid")
    return Exons(Variants(path="v.vcf", transcripts=write(folder), index=str(folder)))


@given(st.integers(1, 280), st.integers(0, 4), st.text("ACGT", max_size=4))
def test_the_edited_transcript_is_that_of_the_edited_genome(exons, start, size, alt):
    ref = GENOME[start : start + size]
    for found in exons.find("1", start, ref, alt):
        if found.transcript is None:
            assert found.reason == "in no transcript"
            continue
        strand, own = next((strand, own) for name, strand, own, _ in LAID if name == found.transcript)
        if found.change is None:
            # Nothing of an exon changes, or more than of one.
            assert found.reason in ("in an intron", "across the end of an exon", "at the end of an exon", "across an intron")
            continue
        before, after = spliced(strand, own), found.change
        edited = before[: after.start] + after.alt + before[after.end :]
        grown = len(alt) - size
        there = GENOME[:start] + alt + GENOME[start + size :]
        moved = [(a + grown * (a >= start + max(size, 1)), b + grown * (b > start)) for a, b in own]
        assert edited == spliced(strand, moved, there)
        assert found.ref_match


@pytest.mark.parametrize(
    ("place", "ref", "alt", "reasons"),
    [
        (70, "A", "C", ["in an intron"]),
        (10, "A", "C", ["in no transcript"]),
        (58, GENOME[58:62], "", ["across the end of an exon"]),
        (60, "", "ACG", ["at the end of an exon"]),
        (50, GENOME[50:100], "", ["across the end of an exon"]),
        (110, GENOME[110], "N", [None, None]),
        (310, GENOME[310], "N", ["the transcript has 29 letters, and its exons have 30"]),
    ],
)
def test_what_changes_no_transcript_says_why(exons, place, ref, alt, reasons):
    assert [found.reason for found in exons.find("chr1", place, ref, alt)] == reasons


def tokens(name: str, text: str, marks: np.ndarray) -> list[str]:
    return [letter.upper() if mark else letter.lower() for letter, mark in zip(text, marks, strict=True)]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    """A model of transcripts in which codons begin with capitals."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = of_letters("acgtACGT", Tokenizer())
    torch.manual_seed(0)
    sizes = {"name": "saluki", "filters": 8, "kernel_size": 3, "layers": 2}
    registry.create(sizes, tokenizer.get_vocab_size(), 0, 1, all_special_ids(tokenizer)).save_pretrained(folder)
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    Labels("regression").save(folder / "labels.json")
    return str(folder)


def scored(folder: Path, model: str, **options) -> pd.DataFrame:
    given_ = write(folder) | {"codons": "upper"}
    # An SNV in two transcripts, a deletion, an insertion with its anchor, one in an intron, one nowhere.
    records = [(111, GENOME[110], "ACGT"[("ACGT".index(GENOME[110]) + 1) % 4]), (101, GENOME[100:104], GENOME[100])]
    # The first and the last base of transcripts.
    records += [(place + 1, GENOME[place], "N") for place in (20, 239, 100, 279)]
    records += [(46, GENOME[45], GENOME[45] + "TTG"), (71, GENOME[70], "N"), (5, "A", "C"), (261, GENOME[260:262], "NN")]
    (folder / "v.tsv").write_text("chrom\tpos\tref\talt\n" + "".join(f"1\t{p}\t{r}\t{a}\n" for p, r, a in records))
    settings = Variants(path=str(folder / "v.tsv"), transcripts=given_, index=str(folder), **options)
    list_file(settings, folder / "alleles.parquet", folder / "laid.parquet")
    (folder / "t.bed").write_text("not read again\n")
    places = {"alleles": str(folder / "alleles.parquet"), "laid": str(folder / "laid.parquet")}
    score_shard(Job(model_folders=[model], options=settings, **places), folder / "0.parquet")
    merge([folder / "0.parquet"], folder / "variants.parquet", folder / "NA.tsv")
    return pd.read_parquet(folder / "variants.parquet")


@pytest.mark.parametrize("scorer", ["naive", "incremental"])
def test_effects_are_those_of_the_edited_transcripts(model, tmp_path, scorer):
    table = scored(tmp_path, model, scores=["predictions"], scorer=scorer)
    listed = pq.read_table(tmp_path / "alleles.parquet").to_pylist()
    assert table["transcript"].tolist() == [
        *("plus", "minus", "plus", "minus"),  # the SNV, and the deletion
        *("plus", "plus", "minus", "plus", "minus", "minus"),  # both ends, of which one lies in an exon of the other, too
        *("plus", "minus"),
    ]
    assert table["kind"].tolist() == ["SNV", "SNV", "deletion", "deletion", *["SNV"] * 6, "insertion", "MNV"]
    missing = pd.read_csv(tmp_path / "NA.tsv", sep="\t")
    assert missing["reason"].tolist() == ["in an intron", "in no transcript"]
    loaded = registry.load(model)
    vocabulary = of_letters("acgtACGT", Tokenizer()).get_vocab()

    def told(own: list[str]) -> float:
        ids = [vocabulary.get(token, vocabulary["[UNK]"]) for token in own]
        return loaded(torch.tensor([ids])).logits.item()

    for row, one in zip(table.to_dict("records"), [own for own in listed if own["reason"] is None], strict=True):
        strand, own, cds = next((s, e, c) for name, s, e, c in LAID if name == row["transcript"])
        text, marks = spliced(strand, own), np.zeros(sum(b - a for a, b in own), dtype=bool)
        base = [place for a, b in own for place in range(a, b)][:: 1 if strand == "+" else -1]
        coding = [number for number, place in enumerate(base) if cds[0] <= place < cds[1]]
        marks[coding[::3]] = True
        before = tokens(row["transcript"], text, marks)
        assert row["ref_pred"] == pytest.approx(told(before), abs=1e-5)
        start, end = one["start"], one["start"] + len(one["goes"])
        comes = [
            letter.upper() if number < len(one["goes"]) and marks[start + number] else letter.lower()
            for number, letter in enumerate(one["comes"])
        ]
        assert row["alt_pred"] == pytest.approx(told(before[:start] + comes + before[end:]), abs=1e-5)


def test_files_of_selene_tell_the_transcript_and_a_line_is_missing_where_none_has_a_score(model, tmp_path):
    table = scored(tmp_path, model, formats=["parquet", "tsv", "hdf5"])
    [path] = Variants(path=str(tmp_path / "v.tsv"), transcripts=write(tmp_path)).path
    for kind, column, name in (
        ("tsv", "diff", "a.tsv"),
        ("hdf5", "diff", "a.h5"),
        ("labels", "", "a.txt"),
        ("missing", "", "NA"),
    ):
        selene.write([tmp_path / "0.parquet"], path, kind, column, tmp_path / name, spliced=True)
    text, labels = (pd.read_csv(tmp_path / name, sep="\t") for name in ("a.tsv", "a.txt"))
    names = ["chrom", "pos", "name", "ref", "alt", "strand", "ref_match", "contains_unk", "transcript"]
    assert (list(text), list(labels)) == ([*names, "prediction"], names)
    assert text["transcript"].tolist() == labels["transcript"].tolist() == table["transcript"].tolist()
    np.testing.assert_array_equal(text["prediction"].astype(np.float32), table["diff"].astype(np.float32))
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["data"][:, 0], table["diff"].astype(np.float32))
    # One lies in an intron of one transcript, and in no other; 261 lies in one, and across nothing.
    assert [line.split("\t")[1] for line in (tmp_path / "NA").read_text().splitlines()] == ["71", "5"]


def test_transcripts_are_read_back_as_they_were_written(exons, tmp_path):
    laid.write(exons.transcripts.all, tmp_path / "laid.parquet")
    for one, other in zip(exons.transcripts.all, laid.read(tmp_path / "laid.parquet", "t.bed").all, strict=True):
        assert {name: str(getattr(one, name)) for name in one.__slots__} == {
            name: str(getattr(other, name)) for name in other.__slots__
        }


def test_keys_of_windows_and_strands_are_refused(tmp_path, refusal):
    for key, value in (("length", 9), ("anchor", "left"), ("strand_column", "s"), ("require_strand", True)):
        section = {"path": "v.vcf", "transcripts": {"fasta": "a.fa", "bed": "a.gtf"}, key: value}
        told = refusal(load, {"output": "out", "model": ["given"], "variants": {"mine": section}})
        assert f"{key} is for variants on a genome, found transcripts" in told


def test_records_that_are_turned_round_are_known_on_both_strands(exons):
    for start in range(105, 122):
        for alt in (GENOME[start : start + 1], GENOME[start : start + 3]):
            ref = GENOME[start] + "A" if len(alt) == 3 else GENOME[start] + "CCA"
            if GENOME[start : start + len(ref)] == ref:
                continue
            known = {found.transcript: found.alt_is_reference for found in exons.find("1", start, ref, alt) if found.change}
            assert set(known.values()) <= {True}


def test_what_does_not_fit_is_told(model, tmp_path, refusal):
    lying = write(tmp_path)
    given_ = {"path": str(tmp_path / "v.tsv"), "index": str(tmp_path)}
    (tmp_path / "v.tsv").write_text("chrom\tpos\tref\talt\n1\t5\tA\tC\n")
    nowhere = refusal(list_file, Variants(**given_, transcripts=lying), tmp_path / "a.parquet")
    assert "no allele lies in a transcript that" in nowhere
    (tmp_path / "v.tsv").write_text(f"chrom\tpos\tref\talt\n1\t111\t{GENOME[110]}\tN\n")
    options = Variants(**given_, transcripts=lying)
    list_file(options, tmp_path / "a.parquet")
    job = Job(model_folders=[model], alleles=str(tmp_path / "a.parquet"), options=options)
    assert "transcripts.codons is missing: the models know letters in both cases" in refusal(score_shard, job, tmp_path / "s")
    other = Variants(**given_, transcripts=lying | {"codons": "upper", "modifiers": ["codons"]})
    job = Job(model_folders=[model], alleles=str(tmp_path / "a.parquet"), options=other)
    assert "the models take 0 modifiers, found 1" in refusal(score_shard, job, tmp_path / "s")
    (tmp_path / "t.fa").write_text(">other\nACGT\n")
    assert "none of its sequences, such as 'other', is a transcript of" in refusal(Exons, Variants(**given_, transcripts=lying))
