"""Learn the tokenizer, or take that of a trained model."""

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm import tokenizers, vocabulary
    from rnalm.config import Tokenizer, read_source

    settings = snakemake.params.job
    if settings["lender"]:
        tokenizer = tokenizers.borrow(settings["lender"])
    else:
        options = Tokenizer.model_validate(settings["options"])
        tokenizer = vocabulary.learn(read_source(settings["source"]), options, settings["seed"])
    tokenizers.save(tokenizer, snakemake.output[0])
