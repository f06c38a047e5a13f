"""Compute the effects of one part of the alleles."""

from rnalm.pipeline.jobs import gpus, job


@job(snakemake)
def work():
    import torch

    from rnalm import compute
    from rnalm.config import Variants
    from rnalm.scoring.variants import Job, score_shard

    torch.set_num_threads(snakemake.threads)
    given, files = snakemake.params.job, snakemake.input
    settings = given | {"options": Variants(**given["options"]), "alleles": files.alleles, "laid": files.laid}
    score_shard(Job(**settings), snakemake.output[0], compute.choose(gpus(snakemake.resources)))
