"""Claim: incremental leave-one-out scores are those of the naive scorer, at a three-hundredth of the cost.

On one full-size Saluki and the same random transcripts, for each mode: the naive scorer with the sequence padded to 12,288
tokens (as the Saluki authors and rna_saluki_cnn do it), the naive scorer on the sequence alone, tangermeme's
``saturation_mutagenesis`` (replace only), and the incremental scorer. All are timed in turns within one run, and the best of
the turns counts; of slow ones a sample of the perturbations is run. Arithmetic is counted operation by operation as PyTorch
runs it; the least possible multiplies changed positions only, and goes through the GRU from the change on.

    pip install tangermeme        # optional
    python benchmarks/loo.py [--device cuda] [--lengths 500 1000 3000 6000 12000] [--modes remove mask replace]
"""

import argparse
import math
import os
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from rnalm import devices
from rnalm.datasets import Encoded
from rnalm.models.saluki import Saluki, SalukiConfig
from rnalm.perturb.apply import Material, apply
from rnalm.perturb.edits import DELETED, Edits
from rnalm.perturb.incremental import IncrementalScorer
from rnalm.perturb.naive import NaiveScorer
from rnalm.perturb.scorers import ahead
from rnalm.tokenizers import MASK, PAD

PADDED = 12_288
FIRST = 7  # id of the first nucleotide


def saluki(device: torch.device) -> Saluki:
    """Make a full-size Saluki for four nucleotides, its statistics as if trained."""
    torch.manual_seed(0)
    model = Saluki(SalukiConfig()).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return model.to(device)


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
def padded_outputs(model: Saluki, sequence: Encoded, edits: Edits, size: int) -> np.ndarray:
    """Score with every sequence padded to ``PADDED``."""
    material = Material(sequence, edits, 0, model.device)
    found = []
    for part in np.array_split(np.arange(len(edits)), math.ceil(len(edits) / size)):
        ids, _ = material.take(apply(material, edits, part))
        mask = F.pad(torch.ones_like(ids), (0, PADDED - ids.shape[1]))
        found.append(model(input_ids=F.pad(ids, (0, PADDED - ids.shape[1]), value=PAD), attention_mask=mask).logits)
    return torch.cat(found).cpu().numpy()


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


def tangermeme_seconds(model: Saluki, sequence: Encoded, positions: int, fast: bool) -> float | None:
    """Time tangermeme on the first positions, in seconds a perturbation; None: it is not installed."""
    try:
        from tangermeme.saturation_mutagenesis import saturation_mutagenesis
    except ImportError:
        return None
    x = F.one_hot(torch.from_numpy(sequence.input_ids.astype(np.int64)) - FIRST, 4).T[None]
    end = positions if positions < x.shape[2] else -1
    device = model.device.type
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        saturation_mutagenesis(
            OneHot(model).eval(),
            x,
            end=end,
            batch_size=64 if device == "cpu" else 512,
            raw_outputs=True,
            device=device,
            fast=fast,
        )
    return (time.perf_counter() - began) / (3 * positions)


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
    with Multiplications() as found:
        run()
    return found.flop


def least_flop(model: Saluki, sequence: Encoded, edits: Edits) -> float:
    """Count the arithmetic that no exact scheme of this kind can avoid, summed over perturbations of one token.

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
            total += 2.0 * (end - start).sum() * layer.taps * channels * filters
        length = layer.length(length)
        start = np.clip((start - layer.span) // layer.pool, 0, length)
        end = np.clip(-(-end // layer.pool), 0, length)
    return total + 2.0 * 3 * hidden * hidden * ((end - start).sum() + end.sum())


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Time a run."""
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


def compare(model: Saluki, mode: str, length: int, turns: int) -> dict[str, float]:
    """Measure one row of the table."""
    device, sequence = model.device, transcript(length)
    edits = edits_of(mode, sequence)
    fast, naive = IncrementalScorer(model), NaiveScorer(model)
    few, some = edits[sample(edits, 16 if device.type == "cpu" else 512)], edits[sample(edits, 128)]
    size = 2 if device.type == "cpu" else 64
    runs = {
        "padded": (lambda: padded_outputs(model, sequence, few, size), len(few)),
        "trimmed": (lambda: naive.score(sequence, some), len(some) + 1),
        "incremental": (lambda: fast.score(sequence, edits), len(edits)),
    }
    for run, _ in runs.values():
        run()
    best, rate = dict.fromkeys(runs, math.inf), 0.0
    for _ in range(turns):
        rate = max(rate, matmul_rate(device))
        for name, (run, count) in runs.items():
            for _ in range(3 if name == "incremental" else 1):
                best[name] = min(best[name], seconds(run, device) / count)
    if mode == "replace":
        tangermeme = tangermeme_seconds(model, sequence, length, fast=True)
        plain = tangermeme_seconds(model, sequence, 50, fast=False)
    else:
        tangermeme = plain = None
    done = counted(runs["incremental"][0]) / len(edits)
    least = least_flop(model, sequence, edits) / len(edits)
    exact, found = naive.score(sequence, some)[1], fast.score(sequence, some)[1]
    return best | {
        "tangermeme": tangermeme or math.nan,
        "plain": plain or math.nan,
        "done": done,
        "least": least,
        "share": least / best["incremental"] / rate,
        "rate": rate,
        "difference": float(np.max(np.abs(found - exact) / np.maximum(1, np.abs(exact)))),
    }


HEADER = (
    "| mode | nt | µs each | per second | × padded | × trimmed | × tangermeme | × its plain | "
    "MFLOP done | least | of matmul | difference |"
)


def row(mode: str, length: int, found: dict[str, float]) -> str:
    """Format a row of the table."""
    ours = found["incremental"]
    ratios = [
        "–" if math.isnan(found[name]) else f"{found[name] / ours:,.0f}"
        for name in ("padded", "trimmed", "tangermeme", "plain")
    ]
    return (
        f"| {mode} | {length:,} | {ours * 1e6:.1f} | {1 / ours:,.0f} | {' | '.join(ratios)} | {found['done'] / 1e6:.2f} | "
        f"{found['least'] / 1e6:.2f} | {found['share']:.0%} | {found['difference']:.0e} |"
    )


def project(model: Saluki, transcripts: int = 13_000, length: int = 3000, measured: int = 64) -> str:
    """Time several transcripts in flight, and project the substitutions of a transcriptome."""
    scorer = IncrementalScorer(model)
    sequences = [transcript(length, seed) for seed in range(measured)]

    def launch(sequence: Encoded) -> Callable[[], np.ndarray]:
        return scorer.launch(sequence, edits_of("replace", sequence))

    def run() -> None:
        for _, wait in ahead(sequences, launch, model.device):
            wait()

    run()
    taken = min(seconds(run, model.device) for _ in range(3)) / measured
    return (
        f"{3 * length / taken:,.0f} perturbations per second with several transcripts in flight: "
        f"{transcripts:,} transcripts × {length:,} nt × 3 substitutions in {transcripts * taken / 60:.1f} minutes"
    )


def main() -> None:
    """Print a row for each mode and length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[500, 1000, 3000, 6000, 12_000])
    parser.add_argument("--modes", nargs="+", default=["remove", "mask", "replace"])
    parser.add_argument("--turns", type=int, default=8)
    arguments = parser.parse_args()
    devices.exact()
    model = saluki(torch.device(arguments.device))
    name = (
        torch.cuda.get_device_name() if arguments.device == "cuda" else f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    )
    two = edits_of("mask", transcript(500))[:2]
    whole = counted(lambda: padded_outputs(model, transcript(500), two, 2)) / 2
    print(f"{name}, torch {torch.__version__}; a whole forward pass of {PADDED:,} tokens: {whole / 1e6:,.0f} MFLOP")
    print(HEADER, "|" + " --- |" * (HEADER.count("|") - 1), sep="\n")
    for mode in arguments.modes:
        for length in arguments.lengths:
            print(row(mode, length, compare(model, mode, length, arguments.turns)), flush=True)
    print(project(model, measured=64 if arguments.device == "cuda" else 3))


if __name__ == "__main__":
    main()
