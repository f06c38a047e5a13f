"""Whatever is killed, and whenever: the same command again, and the results are those of a run that nothing disturbed."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import yaml

#: Files in the middle of the pipeline that are cut off, as a full disk or a power cut may leave them.
CUT = (
    "tokenizer.json",
    "encoded/source.parquet",
    "folds.parquet",
    "fine-tune/0/model.safetensors",
    "fine-tune/0/test_predictions.csv",
    "fine-tune/summary.csv",
    "predict/parts/source/1.parquet",
    "predict/test_predictions.csv",
    "interpret/parts/source/mask/0-of-2.parquet",
    "interpret/loo_scores_mask.csv",
    "report.html",
)


def demo(experiment, repository: Path):
    """Let an experiment be the demo, with less training and fewer scores."""
    config = yaml.safe_load((repository / "config" / "config.yaml").read_text())
    config["source"]["path"] = str(repository / config["source"]["path"])
    config["report"]["annotations"] = str(repository / config["report"]["annotations"])
    config |= {"output": "out"}
    config["finetune"] |= {"epochs": 6, "patience": None}
    config["interpret"] |= {"sample_size": 12, "shards": 2}
    experiment.config = config
    return experiment


def kill(process: subprocess.Popen, what: str) -> bool:
    """Kill the main process alone, one of its jobs, or everything; tell whether there was something to kill."""
    try:
        main = psutil.Process(process.pid)
        if what == "main":
            main.kill()
        elif what == "all":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            jobs = [child for child in main.children(recursive=True) if any(".py" in word for word in child.cmdline())]
            if not jobs:
                return False
            random.choice(jobs).kill()
        return True
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False


def wait_for_orphans(folder: Path) -> None:
    """Wait for jobs that outlived their workflow."""
    left = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder)]
    psutil.wait_procs(left, timeout=120)


def check_kills(undisturbed, experiment, kills: int) -> None:
    """Kill a run at random until it was killed so often; its results must be those of a run that nothing disturbed."""
    random.seed(1)
    killed = {"main": 0, "job": 0, "all": 0}
    while sum(killed.values()) < kills:
        running = experiment.start()
        for _ in range(random.choice([1, 1, 2])):
            time.sleep(random.uniform(1, 10))
            what = random.choice(list(killed))
            while running.poll() is None:
                if kill(running, what):
                    killed[what] += 1
                    break
                time.sleep(0.05)  # there is no job at the moment; the next one comes soon
        if killed["main"] and running.poll() is None and random.random() < 0.5:
            killed["main"] += kill(running, "main")
        if running.wait() == 0:  # it came to its end: from the beginning
            shutil.rmtree(experiment.output)
    print(f"killed: {killed}")
    for _ in range(3):
        ended = experiment.run()
        if ended.returncode == 0:
            break
    assert ended.returncode == 0, ended.stdout[-6000:]
    wait_for_orphans(experiment.folder)
    assert set(undisturbed.contents()) == set(experiment.contents())
    assert [name for name, content in undisturbed.contents().items() if experiment.contents()[name] != content] == []
    assert experiment.plan() == {}


def test_a_run_that_is_killed_four_times_ends_as_if_it_had_not(finished, experiment):
    check_kills(finished, experiment, kills=4)


@pytest.mark.nightly
def test_the_demo_that_is_killed_twenty_times_ends_as_if_it_had_not(make_experiment, repository, tmp_path_factory):
    undisturbed = demo(make_experiment(tmp_path_factory.mktemp("undisturbed")), repository)
    undisturbed.succeed()
    check_kills(undisturbed, demo(make_experiment(tmp_path_factory.mktemp("killed")), repository), kills=20)


def test_truncated_files_are_found_and_made_again(copy, finished):
    experiment = copy()
    for name in CUT:
        path = experiment.output / name
        os.truncate(path, path.stat().st_size // 2)
    for path in experiment.output.glob("fine-tune/1/checkpoints/*/model.safetensors"):
        os.truncate(path, 100)
    (experiment.output / "fine-tune/1/model.safetensors").unlink()
    told = experiment.succeed()
    for name in CUT:
        assert f"rnalm: out/{name}: shorter than it was written; to be made again" in told
        assert f"rnalm: out/{name}: set aside as out/set-aside/{name}" in told
        assert (experiment.output / "set-aside" / name).exists()
    assert experiment.contents() == finished.contents()
    assert experiment.plan() == {}


@pytest.fixture
def small_disk(experiment):
    """Let the output be on a disk of its own, with little space; the function given makes it larger."""

    def mount(*options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "rnalm-test", str(experiment.output)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    experiment.output.mkdir()
    if not shutil.which("mount") or not mount("size=16k"):
        pytest.skip("only root can mount a small disk")
    yield lambda: mount("remount", "size=100m")
    subprocess.run(["umount", str(experiment.output)], check=True)


def test_a_full_disk_is_one_clear_line_and_leaves_nothing_half_written(experiment, small_disk, finished):
    ended = experiment.refusal("encode")
    assert "no space left on the disk; free some, and give the same command again" in ended
    small_disk()
    experiment.succeed("encode")
    for name in ("tokenizer.json", "encoded/source.parquet"):
        assert (experiment.output / name).read_bytes() == (finished.output / name).read_bytes()


def test_two_runs_do_not_work_in_one_folder(experiment):
    experiment.warm = None  # which might still be starting when the first run ends
    first = experiment.start()
    deadline = time.time() + 60
    while not (experiment.output / "logs/tokenize.log").exists():
        assert first.poll() is None
        assert time.time() < deadline
        time.sleep(0.05)
    second = experiment.run()
    assert second.returncode != 0
    assert "out: another run works in this folder; wait for it to end, or stop it" in second.stdout
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
