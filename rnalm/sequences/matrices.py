"""A matrix of one-hot letters ─► records, some at a time."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rnalm.config.matrix import Matrix
from rnalm.errors import RnalmError, nearest
from rnalm.sequences.records import Record
from rnalm.sequences.text import read_names

#: Numbers that are read at once, at most, where the file can be read in pieces (HDF5).
NUMBERS = 2**24


def read(source: Matrix) -> Iterator[Record]:
    """Read the records of a matrix, in order.

    Parameters
    ----------
    source : Matrix
        The file, and where it holds what.

    Yields
    ------
    Record
        A sequence, called by the file and its row, from 0; its label is float32 ``(classes,)``, 1, 0 or NaN, or, where there is
        one number a sequence and no name of a class, that.

    Raises
    ------
    RnalmError
        If the file is none of these, has no such key, or holds something else under it; or a position is neither one letter nor
        unknown.
    """
    name = Path(source.matrix).name
    with _opened(source.matrix) as arrays:
        sequences = _array(arrays, source.sequence_key, (3,), source)
        axes = [source.sequence_batch_axis, source.sequence_alphabet_axis]
        rows, letters = (sequences.shape[axis] for axis in axes)
        if letters != len(source.alphabet):
            found = f"{source.sequence_key!r} has {letters} letters along axis {axes[1]}, {tuple(sequences.shape)} in all"
            raise RnalmError(f"{source.matrix}: {found}; expected {len(source.alphabet)} ({source.alphabet})")
        targets = _targets(arrays, source, rows)
        each = math.prod(sequences.shape) + (0 if targets is None else math.prod(targets.shape))
        size = max(1, NUMBERS * rows // max(1, each))
        for first in range(0, rows, size):
            part = np.moveaxis(_rows(sequences, axes[0], first, first + size), axes, [0, 1])
            labels = [None] * len(part) if targets is None else _labels(targets, source, first, first + size)
            for row, (text, label) in enumerate(zip(_spelled(part, source, first), labels, strict=True), start=first):
                yield Record(f"{source.matrix}, row {row}", f"{name}:{row}", text, None, label, None, None, None)


def shape(source: Matrix) -> tuple[int, int]:
    """Say how many sequences there are, and how long they are.

    Parameters
    ----------
    source : Matrix
        As for :func:`read`.

    Raises
    ------
    RnalmError
        As from :func:`read`.
    """
    with _opened(source.matrix) as arrays:
        own = list(_array(arrays, source.sequence_key, (3,), source).shape)
    return own[source.sequence_batch_axis], own[3 - source.sequence_batch_axis - source.sequence_alphabet_axis]


def classes(source: Matrix) -> list[str]:
    """Name the targets.

    Parameters
    ----------
    source : Matrix
        With a list of names, or a file; or without, for their numbers.

    Raises
    ------
    RnalmError
        If there are not as many names as targets, or one stands twice.
    """
    if source.targets_key is None:
        return []
    with _opened(source.matrix) as arrays:
        shape = _array(arrays, source.targets_key, (2, 1), source).shape
        count = shape[1 - source.targets_batch_axis] if len(shape) == 2 else 1
    if source.classes is None:
        return [str(number) for number in range(count)]
    names, where = read_names(source.classes, "source.classes")
    if len(names) != count:
        raise RnalmError(f"{where}: names {len(names)} classes, but {source.targets_key!r} of {source.matrix} has {count}")
    return names


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Open a file of arrays, of whichever kind it is; nothing in it is run."""
    # Here, as planning an experiment needs neither, and both take long to load.
    import h5py
    from scipy.io import loadmat

    if not Path(path).is_file():
        raise RnalmError(f"{path}: no such file")
    try:
        if h5py.is_hdf5(path):
            arrays: Any = h5py.File(path, "r")
        elif Path(path).suffix == ".npz":
            arrays = np.load(path, allow_pickle=False)
        else:
            arrays = loadmat(path)
    except Exception as error:  # readers of files that are something else fail in many ways
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RnalmError(f"{path}: found no arrays ({problem}); expected .npz, HDF5 or MATLAB's .mat") from None
    try:
        yield arrays
    finally:
        if hasattr(arrays, "close"):
            arrays.close()


def _array(arrays: Any, key: str, dimensions: tuple[int, ...], source: Matrix) -> Any:
    """Find an array that has one of some numbers of dimensions, and numbers in it."""
    known = [name for name in arrays if not name.startswith("__")]
    if key not in known:
        raise RnalmError(f"{source.matrix}: nothing in it is called {key!r}; {nearest(key, known)}")
    try:
        found: Any = arrays[key]
    except ValueError:  # of Python's own objects, which are not read
        found = None
    if getattr(found, "ndim", None) not in dimensions or found.dtype.kind not in "biuf":
        shown = f"{found.dtype} {tuple(found.shape)}" if hasattr(found, "shape") else "something else"
        raise RnalmError(f"{source.matrix}: {key!r} is {shown}; expected numbers of {dimensions[0]} dimensions")
    return found


def _rows(array: Any, axis: int, first: int, last: int) -> np.ndarray:
    """Read consecutive rows."""
    return np.asarray(array[(slice(None),) * axis + (slice(first, last),)])


def _spelled(part: np.ndarray, source: Matrix, first: int) -> Iterator[str]:
    """Spell one-hot letters ``(rows, alphabet, length)``."""
    unknown = "N" if set(source.alphabet) <= set("ACGTU") else "X"
    letters = np.array([*source.alphabet, unknown])
    best, total = part.max(axis=1), part.sum(axis=1, dtype=np.float64)
    one = (best == 1) & (total == 1)
    other = (part == part[:, :1]).all(axis=1)
    if not (one | other).all():
        row, position = np.argwhere(~(one | other))[0]
        found = ", ".join(f"{value:g}" for value in part[row, :, position])
        problem = f"position {position} of row {first + row} is {found}"
        raise RnalmError(f"{source.matrix}: {problem}; expected 1 for one letter and 0 for the others, or all the same")
    index = np.where(one, part.argmax(axis=1), len(source.alphabet))
    for row in letters[index]:
        yield "".join(row)


def _targets(arrays: Any, source: Matrix, rows: int) -> Any:
    """Find the labels of all sequences: ``(sequences, targets)`` in the order of the axes, or ``(sequences,)``."""
    if source.targets_key is None:
        return None
    found = _array(arrays, source.targets_key, (2, 1), source)
    axis = source.targets_batch_axis if found.ndim == 2 else 0
    if found.shape[axis] != rows:
        problem = f"{source.targets_key!r} is of {found.shape[axis]} sequences along axis {axis}"
        raise RnalmError(f"{source.matrix}: {problem}, {source.sequence_key!r} has {rows}; expected as many")
    return found


def _labels(targets: Any, source: Matrix, first: int, last: int) -> np.ndarray:
    """Read the labels of consecutive sequences: float32 ``(sequences, targets)``."""
    if targets.ndim == 1:
        return np.asarray(targets[first:last], dtype=np.float32)[:, None]
    return np.moveaxis(_rows(targets, source.targets_batch_axis, first, last), source.targets_batch_axis, 0).astype(np.float32)
