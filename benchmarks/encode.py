"""Claim: encoding needs bounded memory, however many sequences there are.

Generates tables of 100-nt sequences, encodes each in a process of its own, and prints its peak memory (resident set) and
time. The library alone, without a sequence, is the first row.

    python benchmarks/encode.py [SEQUENCES ...]
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LENGTH = 100  # letters of a sequence


def generate(path: Path, n: int) -> None:
    """Write a table of random sequences with labels and groups.

    Parameters
    ----------
    path : Path
        The table.
    n : int
        How many sequences.
    """
    draw = np.random.default_rng(0)
    with path.open("w") as file:
        file.write("id\tsequence\tlabel\tgroup\n")
        for start in range(0, n, 10_000):
            rows = min(10_000, n - start)
            bases = draw.choice(np.frombuffer(b"ACGT", dtype="S1"), (rows, LENGTH))
            labels = draw.normal(size=rows)
            for row in range(rows):
                file.write(
                    f"sequence{start + row}\t{bases[row].tobytes().decode()}\t{labels[row]:.4f}\tgene{(start + row) // 2}\n"
                )


def measure(table: Path | None, output: Path, results: multiprocessing.Queue) -> None:
    """Tokenize and encode a table, in a process of its own.

    Parameters
    ----------
    table : Path or None
        The table; None: only the library is loaded.
    output : Path
        The encoded file.
    results : multiprocessing.Queue
        Takes the peak memory of the process in MiB, and the seconds.
    """
    from rnalm import config
    from rnalm.tokens import encode, learn

    begin = time.perf_counter()
    if table is not None:
        columns = {"id": "id", "sequence": "sequence", "label": "label", "group": "group"}
        source = config.Table(path=str(table), columns=columns)
        encode.encode(source, learn.learn(source), output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((peak, time.perf_counter() - begin))


def main() -> None:
    """Print a row for each number of sequences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sequences", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    sizes = parser.parse_args().sequences
    processes = multiprocessing.get_context("spawn")
    print(f"{'sequences':>12} {'peak MiB':>9} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for n in [0, *sizes]:
            table = Path(folder, "table.tsv") if n else None
            if table:
                generate(table, n)
            results = processes.Queue()
            job = processes.Process(target=measure, args=(table, Path(folder, "encoded.parquet"), results))
            job.start()
            peak, seconds = results.get()
            job.join()
            print(f"{n:>12,} {peak:>9.0f} {seconds:>8.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
