"""Note the content of all models in one file, so that those who use all need not wait for hundreds."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.models import folder

    folder.gather(snakemake.params.job["models"], snakemake.output[0])
