"""Tabulate the metrics of all models."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.prediction.evaluate import summarize

    summarize(dict(zip(snakemake.params.job["models"], snakemake.input, strict=True)), snakemake.output[0])
