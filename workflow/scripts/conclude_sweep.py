"""Tabulate the trials of a fold's sweep, and name the best."""

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm.best import conclude
    from rnalm.config.sweep import Sweep

    conclude(list(snakemake.input), Sweep(**snakemake.params.job["sweep"]))
