"""Claim: effects of variants are those of whole passes, thrice as fast on windows that overlap, dozens of times on transcripts.

Two kinds of models. A network like DeepSEA's (Zhou & Troyanskaya 2015), which takes 1,000 bases: windows around neighbouring
SNVs overlap, and share what their convolutions give. And a full-size Saluki on transcripts of 3,000 nt, one in ten variants an
indel (what follows is shifted) or none: they share their transcript. The naive scorer runs the model on each allele and, once,
on each window without it; tangermeme's ``substitution_effect``, where it is installed, on the SNVs, both of each. All are timed
on one thread in turns, in processor time, the best of which counts; the naive one and tangermeme on a sample.

    pip install tangermeme        # optional
    python benchmarks/variants.py [--vcf data/genome/human20/z.vcf.gz --genome data/genome/human20/z.fa.gz] [--gap 34]
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from deepsea import network
from loo import FIRST, OneHot, saluki

from rnalm.config import Variants
from rnalm.scoring.layout import MOST, Stretch, lay
from rnalm.scoring.scorers.stretches import Joined, StretchScorer, WholeScorer
from rnalm.sequences.alleles import rows
from rnalm.sequences.contigs import Reference
from rnalm.sequences.edited import Change, NoWindow, Window, windows
from rnalm.tokens.dataset import Encoded

LETTERS = "ACGT"
ODD = np.frombuffer(LETTERS.encode(), dtype=np.uint8)


def to_ids(text: str) -> np.ndarray:
    """Give the ids of letters; others are unknown."""
    table = np.zeros(128, dtype=np.int32)
    table[ODD] = np.arange(FIRST, FIRST + 4)
    return table[np.frombuffer(text.encode(), dtype=np.uint8)]


def other(letter: str) -> str:
    """Give another letter."""
    return LETTERS[(LETTERS.index(letter) + 1) % 4]


def real(options: argparse.Namespace) -> tuple[list[Change], Callable[[int, int], str], int]:
    """Read the first alleles of a file that have a window: the changes, what reads the contig, and its length."""
    with tempfile.TemporaryDirectory() as folder:
        section = Variants(path=options.vcf, genome=options.genome, index=folder)
        genome, found = Reference(section), []
        for allele in rows(section):
            if allele["reason"] is None and len(found) < options.alleles:
                found.append((allele["contig"], Change(allele["start"], allele["goes"], allele["comes"])))
        contig, size = found[0][0], genome.lengths[found[0][0]]
        text = genome.letters(contig, 0, size).upper()
    return [change for name, change in found if name == contig], lambda first, after: text[first:after], size


def drawn(options: argparse.Namespace) -> tuple[list[Change], Callable[[int, int], str], int]:
    """Draw a contig, and SNVs on it that lie about so many bases apart."""
    draw = np.random.default_rng(0)
    size = 2 * options.length + options.gap * options.alleles
    text = "".join(draw.choice(list(LETTERS), size))
    places = options.length + options.gap * np.arange(options.alleles) + draw.integers(0, options.gap, options.alleles)
    return [Change(place, text[place], other(text[place])) for place in places.tolist()], lambda a, b: text[a:b], size


def windows_of(options: argparse.Namespace) -> tuple[list[Stretch], list[int]]:
    """Lay the windows of all alleles on stretches, and say how many each allele has."""
    changes, letters, size = (real if options.vcf else drawn)(options)
    found, counts = [], []
    for change in changes:
        try:
            own = windows(change, options.length, size, "both")
        except NoWindow:
            continue
        found += own
        counts.append(len(own))
    most = MOST[options.device.type]
    return list(lay(found, [("", "+")] * len(found), lambda _, first, after: letters(first, after), most)), counts


def transcripts(count: int, length: int, variants: int, indels: int, device: torch.device) -> list[Stretch]:
    """Draw transcripts, with variants of each, the first of which are indels."""
    draw, stretches = np.random.default_rng(0), []
    per_stretch = max(1, MOST[device.type] // length)
    for first in range(0, count, per_stretch):
        text, found = "", []
        for _ in range(min(per_stretch, count - first)):
            start = len(text)
            text += "".join(draw.choice(list(LETTERS), length))
            found.append(Window(start, start, length, "", length))
            for number, place in enumerate(draw.choice(np.arange(5, length - 5), variants, replace=False).tolist()):
                grown = int(draw.choice([-3, -2, -1, 1, 2])) if number < indels else 0
                comes = "ACG"[:grown] if grown > 0 else "" if grown else other(text[start + place])
                found.append(Window(start, start - grown, place, comes, length + grown))
        stretches.append(Stretch(text, np.arange(len(found)), found, []))
    return stretches


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Time a run, in seconds of the processor."""
    began = time.process_time()
    result = run()
    return time.process_time() - began, result


def score(scorer: StretchScorer | WholeScorer, stretches: list[Stretch]) -> list[np.ndarray]:
    """Compute the outputs of distinct windows."""
    outputs = []
    for stretch in stretches:
        distinct = list(dict.fromkeys(stretch.windows))
        encoded = Encoded(0, "stretch", to_ids(stretch.text), None, None, 1.0, None)
        outputs.append(scorer(encoded, Joined.of(distinct, to_ids)))
    return outputs


def tangermeme_rate(module: torch.nn.Module, stretch: Stretch, pairs: list[tuple[Window, Window]], length: int) -> float | None:
    """Time tangermeme on SNVs; None: it is not installed."""
    if importlib.util.find_spec("tangermeme") is None:
        return None
    effect = importlib.import_module("tangermeme.variant_effect").substitution_effect
    ids = np.stack([to_ids(own.text(lambda a, b: stretch.text[a:b])) - FIRST for own, _ in pairs]).clip(min=0)
    x = F.one_hot(torch.from_numpy(ids.astype(np.int64)), 4).transpose(1, 2).float()
    changes = [(number, edited.at, int(to_ids(edited.comes)[0]) - FIRST) for number, (_, edited) in enumerate(pairs)]
    # It leaves the network in the mode in which it found it.
    module.eval()
    used, _ = seconds(lambda: effect(module, x, torch.tensor(changes), device="cpu", batch_size=16))
    return len(pairs) / used


def compare(name: str, model: Any, module: torch.nn.Module, stretches: list[Stretch], alleles: int, options: Any) -> str:
    """Hold the scorers against each other: a line of the table."""
    fast, slow = StretchScorer(model), WholeScorer(model, 2**15)
    first = stretches[0]
    some = list(dict.fromkeys(first.windows))[: options.sample]
    sample = [Stretch(first.text, np.arange(len(some)), some, [])]
    score(fast, sample)  # what a model keeps for all stretches is made once
    best, whole, found, expected = np.inf, np.inf, [], []
    for _ in range(options.turns):
        used, expected = seconds(lambda: score(slow, sample))
        whole = min(whole, used / len(some))
        used, found = seconds(lambda: score(fast, stretches))
        best = min(best, used)
    distinct = sum(len(set(stretch.windows)) for stretch in stretches)
    difference = float(np.abs(found[0][: len(some)] - expected[0]).max())
    plain = {own.left: own for own in some if not own.comes and own.left == own.right}
    pairs = [(plain[own.left], own) for own in some if len(own.comes) == 1 and own.left == own.right and own.left in plain]
    theirs = tangermeme_rate(module, first, pairs, options.length)
    once, twice = whole * distinct, whole * 2 * alleles
    rates = [alleles / once, alleles / twice, theirs, alleles / best]
    told = " | ".join("—" if rate is None else f"{rate:,.1f}" for rate in rates)
    return f"| {name} | {alleles} | {told} | {once / best:.1f} | {twice / best:.1f} | {difference:.0e} |"


class Plain(torch.nn.Module):
    """The network of a model as it was written."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take ``(batch, 4, length)``."""
        return self.model.network(x.float())  # pyright: ignore[reportCallIssue]


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vcf", help="real alleles; else SNVs are drawn")
    parser.add_argument("--genome", help="their genome")
    parser.add_argument("--alleles", type=int, default=1500)
    parser.add_argument("--gap", type=int, default=34, help="bases from one drawn SNV to the next, on average")
    parser.add_argument("--length", type=int, default=1000, help="bases that the network takes")
    parser.add_argument("--classes", type=int, default=919)
    parser.add_argument("--width", type=int, default=320, help="filters of its first layer")
    parser.add_argument("--transcripts", type=int, default=20)
    parser.add_argument("--nt", type=int, default=3000, help="of a transcript")
    parser.add_argument("--variants", type=int, default=30, help="of a transcript")
    parser.add_argument("--sample", type=int, default=32, help="windows for the naive scorer")
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    options.device = torch.device("cpu")
    torch.set_num_threads(1)
    heading = ["model", "alleles", "naive, alleles/s", "naive, REF for each", "tangermeme", "ours", "ratio", "REF for each"]
    print(f"| {' | '.join(heading)} | largest difference |")
    print("| --- |" + " ---: |" * len(heading))
    model = network(options)
    stretches, counts = windows_of(options)
    kind = "real alleles" if options.vcf else f"SNVs {options.gap} bases apart"
    print(compare(f"DeepSEA, {kind}", model, Plain(model), stretches, len(counts), options))
    model = saluki(options.device)
    for indels in (0, max(1, options.variants // 10)):
        made = transcripts(options.transcripts, options.nt, options.variants, indels, options.device)
        name = f"Saluki, {options.nt} nt, {options.variants} variants, {indels} of them indels"
        print(compare(name, model, OneHot(model), made, options.transcripts * options.variants, options))


if __name__ == "__main__":
    main()
