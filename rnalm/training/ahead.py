"""Batches that are made while a model learns from those before."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from torch.utils.data import DataLoader

#: Batches that are made before they are asked for.
AHEAD = 4


class Ahead(DataLoader):
    """Gives batches in their order, and makes some ahead.

    A thread does: it waits for the disk and copies numbers, for which it needs the interpreter little, and unlike a process it
    neither outlives a training that is killed nor holds its locks.
    """

    def __iter__(self) -> Iterator[Any]:
        return _ahead(super().__iter__())


def _ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """Pass batches on, some of which are made ahead."""
    with ThreadPoolExecutor(1) as worker:
        waiting = deque(worker.submit(next, batches, None) for _ in range(AHEAD))
        while (batch := waiting.popleft().result()) is not None:
            waiting.append(worker.submit(next, batches, None))
            yield batch
