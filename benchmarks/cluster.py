"""Claim: 100,000 sequences of 500 nt are clustered in a minute or two, and near-duplicates stay together.

For each kind of sequences, in a process of its own: seconds of the one core that it takes, peak memory (resident set, with the
sequences) and what was found.
With FASTA files of sequences of one length, also how many near-duplicates ended in different clusters. These are found in
another way, without k-mers: all pairs are laid over each other at all shifts, on both strands, and letters that agree counted.

    python benchmarks/cluster.py [--sequences N] [--kinds KIND ...]
    python benchmarks/cluster.py --fasta FILE ...
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable

import numpy as np

LENGTH = 500  # letters of a sequence
OVERLAP = 40  # letters that at least lie over each other
IDENTITIES = (1.0, 0.95, 0.9, 0.85, 0.8)  # shares of these that agree


def independent(draw: np.random.Generator, n: int) -> np.ndarray:
    """Draw random sequences.

    Parameters
    ----------
    draw : numpy.random.Generator
        Draws the letters.
    n : int
        How many sequences.

    Returns
    -------
    numpy.ndarray
        Letters from 0 to 3, uint8 ``(n, LENGTH)``.
    """
    return draw.integers(0, 4, (n, LENGTH), dtype=np.uint8)


def variants(draw: np.random.Generator, parents: np.ndarray, n: int, rate: float) -> np.ndarray:
    """Draw variants of sequences, the same number of each, shuffled.

    Parameters
    ----------
    draw : numpy.random.Generator
        Draws places and letters.
    parents : numpy.ndarray
        ``(parents, LENGTH)``, as from :func:`independent`.
    n : int
        How many variants in all.
    rate : float
        Substitutions a letter, on average.

    Returns
    -------
    numpy.ndarray
        uint8 ``(n, LENGTH)``
    """
    letters = draw.permutation(parents.repeat(n // len(parents), axis=0))
    changed = draw.random(letters.shape) < rate
    letters[changed] = (letters[changed] + draw.integers(1, 4, changed.sum(), dtype=np.uint8)) % 4
    return letters


def flanked(draw: np.random.Generator, letters: np.ndarray) -> np.ndarray:
    """Give all sequences the same 60 letters on either side.

    Parameters
    ----------
    draw : numpy.random.Generator
        Draws these letters.
    letters : numpy.ndarray
        ``(n, LENGTH)``; changed in place.

    Returns
    -------
    numpy.ndarray
        The same array.
    """
    letters[:, :60], letters[:, -60:] = independent(draw, 1)[0, :60], independent(draw, 1)[0, :60]
    return letters


def mosaics(draw: np.random.Generator, n: int) -> np.ndarray:
    """Draw sequences of 10 blocks, each one of 20.

    Parameters
    ----------
    draw : numpy.random.Generator
        Draws the blocks.
    n : int
        How many sequences.

    Returns
    -------
    numpy.ndarray
        uint8 ``(n, LENGTH)``
    """
    blocks = independent(draw, 20).reshape(20, 10, LENGTH // 10)
    return blocks[draw.integers(0, 20, (n, 10)), np.arange(10)].reshape(n, LENGTH)


KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "all the same": lambda draw, n: independent(draw, 1).repeat(n, axis=0),
    "random": independent,
    "random, constant flanks of 60 nt": lambda draw, n: flanked(draw, independent(draw, n)),
    "pairs, 3 % of letters substituted": lambda draw, n: variants(draw, independent(draw, n // 2), n, 0.015),
    "families of 100, 0.3 % substituted": lambda draw, n: variants(draw, independent(draw, n // 100), n, 0.003),
    "variants of one, 0.3 % substituted": lambda draw, n: variants(draw, independent(draw, 1), n, 0.003),
    "variants of one, 5 % substituted": lambda draw, n: variants(draw, independent(draw, 1), n, 0.05),
    "mosaics of 10 blocks, 20 of each": mosaics,
    "variants of one, 10 % substituted": lambda draw, n: variants(draw, independent(draw, 1), n, 0.1),
}


def measure(kind: str, n: int, results: multiprocessing.Queue) -> None:
    """Cluster sequences of a kind, in a process of its own.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    n : int
        How many sequences.
    results : multiprocessing.Queue
        Takes CPU seconds, peak memory in MiB, the number of clusters, and the size of the largest.
    """
    from rnalm.sequences.cluster import cluster

    letters = KINDS[kind](np.random.default_rng(0), n)
    sequences = [row.tobytes().decode() for row in np.frombuffer(b"ACGT", np.uint8)[letters]]
    del letters
    begin = time.process_time()
    sizes = np.bincount(cluster(sequences))
    seconds = time.process_time() - begin
    results.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(sizes), sizes.max()))


def alike(sequences: list[str]) -> dict[tuple[int, int], float]:
    """Find pairs of sequences that agree in at least the least of ``IDENTITIES`` where they overlap.

    Parameters
    ----------
    sequences : list of str
        Nucleotides, all of one length.

    Returns
    -------
    dict
        The highest identity of each pair, over all shifts and both strands, by their two numbers in ascending order.
    """
    from rnalm.sequences.strands import reverse_complement

    def one_hot(sequences: list[str]) -> np.ndarray:  # (sequences, length, 4)
        letters = np.frombuffer("".join(sequences).upper().encode(), np.uint8).reshape(len(sequences), -1, 1)
        return (letters == np.frombuffer(b"ACGT", np.uint8)).astype(np.float32)

    first, identities = one_hot(sequences), {}
    length = first.shape[1]
    for second in (first, one_hot([reverse_complement(sequence, rna=False) for sequence in sequences])):
        for shift in range(OVERLAP - length, length - OVERLAP + 1):
            left, right, width = max(shift, 0), max(-shift, 0), length - abs(shift)
            over = second[:, right : right + width].reshape(len(sequences), -1)
            for start in range(0, len(sequences), 2048):
                under = first[start : start + 2048, left : left + width].reshape(-1, 4 * width)
                same = under @ over.T
                for row, column in np.argwhere(same >= IDENTITIES[-1] * width):
                    if start + row < column:
                        pair = (start + row, column)
                        identities[pair] = max(identities.get(pair, 0.0), same[row, column] / width)
    return identities


def compare(paths: list[str]) -> None:
    """Print the clusters of FASTA files, and for each identity how many pairs there are and how many are apart.

    Parameters
    ----------
    paths : list of str
        The files.
    """
    from rnalm import config
    from rnalm.sequences.cluster import cluster
    from rnalm.sequences.read import read_records

    sequences = [record.sequence for record in read_records(config.Fasta(path=paths))]
    pairs = alike(sequences)
    for k, shared in ((13, 0.3), (13, 0.5), (11, 0.3), (13, 0.2)):
        clusters = cluster(sequences, k, shared)
        sizes = np.bincount(clusters)
        print(f"k {k}, shared {shared}: {len(sequences):,} sequences in {len(sizes):,} clusters, ", end="")
        print(f"the largest of {sizes.max()}, {np.sum(sizes == 1):,} alone; pairs apart, of all, by identity:")
        for low, high in zip(IDENTITIES, (np.inf, *IDENTITIES[:-1]), strict=True):
            inside = [pair for pair, identity in pairs.items() if low <= identity < high]
            print(f"  {low:.0%}: {sum(clusters[one] != clusters[other] for one, other in inside)} of {len(inside)}", end="")
        print(flush=True)


def main() -> None:
    """Print a row for each kind, or compare FASTA files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS)[:-1], choices=KINDS)
    parser.add_argument("--fasta", nargs="+")
    arguments = parser.parse_args()
    if arguments.fasta:
        compare(arguments.fasta)
        return
    processes = multiprocessing.get_context("spawn")
    print("| kind | sequences | CPU seconds | peak MiB | clusters | largest |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for kind in arguments.kinds:
        results = processes.Queue()
        job = processes.Process(target=measure, args=(kind, arguments.sequences, results))
        job.start()
        seconds, peak, clusters, largest = results.get()
        job.join()
        print(f"| {kind} | {arguments.sequences:,} | {seconds:.0f} | {peak:,.0f} | {clusters:,} | {largest:,} |", flush=True)


if __name__ == "__main__":
    main()
