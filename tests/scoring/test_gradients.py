"""What tokens add to a prediction sums to what it is more than that of the baseline."""

import numpy as np
import pandas as pd
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from wide import counted, linear

from rnalm.labels.labels import Labels
from rnalm.labels.scaling import Scaler
from rnalm.models import registry
from rnalm.models.wide import Wide, attach
from rnalm.scoring import gradients
from rnalm.scoring.explain import Subject
from rnalm.scoring.gradients import IntegratedGradients
from rnalm.scoring.interpolate import Interpolation
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenizer import special_ids

MODE = "integrated_gradients"
ROWS = [("first", "gattacagatta", 1.5), ("second", "cgat", 0.5), ("third", "acgtnacg", 2.0)]
CLASSES = ("early", "late", "mid")
NUMBER = Labels("regression")
SMALL = {
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 64},
    "longformer": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "attention_window": 8},
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2},
    "xlnet": {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 32},
    "bart": {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
}


def sequence_of(ids, modifiers=None, reverse=None) -> Encoded:
    ids, reverse = (None if x is None else np.array(x, dtype=np.int32) for x in (ids, reverse))
    return Encoded(0, "s", ids, modifiers, None, 1.0, None, reverse)


def random_sequence(length: int, seed: int = 0) -> Encoded:
    return sequence_of(np.random.default_rng(seed).integers(7, 11, length))


def explain(model, sequence: Encoded, tokenizer, labels=NUMBER, explained=(0,), scale="probability", steps=200, **options):
    chosen = None if explained is None else list(explained)
    method = IntegratedGradients(Subject([model], [labels], chosen, scale), tokenizer, steps, **options)
    return method.launch(sequence, [0])()[0]


@torch.no_grad()
def run(model, ids, modifiers=None) -> np.ndarray:
    inputs = {} if modifiers is None else {"modifiers": torch.tensor(modifiers)[None]}
    return model(input_ids=torch.tensor(np.array(ids, dtype=np.int64))[None], **inputs).logits[0].double().numpy()


@pytest.fixture(scope="module")
def framed(tokenizer):
    """Make a small transformer whose outputs vary."""

    def make(kind: str, **extra):
        torch.manual_seed(0)
        options = {"name": "hf", "type": kind, "config": SMALL[kind], "pretrained": None}
        model = registry.create(options, 11, 0, 1, special_ids(tokenizer), **extra).eval()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim > 1:
                    torch.nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
        return model

    return make


class BagConfig(PreTrainedConfig):
    model_type = "bag"

    def __init__(self, vocab_size=11, **kwargs):
        self.vocab_size = vocab_size
        super().__init__(**kwargs)


class Bag(PreTrainedModel):
    """Linear in its embedding: the mean over tokens."""

    config_class = BagConfig

    def __init__(self, config) -> None:
        super().__init__(config)
        self.embedding = torch.nn.Embedding(config.vocab_size, 3)
        self.head = torch.nn.Linear(3, config.num_labels)

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, input_ids, attention_mask=None):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        x = self.embedding(input_ids) * mask[:, :, None]
        return SequenceClassifierOutput(logits=self.head(x.sum(1) / mask.sum(1, keepdim=True)))


def test_of_a_linear_model_each_token_adds_its_own_term(tokenizer):
    torch.manual_seed(0)
    model, sequence = Bag(BagConfig(num_labels=1)).eval(), sequence_of([7, 8, 8, 10, 0])
    sites, found = explain(model, sequence, tokenizer, steps=2)
    with torch.no_grad():
        terms = (model.embedding.weight - model.embedding.weight[1]) @ model.head.weight[0] / 5
    np.testing.assert_allclose(found.difference[0, :, 0], terms[[7, 8, 8, 10, 0]], rtol=1e-5, atol=1e-7)
    assert sites.token.to_pylist() == ["a", "c", "c", "t", "[UNK]"]
    assert sites.position.tolist() == [[place, place + 1] for place in range(5)]
    assert found.pred == pytest.approx(run(model, sequence.input_ids)[0], rel=1e-6)


def test_models_with_a_linear_part_are_refused(tokenizer, make_model, refusal):
    model = make_model(0, {})
    own = counted("letters")
    attach(model, Wide.of(own, linear(own, 1, False, 0)))
    assert refusal(explain, model, random_sequence(9), tokenizer) == (
        "interpret.method: integrated_gradients: the models count runs of letters (model.wide), and counts have no gradient; "
        "expected loo"
    )


def assert_sums(found, due, tolerance: float = 0.01) -> None:
    """Hold sums against what is due, relative to the size of what is summed."""
    size = np.abs(found.difference).sum(axis=(0, 1))
    np.testing.assert_array_less(np.abs(found.difference.sum(axis=(0, 1)) - due), tolerance * size + 1e-6)
    assert np.abs(found.difference).max() > 1e-3


@pytest.mark.parametrize(("seed", "length"), [(0, 5), (1, 20), (2, 60)])
def test_what_tokens_add_to_a_saluki_sums_to_the_difference_to_an_empty_input(make_model, tokenizer, seed, length):
    model, sequence = make_model(seed, {"filters": 16, "layers": 2}, 11), random_sequence(length, seed)
    _, found = explain(model, sequence, tokenizer)
    base = run(model, [1] * length)[0]
    assert found.base == pytest.approx([base], rel=1e-5)
    assert_sums(found, run(model, sequence.input_ids)[0] - base)


def test_what_modifiers_add_belongs_to_their_tokens(make_model, tokenizer):
    model = make_model(1, {"filters": 16, "layers": 2}, 11, 2)
    ids = np.random.default_rng(0).integers(7, 11, 40)
    modifiers = np.zeros((2, 40), dtype=np.float32)
    modifiers[:, 20] = 2, -1
    _, found = explain(model, sequence_of(ids, modifiers), tokenizer)
    bare = run(model, [1] * 40, np.zeros((2, 40), dtype=np.float32))[0]
    assert_sums(found, run(model, ids, modifiers)[0] - bare)
    _, unknown = explain(model, sequence_of([0] * 40, modifiers), tokenizer)  # all else of the input is zero
    assert np.flatnonzero(unknown.difference[0, :, 0]).tolist() == [20]


@pytest.mark.parametrize("kind", ["distilbert", "longformer", "gpt2", "xlnet"])
def test_of_a_transformer_only_the_tokens_of_the_sequence_add_and_not_its_frame(framed, tokenizer, kind):
    model, sequence = framed(kind), random_sequence(21)
    _, found = explain(model, sequence, tokenizer)
    assert found.difference.shape == (1, 21, 1)
    assert_sums(found, run(model, sequence.input_ids)[0] - found.base[0])
    assert len(set(found.difference.ravel().round(9).tolist())) > 15


def test_the_baseline_keeps_the_frame_and_attends_to_all_of_it(framed, tokenizer):
    model, sequence = framed("distilbert"), random_sequence(12)
    _, found = explain(model, sequence, tokenizer, steps=2)
    assert found.base == pytest.approx([run(model, [1] * 12)[0]], rel=1e-5)


def test_a_model_that_embeds_twice_is_refused(framed, tokenizer, refusal):
    assert refusal(explain, framed("bart"), random_sequence(9), tokenizer) == (
        "interpret.method: integrated_gradients needs a model that embeds a sequence once, which bart does not"
    )


@pytest.mark.parametrize("scaler", [Scaler("log"), Scaler("standard", 3.0, 2.0)], ids=["log", "standard"])
def test_regression_is_explained_in_units_of_the_labels(make_model, tokenizer, scaler):
    labels, model, sequence = Labels("regression", scaler), make_model(3, {"filters": 16, "layers": 2}, 11), random_sequence(50)
    _, explained = explain(model, sequence, tokenizer, labels)
    value, base = (labels.to_scores(run(model, ids))[0] for ids in (sequence.input_ids, [1] * 50))
    assert_sums(explained, value - base)
    assert explained.pred == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_classes_are_explained_by_their_probability_or_logit(make_model, tokenizer, scale):
    labels, sequence = Labels("classification", classes=CLASSES), random_sequence(50)
    model = make_model(4, {"filters": 16, "layers": 2}, 11, n_outputs=3)
    value, base = (labels.to_scores(run(model, ids), scale) for ids in (sequence.input_ids, [1] * 50))
    _, every = explain(model, sequence, tokenizer, labels, (0, 1, 2), scale)
    assert every.classes == list(CLASSES)
    assert_sums(every, value - base)
    _, predicted = explain(model, sequence, tokenizer, labels, None, scale)
    best = int(value.argmax())
    assert (predicted.pred, predicted.classes) == (CLASSES[best], [CLASSES[best]])
    np.testing.assert_allclose(predicted.difference[:, :, 0], every.difference[:, :, best], rtol=1e-6, atol=1e-9)


def test_on_both_strands_a_token_adds_what_it_does_on_either(make_model, tokenizer):
    model = make_model(5, {"filters": 16, "layers": 2}, 11)
    ids = np.random.default_rng(1).integers(7, 11, 40)
    reverse = (17 - ids)[::-1]  # a, c, g, t are 7, 8, 9, 10
    alone = [explain(model, sequence_of(strand), tokenizer)[1] for strand in (ids, reverse)]
    model.config.reverse_complement = "average"
    both, other = (explain(model, sequence_of(*pair), tokenizer)[1] for pair in ((ids, None, reverse), (reverse, None, ids)))
    mean = (alone[0].difference + alone[1].difference[:, ::-1]) / 2
    np.testing.assert_allclose(both.difference, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(both.difference, other.difference[:, ::-1], rtol=1e-4, atol=1e-5)
    assert both.pred == pytest.approx((run(model, ids)[0] + run(model, reverse)[0]) / 2, rel=1e-5)

    log = Labels("regression", Scaler("log"))  # the mean over strands is that of labels, not of their logarithms
    _, found = explain(model, sequence_of(ids, None, reverse), tokenizer, log)
    value = (np.exp(run(model, ids)[0]) + np.exp(run(model, reverse)[0])) / 2
    assert found.pred == pytest.approx(value, rel=1e-5)
    assert_sums(found, value - np.exp(run(model, [1] * 40)[0]))


def test_long_tokens_are_not_explained_on_both_strands(make_model, kmers, refusal):
    model = make_model(0, {}, kmers.get_vocab_size())
    model.config.reverse_complement = "average"
    assert refusal(explain, model, random_sequence(5), kmers) == (
        "interpret.method: integrated_gradients cannot be scored on both strands with tokens longer than a letter "
        "(encode.reverse_complement: average); set method: loo and level: base"
    )


@examples(10)
@given(batch_tokens=st.integers(1, 2000))
def test_the_size_of_batches_does_not_matter(make_model, tokenizer, batch_tokens):
    model, sequence = make_model(0, {"filters": 8}, 11), random_sequence(30)
    _, expected = explain(model, sequence, tokenizer, steps=20)
    _, found = explain(model, sequence, tokenizer, steps=20, batch_tokens=batch_tokens)
    np.testing.assert_allclose(found.difference, expected.difference, rtol=1e-4, atol=1e-6)


def test_when_memory_is_short_fewer_steps_go_together(make_model, tokenizer, monkeypatch):
    model, sequence, sizes = make_model(0, {"filters": 8}, 11), random_sequence(30), []
    model.register_forward_pre_hook(lambda _, args, inputs: sizes.append(len(inputs["input_ids"])), with_kwargs=True)
    explain(model, sequence, tokenizer, steps=20)
    assert max(sizes) == 10
    sizes.clear()
    monkeypatch.setattr(gradients, "free_memory", lambda device: 0)
    with pytest.warns(UserWarning, match="memory is short: 1 tokens at a time"):
        explain(model, sequence, tokenizer, steps=20)
    assert max(sizes) == 1


def test_when_memory_runs_out_steps_are_halved(make_model, tokenizer, monkeypatch, caplog):
    model, sequence = make_model(0, {"filters": 8}, 11), random_sequence(30)
    _, expected = explain(model, sequence, tokenizer, steps=20)
    inner = Interpolation.outputs

    def outputs(path, *values):
        if len(values[0]) > 3:
            raise torch.OutOfMemoryError
        return inner(path, *values)

    monkeypatch.setattr(Interpolation, "outputs", outputs)
    _, found = explain(model, sequence, tokenizer, steps=20)
    np.testing.assert_allclose(found.difference, expected.difference, rtol=1e-4, atol=1e-6)
    assert [record.args for record in caplog.records] == [(5,), (2,)] * 2


def test_a_sequence_that_does_not_fit_into_memory_is_named(make_model, tokenizer, monkeypatch, refusal):
    def outputs(path, *values):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Interpolation, "outputs", outputs)
    message = refusal(explain, make_model(0, {}, 11), random_sequence(30), tokenizer)
    assert message.startswith("sequence 's' of 30 tokens does not fit into the memory of the GPU; lower")


def off(found, value: float) -> float:
    """Give the share of what is due by which the sum over tokens is off."""
    due = value - found.base[0]
    return abs(found.difference.sum() - due) / abs(due)


def test_where_sums_are_off_more_steps_are_taken(make_model, tokenizer, caplog, monkeypatch):
    model = make_model(0, {"filters": 16, "layers": 2}, 11)
    with monkeypatch.context() as patched:
        patched.setattr(gradients, "MOST_STEPS", 2)
        few = [explain(model, random_sequence(60, seed), tokenizer, steps=2)[1] for seed in range(8)]
    assert max(off(found, found.pred) for found in few) > gradients.TOLERANCE
    caplog.clear()
    found = [explain(model, random_sequence(60, seed), tokenizer, steps=2)[1] for seed in range(8)]
    assert max(off(one, one.pred) for one in found) <= gradients.TOLERANCE
    assert not caplog.records


def test_a_sequence_of_which_sums_stay_off_is_named(make_model, tokenizer, caplog, monkeypatch):
    monkeypatch.setattr(gradients, "MOST_STEPS", 3)
    model = make_model(0, {"filters": 16, "layers": 2}, 11)
    for seed in range(8):
        explain(model, random_sequence(60, seed), tokenizer, steps=2)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told
    assert all(message.startswith("in sequence 's' what tokens add sums to ") for message in told)
    assert told[0].endswith(", in 3 steps; look at its scores with care")


# Shards


def test_the_table_is_that_of_mode_remove(encode_rows, model_folder, score):
    models_, encoded = [model_folder(seed, filters=8) for seed in range(2)], encode_rows(ROWS)
    found, left_out = (score(models_, encoded, mode=mode, steps=10) for mode in (MODE, "remove"))
    same = ["sequence", "token", "label", "start_offset", "end_offset"]
    assert list(found.columns) == list(left_out.columns)
    assert found[same].equals(left_out[same])
    np.testing.assert_allclose(found["pred"], left_out["pred"], rtol=1e-5)


def test_an_explanation_starts_from_the_baseline(encode_rows, model_folder, score_and_merge):
    model, encoded = model_folder(filters=16, layers=2), encode_rows([("s", "gattacagattacagattaca", 1.0)])
    folder = score_and_merge(model, encoded, mode=MODE, steps=200)
    [explanation] = pd.read_pickle(folder / "scores.pkl")
    total = explanation.base_values + explanation.values.sum()
    size = np.abs(explanation.values).sum()
    assert abs(total - pd.read_parquet(folder / "scores.parquet")["pred"][0]) < 0.01 * size
