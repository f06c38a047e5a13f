"""Write the page of all folds' sweeps."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config.sweep import Sweep
    from rnalm.report.sweep_page import write

    place = Path(snakemake.output[0]).parent
    folders = {str(fold): place / str(fold) for fold in snakemake.params.job["folds"]}
    write(folders, Sweep(**snakemake.params.job["sweep"]), snakemake.output[0])
