"""Workers that share a study, are killed and go on; trials that see no test row; the best of them."""

import csv
import dataclasses
import json
import logging
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from interruption import Killed
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState, create_trial
from transformers import DistilBertConfig

from rnalm.config import Finetune, HuggingFace, Saluki
from rnalm.config.parameter import Parameter
from rnalm.config.sweep import Sweep
from rnalm.errors import RnalmError
from rnalm.files import lock, write_json
from rnalm.labels import folds
from rnalm.training import finetune as train
from rnalm.training.checkpoints import State
from rnalm.training.finetune import Job
from rnalm.training.sweep import best
from rnalm.training.sweep import study as study_module
from rnalm.training.sweep.search import check_model, run_trials, study_name
from rnalm.training.sweep.study import WARM_UP_EPOCHS, WARM_UP_TRIALS, claim, open_study, propose, values_of, worker_lock

MODEL = Saluki(filters=2, layers=1, kernel_size=3)
FINETUNE = Finetune(epochs=2, batch_size=16, patience=None)
GRID = {"lr": {"values": [0.001, 0.01]}, "filters": {"min": 2, "max": 3}}
#: Learning rates of which the first are better than the later ones.
WORSE = {"lr": {"values": [k / 100 for k in range(1, 17)]}}
RANGES = {"lr": {"min": 1e-4, "max": 1.0, "log": True}, "filters": {"min": 2, "max": 64}}
RESULTS = ("trials.csv", "best.yaml")


def search(parameters=GRID, method="grid", task="regression", **settings) -> Sweep:
    return Sweep(method=method, parameters=parameters, **settings).resolve(task, MODEL, FINETUNE)


def at(job: Job, folder: Path) -> Job:
    return dataclasses.replace(job, output=str(folder))


def finish(job: Job, settings: Sweep) -> Path:
    """Run the one worker of a study, and conclude."""
    run_trials(job, settings)
    best.conclude([f"{job.output}/worker-0.json"], settings)
    return Path(job.output)


def results(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in RESULTS}


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def best_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "best.yaml").read_text())


def reopened(job: Job, settings: Sweep) -> optuna.Study:
    return open_study(job.output, study_name(job, settings), settings)


@pytest.fixture(scope="module")
def job(prepare, tmp_path_factory) -> Job:
    return prepare(tmp_path_factory.mktemp("data"), epochs=2, fields={"model": MODEL.model_dump()})


# With true trainings


@pytest.fixture(scope="module")
def finished(job, tmp_path_factory) -> Path:
    """Give the folder of a grid that one worker has gone through."""
    return finish(at(job, tmp_path_factory.mktemp("finished")), search())


def test_a_grid_is_gone_through_once_and_the_best_is_the_trial_with_the_least_loss(finished):
    rows = table(finished)
    tried = [(row["finetune.learning_rate"], row["model.filters"]) for row in rows]
    assert sorted(tried) == [(rate, filters) for rate in ("0.001", "0.01") for filters in ("2", "3")]
    assert [row["trial"] for row in rows] == list("0123")
    assert {(row["state"], row["epochs"], row["note"]) for row in rows} == {("complete", "2", "")}
    least = min(rows, key=lambda row: float(row["loss"]))
    values = {"finetune.learning_rate": float(least["finetune.learning_rate"]), "model.filters": int(least["model.filters"])}
    expected = {"metric": "loss", "goal": "minimize", "value": float(least["loss"]), "trial": int(least["trial"])}
    assert best_of(finished) == expected | {"parameters": values}
    assert {path.name for path in finished.iterdir() if path.name[0] != "."} == {*RESULTS, "journal.log", "worker-0.json"}


def test_a_true_training_can_be_pruned(job, tmp_path, monkeypatch):
    def should_prune(trial):
        return np.bool_(trial.number == 1 and trial.study.trials[1].intermediate_values)

    monkeypatch.setattr(Trial, "should_prune", should_prune)
    folder = finish(at(job, tmp_path), search({"finetune.learning_rate": {"values": [0.01, 0.1]}}))
    assert [(row["state"], row["epochs"]) for row in table(folder)] == [("complete", "2"), ("pruned", "1")]


def test_a_trial_is_what_the_training_of_the_fold_would_be(job, finished, tmp_path):
    settings = best.apply(job.model, job.options, best.read(finished / "best.yaml"))
    train.finetune(dataclasses.replace(at(job, tmp_path), **settings))
    results, config = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("eval_results", "config"))
    assert results["eval_loss"] == pytest.approx(best_of(finished)["value"], rel=1e-5)
    assert config["filters"] == settings["model"]["filters"]


def test_no_test_row_is_read(job, tmp_path):
    rows = folds.test_rows(job.folds, 0)
    encoded = pq.read_table(job.encoded)
    metadata = {b"rnalm": pq.read_metadata(job.encoded).metadata[b"rnalm"]}
    labels = encoded["label"].to_numpy().copy()
    labels[rows] = np.nan
    ids = encoded["input_ids"].to_pylist()
    for row in rows:
        ids[row] = ids[row][::-1]
    for name, values in (("label", labels), ("input_ids", ids)):
        place = encoded.column_names.index(name)
        encoded = encoded.set_column(place, encoded.schema.field(name), pa.array(values, encoded.schema.field(name).type))
    pq.write_table(encoded.replace_schema_metadata(metadata), tmp_path / "encoded.parquet")
    blind = dataclasses.replace(at(job, tmp_path / "blind"), encoded=str(tmp_path / "encoded.parquet"))
    one = search({"lr": {"values": [0.01]}}, epochs=1)
    assert results(finish(blind, one)) == results(finish(at(job, tmp_path / "seeing"), one))


@pytest.mark.slow
def test_workers_share_a_study_and_one_that_is_killed_loses_nothing(job, finished, tmp_path):
    settings, shared = search(workers=2), at(job, tmp_path)
    # Processes are copies of one that has imported everything, and done nothing yet.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rnalm.training.sweep.search"])
    victim, other = (context.Process(target=run_trials, args=(shared, settings, worker)) for worker in (0, 1))
    victim.start()
    path = tmp_path / "journal.log"
    while not (path.exists() and path.read_text().count("intermediate_value") >= 1):  # in the middle of the first trial
        assert victim.is_alive()
        time.sleep(0.005)
    # Killed while it writes, it would be waited for for half a minute: it stands still while one looks.
    os.kill(victim.pid, signal.SIGSTOP)
    while path.with_name("journal.log.lock").exists():
        os.kill(victim.pid, signal.SIGCONT)
        time.sleep(0.001)
        os.kill(victim.pid, signal.SIGSTOP)
    victim.kill()
    victim.join()
    before = reopened(shared, settings).get_trials()
    assert len(before) < settings.count
    other.start()
    run_trials(shared, settings, 0)
    other.join()
    assert [process.exitcode for process in (victim, other)] == [-signal.SIGKILL, 0]
    best.conclude([tmp_path / f"worker-{worker}.json" for worker in (0, 1)], settings)
    assert results(tmp_path) == results(finished)
    after = reopened(shared, settings).get_trials()
    assert len(after) == settings.count
    assert [trial.params for trial in after[: len(before)]] == [trial.params for trial in before]


def test_values_with_which_training_diverges_are_no_reason_to_end(prepare, tmp_path):
    fields = {"model": MODEL.model_dump(), "output": str(tmp_path / "study")}
    job = prepare(tmp_path, task="classification", max_grad_norm=0, fields=fields)
    rates = {"lr": {"values": [0.01, 1e30]}}
    folder = finish(job, search(rates, task="classification", metric="eval/f1", epochs=1))
    states = {row["finetune.learning_rate"]: (row["state"], row["note"]) for row in table(folder)}
    assert states["0.01"] == ("complete", "")
    state, note = states["1e+30"]
    assert state == "failed"
    assert "diverged; lower finetune.learning_rate" in note
    assert best_of(folder)["metric"] == "f1_weighted"


# With trainings that only pretend


def pretend(job, data, callbacks):
    """Stand in for :func:`train.fit`: a loss that is least at a learning rate of 0.01, with few filters, after 6 epochs."""
    control, path = SimpleNamespace(should_training_stop=False), Path(job.output, "trainer_state.json")
    history = json.loads(path.read_text())["log_history"] if path.exists() else []
    rate = job.options["learning_rate"]
    if rate == 13:
        raise RnalmError("unlucky")
    for epoch in range(len(history) + 1, job.options["epochs"] + 1):
        loss = abs(np.log10(rate) + 2) + job.model["filters"] + abs(6 - epoch) if rate < 10 else np.nan
        history.append({"step": epoch, "epoch": epoch, "eval_loss": loss})
        for callback in callbacks:
            callback.on_evaluate(None, SimpleNamespace(epoch=epoch), control, history[-1])
        write_json(path, {"log_history": history})
        if control.should_training_stop:
            break
    return None, State(path.parent, len(history), len(history), min(6, len(history)), 0)


@pytest.fixture
def pretended(job, tmp_path, monkeypatch) -> Job:
    monkeypatch.setattr(train, "fit", pretend)
    monkeypatch.setattr(os, "fsync", lambda file: None)
    return at(job, tmp_path / "study")


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_the_same_study_has_the_same_trials(pretended, tmp_path, method):
    settings = search(RANGES, method, trials=15)
    first = results(finish(pretended, settings))
    assert results(finish(at(pretended, tmp_path / "again"), settings)) == first
    other = dataclasses.replace(at(pretended, tmp_path / "other"), seed=4)
    assert results(finish(other, settings)) != first


def test_bayes_looks_where_it_was_good(pretended, tmp_path):
    def late(method: str, folder: str) -> float:
        rows = table(finish(at(pretended, tmp_path / folder), search(RANGES, method, trials=30, pruning=False)))
        return float(np.median([float(row["loss"]) for row in rows[15:]]))

    assert late("bayes", "bayes") < late("random", "random") - 5


def killed_at(count: int, monkeypatch, job: Job, settings: Sweep) -> bool:
    """Work until something has been written into the journal for so many times; say whether it came to that."""
    append, writes = JournalFileBackend.append_logs, []

    def append_and_die(self, logs):
        append(self, logs)
        writes.append(logs)
        if len(writes) == count:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(JournalFileBackend, "append_logs", append_and_die)
        try:
            run_trials(job, settings)
        except Killed:
            return True
    return False


def test_wherever_a_worker_is_killed_the_study_ends_the_same(pretended, tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "WARM_UP_EPOCHS", 1)
    monkeypatch.setattr(study_module, "WARM_UP_TRIALS", 1)
    settings = search({"filters": {"min": 2, "max": 64}}, "bayes", trials=5, epochs=3)
    whole = results(finish(pretended, settings))
    assert b"pruned" in whole["trials.csv"]
    count = 1
    while killed_at(count, monkeypatch, job := at(pretended, tmp_path / f"{count}"), settings):
        assert results(finish(job, settings)) == whole
        count += 1
    assert count > 15


def test_many_workers_run_each_trial_once(pretended, tmp_path):
    settings = search(WORSE, workers=4)
    alone = results(finish(at(pretended, tmp_path / "alone"), settings))
    threads = [threading.Thread(target=run_trials, args=(pretended, settings, worker)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [(Path(pretended.output) / f"worker-{worker}.json").read_bytes() for worker in range(4)]
    assert len(set(told)) == 1
    best.conclude([f"{pretended.output}/worker-0.json"], settings)
    assert results(Path(pretended.output)) == alone


def left_by(worker: int, job: Job, settings: Sweep) -> None:
    """Leave a trial as a worker does that is killed in it."""
    assert claim(reopened(job, settings), job.output, settings, worker, (job.seed, job.fold)).number == 0


def test_the_trial_of_another_worker_is_left_to_it(pretended, refusal):
    settings = search(workers=2)
    left_by(1, pretended, settings)
    run_trials(pretended, settings, 0)
    workers = [f"{pretended.output}/worker-0.json"]
    message = f"{pretended.output}/journal.log: 3 trials are finished, expected 4; run the workers again"
    assert refusal(best.conclude, workers, settings) == message
    run_trials(pretended, settings, 1)
    best.conclude(workers, settings)


@pytest.mark.parametrize("alive", [False, True])
def test_the_trial_of_a_worker_beyond_those_of_now_is_gone_on_with_unless_it_lives(pretended, alive):
    settings = search(workers=1)
    left_by(3, pretended, search(workers=4))
    held = lock(worker_lock(pretended.output, 3)) if alive else None
    run_trials(pretended, settings, 0)
    study = reopened(pretended, settings)
    assert study.get_trials()[0].state == (TrialState.RUNNING if alive else TrialState.COMPLETE)
    if held:
        held.close()


def test_a_trial_that_is_gone_on_with_belongs_to_who_does(pretended):
    settings = search(workers=2)
    left_by(3, pretended, search(workers=4))
    study = reopened(pretended, settings)
    assert [claim(study, pretended.output, settings, worker, (3, 0)).number for worker in (0, 1, 0, 1)] == [0, 1, 0, 1]


# Pruning and failing


def test_a_trial_that_does_worse_than_half_of_the_others_is_pruned(pretended):
    folder = finish(pretended, search(WORSE, epochs=8))
    epochs = {"complete": "8", "pruned": f"{WARM_UP_EPOCHS}"}
    assert all(row["epochs"] == epochs[row["state"]] for row in table(folder))
    assert {row["state"] for row in table(folder)[:WARM_UP_TRIALS]} == {"complete"}
    assert {row["state"] for row in table(folder)[WARM_UP_TRIALS:]} == {"complete", "pruned"}
    assert best_of(folder)["parameters"] == {"finetune.learning_rate": 0.01}


def test_a_trial_is_as_good_as_its_best_epoch(pretended):
    [row] = table(finish(pretended, search({"filters": {"values": [3]}}, epochs=8)))
    rate = pretended.options["learning_rate"]
    assert float(row["loss"]) == pytest.approx(3 + abs(np.log10(rate) + 2))
    assert row["epochs"] == "8"


def test_nothing_is_pruned_where_it_is_not_wanted_nor_after_the_last_epoch(pretended, tmp_path):
    for name, settings in (("off", {"pruning": False, "epochs": 8}), ("short", {"epochs": WARM_UP_EPOCHS})):
        rows = table(finish(at(pretended, tmp_path / name), search(WORSE, **settings)))
        assert {row["state"] for row in rows} == {"complete"}


@pytest.fixture
def short_of_memory(monkeypatch):
    """Let models with many filters raise what torch does where memory is short, on a GPU and on a CPU."""
    errors = {
        64: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        65: RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    }

    def fit(job, *arguments):
        if error := errors.get(job.model["filters"]):
            raise error
        return pretend(job, *arguments)

    monkeypatch.setattr(train, "fit", fit)


TOO_LARGE = "the model does not fit into memory; lower its size, or finetune.batch_size"


@pytest.mark.parametrize(
    ("key", "notes"),
    [
        ("lr", {0.1: "", 11.0: "loss is not defined for what it predicts", 13.0: "unlucky"}),
        ("filters", {2: "", 64: TOO_LARGE, 65: TOO_LARGE}),
        ("weight_decay", {0.1: "", -1: "finetune.weight_decay -1: input should be greater than or equal to 0"}),
    ],
)
def test_a_trial_that_cannot_be_trained_is_noted(pretended, short_of_memory, caplog, key, notes):
    settings = search({key: {"values": [0.1 if key != "filters" else 2]}})
    [(name, parameter)] = settings.parameters.items()
    wrong = {name: parameter.model_copy(update={"values": list(notes)})}  # some of which the configuration would refuse
    rows = table(finish(pretended, settings.model_copy(update={"parameters": wrong})))
    told = {row[name]: (row["state"], row["note"]) for row in rows}
    assert told == {str(value): ("failed" if note else "complete", note) for value, note in notes.items()}
    assert all(f"trial {row['trial']}: {row['note']}" in caplog.text for row in rows if row["note"])


def test_a_fault_of_the_program_is_not_blamed_on_values(pretended, monkeypatch):
    def fit(*arguments):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(train, "fit", fit)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run_trials(pretended, search())


def test_a_study_in_which_nothing_can_be_trained_is_a_mistake(pretended, refusal):
    message = "sweep: none of the 1 trials of fold 0 could be trained; the first: unlucky"
    assert refusal(finish, pretended, search({"lr": {"values": [13.0]}})) == message


def test_of_equals_the_first_is_the_best(pretended):
    folder = finish(pretended, search({"weight_decay": {"values": [0.1, 0.2, 0.3]}}))
    assert len({row["loss"] for row in table(folder)}) == 1
    assert best_of(folder)["trial"] == 0


# Keys that a model does not have

TINY = {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8}


def transformer(job: Job, parameters: dict, kind: str | None = "distilbert", **given) -> tuple[Job, Sweep]:
    """Give the job and the sweep of a transformer."""
    model = HuggingFace(name="hf", type=kind, **given)
    settings = Sweep(parameters=parameters).resolve("regression", model, FINETUNE)
    return dataclasses.replace(job, model=model.model_dump()), settings


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"model.config.dims": {"values": [8]}}, "model.config.dims: distilbert has no such entry; did you mean 'dim'?"),
        ({"model.config.vocab_size": {"min": 8, "max": 9}}, "model.config.vocab_size: it is set here, from tokenizer, task"),
        ({"model.config.block_size": {"values": [8]}}, "model.config.block_size: it is set here, from tokenizer, task and"),
        ({"model.config.dims.width": {"values": [8]}}, "model.config.dims: distilbert has no such entry; did you mean 'dim'?"),
        ({"lr": {"values": [1]}, "type": {"values": ["distilbert", "brt"]}}, "model.type: 'brt' is no architecture of"),
        (
            {"type": {"values": ["distilbert", "bert"]}, "model.config.dim": {"values": [8]}},
            "model.config.dim: bert has no such entry; ",
        ),
    ],
)
def test_a_key_that_a_model_does_not_have_is_refused_before_any_trial(pretended, refusal, parameters, message):
    job, settings = transformer(pretended, parameters)
    assert refusal(run_trials, dataclasses.replace(job, encoded="not read"), settings).startswith(message)
    assert not Path(job.output).exists()


def test_the_keys_of_a_model_can_be_tried(pretended):
    parameters = {"model.config.hidden_size": {"values": [8, 16]}, "model.config.dropout": {"min": 0, "max": 0.2}}
    check_model(*transformer(pretended, parameters | {"lr": {"min": 0.1, "max": 1}}, config=TINY))
    parameters = {"model.config.rope_parameters.rope_theta": {"values": [1000.0]}}
    check_model(*transformer(pretended, parameters, "llama"))


def test_what_does_not_fit_pretrained_weights_is_refused_before_any_trial(pretended, tmp_path, refusal):
    folder = str(tmp_path / "language")
    DistilBertConfig(**TINY).save_pretrained(folder)
    check_model(*transformer(pretended, {"model.config.dropout": {"min": 0, "max": 0.2}}, None, pretrained=folder))
    wrong = transformer(pretended, {"model.config.dim": {"values": [8, 16]}}, None, pretrained=folder)
    assert refusal(check_model, *wrong) == f"model.config.dim: 16 does not fit the weights of {folder}; leave it out"


# What belongs to a study


def test_more_trials_go_on_with_the_study_and_fewer_are_its_first(pretended, tmp_path):
    few, many = search(RANGES, "bayes", trials=4), search(RANGES, "bayes", trials=7, workers=1)
    first = results(finish(at(pretended, tmp_path / "few"), few))
    finish(pretended, few)
    grown = results(finish(pretended, many))
    assert grown == results(finish(at(pretended, tmp_path / "many"), many))
    assert results(finish(pretended, few)) == first


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"code": "another"},
        {"scaling": "standard"},
        {"options": FINETUNE.model_copy(update={"weight_decay": 0.1}).model_dump(mode="json", exclude={"replicates", "gpus"})},
    ],
)
def test_a_study_of_other_settings_is_not_gone_on_with(pretended, tmp_path, change, caplog):
    settings = search()
    other = dataclasses.replace(pretended, **change)
    finish(other, settings)
    with caplog.at_level(logging.INFO):
        anew = results(finish(pretended, settings))
    assert "the trials there are from other settings; starting anew" in caplog.text
    assert anew == results(finish(at(pretended, tmp_path / "new"), settings))


def test_a_sweep_over_other_values_is_another_study(pretended):
    sweeps = search(), search({"lr": {"values": [1]}}), search(epochs=1), search(pruning=False), search(RANGES, "random")
    names = {study_name(pretended, settings) for settings in sweeps}
    assert len(names) == 5
    assert study_name(pretended, search(trials=3, workers=5)) in names


def test_a_journal_that_a_full_disk_cut_is_gone_on_with(pretended, tmp_path):
    settings = search()
    whole = results(finish(at(pretended, tmp_path / "whole"), settings))
    left_by(0, pretended, settings)
    with open(f"{pretended.output}/journal.log", "a") as file:
        file.write('{"op_code": 5, "work')
    assert results(finish(pretended, settings)) == whole


# Values


@pytest.mark.parametrize(
    ("parameter", "distribution"),
    [
        ({"values": [None, 1, [0.9, 0.99]]}, optuna.distributions.CategoricalDistribution(["null", "1", "[0.9, 0.99]"])),
        ({"min": 1, "max": 6}, optuna.distributions.IntDistribution(1, 6)),
        ({"min": 1, "max": 6, "step": 2}, optuna.distributions.IntDistribution(1, 5, step=2)),
        ({"min": 1, "max": 6, "log": True}, optuna.distributions.IntDistribution(1, 6, log=True)),
        ({"min": 0.5, "max": 6}, optuna.distributions.FloatDistribution(0.5, 6)),
        ({"min": 0.5, "max": 6, "log": True}, optuna.distributions.FloatDistribution(0.5, 6, log=True)),
        ({"min": 0, "max": 1.1, "step": 0.25}, optuna.distributions.FloatDistribution(0, 1, step=0.25)),
    ],
)  # fmt: skip
def test_what_a_key_can_be_is_said_to_optuna(parameter, distribution):
    settings = Sweep(parameters={"lr": parameter})
    assert study_module.distribution(settings.parameters["lr"]) == distribution


RANGE = st.tuples(st.integers(-(10**6), 10**6), st.integers(1, 1000), st.integers(1, 30), st.integers(0, 8))


@given(RANGE)
def test_all_values_of_a_range_are_known_to_optuna(drawn):
    low, step, steps, digits = drawn
    low, high, step = (float(f"{number}e-{digits}") for number in (low, low + step * steps, step))
    assume(max(abs(low), abs(high)) <= step * 1e7)
    parameter = Parameter(min=low, max=high, step=step)
    space = study_module.distribution(parameter)
    assert space.high == high
    for value in parameter.listed():  # which must not be refused
        create_trial(value=0, params={"x": value}, distributions={"x": space})


@pytest.mark.parametrize("method", ["grid", "random", "bayes"])
@pytest.mark.parametrize("values", [[0.0, 0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [1e-4, 2e-4, 3e-4]])
def test_fractions_are_tried_as_one_would_write_them(values, method, tmp_path):
    steps = {"warmup": {"min": values[0], "max": values[-1], "step": values[1] if values[0] == 0 else values[0]}}
    settings = search(steps, method, trials=len(values) if method == "grid" else 30)
    study = open_study(tmp_path, "study", settings)
    while (trial := claim(study, tmp_path, settings, 0, (1, 0))) is not None:
        study.tell(trial, 1.0)
    tried = [values_of(trial)["finetune.warmup"] for trial in study.get_trials()]
    assert sorted(set(tried)) == values
    assert method != "grid" or sorted(tried) == values


def test_values_that_are_no_text_come_back_as_they_were():
    settings = search({"betas": {"values": [[0.9, 0.99], [0.8, 0.9]]}, "patience": {"values": [None, 3]}})
    tried = [values_of(propose(settings, [], (seed,))) for seed in range(30)]
    pairs = {(tuple(values["finetune.betas"]), values["finetune.patience"]) for values in tried}
    assert pairs == {(betas, patience) for betas in ((0.9, 0.99), (0.8, 0.9)) for patience in (None, 3)}
