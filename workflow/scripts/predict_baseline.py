"""Predict a source with the baseline of a fold."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.models.baseline import Baseline
    from rnalm.prediction.predict import predict_with

    baseline = Baseline.load(snakemake.params.job["baseline"])
    predict_with(baseline, baseline.labels, snakemake.input.encoded, snakemake.output[0])
