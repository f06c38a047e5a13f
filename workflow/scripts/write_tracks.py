"""Write scores, predictions or effects of variants for genome browsers."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.tracks.write import write_tracks

    write_tracks(*snakemake.input.tables, outputs=snakemake.output, **snakemake.params.job)
