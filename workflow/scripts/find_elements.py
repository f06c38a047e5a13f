"""Find the tokens that together change the prediction more than chance would have it."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config.tracks import Elements
    from rnalm.tracks.elements import find_elements

    given = snakemake.params.job
    settings = given | {"options": Elements(**given["options"])}
    find_elements(snakemake.input.scores, snakemake.output, **settings)
