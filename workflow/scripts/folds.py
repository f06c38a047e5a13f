"""Assign rows to train, validation and test."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config import Folds
    from rnalm.labels.folds import assign_file

    settings = snakemake.params.job
    files = (snakemake.input.encoded, snakemake.output[0])
    assign_file(*files, Folds(**settings["options"]), settings["task"], settings["seed"], *snakemake.input.clusters)
