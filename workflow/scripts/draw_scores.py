"""Write a page on which the scores colour the tokens."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.report.score_page import write_page

    verdict = next(iter(snakemake.input.verdict), None)
    write_page(snakemake.input.scores, snakemake.output[0], **snakemake.params.job, verdict=verdict)
