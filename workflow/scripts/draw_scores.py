"""Write a page on which the scores colour the tokens."""

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm.perturb.page import write_page

    write_page(snakemake.input[0], snakemake.output[0], **snakemake.params.page)
