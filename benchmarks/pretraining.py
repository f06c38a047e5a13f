"""Half-lives of yeast mRNAs from a language model of codons, with and without pretraining.

    python benchmarks/pretraining.py [--cores N] [--toy FOLDER]

Runs ``config/examples/yeast_codon_model.yaml`` up to its trained models, once with ``pretrain`` and once with
``finetune.from_scratch``, on the same folds (what is finished is not run again); and a ridge regression on codon frequencies
and length, again on these folds.
"""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import study
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rnalm import config
from rnalm.files import read_json
from rnalm.labels import folds
from rnalm.sequences.read import read_records

METRICS = ("pearson", "spearman", "r2")


def main() -> None:
    """Run both, and print what each achieves on each fold."""
    options = study.options(__doc__.splitlines()[0])
    settings = study.read("yeast_codon_model.yaml", options.toy)
    pretrained = study.run(settings, "finetune", options.cores)
    scratch = study.run(
        settings | {"output": f"{settings['output']}_from_scratch", "finetune": settings["finetune"] | {"from_scratch": True}},
        "finetune",
        options.cores,
    )
    learned = read_json(pretrained / "pretrain" / "eval_results.json")
    print(f"Perplexity {learned['eval_perplexity']:.1f}, by frequencies alone {learned['baseline_perplexity']:.1f}; ", end="")
    print(
        f"{learned['eval_masked_accuracy']:.1%} of hidden codons found, {learned['baseline_masked_accuracy']:.1%} by the most"
    )
    print("frequent one alone.\n")
    tables = {"pretrained": summary(pretrained), "from scratch": summary(scratch), "ridge": ridge(settings, pretrained)}
    print("| model | " + " | ".join(f"{metric}, mean ± sd" for metric in METRICS) + " | Pearson of each fold |")
    print("| --- |" + " ---: |" * len(METRICS) + " --- |")
    for name, table in tables.items():
        cells = [f"{table.loc[metric].mean():.3f} ± {table.loc[metric].std():.3f}" for metric in METRICS]
        print(f"| {name} | {' | '.join(cells)} | {' '.join(f'{value:.3f}' for value in table.loc['pearson'])} |")


def summary(output: Path) -> pd.DataFrame:
    """Read the test metrics of each fold ``(metrics, folds)``."""
    table = pd.read_csv(output / "fine-tune" / "summary.csv", index_col="metric").filter(like="fold_")
    return table.rename(index=lambda name: name.removeprefix("test_")).loc[list(METRICS)]


def ridge(settings: dict, output: Path) -> pd.DataFrame:
    """Regress logarithms on codon frequencies and length, and test on the same rows ``(metrics, folds)``."""
    records = list(read_records(config.read_source(settings["source"])))
    labels = np.array([float(record.label) for record in records])
    column = {"".join(codon): index for index, codon in enumerate(product("ACGT", repeat=3))}
    features = np.zeros((len(records), len(column) + 1))
    for row, record in enumerate(records):
        codons = [record.sequence[start : start + 3] for start in range(0, len(record.sequence) - 2, 3)]
        for codon in codons:
            if codon in column:
                features[row, column[codon]] += 1 / len(codons)
        features[row, -1] = np.log(len(codons))
    found = {}
    for fold, part in enumerate(folds.read(output / "folds.parquet")):
        seen, tested = part != folds.TEST, part == folds.TEST
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
        predicted = np.exp(model.fit(features[seen], np.log(labels[seen])).predict(features[tested]))
        truth = labels[tested]
        r2 = 1 - ((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
        found[fold] = [pearsonr(truth, predicted)[0], spearmanr(truth, predicted)[0], r2]
    return pd.DataFrame(found, index=METRICS)


if __name__ == "__main__":
    main()
