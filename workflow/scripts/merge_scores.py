"""Concatenate shards of leave-one-out scores and export them."""

from rnalm.jobs import logged
from rnalm.perturb.merge import merge

with logged(snakemake.log[0]):
    merge(snakemake.input, **snakemake.output)
