"""Several classes a sequence, from the table to the report."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from rnalm.config.load import load
from rnalm.pipeline.plan import Plan

pytestmark = pytest.mark.e2e

CLASSES = ["GG", "has U-turn", "short"]


def table(rows: int, seed: int) -> str:
    """Make sequences: with GG, with UGA, and shorter than 30; some of that is not known."""
    draw, lines = np.random.default_rng(seed), ["\t".join(["id", "sequence", *CLASSES])]
    for row in range(rows):
        text = "".join(draw.choice(list("ACGU"), draw.integers(8, 60)))
        cells = [str(int(has)) for has in ("GG" in text, "UGA" in text, len(text) < 30)]
        if row % 7 == 0:
            cells[row % 3] = ""
        lines.append("\t".join([f"s{row}", text, *cells]))
    return "\n".join(lines) + "\n"


def test_several_classes_of_a_token_are_learned_predicted_and_explained(make_experiment, tmp_path):
    experiment = make_experiment(tmp_path)
    draw = np.random.default_rng(0)
    texts = {f"s{row}": "".join(draw.choice(list("ACGT"), draw.integers(20, 60))) for row in range(60)}
    bed = [
        f"{name}\t{at}\t{at + 1}\t{of}\n"
        for name, text in texts.items()
        for at in range(1, len(text))
        for of, letter, place in (("has A", "A", at), ("after G", "G", at - 1))
        if text[place] == letter
    ]
    (experiment.folder / "known.bed").write_text("".join(bed))
    (experiment.folder / "s.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    experiment.config = {
        "output": "out",
        "task": "multilabel",
        "source": {"path": "s.fa", "sites": "known.bed"},
        "labels": {"per": "token", "classes": ["has A", "after G"], "class_weights": True},
        "model": {"name": "dilated", "width": 8, "kernel_size": 3, "dilations": [1, 2]},
        "finetune": {"epochs": 12, "learning_rate": 0.02, "batch_tokens": 400, "metric": "f1_micro"},
        "predict": {"sites": {"of": "after G", "top": 1}, "formats": ["bedgraph", "npy"]},
        "interpret": {"modes": ["mask"], "shards": 1},
    }
    experiment.succeed()
    plan, out = Plan(load(experiment.config)), experiment.output
    there = {str(path.relative_to(experiment.folder)) for path in out.rglob("*") if path.is_file()}
    assert set(plan.targets("all")) <= there
    results = json.loads((out / "tracks/results.json").read_text())
    assert list(results["per_class"]) == ["has A", "after G"]
    frame = pd.read_parquet(out / "tracks/predictions.parquet")
    for number, name in enumerate(results["per_class"]):
        truth = np.concatenate([np.stack(label)[:, number] for label in frame["label"]])
        expected = sk.roc_auc_score(truth, np.concatenate(frame[f"prob_{name}"]))
        assert results["per_class"][name]["roc_auc"] == pytest.approx(expected, abs=1e-9)
        assert expected > 0.95
    assert results["best_right"] > 0.9
    assert results["recall_listed"] > 0.9
    scores = pd.read_parquet(out / "interpret/loo_scores_mask.parquet")
    assert set(scores["class"]) == {"after G"}
    before = scores[scores["start_offset"] == scores["explained_position"] - 1]
    assert before["loo"].mean() < -0.3, "the G before it makes it one"
    assert scores["label"].str.contains("after G").mean() > 0.9
    report = (out / "report.html").read_text()
    assert "has A all tokens: " in report
    # Given models tell which names of sites are classes.
    experiment.config = {
        "output": "applied",
        "task": "multilabel",
        "model": ["out/fine-tune/0"],
        "source": {"path": "s.fa", "sites": "known.bed"},
    }
    experiment.succeed()
    applied = json.loads((experiment.folder / "applied/tracks/results.json").read_text())
    assert applied["per_class"]["after G"]["rows"] == sum(map(len, texts.values()))
    assert "has A" in (experiment.folder / "applied/report.html").read_text()


def test_several_classes_are_learned_predicted_and_explained(make_experiment, tmp_path):
    experiment = make_experiment(tmp_path)
    (experiment.folder / "several.tsv").write_text(table(240, seed=0))
    columns = {"id": "id", "sequence": "sequence", "label": CLASSES}
    experiment.config = {
        "output": "out",
        "task": "multilabel",
        "source": {"path": "several.tsv", "columns": columns},
        "inference": {"more": {"path": "several.tsv", "columns": {"id": "id", "sequence": "sequence"}}},
        "folds": {"n": 1},
        "labels": {"class_weights": True},
        "model": {"name": "frames", "width": 8, "layers": 1},
        "finetune": {"epochs": 12, "learning_rate": 0.01, "batch_size": 8, "metric": "pr_auc", "replicates": 2},
        "interpret": {"modes": ["mask"], "explain": ["short", "GG"], "shards": 1},
        "evaluate": {"classes": ["short", "GG"], "min_positives": 3},
    }
    experiment.succeed()
    plan, out = Plan(load(experiment.config)), experiment.output
    there = {str(path.relative_to(experiment.folder)) for path in out.rglob("*") if path.is_file()}
    assert set(plan.targets("all")) <= there
    frame = pd.read_parquet(out / "predict/predictions.parquet")
    results = json.loads((out / "predict/results.json").read_text())
    for name in CLASSES:
        known = frame.dropna(subset=[f"label_{name}"])
        own = results["per_class"][name]
        assert own["rows"] == len(known)
        assert own["roc_auc"] == pytest.approx(sk.roc_auc_score(known[f"label_{name}"], known[f"prob_{name}"]))
    assert results["per_class"]["short"]["roc_auc"] > 0.9
    of_models = [json.loads((out / f"fine-tune/{name}/labels.json").read_text())["thresholds"] for name in ("0", "0.1")]
    limit = results["per_class"]["GG"]["threshold"]
    assert limit == pytest.approx(np.mean(of_models, axis=0)[0])
    assert (frame["prob_GG"] >= limit).tolist() == ["GG" in names.split(";") for names in frame["pred"]]
    scores = pd.read_parquet(out / "interpret/loo_scores_mask.parquet")
    assert scores["class"].unique().tolist() == ["short", "GG"]
    assert set(scores["sequence"]) == set(frame["id"])
    assert scores.groupby("sequence").size().mod(2).eq(0).all(), "a score for each class"
    evaluated = pd.read_csv(out / "predict/test_performance.txt", sep="\t", index_col="class")
    assert evaluated["roc_auc"].to_dict() == {
        name: pytest.approx(results["per_class"][name]["roc_auc"], abs=6e-5) for name in ("short", "GG")
    }
    assert np.load(out / "predict/test_targets.npz")["data"].shape == (len(frame), 2)
    more = pd.read_parquet(out / "predict/more/predictions.parquet")
    assert more["label"].isna().all()
    assert (more["models"] == 2).all()
    report = (out / "report.html").read_text()
    assert "ROC AUC" in report
    assert "has U-turn" in report
