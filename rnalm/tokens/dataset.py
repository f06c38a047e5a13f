"""Encoded Parquet ─► length-bucketed torch batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import Dataset, Sampler

from rnalm.errors import RnalmError
from rnalm.tokens.tokenizer import SPECIAL_TOKENS

#: Id that fills up shorter sequences of a batch where no other is given. Models look at no token where ``attention_mask`` is 0.
PAD = SPECIAL_TOKENS.index("[PAD]")

#: Columns of an encoded file that are read.
COLUMNS = ("id", "input_ids", "modifiers", "label", "weight", "offsets", "reverse_ids")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encoded sequence.

    Attributes
    ----------
    row : int
        Its row in the encoded file.
    id : str
        What the user calls it.
    input_ids : numpy.ndarray
        Ids of its tokens, int32 ``(length,)``.
    modifiers : numpy.ndarray or None
        float32 ``(channels, length)``; None where the source has none.
    label : float, str or None
        A number for regression, the name of a class for classification; None where it is not known.
    weight : float
        What it counts in the loss; 1 where the source has none.
    offsets : numpy.ndarray or None
        int32 ``(length, 2)``, half-open positions in the source; None where they are the tokens' own indices.
    reverse_ids : numpy.ndarray or None
        Tokens of the reverse complement, int32; None where both strands are not asked for.
    sequence : str or None
        The letters that the tokens stand for, if each is not a token; None also where they were not asked for.
    """

    row: int
    id: str
    input_ids: np.ndarray
    modifiers: np.ndarray | None
    label: float | str | None
    weight: float
    offsets: np.ndarray | None
    reverse_ids: np.ndarray | None = None
    sequence: str | None = None

    def twin(self) -> "Encoded":
        """Give the reverse complement, with the same label; positions are not those of its tokens."""
        return replace(
            self, input_ids=self.reverse_ids, reverse_ids=self.input_ids, modifiers=None, offsets=None, sequence=None
        )


def read(path: str | Path, rows: np.ndarray | None = None, letters: bool = False) -> Iterator[list[Encoded]]:
    """Read an encoded file, a row group at a time.

    Parameters
    ----------
    path : path
        The Parquet file.
    rows : numpy.ndarray, optional
        Sorted row numbers to keep ``(kept,)``; None: all. Row groups without any are not read.
    letters : bool
        Whether to read the letters of sequences too, where a token is more than one.

    Yields
    ------
    list of Encoded
        What is kept of a row group, in input order, never empty.
    """
    file = pq.ParquetFile(path)
    wanted = [name for name in file.schema_arrow.names if name in COLUMNS or (letters and name == "sequence")]
    first = 0
    for group in range(file.num_row_groups):
        after = first + file.metadata.row_group(group).num_rows
        kept = np.arange(first, after) if rows is None else rows[np.searchsorted(rows, first) : np.searchsorted(rows, after)]
        if len(kept):
            table = file.read_row_group(group, columns=wanted)
            yield _unpack(table if len(kept) == after - first else table.take(kept - first), kept)
        first = after


def _unpack(table: pa.Table, rows: np.ndarray) -> list[Encoded]:
    """Make sequences of a table, of which the row numbers are given."""

    def column(name: str) -> list:
        # None in each row where there is no such column.
        return table[name].to_pylist() if name in table.column_names else [None] * len(rows)

    input_ids = _arrays(table["input_ids"].combine_chunks())
    modifiers = [
        None if channels is None else np.array(channels, dtype=np.float32).reshape(len(channels), len(ids))
        for channels, ids in zip(column("modifiers"), input_ids, strict=True)
    ]
    offsets, reverse = (
        _arrays(table[name].combine_chunks()) if name in table.column_names else column(name)
        for name in ("offsets", "reverse_ids")
    )
    weights = [1.0 if weight is None else weight for weight in column("weight")]
    texts = (column("id"), input_ids, modifiers, column("label"), weights, offsets, reverse, column("sequence"))
    return [Encoded(int(row), *values) for row, *values in zip(rows, *texts, strict=True)]


def _arrays(lists: pa.ListArray) -> list:
    """Take a column of lists, of numbers or of pairs of numbers, apart; None where there is no list."""
    values = lists.flatten()
    numbers = (
        values.flatten().to_numpy(zero_copy_only=False).reshape(-1, 2) if pa.types.is_fixed_size_list(values.type) else None
    )
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    parts = np.split(values.to_numpy(zero_copy_only=False) if numbers is None else numbers, np.cumsum(lengths)[:-1])
    missing = lists.is_null().to_numpy(zero_copy_only=False)
    return [None if gone else part for gone, part in zip(missing, parts, strict=True)]


def lengths(path: str | Path) -> np.ndarray:
    """Count the tokens of every row of an encoded file, without reading the rest.

    Parameters
    ----------
    path : path
        The Parquet file.

    Returns
    -------
    numpy.ndarray
        int64 ``(rows,)``
    """
    file = pq.ParquetFile(path)
    counts = [
        batch.column(0).value_lengths().to_numpy(zero_copy_only=False) for batch in file.iter_batches(columns=["input_ids"])
    ]
    return np.concatenate(counts).astype(np.int64)


def column(path: str | Path, name: str) -> pa.ChunkedArray:
    """Read one small column of an encoded file whole.

    Parameters
    ----------
    path : path
        The Parquet file.
    name : str
        The column, such as ``label``.

    Returns
    -------
    pyarrow.ChunkedArray
        ``(rows,)``
    """
    return pq.read_table(path, columns=[name])[name]


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


def by_length(sequences: Sequence[Encoded], batch_tokens: int) -> Iterator[list[int]]:
    """Batch sequences of similar length.

    Parameters
    ----------
    sequences : sequence of Encoded
        In any order.
    batch_tokens : int
        Tokens of a batch, padding included, at most.

    Yields
    ------
    list of int
        Indices into ``sequences``: of one sequence, if it has more tokens, or else as many as go together.
    """
    order = np.argsort([len(sequence.input_ids) for sequence in sequences], kind="stable")
    batch: list[int] = []
    for index in order:
        # In ascending order the newest sequence is the longest, to which all are padded.
        if batch and (len(batch) + 1) * len(sequences[index].input_ids) > batch_tokens:
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
        float32 scaled labels or int64 class indices ``(rows,)``.
    """

    def __init__(self, sequences: list[Encoded], targets: np.ndarray) -> None:
        self.sequences = sequences
        self.targets = targets
        self.weights = np.array([sequence.weight for sequence in sequences], dtype=np.float32)
        self.lengths = np.array([len(sequence.input_ids) for sequence in sequences])

    def __len__(self) -> int:
        return len(self.sequences)

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
            What :func:`collate` gives, and ``labels`` and ``weights`` ``(batch,)``.

        Raises
        ------
        RnalmError
            If a sequence has more modifiers than the model has channels for.
        """
        inputs = collate([self.sequences[index] for index in indices], modifier_channels, pad)
        return inputs | {"labels": torch.from_numpy(self.targets[indices]), "weights": torch.from_numpy(self.weights[indices])}


class LengthBuckets(Sampler[list[int]]):
    """Random batches of sequences of similar length; the order depends on seed and epoch alone.

    Rows are shuffled, sorted by length within windows of some batches, cut into batches, and these are shuffled. Every
    row occurs once an epoch. No batch has one row only, for which batch normalization is not defined.

    Parameters
    ----------
    lengths : numpy.ndarray
        Tokens of each row ``(rows,)``.
    batch_size : int
        Rows of a batch; at least 2 are taken.
    seed : int
        Draws the order, together with the epoch.
    rank, world : int
        Number of this process, and of all that train together: each gets every ``world``-th batch; the first batches are
        repeated where the number does not divide.

    Raises
    ------
    RnalmError
        If there are fewer than two rows.
    """

    #: Batches in a window: more save padding, fewer mix better.
    WINDOW = 16

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if len(lengths) < 2:
            raise RnalmError(f"training needs at least 2 rows, found {len(lengths)}")
        self.lengths, self.batch_size, self.seed = lengths, max(2, batch_size), seed
        self.rank, self.world, self.epoch = rank, world, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is drawn next.

        Parameters
        ----------
        epoch : int
            Its number, from 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self._sizes()) // self.world)

    def _sizes(self) -> list[int]:
        """List how many rows the batches of an epoch have."""
        full, rest = divmod(len(self.lengths), self.batch_size)
        sizes = [self.batch_size] * full + ([rest] if rest else [])
        if rest == 1:
            # The lone row and the batch before it share their rows.
            sizes[-2:] = [self.batch_size // 2 + 1, (self.batch_size + 1) // 2] if self.batch_size > 2 else [3]
        return sizes

    def __iter__(self) -> Iterator[list[int]]:
        draw = np.random.default_rng([self.seed, self.epoch])
        order = draw.permutation(len(self.lengths))
        window = self.WINDOW * self.batch_size
        for start in range(0, len(order), window):
            rows = order[start : start + window]
            order[start : start + window] = rows[np.argsort(self.lengths[rows], kind="stable")]
        batches = np.split(order, np.cumsum(self._sizes())[:-1])
        batches = [batches[index].tolist() for index in draw.permutation(len(batches))]
        own = range(self.rank, len(self) * self.world, self.world)
        return iter([batches[index % len(batches)] for index in own])
