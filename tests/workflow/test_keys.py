"""A key of the configuration that changes reruns exactly the rules that depend on it."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import get_args

import pytest
from dependencies import ENCODING, EVERYTHING, FOLDING, PASSING, PRETRAINING, REPORT, SCORING, SWEEPING, TRAINING, below
from pydantic import BaseModel

from rnalm.config import Config
from rnalm.models import folder

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
