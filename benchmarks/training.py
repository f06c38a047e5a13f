"""Claim: windows of a genome are read faster than a model learns from them, in memory that does not grow with their number.

Windows of 1,000 bp at random places of a made-up genome, with as many classes as DeepSEA has (919, of 2,000 intervals each),
are encoded and divided, and then gone through once in batches of 64, as training does, each by a process of its own for each
number of them: "load" puts them away on disk when a training starts, "batches" makes batches of them while it goes on.

With ``--steps``, DeepSEA's network (``benchmarks/deepsea.py``) learns for so many steps from a batch that stands ready, and
from those of the disk, in turns: the ratio says what reading costs a training here. With ``--selene``, the sampler of Selene
makes batches of the same genome, intervals and lengths, and the same network learns from them, with the ``selene_sdk`` of that
interpreter.

    python benchmarks/training.py [WINDOWS ...] [--classes 919] [--selene PYTHON] [--steps 20] [--device cuda]
"""

import argparse
import itertools
import multiprocessing
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import deepsea
import genome
import numpy as np
import torch

from rnalm.config import Fasta, Finetune, Folds
from rnalm.labels import folds
from rnalm.tokens import learn
from rnalm.tokens.buckets import LengthBuckets
from rnalm.tokens.encode import encode
from rnalm.tokens.tokenizer import save_tokenizer
from rnalm.training import fold
from rnalm.training.ahead import Ahead
from rnalm.training.trainer import Job

BATCH = 64

#: What is run by an interpreter that has Selene: folder, batches, rows of a batch, and steps are its arguments.
SELENE = """
import sys, time
import torch
from selene_sdk.samplers import RandomPositionsSampler
from selene_sdk.sequences import Genome

folder, (batches, size, steps, width, threads) = sys.argv[1], map(int, sys.argv[2:])
torch.set_num_threads(threads)
features = open(folder + "/classes.txt").read().split()
sampler = RandomPositionsSampler(
    Genome(folder + "/genome.fa"), folder + "/peaks.bed.gz", features, sequence_length=1000, center_bin_to_predict=200,
    feature_thresholds=0.5, validation_holdout=["chr1"], test_holdout=["chr2"], mode="train",
)
sampler.sample(batch_size=size)
began = time.perf_counter()
for _ in range(batches):
    sampler.sample(batch_size=size)
print(batches * size / (time.perf_counter() - began))
exec(open(folder + "/network.py").read())
model = DeepSEA(1000, len(features), width)
optimizer, criterion = torch.optim.SGD(model.parameters(), 0.01), torch.nn.BCELoss()
for step in range(-1, steps):
    if step == 0:
        began = time.perf_counter()
    sequences, targets = (torch.from_numpy(part).float() for part in sampler.sample(batch_size=size))
    loss = criterion(model(sequences.transpose(1, 2)), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()
print(steps * size / (time.perf_counter() - began) if steps else 0)
"""


def peak() -> float:
    """Give the peak of this process's memory, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def generate(folder: Path, classes: int) -> tuple[float, ...]:
    """Write the genome and its features."""
    genome.generate(folder, classes)
    return ()


def prepare(folder: Path, n: int) -> tuple[float, ...]:
    """Encode windows and divide them; give the seconds, and the peak of memory."""
    began = time.perf_counter()
    (folder / "letters.fa").write_text(">a\nACGTN\n")
    tokenizer = learn.learn(Fasta(path=str(folder / "letters.fa")))
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    encode(genome.described(folder, n), tokenizer, folder / "encoded.parquet", task="multilabel")
    folds.assign_file(folder / "encoded.parquet", folder / "folds.parquet", Folds(), "multilabel", seed=1)
    return time.perf_counter() - began, peak()


def job(folder: Path) -> Job:
    """Describe a training of which only the rows are looked at."""
    files = {name: str(folder / f"{name}.parquet") for name in ("encoded", "folds")}
    return Job(
        **files | {"tokenizer": str(folder / "tokenizer.json"), "output": str(folder / "model"), "fold": 0, "replicate": 0},
        **{"task": "multilabel", "scaling": "none", "class_weights": False, "seed": 1, "threads": 1, "model": {}},
        options=Finetune().model_dump(mode="json"),
    )


def loader(data: fold.FoldData) -> Ahead:
    """Make batches as training does."""
    rows = data.training
    return Ahead(rows, batch_sampler=LengthBuckets(rows.lengths, BATCH, 1), collate_fn=lambda some: rows.batch(some, 0))


def read(folder: Path) -> tuple[float, ...]:
    """Load a fold and go through its training rows once; give seconds, rows, and the peak of memory."""
    began = time.perf_counter()
    data = fold.load(job(folder))
    loaded = time.perf_counter()
    seen = sum(len(batch["labels"]) for batch in loader(data))
    ended = time.perf_counter()
    return loaded - began, ended - loaded, len(data.training) + len(data.validation), seen, peak()


def apart(function: Callable[..., tuple[float, ...]], *arguments: Any) -> tuple[float, ...]:
    """Run a function in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(function, arguments)


def selene(folder: Path, options: argparse.Namespace) -> list[float]:
    """Let Selene make batches, and train DeepSEA's network on them; give windows a second of both."""
    import pysam

    rows = [line.split("\t") for line in (folder / "peaks.bed").read_text().splitlines()]
    (folder / "classes.txt").write_text("\n".join(sorted({row[3] for row in rows})))
    (folder / "network.py").write_text(deepsea.NETWORK)
    rows.sort(key=lambda row: (row[0], int(row[1])))
    (folder / "sorted.bed").write_text("".join("\t".join(row) + "\n" for row in rows))
    pysam.tabix_compress(str(folder / "sorted.bed"), str(folder / "peaks.bed.gz"), force=True)
    pysam.tabix_index(str(folder / "peaks.bed.gz"), preset="bed", force=True)
    numbers = (20, BATCH, options.steps, options.width, torch.get_num_threads())
    command = [options.selene, "-c", SELENE, str(folder), *map(str, numbers)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env={}).stdout
    return [float(line) for line in told.splitlines()[-2:]]


def learn_from(data: fold.FoldData, options: argparse.Namespace) -> tuple[float, float]:
    """Train DeepSEA's network in turns on a batch that stands ready and on batches of the disk: windows a second of either."""
    shape = {"length": genome.LENGTH, "classes": options.classes, "width": options.width, "device": options.device}
    model = deepsea.network(SimpleNamespace(**shape)).train()  # pyright: ignore[reportArgumentType]
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    ready = next(iter(loader(data)))

    def rate(batches) -> float:
        began = time.perf_counter()
        for batch in batches:
            own = {name: value.to(options.device) for name, value in batch.items()}
            logits = model(input_ids=own["input_ids"], attention_mask=own["attention_mask"]).logits
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, own["labels"].nan_to_num())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
        return options.steps * BATCH / (time.perf_counter() - began)

    rate(itertools.repeat(ready, 2))
    turns = [
        (rate(itertools.repeat(ready, options.steps)), rate(itertools.islice(loader(data), options.steps))) for _ in range(3)
    ]
    return tuple(np.max(turns, axis=0))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("windows", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--classes", type=int, default=919)
    parser.add_argument("--width", type=int, default=320, help="filters of the first layer of DeepSEA's network")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--selene", metavar="PYTHON", help="an interpreter that has selene_sdk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        apart(generate, folder, options.classes)
        print("| windows | classes | encode, windows/s | its peak, MiB | load, windows/s | batches, windows/s | peak, MiB |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for n in options.windows:
            encoding, most = apart(prepare, folder, n)
            load, batches, rows, seen, largest = apart(read, folder)
            rates = f"{n / encoding:,.0f} | {most:.0f} | {rows / load:,.0f} | {seen / batches:,.0f} | {largest:.0f}"
            print(f"| {n:,} | {options.classes} | {rates} |", flush=True)
        rates = {}
        if options.steps:
            ready, disk = learn_from(fold.load(job(folder)), options)
            rates = {"a batch that stands ready": ready, "batches of the disk": disk}
        if options.selene:
            made, learned = selene(folder, options)
            print(f"\nSelene's sampler makes batches of {made:,.0f} windows/s.")
            rates |= {"batches of Selene's sampler": learned} if options.steps else {}
        if rates:
            print("\n| DeepSEA's network learns from | windows/s |\n| --- | ---: |")
            print("\n".join(f"| {name} | {rate:,.1f} |" for name, rate in rates.items()))


if __name__ == "__main__":
    main()
