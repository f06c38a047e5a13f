"""Compute one shard of the scores."""

from rnalm.pipeline.jobs import gpus, job


@job(snakemake)
def work():
    import torch

    from rnalm import compute
    from rnalm.scoring.shard import Job, score_shard

    torch.set_num_threads(snakemake.threads)
    files = {"encoded": snakemake.input.encoded, "folds": snakemake.input.folds or None}
    score_shard(Job(**files, **snakemake.params.job), snakemake.output[0], compute.choose(gpus(snakemake.resources)))
