"""The terminal tells which jobs begin and what is wrong; the rest is passed over, unless somebody asks for it."""

import logging
import re
from types import SimpleNamespace

import pytest
from snakemake.logging import DefaultFormatter, logger
from snakemake_interface_logger_plugins.common import LogEvent

from rnalm.pipeline import terminal


class Kept(logging.Handler):
    """A terminal that keeps what is written on it."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.lines = terminal.TERMINAL, []
        self.setFormatter(DefaultFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += self.format(record).splitlines()


@pytest.fixture
def written(monkeypatch):
    """Give the lines that are written after the terminal was shortened for settings."""

    def write(**settings: bool) -> list[str]:
        kept = Kept()
        monkeypatch.setattr(logger, "handlers", [kept])
        monkeypatch.setattr(logger, "level", logging.INFO)
        asked = SimpleNamespace(**{"verbose": False, "printshellcmds": False, "dryrun": False} | settings)
        terminal.shorten(SimpleNamespace(output_settings=asked, modifier=SimpleNamespace(is_main_snakefile=lambda: True)))
        job = {"jobid": 3, "rule_name": "finetune_fold", "rule_msg": None, "local": True, "is_checkpoint": False, "input": []}
        job |= {"output": [], "benchmark": None, "reason": "x", "wildcards": {}, "priority": 0, "threads": 1, "resources": {}}
        error = job | {"conda_env": None, "shellcmd": None, "aux": {}, "log": ["out/logs/finetune/0.log"]}
        logger.info("Job stats:", extra={"event": LogEvent.RUN_INFO, "stats": {"finetune_fold": 11, "total": 12}})
        logger.info("Select jobs to execute...")
        logger.info("", extra={"event": LogEvent.PROGRESS, "done": 2, "total": 12})
        logger.info("", extra=job | {"event": LogEvent.JOB_INFO, "log": ["out/logs/finetune/0.log"]})
        logger.info("", extra=job | {"event": LogEvent.JOB_INFO, "rule_name": "all", "log": []})
        logger.info("Finished jobid: 3", extra={"event": LogEvent.JOB_FINISHED, "job_id": 3})
        logger.error("", extra=error | {"event": LogEvent.JOB_ERROR})
        logger.info("something else")
        logger.info("", extra={"event": LogEvent.PROGRESS, "done": 12, "total": 12})
        return kept.lines

    return write


def test_a_job_is_one_line(written):
    stats, first, *others = written()
    assert stats == "Job stats:"
    assert re.fullmatch(r"\d\d:\d\d:\d\d   2 of 12  finetune_fold         out/logs/finetune/0\.log", first)
    assert others[-2:] == ["something else", "12 of 12 steps (100%) done"]
    assert others[1] == "Error in rule finetune_fold:"
    assert len(others) == 6, "the error with its time, job and log, and the two"


@pytest.mark.parametrize("asked", ["verbose", "printshellcmds", "dryrun"])
def test_who_asks_for_details_is_given_them(written, asked):
    assert "localrule finetune_fold:" in written(**{asked: True})
