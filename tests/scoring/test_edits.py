"""What edits say, and that they are refused where they do not fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.errors import RnalmError
from rnalm.scoring.edits import DELETED, NOWHERE, Edits
from rnalm.tokens.dataset import Encoded

A, C, G, T = range(7, 11)


def spans_of(edits: Edits) -> list[list[tuple[int, int, list[int]]]]:
    """Give back the lists that edits were made of."""
    return [
        [
            (int(edits.start[span]), int(edits.end[span]), edits.token[edits.offset[span] : edits.offset[span + 1]].tolist())
            for span in range(edits.first[number], edits.first[number + 1])
        ]
        for number in range(len(edits))
    ]


@st.composite
def perturbations(draw, length: int = 12) -> list[list[tuple[int, int, list[int]]]]:
    """Lists of spans from left to right that do not overlap."""
    found = []
    for _ in range(draw(st.integers(0, 5))):
        cuts = sorted(draw(st.lists(st.integers(0, length), max_size=6)))
        pairs = zip(cuts[::2], cuts[1::2], strict=False)
        found.append([(start, end, draw(st.lists(st.sampled_from([A, C, G, T]), max_size=3))) for start, end in pairs])
    return found


@given(listed=perturbations())
def test_edits_are_the_lists_that_they_are_made_of(listed):
    edits = Edits.of(listed, 12)
    assert spans_of(edits) == listed
    assert edits.growth.tolist() == [sum(len(come) - (end - start) for start, end, come in spans) for spans in listed]


@given(listed=perturbations(), data=st.data())
def test_chosen_edits_are_what_they_are_among_all(listed, data):
    edits = Edits.of(listed, 12)
    chosen = data.draw(st.lists(st.integers(0, len(listed) - 1))) if listed else []
    assert spans_of(edits[np.array(chosen, dtype=int)]) == [listed[index] for index in chosen]
    assert spans_of(edits[1:3]) == listed[1:3]


def test_edits_of_one_token_each(tokenizer):
    edits = Edits.single(np.array([0, 2, 2]), np.array([DELETED, A, C]), np.array([False, False, True]))
    assert spans_of(edits) == [[(0, 1, [])], [(2, 3, [A])], [(2, 3, [C])]]
    assert edits.keep.tolist() == [2, NOWHERE]


def test_tokens_take_the_modifiers_of_those_in_whose_place_they_stand():
    edits = Edits.of([[(1, 3, [A, A, A])], [(2, 2, [G])], [(0, 2, [T])], []], 4)
    assert edits.keep.tolist() == [1, 2, NOWHERE, NOWHERE, 0]
    assert edits.growth.tolist() == [1, 1, -1, 0]


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(3, 5, [A])], "tokens 3 to 5, expected a range within 0 to 4"),
        ([(2, 1, [])], "tokens 2 to 1, expected a range within 0 to 4"),
        ([(-1, 1, [A])], "tokens -1 to 1, expected a range within 0 to 4"),
        ([(0, 3, [A]), (2, 4, [])], "tokens 2 to 4, expected a range within 3 to 4"),
    ],
    ids=["beyond the end", "backwards", "before the start", "overlap"],
)
def test_a_span_outside_the_sequence_or_over_another_is_refused(spans, message):
    with pytest.raises(RnalmError, match=message):
        Edits.of([[(0, 1, [A])], spans], 4)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(0, 3, [A])], "an edit replaces tokens up to 3, but sequence 's' has 2"),
        ([(0, 1, [11])], "an edit puts token 11, expected an id below the size of the vocabulary, 11"),
        ([(0, 1, [-1])], "an edit puts token -1, expected an id below the size of the vocabulary, 11"),
    ],
)
def test_edits_that_do_not_fit_a_sequence_or_a_vocabulary_are_refused(spans, message):
    with pytest.raises(RnalmError, match=message):
        Edits.of([spans], 3).check(Encoded(0, "s", np.array([A, C]), None, None, 1.0, None), 11)


def test_tokens_are_found_where_they_stand_after_an_edit():
    perturbations = [[], [(1, 3, [])], [(0, 0, [A, A])], [(1, 3, [A])], [(0, 1, []), (2, 4, [A, C, G])], [(4, 4, [T])]]
    edits, length = Edits.of(perturbations, 4), 4
    expected = []
    for spans in perturbations:
        line = list(range(length))  # which token of the sequence each of the perturbed one stands for, None: a new one
        for start, end, tokens in reversed(spans):
            line[start:end] = [start + k if start + k < end else None for k in range(len(tokens))]
        expected.append([line.index(token) if token in line else NOWHERE for token in range(length)])
    assert edits.moved(np.arange(length)).tolist() == expected
    assert edits.moved(np.array([3, 1])).tolist() == [[row[3], row[1]] for row in expected]
