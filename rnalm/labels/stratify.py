"""Groups of rows with any number of classes ─► parts in which each class has its share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnalm.tokens import dataset

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Less than this is lost in rounding.
NOTHING = 1e-6


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

    The rarest class is divided first, while there is most to choose from, and the rows themselves last: each group that has it
    goes to the part that lacks most of it (iterative stratification, Sechidis et al., ECML PKDD 2011, there of single rows).
    What is left is less than a group for each part; of those that lack any, it goes to the part that of its rows has got the
    least, so that also a small part gets its share of classes that few groups have.

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
    from scipy.sparse import csr_array, hstack

    n_groups = int(groups.max()) + 1
    belongs: Any = csr_array(
        (np.ones(len(groups), dtype=np.int32), (groups, np.arange(len(groups)))), shape=(n_groups, len(groups))
    )
    # As a last class, all rows.
    every = csr_array(np.ones((len(groups), 1), dtype=np.int32))
    counts: Any = csr_array(belongs @ hstack([labels, every], format="csr"))
    part, free = np.full(n_groups, -1), np.zeros(n_groups, dtype=bool)
    free[np.arange(n_groups) if among is None else among] = True
    wanted = shares[:, None] * counts[free].sum(axis=0)  # (parts, classes)
    left = np.bincount(counts[free].indices, minlength=counts.shape[1])  # groups that have a class and no part yet
    by_class, luck = counts.tocsc(), draw.random(n_groups)

    def give(group: int, able: np.ndarray) -> None:
        """Give a group to one of some parts: that which lacks the greatest share of its rows, or of those the largest."""
        lacking = wanted[able, -1] / shares[able]
        able = able[lacking >= lacking.max() - NOTHING]
        able = able[shares[able] == shares[able].max()]
        part[group] = able[int(luck[group] * len(able))]
        own = slice(*counts.indptr[group : group + 2])
        wanted[part[group], counts.indices[own]] -= counts.data[own]
        left[counts.indices[own]] -= 1
        free[group] = False

    while (left > 0).any():
        # Of classes that as many have, the first: all rows come last.
        rarest = int(np.where(left > 0, left, np.iinfo(left.dtype).max).argmin())
        own = slice(*by_class.indptr[rarest : rarest + 2])
        having, many = by_class.indices[own], by_class.data[own]
        order = np.lexsort((luck[having], -many))
        for group, number in zip(having[order], many[order], strict=True):
            if free[group]:
                lacking = wanted[:, rarest]
                give(
                    group, np.flatnonzero(lacking > (lacking.max() - NOTHING if lacking.max() > number - NOTHING else NOTHING))
                )
    return part
