import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from rnalm.pipeline import jobs

SCRIPT = """
import logging, sys
from rnalm.errors import RnalmError
from rnalm.pipeline.jobs import logged
with logged(sys.argv[1]):
    logging.getLogger("rnalm.x").info("for the log")
    logging.getLogger("rnalm.x").warning("for the reader")
    {end}
"""


def run(tmp_path, end: str) -> tuple[subprocess.CompletedProcess, str]:
    command = [sys.executable, "-c", SCRIPT.format(end=end), str(tmp_path / "job.log")]
    return subprocess.run(command, capture_output=True, text=True, check=False), (tmp_path / "job.log").read_text()


def test_a_mistake_is_one_line_on_the_terminal_and_in_the_log(tmp_path):
    found, log = run(tmp_path, "raise RnalmError('table.tsv: not good')")
    assert found.returncode == 1
    assert found.stderr.splitlines() == ["rnalm: WARNING: for the reader", "rnalm: ERROR: table.tsv: not good"]
    assert log.splitlines()[-1].endswith(" ERROR table.tsv: not good")
    assert "for the log" in log


def test_a_fault_of_ours_leaves_its_traceback_in_the_log(tmp_path):
    found, log = run(tmp_path, "1 / 0")
    assert found.returncode == 1
    assert "Traceback" in log
    assert "ZeroDivisionError" in log


@pytest.mark.parametrize("end", ["pass"])
def test_an_ordinary_end_is_silent(tmp_path, end):
    found, log = run(tmp_path, end)
    assert found.returncode == 0
    assert found.stderr == "rnalm: WARNING: for the reader\n"
    assert len(log.splitlines()) == 2


# A job as a whole


JOB = """
import logging, sys, time
from types import SimpleNamespace
from rnalm.pipeline.jobs import job
values = {"code": "1", "n": int(sys.argv[2])}
snakemake = SimpleNamespace(
    input=[sys.argv[1] + "/input"],
    output=[sys.argv[1] + "/out/made/result"],
    log=[sys.argv[1] + "/out/logs/making.log"],
    params=values,
    resources=SimpleNamespace(gpu=0),
)

@job(snakemake)
def work():
    logging.getLogger("rnalm.x").info("working")
    print("working", flush=True)
    time.sleep(float(sys.argv[3]))
    with open(snakemake.output[0], "w") as file:
        file.write(str(values["n"]))
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "input").write_text("in")
    for folder in ("made", "logs"):
        (tmp_path / "out" / folder).mkdir(parents=True)

    def start(n: int = 1, seconds: float = 0) -> subprocess.Popen:
        command = [sys.executable, "-c", JOB, str(tmp_path), str(n), str(seconds)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def test_a_job_that_would_repeat_itself_does_not_work(start, tmp_path):
    log = tmp_path / "out" / "logs" / "making.log"
    assert start().communicate()[0] == "working\n"
    log.unlink()  # as Snakemake does before it starts a job
    assert start().communicate()[0] == ""
    told = log.read_text().splitlines()
    assert told[0].endswith(" INFO working"), "the log still tells how the results were made"
    assert told[1].endswith("nothing that these results depend on has changed; they are taken as they were")
    assert start(n=2).communicate()[0] == "working\n"
    assert (tmp_path / "out" / "made" / "result").read_text() == "2"


def test_a_job_waits_for_one_that_a_killed_workflow_left_behind(start, tmp_path):
    first = start(seconds=4)  # longer than the second takes to start, on a busy machine too
    assert first.stdout.readline() == "working\n"
    said, complained = start().communicate()
    assert said == "", "the second took what the first made"
    assert "making.log.lock: another process works on the same files; waiting for it to end" in complained
    assert (tmp_path / "out" / "made" / "result").read_text() == "1"
    first.communicate()


HELD = """
import os, sys
from rnalm.pipeline import lease
file = open(sys.argv[1] + "/lock", "w")
lease.lease = lambda n: lease.Lease(("0",) * n, {{"0": file.fileno()}})
{job}
os.fstat(file.fileno())
print("held")
"""


def test_gpus_are_leased_until_the_process_ends(start, tmp_path):
    script = HELD.format(job=JOB.replace("gpu=0", "gpu=1"))
    command = [sys.executable, "-c", script, str(tmp_path), "1", "0"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "working\nheld\n"


@pytest.mark.parametrize(
    ("gpu", "gres", "count"),
    [(2, None, 2), (0, None, 0), (0, "gpu", 1), (0, "gpu:3", 3), (0, "gpu:a100", 1), (0, "shard:2,gpu:a100:2", 2)],
)
def test_gpus_are_counted_under_either_name(gpu, gres, count):
    assert jobs.gpus(SimpleNamespace(gpu=gpu) if gres is None else SimpleNamespace(gpu=gpu, gres=gres)) == count


FULL = {
    "python": "import errno; raise OSError(errno.ENOSPC, 'No space left on device')",
    "a quota": "import errno; raise OSError(errno.EDQUOT, 'Disk quota exceeded')",
    "in the words of another": "raise RuntimeError('I/O error: No space left on device (os error 28)')",
    "behind another error": """import errno
    try:
        raise OSError(errno.ENOSPC, "x")
    except OSError:
        raise ValueError("y")""",
}


@pytest.mark.parametrize("how", FULL)
def test_a_full_disk_is_one_clear_line(tmp_path, how):
    found, log = run(tmp_path, FULL[how])
    assert found.returncode == 1
    line = f"{tmp_path}: no space left on the disk; free some, and give the same command again"
    assert found.stderr.splitlines()[-1] == f"rnalm: ERROR: {line}"
    assert "Traceback" not in found.stderr + log


def test_any_error_on_a_full_disk_is_taken_for_its_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    assert jobs.is_full(RuntimeError("PytorchStreamWriter failed writing file data/1"), tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**30))
    assert not jobs.is_full(RuntimeError("PytorchStreamWriter failed writing file data/1"), tmp_path)


def test_what_a_killed_predecessor_was_writing_is_removed(start, tmp_path):
    made = tmp_path / "out" / "made"
    (made / ".123.result").write_text("half")
    (made / ".hidden.result").write_text("of the user")
    start(1).communicate()
    assert sorted(path.name for path in made.iterdir()) == [".hidden.result", "result"]
