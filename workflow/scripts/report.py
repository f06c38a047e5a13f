"""Write the HTML report and its pictures."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.report.job import Cohort, Job, Query
    from rnalm.report.write import write

    settings = dict(snakemake.params.job)
    queries = [Query(**query | {"scores": dict(query["scores"])}) for query in settings.pop("queries")]
    cohorts = [Cohort(**cohort) for cohort in settings.pop("cohorts")]
    write(Job(**settings, queries=queries, cohorts=cohorts), snakemake.output.html)
