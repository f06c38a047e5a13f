"""Claim: a convolutional network of one's own, such as DeepSEA's, is scored incrementally without being told how.

The network is DeepSEA's (Zhou & Troyanskaya 2015), written as its users write networks for Selene: two ``nn.Sequential`` and a
reshaping by hand. All substitutions of one sequence are scored; of the naive scorer a sample is run. Both are timed in turns,
the best of which counts, and the largest difference of logits stands beside.

    python benchmarks/deepsea.py [--device cuda] [--length 1000] [--classes 919]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from rnalm.config import OwnModel, Tokenizer
from rnalm.models import registry
from rnalm.models.bring import LETTERS
from rnalm.scoring.edits import Edits
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.learn import of_letters
from rnalm.tokens.tokenizer import all_special_ids, token_names

NETWORK = """
from torch import nn


class DeepSEA(nn.Module):
    def __init__(self, sequence_length, classes, width=320):
        super().__init__()
        size, wide, wider = 8, width * 3 // 2, width * 3
        self.conv_net = nn.Sequential(
            nn.Conv1d(4, width, size), nn.ReLU(inplace=True), nn.MaxPool1d(4, 4), nn.Dropout(0.2),
            nn.Conv1d(width, wide, size), nn.ReLU(inplace=True), nn.MaxPool1d(4, 4), nn.Dropout(0.2),
            nn.Conv1d(wide, wider, size), nn.ReLU(inplace=True), nn.Dropout(0.5),
        )
        self.channels = ((sequence_length - 7) // 4 - 7) // 4 - 7
        self.classifier = nn.Sequential(
            nn.Linear(wider * self.channels, classes), nn.ReLU(inplace=True), nn.Linear(classes, classes), nn.Sigmoid()
        )

    def forward(self, x):
        x = self.conv_net(x)
        return self.classifier(x.view(x.size(0), -1))
"""
#: Substitutions that the naive scorer is timed on.
SAMPLE = 96


def network(options: argparse.Namespace) -> torch.nn.Module:
    """Make the network, with random weights."""
    tokenizer = of_letters(LETTERS, Tokenizer())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deepsea.py"
        path.write_text(NETWORK)
        args = {"sequence_length": options.length, "classes": options.classes, "width": options.width}
        section = OwnModel(**{"name": "file", "path": str(path), "class": "DeepSEA", "args": args})
        entries = {"task": "multilabel", "tokens": token_names(tokenizer)}
        torch.manual_seed(0)
        sizes = (tokenizer.get_vocab_size(), 0, options.classes, all_special_ids(tokenizer))
        return registry.create(section.model_dump(), *sizes, **entries).eval().to(options.device)


def substitutions(ids: np.ndarray) -> Edits:
    """List all substitutions of one letter for another."""
    position = np.repeat(np.arange(len(ids)), 3)
    return Edits.single(position, 7 + (ids[position] - 7 + np.tile([1, 2, 3], len(ids))).astype(np.int64) % 4)


def timed(scorer, sequence: Encoded, edits: Edits) -> tuple[float, np.ndarray]:
    """Score, and say how long it took: scores a second."""
    began = time.perf_counter()
    _, scores = scorer.score(sequence, edits)
    return len(edits) / (time.perf_counter() - began), scores


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--length", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=919)
    parser.add_argument("--width", type=int, default=320, help="filters of the first layer")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    model = network(options)
    ids = np.random.default_rng(0).integers(7, 11, options.length).astype(np.int32)
    sequence, edits = Encoded(0, "s", ids, None, None, 1.0, None), substitutions(ids)
    some = np.unique(np.linspace(0, len(edits) - 1, SAMPLE).astype(int))
    naive, incremental = NaiveScorer(model), IncrementalScorer(model)
    slow, fast, difference = [], [], 0.0
    for _ in range(options.turns):
        rate, expected = timed(naive, sequence, edits[some])
        slow.append(rate)
        rate, found = timed(incremental, sequence, edits)
        fast.append(rate)
        difference = max(difference, float(np.abs(found[some] - expected).max()))
    print("| length | classes | naive, scores/s | incremental, scores/s | ratio | largest difference |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    rates = f"{max(slow):,.1f} | {max(fast):,.1f} | {max(fast) / max(slow):.1f}"
    print(f"| {options.length} | {options.classes} | {rates} | {difference:.1e} |")


if __name__ == "__main__":
    main()
