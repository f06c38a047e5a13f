"""Assign rows to train, validation and test."""

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm.config import Folds
    from rnalm.folds import assign_file

    settings = snakemake.params.job
    assign_file(snakemake.input[0], snakemake.output[0], Folds(**settings["options"]), settings["task"], settings["seed"])
