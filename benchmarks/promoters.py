"""Promoters of E. coli: a language model beside two baselines, and what leaking splits would make of all three.

    python benchmarks/promoters.py [--cores N] [--toy FOLDER]

Runs ``config/examples/promoters.yaml`` (what is finished is not run again), and the same study with the reverse complement of
every sequence as a row of its own and rows divided at random. Baselines are a one-hot logistic regression and a random forest
on canonical 5-mers, on the same folds: what a model is tested on, it has not seen.
"""

import copy
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import study
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from rnalm import config
from rnalm.labels import folds
from rnalm.sequences.read import read_records
from rnalm.sequences.strands import reverse_complement

LETTERS = "ACGT"
K = 5


def main() -> None:
    """Run both studies, and print what each model achieves in each."""
    options = study.options(__doc__.splitlines()[0])
    grouped = study.read("promoters.yaml", options.toy)
    rows = []
    for name, settings in (("grouped", grouped), ("leaking", leaking(grouped))):
        output = study.run(settings, "predict", options.cores)
        records = list(read_records(config.read_source(settings["source"])))
        labels = np.array([record.label for record in records])
        parts = folds.read(output / "folds.parquet")
        rows.append((name, "rnalm", *of_ensembles(output, parts)))
        for baseline, (features, model) in baselines([record.sequence for record in records]).items():
            rows.append((name, baseline, *cross_validate(model, features, labels, parts)))
    print("| split | model | weighted F1, mean | sd |\n| --- | --- | ---: | ---: |")
    for row in rows:
        print("| {} | {} | {:.3f} | {:.3f} |".format(*row))


def leaking(grouped: dict) -> dict:
    """Make the study in which near-duplicates and twins straddle the parts: each strand a row, rows divided at random.

    One model a fold, with the values of the configuration itself: no sweep is needed to see a leak.
    """
    settings = copy.deepcopy(grouped)
    folder = study.ROOT / f"{grouped['output']}_leaking"
    folder.mkdir(parents=True, exist_ok=True)
    texts: dict[str, list[str]] = {}
    for record in read_records(config.read_source(settings["source"])):
        twin = reverse_complement(record.sequence, rna=False)
        texts.setdefault(record.label, []).append(f">{record.id}\n{record.sequence}\n>{record.id}_twin\n{twin}\n")
    for label, records in texts.items():
        (folder / f"{label}.fasta").write_text("".join(records))
    settings["source"] = {"classes": {label: str(folder / f"{label}.fasta") for label in texts}}
    settings |= {"output": str(folder / "study")}
    settings["folds"] |= {"group": "none"}
    settings["finetune"] |= {"replicates": 1}
    settings.pop("sweep", None)
    settings["encode"] = settings.get("encode", {}) | {"reverse_complement": "none"}
    return settings


def of_ensembles(output: Path, parts: np.ndarray) -> tuple[float, float]:
    """Evaluate what the models of each fold predict together for its test rows: mean and sd of the weighted F1."""
    predicted = pd.read_parquet(output / "predict" / "predictions.parquet", columns=["label", "pred"])
    scores = [f1_score(*predicted[part == folds.TEST].to_numpy().T, average="weighted") for part in parts]
    return float(np.mean(scores)), float(np.std(scores, ddof=1))


def baselines(sequences: list[str]) -> dict[str, tuple[np.ndarray, ClassifierMixin]]:
    """Make the features of the baselines ``(rows, features)``, and the models."""
    one_hot = np.array([[letter == one for letter in sequence for one in LETTERS] for sequence in sequences], dtype=np.float32)
    return {
        "one-hot logistic regression": (one_hot, LogisticRegression(C=0.1, max_iter=1000)),
        "random forest of 5-mers": (canonical(sequences), RandomForestClassifier(500, n_jobs=-1, random_state=1)),
    }


def canonical(sequences: list[str]) -> np.ndarray:
    """Count k-mers, each together with its reverse complement ``(rows, canonical k-mers)``."""
    kmers = ["".join(letters) for letters in product(LETTERS, repeat=K)]
    column = {name: min(name, reverse_complement(name, rna=False)) for name in kmers}
    number = {name: index for index, name in enumerate(sorted(set(column.values())))}
    counts = np.zeros((len(sequences), len(number)), dtype=np.float32)
    for row, sequence in enumerate(sequences):
        for start in range(len(sequence) - K + 1):
            if (found := column.get(sequence[start : start + K])) is not None:
                counts[row, number[found]] += 1
    return counts


def cross_validate(model: ClassifierMixin, features: np.ndarray, labels: np.ndarray, parts: np.ndarray) -> tuple[float, float]:
    """Train on the training and validation rows of each fold, and test on its test rows: mean and sd of the weighted F1."""
    scores = []
    for part in parts:
        seen, tested = part != folds.TEST, part == folds.TEST
        predicted = model.fit(features[seen], labels[seen]).predict(features[tested])
        scores.append(f1_score(labels[tested], predicted, average="weighted"))
    return float(np.mean(scores)), float(np.std(scores, ddof=1))


if __name__ == "__main__":
    main()
