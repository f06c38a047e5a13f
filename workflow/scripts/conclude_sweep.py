"""Tabulate the trials of a fold's sweep, and name the best."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config.sweep import Sweep
    from rnalm.training.sweep.best import conclude

    conclude(list(snakemake.input), Sweep(**snakemake.params.job["sweep"]))
