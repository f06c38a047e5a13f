"""Who trains, validates and tests in each fold."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rnalm.config import Folds
from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.labels.methods import METHODS, PARTS, TEST, TRAIN, VALIDATION, Rows
from rnalm.labels.stratify import positives
from rnalm.sequences.records import known
from rnalm.tokens import dataset

if TYPE_CHECKING:
    from scipy.sparse import csr_array

log = logging.getLogger(__name__)


def assign(
    options: Folds,
    n_rows: int,
    labels: "Sequence[str] | csr_array | None" = None,
    groups: Sequence[str | None] | None = None,
    splits: Sequence[str | None] | None = None,
    seed: int = 1,
) -> np.ndarray:
    """Assign every row to a part in every fold.

    Parameters
    ----------
    options : Folds
        How many folds there are, and how they are made.
    n_rows : int
        How many rows there are.
    labels : sequence of str or scipy.sparse.csr_array, optional
        Classes, by which ``kfold`` stratifies, or 1 where a row is of one of several ``(rows, classes)``; None for regression.
    groups : sequence, optional
        Rows of one group never straddle parts; a row whose group is None is a group of its own.
    splits : sequence, optional
        Names of predefined splits, for ``column`` and ``rotate``.
    seed : int
        Draws what is random.

    Returns
    -------
    numpy.ndarray
        int8 ``(folds, rows)``: 0 train, 1 validation, 2 test.

    Raises
    ------
    RnalmError
        If a split is not known, or both validates and tests; if a part is empty, rows are too few for the folds, or a group
        straddles parts.

    Examples
    --------
    In each of three folds another third of the rows tests (2), and the following third validates (1):

    >>> assign(Folds(method="kfold", n=3), n_rows=6, groups=["a", "a", "b", "b", "c", "c"]).tolist()
    [[2, 2, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2], [1, 1, 2, 2, 0, 0]]
    """
    numbers = group_ids(groups, n_rows)
    _tell_large(options, numbers, groups)
    parts = METHODS[options.method](options, Rows(numbers, labels, splits), seed)
    _check(parts, options, numbers, groups)
    return parts


def assign_file(
    encoded: str | Path, output: str | Path, options: Folds, task: str, seed: int, clusters: str | Path | None = None
) -> None:
    """Assign the rows of an encoded file; write ``fold``, ``id``, ``part`` in input order.

    Parameters
    ----------
    encoded, output : path
        The file with the rows, and the Parquet file to write.
    options : Folds
        How many folds there are, and how they are made.
    task : {'regression', 'classification', 'multilabel'}
        Whether labels are numbers, or classes by which ``kfold`` stratifies.
    seed : int
        Draws what is random.
    clusters : path, optional
        From :func:`rnalm.sequences.cluster.cluster_file`, for ``folds.group: cluster``; it may have further sequences.

    Raises
    ------
    RnalmError
        If the rows cannot be assigned so (see :func:`assign`), or all rows of a part weigh 0.
    """
    rows = pq.read_table(encoded, columns=["id", "weight", "split"])
    labels = None
    if options.method == "kfold" and task == "classification":
        labels = dataset.column(encoded, "label").to_pylist()
    elif options.method == "kfold" and task == "multilabel":
        labels = positives(encoded)
    groups = groups_of(encoded, options.group, clusters)
    parts = assign(options, len(rows), labels, groups, _names(rows["split"]), seed)
    _check_weights(parts, rows["weight"].to_numpy())
    _tell_copies(parts, encoded)
    for fold, part in enumerate(parts):
        log.info("fold %d: %s", fold, ", ".join(f"{np.sum(part == i)} {name}" for i, name in enumerate(PARTS)))
    names = pa.DictionaryArray.from_arrays(pa.array(parts.ravel()), list(PARTS)).cast(pa.string())
    ids = pa.chunked_array([chunk for _ in parts for chunk in rows["id"].chunks])
    fold = pa.array(np.repeat(np.arange(len(parts), dtype=np.int32), len(rows)))
    with replacing(output) as temporary:
        pq.write_table(pa.table({"fold": fold, "id": ids, "part": names}), temporary, compression="zstd")


def groups_of(encoded: str | Path, by: str, clusters: str | Path | None = None) -> Sequence[str | None] | None:
    """Say which rows of an encoded file belong together.

    Parameters
    ----------
    encoded : path
        The file.
    by : {'column', 'cluster', 'none'}
        What groups rows, as ``folds.group`` has it.
    clusters : path, optional
        As for :func:`assign_file`.

    Returns
    -------
    sequence of str or None
        Group of each row, None for one that is a group of its own; None: all are.
    """
    rows = pq.read_table(encoded, columns=["id", "group"])
    groups = None if by == "none" else named(_names(rows["group"]))
    if clusters is None:
        return groups
    # By id, as sequences without a label may have been left out since.
    found = pq.read_table(clusters)
    places = pc.index_in(rows["id"], found["id"].combine_chunks())  # pyright: ignore[reportAttributeAccessIssue]
    return join(groups, found["cluster"].take(places).to_numpy())


def _names(column: pa.ChunkedArray) -> list | None:
    """Take a column with None where it is empty; None where all of it is."""
    return column.to_pylist() if column.null_count < len(column) else None


def named(groups: Sequence[str | None] | None) -> Sequence[str | None] | None:
    """Leave out groups whose name says that it is missing, such as ``NA``, and tell how many rows that concerns.

    Parameters
    ----------
    groups : sequence of str or None
        Group of each row; None: there are none.

    Returns
    -------
    sequence of str or None
        With None where the name says so: such rows have nothing in common but that nothing is known of them.
    """
    if groups is None:
        return None
    kept = [known(group) for group in groups]
    missing = Counter(group for group, name in zip(groups, kept, strict=True) if group is not None and name is None)
    if missing:
        shown = ", ".join(f"{name!r} ({count})" for name, count in missing.most_common())
        log.warning("columns.group: some names say that it is missing: %s; each of these rows is a group of its own", shown)
    return kept


def _tell_large(options: Folds, numbers: np.ndarray, groups: Sequence[str | None] | None) -> None:
    """Name a group that has more rows than one of the random parts is to have."""
    shares = {"ratio": [share / 100 for share in options.ratio[1:] if share], "kfold": [1 / options.n]}.get(options.method)
    if groups is None or not shares:
        return
    sizes, wanted = np.bincount(numbers), min(shares) * len(numbers)
    if sizes.max() > max(1, round(wanted)):
        name, size = groups[int(np.argmax(numbers == sizes.argmax()))], sizes.max()
        log.warning("folds: group %r has %d of %d rows, more than a part of %.0f", name, size, len(numbers), wanted)


def _check_weights(parts: np.ndarray, weights: np.ndarray) -> None:
    """Refuse parts of which all rows weigh nothing."""
    for fold, part in enumerate(parts):
        for index, name in enumerate(PARTS):
            if np.any(part == index) and not np.any(weights[part == index]):
                raise RnalmError(
                    f"columns.weight: all {np.sum(part == index)} rows of the {name} part of fold {fold} weigh 0; "
                    "expected one at least that weighs more"
                )


def _tell_copies(parts: np.ndarray, encoded: str | Path) -> None:
    """Tell how many rows test although their sequence trains as well, or its reverse complement where both strands are read."""
    strands = [name for name in ("input_ids", "reverse_ids") if name in pq.read_schema(encoded).names]
    each = [np.array([hash(ids.tobytes()) for ids in _lists(encoded, name)]) for name in strands]
    keys = np.min(each, axis=0)
    copied = np.zeros(len(keys), dtype=bool)
    for part in parts:
        copied |= (part == TEST) & np.isin(keys, keys[part == TRAIN])
    if copied.any():
        log.warning(
            "folds: of %d rows that test, %d have a copy of their sequence among the rows that train; "
            "with folds.group: cluster copies stay together",
            np.sum((parts == TEST).any(axis=0)),
            copied.sum(),
        )


def _lists(encoded: str | Path, name: str) -> Iterator[Any]:
    """Read a column of lists of numbers, one after the other."""
    return (own for lists in dataset.blocks(encoded, name) for own in dataset.tokens_labels(lists))


def read(path: str | Path) -> np.ndarray:
    """Read a folds file back.

    Parameters
    ----------
    path : path
        From :func:`assign_file`.

    Returns
    -------
    numpy.ndarray
        As from :func:`assign`, int8 ``(folds, rows)``; rows are in the order of the encoded file.
    """
    table = pq.read_table(path, columns=["fold", "part"])
    parts = pc.index_in(table["part"], pa.array(PARTS)).to_numpy()  # pyright: ignore[reportAttributeAccessIssue]
    return parts.reshape(table["fold"].to_numpy().max() + 1, -1).astype(np.int8)


def test_rows(path: str | Path, fold: int) -> np.ndarray:
    """List the rows that test a fold.

    Parameters
    ----------
    path : path
        From :func:`assign_file`.
    fold : int
        Its number, from 0.

    Returns
    -------
    numpy.ndarray
        Rows of the encoded file, sorted ``(rows,)``.
    """
    return np.flatnonzero(read(path)[fold] == TEST)


def join(groups: Sequence[str | None] | None, clusters: np.ndarray) -> list[str]:
    """Join groups that have rows of a cluster in common: what is in one with the other, by whatever chain, is one group.

    Parameters
    ----------
    groups : sequence of str or None
        Group of each row ``(rows,)``, None for one that is a group of its own; None: all are.
    clusters : numpy.ndarray
        Number of each row's cluster ``(rows,)``.

    Returns
    -------
    list of str
        Names of the joined groups.
    """
    # Here, as every job imports this module, and few assign folds.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers = group_ids(groups, len(clusters))
    size = numbers.max() + 1
    links = coo_array((np.ones(len(clusters)), (numbers, size + clusters)), shape=(size + clusters.max() + 1,) * 2)
    joined = connected_components(links, directed=False)[1][numbers]
    return [f"cluster {number}" for number in joined.tolist()]


def group_ids(groups: Sequence[str | None] | None, n_rows: int) -> np.ndarray:
    """Give each group a number; a row without one gets a number of its own.

    Parameters
    ----------
    groups : sequence of str or None
        Group of each row; None: all are alone.
    n_rows : int
        How many rows there are.

    Returns
    -------
    numpy.ndarray
        From 0 without gaps ``(rows,)``.
    """
    if groups is None:
        return np.arange(n_rows)
    keys = [("row", index) if group is None else ("group", group) for index, group in enumerate(groups)]
    return pd.factorize(pd.Series(keys, dtype=object))[0]


def _check(parts: np.ndarray, options: Folds, numbers: np.ndarray, groups: Sequence[str | None] | None) -> None:
    """Refuse parts that are empty, and groups that are in two of them."""
    expected = (TRAIN, VALIDATION, TEST) if options.tested else (TRAIN, VALIDATION)
    for fold, part in enumerate(parts):
        for index in expected:
            if not np.any(part == index):
                raise RnalmError(f"folds: the {PARTS[index]} part of fold {fold} is empty; too few rows, groups or splits")
        first = part[np.unique(numbers, return_index=True)[1]]
        straddling = np.flatnonzero(part != first[numbers])
        if groups is not None and len(straddling):
            row = straddling[0]
            raise RnalmError(
                f"folds: group {groups[row]!r} is in both {PARTS[first[numbers[row]]]} and {PARTS[part[row]]} "
                f"of fold {fold}; the rows of a group must be in one part"
            )
