"""Only what changed runs again, always what changed: for each kind of change, exactly which rules."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from dependencies import ENCODING, EVERYTHING, FOLDING, PASSING, REPORT, SCORING, TRAINING, below

from rnalm.pipeline import fingerprint


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


#: Edits of the library: file, what stands there, what takes its place, and the rules that run again.
EDITS = {
    "a comment": ("predict.py", "def predict(", "# Of all sequences.\ndef predict(", set()),
    "a docstring": ("train.py", '"""Fine-tune a model on one fold."""', '"""Train."""', set()),
    "a docstring inside": ("folds.py", '"""Who trains, validates and tests in each fold."""', "", set()),
    "layout": ("labels.py", "\ndef fit(", "\n\n\n\ndef fit(", set()),
    "a function that nobody calls": ("encode.py", "def encode(", "def decode():\n    return 1\n\n\ndef encode(", set()),
    "the version": ("__init__.py", "__version__ = ", "__version__ = 'new' or ", set()),
    "the frame of jobs": ("jobs.py", "    return run", "    run.__name__ = 'run'\n    return run", set()),
    "the command line": ("cli.py", "    options.run(options)", "    assert options\n        options.run(options)", set()),
    "how the configuration is read": ("configfile.py", "    more = ", "    assert keys\n    more = ", set()),
    "report": ("report/write.py", "    sections = [_data(job)]", "    sections = [*[_data(job)]]", REPORT),
    "its template": ("report.html", "<html", "<html data-new", REPORT),
    "curves": ("curves.py", "def learning_curves(", "def learning_curves(*_, **more): return more\ndef _learning(", REPORT),
    "compare": ("compare.py", "    best = f1[:-1].argmax()", "    best = f1[:-1].argmin()", REPORT),
    "figures": ("figures.py", "def positions(", "def positions(*, _=0, **more): return more\ndef _positions(", REPORT),
    "perturb.summary": (
        "perturb/summary.py",
        "def read_bed(",
        "def read_bed(*_): return []\ndef _(",
        REPORT | {"check_interpretation"},
    ),
    "perturb.recompute": ("perturb/recompute.py", "import torch\n", "import torch\n\nprint()\n", SCORING),
    "perturb.scores": ("perturb/scores.py", "    cost = method.cost", "    assert method\n    cost = method.cost", SCORING),
    "perturb.merge": (
        "perturb/merge.py",
        "    schema = pq.read_schema(parts[0])",
        "    assert parts\n    schema = pq.read_schema(parts[0])",
        below("merge_scores"),
    ),
    "perturb.page": (
        "perturb/page.py",
        "    title, text = METHODS[method]",
        "    [title, text] = METHODS[method]",
        {"draw_scores"},
    ),
    "its page": ("scores.html", "<html", "<html data-new", {"draw_scores"}),
    "train": ("train.py", "    check_metric(job, validation)", "    check_metric(job, training)", TRAINING),
    "epochs": (
        "epochs.py",
        "    arguments = TrainingArguments(",
        "    arguments = TrainingArguments(dataloader_pin_memory=True,",
        TRAINING,
    ),
    "losses": ("losses.py", "import torch\n", "import torch\n\nprint()\n", TRAINING),
    "models.saluki": ("models/saluki.py", "    def forward(", "    new = 1\n\n    def forward(", TRAINING),
    "predict": ("predict.py", "self.model.eval()", "self.model.eval().eval()", TRAINING),
    "encode": ("encode.py", "    summary = Summary()", "    summary = Summary(0)", ENCODING),
    "tables": (
        "tables.py",
        "    with open_text(source.path) as file:",
        "    with open_text(source.path) as file, open_text(source.path):",
        EVERYTHING,
    ),
    "vocabulary.learn": ("vocabulary.py", "def learn(", "def learn(*_, **__): return 1\ndef _(", EVERYTHING),
    "folds.assign": (
        "folds.py",
        "    group_ids = _group_ids(groups, n_rows)",
        "    group_ids = _group_ids(groups, 0 + n_rows)",
        FOLDING,
    ),
    "evaluate.rank_deltas": (
        "evaluate.py",
        'frame = frame[frame["label"].notna()]',
        'frame = frame.dropna(subset="label")',
        below("evaluate_fold", "merge_predictions"),
    ),
    "a new key": ("config/results.py", "class Report(Section):", "class Report(Section):\n    new: int = 1\n", REPORT),
}


@pytest.fixture
def edited(repository, tmp_path) -> Path:
    """Copy workflow and library, to change them."""
    shutil.copytree(repository, tmp_path / "edited")
    return tmp_path / "edited"


@pytest.mark.parametrize("edit", EDITS)
def test_edited_code_reruns_the_rules_that_reach_it(finished, edited, make_experiment, edit):
    name, old, new, rules = EDITS[edit]
    rewrite(edited / "rnalm" / name, old, new)
    assert set(make_experiment(finished.folder, edited).plan()) == rules & finished.rules


def touch_all(*places: Path) -> None:
    """Give all files the date of now, in no order."""
    for place in places:
        for path in sorted(place.rglob("*"), key=lambda path: path.name):
            if path.is_file() and ".snakemake" not in path.parts:
                path.touch()


def check_out_another_branch_and_come_back(experiment, edited: Path) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x", *arguments]
        subprocess.run(command, cwd=edited, check=True, capture_output=True)

    git("init", "--initial-branch=main")
    git("add", ".")
    git("commit", "--message=one")
    git("checkout", "-b", "other")
    for path in (edited / "rnalm").glob("*.py"):
        path.write_text("")
    git("commit", "--all", "--message=two")
    git("checkout", "main")


def exchange_table(experiment, edited: Path) -> None:
    """Put an older file in the place of the table."""
    table = experiment.folder / "table.tsv"
    rewrite(table, "s0", "zero")
    os.utime(table, (1e9, 1e9))


def write_more(experiment, edited: Path) -> None:
    (experiment.folder / "more.tsv").write_text((experiment.folder / "table.tsv").read_text())
    experiment.config["inference"] = {"more": {"path": "more.tsv", "columns": {"id": "id", "sequence": "sequence"}}}


def reorder(experiment, edited: Path) -> None:
    experiment.config = {name: reversed_(section) for name, section in reversed(experiment.config.items())}


def reversed_(section: object) -> object:
    return {name: reversed_(value) for name, value in reversed(section.items())} if isinstance(section, dict) else section


#: Other changes: what is done to a finished experiment and the repository, and the jobs that follow.
CHANGES = {
    "nothing": (lambda experiment, edited: None, {}),
    "a touch of every module, rule and script": (lambda experiment, edited: touch_all(edited), {}),
    "a touch of every input": (lambda experiment, edited: (experiment.folder / "table.tsv").touch(), {}),
    "a copy that lost all dates": (lambda experiment, edited: touch_all(experiment.folder), {}),
    "another branch and back": (check_out_another_branch_and_come_back, {}),
    "keys in another order": (reorder, {}),
    "a default written out": (lambda experiment, edited: experiment.config.update(encode={"block_size": 12288}), {}),
    "a number written otherwise": (lambda experiment, edited: experiment.config["finetune"].update(learning_rate="1e-2"), {}),
    "an older table in place of the table": (exchange_table, EVERYTHING),
    "a further inference file": (write_more, PASSING),
    "one shard deleted": (
        lambda experiment, edited: (experiment.output / "interpret/parts/source/mask/1-of-2.parquet").unlink(),
        {"score_shard": 1, "merge_scores": 1, "draw_scores": 1},
    ),
    "one model deleted": (
        lambda experiment, edited: (experiment.output / "fine-tune/1/model.safetensors").unlink(),
        TRAINING,
    ),
    "the report deleted": (lambda experiment, edited: (experiment.output / "report.html").unlink(), REPORT),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_reruns_what_depends_on_it(finished, copy, edited, change):
    make, expected = CHANGES[change]
    experiment = copy()
    experiment.root = edited
    make(experiment, edited)
    found = experiment.plan()
    assert (found == expected) if isinstance(expected, dict) else (set(found) == expected & finished.rules)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--set-threads", "finetune_fold=1"),
        ("--set-resources", "finetune_fold:mem_mb=100", "score_shard:runtime=5"),
        ("--resources", "gpu=2"),
        ("--default-resources", "slurm_partition=short"),
        ("--retries", "3"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_where_and_how_jobs_run_changes_nothing(finished, arguments):
    assert finished.plan(*arguments) == {}


def test_another_profile_changes_nothing(finished, tmp_path):
    settings = yaml.safe_load((finished.root / "workflow/profiles/default/config.yaml").read_text())
    settings |= {"set-resources": {"score_shard": {"mem_mb": 1}}, "cores": 1, "retries": 2}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    assert finished.plan("--workflow-profile", str(tmp_path)) == {}


def worked(experiment, since: float) -> set[str]:
    """Name the jobs that did their work since a time, by their logs; others took their results of before."""
    logs = [path for path in experiment.output.glob("logs/**/*.log") if path.stat().st_mtime >= since]
    working = [path for path in logs if "they are taken as they were" not in path.read_text()]
    return {str(path.relative_to(experiment.output / "logs").with_suffix("")) for path in working}


#: Other code that encodes alike.
REFACTORING = ("    summary = Summary()", "    summary = Summary(sequences=0)")


def harm(experiment, edited: Path) -> None:
    """Delete one result, and cut off the end of another."""
    (experiment.output / "interpret/parts/source/mask/1-of-2.parquet").unlink()
    os.truncate(experiment.output / "predict/test_predictions.csv", 100)


#: Changes, as by dry run, and the jobs that really work: where a result turns out as it was, those below it need not.
WORK = {
    "an encoding that comes to the same": (
        lambda experiment, edited: rewrite(edited / "rnalm" / "encode.py", *REFACTORING),
        {"encode/source"},
    ),
    "another label column, with the same labels": (
        lambda experiment, edited: experiment.config["source"]["columns"].update(label=3),
        {"encode/source", "report"},
    ),
    "an edited report": (
        lambda experiment, edited: rewrite(edited / "rnalm" / EDITS["report"][0], *EDITS["report"][1:3]),
        {"report"},
    ),
    "a deleted shard and a truncated table": (harm, {"predict/merge"}),
}


@pytest.mark.parametrize("change", WORK)
def test_a_job_whose_results_would_be_the_same_does_not_work(copy, edited, change):
    make, jobs = WORK[change]
    experiment = copy()
    experiment.root = edited
    before = experiment.contents()
    make(experiment, edited)
    since = time.time()
    experiment.succeed()
    assert worked(experiment, since) == jobs
    after = experiment.contents()
    assert {name for name in before if before[name] != after[name]} <= ({"report.html"} if "report" in jobs else set())
    assert experiment.plan() == {}


def test_no_script_calls_what_its_fingerprint_leaves_out(finished, language):
    """Functions that really ran, against those that were found by reading."""
    files = [path for experiment in (finished, language) for path in (experiment.folder / "traces").glob("*.txt")]
    traces = [path.read_text().splitlines() for path in files]
    scripts = {path.stem for path in (finished.root / "workflow/scripts").glob("*.py")}
    assert {script for script, *_ in traces} == scripts
    for script, *functions in traces:
        reached = fingerprint.reached(finished.root / f"workflow/scripts/{script}.py", finished.root / "rnalm")
        called = {f"{module}:{name.split('.')[0]}" for module, name in (function.split(":") for function in functions)}
        work = {name for name in called if not name.startswith("rnalm.pipeline.jobs:")}
        assert work <= set(reached), script
        assert work, script
