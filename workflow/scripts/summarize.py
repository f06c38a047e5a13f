"""Tabulate the metrics of all folds."""

from rnalm.evaluate import summarize
from rnalm.jobs import logged

with logged(snakemake.log[0]):
    summarize(snakemake.input, snakemake.output[0])
