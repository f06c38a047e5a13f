"""What the rules share: the checked configuration, and which files belong to which model and source."""

import os
import sys
import time
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Jobs run in processes of their own, perhaps in another environment: they find the library beside the workflow.
LIBRARY = str(Path(workflow.basedir).parent)
if LIBRARY not in sys.path:
    sys.path.insert(0, LIBRARY)
    os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [LIBRARY, os.environ.get("PYTHONPATH")])))

from rnalm.models import folder
from rnalm.pipeline import digests, fingerprint, receipts
from rnalm.config.load import load
from rnalm.errors import RnalmError
from rnalm.files import is_locked, lock, read_json
from rnalm.pipeline.shards import count as count_shards

try:
    settings = load(config)
    GIVEN = [] if settings.trains else [str(folder.check(path)) for path in settings.model]
except RnalmError as error:
    raise WorkflowError(str(error)) from None

ENV = "../envs/rnalm.yaml"
OUT = settings.output
STARTED = time.time()
SCRIPTS = sorted(path.name for path in Path(workflow.basedir, "scripts").glob("*.py"))
DIGESTS = digests.Digests(f"{OUT}/{receipts.FOLDER}/digests.json")

# What is not whole must not be read, nor be taken for done. While another run works here, it may be about to be replaced.
if workflow.is_main_process and not is_locked(f"{OUT}/.lock"):
    for path in receipts.damaged(OUT):
        print(f"rnalm: {path}: shorter than it was written; removed, to be made again", file=sys.stderr)
        path.unlink()

# Models by name: those of a fold are called after it, and from the second on after their replicate too.
FOLDS = list(range(settings.folds.count)) if settings.trains else []
REPLICATES = range(settings.finetune.replicates)
TRAINED = [f"{fold}.{replicate}" if replicate else f"{fold}" for fold in FOLDS for replicate in REPLICATES]
MODELS = {str(k): path for k, path in enumerate(GIVEN)} or {name: f"{OUT}/fine-tune/{name}" for name in TRAINED}
SOURCES = ({"source": settings.source} if settings.source else {}) | dict(settings.inference)
# Given models are not pretrained.
PRETRAIN = settings.pretrain if settings.trains else None
# Without labels: but for groups, what a file for pretraining says of its sequences is passed over.
PRETRAINING = {"pretraining": PRETRAIN.source.of_sequences(grouped=True)} if PRETRAIN and PRETRAIN.source else {}
ENCODED = SOURCES | PRETRAINING

SWEEP = settings.sweep.resolve(settings.task, settings.model, settings.finetune) if settings.sweep else None

ANNOTATIONS = [ancient(settings.report.annotations)] if settings.report.annotations else []

# What is predicted and interpreted: held-out rows or, with trained models, all of the source; and further files.
HELD_OUT = settings.trains and settings.folds.tested
QUERIES = [name for name in SOURCES if name != "source" or HELD_OUT or not settings.trains]


# What jobs write beside each other.
SEARCHED = ["trials.csv", "best.yaml"]
RANKS = ["rank_deltas.csv"] if settings.task == "regression" else []
LEARNED = [*folder.FILES, "tokenizer_config.json", "train_results.json", "eval_results.json", "trainer_state.json"]
LANGUAGE_MODEL = ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]
PRETRAINED = [*LANGUAGE_MODEL, "train_results.json", "eval_results.json", "trainer_state.json"]
TESTED = ["test_predictions.csv", "test_results.json", "all_results.json", *RANKS]
PREDICTED = ["predictions.parquet", "test_predictions.csv", "results.json", *RANKS]

# What of the interpretation is held against the data.
CHECKED = {"method", "level", "modes", "replacements", "replace_modifiers", "explain"}
ASKED = [(source, mode) for source in QUERIES for mode in settings.interpret.scored]


wildcard_constraints:
    source="|".join(ENCODED),
    model=r"\d+(\.\d+)?",
    shard=r"\d+",
    mode="remove|mask|replace|integrated_gradients",
    place=r"(predict|interpret)(/[A-Za-z0-9_-]+)?",


def plain(section):
    """Turn a part of the configuration into plain values with sorted keys, as params need them.

    One such dict holds them all, as Snakemake compares params as a set of values, in which two that change places are the same.
    """
    values = section.model_dump(mode="json") if hasattr(section, "model_dump") else section
    return {key: plain(value) if isinstance(value, dict) else value for key, value in sorted(values.items())}


def code(script):
    """Fingerprint a script, and all of the library that it reaches."""
    return fingerprint.code(Path(workflow.basedir, "scripts", script), Path(LIBRARY, "rnalm"))


def settled(scores, lineage):
    """Let the report pass over scores that can only have been divided among other shards since it was written."""
    return ancient(scores) if receipts.lineage(f"{OUT}/{receipts.FOLDER}/report.log") == lineage else scores


def content(*paths):
    """Fingerprint files that the user provides: a new content counts, a new date does not."""
    return DIGESTS.of(*paths)


def growing(mem_mb):
    """Ask for more memory each time that a job is tried again."""
    return lambda wildcards, attempt: mem_mb * attempt


def place(stage, source):
    """Name the folder of a source's results: the experiment's own stand at the top."""
    return stage if source == "source" else f"{stage}/{source}"


def source_of(wildcards):
    """Name the source whose results stand in a folder."""
    _, *name = Path(wildcards.place).parts
    return name[0] if name else "source"


def fold_of(model):
    """Give the fold of a model that is trained here."""
    return int(model.partition(".")[0])


def model_files(*models, names=folder.FILES):
    """List the files that loading models needs, or some of them."""
    files = [f"{MODELS[model]}/{name}" for model in models for name in names]
    return ancient(files) if GIVEN else files


def starting_point():
    """List the files of a pretrained model that the user names; none for one of the Hugging Face hub."""
    return ancient([str(path) for path in folder.pretrained_files(getattr(settings.model, "pretrained", None))])


def given_content(*models):
    """Fingerprint the models among these that are given, not trained here."""
    return content(*model_files(*models)) if GIVEN else None


def folds_of(source):
    """Give the folds where a source is predicted by models that held its rows out, else nothing."""
    return [f"{OUT}/folds.parquet"] if source == "source" and HELD_OUT else []


def architecture():
    """Name the architecture of the models."""
    return read_json(f"{GIVEN[0]}/config.json").get("model_type") if GIVEN else settings.model.name


def models_each(source):
    """Say how often a sequence is predicted, on average: by how many models, on how many strands."""
    held_out = source == "source" and HELD_OUT
    strands = 2 if settings.encode.reverse_complement == "average" else 1
    return strands * (len(REPLICATES) * settings.folds.tests_each if held_out else len(MODELS))


@cache
def shards(source, mode):
    """List the shards of the scores of a source."""
    block_size = settings.encode.block_size
    count = count_shards(SOURCES[source], settings.interpret, mode, block_size, models_each(source), architecture())
    return [f"{OUT}/interpret/parts/{source}/{mode}/{shard}-of-{count}.parquet" for shard in range(count)]


def predicted(source):
    """List what is made of a source's predictions."""
    return [f"{OUT}/{place('predict', source)}/{name}" for name in PREDICTED]


def scored(source, mode):
    """Give the stem of what is made of a source's scores."""
    return f"{OUT}/{place('interpret', source)}/loo_scores_{mode}"


def first_weights():
    """List the files of the model from which fine-tuning starts, none where weights are random."""
    pretrained = PRETRAIN and not settings.finetune.from_scratch
    return [f"{OUT}/pretrain/{name}" for name in LANGUAGE_MODEL] if pretrained else starting_point()


def model_to_train():
    """Give the model section, with the pretrained model in place of its architecture where there is one."""
    values = settings.model.model_dump() if TRAINED else {}
    pretrained = PRETRAIN and not settings.finetune.from_scratch
    return values | ({"type": None, "config": {}, "pretrained": f"{OUT}/pretrain"} if pretrained else {})


def training(model):
    """Describe the training of a model, but for the values that a sweep finds."""
    return {
        "fold": fold_of(model),
        "replicate": int(model.partition(".")[2] or 0),
        "task": settings.task,
        "scaling": settings.labels.scaling,
        "class_weights": settings.labels.class_weights,
        "model": model_to_train(),
        "options": settings.finetune.model_dump(mode="json", exclude={"replicates", "gpus"}),
        "seed": settings.seed,
    }


def searching(*apart):
    """Describe the sweep, but for what does not matter to a job."""
    return SWEEP.model_dump(mode="json", exclude=set(apart)) if SWEEP else {}


def best_values(model):
    """List the file with the values that a model is trained with, where there is a sweep."""
    return [f"{OUT}/sweep/{fold_of(model)}/best.yaml"] if SWEEP else []


def scoring(mode):
    """Name what of the interpretation decides the scores of a mode, beside its replacements."""
    own = {"steps"} if mode == "integrated_gradients" else {"level", "scorer"}
    return {"explain", "scale", "sample_size", "precision", "batch_tokens"} | own


def targets(stage):
    """List all files of a stage, so that one that is gone is made again."""
    learned = [f"{OUT}/fine-tune/{model}/{name}" for model in TRAINED for name in [*LEARNED, *(TESTED if HELD_OUT else [])]]
    scores = [f"{scored(*asked)}.{kind}" for asked in ASKED for kind in ("parquet", "csv", "pkl", "html")]
    parts = [part for asked in ASKED for part in shards(*asked)]
    return {
        "tokenize": [f"{OUT}/tokenizer.json"],
        "encode": [f"{OUT}/encoded/{source}.parquet" for source in ENCODED],
        "pretrain": [f"{OUT}/pretrain/{name}" for name in PRETRAINED] if PRETRAIN else [],
        "sweep": (
            [f"{OUT}/sweep/index.html", *(f"{OUT}/sweep/{fold}/{name}" for fold in FOLDS for name in SEARCHED)]
            if settings.sweep
            else []
        ),
        "finetune": [f"{OUT}/folds.parquet", *learned, f"{OUT}/fine-tune/summary.csv"] if TRAINED else [],
        "predict": [file for source in QUERIES for file in predicted(source)],
        "interpret": [f"{OUT}/interpret/checked", *parts, *scores] if ASKED else [],
        "powerlaw": SPECTRA,
        "report": [f"{OUT}/report.html"],
    }[stage]


def start():
    """Keep other runs out of this folder, and note what the user's files contain."""
    # Snakemake's own lock outlives a killed run; this one ends with the process that holds it.
    global LOCK
    LOCK = lock(f"{OUT}/.lock")
    if LOCK is None:
        raise WorkflowError(f"{OUT}: another run works in this folder; wait for it to end, or stop it")
    DIGESTS.save()


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
    found += [picture("pretraining", "Training")] if PRETRAIN else []
    for source in QUERIES:
        found.append(picture("predictions", "Predictions", source))
        if settings.task == "classification" and len(MODELS) > 1:
            found.append(picture("confusion", "Predictions", source))
        for mode in settings.interpret.scored:
            found += [picture(kind, "Leave-one-out", source, mode) for kind in ("profiles", "positions")]
    return found
