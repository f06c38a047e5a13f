import subprocess
import sys

import pytest

SCRIPT = """
import logging, sys
from rnalm.errors import RnalmError
from rnalm.jobs import logged
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
