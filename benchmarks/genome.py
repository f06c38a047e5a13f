"""Windows of a genome: how fast they are labelled, drawn and encoded, and in how much memory.

    python benchmarks/genome.py [WINDOWS ...]

The genome is made up: 20 contigs of 5 million bases, and 100 classes of 2,000 intervals each. Each row is a process of its own:
windows of 1,000 bp at random places, with bins of 200; "bins" labels so many bins by all classes, without a file, in seconds of
one core.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

CONTIGS, BASES, CLASSES, INTERVALS = 20, 5_000_000, 100, 2_000
LENGTH, BIN = 1000, 200


def generate(folder: Path, classes: int = CLASSES) -> None:
    """Write the genome and its features."""
    draw = np.random.default_rng(0)
    with open(folder / "genome.fa", "w") as fasta:
        for contig in range(CONTIGS):
            letters = draw.choice(np.frombuffer(b"ACGT", dtype=np.uint8), (BASES // 100, 100))
            fasta.write(f">chr{contig + 1}\n")
            fasta.writelines(f"{row.tobytes().decode()}\n" for row in letters)
    with open(folder / "peaks.bed", "w") as bed:
        for name in range(classes):
            contigs, starts = draw.integers(1, CONTIGS + 1, INTERVALS), draw.integers(0, BASES - 1000, INTERVALS)
            sizes = draw.integers(100, 1000, INTERVALS)
            bed.writelines(
                f"chr{contig}\t{start}\t{start + size}\tclass{name}\n"
                for contig, start, size in zip(contigs, starts, sizes, strict=True)
            )


def described(folder: Path, n: int):
    """Describe the source of so many windows."""
    from rnalm.config import read_source

    sample = {"method": "random", "n": n, "seed": 1}
    features = {"path": str(folder / "peaks.bed")}
    options = {"length": LENGTH, "bin": BIN, "strand": "random", "index": str(folder / "index")}
    return read_source({"genome": str(folder / "genome.fa"), "features": features, "sample": sample} | options)


def label(folder: Path, n: int) -> None:
    """Label bins at random places."""
    from rnalm.sequences import sample
    from rnalm.sequences.contigs import Reference
    from rnalm.sequences.features import Labeller
    from rnalm.sequences.sample import Windows

    source = described(folder, n)
    reference = Reference(source)
    labeller = Labeller(source, reference, sample.parts(reference.lengths, 1), None)
    draw, begin = np.random.default_rng(1), time.process_time()
    for first in range(0, n, 100_000):
        some = min(100_000, n - first)
        start = np.sort(draw.integers(0, BASES - LENGTH, some))
        labeller(Windows(draw.integers(0, CONTIGS, some), start, start + LENGTH))
    seconds = time.process_time() - begin
    print(f"| bins, {n:,} by {CLASSES} classes | {seconds:.1f} | | {n / seconds:,.0f} |")


def encode_windows(folder: Path, n: int, results: multiprocessing.Queue) -> None:
    """Draw, label and encode windows; give seconds, and the peak of memory in MiB."""
    from rnalm.config import Fasta
    from rnalm.tokens import encode, learn

    (folder / "letters.fa").write_text(">a\nACGTN\n")
    tokenizer = learn.learn(Fasta(path=str(folder / "letters.fa")))
    begin = time.perf_counter()
    encode.encode(described(folder, n), tokenizer, folder / "encoded.parquet", task="multilabel")
    results.put((time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("windows", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    sizes = parser.parse_args().windows
    processes = multiprocessing.get_context("spawn")
    print("| what | seconds | peak MiB | a second |\n| --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder)
        label(folder, max(sizes))
        for n in sizes:
            results = processes.Queue()
            job = processes.Process(target=encode_windows, args=(folder, n, results))
            job.start()
            seconds, peak = results.get()
            job.join()
            print(f"| windows, {n:,} | {seconds:.1f} | {peak:.0f} | {n / seconds:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
