"""Put the effects of all alleles together, and list the alleles of which there is none."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.scoring.effects import merge

    merge(snakemake.input, *snakemake.output)
