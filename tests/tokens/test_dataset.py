from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnalm.config import Encode
from rnalm.labels.labels import Labels
from rnalm.tokens import batches, dataset, encode, learn
from rnalm.tokens.buckets import LengthBuckets
from rnalm.tokens.dataset import PAD, Encoded
from rnalm.training.training_set import TrainingSet

SEQUENCES = ["acgt", "ac", "g", "ttacg", "ca", "acg", "t"]


def sequence(length: int, modifiers: list | None = None, name: str = "one", weight: float = 1.0) -> Encoded:
    ids = np.arange(7, 7 + length, dtype=np.int32)
    return Encoded(0, name, ids, None if modifiers is None else np.array(modifiers, dtype=np.float32), None, weight, None)


@pytest.fixture
def encoded(write_source, tmp_path, monkeypatch):
    """Seven sequences in row groups of three, some of them with a label and a weight."""
    monkeypatch.setattr(encode, "GROUP_ROWS", 3)
    content = "id\tsequence\ty\tw\n" + "".join(
        f"s{i}\t{text}\t{i / 2 if i % 2 else ''}\t{i if i % 3 else ''}\n" for i, text in enumerate(SEQUENCES)
    )
    source = write_source(content, columns={"id": "id", "sequence": "sequence", "label": "y", "weight": "w"})
    encode.encode(source, learn.learn(source), tmp_path / "encoded.parquet")
    return str(tmp_path / "encoded.parquet")


# Reading


def test_all_rows_are_read_in_order_a_row_group_at_a_time(encoded):
    groups = list(dataset.read(encoded))
    assert [len(group) for group in groups] == [3, 3, 1]
    rows = [row for group in groups for row in group]
    assert [row.row for row in rows] == list(range(7))
    assert [row.id for row in rows] == dataset.column(encoded, "id").to_pylist() == [f"s{i}" for i in range(7)]
    assert [len(row.input_ids) for row in rows] == dataset.lengths(encoded).tolist() == list(map(len, SEQUENCES))
    assert [row.label for row in rows] == [None, 0.5, None, 1.5, None, 2.5, None]
    assert [row.weight for row in rows] == [1, 1, 2, 1, 4, 5, 1]
    assert {(row.input_ids.dtype, row.modifiers, row.offsets) for row in rows} == {(np.dtype(np.int32), None, None)}


@pytest.mark.parametrize("numbers", [[], [0], [6], [1, 4], [2, 3], [0, 1, 2, 6], list(range(7))])
def test_chosen_rows_are_the_same_as_when_all_are_read(encoded, numbers):
    everything = [row for group in dataset.read(encoded) for row in group]
    groups = list(dataset.read(encoded, np.array(numbers, dtype=np.int64)))
    assert all(groups)
    chosen = [(row.row, row.id, row.input_ids.tolist()) for group in groups for row in group]
    assert chosen == [(number, everything[number].id, everything[number].input_ids.tolist()) for number in numbers]


def test_modifiers_and_offsets_belong_to_the_kept_tokens(write_rows, tmp_path):
    source = write_rows("a#1,c,g#2#3", "g#4", token_sep=",", modifier_sep="#")
    encode.encode(source, learn.learn(source), tmp_path / "e.parquet", Encode(block_size=2, truncate="left"))
    ((one, two),) = dataset.read(tmp_path / "e.parquet")
    np.testing.assert_array_equal(one.modifiers, [[0, 2], [0, 3]])
    np.testing.assert_array_equal(one.offsets, [[1, 2], [2, 3]])
    np.testing.assert_array_equal(two.modifiers, [[4]])
    assert two.offsets is None
    assert one.modifiers.dtype == np.float32


def test_a_sequence_without_modifiers_among_others_with_some_has_zeros(write_rows, tmp_path):
    source = write_rows("a#1,c", "g,a", token_sep=",", modifier_sep="#")
    encode.encode(source, learn.learn(source), tmp_path / "e.parquet")
    (both,) = dataset.read(tmp_path / "e.parquet")
    np.testing.assert_array_equal(batches.collate(both, 1)["modifiers"], [[[1, 0]], [[0, 0]]])


# Batches


def test_sequences_are_padded_on_the_right():
    batch = batches.collate([sequence(2), sequence(4)])
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch["input_ids"].dtype == batch["attention_mask"].dtype == torch.int64
    assert batch["input_ids"].tolist() == [[7, 8, PAD, PAD], [7, 8, 9, 10]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_modifiers_are_padded_in_length_and_in_channels():
    batch = batches.collate([sequence(2, [[1, 2]]), sequence(3, [[3, 4, 5], [6, 7, 8]]), sequence(1)], 3)
    assert batch["modifiers"].dtype == torch.float32
    assert batch["modifiers"].tolist() == [
        [[1, 2, 0], [0, 0, 0], [0, 0, 0]],
        [[3, 4, 5], [6, 7, 8], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]


@pytest.mark.parametrize("channels", [0, 1])
def test_more_modifiers_than_the_model_knows_are_refused(refusal, channels):
    message = refusal(batches.collate, [sequence(1, [[1], [2]], name="s7")], channels)
    assert message == f"sequence 's7' has tokens with 2 modifiers, but the model was trained with {channels}"


def test_a_training_batch_has_targets_and_weights(tmp_path):
    rows = [sequence(1), sequence(2, weight=0.5), sequence(3, weight=0.25)]
    training = TrainingSet(tmp_path, 9, Labels("regression"))
    training.extend([replace(row, label=label) for row, label in zip(rows, (0.1, 0.2, 0.3), strict=True)])
    batch = training.batch([2, 0], 0)
    assert batch["input_ids"].shape == (2, 3)
    np.testing.assert_allclose(batch["labels"], [0.3, 0.1])
    np.testing.assert_allclose(batch["weights"], [0.25, 1])
    assert batch["weights"].dtype == torch.float32


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 100))
def test_batches_by_length_hold_each_sequence_once_and_no_more_tokens_than_allowed(lengths, batch_tokens):
    parts = list(batches.by_length(lengths, batch_tokens))
    assert sorted(index for batch in parts for index in batch) == list(range(len(lengths)))
    for batch in parts:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= batch_tokens


# Buckets


@given(st.integers(2, 40), st.integers(2, 8), st.integers(1, 9), st.sampled_from([(0, 1), (1, 2)]))
def test_epochs_of_so_many_steps_go_on_where_the_last_one_ended(rows, batch_size, steps, process):
    lengths, (rank, world) = np.arange(rows) % 5 + 1, process
    passes, legs = (LengthBuckets(lengths, batch_size, 3, rank=rank, world=world, steps=size) for size in (None, steps))
    assert len(legs) == steps
    found, expected = [], []
    for number in range(4):
        legs.set_epoch(number)
        found += legs
    for number in range(4 * steps):
        passes.set_epoch(number)
        expected += passes
    assert found == expected[: 4 * steps]


CASES = (st.lists(st.integers(1, 100), min_size=2, max_size=150).map(np.array), st.integers(1, 20), st.integers(0, 3))


def epoch(lengths: np.ndarray, batch_size: int, seed: int, number: int = 0, rank: int = 0, world: int = 1) -> list[list[int]]:
    sampler = LengthBuckets(lengths, batch_size, seed, rank=rank, world=world)
    sampler.set_epoch(number)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    return batches


@given(*CASES)
def test_every_row_occurs_once_an_epoch_and_no_batch_has_one_row_or_more_than_asked_for(lengths, batch_size, number):
    batches = epoch(lengths, batch_size, seed=1, number=number)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    sizes = [len(batch) for batch in batches]
    assert min(sizes) >= 2
    # Three rows in batches of two cannot be divided without leaving one alone.
    assert max(sizes) <= max(batch_size, 3 if len(lengths) % 2 else 2)


@given(*CASES, st.integers(1, 5))
def test_processes_together_see_every_row_in_equally_many_batches(lengths, batch_size, number, world):
    each = [epoch(lengths, batch_size, 1, number, rank, world) for rank in range(world)]
    assert len({len(batches) for batches in each}) == 1
    seen = {tuple(batch) for batches in each for batch in batches}
    assert seen == {tuple(batch) for batch in epoch(lengths, batch_size, 1, number)}


def test_a_batch_for_more_processes_than_there_are_batches_is_repeated():
    each = [epoch(np.ones(4, dtype=int), 64, 1, rank=rank, world=3) for rank in range(3)]
    assert [[sorted(batch) for batch in batches] for batches in each] == [[[0, 1, 2, 3]]] * 3


def test_the_order_depends_on_seed_and_epoch_alone():
    lengths = np.arange(1, 101)
    first = epoch(lengths, 8, seed=1, number=3)
    sampler = LengthBuckets(lengths, 8, seed=1)
    for number in (0, 7, 3):
        sampler.set_epoch(number)
        again = list(sampler)
    assert again == first == list(sampler)
    assert epoch(lengths, 8, seed=1, number=4) != first
    assert epoch(lengths, 8, seed=2, number=3) != first


def test_a_batch_holds_sequences_of_similar_length_and_batches_come_in_no_order_of_it():
    lengths = np.random.default_rng(0).integers(1, 1000, 512)
    batches = [lengths[batch] for batch in epoch(lengths, 16, seed=1)]
    assert np.mean([np.ptp(batch) for batch in batches]) < 200
    assert abs(np.corrcoef([batch.mean() for batch in batches], np.arange(len(batches)))[0, 1]) < 0.5


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows_cannot_train(refusal, rows):
    assert refusal(LengthBuckets, np.ones(rows, dtype=int), 8, 1) == f"training needs at least 2 rows, found {rows}"
