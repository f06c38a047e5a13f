import dataclasses
import json
import logging
import os
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from interruption import RESULTS, killed_before, results
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer, DistilBertConfig

from rnalm.config import Finetune, HuggingFace, contract
from rnalm.errors import RnalmError
from rnalm.labels import folds
from rnalm.labels.labels import Labels
from rnalm.models import registry
from rnalm.prediction.predict import predict
from rnalm.tokens.tokenizer import load_tokenizer
from rnalm.training import finetune, fold, loop, processes, trainer
from rnalm.training.checkpoints import Checkpoints

TINY = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16, "max_position_embeddings": 32}
MIXTRAL = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 2}


def transformer(kind: str | None = "distilbert", pretrained: Path | None = None, **config) -> dict:
    """Give the fields of a job that trains a model of transformers."""
    settings = HuggingFace(name="hf", type=kind, config=config, pretrained=str(pretrained) if pretrained else None)
    return {"model": settings.model_dump()}


def read(job: finetune.Job, name: str) -> dict:
    return json.loads(Path(job.output, f"{name}.json").read_text())


def changed(job: finetune.Job, output: Path | None = None, **options) -> finetune.Job:
    return dataclasses.replace(job, output=str(output or job.output), options=job.options | options)


def train(job: finetune.Job) -> dict[str, bytes]:
    finetune.finetune(job)
    return results(job.output)


def train_until(epoch: int, job: finetune.Job, monkeypatch) -> None:
    """Let a training be killed when an epoch begins."""
    with killed_before(epoch, monkeypatch):
        finetune.finetune(job)


@pytest.fixture(scope="module")
def trained(prepare, tmp_path_factory) -> finetune.Job:
    job = prepare(tmp_path_factory.mktemp("trained"))
    finetune.finetune(job)
    return job


@pytest.fixture(scope="module")
def killed(trained, tmp_path_factory) -> Path:
    """Give the folder of the same training, killed after three of four epochs."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch:
        train_until(3, changed(trained, folder), patch)
    return folder


def test_the_model_folder_loads_by_itself(trained):
    assert {*RESULTS, "tokenizer_config.json", "trainer_state.json", "tensorboard"} <= set(os.listdir(trained.output))
    assert list(Path(trained.output, "tensorboard").glob("events.out.tfevents.*"))
    assert Path(trained.output, "tokenizer.json").read_bytes() == Path(trained.tokenizer).read_bytes()
    tokenizer = AutoTokenizer.from_pretrained(trained.output)
    assert tokenizer("ACGT")["input_ids"] == load_tokenizer(trained.tokenizer).encode("ACGT").ids
    assert (tokenizer.pad_token, tokenizer.mask_token) == ("[PAD]", "[MASK]")
    assert AutoModelForSequenceClassification.from_pretrained(trained.output).config.vocab_size == len(tokenizer)


def test_the_best_epoch_by_the_validation_metric_is_kept(trained):
    losses = [entry["eval_loss"] for entry in read(trained, "trainer_state")["log_history"] if "eval_loss" in entry]
    assert read(trained, "eval_results")["eval_loss"] == pytest.approx(min(losses))
    assert read(trained, "train_results")["best_epoch"] == 1 + int(np.argmin(losses))


def test_the_same_seed_gives_the_same_bytes(trained, tmp_path):
    assert train(changed(trained, tmp_path)) == results(trained.output)


@pytest.mark.parametrize("broken", ["nothing", "state", "newest", "best", "all"])
def test_a_killed_training_goes_on_and_ends_as_if_never_killed(trained, killed, tmp_path, broken, caplog):
    job = changed(trained, shutil.copytree(killed, tmp_path / "model"))
    checkpoints = Checkpoints(job.checkpoints_folder, job.settings_hash())
    newest = checkpoints.newest()
    assert newest.epoch == 3
    places = {"newest": [newest.folder], "best": [checkpoints.best(newest)], "all": job.checkpoints_folder.glob("checkpoint-*")}
    for folder in places.get(broken, ()):
        os.truncate(folder / "model.safetensors", 100)
    if broken == "state":
        (newest.folder / "trainer_state.json").write_text('{"epoch": 2.0, "glob')
    with caplog.at_level(logging.INFO):
        assert train(job) == results(trained.output)
    assert ("resuming after epoch 3" in caplog.text) == (broken == "nothing")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"mask_prob": 0.3},
        # Weights that transformers keeps under other names and shares, or numbers.
        {"fields": transformer("t5", d_model=8, num_layers=1, num_heads=2, d_kv=4, d_ff=8)},
        {"fields": transformer("mixtral", hidden_size=8, intermediate_size=8, **MIXTRAL)},
        {"fields": {"model": {"name": "frames", "width": 4, "layers": 1}}},
        # Random features that are drawn anew in the second epoch.
        {"fields": {"model": {"name": "performer", "width": 4, "layers": 1, "heads": 2, "local_heads": 1, "redraw": 8}}},
    ],
    ids=["blanked", "t5", "mixtral", "frames", "performer"],
)
def test_any_killed_training_goes_on_and_ends_as_if_never_killed(prepare, trained, tmp_path, monkeypatch, settings):
    whole = prepare(tmp_path, epochs=2, **settings)
    expected = train(whole)
    assert expected["model.safetensors"] != results(trained.output)["model.safetensors"]
    job = changed(whole, tmp_path / "killed")
    train_until(1, job, monkeypatch)
    assert train(job) == expected


def test_a_training_in_steps_is_validated_and_saved_when_asked_and_goes_on_from_there(trained, tmp_path, monkeypatch):
    # Three batches are a pass: the third leg begins within the second one.
    options = {"max_steps": 16, "report_every": 4, "save_every": 2, "epochs": 250}
    job = changed(trained, tmp_path / "whole", **options)
    expected = train(job)
    history = read(job, "trainer_state")["log_history"]
    assert [entry["step"] for entry in history if "eval_loss" in entry] == [4, 8, 12, 16]
    assert read(job, "train_results")["steps"] == 16
    assert read(job, "train_results")["best_step"] in (4, 8, 12, 16)
    again = changed(job, tmp_path / "killed")
    train_until(5, again, monkeypatch)
    assert Checkpoints(again.checkpoints_folder, again.settings_hash()).newest().step == 10
    assert train(again) == expected


def test_early_stopping_counts_on_after_a_kill(trained, tmp_path, monkeypatch):
    # A learning rate this large hardly ever improves the loss.
    job = changed(trained, tmp_path / "whole", patience=2, epochs=30, learning_rate=0.3)
    expected, epochs = train(job), read(job, "train_results")["epochs"]
    assert 3 <= epochs < 30
    again = changed(job, tmp_path / "killed")
    train_until(epochs - 1, again, monkeypatch)
    assert train(again) == expected


def test_other_settings_start_anew(trained, killed, tmp_path, caplog):
    job = changed(trained, shutil.copytree(killed, tmp_path / "model"), learning_rate=0.02, epochs=1)
    with caplog.at_level(logging.INFO):
        assert train(job) == train(changed(job, tmp_path / "new"))
    assert "from other settings" in caplog.text


def test_extra_epochs_train_a_finished_model_further_and_fewer_are_trained_from_the_start(trained, tmp_path):
    at_once = changed(trained, tmp_path / "at_once", extra_epochs=2)
    expected = train(at_once)
    assert read(at_once, "train_results")["epochs"] == 6
    in_steps = changed(trained, shutil.copytree(trained.output, tmp_path / "in_steps"))
    for extra in (1, 2, 2):
        found = train(changed(in_steps, extra_epochs=extra))
    assert found == expected
    assert train(in_steps) == results(trained.output)


@pytest.mark.parametrize("scaling", ["log", "minmax", "standard"])
def test_only_training_rows_are_looked_at_to_scale_labels(prepare, tmp_path, scaling):
    def scaler(folder, wild):
        label = lambda row, _: wild if row in others else 1 + row  # noqa: E731
        return fold.load(prepare(folder, label, fields={"scaling": scaling})).meaning.scaler

    others = set(np.flatnonzero(folds.read(prepare(tmp_path / "look").folds)[0] != folds.TRAIN))
    assert scaler(tmp_path / "tame", 5.0) == scaler(tmp_path / "wild", 1e6)


def test_labels_far_from_0_are_learned_as_those_near_it(prepare, tmp_path):
    losses = []
    for far in (0, 10**8):
        job = prepare(tmp_path / f"{far}", lambda row, text, far=far: far + 3 * text.count("A") + row % 2)
        finetune.finetune(job)
        losses.append(json.loads(Path(job.output, contract.EVAL_RESULTS).read_text())["eval_mse"])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_the_log_of_a_label_that_is_not_positive_names_the_rows_of_every_part(prepare, tmp_path, refusal):
    job = prepare(tmp_path, lambda row, _: row - 1, fields={"scaling": "log"})
    message = "labels.scaling: log needs labels > 0, found 2 that are not: s0 (-1), s1 (0)"
    assert refusal(finetune.finetune, job) == message


def test_the_label_of_a_row_that_weighs_nothing_does_not_matter(prepare, tmp_path):
    light = np.flatnonzero(folds.read(prepare(tmp_path / "look").folds)[0] == folds.TRAIN)[0]

    def weights_of_model(wild: float) -> bytes:
        label, weight = (lambda row, _: wild if row == light else row % 5), (lambda row: int(row != light))
        return train(prepare(tmp_path / str(wild), label, weight, epochs=1))["model.safetensors"]

    assert weights_of_model(0) == weights_of_model(1000)


@pytest.mark.parametrize("fields", [{}, transformer(**TINY)], ids=["saluki", "distilbert"])
def test_classes_are_stored_by_name_and_sorted(prepare, tmp_path, fields):
    names = ("weak", "strong", "middling")
    fields = fields | {"class_weights": True}
    job = prepare(tmp_path, lambda row, _: names[row % 3], task="classification", fields=fields, epochs=1, metric="f1_macro")
    finetune.finetune(job)
    assert Labels.load(Path(job.output, "labels.json")).classes == ("middling", "strong", "weak")
    assert read(job, "config")["id2label"] == {"0": "middling", "1": "strong", "2": "weak"}


def test_accumulation_makes_fewer_steps(prepare, tmp_path):
    job = prepare(tmp_path, epochs=1, batch_size=8, gradient_accumulation=3)
    finetune.finetune(job)
    assert read(job, "trainer_state")["global_step"] == 2  # 42 rows: 6 batches of 8, 3 a step


def test_any_special_tokens_are_zero_vectors_and_padding(prepare, tmp_path):
    job = prepare(tmp_path, special_tokens=["<unk>", "<mask>", "<pad>"], mask_prob=0.3, epochs=1)
    finetune.finetune(job)
    config = read(job, "config")
    assert (config["special_tokens"], config["pad_token_id"], config["vocab_size"]) == (3, 2, 7)
    data = fold.load(job)
    model = registry.load(job.output)
    checkpoints = Checkpoints(tmp_path / "checkpoints", "")
    for batch in trainer.FoldTrainer(job, model, data, checkpoints, 1).get_train_dataloader():
        assert (batch["input_ids"][batch["attention_mask"] == 0] == 2).all()
        assert {1, 3, 4, 5, 6} >= set(batch["input_ids"][batch["attention_mask"] == 1].tolist())
    sequences = data.validation.sequences
    alone = np.concatenate([predict(model, [sequence]) for sequence in sequences])
    np.testing.assert_allclose(predict(model, sequences), alone, rtol=1e-5)


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


def test_a_batch_that_cannot_be_divided_names_the_keys(refusal):
    message = refusal(loop.effective_batch, {"batch_size": 7, "gradient_accumulation": 1}, 2)
    assert message.startswith("finetune.gpus: 2 divides neither gradient_accumulation (1) nor batch_size (7)")


@pytest.mark.parametrize("strands", ["augment", "average"])
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_saluki_is_trained_on_both_strands(prepare, tmp_path, strands, task):
    job = prepare(tmp_path, task=task, epochs=1, encoding={"reverse_complement": strands})
    finetune.finetune(job)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["reverse_complement"] == strands
    assert np.isfinite(read(job, "eval_results")["eval_loss"])


@pytest.mark.slow
def test_two_processes_train_one_model(trained, tmp_path):
    job = changed(trained, tmp_path / "model", epochs=1, extra_epochs=1)
    (tmp_path / "job.json").write_text(json.dumps(dataclasses.asdict(job)))
    processes.launch("rnalm.training.finetune", str(tmp_path / "job.json"), processes=2)
    state = read(job, "trainer_state")
    assert (state["epoch"], state["global_step"]) == (2, 2 * 3)  # 42 rows, 16 a step as with one process
    assert torch.isfinite(AutoModelForSequenceClassification.from_pretrained(job.output).stem.weight).all()


def test_a_vocabulary_may_have_gaps(prepare, tmp_path):
    """As those of other people's tokenizers do: ids are as large as they are, however many there are."""
    job = prepare(tmp_path, epochs=1)
    layout = json.loads(Path(job.tokenizer).read_text())
    old, layout["model"]["vocab"]["T"] = layout["model"]["vocab"]["T"], 300
    Path(job.tokenizer).write_text(json.dumps(layout))
    table = pq.read_table(job.encoded)
    ids = [[300 if index == old else index for index in own] for own in table["input_ids"].to_pylist()]
    place, kind = table.schema.get_field_index("input_ids"), table.schema.field("input_ids").type
    other = table.set_column(place, "input_ids", pa.array(ids, kind))
    with pq.ParquetFile(job.encoded) as file:
        metadata = {key: value for key, value in file.metadata.metadata.items() if key != b"ARROW:schema"}
    pq.write_table(other.replace_schema_metadata(metadata), job.encoded)
    training = fold.load(job).training
    assert {index for sequence in training.sequences for index in sequence.input_ids.tolist()} == {
        index for own in ids for index in own
    }
    finetune.finetune(job)
    assert np.isfinite(read(job, "eval_results")["eval_loss"])


def test_a_metric_that_the_validation_labels_leave_undefined_is_refused(prepare, tmp_path, refusal):
    validating = set(np.flatnonzero(folds.read(prepare(tmp_path / "look").folds)[0] == folds.VALIDATION))
    job = prepare(tmp_path / "flat", lambda row, _: 1 if row in validating else row, metric="spearman")
    message = "finetune.metric: spearman is not defined on the 9 validation rows of fold 0, whose labels are all the same"
    assert refusal(finetune.finetune, job) == message


def test_a_training_that_diverges_says_what_to_lower(prepare, tmp_path, refusal):
    label = lambda row, _: 1 + row  # noqa: E731
    job = prepare(tmp_path, label, fields={"scaling": "log"}, learning_rate=1e30, max_grad_norm=0)
    assert "training diverged; lower finetune.learning_rate" in refusal(finetune.finetune, job)


TOO_LARGE = (
    "finetune.batch_size: 16 does not fit into the memory of the GPU; lower it, "
    "and raise finetune.gradient_accumulation (1) by the same factor to keep the effective batch"
)


def run_out(*args, **options) -> None:
    raise torch.OutOfMemoryError


def test_a_batch_that_does_not_fit_into_memory_names_the_key(trained, tmp_path, monkeypatch, refusal):
    job = changed(trained, tmp_path / "model")
    monkeypatch.setattr(finetune.FoldTrainer, "compute_loss", run_out)
    assert refusal(finetune.finetune, job) == TOO_LARGE
    least = "finetune.batch_size: 2 does not fit into the memory of the GPU, and is as small as it can be"
    assert refusal(finetune.finetune, changed(job, batch_size=2)) == f"{least}; lower encode.block_size, or the model's size"


def test_memory_that_runs_out_in_cublas_names_the_key_too(trained, tmp_path, monkeypatch, refusal):
    def run_out(*args, **options) -> None:
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")

    monkeypatch.setattr(finetune.FoldTrainer, "compute_loss", run_out)
    assert refusal(finetune.finetune, changed(trained, tmp_path / "model")) == TOO_LARGE


def test_arguments_of_the_trainer_do_not_change_the_precision(tmp_path):
    run = loop.Run("finetune", Finetune(torch_compile=True).model_dump(), tmp_path, "loss", False, 1, 0)
    torch.backends.fp32_precision = "tf32"
    loop.training_arguments(run, 1)
    assert torch.backends.fp32_precision == "ieee"


def test_each_process_draws_dropout_of_its_own():
    def drawn(rank: int) -> list[float]:
        torch.manual_seed(7)
        loop.draw_apart(7, rank)
        return torch.rand(3).tolist()

    torch.manual_seed(7)
    alone = torch.rand(3).tolist()
    assert drawn(0) == alone
    assert len({tuple(drawn(rank)) for rank in range(4)}) == 4
    assert drawn(2) == drawn(2)


def test_one_of_several_processes_that_runs_out_of_memory_says_so_in_one_line(trained, tmp_path, monkeypatch):
    (tmp_path / "job.json").write_text(json.dumps(dataclasses.asdict(changed(trained, tmp_path / "model"))))
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


@pytest.mark.nightly
def test_a_compiled_model_is_trained_and_written_as_any_other(prepare, tmp_path, monkeypatch):
    compiled, compile_eagerly = [], torch.compile

    def compile_(model, **options):
        compiled.append(options["backend"])
        return compile_eagerly(model, backend="eager")

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "no")  # set by the Trainer, and to be forgotten after this test
    job = prepare(tmp_path, lengths=(9, 10), epochs=1, torch_compile=True, batch_size=14)
    plain = changed(job, tmp_path / "plain", torch_compile=False)
    for each in (job, plain):
        finetune.finetune(each)
    assert compiled == ["inductor"]
    tensors, expected = (load_file(Path(each.output) / "model.safetensors") for each in (job, plain))
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, expected[name], msg=name)


# Models of transformers


@pytest.fixture(scope="module")
def tuned(prepare, tmp_path_factory) -> finetune.Job:
    label, fields = (lambda row, text: text.count("A") + 10), transformer(**TINY)
    job = prepare(tmp_path_factory.mktemp("tuned"), label, lengths=(2, 20), fields=fields, epochs=10, batch_size=4)
    finetune.finetune(job)
    return job


def test_a_small_model_of_transformers_learns_and_is_predicted_as_each_sequence_by_itself(tuned):
    assert read(tuned, "eval_results")["eval_r2"] > 0.5
    model, sequences = registry.load(tuned.output), fold.load(tuned).validation.sequences
    alone = np.concatenate([predict(model, [sequence]) for sequence in sequences])
    np.testing.assert_allclose(predict(model, sequences), alone, rtol=1e-5)


def test_the_tokenizer_in_the_folder_is_that_of_the_experiment_and_frames_texts(tuned):
    assert Path(tuned.output, "tokenizer.json").read_bytes() == Path(tuned.tokenizer).read_bytes()
    ids = load_tokenizer(tuned.tokenizer).encode("ACGT").ids
    assert AutoTokenizer.from_pretrained(tuned.output)("ACGT")["input_ids"] == [2, *ids, 3]


def test_sequences_that_are_too_long_are_refused_before_training(tuned, refusal):
    job = dataclasses.replace(tuned, **transformer(**TINY | {"max_position_embeddings": 10}))
    most = "encode.block_size: sequences have up to 19 tokens, but distilbert takes 8 and 2 special tokens around them"
    assert refusal(finetune.finetune, job).startswith(most)


def test_a_pretrained_model_is_fine_tuned_and_trained_anew_once_it_changes(prepare, tmp_path, refusal):
    language = tmp_path / "language"
    config = DistilBertConfig(**TINY, vocab_size=11, pad_token_id=1)
    AutoModelForMaskedLM.from_config(config).save_pretrained(language)
    job = prepare(tmp_path, fields=transformer(None, language), epochs=1)
    own = load_tokenizer(job.tokenizer)
    own.save(str(language / "tokenizer.json"))
    finetune.finetune(job)
    before = job.settings_hash()
    weights = load_file(language / "model.safetensors")
    save_file({name: weight + 1 for name, weight in weights.items()}, language / "model.safetensors", {"format": "pt"})
    assert job.settings_hash() != before
    own.add_tokens(["N"])
    own.save(str(language / "tokenizer.json"))
    assert "has another tokenizer than this experiment: id 11 is 'N' there, nothing here" in refusal(finetune.finetune, job)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"positive_weights": {"b": 5.0}}, [1, 5, 1]),
        ({"positive_weights": {"b": 5.0, "c": 0.5}, "positive_weight": 2.0}, [2, 5, 0.5]),
        ({"positive_weights": {"a": 7.0}, "class_weights": True}, [7, 1, 1 / 3]),
        ({"positive_weight": 2.0}, [2, 2, 2]),
        ({"class_weights": True}, [9, 1, 1 / 3]),
        ({}, None),
    ],
)
def test_positives_of_single_classes_weigh_what_is_said_of_them(prepare, tmp_path, fields, expected):
    job = dataclasses.replace(prepare(tmp_path), **{"task": "multilabel"} | fields)
    found = fold.class_weights(job, Labels("multilabel", classes=("a", "b", "c")), np.array([[90, 10], [50, 50], [25, 75]]))
    assert found is expected is None or found.tolist() == pytest.approx(expected)


def test_a_weight_for_no_class_is_refused(prepare, tmp_path, refusal):
    job = dataclasses.replace(prepare(tmp_path), task="multilabel", positive_weights={"Reb2": 5.0})
    meaning = Labels("multilabel", classes=("Abf1", "Reb1"))
    message = refusal(fold.class_weights, job, meaning, np.ones((2, 2)))
    assert message == "labels.positive_weights: 'Reb2' is no class; did you mean 'Reb1'? (valid: Abf1, Reb1)"
