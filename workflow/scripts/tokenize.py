"""Learn the tokenizer, or take that of a trained model."""

from rnalm import tokenizers
from rnalm.config import Source
from rnalm.jobs import logged

with logged(snakemake.log[0]):
    params = dict(snakemake.params.items())
    if params.pop("trained"):
        tokenizer = tokenizers.load(snakemake.input[0])
    else:
        tokenizer = tokenizers.train(Source(**params.pop("source")), **params)
    tokenizers.save(tokenizer, snakemake.output[0])
