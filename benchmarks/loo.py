"""Claim: incremental leave-one-out scores are those of the naive scorer, at 1/300 to 1/700 of the cost with padding.

On one full-size Saluki and the same random transcripts, for each mode: the naive scorer with the sequence padded to 12,288
tokens (as the Saluki authors and rna_saluki_cnn do it), the naive scorer on the sequence alone, and the incremental scorer,
timed in turns, the best of which counts; of the naive ones a sample of the perturbations is run. For substitutions also
tangermeme's ``saturation_mutagenesis``: whole (``fast=False``) on a sample in the same turns, and as it comes, all
substitutions once, with what it takes to capture the model; its incremental path (fastISM) is shown where it took it. Last, in
the same turns, how many times as long the same model takes with a linear part (model.wide).

Arithmetic is counted operation by operation as PyTorch runs it. The least multiplies changed positions with all taps of the
kernels, and goes through the GRU from the change to the 5′ end. What part of a plain matrix product's rate is reached counts
this least arithmetic only.

    pip install tangermeme        # optional
    python benchmarks/loo.py [--device cuda] [--lengths 500 1000 3000 6000 12000] [--modes remove mask replace]
"""

import argparse
import copy
import importlib.util
import math
import os
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from rnalm import compute
from rnalm.models.baseline import Linear
from rnalm.models.saluki import Saluki, SalukiConfig
from rnalm.models.wide import Wide, attach
from rnalm.scoring.edits import DELETED, Edits
from rnalm.scoring.scorers.choose import choose
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.material import Material, apply
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.ngrams import Ngrams
from rnalm.tokens.tokenizer import SPECIAL_TOKENS

PADDED = 12_288
PAD, MASK = map(SPECIAL_TOKENS.index, ("[PAD]", "[MASK]"))
FIRST = len(SPECIAL_TOKENS)  # id of the first nucleotide


def saluki(device: torch.device) -> Saluki:
    """Make a full-size Saluki for four nucleotides, its statistics as if trained."""
    torch.manual_seed(0)
    model = Saluki(SalukiConfig()).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return model.to(device)


def widened(model: Saluki) -> Saluki:
    """Give the same model with a linear part of all blocks that are counted in sequences without marks."""
    spelled = (*[(-1,)] * FIRST, *((letter,) for letter in range(4)))
    counted, random = Ngrams(("A", "C", "G", "T"), spelled), np.random.default_rng(0)
    linear = Linear(random.normal(size=(sum(counted.sizes), 1)), np.zeros(1), np.zeros((0, 1)))
    made = copy.deepcopy(model)
    attach(made, Wide.of(counted, linear).to(model.device))
    return made


def transcript(length: int, seed: int = 0) -> Encoded:
    """Draw a sequence."""
    ids = np.random.default_rng([length, seed]).integers(FIRST, FIRST + 4, length).astype(np.int32)
    return Encoded(0, "transcript", ids, None, None, 1.0, None)


def edits_of(mode: str, sequence: Encoded) -> Edits:
    """List all removals, masks or substitutions."""
    length = len(sequence.input_ids)
    if mode == "replace":
        position = np.repeat(np.arange(length), 3)
        token = FIRST + (sequence.input_ids[position] - FIRST + np.tile([1, 2, 3], length)) % 4
        return Edits.single(position, token.astype(np.int64))
    return Edits.single(np.arange(length), np.full(length, DELETED if mode == "remove" else MASK))


def sample(edits: Edits, count: int) -> np.ndarray:
    """Choose so many perturbations, evenly spread."""
    return np.unique(np.linspace(0, len(edits) - 1, count).astype(int))


@torch.inference_mode()
def padded_outputs(model: Saluki, sequence: Encoded, edits: Edits, size: int, padded: int = PADDED) -> np.ndarray:
    """Score with every sequence padded to so many tokens."""
    material = Material(sequence, edits, 0, model.device, PAD)
    outputs = []
    for part in np.array_split(np.arange(len(edits)), math.ceil(len(edits) / size)):
        ids, _ = material.take(apply(material, edits, part))
        more = (0, padded - ids.shape[1])
        outputs.append(model(input_ids=F.pad(ids, more, value=PAD), attention_mask=F.pad(torch.ones_like(ids), more)).logits)
    return torch.cat(outputs).cpu().numpy()


class OneHot(torch.nn.Module):
    """The model as tangermeme wants it: one-hot sequences of one length, nothing that depends on data."""

    def __init__(self, model: Saluki) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take ``(batch, 4, length)`` to ``(batch, outputs)``."""
        x = self.model.stem(x.float())
        for block in self.model.blocks:
            x = block(x)
        states, _ = self.model.gru(torch.relu(self.model.norm(x)).flip(2).transpose(1, 2))
        return self.model.head(states[:, -1])


def tangermeme_run(model: Saluki, sequence: Encoded, positions: int, batch: int, fast: bool) -> bool:
    """Run tangermeme's substitutions of the first positions; tell whether it took its incremental path."""
    module = importlib.import_module("tangermeme.saturation_mutagenesis")
    taken, path = [], module._fast_path
    module._fast_path = lambda *args: taken.append(path(*args)) or taken[-1]
    x = F.one_hot(torch.from_numpy(sequence.input_ids.astype(np.int64)) - FIRST, 4).T[None]
    end = positions if positions < x.shape[2] else -1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module.saturation_mutagenesis(
                *(OneHot(model).eval(), x), end=end, batch_size=batch, raw_outputs=True, device=model.device.type, fast=fast
            )
    finally:
        module._fast_path = path
    return bool(taken) and taken[0][0] is not None


class Multiplications(TorchDispatchMode):
    """Counts floating-point operations of matrix products and convolutions, a multiplication and an addition each."""

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> object:
        """Run an operation and count it."""
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "addmm_", "matmul"):
            self.flop += 2 * args[-2].numel() * args[-1].shape[-1]
        elif name in ("linear", "conv1d"):
            self.flop += 2 * out.numel() * args[1][0].numel()
        elif name == "gru":
            self.flop += 2 * args[0].shape[0] * args[0].shape[1] * sum(weight.numel() for weight in args[2][:2])
        return out


def counted(run: Callable[[], object]) -> int:
    """Count the arithmetic of a run."""
    with Multiplications() as counter:
        run()
    return counter.flop


def least_flop(model: Saluki, sequence: Encoded, edits: Edits) -> float:
    """Count the least arithmetic of a scheme of this kind, summed over perturbations of one token.

    Of every convolution, changed positions times taps; of the GRU, both products for changed bins and the recurrent one for
    each bin from there to the 5′ end.
    """
    local, hidden = model.local(), model.gru.hidden_size
    length = len(sequence.input_ids) + int(edits.growth[0])
    start, end = edits.start.copy(), edits.start + edits.count
    total = 0.0
    for layer in local.layers:
        channels, filters = layer.convolution.in_channels, layer.convolution.out_channels
        if layer is not local.layers[0]:  # one-hot tokens need no multiplication
            total += 2.0 * (end - start).sum() * layer.kernel_size * channels * filters
        length = layer.length(length)
        start = np.clip((start - layer.span) // layer.pool, 0, length)
        end = np.clip(-(-end // layer.pool), 0, length)
    return total + 2.0 * 3 * hidden * hidden * ((end - start).sum() + end.sum())


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Time a run."""
    if device.type == "cuda":
        torch.cuda.synchronize()  # what was queued before is not its own
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def matmul_rate(device: torch.device) -> float:
    """Time a plain matrix product, in FLOP per second."""
    size = 2048 if device.type == "cpu" else 8192
    a, b = torch.randn(2, size, size, device=device)
    return 2 * size**3 / seconds(lambda: torch.mm(a, b), device)


def compare(model: Saluki, mode: str, length: int, turns: int, padded: int = PADDED) -> dict[str, float]:
    """Measure one row of the table: seconds a perturbation by scorer, and more."""
    device, sequence = model.device, transcript(length)
    on_cpu = device.type == "cpu"
    edits = edits_of(mode, sequence)
    fast, naive, wide = IncrementalScorer(model), NaiveScorer(model), choose(widened(model))
    few = edits[sample(edits, 16 if on_cpu else 512)]
    which = sample(edits, 128 if on_cpu else max(128, 2**20 // length))
    some = edits[which]
    runs = {
        "padded": (lambda: padded_outputs(model, sequence, few, 2 if on_cpu else 64, padded), len(few)),
        "trimmed": (lambda: naive.score(sequence, some), len(some) + 1),
        "incremental": (lambda: fast.score(sequence, edits), len(edits)),
        "wide": (lambda: wide.score(sequence, edits), len(edits)),
    }
    batch = max(1, (2**15 if on_cpu else 2**20) // length)
    if mode == "replace" and importlib.util.find_spec("tangermeme"):
        positions = min(length, max(50, batch))
        runs["tangermeme whole"] = (lambda: tangermeme_run(model, sequence, positions, batch, fast=False), 3 * positions)
    for run, _ in runs.values():
        run()
    best, rate = dict.fromkeys(runs, math.inf), 0.0
    for _ in range(turns):
        rate = max(rate, matmul_rate(device))
        for name, (run, count) in runs.items():
            best[name] = min(best[name], seconds(run, device) / count)
    if "tangermeme whole" in runs:
        began = time.perf_counter()
        if tangermeme_run(model, sequence, length, 64 if on_cpu else 512, fast=True):
            best["tangermeme"] = (time.perf_counter() - began) / len(edits)
    least = least_flop(model, sequence, edits) / len(edits)
    exact, incremental = naive.score(sequence, some)[1], fast.score(sequence, edits)[1][which]
    return best | {
        "done": counted(runs["incremental"][0]) / len(edits),
        "least": least,
        "share": least / best["incremental"] / rate,
        "difference": float(np.max(np.abs(incremental - exact) / np.maximum(1, np.abs(exact)))),
    }


HEADER = (
    "| mode | nt | µs each | per second | × padded | × trimmed | × tangermeme whole | × its incremental path | "
    "MFLOP done | least | of matmul | × with a linear part | difference |"
)


def row(mode: str, length: int, measured: dict[str, float]) -> str:
    """Format a row of the table."""
    ours = measured["incremental"]
    others = ("padded", "trimmed", "tangermeme whole", "tangermeme")
    ratios = [f"{measured[name] / ours:,.0f}" if name in measured else "–" for name in others]
    return (
        f"| {mode} | {length:,} | {ours * 1e6:.1f} | {1 / ours:,.0f} | {' | '.join(ratios)} | {measured['done'] / 1e6:.2f} | "
        f"{measured['least'] / 1e6:.2f} | {measured['share']:.0%} | {measured['wide'] / ours:.2f} | "
        f"{measured['difference']:.0e} |"
    )


def project(model: Saluki, transcripts: int = 13_000, length: int = 3000, measured: int = 64) -> str:
    """Time the scoring of several transcripts, on a GPU in flight, and project the substitutions of a transcriptome."""
    scorer = IncrementalScorer(model)
    sequences = [transcript(length, seed) for seed in range(measured)]

    def launch(sequence: Encoded) -> Callable[[], np.ndarray]:
        return scorer.launch(sequence, edits_of("replace", sequence))

    def run() -> None:
        for _, wait in compute.ahead(sequences, launch, model.device):
            wait()

    run()
    taken = min(seconds(run, model.device) for _ in range(3)) / measured
    return (
        f"{3 * length / taken:,.0f} perturbations per second over {measured} transcripts of {length:,} nt: "
        f"{transcripts:,} of them would take {transcripts * taken / 60:.1f} minutes (scoring alone)"
    )


def main() -> None:
    """Print a row for each mode and length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[500, 1000, 3000, 6000, 12_000])
    parser.add_argument("--modes", nargs="+", default=["remove", "mask", "replace"], choices=["remove", "mask", "replace"])
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--padded", type=int, default=PADDED, help="tokens to which upstream pads")
    arguments = parser.parse_args()
    compute.exact()
    model = saluki(torch.device(arguments.device))
    name = (
        torch.cuda.get_device_name() if arguments.device == "cuda" else f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    )
    rate = max(matmul_rate(model.device) for _ in range(arguments.turns))
    print(f"{name}, torch {torch.__version__}; a plain matrix product runs at {rate / 1e9:,.0f} GFLOP/s")
    short = transcript(min(500, arguments.padded))
    whole = counted(lambda: padded_outputs(model, short, edits_of("mask", short)[:2], 2, arguments.padded)) / 2
    print(f"a whole forward pass of {arguments.padded:,} tokens: {whole / 1e6:,.0f} MFLOP")
    print(HEADER, "|" + " --- |" * (HEADER.count("|") - 1), sep="\n")
    for mode in arguments.modes:
        for length in arguments.lengths:
            print(row(mode, length, compare(model, mode, length, arguments.turns, arguments.padded)), flush=True)
    measured = 64 if arguments.device == "cuda" else 3
    print(project(model, length=min(3000, max(arguments.lengths)), measured=measured))


if __name__ == "__main__":
    main()
