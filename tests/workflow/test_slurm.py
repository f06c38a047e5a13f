"""The workflow on a real Slurm, of one node, by the profile that users take."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from slurm import Job, Slurm, missing

from rnalm.training.checkpoints import SEAL

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.slurm,
    pytest.mark.xdist_group("slurm"),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]

#: Every fold trains on one core, here and there, so that all sums are made in the same order.
COMMAND = [
    *(sys.executable, "-m", "snakemake", "interpret"),
    *("--snakefile", str(ROOT / "workflow" / "Snakefile")),
    *("--configfile", "config.yaml"),
    *("--set-threads", "finetune_fold=1"),
]

#: What docs/cluster.md says; here there is no accounting, and jobs take seconds. One job gets too little memory at first.
ON_SLURM = [
    *("--profile", str(ROOT / "workflow" / "profiles" / "slurm")),
    *("--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "15"),
    *("--set-resources", "check_interpretation:mem_mb=300 * attempt"),
]

#: What must not depend on where and how often jobs ran.
RESULTS = (
    "tokenizer.json",
    "encoded/*",
    "folds.parquet",
    "fine-tune/*/model.safetensors",
    "fine-tune/*/*_results.json",
    "interpret/*.csv",
)

#: Seconds after which something must hang.
PATIENCE = 900


@dataclass
class Run:
    """A run on Slurm in whose course one training was cancelled; results and rules of the same run without Slurm."""

    reference: Path
    rules: set[str]
    folder: Path
    jobs: list[Job]

    def of(self, rule: str, wildcards: str | None = None) -> list[Job]:
        """List the jobs of a rule in the order in which they were submitted."""
        return [job for job in self.jobs if job.rule == rule and wildcards in (None, job.wildcards)]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[Slurm]:
    with Slurm(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture(scope="module")
def run(slurm, tmp_path_factory) -> Run:
    here, there = (tmp_path_factory.mktemp(name) for name in ("here", "there"))
    on_slurm = slurm.inside(*COMMAND, *ON_SLURM, folder=there)
    # Side by side, as a run on Slurm spends its time in waiting.
    with started([*COMMAND, "--cores", "2"], here), started(on_slurm, there) as running:
        cancel_training(slurm, there / "out" / "fine-tune" / "0", running)
    rules = re.findall(r"^[\d:]+ +\d+ of \d+ +(\w+) +out/logs/", (here / "terminal.txt").read_text(), re.MULTILINE)
    return Run(here / "out", set(rules), there, slurm.jobs())


@contextmanager
def started(command: list[str], folder: Path) -> Iterator[subprocess.Popen]:
    """Start a run, and wait for its end; it must succeed."""
    write_config(folder)
    with open(folder / "terminal.txt", "w") as terminal:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=terminal, stderr=terminal)
    try:
        yield running
        running.wait(PATIENCE)
    finally:
        running.kill()
        running.wait()
        print((folder / "terminal.txt").read_text())
    assert running.returncode == 0


def write_config(folder: Path) -> None:
    """Write the demo with a small model and little to explain."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["output"] = "out"
    config["source"]["path"] = str(ROOT / config["source"]["path"])
    config["folds"]["n"] = 2
    config["model"] |= {"filters": 4, "layers": 2}
    config["finetune"] = {"epochs": 25}
    config["interpret"] = {"modes": ["mask"], "sample_size": 3, "shards": 2}
    del config["report"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def cancel_training(slurm: Slurm, fold: Path, running: subprocess.Popen) -> None:
    """Cancel the job of a fold as soon as there is a checkpoint."""
    deadline = time.time() + PATIENCE
    while not list(fold.glob(f"checkpoints/checkpoint-*/{SEAL}")):
        assert running.poll() is None, "the run ended without training"
        assert time.time() < deadline
        time.sleep(0.1)
    (job,) = (job for job in slurm.jobs() if (job.rule, job.wildcards, job.state) == ("finetune_fold", fold.name, "RUNNING"))
    slurm.run("scancel", str(job.number))
    assert not (fold / "model.safetensors").exists(), "cancelled too late to show anything"


def together(jobs: list[Job]) -> list[tuple[Job, Job]]:
    """List the pairs of jobs that ran at the same time."""
    return [pair for pair in combinations(jobs, 2) if pair[0].overlaps(pair[1])]


def contents(output: Path) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for pattern in RESULTS for path in output.glob(pattern)}


def test_every_rule_goes_through_slurm(run):
    assert {job.rule for job in run.jobs} == run.rules
    last = {(job.rule, job.wildcards): job.state for job in run.jobs}
    assert set(last.values()) == {"COMPLETED"}


def test_jobs_get_the_gpus_that_they_ask_for_and_no_others(run):
    for job in run.jobs:
        if job.rule in ("finetune_fold", "score_shard"):
            assert job.gpus == 1
            assert job.devices in ("0", "1")
        else:
            assert not job.gpus
            assert not job.devices


def test_folds_train_at_the_same_time_on_different_gpus(run):
    pairs = together(run.of("finetune_fold"))
    assert any(one.wildcards != other.wildcards for one, other in pairs)
    assert all(one.devices != other.devices for one, other in pairs)


def test_shards_are_scored_at_the_same_time_on_different_gpus(run):
    pairs = together(run.of("score_shard"))
    assert pairs
    assert all(one.devices != other.devices for one, other in pairs)


def test_a_job_killed_for_its_memory_is_tried_again_with_more(run):
    *killed, finished = run.of("check_interpretation")
    assert killed
    assert {job.state for job in killed} == {"FAILED"}
    assert [job.memory for job in (*killed, finished)] == ["300M", "600M", "900M"][: len(killed) + 1]
    log = run.folder / ".snakemake" / "slurm_logs" / "rule_check_interpretation" / f"{killed[0].number}.log"
    assert "exceeded memory limit" in log.read_text()


def test_a_cancelled_training_goes_on_and_ends_as_if_never_cancelled(run):
    cancelled, finished = run.of("finetune_fold", "0")
    assert (cancelled.state, finished.state) == ("CANCELLED", "COMPLETED")
    assert (cancelled.memory, finished.memory) == ("8000M", "16000M")
    assert "resuming after epoch" in (run.folder / "out" / "logs" / "finetune" / "0.log").read_text()
    expected = contents(run.reference)
    assert "fine-tune/0/model.safetensors" in expected
    assert contents(run.folder / "out") == expected
