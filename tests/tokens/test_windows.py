"""Windows: each position is one's own, the most central one's; labels beyond are not known."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnalm.tokens import windows
from rnalm.tokens.dataset import Encoded


@given(st.integers(1, 400), st.integers(1, 90))
def test_each_position_is_its_own_where_it_stands_most_central(length, size):
    divided = windows.divide(length, size)
    assert [divided[0].first, divided[-1].after] == [0, length]
    assert all(one.stop - one.start <= size for one in divided)
    assert all(left.after == right.first for left, right in pairwise(divided))
    for window in divided:
        for position in range(window.first, window.after):
            room = [min(position - one.start, one.stop - 1 - position) for one in divided if one.start <= position < one.stop]
            # Where the ends of the sequence are near, nothing is more central than what there is.
            assert min(position - window.start, window.stop - 1 - position) >= max(room) - 1 or len(room) == 1


def test_lengths_about_the_size():
    assert [len(windows.divide(25_000 + more, 25_000)) for more in (-2, -1, 0, 1)] == [1, 1, 1, 2]
    assert len(windows.divide(49_287, 25_000)) == 3


@given(st.integers(1, 60), st.integers(2, 20), st.sampled_from(["f", "U"]))
def test_the_parts_of_a_sequence_know_each_label_once(length, size, kind):
    labels = np.arange(length, dtype=np.float32) if kind == "f" else np.array([f"c{k}" for k in range(length)])
    whole = Encoded(0, "s", np.arange(length), np.ones((1, length), np.float32), labels, 1.0, None)
    parts = windows.parts([whole], size)
    known = [part.label[~np.isnan(part.label)] if kind == "f" else part.label[part.label != ""] for part in parts]
    np.testing.assert_array_equal(np.concatenate(known), labels)
    for part in parts:
        assert len(part.input_ids) == len(part.label) == part.modifiers.shape[1] <= size
        first = part.input_ids[0]
        np.testing.assert_array_equal(part.input_ids, np.arange(first, first + len(part.label)))
        own = [(place, label) for place, label in zip(part.input_ids, part.label, strict=True) if label in known[0].tolist()]
        assert all(labels[place] == label for place, label in own)


def test_a_sequence_that_fits_is_itself():
    whole = Encoded(0, "s", np.arange(5), None, None, 1.0, None)
    assert windows.parts([whole], 5)[0] is whole
    assert windows.parts([whole], None)[0] is whole
