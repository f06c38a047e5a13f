"""Only what changed runs again, always what changed: for each kind of change, exactly which rules."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from rnalm import fingerprint, folder
from rnalm.config import Config

#: Each rule and those that read what it makes.
READERS = {
    "train_tokenizer": ("encode_source", "check_interpretation", "pretrain_model", "sweep_worker", "finetune_fold"),
    "encode_source": (
        *("assign_folds", "check_interpretation", "pretrain_model", "sweep_worker", "finetune_fold"),
        *("predict_source", "score_shard", "write_report"),
    ),
    "cluster_sequences": ("assign_folds",),
    "assign_folds": ("sweep_worker", "finetune_fold", "predict_source", "score_shard"),
    "pretrain_model": ("sweep_worker", "finetune_fold", "write_report"),
    "sweep_worker": ("conclude_sweep",),
    "conclude_sweep": ("show_sweeps", "finetune_fold"),
    "show_sweeps": (),
    "finetune_fold": (
        *("predict_source", "evaluate_fold", "gather_models", "merge_predictions", "compare_spectra"),
        "write_report",
    ),
    "gather_models": ("score_shard",),
    "predict_source": ("evaluate_fold", "merge_predictions"),
    "evaluate_fold": ("summarize_folds",),
    "summarize_folds": ("write_report",),
    "merge_predictions": ("write_report",),
    "check_interpretation": (),
    "score_shard": ("merge_scores",),
    "merge_scores": ("draw_scores", "write_report"),
    "draw_scores": (),
    "compare_spectra": ("write_report",),
    "write_report": (),
}


def below(*rules: str) -> set[str]:
    """Name rules and all rules below them."""
    return set(rules).union(*(below(*READERS[rule]) for rule in rules))


EVERYTHING = below("train_tokenizer", "cluster_sequences")
ENCODING = below("encode_source")
FOLDING = below("assign_folds")
TRAINING = below("finetune_fold")
#: What a further file goes through.
PASSING = {"encode_source", *below("predict_source", "score_shard")} - {"evaluate_fold", "summarize_folds"}
SCORING = below("score_shard")
PRETRAINING = below("pretrain_model")
SWEEPING = below("sweep_worker")
REPORT = {"write_report"}

COLUMNS = {"id": "id", "sequence": "sequence", "label": "label", "weight": "weight", "group": "group", "split": "split"}


def source(path: str, **more) -> dict:
    return {"path": path, "token_sep": ",", "columns": dict(COLUMNS)} | more


#: Configurations in which every key has a meaning in one or the other.
BASES = {
    "regression": {
        "output": "out",
        "source": source("table.tsv"),
        "inference": {"more": source("more.tsv")},
        "folds": {"n": 2},
        "interpret": {"modes": ["mask", "replace"], "replacements": {"A": ["C"]}, "shards": 2},
    },
    "vocabulary": {
        "output": "out",
        "source": source("table.tsv"),
        "tokenizer": {"source": source("more.tsv")},
        "interpret": {"shards": 2},
    },
    "classes": {
        "output": "out",
        "task": "classification",
        "source": source("table.tsv", columns={key: name for key, name in COLUMNS.items() if key != "weight"}),
        "interpret": {"shards": 2},
    },
    "given": {
        "output": "out",
        "model": ["given"],
        "source": source("table.tsv"),
        "interpret": {"shards": 2, "sample_size": 100},
    },
    "language": {
        "output": "out",
        "task": "classification",
        "source": {
            "path": ["a.fa", "b.fa"],
            "attributes": {"path": "table.tsv", "columns": {name: name for name in ("id", "label", "group", "split")}},
            "chunk": {"length": 100},
        },
        "tokenizer": {"type": "bpe"},
        "folds": {"n": 2, "group": "cluster"},
        "model": {"name": "hf", "type": "distilbert", "config": {"dim": 16}},
        "pretrain": {},
        "sweep": {"parameters": {"finetune.learning_rate": {"values": [0.1, 0.2]}}},
        "powerlaw": {},
        "interpret": {"shards": 2},
    },
    "kmers": {
        "output": "out",
        "task": "classification",
        "source": {"classes": {"a": ["a.fa"], "b": ["b.fa"]}},
        "tokenizer": {"type": "kmer"},
        "interpret": {"method": ["integrated_gradients"], "shards": 2},
    },
    "elsewhere": {
        "output": "out",
        "source": source("table.tsv"),
        "model": {"name": "hf", "type": "distilbert"},
        "pretrain": {"source": {"path": "a.fa"}},
        "interpret": {"shards": 2},
    },
    "splits": {
        "output": "out",
        "source": source("table.tsv"),
        "folds": {"method": "column", "validation": ["a"], "test": ["b"], "splits": ["a", "b", "c"]},
        "interpret": {"shards": 2},
    },
}


def reading(prefix: str, told: set[str], labelled: set[str], path: str) -> dict[str, tuple]:
    """Declare the keys of a source: ``told`` read it; ``labelled`` read more of it than sequences."""
    base = "vocabulary" if prefix.startswith("tokenizer") else "regression"
    keys = {"path": path, "header": False, "column_sep": ";", "quote": "'", "token_sep": "-", "modifier_sep": "#"}
    numbered = {"columns": dict(zip(COLUMNS, range(1, 7), strict=True))}
    found = {f"{prefix}.{key}": (base, value, told, numbered if key == "header" else {}) for key, value in keys.items()}
    for key in COLUMNS:
        found[f"{prefix}.columns.{key}"] = (base, 7, told if key in ("id", "sequence") else labelled)
    return found


#: Every key of the configuration: the base in which it is changed, its new value, and the rules that run again.
KEYS = {
    "output": ("regression", "elsewhere", EVERYTHING),
    "seed": ("regression", 2, FOLDING),
    "task": ("classes", "regression", ENCODING),
    **reading("source", EVERYTHING, ENCODING, "more.tsv"),
    **reading("inference.more", PASSING, PASSING, "table.tsv"),
    "source<Fasta>.path": ("language", ["a.fa"], EVERYTHING),
    "source<Fasta>.classes": ("kmers", {"a": ["a.fa"], "c": ["b.fa"]}, ENCODING),
    "source<Fasta>.case": ("language", "keep", EVERYTHING),
    "source<Fasta>.chunk.length": ("language", 50, EVERYTHING),
    "source<Fasta>.chunk.overlap": ("language", 10, EVERYTHING),
    **{
        f"source<Fasta>.attributes.{key}": ("language", value, ENCODING, *also)
        for key, value, *also in (
            ("path", "more.tsv"),
            ("header", False, {"columns": {"id": 1, "label": 3}}),
            ("column_sep", ";"),
            ("quote", "'"),
            *((f"columns.{name}", "weight" if name == "id" else "sequence") for name in ("id", "label", "group", "split")),
        )
    },
    "source<Fasta>.attributes.columns.weight": ("language", "weight", ENCODING, {}, {"task": "regression"}),
    "tokenizer.type": ("language", "unigram", EVERYTHING - {"cluster_sequences"}),
    "tokenizer.max_token_length": ("language", 3, EVERYTHING - {"cluster_sequences"}),
    "tokenizer.atomic_replacements": ("language", {"ac": "E"}, EVERYTHING - {"cluster_sequences"}),
    "tokenizer.k": ("kmers", 3, EVERYTHING),
    "tokenizer.stride": ("kmers", 3, EVERYTHING),
    "tokenizer.special_tokens": ("regression", ["<unk>", "<pad>", "<mask>"], EVERYTHING),
    **reading("tokenizer.source", EVERYTHING, REPORT, "table.tsv"),
    "tokenizer.sample_size": ("regression", 10, EVERYTHING),
    "tokenizer.min_freq": ("regression", 2, EVERYTHING),
    "tokenizer.vocab_size": ("regression", 9, EVERYTHING),
    "encode.block_size": ("regression", 8, ENCODING),
    "encode.truncate": ("regression", "left", ENCODING),
    "encode.center_token": ("regression", "A", ENCODING),
    "encode.reverse_complement": ("regression", "average", ENCODING),
    "labels.scaling": ("regression", "log", TRAINING),
    "labels.quality": ("regression", {"GOOD": 1.0}, ENCODING),
    "labels.class_weights": ("classes", True, TRAINING),
    "folds.validation_percent": ("regression", 20, FOLDING, {"method": "kfold", "n": 3}),
    "folds.method": ("regression", "kfold", FOLDING, {"n": 3}),
    "folds.n": ("regression", 3, FOLDING),
    "folds.ratio": ("regression", [80, 10, 10], FOLDING),
    "folds.validation": ("splits", ["c"], FOLDING),
    "folds.test": ("splits", ["c"], FOLDING),
    "folds.splits": ("splits", ["c", "b", "a"], FOLDING),
    "folds.group": ("regression", "none", FOLDING),
    "folds.cluster.k": ("language", 5, below("cluster_sequences")),
    "folds.cluster.shared": ("language", 0.9, below("cluster_sequences")),
    "model.name": None,  # with another, all other keys are others
    "model<HuggingFace>.name": None,
    "model<HuggingFace>.type": ("language", "bert", PRETRAINING),
    "model<HuggingFace>.config": ("language", {"dim": 32}, PRETRAINING),
    "model<HuggingFace>.pretrained": ("elsewhere", "given", EVERYTHING, {"type": None}),
    **{
        f"pretrain.{key}": ("language", value, PRETRAINING)
        for key, value in {
            "epochs": 3,
            "validation": 7,
            "mask_prob": 0.2,
            "random_prob": 0.2,
            "keep_prob": 0.2,
            "batch_size": 3,
            "gradient_accumulation": 3,
            "learning_rate": 0.1,
            "scheduler": "constant",
            "warmup": 0.2,
            "betas": [0.8, 0.9],
            "weight_decay": 0.1,
            "max_grad_norm": 1.0,
            "patience": 3,
            "bf16": True,
            "torch_compile": True,
        }.items()
    },
    "pretrain.source": ("elsewhere", {"path": "b.fa"}, PRETRAINING | {"encode_source"}),
    "pretrain.gpus": ("language", 2, set()),
    "model.filters": ("regression", 8, TRAINING),
    "model.kernel_size": ("regression", 3, TRAINING),
    "model.layers": ("regression", 2, TRAINING),
    "model.dropout": ("regression", 0.1, TRAINING),
    "model.shift": ("regression", 1, TRAINING),
    "model.l2": ("regression", 0.1, TRAINING),
    "model.layer_norm_eps": ("regression", 0.1, TRAINING),
    "model.batch_norm_momentum": ("regression", 0.2, TRAINING),
    "finetune.epochs": ("regression", 3, TRAINING),
    "finetune.extra_epochs": ("regression", 3, TRAINING),
    "finetune.batch_size": ("regression", 3, TRAINING),
    "finetune.gradient_accumulation": ("regression", 3, TRAINING),
    "finetune.learning_rate": ("regression", 0.1, TRAINING),
    "finetune.scheduler": ("regression", "linear", TRAINING),
    "finetune.warmup": ("regression", 0.1, TRAINING),
    "finetune.betas": ("regression", [0.8, 0.9], TRAINING),
    "finetune.weight_decay": ("regression", 0.1, TRAINING),
    "finetune.max_grad_norm": ("regression", 1.0, TRAINING),
    "finetune.metric": ("regression", "mse", TRAINING),
    "finetune.patience": ("regression", None, TRAINING),
    "finetune.mask_prob": ("regression", 0.2, TRAINING),
    "finetune.replicates": ("regression", 2, TRAINING),
    "finetune.gpus": ("regression", 2, set()),
    "finetune.bf16": ("regression", True, TRAINING),
    "finetune.torch_compile": ("regression", True, TRAINING),
    "finetune.from_scratch": ("language", True, SWEEPING),
    "sweep.method": ("language", "random", SWEEPING),
    "sweep.metric": ("language", "accuracy", SWEEPING),
    "sweep.goal": ("language", "minimize", set()),
    "sweep.parameters": ("language", {"finetune.epochs": {"values": [2, 3]}}, SWEEPING),
    "sweep.trials": ("language", 3, SWEEPING),
    "sweep.workers": ("language", 2, SWEEPING),
    "sweep.pruning": ("language", False, SWEEPING),
    "sweep.epochs": ("language", 3, SWEEPING),
    "predict.batch_tokens": ("regression", 100, below("predict_source")),
    "interpret.modes": ("regression", ["mask", "remove", "replace"], SCORING | {"check_interpretation"}),
    "interpret.replacements": ("regression", {"A": ["G"]}, SCORING | {"check_interpretation"}),
    "interpret.replace_modifiers": ("regression", True, SCORING | {"check_interpretation"}),
    "interpret.method": ("regression", ["loo", "integrated_gradients"], SCORING | {"check_interpretation"}),
    "interpret.level": ("regression", "base", SCORING | {"check_interpretation"}),
    "interpret.steps": ("kmers", 60, SCORING),
    "interpret.explain": ("classes", "a", SCORING | {"check_interpretation"}),
    "interpret.scale": ("classes", "logit", SCORING),
    "interpret.sample_size": ("regression", 3, SCORING),
    "interpret.shards": ("finished", 3, SCORING - REPORT),
    "interpret.scorer": ("regression", "naive", SCORING),
    "interpret.precision": ("regression", "bf16", SCORING),
    "interpret.batch_tokens": ("regression", 100, SCORING),
    "powerlaw.models": ("language", {"other": "given"}, {"compare_spectra", "write_report"}),
    "report.title": ("regression", "Yes!", REPORT),
    "report.profiles": ("regression", 1, REPORT),
    "report.annotations": ("regression", "more.tsv", REPORT | {"check_interpretation"}),
}


#: Keys whose values are sections that are described elsewhere.
WHOLE = {"pretrain.source", "sweep.parameters"}


def sections(annotation: object) -> list[type[BaseModel]]:
    """List the sections that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections(part)]


def leaves(section: type[BaseModel] = Config, path: str = "") -> Iterator[str]:
    """Name every key that holds a value; where a section is one of several, the second by its kind."""
    for name, info in section.model_fields.items():
        key = f"{path}.{name}".lstrip(".") + (".more" if name == "inference" else "")
        kinds = [] if key in WHOLE else sections(info.annotation)
        if not kinds:
            yield key
        for number, inner in enumerate(kinds if key in ("source", "model") else kinds[:1]):
            yield from leaves(inner, f"{key}<{inner.__name__}>" if number else key)


def changed(config: dict, key: str, value: object, also: dict | None = None, more: dict | None = None) -> dict:
    """Copy a configuration with another value of one key, of others beside it, and at the top."""
    config = deepcopy(config)
    *sections, last = re.sub(r"<\w+>", "", key).split(".")
    section = config
    for name in sections:
        section = section.setdefault(name, {})
    section |= {last: value, **(also or {})}
    return config | (more or {})


@pytest.fixture(scope="module")
def bases(tmp_path_factory, make_experiment) -> dict:
    """Give experiments for which Snakemake has noted that everything ran, though their files are empty."""
    found = {}
    for name, config in BASES.items():
        experiment = make_experiment(tmp_path_factory.mktemp(name))
        experiment.config = config
        for file in ("more.tsv", "a.fa", "b.fa"):
            (experiment.folder / file).touch()
        (experiment.folder / "given").mkdir()
        for file in folder.FILES:
            (experiment.folder / "given" / file).write_text("{}")
        for line in experiment.snakemake("--summary").splitlines():
            if line.startswith("out/"):
                path = experiment.folder / line.split("\t")[0]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        experiment.snakemake("--touch", "--forceall")
        assert experiment.plan() == {}
        # Rules that a configuration has no work for are not in it.
        experiment.rules = set(experiment.plan("--forceall"))
        found[name] = experiment
    return found


def test_every_key_is_declared():
    assert set(KEYS) == set(leaves())


@pytest.mark.parametrize("key", [key for key, row in KEYS.items() if row])
def test_a_changed_key_reruns_the_rules_that_depend_on_it(bases, finished, key):
    base, value, rules, *also = KEYS[key]
    experiment = finished if base == "finished" else bases[base]
    original = experiment.config
    try:
        experiment.config = changed(original, key, value, *also)
        assert set(experiment.plan()) == rules & experiment.rules
    finally:
        experiment.config = original


def test_values_that_change_places_are_seen(bases):
    """Snakemake compares params as a set: of a seed that becomes the number of a shard it would see nothing."""
    experiment = bases["given"]
    experiment.config = changed(BASES["given"], "seed", 2)
    assert experiment.plan() == {"score_shard": 2, "merge_scores": 1, "draw_scores": 1, "write_report": 1}
    experiment = bases["regression"]
    experiment.config = changed(BASES["regression"], "tokenizer.min_freq", 10)
    experiment.snakemake("--touch", "--forceall")
    experiment.config = changed(experiment.config, "tokenizer.vocab_size", 10)
    assert set(experiment.plan()) == EVERYTHING & experiment.rules
    experiment.config = BASES["regression"]
    experiment.snakemake("--touch", "--forceall")


def test_the_content_of_a_given_model_counts(bases):
    experiment = bases["given"]
    experiment.config = BASES["given"]
    path = experiment.folder / "given/model.safetensors"
    path.touch()
    assert experiment.plan() == {}
    path.write_text("other")
    expected = {"gather_models", *below("predict_source", "score_shard")} - {"evaluate_fold", "summarize_folds"}
    assert set(experiment.plan()) == expected & experiment.rules
    path.write_text("{}")


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


#: Edits of the library: file, what stands there, what takes its place, and the rules that run again.
EDITS = {
    "a comment": ("predict.py", "def predict(", "# Of all sequences.\ndef predict(", set()),
    "a docstring": ("train.py", '"""Fine-tune a model on one fold."""', '"""Train."""', set()),
    "a docstring inside": ("folds.py", '"""Who trains, validates and tests in each fold."""', "", set()),
    "layout": ("labels.py", "\ndef fit(", "\n\n\n\ndef fit(", set()),
    "a function that nobody calls": ("encode.py", "def encode(", "def decode():\n    return 1\n\n\ndef encode(", set()),
    "the version": ("__init__.py", "__version__ = ", "__version__ = 'new' or ", set()),
    "the frame of jobs": ("jobs.py", "    return run", "    run.__name__ = 'run'\n    return run", set()),
    "the command line": ("cli.py", "    options.run(options)", "    assert options\n        options.run(options)", set()),
    "how the configuration is read": ("configfile.py", "    more = ", "    assert keys\n    more = ", set()),
    "report": ("report/write.py", "    sections = [_data(job)]", "    sections = [*[_data(job)]]", REPORT),
    "its template": ("report.html", "<html", "<html data-new", REPORT),
    "curves": ("curves.py", "def learning_curves(", "def learning_curves(*_, **more): return more\ndef _learning(", REPORT),
    "compare": ("compare.py", "    best = f1[:-1].argmax()", "    best = f1[:-1].argmin()", REPORT),
    "figures": ("figures.py", "def positions(", "def positions(*, _=0, **more): return more\ndef _positions(", REPORT),
    "perturb.summary": (
        "perturb/summary.py",
        "def read_bed(",
        "def read_bed(*_): return []\ndef _(",
        REPORT | {"check_interpretation"},
    ),
    "perturb.recompute": ("perturb/recompute.py", "import torch\n", "import torch\n\nprint()\n", SCORING),
    "perturb.scores": ("perturb/scores.py", "    cost = method.cost", "    assert method\n    cost = method.cost", SCORING),
    "perturb.merge": (
        "perturb/merge.py",
        "    schema = pq.read_schema(parts[0])",
        "    assert parts\n    schema = pq.read_schema(parts[0])",
        below("merge_scores"),
    ),
    "perturb.page": (
        "perturb/page.py",
        "    title, text = METHODS[method]",
        "    [title, text] = METHODS[method]",
        {"draw_scores"},
    ),
    "its page": ("scores.html", "<html", "<html data-new", {"draw_scores"}),
    "train": ("train.py", "    check_metric(job, validation)", "    check_metric(job, training)", TRAINING),
    "epochs": (
        "epochs.py",
        "    arguments = TrainingArguments(",
        "    arguments = TrainingArguments(dataloader_pin_memory=True,",
        TRAINING,
    ),
    "losses": ("losses.py", "import torch\n", "import torch\n\nprint()\n", TRAINING),
    "models.saluki": ("models/saluki.py", "    def forward(", "    new = 1\n\n    def forward(", TRAINING),
    "predict": ("predict.py", "self.model.eval()", "self.model.eval().eval()", TRAINING),
    "encode": ("encode.py", "    summary = Summary()", "    summary = Summary(0)", ENCODING),
    "tables": (
        "tables.py",
        "    with open_text(source.path) as file:",
        "    with open_text(source.path) as file, open_text(source.path):",
        EVERYTHING,
    ),
    "vocabulary.learn": ("vocabulary.py", "def learn(", "def learn(*_, **__): return 1\ndef _(", EVERYTHING),
    "folds.assign": (
        "folds.py",
        "    group_ids = _group_ids(groups, n_rows)",
        "    group_ids = _group_ids(groups, 0 + n_rows)",
        FOLDING,
    ),
    "evaluate.rank_deltas": (
        "evaluate.py",
        'frame = frame[frame["label"].notna()]',
        'frame = frame.dropna(subset="label")',
        below("evaluate_fold", "merge_predictions"),
    ),
    "a new key": ("config/results.py", "class Report(Section):", "class Report(Section):\n    new: int = 1\n", REPORT),
}


@pytest.fixture
def edited(repository, tmp_path) -> Path:
    """Copy workflow and library, to change them."""
    shutil.copytree(repository, tmp_path / "edited")
    return tmp_path / "edited"


@pytest.mark.parametrize("edit", EDITS)
def test_edited_code_reruns_the_rules_that_reach_it(finished, edited, make_experiment, edit):
    name, old, new, rules = EDITS[edit]
    rewrite(edited / "rnalm" / name, old, new)
    assert set(make_experiment(finished.folder, edited).plan()) == rules & finished.rules


def touch_all(*places: Path) -> None:
    """Give all files the date of now, in no order."""
    for place in places:
        for path in sorted(place.rglob("*"), key=lambda path: path.name):
            if path.is_file() and ".snakemake" not in path.parts:
                path.touch()


def check_out_another_branch_and_come_back(experiment, edited: Path) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-c", "user.name=x", "-c", "user.email=x", *arguments]
        subprocess.run(command, cwd=edited, check=True, capture_output=True)

    git("init", "--initial-branch=main")
    git("add", ".")
    git("commit", "--message=one")
    git("checkout", "-b", "other")
    for path in (edited / "rnalm").glob("*.py"):
        path.write_text("")
    git("commit", "--all", "--message=two")
    git("checkout", "main")


def exchange_table(experiment, edited: Path) -> None:
    """Put an older file in the place of the table."""
    table = experiment.folder / "table.tsv"
    rewrite(table, "s0", "zero")
    os.utime(table, (1e9, 1e9))


def write_more(experiment, edited: Path) -> None:
    (experiment.folder / "more.tsv").write_text((experiment.folder / "table.tsv").read_text())
    experiment.config["inference"] = {"more": {"path": "more.tsv", "columns": {"id": "id", "sequence": "sequence"}}}


def reorder(experiment, edited: Path) -> None:
    experiment.config = {name: reversed_(section) for name, section in reversed(experiment.config.items())}


def reversed_(section: object) -> object:
    return {name: reversed_(value) for name, value in reversed(section.items())} if isinstance(section, dict) else section


#: Other changes: what is done to a finished experiment and the repository, and the jobs that follow.
CHANGES = {
    "nothing": (lambda experiment, edited: None, {}),
    "a touch of every module, rule and script": (lambda experiment, edited: touch_all(edited), {}),
    "a touch of every input": (lambda experiment, edited: (experiment.folder / "table.tsv").touch(), {}),
    "a copy that lost all dates": (lambda experiment, edited: touch_all(experiment.folder), {}),
    "another branch and back": (check_out_another_branch_and_come_back, {}),
    "keys in another order": (reorder, {}),
    "a default written out": (lambda experiment, edited: experiment.config.update(encode={"block_size": 12288}), {}),
    "a number written otherwise": (lambda experiment, edited: experiment.config["finetune"].update(learning_rate="1e-2"), {}),
    "an older table in place of the table": (exchange_table, EVERYTHING),
    "a further inference file": (write_more, PASSING),
    "one shard deleted": (
        lambda experiment, edited: (experiment.output / "interpret/parts/source/mask/1-of-2.parquet").unlink(),
        {"score_shard": 1, "merge_scores": 1, "draw_scores": 1},
    ),
    "one model deleted": (
        lambda experiment, edited: (experiment.output / "fine-tune/1/model.safetensors").unlink(),
        TRAINING,
    ),
    "the report deleted": (lambda experiment, edited: (experiment.output / "report.html").unlink(), REPORT),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_reruns_what_depends_on_it(finished, copy, edited, change):
    make, expected = CHANGES[change]
    experiment = copy()
    experiment.root = edited
    make(experiment, edited)
    found = experiment.plan()
    assert (found == expected) if isinstance(expected, dict) else (set(found) == expected & finished.rules)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--set-threads", "finetune_fold=1"),
        ("--set-resources", "finetune_fold:mem_mb=100", "score_shard:runtime=5"),
        ("--resources", "gpu=2"),
        ("--default-resources", "slurm_partition=short"),
        ("--retries", "3"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_where_and_how_jobs_run_changes_nothing(finished, arguments):
    assert finished.plan(*arguments) == {}


def test_another_profile_changes_nothing(finished, tmp_path):
    settings = yaml.safe_load((finished.root / "workflow/profiles/default/config.yaml").read_text())
    settings |= {"set-resources": {"score_shard": {"mem_mb": 1}}, "cores": 1, "retries": 2}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    assert finished.plan("--workflow-profile", str(tmp_path)) == {}


def worked(experiment, since: float) -> set[str]:
    """Name the jobs that did their work since a time, by their logs; others took their results of before."""
    logs = [path for path in experiment.output.glob("logs/**/*.log") if path.stat().st_mtime >= since]
    working = [path for path in logs if "they are taken as they were" not in path.read_text()]
    return {str(path.relative_to(experiment.output / "logs").with_suffix("")) for path in working}


#: Other code that encodes alike.
REFACTORING = ("    summary = Summary()", "    summary = Summary(sequences=0)")


def harm(experiment, edited: Path) -> None:
    """Delete one result, and cut off the end of another."""
    (experiment.output / "interpret/parts/source/mask/1-of-2.parquet").unlink()
    os.truncate(experiment.output / "predict/test_predictions.csv", 100)


#: Changes, as by dry run, and the jobs that really work: where a result turns out as it was, those below it need not.
WORK = {
    "an encoding that comes to the same": (
        lambda experiment, edited: rewrite(edited / "rnalm" / "encode.py", *REFACTORING),
        {"encode/source"},
    ),
    "another label column, with the same labels": (
        lambda experiment, edited: experiment.config["source"]["columns"].update(label=3),
        {"encode/source", "report"},
    ),
    "an edited report": (
        lambda experiment, edited: rewrite(edited / "rnalm" / EDITS["report"][0], *EDITS["report"][1:3]),
        {"report"},
    ),
    "a deleted shard and a truncated table": (harm, {"predict/merge"}),
}


@pytest.mark.parametrize("change", WORK)
def test_a_job_whose_results_would_be_the_same_does_not_work(copy, edited, change):
    make, jobs = WORK[change]
    experiment = copy()
    experiment.root = edited
    before = experiment.contents()
    make(experiment, edited)
    since = time.time()
    experiment.succeed()
    assert worked(experiment, since) == jobs
    after = experiment.contents()
    assert {name for name in before if before[name] != after[name]} <= ({"report.html"} if "report" in jobs else set())
    assert experiment.plan() == {}


def test_no_script_calls_what_its_fingerprint_leaves_out(finished, language):
    """Functions that really ran, against those that were found by reading."""
    files = [path for experiment in (finished, language) for path in (experiment.folder / "traces").glob("*.txt")]
    traces = [path.read_text().splitlines() for path in files]
    scripts = {path.stem for path in (finished.root / "workflow/scripts").glob("*.py")}
    assert {script for script, *_ in traces} == scripts
    for script, *functions in traces:
        reached = fingerprint.reached(finished.root / f"workflow/scripts/{script}.py", finished.root / "rnalm")
        called = {f"{module}:{name.split('.')[0]}" for module, name in (function.split(":") for function in functions)}
        work = {name for name in called if not name.startswith("rnalm.jobs:")}
        assert work <= set(reached), script
        assert work, script
