"""The plan says what is made and by which jobs; a changed key reaches exactly the jobs that depend on it."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from typing import get_args

import pytest
from configurations import BASES, COLUMNS
from dependencies import (
    BASELINE,
    ENCODING,
    EVERYTHING,
    FOLDING,
    LISTING,
    PASSING,
    PRETRAINING,
    REPORT,
    SCORING,
    SWEEPING,
    TRAINING,
    below,
)
from pydantic import BaseModel

from rnalm.config import Config, contract
from rnalm.config.load import load
from rnalm.pipeline.content import Contents
from rnalm.pipeline.plan import Plan


def reading(prefix: str, told: set[str], labelled: set[str], path: str) -> dict[str, tuple]:
    """Declare the keys of a source: ``told`` read it; ``labelled`` read more of it than sequences."""
    base = "vocabulary" if prefix.startswith("tokenizer") else "regression"
    keys = {"path": path, "header": False, "column_sep": ";", "quote": "'", "token_sep": "-", "modifier_sep": "#"}
    numbered = {"columns": dict(zip(COLUMNS, range(1, 7), strict=True))}
    found = {f"{prefix}.{key}": (base, value, told, numbered if key == "header" else {}) for key, value in keys.items()}
    found[f"{prefix}.case"] = (base, "upper", told)
    found[f"{prefix}.decimal"] = (base, ",", told)
    found |= {f"{prefix}.{key}": (base, value, labelled) for key, value in (("missing", ["NA"]), ("unlabelled", "drop"))}
    for key in COLUMNS:
        found[f"{prefix}.columns.{key}"] = (base, 7, told if key in ("id", "sequence") else labelled)
    return found


#: What is listed, or scored, anew.
LISTED, EFFECTS = below("list_variants"), below("score_variants")
#: What browsers show; the report shows the configuration.
BROWSED = {"write_tracks", "find_elements"} | REPORT
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
    "source<Fasta>.unlabelled": ("language", "drop", ENCODING),
    "source<Fasta>.chunk.length": ("language", 50, EVERYTHING),
    "source<Fasta>.chunk.overlap": ("language", 10, EVERYTHING),
    **{
        f"source<Fasta>.attributes.{key}": ("language", value, ENCODING, *also)
        for key, value, *also in (
            ("path", "more.tsv"),
            ("header", False, {"columns": {"id": 1, "label": 3}}),
            ("column_sep", ";"),
            ("quote", "'"),
            ("decimal", ","),
            ("missing", ["NA"]),
            *((f"columns.{name}", "weight" if name == "id" else "sequence") for name in ("id", "label", "group", "split")),
        )
    },
    **{
        f"source<Genome>.{key}": ("genome", value, EVERYTHING, *also)
        for key, value, *also in (
            ("genome", "b.fa"),
            ("sample.method", "random", {"path": None}),
            ("sample.n", 8),
            ("sample.path", "table.tsv"),
            ("sample.step", 9, {"method": "tiles", "n": None, "path": None}),
            ("sample.negatives", False),
            ("sample.seed", 3),
            ("length", 50),
            ("strand", "both"),
            ("contigs.include", ["chr1"]),
            ("contigs.exclude", []),
            ("contigs.parts", 2),
            ("blacklist", "table.tsv"),
            ("max_unknown", 0.1),
            ("case", "keep"),
            ("index", "elsewhere"),
        )
    },
    **{
        f"source<Genome>.{key}": ("genome", value, ENCODING, *also)
        for key, value, *also in (
            ("features.path", "b.fa"),
            ("features.classes", ["x", "y"]),
            ("features.least_intervals", 5, {"classes": None}),
            ("features.widen", 50),
            ("features.threshold", 0.3),
            ("features.thresholds", {"x": 0.1}),
            ("bin", 50),
        )
    },
    **{
        f"source<Genome>.features.{key}": ("signal", value, ENCODING)
        for key, value in (("statistic", "max"), ("uncovered", None))
    },
    "source<Genome>.features.signals": ("signal", dict.fromkeys("xy", "signal.bw"), ENCODING, {"path": None}),
    **{
        f"source<Matrix>.{key}": ("matrix", value, EVERYTHING)
        for key, value in {
            **{"matrix": "b.fa", "sequence_key": "x", "sequence_batch_axis": 2, "sequence_alphabet_axis": 2},
            **{"alphabet": "AGCT", "case": "keep"},
        }.items()
    },
    **{
        f"source<Matrix>.{key}": ("matrix", value, ENCODING)
        for key, value in {"targets_key": "y", "targets_batch_axis": 1, "classes": ["a", "c"]}.items()
    },
    "source<Parts>.parts.train": ("parts", {"matrix": "more.tsv", "targets_key": "t"}, EVERYTHING),
    "source<Parts>.parts.validation": ("parts", {"matrix": "table.tsv", "targets_key": "t"}, EVERYTHING),
    "source<Parts>.parts.test": ("parts", {"matrix": "table.tsv", "targets_key": "t"}, EVERYTHING),
    "source.columns.sites": ("positions", "label", ENCODING),
    "source.sites": ("positions", "more.tsv", ENCODING, {"columns": {"id": "id", "sequence": "sequence"}}),
    "inference.more.columns.sites": ("positions", "label", PASSING),
    "inference.more.sites": ("positions", "table.tsv", PASSING, {"columns": {"id": "id", "sequence": "sequence"}}),
    "tokenizer.source.columns.sites": ("vocabulary", "weight", REPORT, {"label": None}),
    "tokenizer.source.sites": ("vocabulary", "table.tsv", REPORT, {"columns": {"id": "id", "sequence": "sequence"}}),
    "source<Fasta>.sites": ("marked", "more.tsv", ENCODING, {"attributes": None}),
    "source<Fasta>.attributes.columns.sites": ("marked", "label", ENCODING),
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
    "labels.scaling": ("regression", "log", TRAINING | BASELINE),
    "labels.quality": ("regression", {"GOOD": 1.0}, ENCODING),
    "labels.per": ("regression", "token", ENCODING, {}, {"model": {"name": "frames"}, "interpret": {}}),
    "labels.unit": ("regression", "h", REPORT | {"draw_scores"}),
    "labels.sep": ("positions", ";", ENCODING),
    "labels.classes": ("named", ["x"], ENCODING),
    "labels.positive_weight": ("positions", 2.0, TRAINING),
    "labels.positive_weights": ("named", {"x": 2.0}, TRAINING),
    "labels.class_weights": ("classes", True, TRAINING | BASELINE),
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
    "model<Frames>.name": None,
    **{
        f"model<Frames>.{key}": ("frames", value, TRAINING)
        for key, value in {"width": 8, "layers": 2, "letter_size": 4, "context": 5, "kernel_size": 3, "dropout": 0.2}.items()
    },
    "model<Dilated>.name": None,
    **{
        f"model<Dilated>.{key}": ("dilated", value, TRAINING)
        for key, value in {"width": 8, "kernel_size": 5, "dilations": [1, 2], "dropout": 0.2}.items()
    },
    "model<Dilated>.pretrained": ("dilated", "given", EVERYTHING),
    "model<Performer>.name": None,
    "model<Frames>.pretrained": ("frames", "given", EVERYTHING),
    "model<Performer>.pretrained": ("performer", "given", EVERYTHING),
    **{
        f"model<Performer>.{key}": ("performer", value, TRAINING)
        for key, value in {
            **{"width": 8, "layers": 2, "heads": 5, "head_size": 8, "local_heads": 1, "window": 8, "kernel": "softmax"},
            **{"features": 8, "redraw": None, "glu": False, "norm": "rezero", "dropout": 0.2, "recompute": False},
        }.items()
    },
    "model<OwnModel>.name": None,
    **{
        f"model<OwnModel>.{key}": ("own", value, TRAINING | {"check_interpretation"})
        for key, value in {
            **{"path": "other.py", "class": "Other", "args": {"n": 3}, "outputs": "logits"},
            **{"strands": "mean", "weights": "more.tsv"},
        }.items()
    },
    "model<OwnModel>.input": ("own", "ids", TRAINING | {"check_interpretation"}),
    "model<OwnModel>.by_order": ("own", True, TRAINING | {"check_interpretation"}, {"weights": "more.tsv"}),
    "model<Given>.folders": None,  # of other models all is other
    "model<Given>.trust": None,
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
            "batch_tokens": 100,
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
    "pretrain.max_steps": ("language", 100, PRETRAINING, {"report_every": 50}),
    "pretrain.report_every": ("language", 50, PRETRAINING, {"max_steps": 100}),
    "pretrain.save_every": ("language", 25, PRETRAINING, {"max_steps": 100, "report_every": 50}),
    "pretrain.source": ("elsewhere", {"path": "b.fa"}, PRETRAINING | {"encode_source"}),
    "pretrain.rows": ("language", "training", PRETRAINING),
    "pretrain.gpus": ("language", 2, set()),
    "model.wide": ("regression", True, TRAINING),
    "model<Frames>.wide": ("frames", True, TRAINING),
    "model<Dilated>.wide": ("dilated", True, TRAINING),
    "model<Performer>.wide": ("performer", True, TRAINING),
    "model<HuggingFace>.wide": ("language", True, TRAINING | {"sweep_worker", "conclude_sweep", "show_sweeps"}),
    "model<OwnModel>.wide": ("own", True, TRAINING | {"check_interpretation"}),
    "model.filters": ("regression", 8, TRAINING),
    "model.kernel_size": ("regression", 3, TRAINING),
    "model.layers": ("regression", 2, TRAINING),
    "model.readout": ("regression", "last", TRAINING),
    "model.dropout": ("regression", 0.1, TRAINING),
    "model.shift": ("regression", 1, TRAINING),
    "model.l2": ("regression", 0.1, TRAINING),
    "model.layer_norm_eps": ("regression", 0.1, TRAINING),
    "model.batch_norm_momentum": ("regression", 0.2, TRAINING),
    "baseline": ("regression", "none", {"summarize_folds"} | below("write_verdict")),
    "ensemble": ("stacked", "mean", {"summarize_folds"} | below("merge_predictions")),
    "finetune.epochs": ("regression", 3, TRAINING),
    "finetune.max_steps": ("regression", 100, TRAINING, {"report_every": 50}),
    "finetune.report_every": ("regression", 50, TRAINING, {"max_steps": 100}),
    "finetune.save_every": ("regression", 25, TRAINING, {"max_steps": 100, "report_every": 50}),
    "finetune.extra_epochs": ("regression", 3, TRAINING),
    "finetune.batch_tokens": ("frames", 100, TRAINING),
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
    "predict.sites.motif": ("positions", "CTG", LISTING | SCORING | {"check_interpretation"}),
    "predict.sites.top": ("positions", 1, LISTING),
    "predict.sites.of": ("positions", "1", LISTING | SCORING | {"check_interpretation"}),
    "predict.formats": ("positions", ["npy"], LISTING),
    "predict.batch_tokens": ("regression", 100, below("predict_source")),
    **{
        f"variants.more.{key}": ("several", value, rules, *also)
        for key, value, rules, *also in (
            ("path", ["b.fa"], LISTED),
            ("genome", "b.fa", LISTED),
            ("index", "elsewhere", LISTED),
            ("strand_column", "s", LISTED),
            ("require_strand", True, LISTED),
            ("phased", "NA1", LISTED, {"formats": ["parquet"]}, {"tracks": None}),
            ("length", 20, EFFECTS),
            ("anchor", "left", EFFECTS),
            ("scorer", "naive", EFFECTS),
            ("scores", ["diffs", "logits"], EFFECTS),
            ("formats", ["parquet", "tsv"], REPORT),
            ("regions", "b.fa", REPORT),
            ("shards", 2, below("score_variants")),
        )
    },
    **{
        f"variants.more.transcripts.{key}": ("spliced", value, LISTED)
        for key, value in (
            *(("fasta", "b.fa"), ("bed", "table.bed"), ("codons", "upper"), ("junctions", "ej")),
            ("modifiers", ["codons"]),
        )
    },
    "evaluate.classes": ("several", ["b"], {"evaluate_classes", "write_report"}),
    "evaluate.min_positives": ("several", 2, {"evaluate_classes", "write_report"}),
    "interpret.modes": ("regression", ["mask", "remove", "replace"], SCORING | {"check_interpretation"}),
    "interpret.replacements": ("regression", {"A": ["G"]}, SCORING | {"check_interpretation"}),
    "interpret.replace_modifiers": ("regression", True, SCORING | {"check_interpretation"}),
    "interpret.method": ("regression", ["loo", "integrated_gradients"], SCORING | {"check_interpretation"}),
    "interpret.level": ("regression", "base", SCORING | {"check_interpretation"}),
    "interpret.steps": ("kmers", 60, SCORING),
    "interpret.explain": ("classes", ["a", "b"], SCORING | {"check_interpretation"}),
    "interpret.explain_at": ("positions", "labels", SCORING | {"check_interpretation"}),
    "interpret.mutate.bases": ("several", 2, SCORING | {"check_interpretation"}),
    "interpret.mutate.start": ("several", 3, SCORING | {"check_interpretation"}, {"regions": None}),
    "interpret.mutate.end": ("several", 9, SCORING | {"check_interpretation"}, {"regions": None}),
    "interpret.mutate.regions": ("several", "more.tsv", SCORING | {"check_interpretation"}),
    "interpret.mutate.letters": ("several", ["A", "C"], SCORING | {"check_interpretation"}),
    "interpret.formats": ("several", [], REPORT),
    "interpret.scale": ("classes", "logit", SCORING),
    "interpret.sample_size": ("regression", 3, SCORING),
    "interpret.shards": ("regression", 3, SCORING),
    "interpret.scorer": ("regression", "naive", SCORING),
    "interpret.precision": ("regression", "bf16", SCORING),
    "interpret.batch_tokens": ("regression", 100, SCORING),
    **{f"tracks.{key}": ("positions", value, BROWSED) for key, value in {"transcripts": "table.bed", "classes": ["1"]}.items()},
    "tracks.formats": ("positions", ["bigwig"], REPORT),  # files that are not there yet are made
    **{
        f"tracks.elements.{key}": ("positions", value, {"find_elements"} | REPORT)
        for key, value in {"threshold": 0.9, "permutations": 49, "min_length": 2}.items()
    },
    "powerlaw.models": ("language", {"other": "given"}, {"compare_spectra", "write_report"}),
    "report.title": ("regression", "Yes!", REPORT),
    "report.profiles": ("regression", 1, REPORT),
    "report.annotations": ("regression", "more.tsv", REPORT | {"check_interpretation", "draw_scores"}),
}


#: Keys whose values are sections that are described elsewhere.
PARTS = {f"source<Parts>.parts.{name}" for name in ("train", "validation", "test")}
WHOLE = {"pretrain.source", "sweep.parameters", *PARTS}


def sections(annotation: object) -> list[type[BaseModel]]:
    """List the sections that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections(part)]


def leaves(section: type[BaseModel] = Config, path: str = "") -> Iterator[str]:
    """Name every key that holds a value; where a section is one of several, the second by its kind."""
    for name, info in section.model_fields.items():
        key = f"{path}.{info.alias or name}".lstrip(".") + (".more" if name in ("inference", "variants") else "")
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


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Let the current folder hold all files that the configurations name."""
    monkeypatch.chdir(tmp_path)
    for name in ("table.tsv", "more.tsv", "a.fa", "b.fa", "signal.bw", "genes.gtf", "table.bed", "regions.bed"):
        (tmp_path / name).write_text(name)
    for name in ("my.py", "other.py"):
        (tmp_path / name).write_text(name)
    (tmp_path / "given").mkdir()
    for name in contract.MODEL:
        (tmp_path / "given" / name).write_text("{}")
    return tmp_path


def described(config: dict) -> dict:
    """Say of each job of an experiment what decides its results, but for code and the results of other jobs."""
    plan, contents = Plan(load(config)), Contents("ledger.json")
    return {
        (rule, *sorted(values.items())): (plan.out, plan.params(rule, values), contents.of(*plan.provided(rule, values)))
        for rule, values in plan.jobs()
    }


#: What further sources go through, by name: less than the experiment's own.
PASSED = {"more": PASSING, "pretraining": {"encode_source"} | PRETRAINING}


def rerun(before: dict, after: dict) -> set[str]:
    """Name the rules of which jobs run again: those that are described otherwise, and all below them."""
    other = [
        (rule, dict(wildcards).get("source"))
        for rule, *wildcards in after
        if after[rule, *wildcards] != before.get((rule, *wildcards))
    ]
    followed = [PASSED[source] if rule == "encode_source" and source in PASSED else below(rule) for rule, source in other]
    return set().union(*followed) & {job[0] for job in after}


def test_every_key_is_declared():
    assert set(KEYS) == set(leaves())


@pytest.mark.parametrize("key", [key for key, row in KEYS.items() if row])
def test_a_changed_key_reruns_the_rules_that_depend_on_it(files, key):
    base, value, rules, *also = KEYS[key]
    before, after = described(BASES[base]), described(changed(BASES[base], key, value, *also))
    assert rerun(before, after) == rules & {job[0] for job in after}


@pytest.mark.parametrize("base", BASES)
def test_what_jobs_are_given_is_plain_and_sorted(files, base):
    plan = Plan(load(BASES[base]))

    def check(value: object) -> None:
        assert value is None or type(value) in (str, int, float, bool, list, dict)
        for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else []:
            check(inner)
        assert not isinstance(value, dict) or list(value) == sorted(value)

    for rule, wildcards in plan.jobs():
        check(plan.params(rule, wildcards))


def test_the_report_shows_modes_in_the_order_of_the_configuration(files):
    plan = Plan(load(changed(BASES["regression"], "interpret.modes", ["replace", "mask"])))
    for query in plan.params("write_report")["queries"]:
        assert [mode for mode, _ in query["scores"]] == ["replace", "mask"]


def test_the_content_of_a_given_model_counts(files):
    before = described(BASES["given"])
    (files / "given/model.safetensors").touch()
    assert described(BASES["given"]) == before
    (files / "given/model.safetensors").write_text("other")
    rules = {"gather_models", *below("predict_source", "score_shard")} - {"evaluate_fold", "summarize_folds"}
    assert rerun(before, described(BASES["given"])) == rules & {job[0] for job in before}


def test_a_wrong_folder_to_compare_is_told_when_the_plan_is_made(files, refusal):
    settings = load(BASES["language"] | {"powerlaw": {"models": {"other": "givn"}}})
    assert refusal(Plan, settings).startswith("powerlaw.models: givn: no such model folder; did you mean 'given'?")


@pytest.mark.parametrize("base", BASES)
def test_pictures_have_names_of_their_own_that_tell_what_they_show(files, base):
    pictures = Plan(load(BASES[base])).pictures()
    assert max(Counter(picture.name for picture in pictures).values()) == 1
    for picture in pictures:
        assert picture.name == contract.picture_name(picture.kind, picture.source, picture.mode)
        assert picture.labels["picture"] == picture.kind.replace("_", " ")
        assert picture.category == contract.PICTURES[picture.kind]


def test_where_there_is_nothing_but_variants_they_are_reported(files):
    plan = Plan(load({key: BASES["several"][key] for key in ("output", "task", "variants")} | {"model": ["given"]}))
    assert plan.targets("report") == ["out/report.html"]
    assert [picture.name for picture in plan.pictures()] == ["effects_more.svg", "letters_more.svg"]
    [cohort] = plan.params("write_report")["cohorts"]
    written = [f"selene/more{end}" for end in ("_diffs.tsv", ".NA", "_diffs.h5", "_row_labels.txt")]
    assert cohort["tables"] == [f"out/variants/more/{name}" for name in ("variants.parquet", "NA.tsv", *written)]


@pytest.mark.parametrize("name", ["source", "more", "a-b_1"])
def test_a_source_is_known_by_the_folder_of_its_results(name):
    assert contract.source_of(contract.place("interpret", name)) == name


@pytest.mark.parametrize(
    ("per", "changes", "problem"),
    [
        ("token", {"variants": BASES["several"]["variants"]}, "variants: given has outputs for each token; expected models of"),
        ("token", {"interpret": {"method": "integrated_gradients"}}, "interpret.method: given has outputs for each token;"),
        ("sequence", {"predict": {"formats": ["npy"]}}, "predict.formats: given has outputs for each sequence, of which there"),
        (
            "token",
            {"predict": {"formats": ["tsv"]}},
            "outputs for each token, of which there is no tsv; expected bedgraph",
        ),
    ],
)
def test_given_models_are_not_asked_what_their_outputs_do_not_tell(files, refusal, per, changes, problem):
    labels = {"task": "regression", "classes": [], "per": per}
    (files / "given" / contract.LABELS).write_text(json.dumps(labels))
    assert problem in refusal(Plan, load(BASES["given"] | changes))


def test_tables_are_not_written_as_vcf(files, refusal):
    config = changed(BASES["several"], "variants.more.formats", ["parquet", "vcf"])
    problem = "variants.more.formats: vcf writes a file again, and more.tsv has no header of VCF; expected VCF or BCF, or"
    assert problem in refusal(Plan, load(config))
    # What a file is called does not matter, nor that a column is missing.
    (files / "more.tsv").write_text("#CHROM\tPOS\tID\tREF\tALT\n")
    assert "out/variants/more/more.vcf.gz" in Plan(load(config)).targets("variants")
    (files / "more.tsv").unlink()
    Plan(load(config))  # that it is gone is told by Snakemake


def test_what_is_written_as_selene_does_is_called_after_the_files_that_are_read(files):
    config = BASES["several"] | {"inference": {"one": {"path": "a.fa"}, "two": {"path": ["a.fa", "b.fa"]}}}
    sample = {"method": "regions", "path": "more.tsv"}
    config["inference"] |= {
        "windows": {"genome": "a.fa", "sample": sample, "length": 9},
        "tiles": {"genome": "a.fa", "sample": {"method": "tiles", "step": 9}, "length": 9},
    }
    found = [name.removeprefix("out/") for name in Plan(load(config)).targets("predict") if "/selene/" in name]
    ends = ("predictions.tsv", "predictions.h5", "row_labels.txt")
    stems = ("predict/selene/table", *(f"predict/{name}/selene/{stem}" for name, stem in (("one", "a"), ("two", "two"))))
    wanted = {f"{stem}_{end}" for stem in (*stems, "predict/tiles/selene/tiles", "predict/windows/selene/more") for end in ends}
    assert set(found) == wanted | {"predict/windows/selene/more.NA"}
    variants = [name.removeprefix("out/variants/more/selene/") for name in Plan(load(config)).targets("variants")]
    assert {"more_diffs.tsv", "more_diffs.h5", "more_row_labels.txt", "more.NA"} <= set(variants)
