"""Which sequences share as many k-mers as they need ─► clusters: the connected components of all such links.

The search is a set-similarity join (Chaudhuri, Ganti, Kaushik 2006, "A primitive operator for similarity joins in data
cleaning"): who shares ``needed`` of n k-mers shares one of any n − needed + 1 of them, so that the rarest are enough to find
all who may be linked. k-mers are listed with the clusters that have them, and those of one cluster only are put aside:
libraries of very many variants of few sequences are quick, too. What takes long, by the square of their number, are very many
sequences that are all related but not linked.
"""

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from rnalm.sequences.kmers import changes

#: So many entries of matrices are looked at, at a time: what bounds memory beside the k-mers.
STEPS = 2**23

#: To miss no link, only a sequence's rarest k-mers must be counted. Commoner ones are counted too, as long as that takes no
#: more than so many times the steps: the more are counted, the fewer pairs are left to compare one by one.
EXTEND = 16

#: Steps for each entry of the index after which it is made anew, if clusters were joined: it is then smaller.
REINDEX = 16


def components(content: csr_array, needed: np.ndarray) -> np.ndarray:
    """Join sequences wherever one has as many of its k-mers in another as it needs.

    Parameters
    ----------
    content : scipy.sparse.csr_array
        ``(sequences, kmers)``: 1 where a sequence has a k-mer.
    needed : numpy.ndarray
        ``(sequences,)``: how many k-mers each must share with another to be linked to it.

    Returns
    -------
    numpy.ndarray
        ``(sequences,)``: the number of each one's cluster, in no particular order.
    """
    labels, pending = np.arange(len(needed)), np.arange(len(needed))
    while len(pending):
        content, pending = _search(content, labels, pending, needed)
    return labels


def _search(content: csr_array, labels: np.ndarray, pending: np.ndarray, needed: np.ndarray) -> tuple[csr_array, np.ndarray]:
    """Find all that pending sequences are linked to, and join them in `labels`; stop where a new index pays off.

    Returns
    -------
    scipy.sparse.csr_array
        The content without k-mers that only one cluster has.
    numpy.ndarray
        The sequences that are still pending.
    """
    index = _Index(content, labels)
    sizes = np.diff(index.content.indptr)
    pending = pending[sizes[pending] >= needed[pending]]
    counted = 0
    for asked, query, holder, sure, steps in _reachable(
        lambda some: index.content[pending[some]], sizes[pending], needed[pending], index.clusters
    ):
        one, other = pending[query], index.first[holder]
        linked = sure & index.single[holder]
        _join(labels, one[linked], other[linked])
        apart = labels[one] != labels[other]
        _compare(index, labels, one[apart], holder[apart], needed)
        counted += steps
        if counted > REINDEX * index.content.nnz and labels.max() + 1 < len(index.first):
            return index.content, pending[asked:]
    return index.content, pending[:0]


class _Index:
    """Which clusters have a k-mer, and which of their sequences.

    Attributes
    ----------
    content : scipy.sparse.csr_array
        ``(sequences, kmers)``: the k-mers that several clusters have.
    first : numpy.ndarray
        ``(clusters,)``: a sequence of each.
    single : numpy.ndarray
        bool ``(clusters,)``: whether it is the only one.
    clusters : scipy.sparse.csr_array
        1 where a cluster has a k-mer ``(kmers, clusters)``; such a pair is a place.
    members : scipy.sparse.csr_array
        1 where a sequence has the k-mer of a place in its cluster ``(places, sequences)``; the columns are in ``order``.
    order : numpy.ndarray
        ``(sequences,)``: the sequences, those of one cluster side by side.
    """

    def __init__(self, content: csr_array, labels: np.ndarray) -> None:
        self.order = np.argsort(labels, kind="stable")
        label = labels[self.order].astype(np.int32)
        postings = content[self.order].T.tocsr()
        places, starts = _places(postings, label)
        several = np.flatnonzero(np.diff(starts) > 1)
        if len(several) < len(starts) - 1:
            postings, content = postings[several], content[:, several]
            places, starts = _places(postings, label)
        self.content = content
        sizes = np.bincount(label)
        self.first, self.single = self.order[np.cumsum(sizes) - sizes], sizes == 1
        ones, holder = np.ones(postings.nnz, dtype=np.int32), label[postings.indices[places]]
        shape = (len(several), len(sizes))
        self.clusters = csr_array((ones[: len(places)], holder, starts), shape=shape)
        ends = np.append(places, places.dtype.type(postings.nnz))
        self.members = csr_array((ones, postings.indices, ends), shape=(len(places), len(label)))

    @cached_property
    def keys(self) -> np.ndarray:
        """The places in numbers, ascending: k-mer times number of clusters, plus cluster; int64 ``(places,)``."""
        sizes = np.diff(self.clusters.indptr)
        return np.repeat(np.arange(len(sizes)), sizes) * len(self.first) + self.clusters.indices

    def find(self, kmer: np.ndarray, holder: np.ndarray) -> np.ndarray:
        """Look up the places of k-mers in clusters.

        Parameters
        ----------
        kmer, holder : numpy.ndarray
            ``(n,)``: numbers of k-mers, and for each that of the cluster which is asked for it.

        Returns
        -------
        numpy.ndarray
            int64 ``(n,)``: the place; −1 where a cluster does not have the k-mer.
        """
        wanted = kmer.astype(np.int64) * len(self.first) + holder
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, place, -1)


def _places(postings: csr_array, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the places of an index.

    Parameters
    ----------
    postings : scipy.sparse.csr_array
        ``(kmers, sequences)``, sequences of one cluster side by side.
    label : numpy.ndarray
        ``(sequences,)``: the cluster of each.

    Returns
    -------
    places : numpy.ndarray
        Where in the entries of `postings` a new cluster or a new k-mer begins.
    starts : numpy.ndarray
        ``(kmers + 1,)``: how many places there are before each k-mer, and in all.
    """
    is_new = changes(label[postings.indices])
    is_new[postings.indptr[:-1]] = True
    places = np.flatnonzero(is_new).astype(postings.indptr.dtype)
    return places, np.searchsorted(places, postings.indptr)


def _compare(index: _Index, labels: np.ndarray, one: np.ndarray, holder: np.ndarray, needed: np.ndarray) -> None:
    """Join sequences, in `labels`, with clusters one of whose members has as many of their k-mers as they need.

    Parameters
    ----------
    index : _Index
        Of the clusters as they were when it was made.
    labels : numpy.ndarray
        ``(sequences,)``: the cluster of each; changed in place.
    one, holder : numpy.ndarray
        ``(pairs,)``: sequences, and for each a cluster of the index that has enough of its k-mers in all its members together.
    needed : numpy.ndarray
        ``(sequences,)``: how many k-mers of each must be shared.
    """

    def shared_places(some: slice) -> csr_array:
        # Those of pairs that are still apart, whose k-mers the sequence has: (pairs, places).
        apart = labels[one[some]] != labels[index.first[holder[some]]]
        content = index.content[one[some][apart]]
        row = np.repeat(np.flatnonzero(apart), np.diff(content.indptr))
        place = index.find(content.indices, holder[some][row])
        return _rows(row[place >= 0], place[place >= 0], (len(apart), len(index.members.indptr) - 1))

    sizes = np.diff(index.content.indptr)
    for _, query, member, sure, _ in _reachable(shared_places, sizes[one], needed[one], index.members):
        a, b = one[query], index.order[member]
        linked = sure | (labels[a] == labels[b])
        linked[~linked] = _shared(index.content, a[~linked], b[~linked]) >= needed[a[~linked]]
        _join(labels, a[linked], b[linked])


def _shared(content: csr_array, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Count the k-mers that pairs of sequences share ``(pairs,)``."""
    sizes = np.diff(content.indptr)
    blocks = np.cumsum(sizes[one] + sizes[other]) // STEPS
    pairs = np.split(np.arange(len(one)), np.flatnonzero(np.diff(blocks)) + 1)
    return np.concatenate([content[one[some]].multiply(content[other[some]]).sum(axis=1) for some in pairs])


def _join(labels: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
    """Give the clusters of linked sequences one label, in place."""
    if len(one):
        count = labels.max() + 1
        links = coo_array((np.ones(len(one)), (labels[one], labels[other])), shape=(count, count))
        labels[:] = connected_components(links, directed=False)[1][labels]


def _reachable(
    contents: Callable[[slice], csr_array], weights: np.ndarray, needed: np.ndarray, postings: csr_array
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, int]]:
    """Find the targets in which queries may have as many of their k-mers as they need, and miss none.

    Parameters
    ----------
    contents : function
        Gives int32 ``(queries, kmers)`` of a slice of the queries, called when it is their turn.
    weights : numpy.ndarray
        ``(queries,)``: how many entries each has at most.
    needed : numpy.ndarray
        ``(queries,)``: how many of its k-mers a target must have to be linked.
    postings : scipy.sparse.csr_array
        int32 ``(kmers, targets)``: 1 where a target has a k-mer.

    Yields
    ------
    asked : int
        How many queries were asked by now.
    query, target : numpy.ndarray
        Pairs of numbers, of the queries asked since last time.
    sure : numpy.ndarray
        bool: whether the target does have as many.
    steps : int
        How much was counted for this.
    """
    asked, size = 0, 64
    while asked < len(needed):
        heavy = int(np.searchsorted(np.cumsum(weights[asked : asked + size]), STEPS))
        some = slice(asked, min(asked + max(1, heavy), len(needed)))
        counted, enough, steps = _worth_counting(contents(some), needed[some], postings)
        taken = max(1, int(np.searchsorted(steps, STEPS)))
        shared = (counted[:taken] @ postings).tocoo()
        reached = shared.data >= enough[shared.row]
        query = asked + shared.row[reached]
        asked, size = asked + taken, 2 * taken
        yield asked, query, shared.col[reached], shared.data[reached] >= needed[query], int(steps[taken - 1])


def _worth_counting(content: csr_array, needed: np.ndarray, postings: csr_array) -> tuple[csr_array, np.ndarray, np.ndarray]:
    """Leave out the commonest k-mers of each query: as many as may miss without a link being missed, if counting them is dear.

    Parameters
    ----------
    content : scipy.sparse.csr_array
        ``(queries, kmers)``: 1 where a query has a k-mer.
    needed : numpy.ndarray
        ``(queries,)``: how many must be shared.
    postings : scipy.sparse.csr_array
        ``(kmers, targets)``: 1 where a target has a k-mer; so many steps a k-mer takes.

    Returns
    -------
    scipy.sparse.csr_array
        ``(queries, kmers)``: 1 where a k-mer of a query is to be counted.
    numpy.ndarray
        ``(queries,)``: how many of the rest are enough, if all that are left out were shared: at least 1.
    numpy.ndarray
        ``(queries,)``: in how many steps this and all queries before it are counted.
    """
    sizes = np.diff(content.indptr)
    row = np.repeat(np.arange(len(sizes)), sizes)
    cost = postings.indptr[content.indices + 1] - postings.indptr[content.indices]
    order = np.lexsort((cost, row))
    kmer, cost = content.indices[order], cost[order].astype(np.int64)
    place = np.arange(len(row)) - content.indptr[row]
    total = np.concatenate(([0], np.cumsum(cost)))
    before = total[content.indptr[:-1]]
    least = np.maximum(sizes - needed + 1, 0)
    limit = EXTEND * (total[content.indptr[:-1] + least] - before)
    counted = (place < least[row]) | (total[1:] - before[row] <= limit[row])
    left_out = np.bincount(row[~counted], minlength=len(sizes))
    some = _rows(row[counted], kmer[counted], (len(sizes), len(postings.indptr) - 1))
    steps = np.concatenate(([0], np.cumsum(cost[counted])))[some.indptr[1:]]
    return some, needed - left_out, steps


def _rows(row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> csr_array:
    """Make a matrix of ones from entries that are sorted by row."""
    indptr = np.searchsorted(row, np.arange(shape[0] + 1))
    return csr_array((np.ones(len(row), dtype=np.int32), column, indptr), shape=shape)
