"""Predictions for tokens: how fast they are explained, and what long sequences cost.

    python benchmarks/tokens.py [--lengths 1000 3000] [--long 1000 2500 5000 10000 25000]

First, leave-one-out scores a second on one core, of deletions of each token of a random sequence, for its middle position alone
or for all. ``dilated`` is scored by the naive scorer, of which a sample of the deletions is run, and by the incremental one,
in turns, the best of which counts. ``frames`` changes everywhere and is scored whole; what goes on before its first mixing of
all positions is what an incremental scorer could take from the sequence itself, for half of the positions on average.

Then, seconds and memory of one forward pass, and of one forward and back, by length, each in a process of its own: linear in
length is what ``performer`` and ``frames`` promise.
"""

import argparse
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from loo import edits_of, sample, transcript

from rnalm.models import registry
from rnalm.models.frames import Frames
from rnalm.scoring.scorers.base import Scorer
from rnalm.scoring.scorers.cones import ConeScorer
from rnalm.scoring.scorers.naive import NaiveScorer

#: Deletions that the naive scorer runs, and turns of which the best counts.
SAMPLE, TURNS = 48, 3


def model(name: str) -> torch.nn.Module:
    """Make a model of the usual size for two classes of tokens, with random weights."""
    torch.manual_seed(0)
    return registry.create({"name": name}, 11, 0, 2, per="token").eval()


def seconds(compute: Callable[[], object], turns: int = TURNS) -> float:
    """Time the best of some turns."""
    best = float("inf")
    for _ in range(turns):
        began = time.perf_counter()
        compute()
        best = min(best, time.perf_counter() - began)
    return best


def scored(name: str, length: int) -> None:
    """Print how fast deletions of a sequence are scored."""
    network, sequence = model(name), transcript(length)
    edits = edits_of("remove", sequence)
    some = edits[sample(edits, SAMPLE)]
    for what, at in (("one", np.array([length // 2])), ("all", np.arange(length))):
        naive: Scorer = NaiveScorer(network)
        rates = [len(some) / seconds(lambda naive=naive, at=at: naive.launch(sequence, some, at)())]
        told = ["–", "–"]
        if name == "dilated":
            fast = ConeScorer(network)
            rates.append(length / seconds(lambda fast=fast, at=at: fast.launch(sequence, edits, at)()))
            whole = fast.launch(sequence, edits, at)()[sample(edits, SAMPLE)]
            told = [f"{rates[1] / rates[0]:.0f}", f"{np.nanmax(np.abs(whole - naive.launch(sequence, some, at)()[:-1])):.0e}"]
        fastest = f"{rates[1]:,.0f}" if len(rates) > 1 else "–"
        print(f"| {name} | {length:,} | {what} | {rates[0]:,.0f} | {fastest} | {told[0]} | {told[1]} |")


@torch.inference_mode()
def before_mixing(length: int) -> float:
    """Tell which share of the time of ``frames`` goes by before all positions are first mixed."""
    network, ids = model("frames"), torch.from_numpy(transcript(length).input_ids.astype(np.int64)[None])
    assert isinstance(network, Frames)
    own = torch.ones(1, length - length % 3, 1)
    ids = ids[:, : own.shape[1]]

    def begin() -> None:
        network.scans[0](network.reading(network.letters(ids), own), own)

    return seconds(begin, 5) / seconds(lambda: network(ids), 5)


def cost(name: str, length: int, back: bool) -> tuple[float, float]:
    """Measure a pass: seconds, and MiB beyond what the process held before it."""
    torch.set_num_threads(1)
    network = model(name).train(back)
    ids = torch.from_numpy(transcript(length).input_ids.astype(np.int64)[None])
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")

    def run(ids: torch.Tensor) -> None:
        with torch.set_grad_enabled(back):
            logits = network(ids).logits
            if back:
                logits.sum().backward()

    def kilobytes(field: str) -> int:
        return int(status.read_text().partition(f"{field}:")[2].split()[0])

    run(ids[:, :300])  # what is made once
    clear.write_text("5")  # the peak begins anew
    held = kilobytes("VmRSS")
    took = seconds(lambda: run(ids), 1)
    return took, (kilobytes("VmHWM") - held) / 1024


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="*", default=[1000, 3000])
    parser.add_argument("--long", type=int, nargs="*", default=[1000, 2500, 5000, 10_000, 25_000])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | nt | explained | naive, scores/s | incremental, scores/s | ratio | largest difference |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for name in ("dilated", "frames"):
        for length in options.lengths:
            scored(name, length)
    print()
    for length in options.lengths:
        print(f"frames, {length:,} nt: {before_mixing(length):.0%} of the time goes by before all positions are mixed")
    print()
    print("| model | nt | forward, s | MiB | forward and back, s | MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name in ("performer", "frames", "dilated"):
            for length in options.long:
                figures = [pool.apply(cost, (name, length, back)) for back in (False, True)]
                shown = " | ".join(f"{took:.2f} | {memory:,.0f}" for took, memory in figures)
                print(f"| {name} | {length:,} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
