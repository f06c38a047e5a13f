"""Learn the tokenizer, or take that of a trained model."""

from rnalm.jobs import job, options


@job(snakemake)
def work():
    from rnalm import tokenizers
    from rnalm.config import Source

    settings = options(snakemake.params)
    if settings.pop("trained"):
        tokenizer = tokenizers.load(snakemake.input[0])
    else:
        tokenizer = tokenizers.train(Source(**settings.pop("source")), **settings)
    tokenizers.save(tokenizer, snakemake.output[0])
