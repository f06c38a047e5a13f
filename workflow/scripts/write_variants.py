"""Write the effects of variants in a further format."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.scoring.effects import export

    export(snakemake.input[0], snakemake.output[0])
