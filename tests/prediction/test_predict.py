from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rnalm.config import Columns, Encode, Table, Tokenizer
from rnalm.labels.labels import Labels
from rnalm.labels.scaling import Scaler
from rnalm.models import registry
from rnalm.prediction import predict
from rnalm.tokens import learn
from rnalm.tokens.dataset import Encoded, read
from rnalm.tokens.encode import encode
from rnalm.tokens.tokenizer import load_tokenizer, save_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a table of sequences of many lengths and a model with random weights."""
    folder = tmp_path_factory.mktemp("predict")
    draw = np.random.default_rng(1)
    lengths = [1, 2, 5, 300, 40, 120, 41, 7, 260, 40]
    rows = [f"s{row}\t{''.join(draw.choice(list('ACGT'), length))}\t{row}" for row, length in enumerate(lengths)]
    (folder / "table.tsv").write_text("\n".join(["id\tsequence\tlabel", *rows]))
    tokenizer = learn.learn(source(folder))
    torch.manual_seed(0)
    model = registry.create({"name": "saluki", "filters": 8, "layers": 3}, tokenizer.get_vocab_size(), 0, 1)
    model.save_pretrained(folder / "model")
    save_tokenizer(tokenizer, folder / "model" / "tokenizer.json")
    Labels("regression").save(folder / "model" / "labels.json")
    encode(source(folder), tokenizer, folder / "encoded.parquet")
    return folder


def source(folder, **columns) -> Table:
    return Table(path=str(folder / "table.tsv"), columns=Columns(id="id", sequence="sequence", label="label", **columns))


def sequences(path):
    return [sequence for group in read(path) for sequence in group]


def test_a_prediction_is_the_same_alone_in_a_batch_and_at_twice_the_block_size(folder, tmp_path):
    model = registry.load(folder / "model")
    together = predict.predict(model, sequences(folder / "encoded.parquet"))
    alone = np.concatenate([predict.predict(model, [sequence]) for sequence in sequences(folder / "encoded.parquet")])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)
    for block_size in (300, 600):
        options = Encode(block_size=block_size)
        encode(source(folder), load_tokenizer(folder / "model"), tmp_path / f"{block_size}.parquet", options)
        again = predict.predict(model, sequences(tmp_path / f"{block_size}.parquet"))
        np.testing.assert_array_equal(again, together)


@pytest.mark.parametrize(
    "labels",
    [Labels("regression", Scaler("log")), Labels("regression"), Labels("classification", classes=("a", "b"))],
    ids=["log", "none", "classes"],
)
def test_on_both_strands_what_is_reported_is_averaged(labels):
    torch.manual_seed(0)
    model = registry.create({"name": "saluki", "filters": 8, "layers": 1}, 11, 0, labels.n_outputs).eval()
    pairs = [np.array([7, 8, 9, 10, 7, 7]), np.array([10, 10, 8, 9, 10, 7])]
    alone = [labels.to_scores(predict.predict(model, [Encoded(0, "s", ids, None, None, 1.0, None)])) for ids in pairs]
    model.config.reverse_complement = "average"
    both = predict.predict(model, [Encoded(0, "s", pairs[0], None, None, 1.0, None, reverse_ids=pairs[1])], labels=labels)
    np.testing.assert_allclose(labels.to_scores(both), (alone[0] + alone[1]) / 2, rtol=1e-6)


def test_batches_are_an_economy_that_does_not_show(folder):
    model = registry.load(folder / "model")
    outputs = [predict.predict(model, sequences(folder / "encoded.parquet"), tokens) for tokens in (1, 100, 1000, 10**6)]
    for other in outputs[1:]:
        np.testing.assert_allclose(other, outputs[0], rtol=1e-5, atol=1e-6)


def of_little_memory(model, most: int) -> list[int]:
    """Let a model run out of memory above so many tokens; the list returned gets those of every attempt."""
    attempts = []

    def run_out(module, args, inputs):
        attempts.append(inputs["input_ids"].numel())
        if attempts[-1] > most:
            raise torch.OutOfMemoryError

    model.register_forward_pre_hook(run_out, with_kwargs=True)
    return attempts


def test_when_memory_runs_out_batches_are_halved_and_stay_small(folder, caplog):
    model = registry.load(folder / "model")
    expected = predict.predict(model, sequences(folder / "encoded.parquet"))
    attempts = of_little_memory(model, 400)
    predictor = predict.Predictor(model, 2**18)
    for _ in range(3):
        np.testing.assert_allclose(predictor(sequences(folder / "encoded.parquet")), expected, rtol=1e-5, atol=1e-6)
    # All ten of 300 tokens, then five of them, then two of 260.
    assert [n for n in attempts if n > 400] == [3000, 1500, 520]
    assert caplog.messages == [f"out of memory; going on with {n} tokens at a time" for n in (1500, 750, 300)]


def test_a_file_is_predicted_whole_where_memory_is_short(folder, tmp_path, monkeypatch):
    predict.predict_file(folder / "model", folder / "encoded.parquet", tmp_path / "enough.parquet")
    model = registry.load(folder / "model")
    of_little_memory(model, 400)
    monkeypatch.setattr(registry, "load", lambda *_: model)
    predict.predict_file(folder / "model", folder / "encoded.parquet", tmp_path / "short.parquet")
    found, expected = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("short", "enough"))
    assert found["id"].equals(expected["id"])
    np.testing.assert_allclose(np.stack(found["outputs"]), np.stack(expected["outputs"]), rtol=1e-5, atol=1e-6)


def test_a_sequence_that_does_not_fit_into_memory_is_named(folder, refusal):
    model = registry.load(folder / "model")
    of_little_memory(model, 280)
    assert refusal(predict.predict, model, sequences(folder / "encoded.parquet")) == (
        "sequence 's3' of 300 tokens does not fit into the memory of the GPU; "
        "lower encode.block_size, or set finetune.gpus: 0 to compute on the CPU"
    )


def test_the_mode_of_the_model_is_restored(folder):
    model = registry.load(folder / "model").train()
    predict.predict(model, sequences(folder / "encoded.parquet")[:2])
    assert model.training


def test_a_file_holds_the_chosen_rows_in_input_order(folder, tmp_path):
    predict.predict_file(folder / "model", folder / "encoded.parquet", tmp_path / "part.parquet", np.array([1, 4, 8]))
    part = pd.read_parquet(tmp_path / "part.parquet")
    assert part["row"].tolist() == [1, 4, 8]
    assert part["id"].tolist() == ["s1", "s4", "s8"]
    expected = predict.predict(registry.load(folder / "model"), sequences(folder / "encoded.parquet"))
    np.testing.assert_allclose(np.stack(part["outputs"]), expected[[1, 4, 8]], rtol=1e-5, atol=1e-6)


def refused(refusal, folder, tmp_path, model=None, tokenizer=None, task="regression", **options) -> str:
    """Encode the table in another way, and give the message with which the model refuses it."""
    path = tmp_path / "other.parquet"
    encode(source(folder), tokenizer or load_tokenizer(folder / "model"), path, Encode(**options), task=task)
    return refusal(predict.predict_file, model or folder / "model", path, tmp_path / "part.parquet").removeprefix(f"{path}: ")


def save_model(folder, path, options: dict, labels: Labels) -> Path:
    """Write the folder of another model with the same tokenizer."""
    tokenizer = load_tokenizer(folder / "model")
    registry.create(options, tokenizer.get_vocab_size(), 0, labels.n_outputs).save_pretrained(path)
    save_tokenizer(tokenizer, path / "tokenizer.json")
    labels.save(path / "labels.json")
    return path


def test_a_file_that_does_not_fit_the_model_is_refused(folder, tmp_path, refusal):
    model, other = folder / "model", learn.learn(source(folder), Tokenizer(vocab_size=9))
    message = refused(refusal, folder, tmp_path, tokenizer=other)
    assert message == f"encoded with another tokenizer than that of the model {model}"
    message = refused(refusal, folder, tmp_path, reverse_complement="average")
    strands = f"encode.reverse_complement is average, but the model {model} was trained with none; leave it out"
    assert message == strands
    message = refused(refusal, folder, tmp_path, task="classification")
    assert message == f"{model}: a model for regression, but the configuration says task: classification"


def test_an_unknown_class_is_refused(folder, tmp_path, refusal):
    labels = Labels("classification", classes=("0", "one"))
    model = save_model(folder, tmp_path / "model", {"name": "saluki", "filters": 4, "layers": 1}, labels)
    message = refused(refusal, folder, tmp_path, model, task="classification")
    assert message == "the label of 's1' is no class of the model: '1'; valid: 0, one"


def test_sequences_that_are_too_long_for_the_model_are_refused(folder, tmp_path, refusal):
    config = {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8, "max_position_embeddings": 64}
    options = {"name": "hf", "type": "distilbert", "config": config, "pretrained": None}
    model = save_model(folder, tmp_path / "model", options, Labels("regression"))
    most = "encode.block_size: sequences have up to 300 tokens, but distilbert takes 62 and 2 special tokens around them"
    assert refused(refusal, folder, tmp_path, model).startswith(most)
