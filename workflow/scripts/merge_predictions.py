"""Combine the predictions of all models."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.prediction.evaluate import merge
    from rnalm.prediction.stacked import Stacked

    asked = snakemake.params.job
    stacked = Stacked.read(asked["stacks"], asked["names"]) if asked["stacks"] else None
    merge(snakemake.input.parts, asked["models"], Path(snakemake.output[0]).parent, stacked)
