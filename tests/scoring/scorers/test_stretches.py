"""Windows of a stretch, edited or not, have the outputs that the model gives of each by itself."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from models.test_chain import DEEPSEA, PADDED, PADDED_POOLED, POOLED, _create
from scoring.scorers.test_incremental import WIDE, assert_equal, others, salukis, sequence_for
from torch import nn

from rnalm.scoring.edits import NOWHERE, offsets
from rnalm.scoring.scorers import stretches
from rnalm.scoring.scorers.stretches import Joined, StretchScorer, WholeScorer

#: Of these, the first two take one length.
NETWORKS = {"deepsea": DEEPSEA, "padded": PADDED}
NETWORKS |= {"pooled": POOLED.format(kind="AdaptiveMaxPool1d"), "padded pooled": PADDED_POOLED.format(kind="AdaptiveAvgPool1d")}


@st.composite
def joined(draw, size: int, length: int | None, least: int = 1) -> Joined:
    """Draw sequences of a stretch of so many tokens, some of them parts of it."""
    rows, tokens, keep = [], [], []
    for _ in range(draw(st.integers(1, 12))):
        total = length or draw(st.integers(least, min(size, least + 60)))
        left = draw(st.integers(0, size - total))
        if draw(st.integers(0, 4)) == 0:
            rows.append((left, left, draw(st.integers(0, total)), total, 0))
            continue
        at = draw(st.integers(0, total))
        width = draw(st.integers(0, min(5, total - at)))
        behind = at + width
        grown = draw(st.sampled_from([0, 0, 1, -1, 7, -3]))
        right = left - grown if left - grown + behind >= 0 and left - grown + total <= size else left
        rows.append((left, right, at, total, width))
        tokens += draw(st.lists(st.sampled_from([7, 8, 9, 10]), min_size=width, max_size=width))
        keep += draw(st.lists(st.integers(NOWHERE, size - 1), min_size=width, max_size=width))
    left, right, at, total, width = np.array(rows, dtype=np.int64).T
    return Joined(left, right, at, total, offsets(width), np.array(tokens, dtype=np.int64), np.array(keep, dtype=np.int64))


def one_by_one(model, stretch, made: Joined) -> np.ndarray:
    return np.concatenate([WholeScorer(model)(stretch, made[np.array([number])]) for number in range(len(made))])


def assert_as_whole(model, stretch, made: Joined) -> None:
    wide = all(norm.normalized_shape[0] >= WIDE for norm in model.modules() if isinstance(norm, nn.LayerNorm))
    if wide:
        assert_equal([StretchScorer(model)(stretch, made)], [one_by_one(model, stretch, made)])
    model.double()
    np.testing.assert_allclose(StretchScorer(model)(stretch, made), one_by_one(model, stretch, made), rtol=1e-6, atol=1e-6)


@examples(60)
@given(data=st.data())
def test_windows_have_the_outputs_of_whole_passes(make_model, data):
    model = data.draw(st.one_of(salukis(make_model), others()))
    low = model.config.minimum_length
    size = data.draw(st.integers(low, 2 * low + 90))
    stretch = sequence_for(model, size, data.draw(st.integers(0, 99)))
    assert_as_whole(model, stretch, data.draw(joined(size, None, data.draw(st.integers(max(1, low - 2), low)))))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    return {name: _create(folder, text) for name, text in NETWORKS.items()}


@examples(60)
@given(data=st.data(), name=st.sampled_from(list(NETWORKS)), most=st.sampled_from([1, 2**14]))
def test_networks_of_ones_own_too(networks, data, name, most):
    model = networks[name]
    low = model.local().minimum_length
    length = low + data.draw(st.integers(0, 1)) if name in ("deepsea", "padded") else None
    size = data.draw(st.integers(low + 4, 2 * low + 100))
    stretch = sequence_for(model, size, data.draw(st.integers(0, 99)), [7, 8, 9, 10, 11])
    made = data.draw(joined(size, length, low))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "MOST_ROWS", {"cpu": most})
        patch.setattr(stretches, "MOST_NUMBERS", {"cpu": most})
        found = StretchScorer(model)(stretch, made)
    np.testing.assert_allclose(found, one_by_one(model, stretch, made), atol=2e-5, rtol=1e-5)


def test_what_windows_share_is_computed_once(make_model, monkeypatch):
    model = make_model(0, {"filters": 4, "kernel_size": 3, "layers": 3})
    stretch = sequence_for(model, 600, 0)
    left = np.arange(0, 500, 5)
    nothing = np.zeros(0, dtype=np.int64)
    made = Joined(left, left, np.full(100, 100), np.full(100, 100), offsets(np.zeros(100)), nothing, nothing)
    rows, products = [], stretches._products
    monkeypatch.setattr(stretches, "_products", lambda layer, *args: rows.append(len(args[1])) or products(layer, *args))
    StretchScorer(model)(stretch, made)
    assert max(rows) <= 600
    # Windows that lie far apart are computed by themselves, and not what is between them.
    rows.clear()
    StretchScorer(model)(stretch, made[np.array([0, 99])])
    assert max(rows) <= 200
