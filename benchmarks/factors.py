"""Factors on yeast chromosome IV: a small network beside what counts letters, on a quarter that none of them has seen.

    python benchmarks/factors.py [--cores N] [--toy FOLDER]

Runs ``config/examples/yeast_factors.yaml`` (what is finished is not run again). Baselines learn from the same windows: logistic
regression on the counts of canonical 6-mers in the middle of a window, and for each class the one 6-mer that ranks the training
windows best. Of the named factors, the published motif says what knowing it is worth: windows are ranked by how much of it the
middle has.
"""

import time
from itertools import product

import numpy as np
import pandas as pd
import study
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from rnalm.config.load import load
from rnalm.labels import folds
from rnalm.models.own_config import BASES
from rnalm.sequences.read import classes, read_records
from rnalm.sequences.strands import reverse_complement

#: Letters that a baseline looks at, around the middle of a window: more around the bin of 100 made both worse.
MIDDLE, K = 140, 6
#: 6-mers of each class that are tried, of those that training windows of the class have most often, against others.
TRIED = 20
#: Factors that bind a motif of their own, and that motif (Harbison et al., Nature 431, 99–104, 2004).
NAMED = {"Reb1": "TTACCCG", "Abf1": "RTCRYNNNNNACG", "Rap1": "CAYCCRTRCA", "Cbf1": "RTCACRTG"}


def main() -> None:
    """Run the study, and print what each way achieves."""
    options = study.options(__doc__.splitlines()[0])
    settings = study.read("yeast_factors.yaml", None)
    if options.toy:
        settings["output"] = str(options.toy / "yeast_factors")
        settings["source"]["sample"] |= {"step": 2000}
        settings["finetune"] |= {"epochs": 1}
    output = study.run(settings, "predict", options.cores)
    source = load(settings).training_source
    names, records = classes(source), list(read_records(source))
    labels, part = np.stack([record.label for record in records]), folds.read(output / "folds.parquet")[0]
    train, test = part == folds.TRAIN, part == folds.TEST
    counts = count([record.sequence for record in records])
    predicted = pd.read_parquet(output / "predict/predictions.parquet")
    rows = {"network": predicted[[f"prob_{name}" for name in names]].to_numpy()}
    minutes = {"network": float((output / "benchmarks/finetune/0.tsv").read_text().split()[-1]) / 60}
    for name, fit in (("logistic regression", regress), ("best 6-mer", best)):
        began = time.process_time()
        rows[name] = fit(counts, labels, train, test)
        minutes[name] = (time.process_time() - began) / 60
    rows["share of windows"] = np.tile(labels[train].mean(axis=0), (test.sum(), 1))
    print("| | macro ROC AUC | macro average precision | " + " | ".join(NAMED) + " | CPU minutes |")
    print("| --- |" + " ---: |" * (len(NAMED) + 3))
    texts = [record.sequence for record, asked in zip(records, test, strict=True) if asked]
    for name, scores in rows.items():
        print(f"| {name} | {' | '.join(measure(labels[test], scores, names))} | {minutes.get(name, 0):.1f} |")
    found = (f"{average_precision_score(labels[test][:, names.index(name)], match(texts, NAMED[name])):.3f}" for name in NAMED)
    print(f"| published motif | – | – | {' | '.join(found)} | – |")
    told = ", ".join(f"{name} {int(labels[test][:, names.index(name)].sum())}" for name in NAMED)
    print(
        f"\n{train.sum()} windows train, {test.sum()} test, {len(names)} classes. Windows of named factors that test: {told}."
    )


def count(texts: list[str]) -> np.ndarray:
    """Count canonical 6-mers in the middle of each text: float32 ``(texts, 6-mers)``."""
    every = ["".join(letters) for letters in product("ACGT", repeat=K)]
    canonical = {kmer: min(kmer, reverse_complement(kmer, rna=False)) for kmer in every}
    column = {kmer: number for number, kmer in enumerate(sorted(set(canonical.values())))}
    place = {kmer: column[own] for kmer, own in canonical.items()}
    counts = np.zeros((len(texts), len(column)), dtype=np.float32)
    for row, text in enumerate(texts):
        first = (len(text) - MIDDLE) // 2
        middle = text[first : first + MIDDLE]
        own = [place[kmer] for at in range(MIDDLE - K + 1) if (kmer := middle[at : at + K]) in place]
        np.add.at(counts[row], own, 1)
    return counts


def regress(counts: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Predict each class by logistic regression."""
    scaler = StandardScaler().fit(counts[train])
    features, asked = scaler.transform(counts[train]), scaler.transform(counts[test])
    scores = np.zeros((test.sum(), labels.shape[1]))
    for number, own in enumerate(labels[train].T):
        if 0 < own.sum() < len(own):
            model = LogisticRegression(C=1e-3, class_weight="balanced", max_iter=200).fit(features, own)
            scores[:, number] = model.decision_function(asked)
    return scores


def best(counts: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Score each class by how often its own 6-mer is there: that of the best average precision in training."""
    scores = np.zeros((test.sum(), labels.shape[1]))
    there = (counts[train] > 0).astype(np.float32)
    for number, own in enumerate(labels[train].T):
        if own.any():
            more = (there[own == 1].mean(axis=0) + 0.01) / (there[own == 0].mean(axis=0) + 0.01)
            tried = np.argsort(-more)[:TRIED]
            found = max(tried, key=lambda kmer: average_precision_score(own, counts[train][:, kmer]))
            scores[:, number] = counts[test][:, found]
    return scores


def match(texts: list[str], motif: str) -> np.ndarray:
    """Count the letters of a motif that the best place in the middle of each text has, on either strand."""
    first = (len(texts[0]) - MIDDLE) // 2
    letters = np.array([list(text[first : first + MIDDLE]) for text in texts])
    best = np.zeros(len(texts), dtype=int)
    for own in (motif, reverse_complement(motif, rna=False)):
        places = range(MIDDLE - len(own) + 1)
        fits = {base: np.isin(letters, list(BASES[base])) for base in set(own) - {"N"}}
        each = [sum(fits[base][:, place + k] for k, base in enumerate(own) if base != "N") for place in places]
        best = np.maximum(best, np.max(each, axis=0))
    return best


def measure(truth: np.ndarray, scores: np.ndarray, names: list[str]) -> list[str]:
    """Give areas of all classes that test rows have, as text."""
    there = [number for number, own in enumerate(truth.T) if 0 < own.sum() < len(own)]
    roc = np.mean([roc_auc_score(truth[:, number], scores[:, number]) for number in there])
    precision = {names[number]: average_precision_score(truth[:, number], scores[:, number]) for number in there}
    named = [f"{precision[name]:.3f}" if name in precision else "–" for name in NAMED]
    return [f"{roc:.3f}", f"{np.mean(list(precision.values())):.3f}", *named]


if __name__ == "__main__":
    main()
