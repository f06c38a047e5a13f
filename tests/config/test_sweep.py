"""A sweep as our users, and those of W&B, write it."""

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rnalm.config import Finetune, HuggingFace, Saluki
from rnalm.config.load import load
from rnalm.config.parameter import Parameter
from rnalm.config.sweep import OptionalSweep, Sweep, merge

#: As the tutorial of genomeNLP prints it.
TUTORIAL = """
    {
      "method": "random",
      "name": "sweep",
      "metric": {
        "goal": "maximize",
        "name": "eval/f1"
      },
      "parameters": {
        "batch_size": {"values": [5, 10, 15]},
        "epochs": {"values": [1, 2, 3, 4, 5]},
        "learning_rate": {"max": 0.1, "min": 0.0001}
      }
    }
"""


def read(given) -> Sweep | None:
    return TypeAdapter(OptionalSweep).validate_python(given)


def resolve(parameters: dict | None = None, task="regression", model=None, finetune=None, **settings) -> Sweep:
    sweep = Sweep(parameters=parameters or {"finetune.epochs": {"values": [1, 2]}}, **settings)
    return sweep.resolve(task, model or Saluki(), finetune or Finetune())


def problem(function, *arguments, **settings) -> str:
    """Give the first message of a refusal, with the place where it is about a section."""
    with pytest.raises(ValueError) as caught:
        function(*arguments, **settings)
    if not isinstance(caught.value, ValidationError):
        return str(caught.value)
    first = caught.value.errors()[0]
    return ".".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])


@pytest.mark.parametrize("how", ["inline", "sweep.json", "sweep.yaml"])
def test_the_sweep_of_the_tutorial_is_read_as_it_is_printed(how, tmp_path):
    if how == "inline":
        found = read(json.loads(TUTORIAL))
    else:
        (tmp_path / how).write_text(TUTORIAL)
        found = read(str(tmp_path / how))
    assert found.method == "random"
    whole = found.resolve("classification", Saluki(), Finetune())
    assert (whole.metric, whole.goal) == ("f1_weighted", "maximize")
    assert list(whole.parameters) == ["finetune.batch_size", "finetune.epochs", "finetune.learning_rate"]
    assert whole.parameters["finetune.batch_size"].values == [5, 10, 15]
    assert whole.parameters["finetune.epochs"].values == [1, 2, 3, 4, 5]
    rate = whole.parameters["finetune.learning_rate"]
    assert (rate.min, rate.max, rate.step, rate.log, rate.integer) == (0.0001, 0.1, None, False, False)
    assert whole.count == 20


def test_there_need_not_be_a_sweep():
    assert read(None) is None


def test_what_is_resolved_stays_as_it_is_also_as_plain_values():
    whole = resolve(
        {"lr": {"min": 1e-5, "max": 1e-2, "log": True}, "layers": {"min": 1, "max": 3}, "patience": {"values": [None, 5]}}
    )
    again = Sweep(**json.loads(json.dumps(whole.model_dump(mode="json"))))
    assert again == whole
    assert again.resolve("regression", Saluki(), Finetune()) == whole


# Words of W&B


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"value": 3}, {"values": [3]}),
        ({"value": 3, "distribution": "constant"}, {"values": [3]}),
        ({"values": ["1e-4", "1E-3", "a"]}, {"values": [1e-4, 1e-3, "a"]}),
        ({"values": [1, 2], "distribution": "categorical"}, {"values": [1, 2]}),
        ({"min": 1, "max": 5, "distribution": "int_uniform"}, {"min": 1, "max": 5}),
        ({"min": 1.0, "max": 5.0, "distribution": "int_uniform"}, {"min": 1, "max": 5}),
        ({"min": 1, "max": 5, "distribution": "uniform"}, {"min": 1.0, "max": 5.0}),
        ({"min": "1e-4", "max": 1, "distribution": "uniform"}, {"min": 1e-4, "max": 1.0}),
        ({"min": 1, "max": 9, "distribution": "q_uniform", "q": 2}, {"min": 1, "max": 9, "step": 2}),
        ({"min": 1, "max": 9, "distribution": "q_uniform"}, {"min": 1, "max": 9, "step": 1}),
        ({"min": 1, "max": 9, "distribution": "log_uniform_values"}, {"min": 1.0, "max": 9.0, "log": True}),
    ],
)
def test_what_wandb_calls_otherwise_is_the_same(written, meant):
    assert Parameter(**written) == Parameter(**meant)
    assert Parameter(**written).integer == Parameter(**meant).integer


@pytest.mark.parametrize("name", ["eval/f1", "eval_f1", "f1", "eval/f1_weighted", "f1_weighted", "val_f1"])
def test_a_metric_goes_by_several_names(name):
    assert resolve(task="classification", metric=name).metric == "f1_weighted"


def test_metric_and_goal_are_those_of_the_training_unless_told():
    whole = resolve(finetune=Finetune(metric="pearson"))
    assert (whole.metric, whole.goal) == ("pearson", "maximize")
    assert (resolve().metric, resolve().goal) == ("loss", "minimize")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("learning_rate", "finetune.learning_rate"),
        ("lr", "finetune.learning_rate"),
        ("batch_size", "finetune.batch_size"),
        ("per_device_train_batch_size", "finetune.batch_size"),
        ("epochs", "finetune.epochs"),
        ("num_train_epochs", "finetune.epochs"),
        ("weight_decay", "finetune.weight_decay"),
        ("finetune.patience", "finetune.patience"),
        ("layers", "model.layers"),
        ("model.filters", "model.filters"),
    ],
)
def test_a_key_goes_by_its_last_part_and_by_the_name_in_transformers(name, key):
    assert list(resolve({name: {"values": [1]}} if "batch" not in name else {name: {"values": [2]}}).parameters) == [key]


def test_any_key_of_the_configuration_of_a_transformer_can_be_tried():
    model = HuggingFace(name="hf", type="distilbert")
    assert list(resolve({"model.config.dim": {"values": [8, 16]}}, model=model).parameters) == ["model.config.dim"]


def test_an_entry_below_one_that_is_at_its_default_can_be_tried():
    key, model = "model.config.rope_parameters.rope_theta", HuggingFace(name="hf", type="llama")
    assert list(resolve({key: {"values": [1000.0, 10000.0]}}, model=model).parameters) == [key]
    for config in ({}, {"rope_parameters": None}):
        merged, _ = merge(model.model_dump() | {"config": config}, {}, {key: 1000.0})
        assert merged["config"] == {"rope_parameters": {"rope_theta": 1000.0}}


def test_run_cap_and_labels():
    found = read({"run_cap": 7, "project": "p", "entity": "e", "parameters": {"lr": {"min": 0.1, "max": 1}}})
    assert found.count == 7


# How many trials, and of what


def test_a_grid_has_all_combinations_unless_told():
    parameters = {"layers": {"min": 1, "max": 3}, "lr": {"values": [0.1, 0.2]}, "dropout": {"min": 0, "max": 0.3, "step": 0.1}}
    assert resolve(parameters, method="grid").count == 3 * 2 * 4
    assert resolve(parameters, method="grid", trials=5).count == 5
    assert resolve(parameters, method="grid", trials=500).count == 3 * 2 * 4
    assert resolve(parameters, method="random").count == 20
    assert resolve(parameters, method="bayes", trials=5).count == 5


@given(low=st.integers(-(10**4), 10**4), step=st.integers(1, 500), steps=st.integers(1, 40), digits=st.integers(0, 6))
def test_the_values_of_a_range_are_what_one_would_write(low, step, steps, digits):
    written = [Decimal(low + place * step).scaleb(-digits) for place in range(steps + 1)]
    low, high, step = map(float, (written[0], written[-1], Decimal(step).scaleb(-digits)))
    for end in (high, high + step / 2):
        parameter = Parameter(min=low, max=end, step=step)
        assert parameter.size == steps + 1
        assert list(map(repr, parameter.listed())) == [repr(float(str(value))) for value in written]


def test_a_long_range_of_integers_is_not_listed_to_be_counted():
    parameter = Parameter(min=1, max=10**30)
    assert (parameter.size, parameter.at(10**20), parameter.probes()) == (10**30, 10**20 + 1, [1, 2, 10**30])


def test_integers_at_both_ends_make_a_range_of_integers():
    assert Parameter(min=1, max=5).listed() == [1, 2, 3, 4, 5]
    assert Parameter(min=1, max=6, step=2).listed() == [1, 3, 5]
    assert Parameter(min=1, max=5.5).size is None
    assert Parameter(min=0, max=1, step=0.5).listed() == [0, 0.5, 1]


# Mistakes


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"lerning_rate": [1]}, "lerning_rate: no key of a model or its training to try; did you mean 'learning_rate'?"),
        ({"finetune.epoch": [1]}, "finetune.epoch: no key of a model or its training to try; did you mean 'finetune.epochs'?"),
        ({"finetune.gpus": [1]}, "finetune.gpus: no key of a model or its training to try; "),
        ({"model.config.dim": [1]}, "model.config.dim: no key of a model or its training to try; "),
        ({"lr": [1], "learning_rate": [2]}, "learning_rate: finetune.learning_rate is there twice"),
        ({"batch_size": [4, 1]}, "batch_size: found 1; input should be greater than or equal to 2"),
        ({"scheduler": ["linear", "cosin"]}, "scheduler: found 'cosin'; input should be 'constant', 'linear' or 'cosine'"),
    ],
)
def test_keys_and_values_that_cannot_be_tried_are_refused(parameters, message):
    listed = {key: {"values": values} for key, values in parameters.items()}
    assert problem(resolve, listed).startswith(f"sweep.parameters.{message}")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dropout": {"min": 0.5, "max": 1.0}}, "dropout: found 1.0; input should be less than 1"),
        ({"dropout": {"min": 0, "max": 1.1, "step": 0.5}}, "dropout: found 1.0; input should be less than 1"),
        ({"layers": {"min": 1.0, "max": 3.0}}, "layers: found 1.63"),
        ({"layers": {"min": 1, "max": 3, "step": 0.5}}, "layers: found 1.5; input should be a valid integer"),
        ({"filters": {"min": 0, "max": 3}}, "filters: found 0; input should be greater than or equal to 1"),
    ],
)
def test_ranges_that_hold_what_cannot_be_tried_are_refused(parameters, message):
    assert problem(resolve, parameters).startswith(f"sweep.parameters.{message}")


def test_a_range_may_have_an_end_that_no_step_reaches():
    assert resolve({"dropout": {"min": 0, "max": 1, "step": 0.3}}, method="grid").count == 4


def test_below_an_entry_that_is_a_number_there_are_no_keys():
    model = HuggingFace(name="hf", type="bert", config={"hidden_size": 64})
    found = problem(resolve, {"model.config.hidden_size.width": {"values": [8]}}, model=model)
    key = "model.config.hidden_size"
    assert found == f"sweep.parameters.{key}.width: found 8; {key} is 64, below which there are no keys"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "eval/f1"}, "metric: 'eval/f1' is no metric of regression; valid: loss, mse, mae, r2, pearson, spearman"),
        ({"metric": "pearsn"}, "metric: 'pearsn' is no metric of regression; did you mean 'pearson'? (valid: "),
        ({"metric": "mse", "goal": "maximize"}, "goal: expected minimize, which is better for mse, found maximize"),
        ({"metric": {"name": "r2", "goal": "minimize"}}, "goal: expected maximize, which is better for r2, found minimize"),
        ({"epochs": 3}, "epochs cannot stand beside parameters.finetune.epochs"),
    ],
)
def test_metrics_and_goals_that_do_not_fit_are_refused(settings, message):
    assert problem(resolve, **settings).startswith(f"sweep.{message}")


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ({}, "values is missing, or min and max"),
        ({"value": None}, "values is missing, or min and max"),
        ({"min": 1}, "values is missing, or min and max"),
        ({"min": 0.1, "max": 0.01}, "min must be less than max, found 0.1 and 0.01"),
        ({"min": 0, "max": 1.0, "log": True}, "log needs a min above 0 and no step, found min 0"),
        ({"min": 1, "max": 8, "log": True, "step": 2}, "log needs a min above 0 and no step, found step 2"),
        ({"values": [1], "max": 3}, "values cannot stand beside min, max, step and log"),
        ({"values": [1, 1]}, "values must differ from each other, found [1, 1]"),
        ({"values": [date(2024, 1, 2)]}, "values: found 2024-01-02; expected numbers, text, true, false, null, or lists of"),
        ({"values": [[1, {2}]]}, "values: found [1, {2}]; expected numbers, text, true, false, null, or lists of these; put"),
        ({"min": 0, "max": 1, "step": 1e-9}, "steps of 1e-09 from 0 to 1 are too fine to be counted exactly; round these"),
        ({"min": 100, "max": 101, "step": 0.3333333333333333}, "steps of 0.3333333333333333 from 100 to 101 are too fine to"),
        ({"value": 1, "values": [1]}, "value and values say the same; expected one of them"),
        ({"min": 0, "max": 1, "distribution": "normal"}, "distribution: 'normal' is not supported; expected one of constant, "),
        ({"min": -9, "max": 0, "distribution": "log_uniform"}, "distribution: 'log_uniform' is not supported; expected one of"),
        ({"min": 0, "distribution": "uniform"}, "max is missing, which distribution uniform needs"),
        ({"min": 0.5, "max": 3, "distribution": "int_uniform"}, "min must be an integer for distribution int_uniform, found"),
    ],
)
def test_values_that_make_no_sense_are_refused(parameter, message):
    assert problem(Sweep, parameters={"lr": parameter}).startswith(f"parameters.lr.{message}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "grid", "parameters": {"lr": {"min": 0.1, "max": 1}}}, "parameters.lr: a grid needs values, or a step"),
        (
            {"method": "grid", "parameters": {"epochs": {"min": 1, "max": 10**12}}},
            "parameters: a grid of 1,000,000,000,000 combinations; expected 100,000 at most",
        ),
        ({"metric": {"name": "loss", "target": 1}, "parameters": {}}, "metric.target is not supported; valid: name, goal"),
        ({"parameters": {}}, "parameters.Dictionary should have at least 1 item"),
        ({"method": "grd", "parameters": {"lr": {"value": 1}}}, "method.Input should be 'grid', 'random' or 'bayes'"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(settings, message):
    assert problem(Sweep, **settings).startswith(message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.json", None, "{path}: no such file"),
        ("s.yaml", None, "{path}: no such file"),
        ("s.json", "{", "{path}: cannot be read as JSON ("),
        ("s.yaml", "a: [", "{path}: cannot be read as YAML ("),
        ("s.yaml", "- 1", "{path}: expected keys and values"),
        (
            "s.yaml",
            "parameters: {lr: {values: [2024-01-02]}}",
            "{path}: line 1: parameters.lr.values.0: found 2024-01-02, which",
        ),
        (
            "s.yaml",
            "parameters: {lr: {value: 1}, lr: {value: 2}}",
            "{path}: key 'parameters.lr' stands twice, in lines 1 and 1",
        ),
        ("s.json", '{"method": "grid", "method": "random"}', "{path}: key 'method' stands twice, in lines 1 and 1"),
        ("s.yaml", "method: grid", "{path}: key 'parameters' is missing"),
        ("s.yaml", "parameter: {}", "{path}: key 'parameters' is missing"),
        ("s.yaml", "parameters: {lr: {value: 1}}\nworker: 3", "{path}: unknown key 'worker'; did you mean 'workers'?"),
        ("s.yaml", "parameters: {lr: {mim: 1, max: 2}}", "{path}: unknown key 'parameters.lr.mim'; did you mean 'min'?"),
        ("s.yaml", "parameters: {lr: {min: 3, max: 2}}", "{path}: parameters.lr.min must be less than max, found 3 and 2"),
        ("s.yaml", "method: grd\nparameters: {lr: {value: 1}}", "{path}: method: found 'grd'; input should be 'grid'"),
    ],
)
def test_mistakes_in_a_file_name_it(name, content, message, tmp_path, refusal):
    if content is not None:
        (tmp_path / name).write_text(content)
    assert refusal(read, str(tmp_path / name)).startswith(message.format(path=tmp_path / name))


@pytest.mark.parametrize("name", ["folder", "folder.json"])
def test_a_folder_is_no_file_with_a_sweep(name, tmp_path, refusal):
    (tmp_path / name).mkdir()
    message = f"{tmp_path / name}: cannot be read (Is a directory); expected a JSON or YAML file"
    assert refusal(read, str(tmp_path / name)) == message


# Beside a pretraining


def configuration(key: str, **settings) -> dict:
    source = {"path": "table.csv", "columns": {"id": 1, "sequence": 2, "label": 3}}
    model = {"name": "hf", "type": "bert", "config": {"hidden_size": 64}}
    sweep = {"parameters": {key: {"values": ["distilbert"] if key == "type" else [0.1, 0.2]}}}
    return {"output": "o", "source": source, "model": model, "sweep": sweep, "pretrain": {}} | settings


@pytest.mark.parametrize("key", ["type", "model.config.hidden_size", "model.config.layer_norm_eps", "model.config.drops.width"])
def test_what_pretrained_weights_fix_cannot_be_tried(key, refusal):
    reason = "trials start from the weights of pretrain, which fix all of a model but its dropout"
    advice = "set finetune.from_scratch: true, or sweep over keys of finetune"
    name = "model.type" if key == "type" else key
    assert refusal(load, configuration(key)) == f"config: sweep.parameters.{name}: {reason}; {advice}"
    if key != "type":
        load(configuration(key, finetune={"from_scratch": True}))
        load(configuration(key, pretrain=None))


@pytest.mark.parametrize("key", ["model.name", "model.pretrained"])
def test_which_model_is_pretrained_cannot_be_tried(key, refusal):
    assert refusal(load, configuration(key)).startswith(f"config: sweep.parameters.{key}: no key of a model or its training to")


@pytest.mark.parametrize("key", ["lr", "model.config.hidden_dropout_prob", "model.config.attn_pdrop", "model.config.layerdrop"])
def test_training_and_dropout_can_be_tried_with_pretrained_weights(key):
    load(configuration(key))


# Into the sections of a training


def test_values_are_set_where_their_keys_say():
    model = HuggingFace(name="hf", type="distilbert", config={"dim": 8, "n_heads": 2}).model_dump()
    options = Finetune().model_dump(mode="json", exclude={"gpus", "replicates"})
    values = {"finetune.learning_rate": 1, "finetune.patience": None, "model.config.dim": 16, "model.config.n_layers": 1}
    merged, trained = merge(model, options, values)
    assert merged["config"] == {"dim": 16, "n_heads": 2, "n_layers": 1}
    assert trained == options | {"learning_rate": 1.0, "patience": None}
    assert model["config"] == {"dim": 8, "n_heads": 2}


def test_without_values_nothing_changes():
    model, options = Saluki().model_dump(mode="json"), Finetune().model_dump(mode="json", exclude={"gpus"})
    assert merge(model, options, {}) == (model, options)
