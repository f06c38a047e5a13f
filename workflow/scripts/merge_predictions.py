"""Combine the predictions of all models."""

from pathlib import Path

from rnalm.evaluate import merge
from rnalm.jobs import logged

with logged(snakemake.log[0]):
    merge(snakemake.input.parts, snakemake.params.models, Path(snakemake.output[0]).parent)
