"""The linear part of a model: what it computes, and how models get it."""

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from wide import draw_sequence, linear_parts

from rnalm.models.baseline import features
from rnalm.models.wide import Wide
from rnalm.tokens.batches import collate


@given(linear_parts(), st.lists(st.integers(0, 14), min_size=1, max_size=4), st.integers(0, 99))
@examples(100)
def test_it_computes_what_the_baseline_does(made, lengths, seed):
    kind, own, linear, channels = made
    random = np.random.default_rng(seed)
    sequences = [draw_sequence(random, kind, length, channels) for length in lengths]
    expected = linear(*features(own, sequences, len(linear.placed) > 0))
    wide = Wide.of(own, linear)
    found = wide(**collate(sequences, channels)).numpy()
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)
    again = Wide(wide.content, len(linear.bias))
    again.load_state_dict(wide.state_dict())
    for sequence, row in zip(sequences, found, strict=True):
        ids = torch.from_numpy(sequence.input_ids.astype(np.int64))[None]
        modifiers = None if sequence.modifiers is None else torch.from_numpy(sequence.modifiers)[None]
        assert again(ids, None, modifiers)[0].numpy() == pytest.approx(row, rel=1e-6, abs=1e-6)
