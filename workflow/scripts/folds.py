"""Assign rows to train, validation and test."""

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm.config import Folds
    from rnalm.folds import assign_file

    params = snakemake.params
    assign_file(snakemake.input[0], snakemake.output[0], Folds(**params.options), params.task, params.seed)
