"""Labels of tokens, from the source to the report, in the workflow; then a FASTA file by the trained models."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from sites import with_sites

from rnalm.config.load import load
from rnalm.pipeline.plan import Plan

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("tracked")]


def test_every_file_of_the_plan_is_there(tracked):
    plan = Plan(load(tracked.config))
    there = {str(path.relative_to(tracked.folder)) for path in tracked.output.rglob("*") if path.is_file()}
    assert {*plan.targets("all"), *(f"out/figures/{picture.name}" for picture in plan.pictures())} <= there
    assert {"out/tracks/predictions.parquet", "out/tracks/sites.csv", "out/tracks/predictions.npy"} <= there
    assert not any(name.startswith("out/predict/test") for name in there)
    assert "rnalm: sites: out/tracks/sites.csv" in (tracked.folder / "terminal.txt").read_text()


def test_sites_are_found_and_listed(tracked):
    results = json.loads((tracked.output / "tracks/results.json").read_text())
    assert results["pr_auc"] > 0.9
    assert results["motif"]["positions"] == results["sites"]
    assert list(results["splits"]) == ["c"]
    frame = pd.read_parquet(tracked.output / "tracks/predictions.parquet")
    assert frame["models"].tolist() == [2] * 20
    assert all(len(values) == len(text) for values, text in zip(frame["prob_1"], frame["sequence"], strict=True))
    listed = list(csv.DictReader((tracked.output / "tracks/sites.csv").read_text().splitlines()))
    assert {site["codon"][:2] for site in listed} == {"GG"}
    assert "GG: PR AUC" in (tracked.output / "report.html").read_text()


def test_the_letters_of_a_site_are_what_makes_it_one(tracked):
    scores = pd.read_parquet(tracked.output / "interpret/loo_scores_mask.parquet")
    assert set(scores["class"]) == {"1"}
    distance = scores["start_offset"] - scores["explained_position"]
    mean = scores["loo"].groupby(distance).mean()
    assert mean.nsmallest(2).index.isin([0, 1]).all(), "a site is where GG begins"
    deleted = pd.read_parquet(tracked.output / "interpret/loo_scores_remove.parquet")
    gone = deleted["start_offset"] == deleted["explained_position"]
    assert deleted["loo"].isna().equals(gone)
    report = (tracked.output / "report.html").read_text()
    assert "explained positions: each token is blanked. The prediction is the probability of class" in report


def test_trained_models_predict_fasta_files_of_any_kind_alike(tracked, monkeypatch):
    made = with_sites(9, seed=1)
    (tracked.folder / "plain.fa").write_text("".join(f">{name}\n{text}\n" for name, text, _ in made))
    wrapped = "\r\n".join(
        line for name, text, _ in made for line in [f">{name}", *(text[k : k + 7].lower() for k in range(0, len(text), 7))]
    )
    (tracked.folder / "wrapped.fasta").write_bytes(wrapped.encode())
    (tracked.folder / "known.bed").write_text("".join(f"{n}\t{at}\t{at + 1}\n" for n, _, sites in made for at in sites))
    applied = {
        "output": "applied",
        "task": "classification",
        "model": ["out/fine-tune/0", "out/fine-tune/0.1"],
        "source": {"path": "plain.fa", "sites": "known.bed"},
        "inference": {"wrapped": {"path": "wrapped.fasta"}},
        "predict": {"sites": {"top": 1}},
    }
    monkeypatch.setattr(tracked, "config", applied)
    tracked.succeed()
    own, other = (
        pd.read_parquet(tracked.folder / "applied" / place / "predictions.parquet") for place in ("tracks", "tracks/wrapped")
    )
    assert own["sequence"].tolist() == other["sequence"].tolist() == [text for _, text, _ in made]
    for first, second in zip(own["prob_1"], other["prob_1"], strict=True):
        np.testing.assert_array_equal(first, second)
    assert json.loads((tracked.folder / "applied/tracks/results.json").read_text())["pr_auc"] > 0.9
    assert not (tracked.folder / "applied/interpret").exists(), "it was not asked for"
    # Where no site is known, one a sequence is listed.
    listed = (tracked.folder / "applied/tracks/wrapped/sites.csv").read_text().splitlines()
    assert len(listed) == 1 + 9
