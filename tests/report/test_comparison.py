"""The page that compares experiments, its numbers, and its verdict."""

import json
import re

import numpy as np
import pytest
from finished_experiments import example, write_experiment

from rnalm import cli
from rnalm.files import write_json
from rnalm.labels.labels import Labels
from rnalm.prediction.finished import read
from rnalm.report import comparison


def test_a_verdict_says_which_is_better_and_the_page_and_the_json_have_the_numbers(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [
        str(example(tmp_path / name, noise, **{"epochs": k}))
        for k, (name, noise) in enumerate({"wild": 9.0, "calm": 0.5}.items())
    ]
    assert cli.main(["compare", *folders, "--output", "a.html", "--json", "a.json", "--resamples", "50"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"calm is better than wild: pearson \d.\d{3} against 0.\d{3} over the 40 test rows in common, "
        r"a difference of \+0.\d{3} \(95% interval \+0.\d{3} to \+0.\d{3}\)\.",
        said[0],
    )
    assert said[1:] == ["a.html: written"]
    numbers, page = json.loads((tmp_path / "a.json").read_text()), (tmp_path / "a.html").read_text()
    assert numbers["verdict"] == said[:1]
    assert numbers["rows"] == {"common": 40, "groups": 20, "not_common": [0, 0], "labels_differ": 0}
    assert numbers["configuration"] == {"finetune.epochs": [0, 1]}
    assert numbers["scores"]["mask"]["calm"]["sequences"] == 12
    assert said[0] in page
    assert len(page) < 2 * 2**20
    assert re.findall(r"<h2[^>]*>([^<]*)", page) == [
        "Verdict",
        "The same rows",
        "The same folds",
        "Training",
        "Scores",
        "Configurations",
    ]
    assert not re.search(r"<(script src|link|img|iframe)|(src|href)=.https?:", page)


def test_folds_have_what_was_stacked_as_long_as_the_last_run_stacked(tmp_path):
    folder = example(tmp_path / "own", 0.5)
    alone = read([folder, example(tmp_path / "other", 1.0)])[0]
    (folder / "stack/0").mkdir(parents=True)
    write_json(folder / "stack/0/results.json", {"pearson": 0.123, "per_class": {}})
    (folder / "fine-tune/summary.csv").write_text("metric,fold_0,mean,sd\ntest_pearson,0.5,0.5,\n")
    assert alone.tested()["0"].get("pearson") != 0.123, "of an earlier run"
    (folder / "fine-tune/summary.csv").write_text("metric,fold_0,mean,sd\nstack_test_pearson,0.123,0.123,\n")
    assert alone.tested()["0"] == {"pearson": 0.123}


def test_a_worse_one_is_called_worse_and_one_that_is_as_good_neither(tmp_path):
    folders = [example(tmp_path / name, noise) for name, noise in (("calm", 0.5), ("wild", 9.0), ("same", 0.5))]
    worse, same = comparison.write(folders, [None] * 3, tmp_path / "a.html", resamples=50)
    assert worse.startswith("wild is worse than calm: pearson ")
    assert same.startswith("No difference between same and calm can be told: ")
    assert "Not known of calm, wild, same: it is noted when a report is written" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    "labels",
    [
        Labels("regression", classes=("liver", "$brain")),
        Labels("classification", classes=("<a>", "b")),
        Labels("classification", classes=("a", "b", "c")),
        Labels("multilabel", classes=("a", "b")),
    ],
    ids=lambda labels: f"{labels.task} {len(labels.classes)}",
)
def test_every_task_has_a_page(tmp_path, labels):
    random, count = np.random.default_rng(0), labels.n_outputs
    numbers = random.integers(0, 2, (24, count)).astype(float).tolist()
    own = numbers if labels.several else [labels.classes[k % count] for k in range(24)]
    truth = {f"row{k}": one for k, one in enumerate(own)}
    folders = [write_experiment(tmp_path / name, labels, truth, random.random((24, count))) for name in ("one", "two")]
    (verdict,) = comparison.write(folders, [None, None], tmp_path / "page.html", resamples=20)
    assert "over the 24 test rows in common" in verdict
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 3
    assert "<a>" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)


def test_where_tokens_have_labels_folds_alone_are_compared(tmp_path):
    labels = Labels("classification", classes=("no", "yes"), per="token")
    truth = {f"row{k}": labels.classes[k % 2] for k in range(8)}
    made = [np.full((8, 2), value) for value in (0.25, 0.5)]
    folders = [write_experiment(tmp_path / str(k), labels, truth, own) for k, own in enumerate(made)]
    (verdict,) = comparison.write(folders, [None, None], tmp_path / "page.html")
    assert verdict.startswith("1 is better than 0: pr auc 1.000 against 0.750 over 2 folds in common, a difference of +0.250 ")
    assert "The same rows" not in (tmp_path / "page.html").read_text()


def test_a_number_of_resamples_must_be_one(capsys):
    with pytest.raises(SystemExit):
        cli.main(["compare", "a", "b", "--resamples", "0"])
    assert "found '0', expected a whole number of 1 or more" in capsys.readouterr().err
