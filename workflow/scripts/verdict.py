"""Say how good the predictions are, and whether scores may be read."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.prediction.verdict import Rows, judge

    files, asked = snakemake.input, snakemake.params.job
    optional = {name: next(iter(getattr(files, name)), None) for name in ("folds", "clusters")}
    rows = Rows(encoded=files.encoded, by=asked["by"], **optional)
    baseline = (files.baseline[0], asked["baselines"]) if files.baseline else None
    judge(files.predictions, asked["models"], rows, snakemake.output[0], baseline, asked["seed"], asked["stacked"])
