"""Encoded sequences ─► a file without a name, from which any of them is read by itself."""

import os
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from rnalm.tokens.dataset import Encoded

#: Sequences of those on disk that are held in memory at a time.
HELD = 4096


class Lists:
    """Arrays of any lengths, one a row, on disk; the file is gone with the process, however that ends.

    Of each row 8 bytes stay in memory, which tell where it ends; rows are read rather than mapped, so that nothing else does.

    Parameters
    ----------
    folder : path
        On whose disk.
    dtype : dtype
        Of the numbers.
    width : tuple of int
        Shape of what stands at each place of a row: ``()`` for a number.
    """

    def __init__(self, folder: str | Path, dtype: np.dtype | type, width: tuple[int, ...] = ()) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (it is closed with this object)
        self._ends = array("q", [0])
        self.dtype, self.width = np.dtype(dtype), width
        self._size = self.dtype.itemsize * int(np.prod(width))

    def extend(self, rows: Sequence[np.ndarray]) -> None:
        """Put more rows behind those that are there.

        Parameters
        ----------
        rows : sequence of numpy.ndarray
            Each ``(length, *width)``.
        """
        for row in rows:
            self._file.write(np.ascontiguousarray(row, self.dtype).tobytes())
            self._ends.append(self._ends[-1] + len(row))
        self._file.flush()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        first, after = self._ends[row], self._ends[row + 1]
        content = os.pread(self._file.fileno(), (after - first) * self._size, first * self._size) if after > first else b""
        return np.frombuffer(content, self.dtype).reshape(-1, *self.width)

    @property
    def lengths(self) -> np.ndarray:
        """How long each row is: int64 ``(rows,)``."""
        return np.diff(np.frombuffer(self._ends, dtype=np.int64))


class StoredRows(Sequence[Encoded]):
    """Encoded sequences on disk, without their labels and letters: a token of up to 256 takes a byte.

    Parameters
    ----------
    folder : path
        On whose disk.
    vocab_size : int
        Ids of tokens are smaller.

    Attributes
    ----------
    whose : array of int
        Of each sequence its number, or that of the one whose reverse complement it is ``(rows,)``.
    """

    def __init__(self, folder: str | Path, vocab_size: int) -> None:
        ids = np.min_scalar_type(vocab_size - 1)
        self._rows, self._weights, self.whose = array("q"), array("f"), array("q")
        self._names, self._modifiers = Lists(folder, np.uint8), Lists(folder, np.float32)
        self._ids, self._reverse = Lists(folder, ids), Lists(folder, ids)

    def extend(self, sequences: Sequence[Encoded]) -> None:
        """Put more sequences behind those that are there, before their reverse complements are.

        Parameters
        ----------
        sequences : sequence of Encoded
            In memory, such as those of a row group.
        """

        def given(arrays: Iterable[np.ndarray | None]) -> list[np.ndarray]:
            return [np.zeros(0) if own is None else own.ravel() for own in arrays]

        self.whose.extend(range(len(self._rows), len(self._rows) + len(sequences)))
        self._rows.extend(sequence.row for sequence in sequences)
        self._weights.extend(sequence.weight for sequence in sequences)
        self._names.extend([np.frombuffer(sequence.id.encode(), np.uint8) for sequence in sequences])
        self._ids.extend([sequence.input_ids for sequence in sequences])
        self._reverse.extend(given(sequence.reverse_ids for sequence in sequences))
        self._modifiers.extend(given(sequence.modifiers for sequence in sequences))

    def add_twins(self) -> None:
        """Let the reverse complement of each sequence that has one follow all that are there; it is not stored again."""
        self.whose.extend(np.flatnonzero(self._reverse.lengths).tolist())

    def __len__(self) -> int:
        return len(self.whose)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each sequence: int64 ``(rows,)``."""
        twins = self.whose[len(self._rows) :]
        return np.concatenate([self._ids.lengths, self._reverse.lengths[twins]])

    @property
    def weights(self) -> np.ndarray:
        """What each sequence counts in the loss: float32 ``(rows,)``."""
        return np.array(self._weights, dtype=np.float32)[np.asarray(self.whose)]

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Encoded]: ...
    def __getitem__(self, index: int | slice) -> Encoded | list[Encoded]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        row = self.whose[number]
        ids, reverse, modifiers = self._ids[row], self._reverse[row], self._modifiers[row]
        stored = Encoded(
            self._rows[row],
            bytes(self._names[row]).decode(),
            ids,
            modifiers.reshape(-1, len(ids)) if len(modifiers) else None,
            None,
            self._weights[row],
            None,
            reverse if len(reverse) else None,
        )
        return stored if number < len(self._rows) else stored.twin()


def lengths(sequences: Sequence[Encoded]) -> np.ndarray:
    """Count the tokens of each of some sequences, of those on disk without reading them.

    Parameters
    ----------
    sequences : sequence of Encoded
        In memory, or on disk.

    Returns
    -------
    numpy.ndarray
        int64 ``(sequences,)``
    """
    if isinstance(sequences, StoredRows):
        return sequences.lengths
    return np.array([len(sequence.input_ids) for sequence in sequences], dtype=np.int64)
