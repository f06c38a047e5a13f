"""The methods by which rows are assigned to folds, one function each."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rnalm.config import Folds
from rnalm.errors import RnalmError, nearest
from rnalm.labels.stratify import stratify
from rnalm.sequences.records import means_missing

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Parts of a fold by name, and their indices.
PARTS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)


@dataclass(frozen=True)
class Rows:
    """What is known of rows that are assigned.

    Attributes
    ----------
    groups : numpy.ndarray
        Number of each row's group ``(rows,)``, from 0.
    labels : sequence of str, scipy.sparse.csr_array or None
        Classes, by which ``kfold`` stratifies, or 1 where a row is of one of several ``(rows, classes)``; None for regression.
    splits : sequence of str or None
        Names of predefined splits, for ``column`` and ``rotate``.
    """

    groups: np.ndarray
    labels: "Sequence[str] | csr_array | None"
    splits: Sequence[str | None] | None

    @property
    def several(self) -> "csr_array | None":
        """Of which classes rows are, where each may be of any number of them."""
        return None if self.labels is None or isinstance(self.labels, Sequence) else self.labels

    def named_splits(self) -> np.ndarray:
        """Give the split of each row ``(rows,)``.

        Raises
        ------
        RnalmError
            If a row has none, or one whose name says that it is missing, such as ``NA``.
        """
        splits = self.splits or [None]
        if any(split is None for split in splits):
            raise RnalmError("columns.split: some rows name no split, expected one in every row")
        if missing := sorted({split for split in splits if split and means_missing(split)}):
            count = sum(split == missing[0] for split in splits)
            problem = f"the split of {count} rows is {missing[0]!r}, which says that it is missing"
            raise RnalmError(f"columns.split: {problem}; expected the name of a split in every row")
        return np.array(splits, dtype=object)


Method = Callable[[Folds, Rows, int], np.ndarray]


def _ratio(options: Folds, rows: Rows, seed: int) -> np.ndarray:
    """Fill test, then validation, with whole groups in random order; the rest trains."""
    n_rows, sizes = len(rows.groups), np.bincount(rows.groups)
    shares = dict(zip(PARTS, [*options.ratio, 0], strict=False))
    parts = np.zeros((options.n, n_rows), dtype=np.int8)
    for fold, child in enumerate(np.random.SeedSequence(seed).spawn(options.n)):
        order = np.random.default_rng(child).permutation(len(sizes))
        part_of_group = np.zeros(len(sizes), dtype=np.int8)
        for part in (TEST, VALIDATION):
            # At least one row, however small the percentage: an empty part would be no part.
            wanted = max(1, round(n_rows * shares[PARTS[part]] / 100)) if shares[PARTS[part]] else 0
            # What follows needs a group as well: one that trains and, after the rows that test, one that validates.
            taken = _fill(sizes[order], wanted, most=len(order) - part)
            part_of_group[order[taken]] = part
            order = order[~taken]
        parts[fold] = part_of_group[rows.groups]
    return parts


def _fill(sizes: np.ndarray, wanted: int, most: int | None = None) -> np.ndarray:
    """Choose groups, in order, whose sizes come near a number of rows; one that overshoots by more than it helps is left.

    Parameters
    ----------
    sizes : numpy.ndarray
        Rows of each group ``(groups,)``.
    wanted : int
        How many rows are wanted.
    most : int, optional
        Groups that may be chosen, though never fewer than one.

    Returns
    -------
    numpy.ndarray
        bool ``(groups,)``; if rows are wanted and there are groups, one is chosen.
    """
    taken = np.zeros(len(sizes), dtype=bool)
    missing, free = wanted, len(sizes) if most is None else most
    for group, size in enumerate(sizes.tolist()):
        if missing <= 0 or free <= 0:
            break
        if size - missing < missing:
            taken[group] = True
            missing -= size
            free -= 1
    if wanted and len(sizes) and not taken.any():
        taken[sizes.argmin()] = True
    return taken


def _natural(name: str) -> list:
    """Sort key by which split 2 comes before split 10."""
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in re.split(r"(\d+)", name) if piece]


def _known(name: str | int, names: list[str], key: str) -> str:
    """Give the name of a split as text, if there is such a split."""
    if str(name) not in names:
        raise RnalmError(f"{key}: no row is in split {str(name)!r}; {nearest(name, names)}")
    return str(name)


def _column(options: Folds, rows: Rows, seed: int) -> np.ndarray:
    """In each fold, the splits that are named validate and test; all others train."""
    splits = rows.named_splits()
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


def _rotate(options: Folds, rows: Rows, seed: int) -> np.ndarray:
    """In each fold the next split tests, in the order that is given or in natural order."""
    splits = rows.named_splits()
    names = sorted(set(splits), key=_natural)
    if options.splits:
        order = [_known(name, names, "folds.splits") for name in options.splits]
        if missing := [name for name in names if name not in order]:
            raise RnalmError(f"folds.splits: split {missing[0]!r} is in the data but not in the list {order}")
        names = order
    elif len(names) != options.n:
        raise RnalmError(f"folds.n is {options.n}, but columns.split has {len(names)} splits: {', '.join(names)}")
    position = {name: index for index, name in enumerate(names)}
    return _rotated(np.array([position[split] for split in splits]), len(names))


def _rotated(number: np.ndarray, n: int) -> np.ndarray:
    """In fold f, the rows with the number f test, and those with the following number validate."""
    fold = np.arange(n)[:, None]
    return np.where(number == fold, TEST, np.where(number == (fold + 1) % n, VALIDATION, TRAIN)).astype(np.int8)


def _kfold(options: Folds, rows: Rows, seed: int) -> np.ndarray:
    """In each fold one of n random parts tests; the following one validates, or a percentage of all others."""
    number, percent = _random_parts(options.n, rows, seed), options.validation_percent
    return _rotated(number, options.n) if percent is None else _set_aside(number, options.n, percent, rows, seed)


def _random_parts(n: int, rows: Rows, seed: int) -> np.ndarray:
    """Draw n random parts ``(rows,)``, stratified by class, groups kept whole."""
    if rows.several is not None:
        return stratify(rows.several, rows.groups, np.full(n, 1 / n), np.random.default_rng(seed))[rows.groups]
    # Here, as every job imports this module, and few assign folds.
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    grouped = len(np.unique(rows.groups)) < len(rows.groups)
    plain, stratified = (GroupKFold, StratifiedGroupKFold) if grouped else (KFold, StratifiedKFold)
    splitter = (plain if rows.labels is None else stratified)(n, shuffle=True, random_state=seed)
    number = np.empty(len(rows.groups), dtype=np.int64)
    try:
        for part, (_, tested) in enumerate(splitter.split(rows.groups, rows.labels, rows.groups if grouped else None)):
            number[tested] = part
    except ValueError as error:
        raise RnalmError(f"folds.n: cannot make {n} parts ({error})") from None
    return number


def _set_aside(number: np.ndarray, n: int, percent: int, rows: Rows, seed: int) -> np.ndarray:
    """In fold f of n, part f tests; of the other rows, of each class, a percentage validates, in whole groups."""
    if rows.several is not None:
        return _set_aside_several(rows.several, number, n, percent, rows, seed)
    first = np.unique(rows.groups, return_index=True)[1]
    sizes, part_of_group = np.bincount(rows.groups), number[first]
    # A group counts for the class of its first row.
    labels = np.zeros(len(first)) if rows.labels is None else np.array(rows.labels, dtype=object)[first]
    group_class = pd.factorize(labels)[0]
    parts = np.where(number == np.arange(n)[:, None], TEST, TRAIN).astype(np.int8)
    for fold, child in enumerate(np.random.SeedSequence(seed).spawn(n)):
        order = np.random.default_rng(child).permutation(len(first))
        for index in np.unique(group_class):
            free = order[(group_class[order] == index) & (part_of_group[order] != fold)]
            wanted = max(1, round(sizes[free].sum() * percent / 100)) if len(free) > 1 else 0
            parts[fold, np.isin(rows.groups, free[_fill(sizes[free], wanted)])] = VALIDATION
    return parts


def _set_aside_several(labels: "csr_array", number: np.ndarray, n: int, percent: int, rows: Rows, seed: int) -> np.ndarray:
    """Do the same where rows have any number of classes."""
    part_of_group = number[np.unique(rows.groups, return_index=True)[1]]
    parts = np.where(number == np.arange(n)[:, None], TEST, TRAIN).astype(np.int8)
    shares = np.array([100 - percent, percent]) / 100
    for fold, child in enumerate(np.random.SeedSequence(seed).spawn(n)):
        others = np.flatnonzero(part_of_group != fold)
        chosen = stratify(labels, rows.groups, shares, np.random.default_rng(child), others)
        parts[fold, chosen[rows.groups] == 1] = VALIDATION
    return parts


#: What assigns rows by a method, from the options and the seed: int8 ``(folds, rows)``, the index of a part in ``PARTS``. A new
#: method is a function and an entry here, and a value of ``folds.method``.
METHODS: dict[str, Method] = {"ratio": _ratio, "column": _column, "rotate": _rotate, "kfold": _kfold}
