"""Compare a fold's test predictions with the labels."""

from rnalm.evaluate import evaluate_fold
from rnalm.jobs import logged

with logged(snakemake.log[0]):
    evaluate_fold(snakemake.input.part, snakemake.params.model)
