"""Combine the predictions of all models."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.prediction.evaluate import merge

    merge(snakemake.input.parts, snakemake.params.job["models"], Path(snakemake.output[0]).parent)
