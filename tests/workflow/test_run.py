"""The workflow from end to end, on small tables and on a cut of real data."""

import csv
import gzip
import json
import os
import pickle
import re
import shutil
import signal
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnalm.config.load import load
from rnalm.pipeline.plan import Plan
from rnalm.training.checkpoints import SEAL

ROOT = Path(__file__).parents[2]
UTR3 = ROOT / "data" / "utr3_mpra.tsv.gz"


def test_every_file_of_the_plan_is_there_and_none_half_written(finished):
    plan = Plan(load(finished.config))
    there = {str(path.relative_to(finished.folder)) for path in finished.output.rglob("*") if path.is_file()}
    assert {*plan.targets("all"), *(f"out/figures/{picture.name}" for picture in plan.pictures())} <= there
    hidden = {name.rpartition("/")[2] for name in there if name.rpartition("/")[2].startswith(".")}
    assert hidden == {".lock"}, "temporary files are left"


def test_the_end_of_a_run_says_where_the_answer_is(finished):
    lines = [line for line in (finished.folder / "terminal.txt").read_text().splitlines() if line.startswith("rnalm: ")]
    assert re.fullmatch(r"rnalm: \w+ on test rows: -?[\d.]+ ± [\d.]+ over 2 models", lines[-5])
    assert lines[-4:] == [
        "rnalm: models: out/fine-tune/summary.csv",
        "rnalm: predictions: out/predict/test_predictions.csv",
        "rnalm: pages of scores: out/interpret/loo_scores_mask.html",
        "rnalm: report: out/report.html",
    ]
    assert len(lines) == len(set(lines))


def test_the_terminal_has_a_line_a_job(finished):
    """All else stands in logs."""
    lines = (finished.folder / "terminal.txt").read_text().splitlines()
    jobs = [line.split()[-1] for line in lines if re.match(r"\d\d:\d\d:\d\d +\d+ of \d+ +\w+ +out/logs/\S+\.log$", line)]
    assert sorted(jobs) == sorted(str(path.relative_to(finished.folder)) for path in finished.output.glob("logs/**/*.log"))
    # One step more than there are logs: that which asks for all.
    steps = len(jobs) + 1
    assert f"{steps} of {steps} steps (100%) done" in lines
    # What Snakemake says at the beginning and the end, a table of the rules among it, and what we say at the end.
    assert len(lines) - len(jobs) <= 40


#: The contract with those who read the results: names that must not change (DESIGN, section 4).
FOLD = {
    *("config.json", "model.safetensors", "tokenizer.json", "labels.json", "train_results.json", "eval_results.json"),
    *("test_results.json", "all_results.json", "test_predictions.csv", "rank_deltas.csv", "trainer_state.json"),
}
CONTRACT = {
    *(f"out/fine-tune/{fold}/{name}" for fold in range(2) for name in FOLD),
    *("out/tokenizer.json", "out/encoded/source.parquet", "out/folds.parquet", "out/fine-tune/summary.csv"),
    *(f"out/predict/{name}" for name in ("predictions.parquet", "test_predictions.csv", "rank_deltas.csv")),
    *(f"out/interpret/loo_scores_mask.{kind}" for kind in ("parquet", "csv", "pkl")),
    "out/report.html",
}


def test_names_of_results_are_those_of_the_contract(finished):
    assert set(Plan(load(finished.config)).targets("all")) >= CONTRACT


def test_every_job_has_a_log_and_a_benchmark(finished):
    logs, benchmarks = (
        {path.relative_to(finished.output / kind).with_suffix("") for path in (finished.output / kind).rglob("*.*")}
        for kind in ("logs", "benchmarks")
    )
    assert logs == benchmarks
    assert len(logs) >= 12


def test_scores_are_those_of_held_out_rows(finished):
    folds = pd.read_parquet(finished.output / "folds.parquet")
    held_out = set(folds.loc[folds["part"] == "test", "id"])
    scores = pd.read_csv(finished.output / "interpret" / "loo_scores_mask.csv")
    assert set(scores["sequence"]) == held_out
    with open(finished.output / "interpret" / "loo_scores_mask.pkl", "rb") as file:
        assert len(pickle.load(file)) == len(held_out)


def test_the_number_of_shards_changes_nothing_but_the_shards(copy, finished):
    experiment = copy()
    experiment.config["interpret"]["shards"] = 3
    assert experiment.plan() == {"score_shard": 3, "merge_scores": 1, "draw_scores": 1, "find_patterns": 1}
    experiment.succeed("interpret")
    for kind in ("csv", "parquet", "pkl"):
        name = f"interpret/loo_scores_mask.{kind}"
        assert (experiment.output / name).read_bytes() == (finished.output / name).read_bytes()


def test_trained_models_predict_and_explain_new_files_without_training(copy):
    """The models are named in the configuration or, one of them, on the command line."""
    experiment = copy()

    def shorten(rows):
        return [[f"new{i}", row[1], "", ""] for i, row in enumerate(rows[:5])]

    experiment.write_table("new.tsv", edit=shorten)
    experiment.config |= {"output": "out/../new", "model": [f"out/fine-tune/{k}" for k in range(2)]}
    experiment.config["source"] = {"path": "new.tsv", "columns": {"id": "id", "sequence": "sequence"}}
    assert "finetune_fold" not in experiment.plan("predict", "interpret", "--config", "model=out/fine-tune/1")
    experiment.succeed("predict", "interpret")
    predictions = pd.read_parquet(experiment.folder / "new" / "predict" / "predictions.parquet")
    assert predictions["id"].tolist() == [f"new{i}" for i in range(5)]
    own = predictions[["pred.0", "pred.1"]]
    np.testing.assert_allclose(predictions["pred"], own.mean(axis=1))
    np.testing.assert_allclose(predictions["pred_sd"], own.std(axis=1))
    with open(experiment.folder / "new" / "interpret" / "loo_scores_mask.csv") as file:
        assert next(csv.reader(file)) == ["sequence", "token", "label", "pred", "start_offset", "end_offset", "loo", "loo_sd"]


def test_replicates_and_further_files_join_what_is_there(copy, finished):
    experiment = copy()
    experiment.write_table("more.tsv", n=6)
    columns = {"id": "id", "sequence": "sequence", "label": "label"}
    experiment.config["inference"] = {"more": {"path": "more.tsv", "columns": columns}}
    passing = {"encode_source": 1, "predict_source": 2, "merge_predictions": 1, "score_shard": 2, "merge_scores": 1}
    assert experiment.plan() == passing | {"draw_scores": 1, "find_patterns": 1, "write_report": 1}
    experiment.config["finetune"]["replicates"] = 2
    plan = experiment.plan()
    assert plan["finetune_fold"] == plan["evaluate_fold"] == 2, "those of the second replicate"
    assert plan["predict_source"] == 6, "of the experiment's own rows by two new models, of the further file by all four"
    experiment.succeed()
    assert json.loads((experiment.output / "predict" / "more" / "results.json").read_text())["rows"] == 6
    assert (experiment.output / "interpret" / "more" / "loo_scores_mask.pkl").exists()
    assert "Predictions: more" in (experiment.output / "report.html").read_text()
    weights = {name: (experiment.output / "fine-tune" / name / "model.safetensors").read_bytes() for name in ("0", "0.1")}
    assert weights["0"] == (finished.output / "fine-tune/0/model.safetensors").read_bytes()
    assert weights["0"] != weights["0.1"]
    summary = pd.read_csv(experiment.output / "fine-tune/summary.csv")
    assert list(summary.columns) == ["metric", "fold_0", "fold_0.1", "fold_1", "fold_1.1", "mean", "sd"]
    predictions = pd.read_parquet(experiment.output / "predict/predictions.parquet")
    np.testing.assert_allclose(predictions["pred"], predictions[[f"pred.{model}" for model in range(4)]].mean(axis=1))
    scores = pd.read_csv(experiment.output / "interpret/loo_scores_mask.csv")
    assert (scores["loo_sd"] > 0).all(), "every row is scored by the two models of its fold"


def test_folds_without_test_rows_train_and_report(experiment):
    experiment.config["folds"] = {"method": "column", "validation": ["a", "b"]}
    experiment.succeed()
    summary = pd.read_csv(experiment.output / "fine-tune" / "summary.csv")
    assert summary["metric"].str.startswith("eval_").any()
    assert not (experiment.output / "predict").exists()
    assert "There are no test rows" in (experiment.output / "report.html").read_text()


@pytest.mark.nightly
def test_a_killed_run_goes_on_and_ends_as_if_never_killed(experiment):
    """Kill workflow and jobs in the middle of a fold, then give the same command again."""
    experiment.config["finetune"]["epochs"] = 60
    experiment.config["folds"]["n"] = 1
    experiment.succeed("finetune")
    whole = experiment.contents()
    shutil.rmtree(experiment.output)
    running = experiment.start("finetune")
    deadline = time.time() + 120
    while not list(experiment.output.glob(f"fine-tune/0/checkpoints/checkpoint-*/{SEAL}")):
        assert running.poll() is None, (experiment.folder / "terminal.txt").read_text()
        assert time.time() < deadline
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not (experiment.output / "fine-tune" / "0" / "model.safetensors").exists(), "killed too late to show anything"
    experiment.succeed("finetune")
    assert "resuming after epoch" in (experiment.output / "logs" / "finetune" / "0.log").read_text()
    assert experiment.contents() == whole


@pytest.mark.nightly
@pytest.mark.skipif(not UTR3.exists(), reason="the real data are not there")
def test_a_cut_of_real_data_runs_as_its_example_says(experiment):
    import yaml

    config = yaml.safe_load((ROOT / "config" / "examples" / "utr3_mpra.yaml").read_text())
    with gzip.open(UTR3, "rt") as whole, gzip.open(experiment.folder / "cut.tsv.gz", "wt") as cut:
        cut.writelines(islice(whole, 81))
    config["source"]["path"] = "cut.tsv.gz"
    config |= {"output": "out"}
    config["folds"]["n"] = 2
    config["finetune"]["epochs"] = 1
    config["interpret"] |= {"sample_size": 3, "shards": 2}
    experiment.config = config
    experiment.succeed()
    scores = pd.read_csv(experiment.output / "interpret" / "loo_scores_replace.csv")
    assert scores.groupby("sequence").size().tolist() == [3 * 160] * 3
    assert (experiment.output / "report.html").stat().st_size > 100_000


def test_the_verdict_is_told_and_stands_on_the_report(finished):
    verdict = json.loads((finished.output / "verdict.json").read_text())
    told, report = (finished.folder / "terminal.txt").read_text(), (finished.output / "report.html").read_text()
    assert len(verdict["sentences"]) == 3
    for sentence in verdict["sentences"]:
        assert f"rnalm: {sentence}\n" in told
        assert f"<p>{sentence}</p>" in report
