import numpy as np
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rnalm.models.local import Layer
from rnalm.scoring.edits import Edits
from rnalm.scoring.scorers.windows import find_windows, rounded, through, through_all


@st.composite
def layers(draw) -> tuple[Layer, ...]:
    sizes = draw(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=4))
    return tuple(Layer(nn.Conv1d(1, 1, kernel, dilation=dilation), pool=pool) for kernel, dilation, pool in sizes)


def reached(changed: set[int], layer: Layer, length: int) -> set[int]:
    """List the positions after a layer that read a changed one."""
    found = set()
    for position in range(layer.length(length)):
        outputs = range(position * layer.pool, (position + 1) * layer.pool)
        if changed & {output + tap * layer.dilation for output in outputs for tap in range(layer.kernel_size)}:
            found.add(position)
    return found


@examples(200)
@given(layers=layers(), start=st.integers(0, 60), width=st.integers(0, 9))
def test_a_window_holds_all_that_a_change_reaches(layers, start, width):
    length, changed, window = 60, set(range(start, start + width)), (start, width)
    for layer in layers:
        if length < layer.span + layer.pool:
            return
        changed, length = reached(changed, layer, length), layer.length(length)
        window = through(*window, layer)
        assert changed <= set(range(window[0], sum(window)))


def test_windows_of_saluki_stay_five_positions_wide():
    six = (Layer(nn.Conv1d(4, 4, 5)), *(Layer(nn.Conv1d(4, 4, 5), pool=2) for _ in range(6)))
    assert [through_all(1000, 1, six[:count])[1] for count in range(1, 8)] == [5] * 7
    assert through_all(1000, 0, six)[1] == 5


def test_widths_are_rounded_up_to_powers_of_two():
    assert rounded(np.array([0, 1, 2, 3, 4, 5, 64, 65])).tolist() == [0, 1, 2, 4, 4, 8, 64, 128]


@examples(100)
@given(layers=layers(), data=st.data())
def test_windows_of_one_perturbation_never_meet_and_hold_every_change(layers, data):
    length = 300
    listed = []
    for _ in range(data.draw(st.integers(0, 4))):
        cuts = sorted(data.draw(st.lists(st.integers(0, length), max_size=10)))
        listed.append([(a, b, [7] * data.draw(st.integers(0, 9))) for a, b in zip(cuts[::2], cuts[1::2], strict=False)])
    found = find_windows(Edits.of(listed, length), length, layers)
    for number, spans in enumerate(listed):
        own = np.flatnonzero(found.owner == number)
        assert found.rank[own].tolist() == list(range(len(own)))[::-1]
        assert (found.top[own][1:] >= (found.top + found.top_width)[own][:-1]).all()
        moved, changed = 0, set()
        for start, end, tokens in spans:
            changed |= set(range(start + moved, start + moved + len(tokens)))
            moved += len(tokens) - (end - start)
        held = [set(range(a, a + w)) for a, w in zip(found.start[own], found.width[own], strict=True)]
        assert changed <= set().union(*held)
        if len(own):
            assert found.left[own[0]] == 0
            assert found.right[own].tolist() == [*found.left[own][1:].tolist(), moved]
