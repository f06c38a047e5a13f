"""Fast equals slow for models with a linear part: of its sums, only what an edit changes is computed."""

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from wide import LETTERS, OTHERS, SPECIAL, draw_sequence, linear_parts

from rnalm.models.wide import Wide
from rnalm.scoring.edits import NOWHERE, Edits
from rnalm.scoring.scorers.letters import made, with_itself
from rnalm.scoring.scorers.wide import EditedLinear


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
