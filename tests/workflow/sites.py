"""Sequences of which every GG is a site, and an experiment that learns to find them."""

import numpy as np


def with_sites(rows: int, seed: int) -> list[tuple[str, str, list[int]]]:
    """Make sequences: name, letters, and positions of sites."""
    draw, made = np.random.default_rng(seed), []
    for row in range(rows):
        text = "".join(draw.choice(list("ACGT"), draw.integers(5, 60)))
        made.append((f"s{row}", text, [at for at in range(len(text) - 1) if text[at : at + 2] == "GG"]))
    return made


def table(made: list[tuple[str, str, list[int]]]) -> str:
    """Write sequences as a table, in three splits."""
    rows = [f"{name}\t{text}\t{','.join(map(str, sites))}\t{'abc'[k % 3]}\n" for k, (name, text, sites) in enumerate(made)]
    return "".join(["id\tsequence\tsites\tsplit\n", *rows])


def genes(made: list[tuple[str, str, list[int]]]) -> str:
    """Lay sequences on a chromosome, 1,000 apart, the second half of each behind an intron of 100; each other one turned."""
    lines = []
    for row, (name, text, _) in enumerate(made):
        first, length = len(text) // 2, len(text)
        blocks = f"2\t{first},{length - first}\t0,{first + 100}"
        lines.append(f"chr7\t{1000 * row}\t{1000 * row + length + 100}\t{name}\t0\t{'+-'[row % 2]}\t0\t0\t0\t{blocks}\n")
    return "".join(lines)


def configuration() -> dict:
    """Train on sites, and list the best."""
    return {
        "output": "out",
        "task": "classification",
        "source": {"path": "table.tsv", "columns": {"id": "id", "sequence": "sequence", "sites": "sites", "split": "split"}},
        "labels": {"per": "token"},
        "encode": {"block_size": 40},
        "folds": {"method": "column", "validation": ["b"], "test": ["c"]},
        "model": {"name": "frames", "width": 8, "layers": 1},
        "finetune": {"epochs": 12, "learning_rate": 0.02, "batch_tokens": 400, "metric": "pr_auc", "replicates": 2},
        "predict": {"sites": {"motif": "GG", "top": 2}, "formats": ["bedgraph", "npy"]},
        "interpret": {"modes": ["remove", "mask"], "shards": 2},
    }
