"""Make the demo: small mRNAs whose half-life depends on two planted signals.

* Every copy of the AU-rich motif ``tatttata`` in the 3′ part shortens the half-life.
* Codons that end in g or c lengthen it.

Run ``python config/demo/make_demo.py``; the same seed writes the same files, byte for byte.
"""

import math
import random
from collections.abc import Iterator
from pathlib import Path

MOTIF = "tatttata"
#: Codons whose third base is free.
BOXES = ("gc", "gg", "cc", "ct", "gt", "tc", "ac", "cg")
#: Quality label and its measurement noise, as the standard deviation of the log half-life.
QUALITY = {"STRONG": 0.1, "GOOD": 0.2, "WEAK": 0.4}


def transcripts(n_genes: int, seed: int) -> Iterator[tuple[str, str, float, str, list[str], list[int]]]:
    """Yield id, gene, half-life in hours, quality label, tokens, and the positions where the motif begins."""
    draw = random.Random(seed)
    for gene in range(n_genes):
        coding, optimality = _coding(draw)
        # Every tenth gene has two transcripts, which differ in their untranslated parts: they must not be split.
        for variant in range(2 if gene % 10 == 0 else 1):
            leader = "".join(draw.choices("acgt", k=draw.randint(8, 20)))
            trailer, motifs = _trailer(draw)
            tokens = [*leader, *_mark_codons(coding), *trailer]
            quality = draw.choice(list(QUALITY))
            effect = 1.2 * (optimality - 0.5) - 0.9 * len(motifs) + draw.gauss(0, QUALITY[quality])
            begins = [len(leader) + len(coding) + position for position in motifs]
            yield f"mrna{gene:04d}.{variant + 1}", f"gene{gene:04d}", math.exp(1.5 + effect), quality, tokens, begins


def _coding(draw: random.Random) -> tuple[str, float]:
    optimality = draw.random()
    thirds = ("gc" if draw.random() < optimality else "at" for _ in range(draw.randint(12, 24)))
    codons = [draw.choice(BOXES) + draw.choice(third) for third in thirds]
    return "atg" + "".join(codons) + "taa", optimality


def _mark_codons(coding: str) -> list[str]:
    """Write the first base of each codon in upper case."""
    return [base.upper() if position % 3 == 0 else base for position, base in enumerate(coding)]


def _trailer(draw: random.Random) -> tuple[str, list[int]]:
    trailer = draw.choices("acgt", k=draw.randint(40, 80))
    slots = draw.sample(range(0, len(trailer) - len(MOTIF), len(MOTIF) + 2), k=draw.choice((0, 0, 1, 1, 2)))
    for slot in slots:
        trailer[slot : slot + len(MOTIF)] = MOTIF
    return "".join(trailer), sorted(slots)


def write(folder: Path, n_genes: int = 800, seed: int = 20) -> None:
    """Write the table and, as BED, where the motifs are."""
    rows = list(transcripts(n_genes, seed))
    table = ["id\tgene\thalf_life\tquality\tsequence"]
    table += [f"{name}\t{gene}\t{hours:.4f}\t{quality}\t{','.join(tokens)}" for name, gene, hours, quality, tokens, _ in rows]
    planted = [f"{name}\t{begin}\t{begin + len(MOTIF)}\tAU-rich motif" for name, *_, begins in rows for begin in begins]
    for name, lines in (("mrna.tsv", table), ("planted.bed", planted)):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(__file__).parent)
