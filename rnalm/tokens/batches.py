"""Encoded sequences ─► batches of like length."""

from collections.abc import Iterator, Sequence
from itertools import chain, count, islice

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from rnalm.errors import RnalmError
from rnalm.tokens.dataset import PAD, UNKNOWN, Encoded


def collate(sequences: Sequence[Encoded], modifier_channels: int = 0, pad: int = PAD) -> dict[str, torch.Tensor]:
    """Pad sequences on the right to the longest among them.

    Parameters
    ----------
    sequences : sequence of Encoded
        At least one.
    modifier_channels : int
        Channels that the model has; a sequence with fewer gets zeros.
    pad : int
        Id that fills up: that of a special token, best that of ``[PAD]`` (see :func:`rnalm.tokens.tokenizer.special_ids`).

    Returns
    -------
    dict
        ``input_ids`` and ``attention_mask``, int64 ``(batch, length)``; with modifier channels also ``modifiers``,
        float32 ``(batch, channels, length)``.

    Raises
    ------
    RnalmError
        If a sequence has more modifiers than the model has channels for.
    """
    longest = max(len(sequence.input_ids) for sequence in sequences)
    input_ids = np.full((len(sequences), longest), pad, dtype=np.int64)
    mask = np.zeros_like(input_ids)
    modifiers = np.zeros((len(sequences), modifier_channels, longest), dtype=np.float32)
    for index, sequence in enumerate(sequences):
        length = len(sequence.input_ids)
        input_ids[index, :length] = sequence.input_ids
        mask[index, :length] = 1
        if sequence.modifiers is not None:
            modifiers[index, :, :length] = fit_modifiers(sequence, modifier_channels)
    batch = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask)}
    return batch | {"modifiers": torch.from_numpy(modifiers)} if modifier_channels else batch


def fit_modifiers(sequence: Encoded, channels: int) -> np.ndarray:
    """Give the modifiers of a sequence as many channels as a model has.

    Parameters
    ----------
    sequence : Encoded
        With modifiers or without.
    channels : int
        Channels that the model has; those that the sequence has not are 0.

    Returns
    -------
    numpy.ndarray
        float32 ``(channels, length)``

    Raises
    ------
    RnalmError
        If the sequence has more modifiers than the model has channels for.
    """
    fitted = np.zeros((channels, len(sequence.input_ids)), dtype=np.float32)
    if sequence.modifiers is not None:
        own = len(sequence.modifiers)
        if own > channels:
            raise RnalmError(
                f"sequence {sequence.id!r} has tokens with {own} modifiers, but the model was trained with {channels}"
            )
        fitted[:own] = sequence.modifiers
    return fitted


def by_length(sequences: Sequence[Encoded], batch_tokens: int, least: int = 1) -> Iterator[list[int]]:
    """Batch sequences of similar length.

    Parameters
    ----------
    sequences : sequence of Encoded
        In any order.
    batch_tokens : int
        Tokens of a batch, padding included, at most.
    least : int
        Tokens to which a model pads shorter sequences.

    Yields
    ------
    list of int
        Indices into ``sequences``: of one sequence, if it has more tokens, or else as many as go together.
    """
    order = np.argsort([len(sequence.input_ids) for sequence in sequences], kind="stable")
    batch: list[int] = []
    for index in order:
        # In ascending order the newest sequence is the longest, to which all are padded.
        if batch and (len(batch) + 1) * max(least, len(sequences[index].input_ids)) > batch_tokens:
            yield batch
            batch = []
        batch.append(int(index))
    if batch:
        yield batch


class TrainingSet(Dataset):
    """The rows of one part of a fold, in memory, with their targets and weights.

    Parameters
    ----------
    sequences : list of Encoded
        One a row.
    targets : numpy.ndarray
        float32 scaled labels or int64 class indices ``(rows,)``, or of several classes ``(rows, classes)``; or, where tokens
        have labels, such arrays ``(length,)`` or ``(length, classes)``, in which what is not known is NaN or
        :data:`rnalm.tokens.dataset.UNKNOWN`.
    """

    def __init__(self, sequences: list[Encoded], targets: np.ndarray) -> None:
        self.sequences = sequences
        self.targets = targets
        self.weights = np.array([sequence.weight for sequence in sequences], dtype=np.float32)
        self.lengths = np.array([len(sequence.input_ids) for sequence in sequences])

    def __len__(self) -> int:
        return len(self.sequences)

    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """List the known targets of all rows, or of all their tokens, and their weights.

        Returns
        -------
        targets : numpy.ndarray
            float32 or int64 ``(known,)``; for multilabel ``(rows, classes)``, of tokens those of which a class is known.
        weights : numpy.ndarray
            float32 ``(known,)``: those of the rows.
        """
        if self.targets.dtype != object:
            return self.targets, self.weights
        targets = np.concatenate(self.targets)
        own = any_known(targets)
        return targets[own], np.repeat(self.weights, self.lengths)[own]

    def __getitem__(self, index: int) -> int:
        """Hand out the index; :meth:`batch` does the work for a whole batch."""
        return index

    def batch(self, indices: list[int], modifier_channels: int, pad: int = PAD) -> dict[str, torch.Tensor]:
        """Collate rows with their targets and weights.

        Parameters
        ----------
        indices : list of int
            The rows.
        modifier_channels, pad
            As for :func:`collate`.

        Returns
        -------
        dict
            What :func:`collate` gives, and ``labels`` ``(batch,)`` or, where tokens have them, ``(batch, length)``, for
            multilabel with classes as another dimension, and ``weights`` ``(batch,)``.

        Raises
        ------
        RnalmError
            If a sequence has more modifiers than the model has channels for.
        """
        inputs = collate([self.sequences[index] for index in indices], modifier_channels, pad)
        targets = self.targets[indices]
        if targets.dtype == object:
            targets = _padded(targets, inputs["input_ids"].shape[1])
        return inputs | {"labels": torch.from_numpy(targets), "weights": torch.from_numpy(self.weights[indices])}


def is_known(targets: np.ndarray) -> np.ndarray:
    """Tell which targets are known.

    Parameters
    ----------
    targets : numpy.ndarray
        Numbers or class indices, of any shape.
    """
    return ~np.isnan(targets) if targets.dtype.kind == "f" else targets != UNKNOWN


def any_known(targets: np.ndarray) -> np.ndarray:
    """Tell of which rows or tokens a target is known ``(rows,)``.

    Parameters
    ----------
    targets : numpy.ndarray
        Numbers or class indices ``(rows,)``, or for multilabel ``(rows, classes)``.
    """
    known = is_known(targets)
    return known if targets.ndim == 1 else np.asarray(known.any(axis=1))


def _padded(targets: np.ndarray, length: int) -> np.ndarray:
    """Put targets of tokens below each other ``(rows, length)`` or ``(rows, length, classes)``; at padding none is known."""
    kind, classes = targets[0].dtype, targets[0].shape[1:]
    padded = np.full((len(targets), length, *classes), np.nan if kind.kind == "f" else UNKNOWN, dtype=kind)
    for row, own in enumerate(targets):
        padded[row, : len(own)] = own
    return padded


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
        batches = [batches[index].tolist() for index in draw.permutation(len(batches))]
        own = range(self.rank, self._in_pass() * self.world, self.world)
        return iter([batches[index % len(batches)] for index in own])


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
