"""Group sequences that share much of their k-mer content."""

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm import sources
    from rnalm.cluster import cluster_file
    from rnalm.config import read_source

    settings = snakemake.params.job
    cluster_file(sources.read(read_source(settings["source"])), snakemake.output[0], **settings["options"])
