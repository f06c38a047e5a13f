"""Write the HTML report and its pictures."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.report.job import Job, Query
    from rnalm.report.write import write

    files, params = snakemake.input, snakemake.params.job
    encoded = {Path(path).stem: path for path in files.encoded}
    scores = iter(files.scores)  # all modes of the first query, then of the next
    queries = [
        Query(name, encoded[name], predictions, results, {mode: next(scores) for mode in params["modes"]})
        for name, predictions, results in zip(params["queries"], files.predictions, files.results, strict=True)
    ]
    figures = str(Path(snakemake.output.pictures[0]).parent)
    summary = files.summary[0] if files.summary else None
    folders = [str(Path(paths[0]).parent) if paths else None for paths in (files.pretraining, files.spectra)]
    write(
        Job(params["config"], encoded.get("source"), params["models"], summary, queries, figures, *folders),
        snakemake.output.html,
    )
