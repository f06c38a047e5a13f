"""Write the scores of a mutagenesis in a further format."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.scoring.mutations import write_archive

    write_archive(snakemake.input, snakemake.output[0], **snakemake.params.job)
