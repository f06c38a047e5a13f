import numpy as np
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rnalm.scoring.edits import DELETED, Edits
from rnalm.scoring.scorers.material import Material, apply
from rnalm.tokens.dataset import Encoded

CPU, PAD = torch.device("cpu"), 3


def sequence_of(ids, modifiers=None) -> Encoded:
    return Encoded(0, "s", np.array(ids, dtype=np.int32), modifiers, None, 1.0, None)


def make(sequence: Encoded, edits: Edits, chosen, channels: int = 0) -> tuple[list, list | None]:
    material = Material(sequence, edits, channels, CPU, PAD)
    ids, modifiers = material.take(apply(material, edits, np.array(chosen)))
    return ids.tolist(), None if modifiers is None else modifiers.tolist()


@examples(200)
@given(data=st.data(), length=st.integers(1, 20), channels=st.integers(0, 2))
def test_spans_give_way_to_their_tokens(data, length, channels):
    random = np.random.default_rng(length)
    ids = random.integers(7, 11, length).tolist()
    modifiers = random.normal(size=(channels, length)).astype(np.float32)
    tokens = st.lists(st.integers(11, 20), max_size=4)
    listed = []
    for _ in range(data.draw(st.integers(1, 5))):
        cuts = sorted(data.draw(st.lists(st.integers(0, length), max_size=6)))
        listed.append([(a, b, data.draw(tokens)) for a, b in zip(cuts[::2], cuts[1::2], strict=False)])

    edits = Edits.of(listed, length)

    for growth in set(edits.growth.tolist()):
        chosen = np.flatnonzero(edits.growth == growth).tolist()
        found, attached = make(sequence_of(ids, modifiers), edits, chosen, channels)
        for number, perturbed, floats in zip(chosen, found, attached or [None] * len(found), strict=True):
            expected, kept, after = [], [], 0
            for start, end, comes in listed[number]:
                expected += ids[after:start] + comes
                kept += [*range(after, start), *(start + i if start + i < end else None for i in range(len(comes)))]
                after = end
            assert perturbed == expected + ids[after:]
            kept += range(after, length)
            for channel in range(channels):
                assert floats[channel] == [0.0 if place is None else modifiers[channel, place] for place in kept]


def test_a_model_without_modifiers_gets_none():
    assert make(sequence_of([7, 8]), Edits.single(np.array([0]), np.array([9])), [0]) == ([[9, 8]], None)


def test_modifiers_that_the_model_has_and_the_sequence_has_not_are_zero():
    found = make(sequence_of([7, 8]), Edits.single(np.array([1]), np.array([9])), [0], channels=1)
    assert found == ([[7, 9]], [[[0.0, 0.0]]])


def test_deleting_the_only_token_leaves_an_empty_sequence():
    edits = Edits.single(np.array([0]), np.array([DELETED]))
    material = Material(sequence_of([7], np.ones((2, 1), dtype=np.float32)), edits, 2, CPU, PAD)
    ids, modifiers = material.take(apply(material, edits, np.array([0])))
    assert ids.shape == (1, 0)
    assert modifiers.shape == (1, 2, 0)


def test_the_material_ends_with_padding():
    material = Material(sequence_of([7, 8]), Edits.single(np.array([1]), np.array([9])), 0, CPU, PAD)
    assert material.ids.tolist() == [7, 8, 9, PAD]
