"""Windows of a genome, from its FASTA file and peaks to the report; then regions by the trained model."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rnalm.config.load import load
from rnalm.pipeline.plan import Plan

pytestmark = pytest.mark.e2e

#: As networks for Selene are written.
NETWORK = """
import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.convolution, self.out = nn.Conv1d(4, 24, 7), nn.Linear(24, classes)

    def forward(self, x):
        return torch.sigmoid(self.out(torch.relu(self.convolution(x)).amax(dim=2)))


def criterion():
    return nn.BCELoss()
"""

MOTIFS = {"Abf1": "CGTGAT", "Reb1": "TTACCC"}


def genome(draw: np.random.Generator) -> tuple[str, str]:
    """Make three contigs with motifs, as FASTA, and points where these are, as BED."""
    fasta, bed = [], []
    for contig in ("chrI", "chrII", "chrIII"):
        letters = draw.choice(list("ACGT"), 6000)
        for name, motif in MOTIFS.items():
            for at in np.sort(draw.choice(290, 60, replace=False)) * 20:
                letters[at : at + len(motif)] = list(motif)
                bed.append(f"{contig}\t{at + 3}\t{at + 4}\t{name}\n")
        fasta.append(f">{contig}\n{''.join(letters)}\n")
    return "".join(fasta), "".join(bed)


def test_features_of_a_genome_are_learned_and_predicted(make_experiment, tmp_path):
    experiment = make_experiment(tmp_path)
    fasta, bed = genome(np.random.default_rng(0))
    (experiment.folder / "g.fa").write_text(fasta)
    (experiment.folder / "peaks.bed").write_text(bed)
    (experiment.folder / "tiny.py").write_text(NETWORK)
    (experiment.folder / "regions.bed").write_text("chrIII\t500\t501\there\t0\t+\nchrIII\t500\t501\there\t0\t-\n")
    windows = {"genome": "g.fa", "length": 30}
    experiment.config = {
        "output": "out",
        "task": "multilabel",
        "source": windows
        | {"features": {"path": "peaks.bed", "widen": 5, "threshold": 0.3}, "sample": {"method": "tiles", "step": 10}},
        "inference": {"asked": windows | {"sample": {"method": "regions", "path": "regions.bed"}}},
        "folds": {"method": "column", "validation": ["chrII"], "test": ["chrIII"]},
        "model": {"name": "file", "path": "tiny.py", "class": "Tiny", "args": {"classes": 2}, "strands": "none"},
        "finetune": {"epochs": 15, "learning_rate": 0.01, "batch_size": 16, "metric": "pr_auc"},
        "interpret": {"modes": ["mask"], "explain": "all", "sample_size": 6, "shards": 1},
    }
    experiment.succeed()
    plan, out = Plan(load(experiment.config)), experiment.output
    there = {str(path.relative_to(experiment.folder)) for path in out.rglob("*") if path.is_file()}
    assert set(plan.targets("all")) <= there
    assert {path.name for path in experiment.folder.glob("g.fa*")} == {"g.fa"}, "nothing is written beside the genome"
    encoded = pq.read_table(out / "encoded/source.parquet").to_pandas()
    assert set(encoded["split"]) == {"chrI", "chrII", "chrIII"}
    results = json.loads((out / "predict/results.json").read_text())
    assert list(results["per_class"]) == list(MOTIFS)
    assert all(of_class["roc_auc"] > 0.9 for of_class in results["per_class"].values())
    frame = pd.read_parquet(out / "predict/predictions.parquet")
    assert frame["id"].str.startswith("chrIII:").all()
    asked = pd.read_parquet(out / "predict/asked/predictions.parquet")
    assert asked["id"].tolist() == ["chrIII:485-515", "chrIII:485-515(-)"]
    # Given to others, the model holds its code, which runs where that is allowed.
    given, configuration = {"folders": ["out/fine-tune/0"]}, experiment.config
    (experiment.folder / "tiny.py").rename(experiment.folder / "elsewhere.py")
    experiment.config = {
        "output": "applied",
        "task": "multilabel",
        "model": given,
        "source": configuration["inference"]["asked"],
    }
    assert "out/fine-tune/0: holds code of its own, which runs when the model is loaded; to run it, set" in experiment.refusal()
    given["trust"] = True
    experiment.succeed("predict")
    again = pd.read_parquet(experiment.folder / "applied/predict/predictions.parquet")
    pd.testing.assert_series_equal(again["prob_Abf1"], asked["prob_Abf1"])
    (experiment.folder / "elsewhere.py").rename(experiment.folder / "tiny.py")
    experiment.config = configuration
    # Nothing to do, and then nothing but what another threshold changes.
    assert "Nothing to be done" in experiment.succeed()
    experiment.config["source"]["features"]["threshold"] = 0.2
    assert "train_tokenizer" not in experiment.plan()
