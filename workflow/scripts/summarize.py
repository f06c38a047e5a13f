"""Tabulate the metrics of all models."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.prediction.evaluate import summarize

    files, names = snakemake.input, snakemake.params.job
    models, *further = (dict(zip(names[kind], files[kind], strict=True)) for kind in ("models", "baselines", "stacks"))
    summarize(models, snakemake.output[0], *further, names["lacking"])
