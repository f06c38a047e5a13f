"""Lengths of rows ─► the batches of an epoch, in an order that is drawn."""

from collections.abc import Iterator
from itertools import chain, count, islice

import numpy as np
from torch.utils.data import Sampler

from rnalm.errors import RnalmError


class LengthBuckets(Sampler[list[int]]):
    """Random batches of sequences of similar length; the order depends on seed and epoch alone.

    Rows are shuffled, sorted by length within windows of some batches, cut into batches, and these are shuffled. Every
    row occurs once an epoch, unless that is measured in steps. No batch has one row only, for which batch normalization is not
    defined.

    Parameters
    ----------
    lengths : numpy.ndarray
        Tokens of each row ``(rows,)``.
    batch_size : int
        Rows of a batch; at least 2 are taken.
    seed : int
        Draws the order, together with the epoch.
    window : int
        Batches of which a window consists: more save padding, fewer mix better; with 1, batches are of any lengths.
    batch_tokens : int, optional
        Tokens of a batch, padding included, at most, instead of rows: then batches are of similar lengths among all rows, and a
        longer row goes alone.
    steps : int, optional
        Batches of an epoch for this process, which then goes on where the one before it ended; None: as many as take each row
        once.
    rank, world : int
        Number of this process, and of all that train together: each gets every ``world``-th batch; the first batches are
        repeated where the number does not divide.

    Raises
    ------
    RnalmError
        If there are fewer than two rows.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        seed: int,
        window: int = 16,
        rank: int = 0,
        world: int = 1,
        batch_tokens: int | None = None,
        steps: int | None = None,
    ) -> None:
        if len(lengths) < 2:
            raise RnalmError(f"training needs at least 2 rows, found {len(lengths)}")
        self.lengths, self.batch_size, self.seed = lengths, max(2, batch_size), seed
        self.window, self.rank, self.world, self.epoch, self.steps = window, rank, world, 0, steps
        self.by_tokens = None if batch_tokens is None else _sizes_by_tokens(np.sort(lengths), batch_tokens)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is drawn next.

        Parameters
        ----------
        epoch : int
            Its number, from 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps or self._in_pass()

    def _in_pass(self) -> int:
        """Say in how many batches of this process all rows are passed through once."""
        return -(-len(self._sizes()) // self.world)

    def _sizes(self) -> list[int]:
        """List how many rows the batches of an epoch have."""
        if self.by_tokens is not None:
            return self.by_tokens
        full, rest = divmod(len(self.lengths), self.batch_size)
        sizes = [self.batch_size] * full + ([rest] if rest else [])
        if rest == 1:
            # The lone row and the batch before it share their rows.
            sizes[-2:] = [self.batch_size // 2 + 1, (self.batch_size + 1) // 2] if self.batch_size > 2 else [3]
        return sizes

    def __iter__(self) -> Iterator[list[int]]:
        if self.steps is None:
            return self._pass(self.epoch)
        first, size = self.epoch * self.steps, self._in_pass()
        passes = (self._pass(number) for number in count(first // size))
        return islice(chain.from_iterable(passes), first % size, first % size + self.steps)

    def _pass(self, number: int) -> Iterator[list[int]]:
        """Pass through all rows once, in an order of its own."""
        draw = np.random.default_rng([self.seed, number])
        if self.by_tokens is not None:
            # By length, but for as much as keeps a batch within its tokens: other neighbours in each epoch.
            order = np.argsort(self.lengths * np.exp(draw.uniform(-BLUR, BLUR, len(self.lengths))), kind="stable")
            return self._divided(order, draw)
        order = draw.permutation(len(self.lengths))
        window = self.window * self.batch_size
        for start in range(0, len(order), window):
            rows = order[start : start + window]
            order[start : start + window] = rows[np.argsort(self.lengths[rows], kind="stable")]
        return self._divided(order, draw)

    def _divided(self, order: np.ndarray, draw: np.random.Generator) -> Iterator[list[int]]:
        """Cut rows into batches, shuffle these, and give this process its own."""
        batches = np.split(order, np.cumsum(self._sizes())[:-1])
        mixed = draw.permutation(len(batches))
        own = range(self.rank, self._in_pass() * self.world, self.world)
        return (batches[mixed[index % len(mixed)]].tolist() for index in own)


#: By how much, as a logarithm, the length of a row is blurred where batches have so many tokens.
BLUR = 0.1


def _sizes_by_tokens(lengths: np.ndarray, batch_tokens: int) -> list[int]:
    """Say how many rows batches have, of rows by length: as many as have room, however lengths are blurred."""
    sizes, first = [], 0
    # In place of the row that was there, one may come that is longer by the blur of both.
    longest = lengths * np.exp(2 * BLUR)
    while first < len(lengths):
        # The last row of a batch is its longest.
        rows = np.arange(1, len(lengths) - first + 1)
        fits = rows * longest[first:] <= batch_tokens
        size = max(1, len(rows) if fits.all() else int(np.argmin(fits)))
        sizes.append(size)
        first += size
    return sizes
