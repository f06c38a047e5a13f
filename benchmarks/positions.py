"""Translation initiation sites on human chromosome 22, by simple rules, by gradient boosting and by models of every position.

    python benchmarks/positions.py [--cores N] [--models NAME …] [--toy FOLDER]

Trains ``config/examples/tis.yaml`` with ``frames`` and with a small ``performer`` (what is finished is not run again), and
makes the features for boosting here. Everything learns from chromosomes 18, 20 and Y, and is judged on 22.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import study
from sklearn import metrics as sk
from sklearn.ensemble import HistGradientBoostingClassifier

from rnalm.prediction.sites import CODONS, begins
from rnalm.sequences import tis
from rnalm.sequences.tis import Transcript

#: Files of the benchmark, and the one that tests.
CHROMOSOMES, TESTED = ("chr18", "chr20", "chrY", "chr22"), "chr22"
#: Letters around a start: as many before it as after the triplet.
AROUND = 10
BOOSTING = "gradient boosting"
#: Models by their name in the table.
MODELS = {
    "performer": {
        "model": {
            "name": "performer",
            "width": 32,
            "layers": 2,
            "heads": 2,
            "local_heads": 1,
            "features": 32,
            "window": 64,
            "recompute": False,
        },
        "finetune": {"epochs": 2},
    },
    "frames": {},
}
COLUMNS = ("ROC AUC", "PR AUC", "ROC AUC, ATG", "PR AUC, ATG", "best site right", "recall at 3 k")


class Features:
    """What can be said of every ATG of a transcript by hand.

    Parameters
    ----------
    transcripts : list of Transcript
        Those that train: of their sites are learned the letters around a start, and the codons after it.
    """

    def __init__(self, transcripts: list[Transcript]) -> None:
        self.around, self.pairs = np.zeros((2, 2 * AROUND + 3, 4)), np.zeros((2, 64 * 64))
        for one in transcripts:
            at, true, letters = candidates(one)
            window, (codon, _, stops) = windows(letters, at), frames(letters)
            for row, of_site in enumerate(true.astype(int)):
                np.add.at(self.around[of_site], (np.arange(window.shape[1])[window[row] < 4], window[row][window[row] < 4]), 1)
                read = codon[at[row] : stops[at[row]] : 3][:200]
                pair = 64 * read[:-1] + read[1:]
                self.pairs[of_site] += np.bincount(pair[(read[:-1] < 64) & (read[1:] < 64)], minlength=64 * 64)
        weights = [np.log((counts + 1) / (counts + 1).sum(-1, keepdims=True)) for counts in (self.around, self.pairs)]
        self.kozak, usage = (each[1] - each[0] for each in weights)
        self.kozak = np.concatenate([self.kozak, np.zeros((len(self.kozak), 1))], axis=1)  # nothing for an unknown letter
        self.usage = np.pad(usage.reshape(64, 64), (0, 1))  # nor for a codon that has one

    def of(self, one: Transcript) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the ATGs of a transcript, whether each is a site, and features, of which the first is the Kozak score."""
        at, true, letters = candidates(one)
        window, (_, cumulated, stops) = windows(letters, at), frames(letters, self.usage)
        length = len(letters)
        kozak = self.kozak[np.arange(window.shape[1]), window].sum(1)
        orf = stops[at] - at
        coding = cumulated[np.minimum(stops[at], length - 1)] - cumulated[at]
        relative = [at / length, orf / length, np.log1p(orf), coding / (1 + orf / 3)]
        stopped = stops[at] < length - 2
        features = [kozak, orf, coding, at, length - at - orf, np.full(len(at), length), stopped, *relative]
        for value in (kozak, orf, coding):
            # How it stands beside those before it, beside all, and which it is.
            earlier = np.concatenate([[-99.0], np.maximum.accumulate(value)[:-1]]) if len(at) else value
            features += [earlier, value - value.max(initial=-99), np.argsort(np.argsort(-value))]
        order = np.arange(len(at))
        same = np.array([np.sum(stops[at[:row]] == stops[at[row]]) for row in order])
        features += [order, order - same, same, np.full(len(at), len(at)), *windows(letters, at)[:, AROUND - 6 : AROUND + 6].T]
        return at, true, np.stack(features, axis=1).astype(np.float32)


def candidates(one: Transcript) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the positions of ATGs, whether each is a site, and the letters as numbers: A, C, G, T, another."""
    at = np.flatnonzero(begins(one.sequence, "ATG"))
    letters = np.array(["ACGT".find(letter) % 5 for letter in one.sequence])
    return at, np.isin(at, one.sites), letters


def windows(letters: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Cut out what stands around positions ``(positions, 2 · AROUND + 3)``; 4 beyond the ends."""
    padded = np.pad(letters, AROUND + 3, constant_values=4)
    return padded[at[:, None] + 3 + np.arange(2 * AROUND + 3)]


def frames(letters: np.ndarray, usage: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give, for each position, its codon, the sum of usage along its frame until there, and the next stop in its frame."""
    padded = np.pad(letters, (0, 2), constant_values=4)
    triplet = np.stack([padded[:-2], padded[1:-1], padded[2:]])
    codon = np.where((triplet < 4).all(0), (triplet * np.array([[16], [4], [1]])).sum(0), 64)
    stop = np.array([CODONS["ACGT"[k // 16] + "ACGT"[k // 4 % 4] + "ACGT"[k % 4]] == "*" for k in range(64)] + [False])
    stops, cumulated = np.full(len(letters), len(letters)), np.zeros(len(letters))
    for frame in range(3):
        own = np.arange(frame, len(letters), 3)
        ends = np.where(stop[codon[own]], own, len(letters))
        stops[own] = np.minimum.accumulate(ends[::-1])[::-1]
        if usage is not None:
            cumulated[own[1:]] = np.cumsum(usage[codon[own[:-1]], codon[own[1:]]])
    return codon, cumulated, stops


def judge(transcripts: list[Transcript], scores: list[np.ndarray]) -> list[float]:
    """Compute the figures of the table from a score for every position."""
    true = np.concatenate([np.isin(np.arange(len(s)), t.sites) for t, s in zip(transcripts, scores, strict=True)])
    values = np.concatenate(scores)
    atg = np.concatenate([begins(one.sequence, "ATG") for one in transcripts])
    right = [score.argmax() in one.sites for one, score in zip(transcripts, scores, strict=True) if len(one.sites)]
    best = np.argsort(-values, kind="stable")[: 3 * true.sum()]
    areas = [
        score(true[own], values[own]) for own in (slice(None), atg) for score in (sk.roc_auc_score, sk.average_precision_score)
    ]
    return [*areas, float(np.mean(right)), true[best].sum() / true.sum()]


def rules(training: list[Transcript], tested: list[Transcript]) -> dict[str, list[np.ndarray]]:
    """Score by what needs no network: every ATG, the first one, a Kozak matrix, and boosting on features made by hand."""
    features = Features(training)
    told = [features.of(one) for one in training]
    boosting = HistGradientBoostingClassifier(max_iter=400, learning_rate=0.05, max_leaf_nodes=31, random_state=0)
    boosting.fit(np.concatenate([each[2] for each in told]), np.concatenate([each[1] for each in told]))
    scores: dict[str, list[np.ndarray]] = {name: [] for name in ("every ATG", "first ATG", "Kozak matrix", BOOSTING)}
    for one in tested:
        at, _, own = features.of(one)
        values = (np.ones(len(at)), np.arange(len(at)) == 0, own[:, 0], boosting.predict_proba(own)[:, 1] if len(at) else [])
        for made, value in zip(scores.values(), values, strict=True):
            # Elsewhere no site is expected: below all that stands at an ATG, and a probability of 0.
            each = np.full(len(one.sequence), 0.0 if made is scores[BOOSTING] else -1e3)
            each[at] = value
            made.append(each)
    return scores


def trained(name: str, table: Path, options: argparse.Namespace) -> tuple[list[float], float, list[np.ndarray]]:
    """Train a model as its example says, and read what it achieves, the CPU minutes of its training, and its probabilities."""
    settings = study.read("tis.yaml", None) | {"output": f"results/tis_{name}"}
    settings["source"] = settings["source"] | {"path": str(table)}
    for section, values in MODELS[name].items():
        settings[section] = values if section == "model" else settings[section] | values
    if options.toy:
        settings["output"] = str(options.toy / f"tis_{name}")
        settings["finetune"] = settings["finetune"] | {"epochs": 1}
    output = study.run(settings, "predict", options.cores)
    found = json.loads((output / "tracks" / "results.json").read_text())
    minutes = float((output / "benchmarks" / "finetune" / "0.tsv").read_text().split()[-1]) / 60
    areas = [found["roc_auc"], found["pr_auc"], found["motif"]["roc_auc"], found["motif"]["pr_auc"]]
    tracks = pq.read_table(output / "tracks" / "predictions.parquet", columns=["prob_1"])["prob_1"].to_numpy()
    return [*areas, found["best_right"], found["recall_listed"]], minutes, list(tracks)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default="1")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument(
        "--toy", type=Path, metavar="FOLDER", help=f"run in this folder with {study.TOY} sequences of each file"
    )
    options = parser.parse_args()
    read = {name: tis.read_arrays(study.ROOT / f"data/tis/{name}.npy.gz") for name in CHROMOSOMES}
    if options.toy:
        coding = {name: [one for one in each if len(one.sites) and len(one.sequence) < 2000] for name, each in read.items()}
        read = {name: each[: study.TOY] for name, each in coding.items()}
    table = (options.toy or study.ROOT / "results") / "tis.tsv"
    table.parent.mkdir(exist_ok=True)
    rows = [
        f"{one.id}\t{one.sequence}\t{','.join(map(str, one.sites))}\t{name}\n" for name, each in read.items() for one in each
    ]
    table.write_text("\t".join(tis.COLUMNS) + "\n" + "".join(rows))
    began = time.process_time()
    training = [one for name, each in read.items() if name != TESTED for one in each]
    scores = rules(training, read[TESTED])
    minutes = dict.fromkeys(scores, 0.0) | {BOOSTING: (time.process_time() - began) / 60}
    results = {name: judge(read[TESTED], made) for name, made in scores.items()}
    for name in options.models:
        results[name], minutes[name], given = trained(name, table, options)
        if name == "frames":
            mean = [(own + others) / 2 for own, others in zip(given, scores[BOOSTING], strict=True)]
            both = f"{name} and {BOOSTING}, mean"
            results[both], minutes[both] = judge(read[TESTED], mean), minutes[name] + minutes[BOOSTING]
    print("| | " + " | ".join(COLUMNS) + " | CPU minutes of training |")
    print("| --- |" + " ---: |" * (len(COLUMNS) + 1))
    for name, values in results.items():
        print(f"| {name} | {' | '.join(f'{value:.4f}' for value in values)} | {minutes[name]:.1f} |")


if __name__ == "__main__":
    main()
