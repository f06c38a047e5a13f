"""What the rules share: the checked configuration, and which files belong to which model and source."""

import os
import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Jobs run in processes of their own, perhaps in another environment: they find the library beside the workflow.
LIBRARY = str(Path(workflow.basedir).parent)
if LIBRARY not in sys.path:
    sys.path.insert(0, LIBRARY)
    os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [LIBRARY, os.environ.get("PYTHONPATH")])))

from rnalm import folder
from rnalm.configfile import load
from rnalm.errors import RnalmError
from rnalm.files import lock

try:
    settings = load(config)
    MODELS = [] if settings.trains else [str(folder.check(path)) for path in settings.model]
except RnalmError as error:
    raise WorkflowError(str(error)) from None

OUT = settings.output
STARTED = time.time()

# Snakemake's own lock outlives a killed run; this one ends with the process that holds it.
if workflow.is_main_process and workflow.executor_plugin and not workflow.dryrun:
    LOCK = lock(f"{OUT}/.lock")
    if LOCK is None:
        raise WorkflowError(f"{OUT}: another run works in this folder; wait for it to end, or stop it")
ENV = "../envs/rnalm.yaml"
FOLDS = list(range(settings.folds.count)) if settings.trains else []
MODELS = MODELS or [f"{OUT}/fine-tune/{fold}" for fold in FOLDS]
SOURCES = ({"source": settings.source} if settings.source else {}) | dict(settings.inference)

# What is predicted and interpreted: held-out rows or, with trained models, all of the source; and further files.
HELD_OUT = settings.trains and settings.folds.tested
QUERIES = [name for name in SOURCES if name != "source" or HELD_OUT or not settings.trains]


wildcard_constraints:
    source="|".join(SOURCES),
    fold=r"\d+",
    model=r"\d+",
    shard=r"\d+",
    mode="remove|mask|replace",
    place=r"(predict|interpret)(/[A-Za-z0-9_-]+)?",


def plain(section):
    """Turn a part of the configuration into plain values with sorted keys, as params need them."""
    values = section.model_dump(mode="json") if hasattr(section, "model_dump") else section
    return {key: plain(value) if isinstance(value, dict) else value for key, value in sorted(values.items())}


def place(stage, source):
    """Name the folder of a source's results: the experiment's own stand at the top."""
    return stage if source == "source" else f"{stage}/{source}"


def source_of(wildcards):
    """Name the source whose results stand in a folder."""
    _, *name = Path(wildcards.place).parts
    return name[0] if name else "source"


def model_files(path):
    """List the files that loading a model needs."""
    return [f"{path}/{name}" for name in folder.FILES]


def folds_of(source):
    """Give the folds where a source is predicted by models that held its rows out, else nothing."""
    return [f"{OUT}/folds.parquet"] if source == "source" and HELD_OUT else []


def targets(stage):
    """List the files that a target rule asks for."""
    predictions = [f"{OUT}/{place('predict', source)}/predictions.parquet" for source in QUERIES]
    scores = [
        f"{OUT}/{place('interpret', source)}/loo_scores_{mode}.parquet"
        for source in QUERIES
        for mode in settings.interpret.modes
    ]
    results = [f"{OUT}/fine-tune/{fold}/all_results.json" for fold in FOLDS if HELD_OUT]
    return {
        "tokenize": [f"{OUT}/tokenizer.json"],
        "encode": [f"{OUT}/encoded/{source}.parquet" for source in SOURCES],
        "finetune": [file for path in MODELS for file in model_files(path)]
        + results
        + [f"{OUT}/fine-tune/summary.csv" for _ in FOLDS[:1]],
        "predict": predictions,
        "interpret": ([f"{OUT}/interpret/checked"] + scores) if scores else [],
        "report": [f"{OUT}/report.html"],
    }[stage]


def repeat_errors():
    """End with what is wrong with the data, as the logs of the jobs that failed in this run say it."""
    logs = [path for path in Path(OUT, "logs").rglob("*.log") if path.stat().st_mtime >= STARTED]
    lines = [line for path in sorted(logs) for line in path.read_text(encoding="utf-8").splitlines()]
    for message in dict.fromkeys(line.partition(" ERROR ")[2] for line in lines if " ERROR " in line):
        print(f"rnalm: {message}", file=sys.stderr)


def picture(kind, category, source=None, mode=None):
    """Declare a picture of the HTML report, so that snakemake --report shows it too."""
    name = "_".join(filter(None, [kind, mode, source]))
    labels = {
        "picture": kind.replace("_", " "),
        **({"sequences": source} if source else {}),
        **({"mode": mode} if mode else {}),
    }
    return report(f"{OUT}/figures/{name}.svg", caption=f"../report/{kind}.rst", category=category, labels=labels)


def pictures():
    """List the pictures of the HTML report."""
    found = [picture("data", "Data")] + [picture("learning_curves", "Training") for _ in FOLDS[:1]]
    for source in QUERIES:
        found.append(picture("predictions", "Predictions", source))
        for mode in settings.interpret.modes:
            found += [picture(kind, "Leave-one-out", source, mode) for kind in ("profiles", "positions")]
    return found
