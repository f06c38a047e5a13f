"""What a run shows of its jobs on the terminal: a line each. All else stands in their logs, and in Snakemake's own."""

import logging
from typing import Any

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

#: What Snakemake calls the handler that writes on the terminal (snakemake 9).
TERMINAL = "DefaultStreamHandler"

#: What says nothing that the lines of jobs do not.
PASSED_OVER = {LogEvent.WORKFLOW_STARTED, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.SHELLCMD}
#: And texts, or how they begin.
SAID_ELSEWHERE = ("Select jobs to execute", "Rules claiming more threads", "Conda environments: ignored", "Using shell: ")


class Brief(logging.Formatter):
    """Formats the beginning of a job as one line: the time, how many are done, the rule, and the log to read on in.

    Parameters
    ----------
    usual : logging.Formatter
        For all else, such as errors.
    """

    def __init__(self, usual: logging.Formatter) -> None:
        super().__init__()
        self.usual, self.total, self.done = usual, 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown; those of target rules, which have no log, are not.

        Parameters
        ----------
        record : logging.LogRecord
            From Snakemake.
        """
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO and (stats := vars(record).get("stats")):
            self.total = stats["total"]
        if event == LogEvent.PROGRESS:
            self.done, self.total = vars(record)["done"], vars(record)["total"]
            return self.done == self.total
        if event == LogEvent.JOB_INFO:
            return bool(vars(record)["log"])
        return event not in PASSED_OVER and not str(record.msg).startswith(SAID_ELSEWHERE)

    def format(self, record: logging.LogRecord) -> str:
        """Write a record.

        Parameters
        ----------
        record : logging.LogRecord
            From Snakemake.
        """
        if getattr(record, "event", None) != LogEvent.JOB_INFO:
            return self.usual.format(record)
        job = vars(record)
        done = f"{self.done:{len(str(self.total))}d} of {self.total}"
        return f"{self.formatTime(record, '%H:%M:%S')}  {done}  {job['rule_name']:<20}  {', '.join(job['log'])}"


def shorten(workflow: Any) -> None:
    """Show a line a job, unless details are asked for (``--verbose``, ``--printshellcmds``) or it is only planned.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        What runs.
    """
    asked = workflow.output_settings
    # In a module, the terminal is that of the workflow around it.
    if asked.verbose or asked.printshellcmds or asked.dryrun or not workflow.modifier.is_main_snakefile():
        return
    for handler in logger.handlers:
        if handler.name == TERMINAL and handler.formatter is not None:
            brief = Brief(handler.formatter)
            handler.setFormatter(brief)
            handler.addFilter(brief.filter)
