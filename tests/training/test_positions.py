"""Training on labels of tokens: known ones alone count, long sequences are read in windows, and kills change nothing."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from interruption import killed_before, results
from scipy.special import log_softmax

from rnalm.config import Labels
from rnalm.labels import folds, losses
from rnalm.labels.labels import Labels as Meaning
from rnalm.models import registry
from rnalm.prediction.predict import predict
from rnalm.tokens import dataset
from rnalm.tokens.buckets import LengthBuckets
from rnalm.training import finetune, fold
from rnalm.training.trainer import validate
from rnalm.training.training_set import TrainingSet

FRAMES = {"name": "frames", "width": 8, "layers": 1, "letter_size": 4, "context": 5, "kernel_size": 3, "dropout": 0.0}


def after_a(row: int, text: str) -> str:
    """Say of each token whether an A stands before it; of the first it is not known."""
    return ",".join(["", *("yes" if letter == "A" else "no" for letter in text[:-1])])


@pytest.fixture
def job(prepare, tmp_path):
    def make(name: str = "one", label=after_a, task: str = "classification", **options):
        fields = {"model": FRAMES | options.pop("model", {}), "per": "token"} | options.pop("fields", {})
        return prepare(tmp_path / name, label, fields=fields, task=task, labels=Labels(per="token"), gpus=0, **options)

    return make


def test_what_stands_before_a_token_is_learned(job):
    one = job(epochs=15, learning_rate=0.02)
    finetune.finetune(one)
    model = registry.load(one.output)
    sequences = [sequence for group in dataset.read(one.encoded) for sequence in group]
    meaning = fold.load(one).meaning
    right = []
    for sequence, outputs in zip(sequences, predict(model, sequences), strict=True):
        predicted = np.array(meaning.classes)[outputs.argmax(axis=1)]
        right.append(predicted[1:] == sequence.label[1:])
    assert np.concatenate(right).mean() > 0.99


def test_the_loss_is_the_mean_over_known_tokens(job):
    data = fold.load(job())
    model = finetune.new_model(job(), data)
    values = validate(model, data)
    found, weights = [], []
    wanted = [data.validation.targets(row) for row in range(len(data.validation))]
    for sequence, targets in zip(data.validation.sequences, wanted, strict=True):
        [outputs] = predict(model, [sequence])
        each = -log_softmax(outputs.astype(float), axis=1)
        found += [each[at, target] for at, target in enumerate(targets) if target >= 0]
        weights += [1] * int(np.sum(targets >= 0))
    assert values["loss"] == pytest.approx(np.average(found, weights=weights), rel=1e-5)
    assert len(found) == sum(len(targets) - 1 for targets in wanted)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_unknown_tokens_and_padding_have_no_gradient(task):
    logits = torch.randn(2, 4, 2 if task == "classification" else 1, requires_grad=True)
    targets = torch.tensor([[0, 1, -100, -100], [1, -100, 0, 1]])
    if task == "regression":
        targets = torch.where(targets < 0, torch.nan, targets.float())
    weights = torch.tensor([1.0, 2.0])
    loss = losses.of_batch(task, logits, targets, weights, None, sd=2.0)
    loss.backward()
    known = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 1]]).bool()
    assert torch.equal(logits.grad.abs().sum(2) > 0, known)
    flat, wanted = logits[known], targets[known]
    each = F.cross_entropy(flat, wanted, reduction="none") if task == "classification" else ((flat[:, 0] - wanted) / 2) ** 2
    torch.testing.assert_close(loss, (each * torch.tensor([1.0, 1, 2, 2, 2])).sum() / 5)


def test_each_class_of_a_token_counts_where_it_is_known():
    logits = torch.randn(2, 3, 2, requires_grad=True)
    targets = torch.tensor([[[1, 0], [torch.nan, 1], [torch.nan, torch.nan]], [[0, torch.nan], [1, 1], [0, 0]]])
    weights, positive = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0])
    loss = losses.of_batch("multilabel", logits, targets, weights, positive)
    loss.backward()
    assert torch.equal(logits.grad != 0, ~targets.isnan())
    expected = []
    for row, weight in enumerate(weights):
        for at in range(3):
            own = [number for number in range(2) if not targets[row, at, number].isnan()]
            probability = logits[row, at].sigmoid()
            each = [-(positive[n] * probability[n].log() if targets[row, at, n] else (1 - probability[n]).log()) for n in own]
            expected += [weight * sum(each) / len(own)] if own else []
    torch.testing.assert_close(loss, sum(expected) / 5)


def test_several_classes_of_a_token_are_learned(tmp_path, prepare):
    def label(row: int, text: str) -> str:
        return ",".join(["", *("1" if letter == "A" else "0" for letter in text[:-1])])

    job = prepare(
        **{"folder": tmp_path, "label": label, "task": "multilabel", "labels": Labels(per="token"), "gpus": 0, "several": True},
        **{"fields": {"model": FRAMES, "per": "token"}, "epochs": 15, "learning_rate": 0.02},
    )
    finetune.finetune(job)
    model, meaning = registry.load(job.output), fold.load(job).meaning
    assert meaning.classes == ("label",)
    sequences = [sequence for group in dataset.read(job.encoded) for sequence in group]
    for sequence, outputs in zip(sequences, predict(model, sequences), strict=True):
        assert ((meaning.to_scores(outputs)[1:, 0] >= 0.5) == (sequence.label[1:, 0] == 1)).mean() > 0.9


def test_a_batch_without_a_known_token_has_no_loss():
    loss = losses.of_batch("classification", torch.randn(1, 3, 2), torch.full((1, 3), -100), torch.ones(1), None)
    assert loss == 0


def test_numbers_are_scaled_by_known_tokens_of_training_rows_alone(job):
    def numbers(row: int, text: str) -> str:
        return ",".join("" if letter == "C" else f"{row + place}" for place, letter in enumerate(text))

    one = job(label=numbers, task="regression", fields={"scaling": "standard"})
    data = fold.load(one)
    parts = folds.read(one.folds)[0]
    rows = [sequence for group in dataset.read(one.encoded, np.flatnonzero(parts == folds.TRAIN)) for sequence in group]
    labels = np.concatenate([sequence.label for sequence in rows]).astype(float)
    known = labels[~np.isnan(labels)]
    assert data.meaning.scaler.center == pytest.approx(known.mean())
    assert data.meaning.scaler.scale == pytest.approx(known.std())
    [(targets, _)] = data.training.known()
    assert (len(targets), targets.mean()) == (len(known), pytest.approx(0, abs=1e-6))


def test_logarithms_of_tokens_are_of_positive_ones(job, refusal):
    one = job(label=lambda row, text: ",".join(["0"] * len(text)), task="regression", fields={"scaling": "log"})
    assert refusal(fold.load, one).startswith("labels.scaling: log needs labels > 0, found 60 that are not: s0 (0)")


def test_long_sequences_train_in_windows_and_each_label_counts_once(job):
    whole, cut = fold.load(job()), fold.load(job("cut", encoding={"block_size": 6}))
    assert max(cut.training.lengths) == 6
    assert len(cut.training) > len(whole.training)
    for part in ("training", "validation"):
        [one, other] = [np.sort(next(getattr(data, part).known())[0]) for data in (whole, cut)]
        np.testing.assert_array_equal(one, other)


def test_long_sequences_are_predicted_once_from_the_middle_of_windows(job):
    one = job(encoding={"block_size": 6})
    finetune.finetune(one)
    model = registry.load(one.output)
    [sequence] = [s for group in dataset.read(one.encoded) for s in group if len(s.input_ids) == 9][:1]
    [outputs] = predict(model, [sequence])
    assert outputs.shape == (9, 2)
    with torch.inference_mode():
        for start, first, after in ((0, 0, 4), (3, 4, 9)):
            ids = torch.from_numpy(sequence.input_ids[start : start + 6].astype(np.int64))[None]
            expected = model(ids).logits[0].numpy()
            np.testing.assert_allclose(outputs[first:after], expected[first - start : after - start], atol=1e-6)


def test_a_positive_class_may_weigh_more(job, refusal):
    weighted = {"fields": {"positive_weight": 5.0}}
    assert fold.load(job(**weighted)).class_weights.tolist() == [1, 5]
    three = job("three", label=lambda row, text: ",".join("abc"[place % 3] for place in range(len(text))), **weighted)
    assert refusal(fold.load, three).startswith("labels.positive_weight is for two classes, found 3: a, b, c; ")


def test_training_begins_with_the_frequencies_of_classes(job):
    one = job(label=lambda row, text: ",".join("x" if place == 3 else "o" for place in range(len(text))))
    data = fold.load(one)
    model = finetune.new_model(one, data)
    [(targets, _)] = data.training.known()
    share = (np.bincount(targets) + 1) / (len(targets) + 2)
    torch.testing.assert_close(model.head.layers[-1].bias.softmax(0).double(), torch.from_numpy(share), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("batch_tokens", [None, 60])
def test_a_killed_training_ends_as_an_uninterrupted_one(job, monkeypatch, batch_tokens):
    options = {"epochs": 3} | ({"batch_tokens": batch_tokens, "batch_size": 64} if batch_tokens else {})
    whole, killed = job("whole", **options), job("killed", **options)
    finetune.finetune(whole)
    with killed_before(2, monkeypatch):
        finetune.finetune(killed)
    finetune.finetune(killed)
    assert results(killed.output) == results(whole.output)


@pytest.mark.parametrize("seed", range(3))
def test_batches_of_so_many_tokens_have_each_row_once_and_no_more_tokens(seed):
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, 300, 200)
    lengths[0] = 5000
    sampler, seen = LengthBuckets(lengths, 64, seed, batch_tokens=1000), []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert sorted(row for batch in batches for row in batch) == list(range(200))
        assert all(len(batch) == 1 or len(batch) * lengths[batch].max() <= 1000 for batch in batches)
        seen.append(batches)
    assert sum(len(batch) * lengths[batch].max() for batch in seen[0]) < 1.6 * lengths.sum()
    assert {tuple(sorted(batch)) for batch in seen[0]} != {tuple(sorted(batch)) for batch in seen[1]}
    sampler.set_epoch(0)
    assert list(sampler) == seen[0]


def test_targets_of_tokens_are_padded_as_unknown(tmp_path):
    labels = [np.array(own) for own in (["no", "yes", "no"], ["yes"])]
    rows = TrainingSet(tmp_path, 9, Meaning("classification", classes=("no", "yes"), per="token"))
    rows.extend([dataset.Encoded(k, "", np.full(len(own), 7), None, own, 1.0, None) for k, own in enumerate(labels)])
    batch = rows.batch([0, 1], 0)
    assert batch["labels"].tolist() == [[0, 1, 0], [1, -100, -100]]
