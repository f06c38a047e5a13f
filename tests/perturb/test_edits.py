import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnalm.datasets import Encoded
from rnalm.errors import RnalmError
from rnalm.perturb.edits import DELETED, NOWHERE, Editor, Edits
from rnalm.tokenizers import MASK

A, C, G, T = range(7, 11)
NUMBERS = st.sampled_from([0.0, 0.0, 1.0, -2.5, 0.25])


def sequence_of(ids, modifiers=None) -> Encoded:
    modifiers = None if modifiers is None else np.array(modifiers, dtype=np.float32).reshape(len(modifiers), len(ids))
    return Encoded(0, "s", np.array(ids, dtype=np.int32), modifiers, None, 1.0, None)


def listed(edits) -> list[tuple[int, int, bool]]:
    """List (position, token or DELETED, whether modifiers go) of edits of one token each."""
    assert edits.first.tolist() == list(range(len(edits) + 1))
    assert (edits.end == edits.start + 1).all()
    token, keep = np.full((2, len(edits)), DELETED)
    token[edits.count == 1], keep[edits.count == 1] = edits.token, edits.keep
    clear = (edits.count == 1) & (keep == NOWHERE)
    assert (keep == edits.start)[(edits.count == 1) & ~clear].all()
    return list(zip(edits.start.tolist(), token.tolist(), clear.tolist(), strict=True))


def made(ids, modifiers, edits) -> list[tuple[list[int], list[list[float]]]]:
    """Make the perturbed sequences in plain lists, as (ids, modifiers by channel)."""
    tokens = list(zip(ids, *(modifiers or []), strict=True))
    found = []
    for number in range(len(edits)):
        changed, after = [], 0
        for span in range(edits.first[number], edits.first[number + 1]):
            changed += tokens[after : edits.start[span]]
            for token in range(edits.offset[span], edits.offset[span + 1]):
                keep = edits.keep[token]
                attached = [0.0] * len(modifiers or []) if keep == NOWHERE else tokens[keep][1:]
                changed.append((int(edits.token[token]), *attached))
            after = edits.end[span]
        changed += tokens[after:]
        found.append(([token for token, *_ in changed], [[t[c + 1] for t in changed] for c in range(len(modifiers or []))]))
    return found


@st.composite
def sequences(draw) -> tuple[list[int], list[list[float]] | None]:
    """A sequence of ids, [UNK] among them, with no modifiers or 1 to 3 channels of them."""
    ids = draw(st.lists(st.sampled_from([0, A, C, G, T]), min_size=1, max_size=12))
    channels = draw(st.sampled_from([None, 1, 2, 3]))
    if channels is None:
        return ids, None
    return ids, [draw(st.lists(NUMBERS, min_size=len(ids), max_size=len(ids))) for _ in range(channels)]


@settings(max_examples=200, deadline=None)
@given(
    sequence=sequences(),
    mode=st.sampled_from(["remove", "mask", "replace"]),
    replacements=st.dictionaries(st.sampled_from("acgt"), st.lists(st.sampled_from("acgt"), max_size=3), max_size=4),
    replace_modifiers=st.booleans(),
)
def test_edits_make_the_sequences_that_plain_lists_make(tokenizer, by_hand, sequence, mode, replacements, replace_modifiers):
    ids, modifiers = sequence
    editor = Editor(mode, tokenizer, replacements, replace_modifiers)
    to_ids = {tokenizer.token_to_id(k): [tokenizer.token_to_id(v) for v in others] for k, others in replacements.items()}
    expected = by_hand(ids, modifiers or [], mode, to_ids, replace_modifiers)

    edits = editor.edits(sequence_of(ids, modifiers))

    assert edits.start.tolist() == [position for position, _, _ in expected]
    assert made(ids, modifiers, edits) == [(changed, attached) for _, changed, attached in expected]


@settings(max_examples=50, deadline=None)
@given(sequence=sequences(), mode=st.sampled_from(["remove", "mask", "replace"]), data=st.data())
def test_chosen_edits_make_what_they_make_among_all(tokenizer, sequence, mode, data):
    ids, modifiers = sequence
    edits = Editor(mode, tokenizer, {"a": ["c", "g"], "c": ["t"]}, True).edits(sequence_of(ids, modifiers))
    chosen = data.draw(st.lists(st.integers(0, len(edits) - 1))) if len(edits) else []
    whole = made(ids, modifiers, edits)
    assert made(ids, modifiers, edits[np.array(chosen, dtype=int)]) == [whole[index] for index in chosen]
    assert made(ids, modifiers, edits[1:3]) == whole[1:3]


def test_remove_and_mask_edit_every_token_once(tokenizer):
    sequence = sequence_of([A, 0, T])
    assert listed(Editor("remove", tokenizer).edits(sequence)) == [(i, DELETED, False) for i in range(3)]
    assert listed(Editor("mask", tokenizer).edits(sequence)) == [(i, MASK, False) for i in range(3)]


def test_replace_lists_edits_by_position_then_in_the_order_of_the_replacements(tokenizer):
    editor = Editor("replace", tokenizer, {"a": ["t", "c"], "g": ["a"]})
    assert listed(editor.edits(sequence_of([G, A, C]))) == [(0, A, False), (1, T, False), (1, C, False)]


def test_replace_leaves_tokens_alone_that_are_not_listed(tokenizer):
    edits = Editor("replace", tokenizer, {"a": ["t"]}).edits(sequence_of([C, G, 0]))
    assert len(edits) == 0
    assert edits.start.dtype == edits.token.dtype == np.int64


def test_replace_modifiers_adds_the_token_itself_where_it_has_modifiers(tokenizer):
    editor = Editor("replace", tokenizer, {"a": ["c"]}, replace_modifiers=True)
    sequence = sequence_of([A, A, G], [[0, 0, 0], [0, 1.5, -1]])
    assert listed(editor.edits(sequence)) == [(0, C, False), (1, C, False), (1, A, True), (2, G, True)]


def test_replace_modifiers_works_without_replacements(tokenizer):
    editor = Editor("replace", tokenizer, replace_modifiers=True)
    assert listed(editor.edits(sequence_of([A, C], [[2, 0]]))) == [(0, A, True)]
    assert len(editor.edits(sequence_of([A, C]))) == 0


def test_modifiers_stay_in_replace_unless_replace_modifiers_is_set(tokenizer):
    editor = Editor("replace", tokenizer, {"a": ["c"]})
    assert listed(editor.edits(sequence_of([A], [[2]]))) == [(0, C, False)]


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


@pytest.mark.parametrize("replacements", [{"A": ["c"]}, {"c": ["g", "A"]}], ids=["of it", "by it"])
def test_a_replacement_that_is_not_in_the_vocabulary_names_the_nearest_token(tokenizer, replacements):
    with pytest.raises(RnalmError, match=r"interpret\.replacements: token 'A' .*did you mean 'a'\?"):
        Editor("replace", tokenizer, replacements)


def test_a_special_token_is_no_replacement(tokenizer):
    with pytest.raises(RnalmError, match="'\\[PAD\\]' is not in the vocabulary"):
        Editor("replace", tokenizer, {"a": ["[PAD]"]})


def test_replacements_matter_in_mode_replace_only(tokenizer):
    assert len(Editor("mask", tokenizer, {"no such token": ["a"]}).edits(sequence_of([A, C]))) == 2
