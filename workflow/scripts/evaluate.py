"""Compare a model's test predictions with the labels."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.prediction.evaluate import evaluate_fold

    evaluate_fold(snakemake.input.part, snakemake.params.job["model"])
