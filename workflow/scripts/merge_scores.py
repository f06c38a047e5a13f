"""Concatenate shards of leave-one-out scores and export them."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.scoring.merge import merge

    merge(snakemake.input, snakemake.output, **snakemake.params.job)
