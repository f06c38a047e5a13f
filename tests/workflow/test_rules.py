"""Rules make what the plan says, and depend on each other as the tables of the tests say."""

import ast
import re
from pathlib import Path

import pytest
from configurations import BASES
from dependencies import READERS

from rnalm.config import contract
from rnalm.config.load import load
from rnalm.pipeline.plan import STAGES, Plan

ROOT = Path(__file__).parents[2]
RULES = {path.name: path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")}


@pytest.fixture
def planned(experiment, monkeypatch):
    """Give an experiment in whose folder all files lie that the configurations name."""
    monkeypatch.chdir(experiment.folder)
    for name in ("more.tsv", "a.fa", "b.fa", "genes.gtf", "regions.bed"):
        (experiment.folder / name).touch()
    (experiment.folder / "given").mkdir()
    for name in contract.MODEL:
        (experiment.folder / "given" / name).write_text("{}")
    return experiment


def edges(text: str) -> set[tuple[str, str]]:
    """Read which rule reads what which other makes from the graph that Snakemake writes."""
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', text))
    return {(names[one], names[other]) for one, other in re.findall(r"(\d+) -> (\d+)", text)}


@pytest.mark.parametrize("base", ["regression", "stacked", "given", "language", "elsewhere", "splits", "positions", "several"])
def test_snakemake_runs_the_jobs_of_the_plan(planned, base):
    planned.config = BASES[base]
    jobs = [rule for rule, _ in Plan(load(BASES[base])).jobs()]
    assert planned.plan() == {rule: jobs.count(rule) for rule in jobs}


def test_rules_depend_on_each_other_as_the_tests_of_reruns_believe(planned):
    seen = set()
    for base in ("language", "regression", "stacked", "positions", "several", "spliced"):
        planned.config = BASES[base]
        seen |= edges(planned.snakemake("--rulegraph"))
    believed = {(rule, reader) for rule, readers in READERS.items() for reader in readers}
    assert {edge for edge in seen if edge[1] != "all"} == believed


def test_every_stage_is_a_target(planned):
    shown = planned.snakemake("--list-target-rules")
    assert {"all", *STAGES} <= set(shown.split())


def test_no_rule_file_uses_a_name_that_another_defines():
    defined = {
        name: set(re.findall(r"^(\w+) =|^def (\w+)", text, re.MULTILINE))
        for name, text in RULES.items()
        if name != "common.smk"
    }
    for name, names in defined.items():
        for word in {word for pair in names for word in pair if word}:
            assert not [other for other, text in RULES.items() if other != name and re.search(rf"\b{word}\b", text)], word


def test_rule_files_and_the_snakefile_stay_short():
    assert len((ROOT / "workflow" / "Snakefile").read_text().splitlines()) <= 55
    assert len(RULES["common.smk"].splitlines()) <= 90


def test_scripts_are_a_dozen_lines():
    for path in (ROOT / "workflow" / "scripts").glob("*.py"):
        (work,) = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))
        assert work.end_lineno - work.lineno <= 13, path.name
