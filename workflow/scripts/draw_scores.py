"""Write a page on which the scores colour the tokens."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.report.score_page import write_page

    write_page(snakemake.input[0], snakemake.output[0], **snakemake.params.job)
