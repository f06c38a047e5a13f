"""On a GPU scores are those of the CPU, nothing waits for it, and where its memory runs out work goes on in smaller parts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from rnalm.labels.labels import Labels
from rnalm.prediction.predict import Predictor
from rnalm.scoring import shard
from rnalm.scoring.edits import DELETED, Edits
from rnalm.scoring.explain import Subject
from rnalm.scoring.gradients import IntegratedGradients
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.tokens.dataset import Encoded

pytestmark = pytest.mark.gpu

#: Saluki as it was published.
FULL = {"filters": 64, "kernel_size": 5, "layers": 6}
#: How far scores may be off, in standard deviations of them: as far as products are rounded.
WRONG = {"float32": 1e-3, "tf32": 0.3, "bf16": 1.0}
MODES = ("remove", "mask", "replace")
SCORERS = pytest.mark.parametrize("kind", [IncrementalScorer, NaiveScorer])


def sequence_of(length: int, row: int = 0) -> Encoded:
    ids = np.random.default_rng([length, row]).integers(7, 11, length).astype(np.int32)
    return Encoded(row, f"s{row}", ids, None, None, 1.0, None)


def edits_of(mode: str, sequence: Encoded) -> Edits:
    """List all removals, masks or substitutions by the next letter."""
    position = np.arange(len(sequence.input_ids))
    tokens = {"remove": np.full_like(position, DELETED), "mask": np.full_like(position, 4)}
    return Edits.single(position, tokens.get(mode, 7 + (sequence.input_ids.astype(np.int64) - 6) % 4))


def perturbed(mode: str, sequence: Encoded) -> np.ndarray:
    """Make all perturbed sequences of a mode by hand: ids ``(edits, length)``."""
    ids = sequence.input_ids.astype(np.int64)
    rows = []
    for position in range(len(ids)):
        middle = {"remove": [], "mask": [4]}.get(mode, [7 + (ids[position] - 6) % 4])
        rows.append(np.concatenate([ids[:position], np.array(middle, dtype=np.int64), ids[position + 1 :]]))
    return np.stack(rows)


@pytest.fixture(scope="module")
def model(make_model, device):
    return make_model(0, FULL).to(device)


@pytest.fixture(scope="module")
def in_float64(make_model) -> Callable[[str], tuple[Encoded, np.ndarray]]:
    """Score a sequence in float64 on the CPU, by the model itself."""
    double = make_model(0, FULL).double()
    double.config.output_mean = 0.0  # what the scores of the other model lack too, and less to round

    @cache
    def score(mode: str) -> tuple[Encoded, np.ndarray]:
        sequence = sequence_of(400)
        with torch.inference_mode():
            whole = double(torch.from_numpy(sequence.input_ids[None].astype(np.int64))).logits
            parts = torch.from_numpy(perturbed(mode, sequence)).split(100)
            return sequence, (torch.cat([double(part).logits for part in parts]) - whole).numpy()

    return score


@SCORERS
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("precision", WRONG)
def test_scores_are_those_of_float64_as_far_as_the_precision_goes(model, in_float64, kind, mode, precision):
    sequence, expected = in_float64(mode)
    base, outputs = kind(model, precision=precision).score(sequence, edits_of(mode, sequence))
    assert np.abs(outputs - base - expected).max() < WRONG[precision] * expected.std()


@contextmanager
def without_waiting(device: torch.device) -> Iterator[None]:
    """Refuse whatever waits for a GPU."""
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@SCORERS
def test_a_gpu_scores_many_edits_at_once_and_is_not_waited_for(make_model, device, kind):
    model = make_model(0, FULL, 11, 2, 1)
    sequences = [sequence_of(length) for length in (400, 1500, 900)]
    edits = [
        Edits.of([[(5, 5, [7] * 4)], [(20, 30, []), (390, 391, [8])], [(0, 1, [9])], [(7, 8, [])]], 400),
        *(edits_of("remove", sequence) for sequence in sequences[1:]),
    ]
    expected = [IncrementalScorer(model).score(*both) for both in zip(sequences, edits, strict=True)]
    scorer = kind(model.to(device))
    scorer.score(sequences[0], edits[0])  # what is allocated once may wait
    with without_waiting(device):
        pending = [scorer.launch(*both) for both in zip(sequences, edits, strict=True)]
    for wait, (base, outputs) in zip(pending, expected, strict=True):
        np.testing.assert_allclose(wait(), np.concatenate([outputs, base[None]]), atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("readout", ["last", "mean"])
@pytest.mark.parametrize("precision", ["float32", "tf32"])
@pytest.mark.parametrize("mode", MODES)
def test_scores_of_a_sequence_are_the_same_bytes_among_others_as_alone(make_model, device, mode, precision, readout):
    if precision == "tf32" and device.type != "cuda":
        pytest.skip("only a GPU multiplies so")
    model = make_model(0, {**FULL, "readout": readout}, 11, 2, 1).to(device)
    sequences = [sequence_of(length, row) for row, length in enumerate((333, 400, 512, 41, 397, 640, 401, 518, 333))]
    pairs = [(sequence, edits_of(mode, sequence)) for sequence in sequences]
    alone, joined = (IncrementalScorer(model, precision=precision) for _ in range(2))
    alone.together = 1
    expected = [alone.launch(*pair)() for pair in pairs]
    with without_waiting(device):
        pending = [joined.launch(*pair) for pair in pairs]
        joined._launch_waiting()
    assert device.type == "cpu" or joined.together > 1
    for wait, outputs in zip(pending, expected, strict=True):
        np.testing.assert_array_equal(wait(), outputs)


@pytest.mark.parametrize("mode", MODES)
def test_a_whole_shard_never_waits_for_a_gpu(device, model_folder, encode_rows, job, monkeypatch, tmp_path, mode):
    folder = model_folder(0, **FULL)
    encoded = encode_rows([(f"s{i}", "acgtta" * (20 + 5 * i)) for i in range(12)])
    wanted = job(folder, encoded, mode=mode, replacements={"a": ["c", "g"], "t": ["a"]})
    shard.score_shard(wanted, tmp_path / "cpu.parquet", "cpu")
    shard.score_shard(wanted, tmp_path / "warm.parquet", device)
    method = shard._method(wanted, device)  # which copies the model, and waits for that
    monkeypatch.setattr(shard, "_method", lambda *arguments: method)
    with without_waiting(device):
        shard.score_shard(wanted, tmp_path / "gpu.parquet", device)
    on_cpu, on_gpu = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("cpu", "gpu"))
    np.testing.assert_allclose(on_gpu.loo, on_cpu.loo, atol=5e-6)
    assert (tmp_path / "gpu.parquet").read_bytes() == (tmp_path / "warm.parquet").read_bytes()


def test_predictions_go_on_where_memory_runs_out(model, under_pressure):
    sequences = [sequence_of(1000, row) for row in range(400)]
    ample, scarce = under_pressure(lambda: Predictor(model, 2**18)(sequences))
    np.testing.assert_allclose(scarce, ample, atol=1e-5)


@SCORERS
def test_scores_go_on_where_memory_runs_out(model, under_pressure, kind):
    sequence = sequence_of(2000)
    ample, scarce = under_pressure(lambda: kind(model).score(sequence, edits_of("replace", sequence))[1])
    np.testing.assert_allclose(scarce, ample, atol=1e-5)


def test_integrated_gradients_go_on_where_memory_runs_out(model, tokenizer, under_pressure):
    subject = Subject([model], [Labels("regression")], [0], "probability")

    def explain() -> np.ndarray:
        return IntegratedGradients(subject, tokenizer, 64).launch(sequence_of(2000), [0])()[0][1].difference

    ample, scarce = under_pressure(explain)
    np.testing.assert_allclose(scarce, ample, atol=1e-4)
