import dataclasses
import json
import logging
import os
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from interruption import RESULTS, killed_before, results
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rnalm.config import Columns, Finetune, Folds, Saluki, Table
from rnalm.errors import RnalmError
from rnalm.labels import folds
from rnalm.labels.labels import Labels
from rnalm.tokens import learn
from rnalm.tokens.encode import encode
from rnalm.tokens.tokenizer import load_tokenizer, save_tokenizer
from rnalm.training import finetune, loop, processes, trainer
from rnalm.training.checkpoints import Checkpoints

SIZES = Saluki(filters=4, layers=1, kernel_size=3).model_dump()


def table(n: int = 60, label=lambda row, sequence: sequence.count("A") / 3 + row % 2, weight=lambda row: 1) -> list[str]:
    draw = np.random.default_rng(0)
    sequences = ["".join(draw.choice(list("ACGT"), draw.integers(8, 20))) for _ in range(n)]
    return [f"s{row}\t{sequence}\t{label(row, sequence)}\t{weight(row)}\n" for row, sequence in enumerate(sequences)]


def prepare(folder: Path, rows: list[str], task: str = "regression", **options) -> finetune.Job:
    """Make encoded file, folds and tokenizer of a table; give the job that trains fold 0."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.tsv").write_text("".join(["id\tsequence\tlabel\tweight\n", *rows]))
    weight = "weight" if task == "regression" else None
    source = Table(path=str(folder / "table.tsv"), columns=Columns(id="id", sequence="sequence", label="label", weight=weight))
    tokenizer = learn.learn(source)
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    encode(source, tokenizer, folder / "encoded.parquet", task=task)
    folds.assign_file(folder / "encoded.parquet", folder / "folds.parquet", Folds(), task, seed=1)
    defaults = {"epochs": 4, "batch_size": 16, "learning_rate": 0.01, "patience": None}
    return finetune.Job(
        encoded=str(folder / "encoded.parquet"),
        folds=str(folder / "folds.parquet"),
        tokenizer=str(folder / "tokenizer.json"),
        output=str(folder / "model"),
        fold=0,
        replicate=0,
        task=task,
        scaling=options.pop("scaling", "none"),
        class_weights=options.pop("class_weights", False),
        model=SIZES,
        options=Finetune(**defaults | options).model_dump(),
        seed=3,
        threads=1,
    )


def changed(job: finetune.Job, **options) -> finetune.Job:
    return dataclasses.replace(job, options=job.options | options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> finetune.Job:
    job = prepare(tmp_path_factory.mktemp("trained"), table())
    finetune.finetune(job)
    return job


def test_the_model_folder_loads_by_itself(trained):
    model = AutoModelForSequenceClassification.from_pretrained(trained.output)
    tokenizer = AutoTokenizer.from_pretrained(trained.output)
    assert tokenizer("ACGT")["input_ids"] == load_tokenizer(trained.tokenizer).encode("ACGT").ids
    assert model.config.vocab_size == len(tokenizer)
    assert (tokenizer.pad_token, tokenizer.mask_token) == ("[PAD]", "[MASK]")


def test_the_model_folder_holds_what_the_contract_names(trained):
    names = {path.name for path in Path(trained.output).iterdir()}
    assert {*RESULTS, "tokenizer_config.json", "trainer_state.json", "tensorboard"} <= names
    assert list(Path(trained.output, "tensorboard").glob("events.out.tfevents.*"))


def test_the_tokenizer_in_the_folder_is_that_of_the_experiment(trained):
    assert Path(trained.output, "tokenizer.json").read_bytes() == Path(trained.tokenizer).read_bytes()


def test_the_best_epoch_by_the_validation_metric_is_kept(trained):
    history = json.loads(Path(trained.output, "trainer_state.json").read_text())["log_history"]
    losses = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    assert json.loads(Path(trained.output, "eval_results.json").read_text())["eval_loss"] == pytest.approx(min(losses))
    assert json.loads(Path(trained.output, "train_results.json").read_text())["best_epoch"] == 1 + int(np.argmin(losses))


def test_the_same_seed_gives_the_same_bytes(trained, tmp_path):
    again = dataclasses.replace(trained, output=str(tmp_path / "again"))
    finetune.finetune(again)
    assert results(again.output) == results(trained.output)


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_killed_training_goes_on_and_ends_as_if_never_killed(trained, tmp_path, monkeypatch, epoch, caplog):
    job = dataclasses.replace(trained, output=str(tmp_path / "model"))
    with killed_before(epoch, monkeypatch):
        finetune.finetune(job)
    with caplog.at_level(logging.INFO):
        finetune.finetune(job)
    assert f"resuming after epoch {epoch}" in caplog.text
    assert results(job.output) == results(trained.output)


def test_a_half_written_checkpoint_is_not_resumed(trained, tmp_path, monkeypatch):
    job = dataclasses.replace(trained, output=str(tmp_path / "model"))
    with killed_before(2, monkeypatch):
        finetune.finetune(job)
    newest = max(Path(job.output, "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    (newest / "trainer_state.json").write_text('{"epoch": 2.0, "glob')
    finetune.finetune(job)
    assert results(job.output) == results(trained.output)


@pytest.mark.parametrize("which", ["newest", "best", "all"])
def test_a_truncated_checkpoint_is_not_resumed(trained, tmp_path, monkeypatch, which):
    job = dataclasses.replace(trained, output=str(tmp_path / "model"))
    with killed_before(3, monkeypatch):
        finetune.finetune(job)
    checkpoints = Checkpoints(Path(job.output, "checkpoints"), job.settings_hash())
    newest = checkpoints.newest()
    chosen = {"newest": [newest.folder], "best": [checkpoints.best(newest)], "all": checkpoints._folders()}[which]
    for folder in chosen:
        os.truncate(folder / "model.safetensors", 100)
    finetune.finetune(job)
    assert results(job.output) == results(trained.output)


def test_early_stopping_counts_on_after_a_kill(trained, tmp_path, monkeypatch):
    # A learning rate this small never improves the loss by much, one this large hardly ever.
    job = changed(dataclasses.replace(trained, output=str(tmp_path / "whole")), patience=2, epochs=30, learning_rate=0.3)
    finetune.finetune(job)
    epochs = json.loads(Path(job.output, "train_results.json").read_text())["epochs"]
    assert 3 <= epochs < 30
    for epoch in (epochs - 1, epochs - 2):
        again = dataclasses.replace(job, output=str(tmp_path / f"killed{epoch}"))
        with killed_before(epoch, monkeypatch):
            finetune.finetune(again)
        finetune.finetune(again)
        assert results(again.output) == results(job.output)


def test_other_settings_start_anew(trained, tmp_path, monkeypatch, caplog):
    job = changed(dataclasses.replace(trained, output=str(tmp_path / "model")), learning_rate=0.02)
    with killed_before(2, monkeypatch):
        finetune.finetune(job)
    again = changed(job, learning_rate=0.01)
    with caplog.at_level(logging.INFO):
        finetune.finetune(again)
    assert "from other settings" in caplog.text
    assert results(again.output) == results(trained.output)


def test_extra_epochs_train_a_finished_model_further(trained, tmp_path):
    at_once = changed(dataclasses.replace(trained, output=str(tmp_path / "at_once")), extra_epochs=2)
    finetune.finetune(at_once)
    in_steps = dataclasses.replace(trained, output=str(tmp_path / "in_steps"))
    finetune.finetune(in_steps)
    for extra in (1, 2, 2):
        finetune.finetune(changed(in_steps, extra_epochs=extra))
    assert json.loads(Path(at_once.output, "train_results.json").read_text())["epochs"] == 6
    assert results(in_steps.output) == results(at_once.output)


def test_fewer_extra_epochs_than_before_are_trained_from_the_start(trained, tmp_path):
    job = dataclasses.replace(trained, output=str(tmp_path / "model"))
    finetune.finetune(changed(job, extra_epochs=2))
    finetune.finetune(job)
    assert results(job.output) == results(trained.output)


@pytest.mark.parametrize("scaling", ["log", "minmax", "standard"])
def test_only_training_rows_are_looked_at_to_scale_labels(tmp_path, scaling):
    def scaler(folder, wild):
        job = prepare(folder, table(label=lambda row, sequence: wild if row in others else 1 + row), scaling=scaling)
        return finetune.load_fold(job).meaning.scaler

    first = prepare(tmp_path / "look", table())
    others = set(np.flatnonzero(folds.read(first.folds)[0] != folds.TRAIN))
    assert scaler(tmp_path / "tame", 5.0) == scaler(tmp_path / "wild", 1e6)


def test_the_log_of_a_label_that_is_not_positive_names_the_rows_of_every_part(tmp_path):
    job = prepare(tmp_path, table(label=lambda row, sequence: row - 1), scaling="log")
    with pytest.raises(RnalmError, match=r"labels.scaling: log needs labels > 0, found 2 that are not: s0 \(-1\), s1 \(0\)$"):
        finetune.finetune(job)


def test_the_label_of_a_row_that_weighs_nothing_does_not_matter(tmp_path):
    light = np.flatnonzero(folds.read(prepare(tmp_path / "look", table()).folds)[0] == folds.TRAIN)[0]

    def weights_of_model(wild: float) -> bytes:
        rows = table(label=lambda row, sequence: wild if row == light else row % 5, weight=lambda row: int(row != light))
        job = prepare(tmp_path / str(wild), rows, epochs=2)
        finetune.finetune(job)
        return results(job.output)["model.safetensors"]

    assert weights_of_model(0) == weights_of_model(1000)


def test_classes_are_stored_by_name_and_sorted(tmp_path):
    rows = table(label=lambda row, sequence: ("weak", "strong", "middling")[row % 3])
    job = prepare(tmp_path, rows, task="classification", epochs=1, class_weights=True, metric="f1_macro")
    finetune.finetune(job)
    assert Labels.load(Path(job.output, "labels.json")).classes == ("middling", "strong", "weak")
    config = json.loads(Path(job.output, "config.json").read_text())
    assert config["id2label"] == {"0": "middling", "1": "strong", "2": "weak"}


def test_accumulation_makes_fewer_steps(tmp_path):
    job = prepare(tmp_path, table(), epochs=1, batch_size=8, gradient_accumulation=3)
    finetune.finetune(job)
    steps = json.loads(Path(job.output, "trainer_state.json").read_text())["global_step"]
    assert steps == 2  # 42 rows: 6 batches of 8, 3 a step


@given(size=st.integers(1, 64), accumulation=st.integers(1, 8), processes=st.sampled_from([1, 2, 4]))
def test_the_effective_batch_does_not_depend_on_the_number_of_gpus(size, accumulation, processes):
    options = {"batch_size": size, "gradient_accumulation": accumulation}
    try:
        batch, passes = loop.effective_batch(options, processes)
    except RnalmError:
        assert accumulation % processes
        assert size % processes or size // processes < 2
    else:
        assert batch * passes * processes == size * accumulation


def test_a_batch_that_cannot_be_divided_names_the_keys():
    with pytest.raises(RnalmError, match=r"finetune.gpus: 2 divides neither gradient_accumulation \(1\) nor batch_size \(7\)"):
        loop.effective_batch({"batch_size": 7, "gradient_accumulation": 1}, 2)


def test_two_processes_train_one_model(trained, tmp_path):
    job = changed(dataclasses.replace(trained, output=str(tmp_path / "model")), epochs=2, extra_epochs=1)
    (tmp_path / "job.json").write_text(json.dumps(dataclasses.asdict(job)))
    processes.launch("rnalm.training.finetune", str(tmp_path / "job.json"), processes=2)
    state = json.loads(Path(job.output, "trainer_state.json").read_text())
    assert state["epoch"] == 3
    assert state["global_step"] == 3 * 3  # 42 rows, 16 a step as with one process
    assert torch.isfinite(AutoModelForSequenceClassification.from_pretrained(job.output).stem.weight).all()


def test_a_metric_that_the_validation_labels_leave_undefined_is_refused(tmp_path):
    first = prepare(tmp_path / "look", table())
    validating = set(np.flatnonzero(folds.read(first.folds)[0] == folds.VALIDATION))
    rows = table(label=lambda row, sequence: 1 if row in validating else row)
    job = prepare(tmp_path / "flat", rows, metric="spearman")
    with pytest.raises(RnalmError, match=r"finetune.metric: spearman is not defined on the 9 validation rows of fold 0"):
        finetune.finetune(job)


def test_a_training_that_diverges_says_what_to_lower(tmp_path):
    job = prepare(tmp_path, table(label=lambda row, sequence: 1 + row), scaling="log", learning_rate=1e30, max_grad_norm=0)
    with pytest.raises(RnalmError, match=r"training diverged; lower finetune\.learning_rate"):
        finetune.finetune(job)


TOO_LARGE = (
    "finetune.batch_size: 16 does not fit into the memory of the GPU; lower it, "
    "and raise finetune.gradient_accumulation (1) by the same factor to keep the effective batch"
)


def run_out(*args, **options) -> None:
    raise torch.OutOfMemoryError


def test_a_batch_that_does_not_fit_into_memory_names_the_key(trained, tmp_path, monkeypatch, refusal):
    job = dataclasses.replace(trained, output=str(tmp_path / "model"))
    monkeypatch.setattr(finetune.FoldTrainer, "compute_loss", run_out)
    assert refusal(finetune.finetune, job) == TOO_LARGE
    least = "finetune.batch_size: 2 does not fit into the memory of the GPU, and is as small as it can be"
    assert refusal(finetune.finetune, changed(job, batch_size=2)) == f"{least}; lower encode.block_size, or the model's size"


def test_one_of_several_processes_that_runs_out_of_memory_says_so_in_one_line(trained, tmp_path, monkeypatch):
    job = dataclasses.replace(trained, output=str(tmp_path / "model"))
    (tmp_path / "job.json").write_text(json.dumps(dataclasses.asdict(job)))
    monkeypatch.setattr(trainer.FoldTrainer, "compute_loss", run_out)
    monkeypatch.setattr(sys, "argv", ["rnalm.training.finetune", str(tmp_path / "job.json")])
    monkeypatch.delitem(sys.modules, "rnalm.training.finetune")
    with pytest.raises(SystemExit, match=f"^{re.escape(f'error: {TOO_LARGE}')}$"):
        runpy.run_module("rnalm.training.finetune", run_name="__main__")


def fake_python(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a shell script stand in for the processes that are launched."""
    (folder / "python").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))


def test_what_one_of_several_processes_says_is_what_the_user_reads(tmp_path, monkeypatch, refusal):
    fake_python(tmp_path, "echo starting; echo 'error: finetune.batch_size: 16 is wrong' >&2; exit 1", monkeypatch)
    assert refusal(processes.launch, "rnalm.training.finetune", "job.json", 2) == "finetune.batch_size: 16 is wrong"


def test_processes_that_are_launched_inherit_what_is_meant_to_be_inherited(tmp_path, monkeypatch, caplog):
    with open(tmp_path / "lease", "w") as lease, open(tmp_path / "own", "w"):
        os.set_inheritable(lease.fileno(), True)
        fake_python(tmp_path, "readlink /proc/$$/fd/*; true", monkeypatch)
        with caplog.at_level(logging.INFO):
            processes.launch("rnalm.training.finetune", "job.json", 2)
    assert str(tmp_path / "lease") in caplog.messages
    assert str(tmp_path / "own") not in caplog.messages


def test_a_model_that_is_shown_a_part_of_the_tokens_goes_on_after_a_kill_as_any_other(tmp_path, trained, monkeypatch):
    whole = prepare(tmp_path / "whole", table(), mask_prob=0.3)
    finetune.finetune(whole)
    assert results(whole.output)["model.safetensors"] != results(trained.output)["model.safetensors"]
    job = prepare(tmp_path / "killed", table(), mask_prob=0.3)
    with killed_before(2, monkeypatch):
        finetune.finetune(job)
    finetune.finetune(job)
    assert results(job.output) == results(whole.output)


def test_a_compiled_model_is_trained_and_written_as_any_other(tmp_path, trained, monkeypatch):
    compiled = []

    def compile_(model, **options):
        compiled.append(options["backend"])
        return compile_eagerly(model, backend="eager")

    compile_eagerly = torch.compile
    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "no")  # set by the Trainer, and to be forgotten after this test
    job = prepare(tmp_path, table(), torch_compile=True)
    finetune.finetune(job)
    assert compiled == ["inductor"]
    found, expected = (load_file(Path(folder) / "model.safetensors") for folder in (job.output, trained.output))
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], msg=name)
