import numpy as np
import pytest
import torch
from torch import nn

from rnalm.labels.labels import fit
from rnalm.models.saluki import Saluki, SalukiConfig
from rnalm.prediction.predict import predict
from rnalm.tokens.dataset import Encoded
from rnalm.training.calibrate import calibrate

LABELS = fit("regression", "none", np.arange(4.0))


@pytest.fixture
def model() -> Saluki:
    torch.manual_seed(0)
    return Saluki(SalukiConfig(filters=8, layers=2)).train()


@pytest.fixture
def sequences() -> list[Encoded]:
    draw = np.random.default_rng(0)
    return [Encoded(0, "s", draw.integers(7, 11, draw.integers(30, 300)), None, None, 1.0, None) for _ in range(50)]


def by_their_own_statistics(model: Saluki, sequences: list[Encoded]) -> np.ndarray:
    """Predict all sequences as one batch, by whose means and variances the head normalizes; without dropout."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    model.config.shift = 0
    ids = torch.ones(len(sequences), max(len(s.input_ids) for s in sequences), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence.input_ids)] = torch.from_numpy(sequence.input_ids)
    with torch.no_grad():
        return model(ids, (ids != 1).long()).logits.numpy()


@pytest.mark.parametrize("batch_tokens", [1, 2000, 2**18])
def test_training_rows_are_predicted_as_by_their_own_statistics_however_they_are_batched(model, sequences, batch_tokens):
    calibrate(model, sequences, batch_tokens, LABELS)
    assert model.training
    np.testing.assert_allclose(predict(model, sequences), by_their_own_statistics(model, sequences), rtol=0.02, atol=0.02)


def test_the_sample_is_of_all_rows_evenly(model, sequences, monkeypatch):
    monkeypatch.setattr("rnalm.training.calibrate.SAMPLE", 10)
    calibrate(model, sequences, 2**18, LABELS)
    before = {name: value.clone() for name, value in model.named_buffers()}
    calibrate(model, sequences[::5], 2**18, LABELS)
    assert all(torch.allclose(value, before[name]) for name, value in model.named_buffers())


def test_models_without_such_a_normalization_stay_as_they_are(sequences):
    calibrate(nn.Linear(1, 1), sequences, 2**18, LABELS)
