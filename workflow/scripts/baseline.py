"""Fit a baseline to a fold, and compare what it predicts with the labels."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.training.baseline.fit import fit
    from rnalm.training.trainer import Job

    files = {name: snakemake.input[name] for name in ("encoded", "folds", "tokenizer")}
    files["output"] = str(Path(snakemake.output[0]).parent)
    fit(Job(**files, **snakemake.params.job, replicate=0, model={}, options={}, threads=1, gpus=0))
