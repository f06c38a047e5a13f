"""On a GPU also networks of one's own, models of tokens, and windows of variants have the outputs that they have on the CPU."""

import copy

import numpy as np
import pytest
import torch
from models.test_chain import DEEPSEA, PADDED, PADDED_POOLED, POOLED, _create

from rnalm.models import registry
from rnalm.scoring.edits import NOWHERE, Edits, offsets
from rnalm.scoring.scorers.choose import choose
from rnalm.scoring.scorers.cones import ConeScorer
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.scoring.scorers.stretches import Joined, StretchScorer, WholeScorer
from rnalm.tokens.dataset import Encoded

pytestmark = pytest.mark.gpu

#: How far outputs may be off: as far as products of float32 are rounded.
CLOSE = {"atol": 5e-5, "rtol": 5e-5}
NETWORKS = {"deepsea": DEEPSEA, "padded": PADDED}
NETWORKS |= {"pooled": POOLED.format(kind="AdaptiveMaxPool1d"), "padded pooled": PADDED_POOLED.format(kind="AdaptiveAvgPool1d")}
SALUKI = "Saluki"
TOKENS = {
    "frames": {"name": "frames", "width": 8, "layers": 1},
    "dilated": {"name": "dilated", "width": 8, "kernel_size": 3, "dilations": [1, 2, 4]},
}
kinds = pytest.mark.parametrize("kind", [*NETWORKS, SALUKI])


@pytest.fixture
def network(tmp_path, make_model, device):
    """Make a network on the device, and the same on the CPU, of ours in float64."""

    def make(kind: str):
        ours = kind == SALUKI
        both = [make_model(0, {"filters": 64, "layers": 3}) if ours else _create(tmp_path, NETWORKS[kind]) for _ in range(2)]
        # Networks of one's own are fed float32.
        return both[0].to(device), both[1].double() if ours else both[1]

    return make


def stretch_of(length: int) -> Encoded:
    ids = np.random.default_rng(length).integers(7, 11, length).astype(np.int32)
    return Encoded(0, "stretch", ids, None, None, 1.0, None)


def windows_of(model, size: int, fixed: bool, count: int = 200) -> Joined:
    """Draw windows of a stretch, of one length: substitutions, deletions and insertions that shift what follows, and none."""
    draw = np.random.default_rng(0)
    length = model.local().minimum_length + (0 if fixed else 5)
    left = draw.integers(8, size - length - 8, count)
    width = draw.integers(0, 4, count)
    grown = draw.integers(-3, 4, count)
    at = draw.integers(0, length - 4, count)
    tokens = draw.integers(7, 11, width.sum())
    keep = np.full(width.sum(), NOWHERE)
    return Joined(left, left - grown, at, np.full(count, length), offsets(width), tokens, keep)


@kinds
def test_windows_of_variants(network, kind):
    model, exact = network(kind)
    stretch = stretch_of(3 * model.local().minimum_length + 60)
    windows = windows_of(model, len(stretch.input_ids), kind in ("deepsea", "padded"))
    expected = WholeScorer(exact)(stretch, windows)
    for scorer in (StretchScorer(model), WholeScorer(model)):
        np.testing.assert_allclose(scorer(stretch, windows), expected, **CLOSE)


@kinds
def test_substitutions(network, kind):
    model, exact = network(kind)
    sequence = stretch_of(model.local().minimum_length)
    position = np.arange(len(sequence.input_ids))
    edits = Edits.single(position, 7 + (sequence.input_ids.astype(np.int64) - 6) % 4)
    base, outputs = NaiveScorer(exact).score(sequence, edits)
    for scorer in (choose(model, "incremental"), NaiveScorer(model)):
        found = scorer.score(sequence, edits)
        np.testing.assert_allclose(np.concatenate([found[1], found[0][None]]), np.concatenate([outputs, base[None]]), **CLOSE)


@pytest.mark.parametrize("kind", TOKENS)
def test_outputs_of_tokens(device, kind):
    torch.manual_seed(0)
    model = registry.create(TOKENS[kind], 11, 0, 2, per="token").eval()
    double, sequence, at = copy.deepcopy(model).double(), stretch_of(300), np.array([3, 150, 290])
    edits = Edits.of([[(5, 6, [])], [(149, 150, [8, 8])], [(151, 153, [7])], [(290, 291, [9])]], 300)
    expected = NaiveScorer(double).launch(sequence, edits, at)()
    scorers = [NaiveScorer(model.to(device)), *([ConeScorer(model)] if hasattr(model, "cone") else [])]
    for scorer in scorers:
        np.testing.assert_allclose(scorer.launch(sequence, edits, at)(), expected, **CLOSE)


def test_windows_of_variants_go_on_where_memory_runs_out(network, under_pressure):
    model, _ = network(SALUKI)
    stretch = stretch_of(30_000)
    windows = windows_of(model, 30_000, False, 4000)
    ample, scarce = under_pressure(lambda: StretchScorer(model)(stretch, windows))
    np.testing.assert_allclose(scarce, ample, atol=1e-5)
