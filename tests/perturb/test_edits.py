import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnalm.datasets import Encoded
from rnalm.errors import RnalmError
from rnalm.perturb.edits import DELETED, Editor, apply
from rnalm.tokenizers import MASK

A, C, G, T = range(7, 11)
NUMBERS = st.sampled_from([0.0, 0.0, 1.0, -2.5, 0.25])


def sequence_of(ids, modifiers=None) -> Encoded:
    modifiers = None if modifiers is None else np.array(modifiers, dtype=np.float32).reshape(len(modifiers), len(ids))
    return Encoded(0, "s", np.array(ids, dtype=np.int32), modifiers, None, 1.0, None)


def listed(edits) -> list[tuple[int, int, bool]]:
    return list(zip(edits.position.tolist(), edits.token.tolist(), edits.clear.tolist(), strict=True))


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

    assert edits.position.tolist() == [position for position, _, _ in expected]
    if not expected:
        return
    given_modifiers = None if modifiers is None else torch.tensor(modifiers)
    changed_ids, changed_modifiers = apply(torch.tensor(ids), given_modifiers, edits)
    assert changed_ids.tolist() == [changed for _, changed, _ in expected]
    if modifiers is None:
        assert changed_modifiers is None
    else:
        assert changed_modifiers.tolist() == [changed for _, _, changed in expected]


@settings(max_examples=50, deadline=None)
@given(sequence=sequences(), mode=st.sampled_from(["remove", "mask", "replace"]), size=st.integers(1, 5))
def test_edits_applied_in_pieces_make_the_same_sequences(tokenizer, sequence, mode, size):
    ids, modifiers = sequence
    edits = Editor(mode, tokenizer, {"a": ["c", "g"], "c": ["t"]}, True).edits(sequence_of(ids, modifiers))
    given_modifiers = None if modifiers is None else torch.tensor(modifiers)
    if not len(edits):
        return
    whole = apply(torch.tensor(ids), given_modifiers, edits)
    pieces = [apply(torch.tensor(ids), given_modifiers, edits[i : i + size]) for i in range(0, len(edits), size)]
    assert torch.equal(torch.cat([piece[0] for piece in pieces]), whole[0])
    assert modifiers is None or torch.equal(torch.cat([piece[1] for piece in pieces]), whole[1])


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
    assert edits.position.dtype == np.int64
    assert edits.clear.dtype == bool


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


def test_the_original_sequence_is_not_changed_by_its_edits(tokenizer):
    ids, modifiers = torch.tensor([A, C]), torch.tensor([[1.0, 2.0]])
    edits = Editor("replace", tokenizer, {"a": ["g"]}, True).edits(sequence_of([A, C], [[1, 2]]))
    apply(ids, modifiers, edits)
    assert ids.tolist() == [A, C]
    assert modifiers.tolist() == [[1, 2]]


def test_deleting_the_only_token_leaves_an_empty_sequence(tokenizer):
    edits = Editor("remove", tokenizer).edits(sequence_of([A], [[1], [2]]))
    ids, modifiers = apply(torch.tensor([A]), torch.tensor([[1.0], [2.0]]), edits)
    assert ids.shape == (1, 0)
    assert modifiers.shape == (1, 2, 0)


@pytest.mark.parametrize("replacements", [{"A": ["c"]}, {"c": ["g", "A"]}], ids=["of it", "by it"])
def test_a_replacement_that_is_not_in_the_vocabulary_names_the_nearest_token(tokenizer, replacements):
    with pytest.raises(RnalmError, match=r"interpret\.replacements: token 'A' .*did you mean 'a'\?"):
        Editor("replace", tokenizer, replacements)


def test_a_special_token_is_no_replacement(tokenizer):
    with pytest.raises(RnalmError, match="'\\[PAD\\]' is not in the vocabulary"):
        Editor("replace", tokenizer, {"a": ["[PAD]"]})


def test_replacements_matter_in_mode_replace_only(tokenizer):
    assert len(Editor("mask", tokenizer, {"no such token": ["a"]}).edits(sequence_of([A, C]))) == 2
