"""The page of the sweeps shows what trials.csv says, and nothing else."""

import csv
import re
from pathlib import Path

import pytest
import yaml

from rnalm.config import Finetune, Saluki
from rnalm.config.sweep import Sweep
from rnalm.report import sweep_page
from rnalm.training.sweep.best import cell

#: Pictures are drawn, many of them.
pytestmark = pytest.mark.slow

PARAMETERS = {
    "lr": {"min": 1e-4, "max": 1.0, "log": True},
    "layers": {"min": 1, "max": 6},
    "betas": {"values": [[0.9, 0.99], [0.8, 0.9]]},
    "patience": {"values": [None, 3]},
}
VALUES = [(0.01, 1, [0.9, 0.99], None), (0.1, 2, [0.8, 0.9], 3), (0.001, 5, [0.9, 0.99], 3), (0.02, 3, [0.8, 0.9], None)]


def search(parameters=PARAMETERS, **settings) -> Sweep:
    return Sweep(parameters=parameters, **settings).resolve("regression", Saluki(), Finetune())


def study(folder: Path, sweep: Sweep, rows: list[tuple[str, float | None, str]], values=VALUES) -> Path:
    """Write what a study leaves: state, value and note of each trial."""
    folder.mkdir()
    names = {
        "lr": "finetune.learning_rate",
        "layers": "model.layers",
        "betas": "finetune.betas",
        "patience": "finetune.patience",
    }
    tried = [dict(zip([names[key] for key in PARAMETERS], found, strict=True)) for found in values]
    with open(folder / "trials.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", sweep.metric, "epochs", *sweep.parameters, "note"])
        for number, (state, value, note) in enumerate(rows):
            cells = [cell(tried[number % len(tried)][key]) for key in sweep.parameters]
            writer.writerow([number, state, value, 2, *cells, note])
    complete = [(value, number) for number, (state, value, _) in enumerate(rows) if state == "complete"]
    value, number = min(complete)
    best = {key: tried[number % len(tried)][key] for key in sweep.parameters}
    content = {"metric": sweep.metric, "goal": sweep.goal, "value": value, "trial": number, "parameters": best}
    (folder / "best.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


ROWS = [("complete", 0.5, ""), ("complete", 0.25, ""), ("pruned", 0.75, ""), ("complete", 2.5, "")]
MORE = [*ROWS, ("complete", 0.625, ""), ("failed", None, "training <diverged>"), ("complete", 125.0, "")]


def page(folder: Path, sweep: Sweep, *studies_of_folds) -> str:
    folders = {str(fold): study(folder / str(fold), sweep, rows) for fold, rows in enumerate(studies_of_folds)}
    sweep_page.write(folders, sweep, folder / "index.html")
    return (folder / "index.html").read_text()


def test_the_page_names_the_best_values_of_each_fold(tmp_path):
    found = page(tmp_path, search(), ROWS, [("complete", 0.1, ""), *ROWS])
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", found)]
    assert ["loss", "0.25", "0.1"] in rows
    assert ["trial", "1", "0"] in rows
    assert ["finetune.learning_rate", "0.1", "0.01"] in rows
    assert ["finetune.betas", "[0.8, 0.9]", "[0.9, 0.99]"] in rows
    assert ["model.layers", "2", "1"] in rows
    assert "Fold 0" in found
    assert "Fold 1" in found


def test_all_trials_stand_on_the_page_which_needs_no_other_file_nor_a_network(tmp_path):
    found = page(tmp_path, search(), MORE)
    assert len(re.findall("<tr><td>[0-9]</td>", found)) == len(MORE)
    assert "training &lt;diverged&gt;" in found
    for state in ("pruned", "failed"):
        assert f"<b>1</b><span>{state}</span>" in found
    assert len(re.findall("<svg", found)) == 4
    bare = re.sub(r"<metadata>.*?</metadata>", "", found, flags=re.DOTALL)
    assert not re.findall(r"""<(script src|link|img)|(?:src|href)=["'](?!\#)""", bare)


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
@pytest.mark.parametrize(
    ("parameters", "rows"),
    [
        (PARAMETERS, ROWS[:1]),
        ({"lr": {"min": 1e-4, "max": 1.0}}, ROWS),
        ({"patience": {"values": [None, 3]}}, [("failed", None, "x"), *ROWS]),
        ({"patience": {"values": [None, 3]}}, [("pruned", None, "")] + [("complete", 1.0, "")] * 5),
        ({key: PARAMETERS[key] for key in ("lr", "layers")}, MORE * 2),
    ],
)
def test_every_page_can_be_drawn_and_is_the_same_again(tmp_path, parameters, rows):
    sweep = search(parameters)
    first = page(tmp_path, sweep, rows)
    sweep_page.write({"0": tmp_path / "0"}, sweep, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == first


def test_the_best_so_far_falls_or_rises_with_the_goal(tmp_path):
    for metric, reached in (("loss", [0.5, 0.25, 0.25]), ("r2", [0.5, 0.5, 2.5])):
        sweep = search(metric=metric)
        frame = sweep_page.read(study(tmp_path / metric, sweep, ROWS), sweep)
        [line] = sweep_page.history(frame, 1, sweep).axes[0].lines
        assert list(line.get_ydata()) == reached
        assert list(line.get_xdata()) == [0, 1, 3]


def test_values_stand_where_their_axis_has_them(tmp_path):
    sweep = search()
    frame = sweep_page.read(study(tmp_path / "0", sweep, ROWS), sweep)
    scales = {key: sweep_page.scale(frame[key], parameter) for key, parameter in sweep.parameters.items()}
    assert list(scales["finetune.learning_rate"].positions) == [0.01, 0.1, 0.001, 0.02]
    assert scales["finetune.learning_rate"].log
    assert list(scales["finetune.betas"].positions) == [0, 1, 0, 1]
    assert scales["finetune.patience"].names == ["null", "3"]


def test_the_key_that_decides_is_the_most_important(tmp_path):
    sweep = search({key: PARAMETERS[key] for key in ("layers", "patience")})
    values = [(0.01, 1 + k % 6, [0.9, 0.99], (None, 3)[k % 5 > 2]) for k in range(30)]
    rows = [("complete", float(layers), "") for _, layers, _, _ in values]
    found = sweep_page.importance(sweep_page.read(study(tmp_path / "0", sweep, rows, values), sweep), sweep)
    assert next(iter(found)) == "model.layers"
    assert found["model.layers"] > 0.9
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize("rows", [ROWS[:3], [("complete", 1.0, "")] * 9])
def test_nothing_is_said_of_importance_where_nothing_can_be_said(tmp_path, rows):
    sweep = search()
    assert sweep_page.importance(sweep_page.read(study(tmp_path / "0", sweep, rows), sweep), sweep) == {}
