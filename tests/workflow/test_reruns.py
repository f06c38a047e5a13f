"""Only what changed runs again, always what changed: for each kind of change, exactly which rules."""

import ast
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml
from dependencies import (
    ENCODING,
    EVERYTHING,
    FOLDING,
    LISTING,
    PRETRAINING,
    READERS,
    REPORT,
    SCORING,
    SWEEPING,
    TRAINING,
    below,
)

from rnalm.pipeline import fingerprint, references

ROOT = Path(__file__).parents[2]


def statement_in(place: str) -> Callable[[Path], None]:
    """Edit a function so that it has one more statement, which computes nothing."""

    def edit(library: Path) -> None:
        path, function = find(library, place)
        first = function.body[1] if ast.get_docstring(function) else function.body[0]
        insert(path, first.lineno, " " * first.col_offset + "_ = 0")

    return edit


def comment_on(place: str) -> Callable[[Path], None]:
    """Edit what stands above a function: a comment, and empty lines."""

    def edit(library: Path) -> None:
        path, function = find(library, place)
        insert(path, function.lineno, "# Of all.\n\n")

    return edit


def docstring_of(place: str) -> Callable[[Path], None]:
    """Give a function another docstring."""

    def edit(library: Path) -> None:
        path, function = find(library, place)
        lines = path.read_text().splitlines()
        text = function.body[0]
        lines[text.lineno - 1 : text.end_lineno] = [" " * text.col_offset + '"""Other."""']
        path.write_text("\n".join(lines) + "\n")

    return edit


def function_beside(place: str) -> Callable[[Path], None]:
    """Put a function that nobody calls beside another."""

    def edit(library: Path) -> None:
        path, _ = find(library, place)
        path.write_text(path.read_text() + "\n\ndef nobody_calls_it():\n    return 1\n")

    return edit


def end_of(name: str, text: str) -> Callable[[Path], None]:
    """Add to the end of a file."""

    def edit(library: Path) -> None:
        path = library / name
        path.write_text(path.read_text() + text)

    return edit


def find(library: Path, place: str) -> tuple[Path, ast.FunctionDef]:
    """Find a function or, behind a dot, a method of a class by ``package.module:name``."""
    module, _, name = place.partition(":")
    path = library / f"{module.replace('.', '/')}.py"
    node = ast.parse(path.read_text())
    for part in name.split("."):
        node = next(inner for inner in node.body if getattr(inner, "name", None) == part)
    return path, node


def insert(path: Path, line: int, text: str) -> None:
    """Put text before a line, counted from 1."""
    lines = path.read_text().splitlines()
    lines.insert(line - 1, text)
    path.write_text("\n".join(lines) + "\n")


#: Edits of the library, and the rules that run again.
EDITS = {
    "a comment": (comment_on("prediction.predict:predict"), set()),
    "a docstring": (docstring_of("training.finetune:finetune"), set()),
    "a function that nobody calls": (function_beside("tokens.encode:encode"), set()),
    "the version": (end_of("__init__.py", '__version__ = "new"\n'), set()),
    "the frame of jobs": (statement_in("pipeline.jobs:job"), set()),
    "the plan": (statement_in("pipeline.plan:Plan.targets"), set()),
    "the command line": (statement_in("cli:main"), set()),
    "how the configuration is read": (statement_in("config.load:load"), set()),
    "the report": (statement_in("report.write:write"), REPORT),
    "its template": (end_of("report/page.html", "<p>"), REPORT | {"show_sweeps"}),
    "the style of all pages": (end_of("report/pages.css", "p { }"), REPORT | {"show_sweeps", "draw_scores"}),
    "how tables are sorted": (end_of("report/sorting.js", ";"), REPORT | {"show_sweeps", "draw_scores"}),
    "a curve": (statement_in("report.curves:learning_curves"), REPORT),
    "a measure": (statement_in("prediction.measure:measure"), REPORT),
    "a picture": (statement_in("report.figures:positions"), REPORT),
    "a reader of elements": (statement_in("sequences.bed:read_bed"), EVERYTHING),
    "tracks": (statement_in("prediction.tracks:merge"), LISTING),
    "what lays sequences on a genome": (statement_in("tracks.lay:on_genome"), {"write_tracks"}),
    "elements": (statement_in("tracks.elements:best"), {"find_elements"}),
    "a list of sites": (statement_in("prediction.sites:write"), LISTING),
    "a scorer": (statement_in("scoring.scorers.incremental:IncrementalScorer.launch"), SCORING),
    "a shard": (statement_in("scoring.shard:score_shard"), SCORING),
    "the merging of shards": (statement_in("scoring.merge:merge"), below("merge_scores")),
    "the counting of k-mers": (statement_in("scoring.kmers:Kmers.add"), below("find_patterns")),
    "the page of scores": (statement_in("report.score_page:write_page"), {"draw_scores"}),
    "its page": (end_of("report/score_page.html", "<p>"), {"draw_scores"}),
    "its track": (end_of("report/track.js", ";"), {"draw_scores"}),
    "training": (statement_in("training.finetune:fit"), TRAINING | SWEEPING),
    "a loss": (end_of("labels/losses.py", "print()\n"), TRAINING | below("fit_baseline") | SWEEPING),
    "an architecture": (statement_in("models.saluki:Saluki.forward"), TRAINING | SWEEPING),
    "prediction": (statement_in("prediction.predict:predict_file"), below("predict_source")),
    "encoding": (statement_in("tokens.encode:encode"), ENCODING),
    "tables": (statement_in("sequences.tables:read"), EVERYTHING),
    "a tokenizer": (statement_in("tokens.learn:learn"), below("train_tokenizer")),
    "folds": (statement_in("labels.folds:assign"), FOLDING | PRETRAINING),
    "ranks": (statement_in("prediction.tables:rank_deltas"), below("fit_baseline", "evaluate_fold", "merge_predictions")),
}

#: The script of each rule.
SCRIPTS = {
    rule: script
    for path in (ROOT / "workflow" / "rules").glob("*.smk")
    for rule, script in re.findall(r'^rule (\w+):.*?code\("(\w+\.py)"\)', path.read_text(), re.MULTILINE | re.DOTALL)
}


@pytest.fixture
def edited(repository, tmp_path) -> Path:
    """Copy workflow and library, to change them."""
    shutil.copytree(repository, tmp_path / "edited")
    return tmp_path / "edited"


@cache
def codes(root: Path) -> dict[str, str]:
    """Fingerprint the code of each rule."""
    references.parsed.cache_clear()
    fingerprint._look.cache_clear()
    return {rule: fingerprint.code(root / "workflow/scripts" / script, root / "rnalm") for rule, script in SCRIPTS.items()}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_code_reruns_the_rules_that_reach_it(repository, edited, edit):
    make, rules = EDITS[edit]
    make(edited / "rnalm")
    before, after = codes(repository), codes(edited)
    assert below(*(rule for rule in SCRIPTS if before[rule] != after[rule])) == rules


def test_every_rule_has_a_script_and_every_script_a_rule():
    assert set(SCRIPTS) == set(READERS)
    assert {path.name for path in (ROOT / "workflow" / "scripts").glob("*.py")} == set(SCRIPTS.values())


def touch_all(*places: Path) -> None:
    """Give all files the date of now, in no order."""
    for place in places:
        for path in sorted(place.rglob("*"), key=lambda path: path.name):
            if path.is_file() and ".snakemake" not in path.parts:
                path.touch()


def check_out_another_branch_and_come_back(folder: Path) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    git("init", "--initial-branch=main")
    git("add", ".")
    git("commit", "--message=one")
    git("checkout", "-b", "other")
    for path in (folder / "rnalm").glob("*.py"):
        path.write_text("")
    git("commit", "--all", "--message=two")
    git("checkout", "main")


def reversed_(section: object) -> object:
    return {name: reversed_(value) for name, value in reversed(section.items())} if isinstance(section, dict) else section


#: Where and how jobs run, which says nothing of their results.
ELSEWHERE = [
    *("--set-threads", "finetune_fold=1", "--set-resources", "finetune_fold:mem_mb=100", "score_shard:runtime=5"),
    *("--resources", "gpu=2", "--default-resources", "slurm_partition=short", "--retries", "3"),
]


def test_what_changes_no_result_reruns_nothing(copy, edited, tmp_path):
    """New dates on everything, another branch and back, keys written otherwise, other machines."""
    experiment = copy()
    experiment.root = edited
    check_out_another_branch_and_come_back(edited)
    touch_all(edited, experiment.folder)
    experiment.config["finetune"]["learning_rate"] = "1e-2"
    experiment.config["encode"] = {"block_size": 12288}
    experiment.config = reversed_(experiment.config)
    settings = yaml.safe_load((edited / "workflow/profiles/default/config.yaml").read_text())
    settings |= {"set-resources": {"score_shard": {"mem_mb": 1}}, "cores": 1}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    assert experiment.plan("--workflow-profile", str(tmp_path), *ELSEWHERE) == {}


def test_an_older_table_in_place_of_the_table_is_another(copy):
    experiment = copy()
    table = experiment.folder / "table.tsv"
    table.write_text(table.read_text().replace("s0", "zero"))
    os.utime(table, (1e9, 1e9))
    assert set(experiment.plan()) == EVERYTHING & experiment.rules()


def test_what_is_gone_is_made_again(copy):
    experiment = copy()
    (experiment.output / "interpret/parts/source/mask/1-of-2.parquet").unlink()
    (experiment.output / "report.html").unlink()
    assert experiment.plan() == dict.fromkeys(
        ["score_shard", "merge_scores", "draw_scores", "find_patterns", "write_report"], 1
    )
    (experiment.output / "fine-tune/1/model.safetensors").unlink()
    assert set(experiment.plan()) == TRAINING & experiment.rules()


def test_params_reach_snakemake(copy):
    """It compares them as a set: of a number that changes places with another it would see nothing."""
    experiment = copy()
    experiment.config["interpret"] |= {"sample_size": 100}
    assert set(experiment.plan()) == SCORING & experiment.rules()
    experiment.config["seed"] = 2
    assert set(experiment.plan()) == FOLDING & experiment.rules()


def worked(experiment, since: float) -> set[str]:
    """Name the jobs that did their work since a time, by their logs; others took their results of before."""
    logs = [path for path in experiment.output.glob("logs/**/*.log") if path.stat().st_mtime >= since]
    working = [path for path in logs if "they are taken as they were" not in path.read_text()]
    return {str(path.relative_to(experiment.output / "logs").with_suffix("")) for path in working}


def harm(experiment, edited: Path) -> None:
    """Delete one result, and cut off the end of another."""
    (experiment.output / "interpret/parts/source/mask/1-of-2.parquet").unlink()
    os.truncate(experiment.output / "predict/test_predictions.csv", 100)


#: Changes, and the jobs that really work: where a result turns out as it was, those below it need not.
WORK = {
    "an encoding that comes to the same": (
        lambda experiment, edited: EDITS["encoding"][0](edited / "rnalm"),
        {"encode/source"},
    ),
    "another label column, with the same labels": (
        lambda experiment, edited: experiment.config["source"]["columns"].update(label=3),
        {"encode/source", "report"},
    ),
    "an edited report": (lambda experiment, edited: EDITS["the report"][0](edited / "rnalm"), {"report"}),
    "an edited page": (lambda experiment, edited: EDITS["the page of scores"][0](edited / "rnalm"), {"interpret/draw-mask"}),
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


def test_no_script_calls_what_its_fingerprint_leaves_out(finished, language, tracked, several):
    """Functions that really ran, against those that were found by reading."""
    files = [
        path for experiment in (finished, language, tracked, several) for path in (experiment.folder / "traces").glob("*.txt")
    ]
    traces = [path.read_text().splitlines() for path in files]
    assert {f"{script}.py" for script, *_ in traces} == set(SCRIPTS.values())
    for script, *functions in traces:
        reached = fingerprint.reached(finished.root / f"workflow/scripts/{script}.py", finished.root / "rnalm")
        called = {f"{module}:{name.split('.')[0]}" for module, name in (function.split(":") for function in functions)}
        # A lambda that stands in a table has no name by which to look for it.
        work = {name for name in called if not name.startswith("rnalm.pipeline.jobs:") and "<lambda>" not in name}
        assert work <= set(reached), script
        assert work, script
