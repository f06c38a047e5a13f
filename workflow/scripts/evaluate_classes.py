"""Evaluate predictions of several classes, in the files that Selene writes."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config import Evaluate, contract
    from rnalm.labels.labels import Labels
    from rnalm.report.performance import write

    asked = snakemake.params.job
    labels = Labels.load(Path(asked["model"]) / contract.LABELS)
    write(snakemake.input.predictions, labels, Evaluate(**asked["options"]), Path(snakemake.output[0]).parent)
