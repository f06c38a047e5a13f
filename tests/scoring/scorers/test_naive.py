import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rnalm.errors import RnalmError
from rnalm.scoring.editors import TokenEditor as Editor
from rnalm.scoring.edits import Edits
from rnalm.scoring.scorers.naive import NaiveScorer, counting
from rnalm.tokens.dataset import Encoded

REPLACEMENTS = {"a": ["c", "g", "t"], "c": ["a"], "t": ["g"]}


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.all(np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected)))


@st.composite
def cases(draw) -> dict:
    """An architecture, a sequence, often shorter than the model's minimum, and how to perturb it."""
    return {
        "seed": draw(st.integers(0, 10_000)),
        "sizes": {
            "filters": draw(st.integers(1, 6)),
            "kernel_size": draw(st.integers(1, 5)),
            "layers": draw(st.integers(1, 3)),
        },
        "outputs": draw(st.sampled_from([1, 3])),
        "channels": draw(st.integers(0, 2)),
        "length": draw(st.one_of(st.integers(1, 6), st.integers(7, 50))),
        "mode": draw(st.sampled_from(["remove", "mask", "replace"])),
    }


def set_up(tokenizer, make_model, case):
    model = make_model(case["seed"], case["sizes"], 11, case["channels"], case["outputs"])
    random = np.random.default_rng(case["seed"])
    ids = random.choice([0, 7, 8, 9, 10], case["length"]).astype(np.int32)
    modifiers = random.normal(size=(case["channels"], case["length"])) * random.integers(0, 2, case["length"])
    modifiers = modifiers.astype(np.float32) if case["channels"] else None
    sequence = Encoded(0, "s", ids, modifiers, None, 1.0, None)
    return model, sequence, Editor(case["mode"], tokenizer, REPLACEMENTS, replace_modifiers=True).edits(sequence)


@torch.inference_mode()
def run_alone(model, ids: list[int], modifiers: list[list[float]]) -> np.ndarray:
    inputs = {"modifiers": torch.tensor(modifiers)[None]} if modifiers else {}
    return model(input_ids=torch.tensor([ids], dtype=torch.int64), **inputs).logits[0].numpy()


@examples(30)
@given(case=cases())
def test_scores_are_those_of_the_model_on_each_perturbed_sequence_alone(tokenizer, make_model, by_hand, case):
    model, sequence, edits = set_up(tokenizer, make_model, case)
    ids, modifiers = sequence.input_ids.tolist(), [] if sequence.modifiers is None else sequence.modifiers.tolist()
    to_ids = {tokenizer.token_to_id(k): [tokenizer.token_to_id(v) for v in others] for k, others in REPLACEMENTS.items()}

    base, perturbed = NaiveScorer(model).score(sequence, edits)

    assert_close(base, run_alone(model, ids, modifiers))
    expected = [run_alone(model, *changed) for _, *changed in by_hand(ids, modifiers, case["mode"], to_ids, True)]
    assert_close(perturbed, np.array(expected, dtype=np.float32).reshape(-1, case["outputs"]))


@examples(20)
@given(case=cases(), batch_tokens=st.integers(1, 300))
def test_the_size_of_batches_does_not_matter(tokenizer, make_model, case, batch_tokens):
    model, sequence, edits = set_up(tokenizer, make_model, case)
    expected_base, expected = NaiveScorer(model).score(sequence, edits)
    base, perturbed = NaiveScorer(model, batch_tokens).score(sequence, edits)
    assert np.array_equal(base, expected_base)
    assert_close(perturbed, expected)


def test_a_batch_holds_no_more_tokens_than_allowed(tokenizer, make_model):
    model = make_model(0, {})
    sequence = Encoded(0, "s", np.full(10, 7, dtype=np.int32), None, None, 1.0, None)
    sizes = []
    model.register_forward_pre_hook(lambda _, args, inputs: sizes.append(inputs["input_ids"].numel()), with_kwargs=True)
    NaiveScorer(model, batch_tokens=35).score(sequence, Editor("mask", tokenizer).edits(sequence))
    assert sum(sizes) == 10 + 10 * 10
    assert max(sizes) <= 35


@pytest.mark.filterwarnings("ignore:memory is short")
def test_batches_fit_into_memory(tokenizer, make_model):
    model = make_model(0, {"filters": 8, "kernel_size": 3, "layers": 1})
    sequence = Encoded(0, "s", np.full(64, 7, dtype=np.int32), None, None, 1.0, None)
    sizes = []
    model.register_forward_pre_hook(lambda _, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True)
    scorer = NaiveScorer(model)
    edits = Editor("mask", tokenizer).edits(sequence)
    with counting(model) as activations, torch.inference_mode():
        model(input_ids=torch.from_numpy(sequence.input_ids.astype(np.int64))[None])
    for rows, expected in ((0, 1), (1.5, 1), (9, 8), (1000, 64)):
        sizes.clear()
        scorer.memory = rows * sum(activations)
        scorer.score(sequence, edits)
        assert max(sizes[1:]) == expected


def test_when_memory_runs_out_batches_are_halved(tokenizer, make_model, monkeypatch, caplog):
    model = make_model(0, {})
    sequence = Encoded(0, "s", np.full(64, 7, dtype=np.int32), None, None, 1.0, None)
    edits = Editor("mask", tokenizer).edits(sequence)
    scorer = NaiveScorer(model)
    expected = scorer.score(sequence, edits)
    inner = scorer._run

    def run(material, index, places):
        if len(index) > 20:
            raise torch.OutOfMemoryError
        return inner(material, index, places)

    monkeypatch.setattr(scorer, "_run", run)
    for found, right in zip(scorer.score(sequence, edits), expected, strict=True):
        assert_close(found, right)
    assert [record.args for record in caplog.records] == [(32,), (16,)]


@pytest.mark.parametrize("fitting", [0, 1])
def test_a_perturbation_that_does_not_fit_into_memory_names_the_sequence(tokenizer, make_model, monkeypatch, fitting):
    scorer, inner, runs = NaiveScorer(make_model(0, {})), NaiveScorer._run, []

    def run(material, index, places):
        runs.append(len(index))
        if len(runs) > fitting:
            raise torch.OutOfMemoryError
        return inner(scorer, material, index, places)

    monkeypatch.setattr(scorer, "_run", run)
    sequence = Encoded(0, "long", np.full(64, 7, dtype=np.int32), None, None, 1.0, None)
    with pytest.raises(RnalmError, match="sequence 'long' of 64 tokens does not fit into the memory of the GPU; lower"):
        scorer.score(sequence, Editor("mask", tokenizer).edits(sequence))


def test_general_edits_are_scored_one_length_at_a_time(make_model):
    model = make_model(1, {}, 11, 1)
    random = np.random.default_rng(0)
    ids = random.integers(7, 11, 30).astype(np.int32)
    modifiers = random.normal(size=(1, 30)).astype(np.float32)
    edits = Edits.of([[(3, 5, [8])], [], [(0, 0, [9, 9]), (29, 30, [])], [(10, 11, [7])]], 30)
    base, perturbed = NaiveScorer(model).score(Encoded(0, "s", ids, modifiers, None, 1.0, None), edits)
    tokens, floats = ids.tolist(), modifiers[0].tolist()
    made = [
        ([*tokens[:3], 8, *tokens[5:]], [*floats[:4], *floats[5:]]),
        (tokens, floats),
        ([9, 9, *tokens[:29]], [0.0, 0.0, *floats[:29]]),
        ([*tokens[:10], 7, *tokens[11:]], floats),
    ]
    assert_close(perturbed, np.stack([run_alone(model, changed, [attached]) for changed, attached in made]))
    assert_close(base, run_alone(model, tokens, [floats]))
