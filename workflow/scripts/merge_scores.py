"""Concatenate shards of leave-one-out scores and export them."""

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm.perturb.merge import merge

    merge(snakemake.input, **snakemake.output)
