"""Networks with a linear part are trained from it, and never kept if they got worse."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from interruption import killed_before, results
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from rnalm.config import Dilated, Finetune, Frames, HuggingFace, OwnModel, Performer, Saluki, contract
from rnalm.config.sweep import Sweep
from rnalm.models import registry
from rnalm.models.baseline import Baseline
from rnalm.models.wide import is_wide
from rnalm.prediction import evaluate
from rnalm.prediction.predict import predict
from rnalm.training import finetune, fold, processes
from rnalm.training.baseline import fit
from rnalm.training.checkpoints import Checkpoints
from rnalm.training.sweep import best
from rnalm.training.sweep.search import run_trials

TINY = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16, "max_position_embeddings": 32}
MODELS = {
    "saluki": Saluki(filters=4, layers=1, kernel_size=3, wide=True),
    "frames": Frames(name="frames", width=8, layers=1, wide=True),
    "dilated": Dilated(name="dilated", width=8, dilations=[1], wide=True),
    "performer": Performer(name="performer", width=8, layers=1, heads=2, local_heads=1, head_size=2, wide=True),
    "hf": HuggingFace(name="hf", type="distilbert", config=TINY, wide=True),
}
NETWORK = """
from torch import nn

class Net(nn.Module):
    def __init__(self, outputs=1, above=False):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(4, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
        self.last, self.above = nn.Linear(6, outputs), nn.Softplus() if above else nn.Identity()

    def forward(self, x):
        return self.above(self.last(self.body(x)))
"""


def own(folder: Path, **options) -> OwnModel:
    (folder / "net.py").write_text(NETWORK)
    return OwnModel(name="file", path=str(folder / "net.py"), **{"class": "Net", "wide": True} | options)


def of_linear(job: finetune.Job, folder: Path) -> finetune.Job:
    """Give the job that trains a model which does not get better: its network takes steps that are far too long."""
    return dataclasses.replace(job, output=str(folder), options=job.options | {"learning_rate": 30.0})


def outputs(model, data) -> np.ndarray:
    return np.asarray(predict(model, data.validation.sequences, 2**12, data.meaning))


@pytest.fixture(scope="module")
def job(prepare, tmp_path_factory) -> finetune.Job:
    return prepare(tmp_path_factory.mktemp("wide"), fields={"model": MODELS["saluki"].model_dump()})


@pytest.fixture(scope="module")
def trained(job) -> finetune.Job:
    finetune.finetune(job)
    return job


@pytest.mark.parametrize("name", [*MODELS, "file"])
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_every_architecture_begins_as_the_linear_model_that_the_baseline_tried(prepare, tmp_path, name, task):
    if name == "file":
        more = {"outputs": 2} if task == "classification" else {}
        model = own(tmp_path, args=more, outputs="logits" if more else None)
    else:
        model = MODELS[name]
    job = prepare(tmp_path, task=task, fields={"model": model.model_dump()})
    data = fold.load(job)
    made = finetune.new_model(job, data)
    assert is_wide(made)
    tried = fit.Material.of(job, data)
    best = min(tried.linear(), key=lambda one: one.loss)
    expected = Baseline(tried.counted, data.meaning, False, best.parts)(list(data.validation.sequences))
    found = outputs(made, data)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    made.save_pretrained(tmp_path / "saved")
    shutil.copy(job.tokenizer, tmp_path / "saved/tokenizer.json")
    data.meaning.save(tmp_path / "saved" / contract.LABELS)
    again = registry.load(tmp_path / "saved", trust=True)
    assert type(again) is type(made)
    assert (outputs(again, data) == found).all()
    if name not in ("hf", "file"):
        assert type(AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")) is type(made)


def test_the_network_learns_what_is_left_and_the_linear_part_stays(trained):
    before, after = finetune.new_model(trained, fold.load(trained)), registry.load(trained.output)
    own, other = before.state_dict(), after.state_dict()
    assert [name for name in own if name.startswith("wide.")] == ["wide.weights", "wide.bias", "wide.placed"]
    same = {name for name in own if torch.equal(own[name], other[name])}
    assert {"wide.weights", "wide.bias", "wide.placed"} <= same
    assert "head.6.weight" not in same


def test_epoch_0_is_among_those_that_validation_chooses_from(trained, tmp_path, caplog):
    caplog.set_level("INFO")
    history = json.loads(Path(trained.output, contract.HISTORY).read_text())["log_history"]
    validated = [entry for entry in history if "eval_loss" in entry]
    assert [entry["epoch"] for entry in validated] == [0, 1, 2, 3, 4]
    assert [entry["epoch"] for entry in history if "loss" in entry] == [1, 2, 3, 4]
    job = of_linear(trained, tmp_path / "model")
    finetune.finetune(job)
    told = {name: json.loads((tmp_path / "model" / f"{name}.json").read_text()) for name in ("train_results", "eval_results")}
    assert told["train_results"] == {"train_loss": None, "epochs": 4, "best_epoch": 0, "train_rows": 42}
    evaluate.summarize(
        {"0": tmp_path / "model/train_results.json", "1": Path(trained.output, "train_results.json")}, tmp_path / "s"
    )
    assert (tmp_path / "s").read_text().splitlines()[1].startswith("train_loss,,0.")
    assert told["eval_results"]["eval_loss"] == pytest.approx(validated[0]["eval_loss"], rel=1e-5)
    data = fold.load(job)
    kept, begun = registry.load(job.output), finetune.new_model(job, data)
    assert outputs(kept, data) == pytest.approx(outputs(begun, data), abs=1e-6)
    assert "before training, by the linear part alone: validation loss" in caplog.text


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("worse", [False, True])
def test_a_killed_training_goes_on_and_ends_as_if_never_killed(job, tmp_path, monkeypatch, epoch, worse):
    wanted = {}
    for name in ("whole", "killed"):
        own = of_linear(job, tmp_path / name) if worse else dataclasses.replace(job, output=str(tmp_path / name))
        if name == "killed":
            with killed_before(epoch, monkeypatch):
                finetune.finetune(own)
            newest = Checkpoints(own.checkpoints_folder, own.settings_hash()).newest()
            assert newest.epoch == epoch
        finetune.finetune(own)
        wanted[name] = results(own.output)
    assert wanted["killed"] == wanted["whole"]


def test_a_training_measured_in_steps_tells_step_0(prepare, tmp_path):
    steps = {"max_steps": 4, "report_every": 2, "learning_rate": 30.0, "epochs": 250}
    job = prepare(tmp_path, fields={"model": MODELS["saluki"].model_dump()}, **steps)
    finetune.finetune(job)
    told = json.loads(Path(job.output, contract.TRAIN_RESULTS).read_text())
    assert (told["steps"], told["best_step"]) == (4, 0)
    history = json.loads(Path(job.output, contract.HISTORY).read_text())["log_history"]
    assert [entry["step"] for entry in history if "eval_loss" in entry] == [0, 2, 4]


def test_more_epochs_go_on_from_the_last(trained, tmp_path):
    job = dataclasses.replace(trained, output=shutil.copytree(trained.output, tmp_path / "model"))
    finetune.finetune(dataclasses.replace(job, options=job.options | {"extra_epochs": 1}))
    history = json.loads((tmp_path / "model" / contract.HISTORY).read_text())["log_history"]
    assert [entry["epoch"] for entry in history if "eval_loss" in entry] == [0, 1, 2, 3, 4, 5]


def test_a_network_that_gives_more_than_its_last_layer_is_refused(prepare, tmp_path, refusal):
    job = prepare(tmp_path, fields={"model": own(tmp_path, args={"above": True}).model_dump()})
    message = refusal(finetune.finetune, job)
    assert "model.wide: Net gives 0." in message
    assert "where its last layer gives 0; expected a network whose last layer makes its outputs, or wide: false" in message


def test_models_do_not_start_from_one_with_a_linear_part(prepare, tmp_path, refusal):
    first = prepare(tmp_path / "first", fields={"model": MODELS["frames"].model_dump()}, epochs=1)
    finetune.finetune(first)
    again = dataclasses.replace(first, model=first.model | {"pretrained": first.output}, output=str(tmp_path / "again"))
    expected = "has a linear part (model.wide), of other rows; expected one without"
    assert refusal(finetune.finetune, again) == f"model.pretrained: {first.output} {expected}"


def test_they_may_start_from_one_without(prepare, tmp_path):
    first = prepare(tmp_path / "first", fields={"model": MODELS["frames"].model_dump() | {"wide": False}}, epochs=1)
    finetune.finetune(first)
    section = MODELS["frames"].model_dump() | {"pretrained": first.output}
    again = dataclasses.replace(first, model=section, output=str(tmp_path / "again"))
    made = finetune.new_model(again, fold.load(again)).state_dict()
    weights = load_file(Path(first.output, contract.WEIGHTS))
    assert all(torch.equal(made[name], own) for name, own in weights.items() if not name.startswith("head."))
    finetune.finetune(again)
    assert is_wide(registry.load(again.output))


def test_labels_of_several_classes_and_of_both_strands(prepare, tmp_path):
    fields = {"model": MODELS["saluki"].model_dump()}
    job = prepare(tmp_path, fields=fields, encoding={"reverse_complement": "average"}, epochs=2)
    finetune.finetune(job)
    data = fold.load(job)
    history = json.loads(Path(job.output, contract.HISTORY).read_text())["log_history"]
    begun = next(entry for entry in history if "eval_loss" in entry)
    best = min(fit.Material.of(job, data).linear(), key=lambda one: one.loss)
    assert (begun["epoch"], begun["eval_loss"]) == (0, pytest.approx(best.loss, rel=1e-4))


def test_replicates_and_trials_of_a_sweep_have_the_same_linear_part(job, tmp_path):
    other = dataclasses.replace(job, replicate=1, output=str(tmp_path / "other"))
    data = fold.load(job)
    first, second = (finetune.new_model(each, data).state_dict() for each in (job, other))
    assert all(torch.equal(first[name], second[name]) for name in first if name.startswith("wide."))
    assert not torch.equal(first["stem.weight"], second["stem.weight"])


def test_a_trial_that_only_got_worse_is_as_good_as_the_linear_part(job, trained, tmp_path):
    tried = {"lr": {"values": [30.0]}, "model.wide": {"values": [True, False]}}
    options = Finetune(epochs=2, batch_size=16, patience=None)
    settings = Sweep(method="grid", parameters=tried).resolve("regression", MODELS["saluki"], options)
    options = options.model_dump(mode="json", exclude={"replicates", "gpus"})
    run_trials(dataclasses.replace(job, output=str(tmp_path), options=options), settings)
    best.conclude([str(tmp_path / "worker-0.json")], settings)
    history = json.loads(Path(trained.output, contract.HISTORY).read_text())["log_history"]
    begun = next(entry["eval_loss"] for entry in history if "eval_loss" in entry)
    chosen = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert (chosen["parameters"]["model.wide"], chosen["value"]) == (True, pytest.approx(begun))


@pytest.mark.slow
def test_several_processes_begin_with_the_same(trained, tmp_path):
    job = dataclasses.replace(trained, output=str(tmp_path / "model"), options=trained.options | {"epochs": 1})
    (tmp_path / "job.json").write_text(json.dumps(dataclasses.asdict(job)))
    processes.launch("rnalm.training.finetune", str(tmp_path / "job.json"), processes=2)
    both = [load_file(Path(each.output, contract.WEIGHTS)) for each in (job, trained)]
    assert all(torch.equal(*(each[name] for each in both)) for name in both[0] if name.startswith("wide."))
    history = json.loads(Path(job.output, contract.HISTORY).read_text())["log_history"]
    assert [entry["epoch"] for entry in history if "eval_loss" in entry] == [0, 1]


def test_without_it_models_are_as_they_were(prepare, tmp_path):
    job = prepare(tmp_path)
    data = fold.load(job)
    made = finetune.new_model(job, data)
    assert not is_wide(made)
    assert not hasattr(made.config, "wide")
    assert not any(name.startswith("wide.") for name in made.state_dict())
