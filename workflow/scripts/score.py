"""Compute one shard of the leave-one-out scores."""

import torch

from rnalm import compute
from rnalm.jobs import logged
from rnalm.perturb.scores import Job, score_shard

with logged(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    folds = snakemake.input.folds or None
    job = Job(encoded=snakemake.input.encoded, folds=folds, **snakemake.params)
    score_shard(job, snakemake.output[0], compute.choose(snakemake.resources.gpu))
