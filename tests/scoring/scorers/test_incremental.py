"""Fast equals slow: the incremental scorer against the naive one, and that against the model on each sequence alone."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from rnalm.errors import RnalmError
from rnalm.models import compiled
from rnalm.models.local import Layer, Local, Pooled, Recurrent
from rnalm.scoring import scorers
from rnalm.scoring.editors import TokenEditor as Editor
from rnalm.scoring.edits import DELETED, Edits
from rnalm.scoring.scorers import incremental, reading
from rnalm.scoring.scorers.beside import Beside
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.scoring.scorers.passes import pass_bytes, passes
from rnalm.scoring.scorers.windows import find_windows
from rnalm.tokens.dataset import Encoded

REPLACEMENTS = {"a": ["c", "g", "t"], "c": ["a"], "t": ["g"]}
#: Channels from which on a normalization over them is well-conditioned.
WIDE = 16


class OtherConfig(PreTrainedConfig):
    """Any local architecture but Saluki's: ``layers`` lists kernel, dilation, pool and whether ReLU comes after."""

    model_type = "other-local"

    def __init__(self, layers=((3, 1, 2, True),), filters=4, readout="mean", modifier_channels=0, **kwargs):
        self.layers, self.filters, self.readout, self.modifier_channels = layers, filters, readout, modifier_channels
        super().__init__(**kwargs)

    @property
    def minimum_length(self) -> int:
        length = 1
        for kernel, dilation, pool, _ in reversed(self.layers):
            length = length * pool + (kernel - 1) * dilation
        return length


class Other(PreTrainedModel):
    """A second local architecture; the engine knows nothing of it but what ``local`` says."""

    config_class = OtherConfig

    def __init__(self, config: OtherConfig) -> None:
        super().__init__(config)
        widths = [4 + config.modifier_channels] + [config.filters + number for number in range(len(config.layers))]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(a, b, kernel, dilation=dilation, bias=number % 2 == 0)
            for number, (a, b, (kernel, dilation, _, _)) in enumerate(zip(widths, widths[1:], config.layers, strict=False))
        )
        self.gru = nn.GRU(widths[-1], 3, batch_first=True) if config.readout == "gru" else None
        self.linear = nn.Linear(3 if self.gru else widths[-1], config.num_labels)
        self.post_init()

    def _init_weights(self, module):
        """Leave weights as PyTorch draws them; transformers would draw them so small that edits hardly show."""

    def inputs(self, ids, modifiers=None):
        x = F.one_hot((ids - 7).clamp(min=0), 4) * (ids >= 7)[..., None]
        x = x.transpose(1, 2).to(self.linear.weight.dtype)
        return x if modifiers is None else torch.cat([x, modifiers.to(x.dtype)], dim=1)

    def forward(self, input_ids, attention_mask=None, modifiers=None):
        x = self.inputs(input_ids, modifiers)
        x = F.pad(x, (0, max(0, self.config.minimum_length - x.shape[2])))
        for convolution, (_, _, pool, relu) in zip(self.convolutions, self.config.layers, strict=True):
            x = convolution(x)
            x = F.max_pool1d(F.relu(x) if relu else x, pool)
        x = torch.tanh(x)
        if self.gru:
            x = self.gru(x.flip(2).transpose(1, 2))[1][0]
        else:
            x = {"mean": x.mean(2), "sum": x.sum(2), "max": x.amax(2)}[self.config.readout]
        return SimpleNamespace(logits=self.linear(x))

    def local(self):
        layers = [
            Layer(convolution, after=F.relu if relu else lambda x: x, pool=pool)
            for convolution, (_, _, pool, relu) in zip(self.convolutions, self.config.layers, strict=True)
        ]
        readout = Recurrent(self.gru) if self.gru else Pooled(self.config.readout, self.linear.in_features, self.linear.weight)
        return Local(self.inputs, tuple(layers), torch.tanh, readout, self.linear, self.config.minimum_length)


@st.composite
def salukis(draw, make_model):
    sizes = {
        "filters": draw(st.one_of(st.integers(1, 6), st.integers(WIDE, WIDE + 8))),
        "kernel_size": draw(st.integers(1, 6)),
        "layers": draw(st.integers(1, 4)),
        "readout": draw(st.sampled_from(["last", "mean"])),
    }
    return make_model(draw(st.integers(0, 10_000)), sizes, 11, draw(st.integers(0, 2)), draw(st.sampled_from([1, 3])))


@st.composite
def others(draw):
    layers = draw(
        st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.booleans()), min_size=1, max_size=4)
    )
    torch.manual_seed(draw(st.integers(0, 10_000)))
    config = OtherConfig(
        tuple(layers),
        readout=draw(st.sampled_from(["mean", "sum", "max", "gru"])),
        modifier_channels=draw(st.integers(0, 2)),
        num_labels=draw(st.sampled_from([1, 3])),
    )
    return Other(config).eval()


def sequence_for(model, length: int, seed: int, tokens=(0, 7, 8, 9, 10)) -> Encoded:
    random = np.random.default_rng(seed)
    ids = random.choice(tokens, length).astype(np.int32)
    channels = getattr(model.config, "modifier_channels", 0)
    modifiers = (random.normal(size=(channels, length)) * random.integers(0, 2, length)).astype(np.float32)
    return Encoded(0, "s", ids, modifiers if channels else None, None, 1.0, None)


@st.composite
def general(draw, length: int) -> Edits:
    """Perturbations with several spans each, none among them, replaced by as many tokens, fewer or more."""
    few = st.lists(st.sampled_from([4, 0, 7, 8, 9, 10]), max_size=6)
    many = st.integers(20, 120).map(lambda count: [7, 9, 8] * (count // 3))
    tokens = st.one_of(few, few, few, many)

    def spans():
        cuts = draw(st.lists(st.integers(0, length), min_size=0, max_size=8))
        cuts = sorted(cuts + draw(st.sampled_from([[], cuts, cuts[:2]])))  # with insertions and spans side by side
        return [(a, b, draw(tokens)) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]

    return Edits.of([spans() for _ in range(draw(st.integers(0, 6)))], length)


def lengths(model):
    """Lengths below, at and about the minimum, and well above it."""
    low = model.config.minimum_length
    return st.one_of(st.integers(1, low), st.integers(max(1, low - 2), low + 3), st.integers(low, 3 * low + 60))


def assert_equal(found, expected) -> None:
    for fast, slow in zip(found, expected, strict=True):
        assert fast.shape == slow.shape
        assert fast.dtype == np.float32
        assert np.all(np.abs(fast - slow) <= 1e-5 * np.maximum(1, np.abs(slow)))


def assert_fast_equals_slow(model, sequence, edits, rows) -> None:
    """Hold the scorers against each other in float64, and in float32 unless the model normalizes over few channels.

    Such a LayerNorm magnifies rounding: where its channels are nearly equal, it divides their differences, of which float32
    keeps few digits, by a standard deviation close to zero. Layer upon layer, the naive scorer itself then errs by 1e-5, so
    in float32 the two may differ without a mistake in either.
    """

    def scores():
        return [kind(model, rows).score(sequence, edits) for kind in (IncrementalScorer, NaiveScorer)]

    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
    if all(norm.normalized_shape[0] >= WIDE for norm in norms):
        assert_equal(*scores())
    model.double()
    for fast, slow in zip(*scores(), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-6, atol=1e-6)


@examples(50)
@given(data=st.data(), mode=st.sampled_from(["remove", "mask", "replace"]), rows=st.sampled_from([None, 1, 50]))
def test_every_mode_scores_as_the_naive_scorer(tokenizer, make_model, data, mode, rows):
    model = data.draw(st.one_of(salukis(make_model), others()))
    sequence = sequence_for(model, data.draw(lengths(model)), data.draw(st.integers(0, 99)))
    edits = Editor(mode, tokenizer, REPLACEMENTS, replace_modifiers=True).edits(sequence)
    assert_fast_equals_slow(model, sequence, edits, rows)


@examples(120)
@given(data=st.data(), rows=st.sampled_from([None, 1, 50]))
def test_any_edits_score_as_the_naive_scorer(make_model, data, rows):
    model = data.draw(st.one_of(salukis(make_model), others()))
    sequence = sequence_for(model, data.draw(lengths(model)), data.draw(st.integers(0, 99)))
    edits = data.draw(general(len(sequence.input_ids)))
    assert_fast_equals_slow(model, sequence, edits, rows)


@examples(15)
@given(data=st.data(), seed=st.integers(0, 10_000))
def test_models_of_the_sizes_in_use_score_as_the_naive_scorer_in_float32(make_model, data, seed):
    sizes = {"filters": data.draw(st.sampled_from([32, 64])), "kernel_size": 5, "layers": data.draw(st.integers(2, 6))}
    model = make_model(seed, sizes, 11, 1)
    sequence = sequence_for(model, data.draw(st.integers(1, 500)), seed)
    edits = data.draw(general(len(sequence.input_ids)))
    assert_equal(IncrementalScorer(model).score(sequence, edits), NaiveScorer(model).score(sequence, edits))


@examples(60)
@given(data=st.data(), rows=st.sampled_from([None, 50, 2000]), together=st.integers(2, 5))
def test_sequences_that_are_launched_together_score_as_alone(make_model, data, rows, together):
    model = data.draw(st.one_of(salukis(make_model), others())).double()
    sequences = [sequence_for(model, data.draw(lengths(model)), seed) for seed in range(data.draw(st.integers(1, 6)))]
    edits = [data.draw(general(len(sequence.input_ids))) for sequence in sequences]
    alone, joined = IncrementalScorer(model, rows), IncrementalScorer(model, rows)
    joined.together = together
    pending = [joined.launch(*both) for both in zip(sequences, edits, strict=True)]
    order = data.draw(st.permutations(range(len(sequences))))  # in which they are waited for
    for number in order:
        expected = alone.launch(sequences[number], edits[number])()
        np.testing.assert_allclose(pending[number](), expected, rtol=1e-6, atol=1e-6)


def watched(monkeypatch) -> list[int]:
    """Note how many sequences are computed in each launch."""
    seen: list[int] = []
    monkeypatch.setattr(incremental, "Beside", lambda items, *args: seen.append(len(items)) or Beside(items, *args))
    return seen


def test_sequences_wait_for_others_until_there_are_enough_or_one_is_asked_for(make_model, monkeypatch):
    model = saluki_of(make_model)
    scorer = IncrementalScorer(model)
    seen = watched(monkeypatch)
    edits, sequence = Edits.single(np.arange(60), np.full(60, 7)), sequence_for(model, 60, 1)
    expected = scorer.launch(sequence, edits)()
    assert seen == [1]  # on a CPU none waits
    scorer.together = 3
    pending = [scorer.launch(sequence, edits) for _ in range(5)]
    assert seen == [1, 3]
    outputs = [wait() for wait in pending]
    assert seen == [1, 3, 2]
    assert all(np.allclose(each, expected, atol=1e-6) for each in outputs)


def test_only_what_fits_goes_together(make_model, monkeypatch):
    model = saluki_of(make_model)
    scorer = IncrementalScorer(model)
    scorer.together, seen = 8, watched(monkeypatch)
    few = [(sequence_for(model, length, 1), Edits.of([[(0, 1, [7])]], length)) for length in (100, 110, 900, 120, 130)]

    def launch() -> None:
        seen.clear()
        for wait in [scorer.launch(*each) for each in few]:
            wait()

    launch()
    assert seen == [2, 2, 1]  # three of them, padded to the long one, would be more than twice as much
    scorer.memory = 3 * pass_bytes(model.local(), 110)
    launch()
    assert seen == [2, 1, 2]
    scorer.memory, scorer.rows = 1e9, 1
    launch()
    assert seen == [1] * 5


def test_when_memory_runs_out_fewer_sequences_go_together(make_model, monkeypatch, caplog):
    model = saluki_of(make_model)
    scorer = IncrementalScorer(model)
    edits, sequence = Edits.single(np.arange(60), np.full(60, 7)), sequence_for(model, 60, 1)
    expected = scorer.launch(sequence, edits)()
    scorer.together, scorer.memory, seen = 4, 4 * pass_bytes(model.local(), 60), []

    def beside(items, *args):
        seen.append(len(items))
        if len(items) > 1:
            raise torch.OutOfMemoryError
        return Beside(items, *args)

    monkeypatch.setattr(incremental, "Beside", beside)
    outputs = [wait() for wait in [scorer.launch(sequence, edits) for _ in range(4)]]
    assert seen == [4, 2, 1, 1, 1, 1]
    assert all(np.allclose(each, expected, atol=1e-6) for each in outputs)
    assert "out of memory; going on with" in caplog.text


def saluki_of(make_model, **sizes):
    return make_model(3, {"filters": 5, "kernel_size": 5, "layers": 2} | sizes, 11, 1, 2)


def test_edits_far_apart_are_windows_of_their_own(make_model):
    model = saluki_of(make_model)
    sequence = sequence_for(model, 400, 1)
    far = [(10, 11, [8]), (150, 150, [7, 7, 9]), (300, 304, [])]
    edits = Edits.of([far, far[:2], far[1:], far[:1], [], [(0, 0, [7])], [(400, 400, [7, 8])]], 400)
    found = find_windows(edits, 400, model.local().layers)
    assert found.owner.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 5, 6]
    assert found.rank.tolist() == [2, 1, 0, 1, 0, 1, 0, 0, 0, 0]
    assert found.left.tolist() == [0, 0, 3, 0, 0, 0, 3, 0, 0, 0]
    assert found.right.tolist() == [0, 3, -1, 0, 3, 3, -1, 0, 1, 2]
    assert_equal(IncrementalScorer(model).score(sequence, edits), NaiveScorer(model).score(sequence, edits))


def test_edits_nearby_share_a_window(make_model):
    model = saluki_of(make_model)
    edits = Edits.of([[(100, 101, [8]), (103, 105, []), (300, 301, [9])]], 400)
    found = find_windows(edits, 400, model.local().layers)
    assert found.start.tolist() == [100, 298]
    assert found.width.tolist() == [4, 1]  # three tokens, and one more to fill a power of two
    assert found.source[:4].tolist() == [400, 101, 102, 105]


def test_where_memory_holds_few_passes_edits_are_scored_in_parts(make_model, monkeypatch, caplog):
    model = saluki_of(make_model)
    sequence = sequence_for(model, 200, 1)
    random = np.random.default_rng(1)
    edits = Edits.of([[(p, p + 1, [7] * random.integers(0, 9))] for p in random.integers(0, 200, 60).tolist()], 200)
    scorer = IncrementalScorer(model)
    whole = scorer.score(sequence, edits)
    assert_equal(whole, NaiveScorer(model).score(sequence, edits))
    shifts = []
    monkeypatch.setattr(reading, "passes", lambda *args: shifts.append(len(args[2])) or passes(*args))
    for memory, most in ((0, 2), (4 * pass_bytes(model.local(), 210), 4)):
        shifts.clear()
        caplog.clear()
        scorer.memory = memory
        assert_equal(scorer.score(sequence, edits), whole)
        assert max(shifts) <= most
        assert "memory is short: edits of sequence 's' are scored in parts" in caplog.text


@pytest.mark.parametrize("token", [DELETED, 7], ids=["remove", "replace"])
def test_edits_that_need_the_same_passes_are_never_parted(make_model, monkeypatch, token):
    model = saluki_of(make_model)
    calls = []
    monkeypatch.setattr(reading, "passes", lambda *args: calls.append(args) or passes(*args))
    scorer = IncrementalScorer(model)
    scorer.memory = 0
    scorer.score(sequence_for(model, 200, 1), Edits.single(np.arange(200), np.full(200, token)))
    assert len(calls) == 1


@pytest.mark.parametrize("kind", [IncrementalScorer, NaiveScorer])
def test_more_modifiers_than_the_model_has_are_refused(make_model, kind):
    sequence = Encoded(0, "s", np.full(30, 7, dtype=np.int32), np.ones((2, 30), dtype=np.float32), None, 1.0, None)
    for channels in (0, 1):
        scorer = kind(make_model(0, {}, 11, channels))
        with pytest.raises(RnalmError, match=f"'s' has tokens with 2 modifiers, but the model was trained with {channels}"):
            scorer.score(sequence, Edits.single(np.array([0]), np.array([8])))


def test_a_model_whose_padding_is_not_zero_is_refused(make_model):
    model = make_model(0, {})
    local = model.local()
    model.local = lambda: replace(local, inputs=lambda ids, modifiers: local.inputs(ids, modifiers) + 1)
    with pytest.raises(ValueError, match=r"expected a model input of zeros for \[PAD\], found \[1.0, 1.0, 1.0, 1.0\]"):
        IncrementalScorer(model)


def test_when_memory_runs_out_blocks_are_halved(make_model, monkeypatch, caplog):
    model = saluki_of(make_model)
    sequence, edits = sequence_for(model, 90, 1), Edits.single(np.arange(90), np.full(90, 7))
    scorer = IncrementalScorer(model, batch_tokens=800)
    expected = scorer.score(sequence, edits)
    inner = scorer.recompute

    def recompute(rows, *args):
        if rows.shape[1] > 20:
            raise torch.OutOfMemoryError
        return inner(rows, *args)

    monkeypatch.setattr(scorer, "recompute", recompute)
    assert_equal(scorer.score(sequence, edits), expected)
    assert "out of memory; going on with 200 changed positions at a time" in caplog.text


def test_a_sequence_that_does_not_fit_into_memory_is_named(make_model, monkeypatch):
    model = saluki_of(make_model)
    scorer = IncrementalScorer(model)

    def recompute(*args):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(scorer, "recompute", recompute)
    with pytest.raises(RnalmError, match="sequence 's' of 90 tokens does not fit into the memory of the GPU; lower"):
        scorer.score(sequence_for(model, 90, 1), Edits.single(np.arange(90), np.full(90, 7)))


@pytest.mark.parametrize("kind", [IncrementalScorer, NaiveScorer])
def test_edits_that_do_not_fit_are_refused(make_model, kind):
    scorer, sequence = kind(make_model(0, {})), Encoded(0, "s", np.full(30, 7, dtype=np.int32), None, None, 1.0, None)
    with pytest.raises(RnalmError, match="an edit replaces tokens up to 41, but sequence 's' has 30"):
        scorer.score(sequence, Edits.of([[(40, 41, [7])]], 50))


def test_what_changes_nothing_scores_as_the_sequence(make_model):
    model = saluki_of(make_model)
    sequence = sequence_for(model, 90, 1)
    ids = sequence.input_ids.tolist()
    base, perturbed = IncrementalScorer(model).score(sequence, Edits.of([[], [(40, 43, ids[40:43])], [(7, 7, [])]], 90))
    np.testing.assert_array_equal(perturbed[0], base)
    np.testing.assert_allclose(perturbed, np.stack([base] * 3), rtol=1e-5, atol=1e-6)


def test_a_sequence_without_edits_has_its_own_outputs(make_model):
    model = saluki_of(make_model)
    sequence = sequence_for(model, 90, 1)
    for scorer in (IncrementalScorer(model), NaiveScorer(model)):
        base, perturbed = scorer.score(sequence, Edits.of([], 90))
        assert base.shape == (2,)
        assert perturbed.shape == (0, 2)


def test_a_full_size_saluki_is_scored_exactly_over_a_whole_transcript(make_model, tokenizer):
    model = make_model(0, {"filters": 64, "kernel_size": 5, "layers": 6}, 11, 2, 1)
    sequence = sequence_for(model, 1500, 1)
    for mode in ("remove", "mask", "replace"):
        edits = Editor(mode, tokenizer, REPLACEMENTS).edits(sequence)
        some = np.sort(np.random.default_rng(0).choice(len(edits), 40, replace=False))
        base, perturbed = IncrementalScorer(model).score(sequence, edits)
        assert_equal((base, perturbed[some]), NaiveScorer(model).score(sequence, edits[some]))
        assert perturbed.std() > 1e-4


def test_only_changed_positions_are_multiplied(make_model):
    """Each perturbation of a six-layer Saluki needs 5 positions × 5 taps a layer, whatever the length of the sequence."""
    model = make_model(0, {"filters": 8, "kernel_size": 5, "layers": 6}, 11, 0, 1)
    multiplied = []
    scorer = IncrementalScorer(model)
    for layer in scorer.recompute.layers:
        inner = layer._multiply
        layer._multiply = lambda window, rows, inner=inner: (multiplied.append(rows.shape[:2]), inner(window, rows))
    for length in (700, 2000):
        multiplied.clear()
        scorer.score(sequence_for(model, length, 1), Edits.single(np.arange(length), np.full(length, 7)))
        assert [width for width, _ in multiplied[:7]] == [1, 5, 5, 5, 5, 5, 5]
        assert sum(count for _, count in multiplied) == 7 * length


def test_where_triton_compiles_nothing_scores_are_the_same_and_the_log_says_why(make_model, monkeypatch, caplog):
    model = saluki_of(make_model)
    sequence, edits = sequence_for(model, 40, 1), Edits.single(np.arange(40), np.full(40, 7))
    expected = IncrementalScorer(model).score(sequence, edits)
    monkeypatch.setenv("TRITON_INTERPRET", "1")  # as if the CPU were a GPU
    monkeypatch.setitem(sys.modules, "rnalm.scoring.scorers.kernels", None)
    monkeypatch.delattr(scorers, "kernels", raising=False)
    compiled._load.cache_clear()
    assert_equal(IncrementalScorer(model).score(sequence, edits), expected)
    compiled._load.cache_clear()
    [message] = [record.message for record in caplog.records if "Triton" in record.message]
    assert message.startswith("Triton compiles nothing for this GPU (")
    assert message.endswith("): it takes several times as long")
