"""Assign rows to train, validation and test."""

from rnalm.config import Folds
from rnalm.folds import assign_file
from rnalm.jobs import logged

with logged(snakemake.log[0]):
    params = snakemake.params
    assign_file(snakemake.input[0], snakemake.output[0], Folds(**params.options), params.task, params.seed)
