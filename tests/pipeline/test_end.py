import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import rnalm
from rnalm.pipeline import run

SUMMARY = "metric,fold_0,fold_1,mean,sd\neval_loss,1,1,1,0\ntest_spearman,0.8,0.9,0.85,0.0707\ntest_pearson,0.7,0.8,0.75,0.07\n"


@pytest.fixture
def out(tmp_path):
    """Make logs of jobs, one of them of an earlier run."""
    for name, lines in {
        "tokenize": "2026-01-01 00:00:00 INFO fine",
        "finetune/0": "2026-01-01 00:00:00 WARNING labels are odd\n2026-01-01 00:00:01 WARNING labels are odd",
        "finetune/1": "2026-01-01 00:00:00 WARNING labels are odd\n2026-01-01 00:00:00 ERROR it broke",
        "report": "2026-01-01 00:00:00 WARNING nothing to show",
        "old": "2025-01-01 00:00:00 WARNING of long ago",
    }.items():
        path = tmp_path / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines + "\n")
    os.utime(tmp_path / "logs" / "old.log", (0, 0))
    return tmp_path


def test_each_warning_is_told_once_with_the_jobs_that_have_it(out, capsys):
    run.conclude(str(out), 1000, [], "loss")
    assert capsys.readouterr().err.splitlines() == [
        "rnalm: warning: labels are odd (and in 1 more jobs)",
        "rnalm: warning: nothing to show",
    ]


def test_each_error_is_told_once(out, capsys):
    run.repeat_errors(out, 1000)
    assert capsys.readouterr().err == "rnalm: it broke\n"


def test_the_answer_is_where_it_is(out, capsys):
    names = ["fine-tune/summary.csv", "predict/test_predictions.csv", "predict/more/new_predictions.csv", "report.html"]
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(SUMMARY)
    results = [f"{out}/{name}" for name in (*names, "interpret/loo_scores_mask.html", "predict/predictions.parquet")]
    run.conclude(str(out), 10**12, results, "spearman")
    assert capsys.readouterr().err.splitlines() == [
        "rnalm: spearman on test rows: 0.850 ± 0.071 over 2 models",
        f"rnalm: models: {out}/fine-tune/summary.csv",
        f"rnalm: predictions: {out}/predict/test_predictions.csv, {out}/predict/more/new_predictions.csv",
        f"rnalm: report: {out}/report.html",
    ]


@pytest.mark.parametrize(
    ("metric", "line"),
    [("loss", "pearson on test rows: 0.750 ± 0.070 over 2 models"), ("spearman", "spearman on test rows: 0.850")],
)
def test_the_headline_is_of_the_metric_that_selects_or_a_usual_one(tmp_path, metric, line):
    (tmp_path / "summary.csv").write_text(SUMMARY)
    assert run.headline(tmp_path / "summary.csv", metric).startswith(line)


def test_one_model_has_no_spread_and_without_test_rows_there_is_no_headline(tmp_path):
    path = tmp_path / "summary.csv"
    path.write_text("metric,fold_0,mean,sd\ntest_pearson,0.5,0.5,\n")
    assert run.headline(path, "loss") == "pearson on test rows: 0.500"
    path.write_text("metric,fold_0,mean,sd\neval_pearson,0.5,0.5,\n")
    assert run.headline(path, "loss") == ""
    path.write_text("metric,fold_0,mean,sd\ntest_spearman,,,\ntest_pearson,0.5,0.5,\n")
    assert run.headline(path, "spearman") == "pearson on test rows: 0.500"


@pytest.mark.parametrize("version", [rnalm.__version__, "0.0.9"])
def test_a_workflow_of_another_version_than_the_library_is_told(tmp_path, monkeypatch, capsys, version):
    monkeypatch.setattr(run, "held", None)
    planned = SimpleNamespace(dag=SimpleNamespace(needrun_jobs=list))
    run.begin(str(tmp_path), planned, version)
    told = f"rnalm: the workflow is of rnalm 0.0.9, the library that is installed of {rnalm.__version__}; expected the same\n"
    assert capsys.readouterr().err == ("" if version == rnalm.__version__ else told)


def test_the_workflow_is_of_the_version_of_the_library_beside_it():
    common = Path(__file__).parents[2] / "workflow/rules/common.smk"
    assert f'run.begin(OUT, workflow, version="{rnalm.__version__}")' in common.read_text()
