"""Batches that are made ahead are those of the loader, in its order, and so are its errors."""

import threading

import pytest
from torch.utils.data import DataLoader

from rnalm.training.ahead import AHEAD, Ahead

ROWS = list(range(40))


def collated(rows: list[int]) -> list[int]:
    return [2 * row for row in rows]


def test_batches_are_those_of_the_loader():
    options = {"batch_size": 3, "collate_fn": collated}
    assert list(Ahead(ROWS, **options)) == list(DataLoader(ROWS, **options))
    assert list(Ahead([], **options)) == []


def test_some_are_made_before_they_are_asked_for_and_no_more():
    made, enough = [], threading.Event()

    def collate(rows: list[int]) -> list[int]:
        made.append(rows)
        if len(made) == AHEAD + 1:
            enough.set()
        return rows

    batches = iter(Ahead(ROWS, batch_size=1, collate_fn=collate))
    next(batches)
    assert next(batches) == [1]
    assert enough.wait(10)
    assert len(made) <= AHEAD + 2
    batches.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert len(made) <= AHEAD + 2


def test_an_error_comes_where_its_batch_would():
    def collate(rows: list[int]) -> list[int]:
        if rows == [2]:
            raise ValueError("row 2")
        return rows

    batches = iter(Ahead(ROWS, batch_size=1, collate_fn=collate))
    assert [next(batches), next(batches)] == [[0], [1]]
    with pytest.raises(ValueError, match="row 2"):
        next(batches)
