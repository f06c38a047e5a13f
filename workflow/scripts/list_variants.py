"""List the alleles of files of variants, held against the genome."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config import Variants
    from rnalm.sequences.alleles import list_file

    list_file(Variants(**snakemake.params.job["options"]), *snakemake.output)
