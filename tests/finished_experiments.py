"""Finished experiments at no cost: their files, of numbers that a test gives, without any model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rnalm.files import write_json
from rnalm.labels.labels import Labels


def write_experiment(
    folder: Path,
    labels: Labels,
    truth: Mapping[str, object],
    predicted: np.ndarray,
    groups: Sequence[str | None] | None = None,
    loo: Mapping[str, Sequence[float]] | None = None,
    config: dict | None = None,
    folds: int = 2,
) -> Path:
    """Write the files of an experiment of which every row is tested in one fold, and trains the others.

    Parameters
    ----------
    folder : Path
        Its folder.
    labels : Labels
        What is predicted.
    truth : mapping
        The label of each row by id; of several targets or classes, all of its numbers.
    predicted : numpy.ndarray
        Predictions or probabilities ``(rows, outputs)``.
    groups : sequence, optional
        Of each row.
    loo : mapping, optional
        Scores of single tokens, by id.
    config : dict, optional
        The configuration as the receipt of the report has it.
    folds : int
        How many there are.
    """
    stage = "tracks" if labels.per == "token" else "predict"
    for name in ("encoded", stage, "interpret"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ids = list(truth)
    frame = pd.DataFrame({"id": ids, "label": [str(own) if labels.classes else own for own in truth.values()]})
    if labels.several:
        for k, name in enumerate(labels.classes):
            frame[f"label_{name}"] = [own[k] for own in truth.values()]
    kind = "pred" if labels.task == "regression" else "prob"
    for k, name in enumerate(labels.classes or [""]):
        frame[f"{kind}_{name}" if name else "pred"] = predicted[:, k]
    frame.to_parquet(folder / stage / "predictions.parquet")
    pd.DataFrame({"id": ids, "group": groups or [None] * len(ids)}).to_parquet(folder / "encoded/source.parquet")
    rows = [(fold, name, "test" if k % folds == fold else "train") for fold in range(folds) for k, name in enumerate(ids)]
    pd.DataFrame(rows, columns=["fold", "id", "part"]).to_parquet(folder / "folds.parquet")
    for fold in range(folds):
        model = folder / "fine-tune" / str(fold)
        model.mkdir(parents=True, exist_ok=True)
        labels.save(model / "labels.json")
        error = float(np.abs(predicted).mean()) + fold
        name = "mse" if labels.task == "regression" else "pr_auc"
        write_json(model / "test_results.json", {f"test_{name}": error, "test_rows": len(ids) // folds})
        write_json(
            model / "trainer_state.json", {"log_history": [{"epoch": 1, "eval_loss": 1.5}, {"epoch": 2, "eval_loss": 1.0}]}
        )
    if loo:
        scores = [(name, "a", k, k + 1, value) for name, own in loo.items() for k, value in enumerate(own)]
        table = pd.DataFrame(scores, columns=["sequence", "token", "start_offset", "end_offset", "loo"])
        table.to_parquet(folder / "interpret/loo_scores_mask.parquet")
    if config is not None:
        receipt = {"made_of": {"params": {"job": {"config": config}}, "inputs": []}, "results": []}
        (folder / ".kept/report.log").mkdir(parents=True)
        write_json(folder / ".kept/report.log/receipt.json", receipt)
    return folder


def example(folder: Path, noise: float, **settings: object) -> Path:
    """Write an experiment that predicts forty numbers, and scores of their tokens, the worse the more noise."""
    random = np.random.default_rng(int(10 * noise))
    truth = {f"row{k}": float(k) for k in range(40)}
    predicted = np.arange(40.0)[:, None] + noise * random.standard_normal((40, 1))
    groups = [f"gene{k // 2}" for k in range(40)]
    loo = {f"row{k}": (np.sin(np.arange(6) + k) + noise / 10 * random.standard_normal(6)).tolist() for k in range(12)}
    config = {"output": folder.name, "finetune": {"metric": "pearson", **settings}}
    return write_experiment(folder, Labels("regression"), truth, predicted, groups, loo, config)
