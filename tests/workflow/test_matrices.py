"""What a user of Selene brings along, from matrices of three parts to the files of the evaluation."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from rnalm.config.load import load
from rnalm.pipeline.plan import Plan

pytestmark = pytest.mark.e2e

NETWORK = """
from torch import nn


class Tiny(nn.Module):
    def __init__(self, size, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(4, size, 3), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(),
                                    nn.Linear(size, classes), nn.Sigmoid())

    def forward(self, x):
        return self.layers(x)


def criterion():
    return nn.BCELoss()
"""


def arrays(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Draw sequences of 30 letters, and whether they have GG and TTA."""
    draw = np.random.default_rng(seed)
    letters = draw.integers(0, 4, (rows, 30))
    texts = ["".join("ACGT"[letter] for letter in row) for row in letters]
    one_hot = (letters[:, None] == np.arange(4)[:, None]).astype(np.uint8)
    return {"sequences": one_hot, "targets": np.array([["GG" in text, "TTA" in text] for text in texts], dtype=np.uint8)}


def test_matrices_of_three_parts_train_validate_and_test_a_network_in_steps(make_experiment, tmp_path):
    experiment = make_experiment(tmp_path)
    parts = {}
    for seed, (name, rows) in enumerate({"train": 300, "validation": 80, "test": 90}.items()):
        np.savez(experiment.folder / f"{name}.npz", **arrays(rows, seed))
        parts[name] = {"matrix": f"{name}.npz", "targets_key": "targets", "classes": "names.txt"}
    (experiment.folder / "names.txt").write_text("has GG\nhas TTA\n")
    (experiment.folder / "net.py").write_text(NETWORK)
    experiment.config = {
        "output": "out",
        "task": "multilabel",
        "source": {"parts": parts},
        "model": {"name": "file", "path": "net.py", "class": "Tiny", "args": {"size": 64, "classes": 2}},
        "finetune": {"max_steps": 160, "report_every": 40, "save_every": 20, "learning_rate": 0.03, "batch_size": 16},
        "interpret": {"modes": ["mask"], "explain": ["has GG"], "sample_size": 5, "shards": 1},
    }
    experiment.succeed()
    plan, out = Plan(load(experiment.config)), experiment.output
    there = {str(path.relative_to(experiment.folder)) for path in out.rglob("*") if path.is_file()}
    assert set(plan.targets("all")) <= there
    test, frame = arrays(90, 2), pd.read_parquet(out / "predict/predictions.parquet")
    assert frame["id"].tolist() == [f"test.npz:{row}" for row in range(90)]
    targets, found = (np.load(out / f"predict/test_{name}.npz")["data"] for name in ("targets", "predictions"))
    np.testing.assert_array_equal(targets, test["targets"])
    evaluated = pd.read_csv(out / "predict/test_performance.txt", sep="\t", index_col="class")
    for number, name in enumerate(("has GG", "has TTA")):
        area = sk.roc_auc_score(targets[:, number], found[:, number])
        assert evaluated.loc[name, "roc_auc"] == pytest.approx(area, abs=6e-5)
        assert area > 0.8
    assert "step" in (out / "figures/learning_curves.svg").read_text()
    assert not experiment.plan()
