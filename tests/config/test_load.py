from pathlib import Path

import pytest
import yaml

from rnalm.config import Config, Fasta, Folds, Table, load

ROOT = Path(__file__).parents[2]
SOURCE = {"path": "table.tsv", "columns": {"id": "id", "sequence": "sequence", "label": "y"}}
MINIMAL = {"output": "results/x", "source": SOURCE}
UNLABELLED = {"path": "table.tsv", "columns": {"id": 1, "sequence": 2}}


def changed(path: str, value: object) -> dict:
    """Give the minimal configuration with one key set, as in ``changed("folds.n", 3)``."""
    result = dict(MINIMAL)
    *sections, key = path.split(".")
    section = result
    for name in sections:
        section[name] = dict(section.get(name, {}))
        section = section[name]
    section[key] = value
    return result


@pytest.mark.parametrize(
    "spelled", ["out/", "./out", "out/.", "other/../out", "$PLACE", "~/out", "//home//me/out", "/home/me/out"]
)
def test_a_folder_has_one_spelling(spelled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACE", "./out")
    monkeypatch.setenv("HOME", "/home/me")
    folder = "/home/me/out" if "~" in spelled or "home" in spelled else "out"
    assert load.load(MINIMAL | {"output": spelled}).output == folder


def test_dots_behind_a_link_lead_where_the_link_leads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/away")
    assert load.load(MINIMAL | {"output": "link//../out/"}).output == "link/../out"


def test_results_may_lie_in_the_folder_of_today(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load.load(MINIMAL | {"output": "."}).output == str(tmp_path)


@pytest.mark.parametrize("file", sorted((ROOT / "config").rglob("*.yaml")), ids=lambda file: file.name)
def test_the_configurations_that_come_along_are_valid(file):
    assert isinstance(load.load(yaml.safe_load(file.read_text(encoding="utf-8"))), Config)


def test_classes_may_be_called_by_numbers():
    loaded = load.load({"output": "o", "task": "classification", "source": {"classes": {0: "a.fa", 1: ["b.fa", "c.fa"]}}})
    assert loaded.source.classes == {"0": ["a.fa"], "1": ["b.fa", "c.fa"]}


def test_groups_are_kept_of_sequences_to_pretrain_on():
    table = Table(path="t.tsv", columns={"id": 1, "sequence": 2, "label": 3, "group": 4})
    assert (table.of_sequences().columns.group, table.of_sequences(grouped=True).columns.group) == (None, 4)
    assert table.of_sequences(grouped=True).columns.label is None
    told = {"path": "t.tsv", "columns": {"id": "id", "label": "y", "group": "gene"}}
    fasta = Fasta(path="a.fa", attributes=told)
    assert fasta.of_sequences().attributes is None
    kept = fasta.of_sequences(grouped=True).attributes.columns
    assert (kept.group, kept.label) == ("gene", None)


def test_output_and_source_are_enough():
    loaded = load.load(MINIMAL)
    assert loaded.trains
    assert loaded.seed == 1
    assert loaded.task == "regression"
    assert loaded.folds.count == 1
    assert loaded.labels.quality == {"STRONG": 1.0, "GOOD": 0.75, "WEAK": 0.5, "POOR": 0.25}


def test_the_configuration_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        load.load(MINIMAL).seed = 2


@pytest.mark.parametrize("trained", ["models/one", ["models/one", "models/two"], {"folders": ["models/one"], "trust": True}])
def test_a_trained_model_is_a_path_or_a_list_of_paths_and_needs_no_labels(trained):
    loaded = load.load({"output": "o", "model": trained, "source": UNLABELLED})
    assert not loaded.trains
    given = trained if isinstance(trained, dict) else {"folders": [trained] if isinstance(trained, str) else trained}
    assert loaded.model.model_dump() == {"trust": False} | given


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "ids", "strands": "mean"}, "model.strands: the other strand of ids is not known; expected none, or"),
        ({"by_order": True}, "model.by_order: how weights are matched; expected weights"),
        ({"class": None}, "model.class: "),
        ({"klass": "Tiny"}, "unknown key 'model.klass'; did you mean 'class'?"),
    ],
)
def test_what_a_network_of_ones_own_cannot_have_is_refused(refusal, changes, message):
    own = {"name": "file", "path": "my.py", "class": "Tiny"} | changes
    assert message in refusal(load.load, MINIMAL | {"model": own})


def test_a_trained_model_with_inference_needs_no_source():
    assert load.load({"output": "o", "model": "m", "inference": {"new": UNLABELLED}}).source is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 9}, "finetune.report_every is missing: after how many of max_steps to validate"),
        ({"report_every": 9}, "report_every is for trainings that are measured in steps; expected max_steps beside it"),
        ({"max_steps": 9, "report_every": 3, "epochs": 4}, "max_steps and epochs both say how long to train"),
        ({"max_steps": 9, "report_every": 3, "extra_epochs": 4}, "max_steps and extra_epochs both say how long to train"),
        ({"max_steps": 9, "report_every": 2}, "max_steps: expected a multiple of report_every (2), found 9"),
        ({"max_steps": 8, "report_every": 4, "save_every": 3}, "save_every: expected a divisor of report_every (4), found 3"),
    ],
)
def test_steps_that_do_not_fit_together_are_refused(refusal, options, message):
    assert message in refusal(load.load, MINIMAL | {"finetune": options})


def test_a_sweep_compares_epochs_not_steps(refusal):
    searched = {"sweep": {"parameters": {"finetune.learning_rate": {"values": [0.1, 0.2]}}}}
    message = refusal(load.load, MINIMAL | searched | {"finetune": {"max_steps": 8, "report_every": 4}})
    assert message.endswith("sweep: trials are measured in epochs; expected finetune.epochs rather than max_steps")


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("column_sep", "\\t", "\t"),
        ("column_sep", "\t", "\t"),
        ("token_sep", "\\t|", "\t|"),
        ("token_sep", "", None),
        ("token_sep", False, None),
        ("token_sep", None, None),
        ("modifier_sep", "", None),
    ],
)
def test_separators_are_read_as_people_write_them(key, value, read):
    assert getattr(Table(**SOURCE, **{key: value}), key) == read


@pytest.mark.parametrize(
    ("options", "count", "tested"),
    [
        ({}, 1, True),
        ({"n": 4}, 4, True),
        ({"ratio": [80, 20]}, 1, False),
        ({"method": "kfold", "n": 5}, 5, True),
        ({"method": "rotate", "n": 5}, 5, True),
        ({"method": "rotate", "splits": ["a", "b", 3, "d"]}, 4, True),
        ({"method": "column", "validation": ["a"], "test": ["b"]}, 1, True),
        ({"method": "column", "validation": ["a", "b"]}, 1, False),
        ({"method": "column", "validation": [["a"], ["b"], ["c"]], "test": [["b"], ["c"], ["a"]]}, 3, True),
        ({"method": "column", "validation": [["a"], ["b"]]}, 2, False),
    ],
)
def test_the_number_of_folds_and_whether_they_test_are_known_beforehand(options, count, tested):
    options = Folds(**options)
    assert (options.count, options.tested) == (count, tested)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        # unknown and missing keys
        ({"output": "o"}, "source is missing: the sequences to work on"),
        ({"source": SOURCE}, "key 'output' is missing"),
        (
            {"output": "o", "source": {"path": "x"}},
            "key 'source.columns' is missing: a table needs it; if it is FASTA, path: [FILE] says so",
        ),
        (changed("source.columns", {"id": 1, "label": 3}), "key 'source.columns.sequence' is missing"),
        (changed("finetune.betas", "0.9"), "finetune.betas: found '0.9'; input should be a valid tuple"),
        # wrong values
        (changed("finetune.epochs", 0), "finetune.epochs: found 0; input should be greater than or equal to 1"),
        (
            changed("interpret.modes", ["delete"]),
            "interpret.modes.0: found 'delete'; valid: remove, mask, replace, mutate",
        ),
        (changed("labels.quality", {"A": -1}), "labels.quality.A: found -1; input should be greater than or equal to 0"),
        (
            changed("interpret", {"method": "integrated_gradients", "level": "base"}),
            "interpret.level is for method loo, found method ['integrated_gradients']",
        ),
        (
            {**MINIMAL, "model": {"wide": True}, "interpret": {"method": ["loo", "integrated_gradients"]}},
            "interpret.method: integrated_gradients: model.wide counts runs of letters, which have no gradient; expected loo",
        ),
        (
            {**MINIMAL, "model": {"name": "frames", "wide": True}, "labels": {"per": "token"}},
            "model.wide: runs of letters are counted in whole sequences; expected labels.per: sequence",
        ),
        (
            {**MINIMAL, "model": {"folders": ["there"], "wide": True}},
            "unknown key 'model.wide'; valid: folders, trust",
        ),
        (
            changed("interpret", {"modes": ["mask"], "steps": 100}),
            "interpret.steps is for method integrated_gradients, found method ['loo']",
        ),
        (
            {**MINIMAL, "model": {"name": "hf", "type": "bert"}, "interpret": {"scorer": "incremental"}},
            "interpret.scorer: incremental is for local architectures (saluki for labels.per: sequence), found model.name: hf; "
            "expected naive or auto",
        ),
        (changed("seed", -1), "seed: found -1; input should be greater than or equal to 0"),
        # values that do not go together
        (changed("folds.ratio", [70, 20]), "folds.ratio must sum to 100, found [70, 20], which sum to 90"),
        (
            changed("folds.method", "kfold"),
            "folds.n must be at least 3 for kfold (train, validation and test differ), found 1",
        ),
        (
            changed("folds.validation_percent", 10),
            "folds.validation_percent is for kfold, found method ratio",
        ),
        (
            changed("folds", {"method": "rotate", "splits": ["a", "b"]}),
            "folds.splits must be at least 3 for rotate (train, validation and test differ), found 2",
        ),
        (
            changed("folds", {"method": "column"}),
            "folds.validation (and test) must be lists of split names, or both lists of such lists",
        ),
        (
            changed("folds", {"method": "column", "validation": [["a"]], "test": ["b"]}),
            "folds.validation (and test) must be lists of split names, or both lists of such lists",
        ),
        (
            changed("folds", {"method": "column", "validation": [["a"], ["b"]], "test": [["b"]]}),
            "folds.validation has 2 lists, test has 1; one a fold each",
        ),
        (
            changed("folds", {"method": "rotate", "n": 3}),
            "source.columns.split is missing: folds.method rotate reads splits from a column",
        ),
        (
            changed("source.modifier_sep", "#"),
            "source.modifier_sep needs token_sep: in a contiguous sequence no token can carry a modifier",
        ),
        (
            changed("source.header", False),
            "source.columns.id is the name 'id', but without a header give a 1-based position",
        ),
        ({"output": "o", "source": UNLABELLED}, "source.columns.label is missing: training needs labels"),
        (
            changed("interpret.modes", ["replace"]),
            "interpret.replacements (or replace_modifiers) must be set for mode replace, as in {a: [c, g, t]}",
        ),
        (changed("inference", {"source": UNLABELLED}), "inference.source: the name 'source' is taken; choose another"),
        (
            changed("labels.positive_weights", {"a": 2}),
            "labels.positive_weights is for task: multilabel, found task: regression",
        ),
        (changed("labels.class_weights", True), "labels.class_weights is for task: classification, found task: regression"),
        (
            changed("interpret.precision", "tf32") | {"finetune": {"gpus": 0}},
            "interpret.precision: tf32 needs a GPU, found finetune.gpus: 0; expected float32 or bf16",
        ),
        (changed("interpret.explain", "all"), "interpret.explain is for classes, or several targets; found one number"),
        (
            changed("labels.scaling", "log") | {"task": "classification"},
            "labels.scaling is for task: regression, found task: classification",
        ),
        (
            changed("source.columns.weight", "w") | {"task": "classification"},
            "source: weights are for task: regression, found task: classification",
        ),
        (
            changed("finetune.metric", "f1_macro"),
            "finetune.metric: 'f1_macro' is no metric of regression; valid: loss, mse, mae, r2, pearson, spearman",
        ),
        (
            changed("finetune.metric", "pearsonr"),
            "finetune.metric: 'pearsonr' is no metric of regression; did you mean 'pearson'? "
            "(valid: loss, mse, mae, r2, pearson, spearman)",
        ),
    ],
)
def test_a_mistake_is_told_with_its_key_what_was_found_and_what_was_expected(refusal, settings, problem):
    assert refusal(load.load, settings, "my.yaml") == f"my.yaml: {problem}"


@pytest.mark.parametrize(
    ("settings", "key", "suggestion"),
    [
        (MINIMAL | {"outptu": "o"}, "outptu", "output"),
        (changed("finetune.epoch", 3), "finetune.epoch", "epochs"),
        (changed("source.colums", {}), "source.colums", "columns"),
        (changed("source.columns.lable", "y"), "source.columns.lable", "label"),
        (changed("tokenizer.source", SOURCE | {"quotes": "'"}), "tokenizer.source.quotes", "quote"),
        (changed("inference.new", UNLABELLED | {"heeder": True}), "inference.new.heeder", "header"),
        (
            changed("inference.new", {"path": "x", "columns": {"id": 1, "sequence": 2, "labels": 3}}),
            "inference.new.columns.labels",
            "label",
        ),
        (changed("inference.saluki", UNLABELLED | {"heeder": True}), "inference.saluki.heeder", "header"),
        (changed("model.filter", 32), "model.filter", "filters"),
    ],
)
def test_an_unknown_key_gets_the_nearest_valid_one(refusal, settings, key, suggestion):
    message = refusal(load.load, settings)
    assert f"unknown key '{key}'; did you mean '{suggestion}'? (valid: " in message


def test_further_mistakes_are_counted(refusal):
    message = refusal(load.load, MINIMAL | {"seed": -1, "encode": {"block_size": 0}})
    assert message.endswith(" (and 1 more)")


@pytest.mark.parametrize(
    ("settings", "key", "found"),
    [
        (changed("source.columns.id", 0), "source.columns.id", "0"),
        (changed("source.columns.label", [3]) | {"task": "classification"}, "source.columns.label", "['3']"),
        (changed("folds.validation", "val"), "folds.validation", "'val'"),
        (changed("folds.splits", [1.5]), "folds.splits.0", "1.5"),
        (changed("inference", {"a b": UNLABELLED}), "inference.a b", "'a b'"),
    ],
)
def test_the_key_in_a_message_is_the_key_in_the_file(refusal, settings, key, found):
    assert refusal(load.load, settings).startswith(f"config: {key}: found {found}; ")


@pytest.mark.parametrize("settings", [None, "text", [1]])
def test_a_configuration_that_is_no_mapping_is_refused(refusal, settings):
    assert refusal(load.load, settings).startswith("config: ")


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("interpret.modes", ["mask", "mask"], "interpret.modes must differ from each other, found ['mask', 'mask']"),
        ("interpret.replace_modifiers", True, "interpret.replace_modifiers is for mode replace, which is not among modes"),
        (
            "interpret.replacements",
            {"A": ["C"]},
            "interpret.replacements is for mode replace, which is not among modes",
        ),
        ("interpret.scale", "logit", "interpret.scale is for task: classification, found task: regression"),
        ("source.token_sep", "\t", "source.column_sep, token_sep, modifier_sep and quote must differ from each other"),
        ("source.columns.label", True, "source.columns.label: found True, which is how YAML reads yes, no, on and off; put"),
        ("finetune.batch_size", 1, "finetune.batch_size: found 1; input should be greater than or equal to 2"),
        ("finetune.betas", [0.9], "key 'finetune.betas.1' is missing"),
        ("finetune.betas", [0.9, 1.5], "finetune.betas.1: found 1.5; input should be less than 1"),
        ("finetune.learning_rate", float("inf"), "finetune.learning_rate: found inf; input should be a finite number"),
        ("output", "results/{x}", "output: found 'results/{x}'; "),
        (
            "output",
            "s3://bucket/x",
            "output: found 's3://bucket/x'; expected a folder of this machine, in whose name is no ':'",
        ),
        ("output", "a:b", "output: found 'a:b'; expected a folder of this machine, in whose name is no ':' and no line break"),
        ("output", "$NOWHERE/x", "output: found '$NOWHERE/x'; expected variables that are set, and no other $"),
        ("output", "~nobody-at-all/x", "output: found '~nobody-at-all/x'; there is no such user; expected ~ alone"),
        ("output", "//", "output: found '//'; expected a folder for the experiment alone"),
    ],
)
def test_what_would_be_ignored_or_fail_later_is_refused(refusal, path, value, problem):
    assert refusal(load.load, changed(path, value)).startswith(f"config: {problem}")
