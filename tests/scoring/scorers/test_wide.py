"""Fast equals slow for models with a linear part: of its sums, only what an edit changes is computed."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from models.test_chain import DEEPSEA, PADDED, POOLED, _create
from scoring.scorers.test_incremental import assert_equal
from scoring.scorers.test_stretches import joined, one_by_one
from wide import LETTERS, OTHERS, SPECIAL, counted, draw_sequence, linear, linear_parts

from rnalm.models.wide import Wide, attach
from rnalm.scoring.edits import DELETED, NOWHERE, Edits
from rnalm.scoring.scorers.choose import choose
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.letters import made, with_itself
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.scoring.scorers.stretches import StretchScorer
from rnalm.scoring.scorers.wide import EditedLinear, WideScorer


def draw_edits(random: np.random.Generator, length: int, tokens: int, count: int, channels: int) -> Edits:
    """Draw perturbations of up to three spans, which may touch each other, and the ends."""
    perturbations = []
    for _ in range(count):
        places = np.sort(random.integers(0, length + 1, 2 * random.integers(0, 4))).reshape(-1, 2)
        spans = [
            (start, end, random.integers(len(SPECIAL), len(SPECIAL) + tokens, random.integers(0, 4)).tolist())
            for start, end in places.tolist()
        ]
        perturbations.append([(start, end, comes) for start, end, comes in spans if comes or start < end])
    edits = Edits.of(perturbations, length)
    if channels:  # some of those that come lose their modifiers
        edits.keep[random.random(len(edits.keep)) < 0.3] = NOWHERE
    return edits


@given(linear_parts(), st.integers(0, 16), st.integers(0, 9), st.integers(0, 999))
@examples(200)
def test_sums_over_edited_sequences_are_those_over_each_by_itself(drawn, length, count, seed):
    kind, own, linear, channels = drawn
    random = np.random.default_rng(seed)
    sequence = draw_sequence(random, kind, length, channels)
    edits = draw_edits(random, length, len((LETTERS | OTHERS)[kind]), count, channels)
    of_edited = EditedLinear(Wide.of(own, linear), channels)
    expected = of_edited.of_whole(made(sequence, with_itself(edits), range(len(edits) + 1)))
    assert of_edited(sequence, edits) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    for part in (slice(0, count // 2), slice(count // 2, None)):
        assert (of_edited(sequence, edits[part])[:-1] == of_edited(sequence, edits)[:-1][part]).all()


def single(mode: str, length: int, tokens: int) -> Edits:
    """Give the perturbations of a mode: of each token, or of pairs of them."""
    place, plain = np.arange(length), len(SPECIAL)
    if mode == "remove":
        return Edits.single(place, np.full(length, DELETED))
    if mode == "mask":
        return Edits.single(place, np.full(length, 4))
    each = Edits.single(np.repeat(place, tokens), np.tile(np.arange(plain, plain + tokens), length))
    if mode == "mutate":
        return each.together(np.array([(first, len(each) - 1 - first) for first in range(tokens * (length // 2))]))
    clear = np.arange(len(each)) % 2 == 0
    return Edits.single(np.repeat(place, tokens), each.token, clear)


@pytest.mark.parametrize("mode", ["remove", "mask", "replace", "mutate"])
@examples(12)
@given(linear_parts(kinds=[*LETTERS]), st.integers(8, 40), st.integers(0, 99))
def test_every_mode_scores_as_the_naive_scorer(make_model, mode, drawn, length, seed):
    kind, own, weights, channels = drawn
    sizes = {"filters": 16, "kernel_size": 3, "layers": 2, "readout": ["last", "mean"][seed % 2]}
    tokens = len(LETTERS[kind])
    model = make_model(seed, sizes, len(SPECIAL) + tokens, channels, len(weights.bias))
    attach(model, Wide.of(own, weights))
    sequence = draw_sequence(np.random.default_rng(seed), kind, length, channels)
    edits, scorer = single(mode, length, tokens), choose(model)
    assert isinstance(scorer, WideScorer)
    found = scorer.score(sequence, edits)
    assert_equal(found, NaiveScorer(model).score(sequence, edits))
    # That the network alone is another, or this would say little.
    assert not np.allclose(found[0], IncrementalScorer(model).score(sequence, edits)[0], atol=1e-3)


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """Make networks of users' own, the first two of which take one length, with a linear part that knows positions."""
    made = {}
    for name, code in {"deepsea": DEEPSEA, "padded": PADDED, "pooled": POOLED.format(kind="AdaptiveMaxPool1d")}.items():
        model = _create(tmp_path_factory.mktemp(name), code)
        length = next((local.minimum_length for local in [model.local()] if name != "pooled"), 40)
        attach(model, Wide.of(own := counted("letters", length=length), linear(own, 2, True, 0)))
        made[name] = model, length
    return made


@pytest.mark.parametrize("name", ["deepsea", "padded", "pooled"])
@pytest.mark.parametrize("mode", ["remove", "mask", "replace", "mutate"])
def test_chains_of_a_user_s_own_score_as_the_naive_scorer(chains, name, mode):
    model, length = chains[name]
    if mode == "remove" and name != "pooled":
        return  # they take one length
    sequence, edits = draw_sequence(np.random.default_rng(1), "letters", length, 0), single(mode, length, 4)
    assert_equal(choose(model, "incremental").score(sequence, edits), NaiveScorer(model).score(sequence, edits))


@pytest.mark.parametrize("name", ["deepsea", "padded", "pooled"])
@examples(10)
@given(data=st.data(), seed=st.integers(0, 99))
def test_windows_of_a_stretch_have_the_outputs_of_whole_passes(chains, name, data, seed):
    model, length = chains[name]
    size = length + data.draw(st.integers(0, 60))
    stretch = draw_sequence(np.random.default_rng(seed), "letters", size, 0)
    windows = data.draw(joined(size, length if name != "pooled" else None, least=20))
    assert_equal([StretchScorer(model)(stretch, windows)], [one_by_one(model, stretch, windows)])
