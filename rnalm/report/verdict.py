"""What a report begins with: how good the models are, and whether what they read in sequences may be trusted."""

from pathlib import Path
from statistics import fmean

from rnalm.config import contract
from rnalm.files import read_json
from rnalm.prediction.said import BANNER, left_out
from rnalm.report.blocks import Verdict, number
from rnalm.report.job import Job
from rnalm.tokens import encode


def verdict(job: Job) -> Verdict:
    """Say how good the models of a report are, as far as it is known.

    Parameters
    ----------
    job : Job
        What the report is made of.
    """
    sentences = read_json(job.verdict)["sentences"] if job.verdict else _unknown(job)
    return Verdict([*sentences, *([_pretrained(job)] if job.pretrained else [])], banner(job.verdict))


def banner(path: str | Path | None) -> str:
    """Say that scores are not to be read, where a verdict does; else nothing.

    Parameters
    ----------
    path : path or None
        From :func:`rnalm.prediction.verdict.judge`; None: there is none.
    """
    return BANNER if path is not None and read_json(path)["readable"] is False else ""


def _unknown(job: Job) -> list[str]:
    """Say why it is not known how good models are, and what was left out of the source."""
    if job.summary is None:
        why = "Nothing is known of how good the models are: no labels were given to hold their predictions against."
    elif job.meaning.per == "token":
        why = "How good predictions for tokens are, the section on predictions tells; how sure that is, is not known."
    else:
        why = "There are no test rows: how good the models are on unseen sequences is not known."
    if job.meaning.per == "token" and job.summary is None:
        why = "How good the models are is known only as far as the section on predictions tells."
    return [why, *(left_out(encode.metadata(path)) for path in job.sources[:1])]


def _pretrained(job: Job) -> str:
    """Say what pretraining has learned beyond the frequencies of tokens."""
    results = [read_json(Path(folder) / contract.EVAL_RESULTS) for folder in job.pretrained]
    own, bar = (fmean(of[f"{who}_perplexity"] for of in results) for who in ("eval", "baseline"))
    told = "it has learned what stands beside what" if own < bar else "it has learned nothing that these do not tell"
    return (
        f"Pretraining: hidden tokens of unseen sequences have a perplexity of {number(own)}, and of {number(bar)} by the "
        f"frequencies of tokens alone; {told}."
    )
