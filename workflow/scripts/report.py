"""Write the HTML report and its pictures."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.report.job import Job, Query
    from rnalm.report.write import write

    settings = dict(snakemake.params.job)
    queries = [Query(**query | {"scores": dict(query["scores"])}) for query in settings.pop("queries")]
    write(Job(**settings, queries=queries), snakemake.output.html)
