"""Who trains, validates and tests in each fold."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.config import Folds
from rnalm.errors import RnalmError, nearest
from rnalm.files import replacing

log = logging.getLogger(__name__)

PARTS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)


def assign(
    options: Folds,
    n_rows: int,
    labels: Sequence[str] | None = None,
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
    labels : sequence of str, optional
        Classes, by which ``kfold`` stratifies; None for regression.
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
    group_ids = _group_ids(groups, n_rows)
    if options.method == "ratio":
        parts = _ratio(options, group_ids, seed)
    elif options.method == "column":
        parts = _column(options, _named(splits))
    elif options.method == "rotate":
        parts = _rotate(*_ordered_splits(options, _named(splits)))
    elif options.validation_percent is None:
        parts = _rotate(_kfold(options.n, labels, group_ids, seed), options.n)
    else:
        parts = _set_aside(_kfold(options.n, labels, group_ids, seed), options, labels, group_ids, seed)
    _check(parts, options, group_ids, groups)
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
    task : {'regression', 'classification'}
        Whether labels are numbers, or classes by which ``kfold`` stratifies.
    seed : int
        Draws what is random.
    clusters : path, optional
        From :func:`rnalm.sequences.cluster.cluster_file`, for ``folds.group: cluster``; rows in the order of the encoded file.

    Raises
    ------
    RnalmError
        If the rows cannot be assigned so (see :func:`assign`).
    """
    rows = pq.read_table(encoded, columns=["id", "label", "group", "split"])

    def column(name: str) -> list | None:
        """Take a column with None where it is empty; None where all of it is."""
        return rows[name].to_pylist() if rows[name].null_count < len(rows) else None

    labels = column("label") if task == "classification" else None
    groups = None if options.group == "none" else column("group")
    if clusters is not None:
        groups = join(groups, pq.read_table(clusters, columns=["cluster"])["cluster"].to_numpy())
    parts = assign(options, len(rows), labels, groups, column("split"), seed)
    for fold, part in enumerate(parts):
        log.info("fold %d: %s", fold, ", ".join(f"{np.sum(part == i)} {name}" for i, name in enumerate(PARTS)))
    names = pa.DictionaryArray.from_arrays(pa.array(parts.ravel()), list(PARTS)).cast(pa.string())
    ids = pa.array(np.tile(rows["id"].to_numpy(), len(parts)), pa.string())
    fold = pa.array(np.repeat(np.arange(len(parts), dtype=np.int32), len(rows)))
    with replacing(output) as temporary:
        pq.write_table(pa.table({"fold": fold, "id": ids, "part": names}), temporary, compression="zstd")


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
    parts = pd.Categorical(table["part"].to_pandas(), categories=PARTS).codes
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

    group_ids = _group_ids(groups, len(clusters))
    size = group_ids.max() + 1
    links = coo_array((np.ones(len(clusters)), (group_ids, size + clusters)), shape=(size + clusters.max() + 1,) * 2)
    joined = connected_components(links, directed=False)[1][group_ids]
    return [f"cluster {number}" for number in joined.tolist()]


def _group_ids(groups: Sequence[str | None] | None, n_rows: int) -> np.ndarray:
    """Give each group a number ``(rows,)``; a row without one gets a number of its own."""
    if groups is None:
        return np.arange(n_rows)
    keys = [("row", index) if group is None else ("group", group) for index, group in enumerate(groups)]
    return pd.factorize(pd.Series(keys, dtype=object))[0]


def _ratio(options: Folds, group_ids: np.ndarray, seed: int) -> np.ndarray:
    """Fill test, then validation, with whole groups in random order; the rest trains."""
    n_rows = len(group_ids)
    sizes = np.bincount(group_ids)
    shares = dict(zip(PARTS, [*options.ratio, 0], strict=False))
    parts = np.zeros((options.n, n_rows), dtype=np.int8)
    for fold, child in enumerate(np.random.SeedSequence(seed).spawn(options.n)):
        order = np.random.default_rng(child).permutation(len(sizes))
        part_of_group = np.zeros(len(sizes), dtype=np.int8)
        for part in (TEST, VALIDATION):
            # At least one row, however small the percentage: an empty part would be no part.
            wanted = max(1, round(n_rows * shares[PARTS[part]] / 100)) if shares[PARTS[part]] else 0
            taken = _fill(sizes[order], wanted)
            part_of_group[order[taken]] = part
            order = order[~taken]
        parts[fold] = part_of_group[group_ids]
    return parts


def _fill(sizes: np.ndarray, wanted: int) -> np.ndarray:
    """Choose groups, in order, whose sizes come near a number of rows; one that overshoots by more than it helps is left.

    Parameters
    ----------
    sizes : numpy.ndarray
        Rows of each group ``(groups,)``.
    wanted : int
        How many rows are wanted.

    Returns
    -------
    numpy.ndarray
        bool ``(groups,)``; if rows are wanted and there are groups, one is chosen.
    """
    taken = np.zeros(len(sizes), dtype=bool)
    missing = wanted
    for group, size in enumerate(sizes.tolist()):
        if missing <= 0:
            break
        if size - missing < missing:
            taken[group] = True
            missing -= size
    if wanted and len(sizes) and not taken.any():
        taken[sizes.argmin()] = True
    return taken


def _named(splits: Sequence[str | None] | None) -> np.ndarray:
    """Give the split of each row ``(rows,)``, which every one must have."""
    if splits is None or any(split is None for split in splits):
        raise RnalmError("columns.split: some rows name no split, expected one in every row")
    return np.array(splits, dtype=object)


def _natural(name: str) -> list:
    """Sort key by which split 2 comes before split 10."""
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in re.split(r"(\d+)", name) if piece]


def _known(name: str | int, names: list[str], key: str) -> str:
    """Give the name of a split as text, if there is such a split."""
    if str(name) not in names:
        raise RnalmError(f"{key}: no row is in split {str(name)!r}; {nearest(name, names)}")
    return str(name)


def _column(options: Folds, splits: np.ndarray) -> np.ndarray:
    """In each fold, the splits that are named validate and test; all others train."""
    names = sorted(set(splits), key=_natural)
    validations = _by_fold(options.validation)
    tests = _by_fold(options.test) if options.test else [[]] * len(validations)
    parts = np.zeros((len(validations), len(splits)), dtype=np.int8)
    for fold, (validation, test) in enumerate(zip(validations, tests, strict=True)):
        validating = {_known(name, names, "folds.validation") for name in validation}
        testing = {_known(name, names, "folds.test") for name in test}
        if both := sorted(validating & testing, key=_natural):
            raise RnalmError(f"folds: split {both[0]!r} is in both validation and test of fold {fold}; expected one of them")
        parts[fold, np.isin(splits, list(validating))] = VALIDATION
        parts[fold, np.isin(splits, list(testing))] = TEST
    return parts


def _by_fold(splits: list) -> list[list[str]]:
    """List the names of splits of each fold; a plain list of names is that of the only one."""
    return splits if isinstance(splits[0], list) else [splits]


def _ordered_splits(options: Folds, splits: np.ndarray) -> tuple[np.ndarray, int]:
    """Give each split its number ``(rows,)`` in their order of rotation."""
    names = sorted(set(splits), key=_natural)
    if options.splits:
        order = [_known(name, names, "folds.splits") for name in options.splits]
        if missing := [name for name in names if name not in order]:
            raise RnalmError(f"folds.splits: split {missing[0]!r} is in the data but not in the list {order}")
        names = order
    elif len(names) != options.n:
        raise RnalmError(f"folds.n is {options.n}, but columns.split has {len(names)} splits: {', '.join(names)}")
    position = {name: index for index, name in enumerate(names)}
    return np.array([position[split] for split in splits]), len(names)


def _rotate(number: np.ndarray, n: int) -> np.ndarray:
    """In fold f, split f tests and the following split validates."""
    fold = np.arange(n)[:, None]
    return np.where(number == fold, TEST, np.where(number == (fold + 1) % n, VALIDATION, TRAIN)).astype(np.int8)


def _kfold(n: int, labels: Sequence[str] | None, group_ids: np.ndarray, seed: int) -> np.ndarray:
    """Draw n random parts ``(rows,)``, stratified by class, groups kept whole."""
    # Here, as every job imports this module, and few assign folds.
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    grouped = len(np.unique(group_ids)) < len(group_ids)
    splitter = {
        (False, False): KFold,
        (False, True): GroupKFold,
        (True, False): StratifiedKFold,
        (True, True): StratifiedGroupKFold,
    }[labels is not None, grouped]
    number = np.empty(len(group_ids), dtype=np.int64)
    try:
        folds = splitter(n, shuffle=True, random_state=seed).split(group_ids, labels, group_ids if grouped else None)
        for part, (_, rows) in enumerate(folds):
            number[rows] = part
    except ValueError as error:
        raise RnalmError(f"folds.n: cannot make {n} parts ({error})") from None
    return number


def _set_aside(
    number: np.ndarray, options: Folds, labels: Sequence[str] | None, group_ids: np.ndarray, seed: int
) -> np.ndarray:
    """In fold f, part f tests; of the other rows, of each class, a percentage validates, in whole groups."""
    first = np.unique(group_ids, return_index=True)[1]
    sizes, part_of_group = np.bincount(group_ids), number[first]
    # A group counts for the class of its first row.
    group_class = np.zeros(len(first), dtype=int) if labels is None else pd.factorize(np.array(labels, dtype=object)[first])[0]
    parts = np.where(number == np.arange(options.n)[:, None], TEST, TRAIN).astype(np.int8)
    for fold, child in enumerate(np.random.SeedSequence(seed).spawn(options.n)):
        order = np.random.default_rng(child).permutation(len(first))
        for index in np.unique(group_class):
            free = order[(group_class[order] == index) & (part_of_group[order] != fold)]
            wanted = max(1, round(sizes[free].sum() * options.validation_percent / 100)) if len(free) > 1 else 0
            parts[fold, np.isin(group_ids, free[_fill(sizes[free], wanted)])] = VALIDATION
    return parts


def _check(parts: np.ndarray, options: Folds, group_ids: np.ndarray, groups: Sequence[str | None] | None) -> None:
    """Refuse parts that are empty, and groups that are in two of them."""
    expected = (TRAIN, VALIDATION, TEST) if options.tested else (TRAIN, VALIDATION)
    for fold, part in enumerate(parts):
        for index in expected:
            if not np.any(part == index):
                raise RnalmError(f"folds: the {PARTS[index]} part of fold {fold} is empty; too few rows, groups or splits")
        first = part[np.unique(group_ids, return_index=True)[1]]
        straddling = np.flatnonzero(part != first[group_ids])
        if groups is not None and len(straddling):
            row = straddling[0]
            raise RnalmError(
                f"folds: group {groups[row]!r} is in both {PARTS[first[group_ids[row]]]} and {PARTS[part[row]]} "
                f"of fold {fold}; the rows of a group must be in one part"
            )
