"""Groups of rows with any number of classes ─► parts in which each class has its share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnalm.tokens import dataset

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def positives(encoded: str | Path) -> "csr_array":
    """Read which rows of an encoded file are of which classes; what is not known counts as not.

    Parameters
    ----------
    encoded : path
        The file, for ``task: multilabel``.

    Returns
    -------
    scipy.sparse.csr_array
        1 where a row is of a class ``(rows, classes)``.
    """
    # Here, as every job imports what imports this module, and few assign folds.
    from scipy.sparse import csr_array

    columns, ends, classes = [np.zeros(0, dtype=np.int32)], [0], 0
    for labels in dataset.blocks(encoded, "label"):
        for label in dataset.tokens_labels(labels):
            own = np.zeros(0, np.int32) if label is None else np.flatnonzero(label == 1).astype(np.int32)
            classes = classes if label is None else len(label)
            columns.append(own)
            ends.append(ends[-1] + len(own))
    indices = np.concatenate(columns)
    return csr_array((np.ones(len(indices), dtype=np.int32), indices, np.array(ends)), shape=(len(ends) - 1, classes))


def stratify(
    labels: "csr_array", groups: np.ndarray, shares: np.ndarray, draw: np.random.Generator, among: np.ndarray | None = None
) -> np.ndarray:
    """Divide whole groups so that each part gets its share of the rows of every class, as well as that is possible.

    The rarest class is divided first, while there is most to choose from: each group that has it goes to the part that lacks
    most of it, then of rows (iterative stratification, Sechidis et al., ECML PKDD 2011, there of single rows).

    Parameters
    ----------
    labels : scipy.sparse.csr_array
        1 where a row is of a class ``(rows, classes)``.
    groups : numpy.ndarray
        Number of each row's group ``(rows,)``, from 0.
    shares : numpy.ndarray
        Of all rows, of each part; 1 together ``(parts,)``.
    draw : numpy.random.Generator
        Decides where nothing else does.
    among : numpy.ndarray, optional
        Groups that are divided; None: all.

    Returns
    -------
    numpy.ndarray
        Number of each group's part, -1 where it is not divided ``(groups,)``.
    """
    from scipy.sparse import csr_array

    n_groups = int(groups.max()) + 1
    belongs: Any = csr_array(
        (np.ones(len(groups), dtype=np.int32), (groups, np.arange(len(groups)))), shape=(n_groups, len(groups))
    )
    counts: Any = csr_array(belongs @ labels)
    sizes = np.bincount(groups)
    part, free = np.full(n_groups, -1), np.zeros(n_groups, dtype=bool)
    free[np.arange(n_groups) if among is None else among] = True
    wanted = shares[:, None] * counts[free].sum(axis=0)  # (parts, classes)
    room = shares * sizes[free].sum()
    left = np.bincount(counts[free].indices, minlength=counts.shape[1])  # groups that have a class and no part yet
    by_class, luck = counts.tocsc(), draw.random(n_groups)

    def give(group: int, best: np.ndarray) -> None:
        """Give a group to one of the parts that are as good, of which that with most room is taken."""
        chosen = best[np.flatnonzero(room[best] == room[best].max())]
        part[group] = chosen[int(luck[group] * len(chosen))]
        own = slice(*counts.indptr[group : group + 2])
        wanted[part[group], counts.indices[own]] -= counts.data[own]
        left[counts.indices[own]] -= 1
        room[part[group]] -= sizes[group]
        free[group] = False

    while (left > 0).any():
        rarest = int(np.where(left > 0, left, np.iinfo(left.dtype).max).argmin())
        own = slice(*by_class.indptr[rarest : rarest + 2])
        having, many = by_class.indices[own], by_class.data[own]
        for group in having[np.lexsort((luck[having], -many))]:
            if free[group]:
                lacking = wanted[:, rarest]
                give(group, np.flatnonzero(lacking >= lacking.max() - 1e-9))
    rest = np.flatnonzero(free)
    for group in rest[np.lexsort((luck[rest], -sizes[rest]))]:
        give(group, np.arange(len(shares)))
    return part
