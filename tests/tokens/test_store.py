"""Rows on disk come back as they were put there, one by one, and take no memory."""

import tracemalloc
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.tokens.dataset import Encoded
from rnalm.tokens.store import Lists, StoredRows, lengths


def same(one: Encoded, other: Encoded) -> bool:
    """Compare all that is kept of a sequence."""
    kept = {field.name for field in fields(Encoded)} - {"label", "offsets", "sequence"}
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in kept)


@st.composite
def sequences(draw) -> list[Encoded]:
    channels = draw(st.integers(0, 2))
    made = []
    for row, length in enumerate(draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))):
        ids = np.array(draw(st.lists(st.integers(0, 299), min_size=length, max_size=length)), dtype=np.int32)
        modifiers = np.arange(channels * length, dtype=np.float32).reshape(channels, length) if channels else None
        weight = draw(st.floats(0, 8, width=32))
        both, reverse = draw(st.booleans()), np.append(ids[::-1], 5)
        made.append(Encoded(row * 3, f"s{row}µ", ids, modifiers, 1.0, weight, None, reverse if both else None))
    return made


@given(sequences(), st.integers(1, 4))
def test_sequences_come_back_in_any_order(tmp_path_factory, rows, size):
    stored = StoredRows(tmp_path_factory.getbasetemp(), vocab_size=300)
    for start in range(0, len(rows), size):
        stored.extend(rows[start : start + size])
    assert len(stored) == len(rows)
    assert all(same(stored[index], rows[index]) for index in reversed(range(len(rows))))
    assert lengths(stored).tolist() == lengths(rows).tolist()
    assert stored.weights.tolist() == [row.weight for row in rows]
    stored.add_twins()
    twins = [row.twin() for row in rows if row.reverse_ids is not None]
    assert all(same(one, other) for one, other in zip(stored[len(rows) :], twins, strict=True))
    assert lengths(stored).tolist() == lengths(rows + twins).tolist()
    assert stored.weights.tolist() == [row.weight for row in rows + twins]
    assert [stored[own].row for own in stored.whose] == [row.row for row in rows + twins]


def test_a_row_that_is_not_there_is_no_row(tmp_path):
    stored = StoredRows(tmp_path, 9)
    with pytest.raises(IndexError):
        stored[0]
    assert list(stored) == []


@pytest.mark.parametrize(("vocab_size", "kind"), [(11, "uint8"), (256, "uint8"), (257, "uint16"), (70_000, "uint32")])
def test_a_token_takes_as_few_bytes_as_the_vocabulary_allows(tmp_path, vocab_size, kind):
    stored = StoredRows(tmp_path, vocab_size)
    stored.extend([Encoded(0, "a", np.array([vocab_size - 1]), None, None, 1.0, None)])
    assert (stored[0].input_ids.dtype, stored[0].input_ids.tolist()) == (np.dtype(kind), [vocab_size - 1])


def test_rows_of_several_numbers_at_each_place_keep_their_shape(tmp_path):
    lists = Lists(tmp_path, np.float32, (2,))
    lists.extend([np.ones((3, 2)), np.zeros((0, 2)), np.full((1, 2), 5)])
    assert [lists[row].shape for row in range(3)] == [(3, 2), (0, 2), (1, 2)]
    assert (lists.lengths.tolist(), lists[2].tolist()) == ([3, 0, 1], [[5, 5]])


def test_what_is_stored_leaves_memory_and_no_file(tmp_path):
    stored = StoredRows(tmp_path, 11)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for group in range(20):
        stored.extend([Encoded(row, "s", np.full(10_000, 7), None, None, 1.0, None) for row in range(group, group + 10)])
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(stored) == 200
    assert after - before < 50_000  # of 2,000,000 bytes on disk
    assert list(tmp_path.iterdir()) == []
