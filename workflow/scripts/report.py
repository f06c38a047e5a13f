"""Write the HTML report and its pictures."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.report.job import Job
    from rnalm.report.write import write

    files = snakemake.input
    described = Job.of_files(
        **snakemake.params.job,
        encoded=files.encoded,
        predictions=files.predictions,
        results=files.results,
        scores=files.scores,
        summary=files.summary,
        pretraining=files.pretraining,
        spectra=files.spectra,
        pictures=snakemake.output.pictures,
    )
    write(described, snakemake.output.html)
