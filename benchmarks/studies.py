"""The studies of ``config/examples/`` beside their baselines: what networks know beyond counts of letters, fold by fold.

    python benchmarks/studies.py [--cores N] [--studies NAME …] [--baselines] [--toy FOLDER]

What is finished is not run again. With ``--baselines`` no network is trained. Each figure is a mean over folds: of single
models, and of what those of a fold and its baseline predict together, as ``ensemble: stack`` has it. The difference is
that of the latter from the baseline, in the same folds.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import study

from rnalm.files import read_json


@dataclass(frozen=True)
class Study:
    """A study, and what it is measured by.

    Attributes
    ----------
    example : str
        Its configuration.
    metric : str
        Of test rows.
    goal : float
        What it should reach.
    """

    example: str
    metric: str
    goal: float


STUDIES = {
    "human": Study("human_mrna_half_life.yaml", "pearson", 0.57),
    "yeast": Study("yeast_cds_half_life.yaml", "pearson", 0.47),
    "3′UTR": Study("utr3_mpra.yaml", "spearman", 0.66),
    "promoters": Study("promoters.yaml", "f1_weighted", 0.856),
}
HEADING = ("study", "metric", "folds", "baseline", "sd", "models", "sd", "together", "sd", "difference", "folds won", "goal")


def achieved(folder: Path, metric: str, file: str = "test_results.json") -> np.ndarray:
    """Read what each fold achieves on its test rows ``(folds,)``; of several models of a fold their mean."""
    found: dict[int, list[float]] = {}
    for path in sorted(folder.glob(f"*/{file}")):
        found.setdefault(int(path.parent.name.partition(".")[0]), []).append(read_json(path)[metric])
    return np.array([np.mean(found[fold]) for fold in sorted(found)])


def row(name: str, own: Study, output: Path) -> list[str]:
    """Hold the models of a study against its baselines."""
    baseline, models = (achieved(output / part, f"test_{own.metric}") for part in ("baseline", "fine-tune"))
    together = achieved(output / "stack", own.metric, "results.json")
    told = [name, own.metric, f"{len(baseline)}"]
    for values in (baseline, models, together):
        told += [f"{values.mean():.3f}", f"{values.std(ddof=1):.3f}"] if len(values) else ["–", "–"]
    gained = together - baseline if len(together) else together
    told += [f"{gained.mean():+.3f}", f"{(gained > 0).sum()} of {len(gained)}"] if len(gained) else ["–", "–"]
    return [*told, f"{own.goal:.3f}"]


def main() -> None:
    """Run the studies, and print a row of the table for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default="2")
    parser.add_argument("--studies", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--baselines", action="store_true", help="train no networks")
    parser.add_argument(
        "--toy", type=Path, metavar="FOLDER", help=f"run in this folder with {study.TOY} sequences of each file"
    )
    options = parser.parse_args()
    print(f"| {' | '.join(HEADING)} |\n| --- | --- |" + " ---: |" * (len(HEADING) - 2))
    for name in options.studies:
        own = STUDIES[name]
        settings = study.read(own.example, options.toy)
        # The summary needs what each model, each baseline and each stack achieves on the test rows of its fold.
        output = study.run(
            settings, "baseline" if options.baselines else f"{settings['output']}/fine-tune/summary.csv", options.cores
        )
        print("|", " | ".join(row(name, own, output)), "|", flush=True)


if __name__ == "__main__":
    main()
