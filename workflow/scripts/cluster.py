"""Group sequences that share much of their k-mer content."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config import read_source
    from rnalm.sequences.cluster import cluster_file
    from rnalm.sequences.read import read_records

    settings = snakemake.params.job
    cluster_file(read_records(read_source(settings["source"])), snakemake.output[0], **settings["options"])
