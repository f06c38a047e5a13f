"""Sequences that share much of their k-mer content ─► clusters, so that near-duplicates never straddle a split.

Two sequences are linked if they share at least a part ``shared`` of the k-mers of the one that has fewer: |A∩B| / min(|A|,|B|),
A and B their sets of distinct k-mers. Clusters are exactly the connected components of these links (single linkage); nothing is
sampled. The share is taken of the smaller set, not of the union (Jaccard), for two reasons. A fragment goes with its whole. And
a link becomes a question that one sequence can ask of many at once: which clusters have as many of my k-mers as I need?

Memory: about 55 bytes a letter of all distinct sequences, 2.8 GiB for 100,000 sequences of 500 nt.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.sequences import kmers
from rnalm.sequences.linkage import components
from rnalm.sequences.records import Record

log = logging.getLogger(__name__)

#: Default share. A substitution takes k of the k-mers at most: at 0.3, sequences of 81 nt (69 13-mers) stay together with any
#: 3 substitutions. With substitutions at random, 0.3 is an identity of about 91 % of nucleotides and 79 % of amino acids.
SHARED = 0.3


def cluster(sequences: Sequence[Sequence[str]], k: int | None = None, shared: float = SHARED) -> np.ndarray:
    """Give sequences that share much of their k-mer content the number of one cluster.

    Where all letters are IUPAC nucleotide codes, a k-mer and its reverse complement are one, case is ignored and U is T.
    Anything else, proteins and tokens of several letters, is taken as it is. A sequence shorter than k is one k-mer.
    One of few distinct k-mers, such as poly-A, goes with every sequence that has them.

    Parameters
    ----------
    sequences : sequence of str or of lists of str
        Letters or tokens.
    k : int, optional
        Letters or tokens in a k-mer; by default 13 for nucleotides and 5 for anything else.
    shared : float
        Two sequences are together if they share at least this part of the k-mers of the one that has fewer; above 0, at most 1.

    Returns
    -------
    numpy.ndarray
        int64 ``(sequences,)``: the number of each one's cluster, from 0, in order of first occurrence.

    Raises
    ------
    RnalmError
        If ``shared`` or ``k`` is out of range; k-mers must fit into 63 bits, which for A, C, G, T allows k up to 27.

    Examples
    --------
    >>> gene = "ACGTTGCATGACCTGA"
    >>> cluster([gene, "GGGGCCCCGGGG", gene[4:], "TCAGGTCATGCAACGT"], k=5).tolist()
    [0, 1, 0, 0]

    The third is a fragment of the first, and the fourth is its other strand.
    """
    if not 0 < shared <= 1:
        raise RnalmError(f"shared: found {shared}, expected a number above 0 and at most 1")
    content, sizes, number = kmers.sets(sequences, k)
    needed = np.ceil(shared * sizes - 0.5).astype(np.int64)
    needed += needed / sizes < shared  # the least number whose share, as it is computed, is enough
    labels = components(content, needed)[number]
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which]


def cluster_file(records: Iterable[Record], output: str | Path, k: int | None = None, shared: float = SHARED) -> None:
    """Cluster records; write ``id`` and ``cluster`` to Parquet, in input order.

    Parameters
    ----------
    records : iterable of Record
        The sequences; all are held in memory.
    output : path
        The Parquet file.
    k, shared
        As for :func:`cluster`.

    Raises
    ------
    RnalmError
        If ``k`` or ``shared`` is out of range, or a record cannot be read.
    """
    ids, sequences = [], []
    for record in records:
        ids.append(record.id)
        sequences.append(record.sequence)
    clusters = cluster(sequences, k, shared)
    sizes = np.bincount(clusters, minlength=1)
    alone = np.sum(sizes == 1)
    log.info("%d sequences in %d clusters: the largest has %d, %d are alone", len(ids), len(sizes), sizes.max(), alone)
    if sizes.max() > len(ids) / 2:
        log.warning("more than half of the sequences are in one cluster; shared above %g, or a larger k, may divide it", shared)
    with replacing(output) as temporary:
        table = pa.table({"id": pa.array(ids, pa.string()), "cluster": pa.array(clusters, pa.int64())})
        pq.write_table(table, temporary, compression="zstd")
