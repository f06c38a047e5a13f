"""Compare models by the power laws of their weights."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    import torch

    from rnalm.report import powerlaw, spectra

    torch.set_num_threads(snakemake.threads)
    spectra.write(powerlaw.compare(snakemake.params.job["models"]), Path(snakemake.output[0]).parent)
