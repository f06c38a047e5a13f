"""Models of a fold and its baseline are combined by weights from its validation rows, for held-out rows and further files."""

import numpy as np
import pandas as pd
import pytest
from configurations import BASES

from rnalm.config.load import load
from rnalm.files import read_json
from rnalm.pipeline.plan import Plan

pytestmark = pytest.mark.e2e


def several(rows: list[list[str]]) -> list[list[str]]:
    """Let rows have any of two classes in place of a number."""
    return [[name, text, str(int("AC" in text)), str(int("G" in text[:4]))] for name, text, *_ in rows]


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_predictions_are_weighted_means_of_models_and_baselines(make_experiment, tmp_path, task):
    experiment = make_experiment(tmp_path)
    experiment.write_table("more.tsv", n=9)
    experiment.config |= {
        "ensemble": "stack",
        "inference": {"more": {"path": "more.tsv", "columns": {"id": "id", "sequence": "sequence", "label": "label"}}},
        "finetune": experiment.config["finetune"] | {"replicates": 2},
    }
    if task == "multilabel":
        for name, count in (("table.tsv", 40), ("more.tsv", 9)):
            experiment.write_table(name, count, several)
        columns = {"id": "id", "sequence": "sequence", "label": ["label", "split"]}
        experiment.config |= {"task": "multilabel", "source": {"path": "table.tsv", "columns": columns}}
        experiment.config["inference"] = {"more": {"path": "more.tsv", "columns": columns}}
    experiment.succeed()
    plan, out = Plan(load(experiment.config)), experiment.output
    weights = {name: own for fold in "01" for name, own in read_json(out / f"stack/{fold}/weights.json")["weights"].items()}
    # Models come first, so that their numbers are those that they have without baselines.
    numbers = np.array([weights[name] for name in ("0", "0.1", "1", "1.1", "baseline-0", "baseline-1")])
    for place in ("predict", "predict/more"):
        frame = pd.read_parquet(out / place / "predictions.parquet")
        kind = "pred" if task == "regression" else "prob_label"
        each = frame[[f"{kind}.{number}" for number in range(len(weights))]].to_numpy()
        shares = numbers * ~np.isnan(each)
        expected = np.nansum(shares * each, axis=1) / shares.sum(axis=1)
        assert frame[kind].to_numpy() == pytest.approx(expected)
    for fold in "01":
        losses = read_json(out / f"stack/{fold}/weights.json")
        assert losses["validation_loss"] <= min(losses["validation_loss_of_each"].values()) + 1e-3
    summary = pd.read_csv(out / "fine-tune/summary.csv", index_col="metric")
    metric = "mse" if task == "regression" else "f1_micro"
    of_folds = [read_json(out / f"stack/{fold}/results.json")[metric] for fold in "01"]
    assert summary.loc[f"stack_test_{metric}", ["fold_0", "fold_1"]].tolist() == pytest.approx(of_folds)
    for number, name in enumerate(("0", "0.1", "1", "1.1")):
        own = pd.read_csv(out / f"fine-tune/{name}/test_predictions.csv")
        kind = "prediction" if task == "regression" else "prob_label"
        frame = pd.read_parquet(out / "predict/predictions.parquet").set_index("id").loc[own["sequence"]]
        assert frame[f"{'pred' if task == 'regression' else kind}.{number}"].to_numpy() == pytest.approx(own[kind].to_numpy())
    assert "models alone" in read_json(out / "verdict.json")["sentences"][1]
    page = (out / "report.html").read_text()
    assert "How much each model and baseline counts" in page
    assert "models and baseline</th>" in page, "of both together no number is called one of models"
    assert set(plan.targets("all")) <= {str(path.relative_to(tmp_path)) for path in out.rglob("*") if path.is_file()}


def test_it_is_refused_where_there_is_nothing_to_combine(refusal):
    config = BASES["stacked"]
    assert "ensemble: stack combines several models" in refusal(load, config | {"baseline": "none"})
    load(config | {"baseline": "none", "finetune": {"replicates": 2}})
    assert "ensemble: stack is for labels of sequences" in refusal(load, BASES["positions"] | {"ensemble": "stack"})
    assert "ensemble: stack is of models that are trained here" in refusal(load, BASES["given"] | {"ensemble": "stack"})
