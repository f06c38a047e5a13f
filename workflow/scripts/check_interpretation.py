"""Refuse, before any training, an interpretation that could not be made after it."""

from rnalm import tokenizers
from rnalm.jobs import logged
from rnalm.perturb.check import check

with logged(snakemake.log[0]):
    params = snakemake.params
    tokenizer = tokenizers.load(snakemake.input.tokenizer)
    check(params.modes, params.replacements, params.explain, tokenizer, snakemake.input.encoded)
