"""Results tell what they are of: whatever Snakemake has forgotten, the receipts know it. And a plan changes nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dependencies import SCORING, TRAINING

import rnalm
from rnalm.pipeline import receipts

#: What git asks of whoever commits.
NAMED = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")


def forget(experiment) -> None:
    """Lose what Snakemake knows."""
    shutil.rmtree(experiment.folder / ".snakemake")


def move(experiment) -> None:
    """Give the results another name."""
    os.rename(experiment.output, experiment.folder / "moved")
    experiment.config["output"] = "moved"


def clone(experiment) -> None:
    """Copy everything but what Snakemake knows, without dates and hard links."""
    forget(experiment)
    os.rename(experiment.folder, f"{experiment.folder}-before")
    subprocess.run(["cp", "-r", f"{experiment.folder}-before", experiment.folder], check=True)


def spell(experiment) -> None:
    """Name the results by their absolute path."""
    experiment.config["output"] = str(experiment.output)


def spell_otherwise(experiment) -> None:
    """Name the results so that Snakemake would take each for a new file."""
    experiment.config["output"] = ".//out/"


def go_elsewhere(experiment) -> None:
    """Work from another folder."""
    experiment.config["output"] = f"../{experiment.folder.name}/out"
    experiment.config["source"]["path"] = str(experiment.folder / "table.tsv")
    experiment.folder = experiment.folder.parent / "elsewhere"
    experiment.folder.mkdir()


WAYS = [forget, move, clone, spell, spell_otherwise, go_elsewhere]


@pytest.mark.parametrize("lose", WAYS)
def test_what_changes_runs_again_whatever_snakemake_remembers(copy, lose):
    experiment = copy()
    lose(experiment)
    experiment.config["finetune"]["epochs"] = 3
    assert set(experiment.plan()) >= TRAINING & experiment.rules()


@pytest.mark.parametrize("lose", [forget, move, spell, spell_otherwise])
def test_what_does_not_change_does_not_run_again(copy, lose):
    experiment = copy()
    lose(experiment)
    assert set(experiment.plan()) <= {"write_report"}, "which shows the name of the folder"


def test_fewer_rerun_triggers_see_as_much(copy):
    experiment = copy()
    experiment.config["interpret"] |= {"sample_size": 100}
    assert set(experiment.plan("--rerun-triggers", "mtime")) == SCORING & experiment.rules()
    assert experiment.plan("encode", "--rerun-triggers", "mtime") == {}, "only what is asked for"


def test_a_plan_changes_no_file(copy):
    experiment = copy()
    os.truncate(experiment.output / "predict/test_predictions.csv", 20)
    thesis = experiment.folder / "thesis.txt"
    thesis.write_text("years of work")
    (experiment.output / "link").symlink_to("..")
    for place in experiment.output.glob(f"{receipts.FOLDER}/**/{receipts.RECEIPT}"):
        receipt = receipts.read(place.parent)
        forged = [[path, 10**9, "x"] for path in ("../thesis.txt", "link/thesis.txt", str(thesis))]
        receipts._write(place.parent, receipts.Receipt(receipt.made_of, [*receipt.results, *forged]))

    def seen() -> dict[Path, tuple]:
        paths = [thesis, *experiment.output.rglob("*")]
        return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}

    before = seen()
    told = experiment.snakemake("--dry-run")
    assert "rnalm: out/predict/test_predictions.csv: shorter than it was written; to be made again" in told
    experiment.snakemake("--summary")
    assert seen() == before


def test_what_the_configuration_no_longer_has_is_named_at_the_end(copy):
    experiment = copy()
    experiment.config["interpret"]["modes"] = ["remove"]
    experiment.config["folds"]["n"] = 1
    told = experiment.succeed("interpret")
    ends = ("csv", "html", "kmers.csv", "matrices.csv", "motifs.csv", "motifs.meme")
    names = ", ".join(f"loo_scores_mask.{end}" for end in ends) + " and 3 more"
    assert f"rnalm: out/interpret: not asked for any more, and of an earlier run: {names}" in told
    assert "rnalm: out/fine-tune/1: not asked for any more, and of an earlier run: all_results.json, config.json, " in told
    assert "loo_scores_remove" not in "".join(line for line in told.splitlines() if "not asked for" in line)


def test_a_folder_that_leads_out_is_refused_before_anything_is_replaced(copy):
    experiment = copy()
    os.rename(experiment.output / "predict", experiment.folder / "mine")
    (experiment.output / "predict").symlink_to(experiment.folder / "mine")
    before = (experiment.folder / "mine/test_predictions.csv").read_text()
    (experiment.folder / "mine/results.json").unlink()
    assert "out/predict: leads to " in experiment.refusal()
    assert (experiment.folder / "mine/test_predictions.csv").read_text() == before


@pytest.mark.parametrize("place", ["beside the library", pytest.param("fetched", marks=pytest.mark.nightly)])
def test_the_workflow_can_be_a_module(copy, tmp_path, place):
    """As ``snakedeploy`` writes it; its lock and what it says at the end are there too."""
    experiment = copy()
    snakefile = f'"{experiment.root}/workflow/Snakefile"'
    if place == "fetched":
        # Of a repository of which there is a clone, so that nothing is asked of the network; the library is an installed one.
        repository = tmp_path / "cache/snakemake/snakemake/source-cache/snakemake-git-cache/github.com/rnalm/rnalm"
        shutil.copytree(experiment.root / "workflow", repository / "workflow")
        common = repository / "workflow/rules/common.smk"
        common.write_text(common.read_text().replace(f'version="{rnalm.__version__}"', 'version="0.0.9"'))
        for command in (["init", "--quiet"], ["add", "."], [*NAMED, "commit", "--quiet", "--message=."], ["tag", "v0"]):
            long_ago = {"GIT_COMMITTER_DATE": "2020-01-01T00:00:00"}
            subprocess.run(["git", *command], cwd=repository, env=os.environ | long_ago, check=True)
        snakefile = 'github("rnalm/rnalm", path="workflow/Snakefile", tag="v0")'
    (experiment.folder / "config").mkdir()
    (experiment.folder / "workflow").mkdir()
    lines = (
        'configfile: "config/config.yaml"',
        f"module rnalm:\n    snakefile: {snakefile}\n    config: config",
        "use rule * from rnalm as other_*",
    )
    (experiment.folder / "workflow/Snakefile").write_text("\n".join(lines) + "\n")
    (experiment.output / ".lock").unlink()

    def run(*arguments: str) -> str:
        (experiment.folder / "config/config.yaml").write_text(yaml.safe_dump(experiment.config))
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nolock", *arguments]
        environment = os.environ | experiment.warm.environment() | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        environment["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], str(experiment.root)])
        ended = subprocess.run(command, cwd=experiment.folder, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    # To Snakemake a script out of a repository is another script; the receipts know that its results would be the same.
    assert ("Nothing to be done" in run("--dry-run")) == (place != "fetched")
    experiment.config["interpret"]["modes"] = ["remove"]
    told = run("other_interpret")
    assert (experiment.output / "interpret/loo_scores_remove.csv").exists()
    assert (experiment.output / ".lock").exists()
    assert "rnalm: out/interpret: not asked for any more, and of an earlier run: loo_scores_mask.csv" in told
    assert ("rnalm: the workflow is of rnalm 0.0.9, the library" in told) == (place == "fetched")
    assert "Nothing to be done" in run("--dry-run", "other_interpret")
