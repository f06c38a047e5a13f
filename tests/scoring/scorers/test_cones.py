"""The incremental scorer of tokens: the outputs of the naive one, from what lies between an edit and an explained position."""

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rnalm.errors import RnalmError
from rnalm.models import registry
from rnalm.scoring.edits import DELETED, Edits
from rnalm.scoring.scorers import cones
from rnalm.scoring.scorers.choose import choose
from rnalm.scoring.scorers.cones import ConeScorer, find_cones
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.tokens.dataset import Encoded


def network(modifiers: int = 0, **options):
    torch.manual_seed(1)
    sizes = {"name": "dilated", "width": 4, "kernel_size": 3, "dilations": [1, 2, 1]}
    model = registry.create(sizes | options, 11, modifiers, 2, per="token").eval()
    for weights in model.parameters():
        weights.data.add_(0.2 * torch.randn_like(weights))
    return model


def sequence_of(length: int, modifiers: int = 0) -> Encoded:
    draw = np.random.default_rng(length)
    own = draw.random((modifiers, length)).astype(np.float32) if modifiers else None
    return Encoded(0, "s", draw.integers(7, 11, length).astype(np.int32), own, None, 1.0, None)


@st.composite
def edited(draw) -> tuple[int, list, list[int]]:
    """Draw a length, perturbations of any number of spans, and explained positions."""
    length = draw(st.integers(1, 40))
    perturbations = []
    for _ in range(draw(st.integers(0, 5))):
        cuts = sorted(draw(st.lists(st.integers(0, length), max_size=6)))
        tokens = st.lists(st.integers(0, 10), max_size=4)
        perturbations.append([(start, end, draw(tokens)) for start, end in zip(cuts[::2], cuts[1::2], strict=False)])
    at = draw(st.lists(st.integers(0, length - 1), min_size=1, unique=True))
    return length, perturbations, sorted(at)


@examples(40)
@given(edited(), st.sampled_from([0, 2]), st.sampled_from([None, 1, 9]))
def test_outputs_are_those_of_the_naive_scorer(case, modifiers, batch_tokens):
    length, perturbations, at = case
    model, sequence = network(modifiers), sequence_of(length, modifiers)
    edits = Edits.of(perturbations, length)
    expected = NaiveScorer(model).launch(sequence, edits, np.array(at))()
    found = ConeScorer(model, batch_tokens).launch(sequence, edits, np.array(at))()
    assert found.shape == (len(edits) + 1, len(at), 2)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


def test_a_deleted_token_has_no_output_and_those_after_it_move_up():
    model, sequence = network(), sequence_of(9)
    edits = Edits.single(np.array([4, 4]), np.array([DELETED, 10]))
    for scorer in (NaiveScorer(model), ConeScorer(model)):
        outputs = scorer.launch(sequence, edits, np.array([3, 4, 5]))()
        assert np.isnan(outputs[0, 1]).all()
        assert np.isfinite(outputs[[0, 0, 1, 1, 1], [0, 2, 0, 1, 2]]).all()
        kept = torch.from_numpy(np.delete(sequence.input_ids, 4))[None]
        with torch.inference_mode():
            np.testing.assert_allclose(outputs[0, [0, 2]], model(kept).logits[0, [3, 4]].numpy(), atol=1e-5)


def test_an_edit_out_of_reach_changes_nothing_at_all_and_costs_nothing():
    model, sequence = network(), sequence_of(60)
    scorer, computed = ConeScorer(model), []
    inner = scorer._score
    scorer._score = lambda material, edits, cones, *more: computed.extend(cones.owner) or inner(material, edits, cones, *more)
    edits = Edits.single(np.arange(60), np.full(60, 4))
    *perturbed, base = scorer.launch(sequence, edits, np.array([30]))()
    changed = [edit for edit, outputs in enumerate(perturbed) if (outputs != base).any()]
    assert changed == sorted(computed) == list(range(30 - model.reach, 30 + model.reach + 1))


def test_fewer_positions_are_computed_the_nearer_an_edit_is_to_the_edge_of_what_is_seen():
    model, at = network(), np.array([30])
    edits = Edits.single(np.arange(60), np.full(60, 4))
    found = find_cones(edits, edits.moved(at), model.cone())
    sizes = dict(zip(found.owner.tolist(), found.width.sum(axis=0).tolist(), strict=True))
    assert sizes[30] >= sizes[28] > sizes[27] > sizes[26]
    assert found.width[-1].tolist() == [1] * len(found.owner)


def test_bfloat16_is_near():
    model, sequence = network(), sequence_of(50)
    edits, at = Edits.single(np.arange(50), np.full(50, 4)), np.arange(50)
    exact, rough = (ConeScorer(model, precision=p).launch(sequence, edits, at)() for p in ("float32", "bf16"))
    assert 0 < np.abs(exact - rough).max() < 0.1


def test_it_is_chosen_for_outputs_of_tokens_alone():
    assert isinstance(choose(network()), ConeScorer)
    assert isinstance(choose(network(), "naive"), NaiveScorer)
    of_sequences = registry.create({"name": "dilated", "width": 4, "kernel_size": 3, "dilations": [1]}, 11, 0, 2).eval()
    assert isinstance(choose(of_sequences), NaiveScorer)
    with pytest.raises(RnalmError, match="incremental needs a local architecture, which dilated is not"):
        choose(of_sequences, "incremental")


@pytest.mark.filterwarnings("ignore:memory")
def test_when_memory_runs_out_fewer_positions_are_computed_at_a_time(monkeypatch, caplog):
    model, sequence = network(), sequence_of(40)
    edits, at = Edits.single(np.arange(40), np.full(40, 4)), np.array([20])
    scorer = ConeScorer(model)
    expected, inner = scorer.launch(sequence, edits, at)(), scorer._score

    def score(material, edits, cones, *more):
        if len(cones.owner) > 4:
            raise torch.OutOfMemoryError
        inner(material, edits, cones, *more)

    monkeypatch.setattr(scorer, "_score", score)
    np.testing.assert_allclose(scorer.launch(sequence, edits, at)(), expected, atol=1e-6)
    assert "changed positions at a time" in caplog.text
    monkeypatch.setattr(scorer, "_score", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError))
    with pytest.raises(RnalmError, match="sequence 's' of 40 tokens does not fit into the memory of the GPU"):
        scorer.launch(sequence, edits, at)


def test_of_a_long_sequence_only_windows_are_made(monkeypatch):
    made = []
    inner = cones.apply
    monkeypatch.setattr(cones, "apply", lambda *arguments: made.append(inner(*arguments)) or made[-1])
    model, sequence = network(), sequence_of(5000)
    edits = Edits.single(np.arange(5000), np.full(5000, 4))
    ConeScorer(model).launch(sequence, edits, np.array([2500]))()
    assert sum(each.numel() for each in made) < 20 * model.reach
