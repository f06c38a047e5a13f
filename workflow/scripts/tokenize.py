"""Learn the tokenizer, or take that of a trained model."""

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm import tokenizers
    from rnalm.config import Source

    if snakemake.params.trained:
        tokenizer = tokenizers.load(snakemake.input[0])
    else:
        settings = snakemake.params.job
        tokenizer = tokenizers.train(**settings | {"source": Source(**settings["source"])})
    tokenizers.save(tokenizer, snakemake.output[0])
