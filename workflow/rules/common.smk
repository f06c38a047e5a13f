"""What the rules share: the plan of the experiment, and what only Snakemake can do with it."""

import importlib.util
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Jobs run in processes of their own, perhaps in another environment: they find the library beside the workflow, which may be a
# module of another. Beside one that was fetched, as by github(), there is none: there it has to be installed.
RULES = workflow.current_basedir
LIBRARY = str(Path(str(RULES)).parents[1])
if LIBRARY not in sys.path and Path(LIBRARY, "rnalm").is_dir():
    sys.path.insert(0, LIBRARY)
    os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [LIBRARY, os.environ.get("PYTHONPATH")])))
elif not importlib.util.find_spec("rnalm"):
    raise WorkflowError(f"{RULES}: the library is neither beside the workflow nor installed; pip install rnalm")

from rnalm.config import contract, document
from rnalm.config.load import load
from rnalm.errors import RnalmError
from rnalm.pipeline import content as contents
from rnalm.pipeline import fingerprint, receipts, run, terminal
from rnalm.pipeline.plan import STAGES, Plan

try:
    # Snakemake has read these too, but keeps quiet about keys that stand twice.
    for path in workflow.configfiles if workflow.is_main_process else []:
        document.read(path)
    PLAN = Plan(load(config))
except RnalmError as error:
    sys.exit(f"rnalm: {error}")  # one line, without the places in these files that Snakemake would add to it

ENV = "../envs/rnalm.yaml"
OUT = PLAN.out
CONTENTS = contents.Contents(f"{OUT}/{receipts.FOLDER}/contents.json")
CODES = fingerprint.Codes(f"{OUT}/{receipts.FOLDER}/code.json")


wildcard_constraints:
    source="|".join(PLAN.encoded) or "none",
    model=r"\d+(\.\d+)?",
    pretraining=r"pretrain(/\d+)?",
    shard=r"\d+",
    mode="|".join(PLAN.settings.interpret.scored),
    place=r"(predict|interpret)(/[A-Za-z0-9_-]+)?",
    tracks=r"tracks(/[A-Za-z0-9_-]+)?",


def code(script):
    """Fingerprint a script, and all of the library that it reaches."""
    return CODES.of(run.fetched(workflow, RULES.join(f"../scripts/{script}")))


def content(rule):
    """Fingerprint the files of the user that a job reads: a new content counts, a new date does not."""
    return lambda wildcards: CONTENTS.of(*PLAN.provided(rule, wildcards))


def job(rule):
    """Give a job all that the plan has for it."""
    return lambda wildcards: PLAN.params(rule, wildcards)


def provided(rule):
    """List the files of the user that a job reads, whose dates do not count."""
    return lambda wildcards: ancient(PLAN.provided(rule, wildcards))


def of_models(names=contract.MODEL):
    """List files of the model that a job is about or, where there is none, of all; dates of given ones do not count."""
    chosen = lambda wildcards: [wildcards.model] if hasattr(wildcards, "model") else PLAN.models
    given = ancient if PLAN.given else list
    return lambda wildcards: given(PLAN.model_files(*chosen(wildcards), names=names))


def growing(mem_mb):
    """Ask for more memory each time that a job is tried again."""
    return lambda wildcards, attempt: mem_mb * attempt


def start():
    """Keep other runs out of this folder, and note what the user's files contain."""
    try:
        run.begin(OUT, workflow, version="0.1.0")
    except RnalmError as error:
        raise WorkflowError(str(error)) from None
    CONTENTS.save()
    CODES.save()
