"""Learn the tokenizer, or take that of a trained model."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config import Tokenizer, read_source
    from rnalm.tokens import learn
    from rnalm.tokens.tokenizer import borrow_tokenizer, save_tokenizer

    settings = snakemake.params.job
    if settings["lender"]:
        tokenizer = borrow_tokenizer(settings["lender"])
    else:
        options = Tokenizer.model_validate(settings["options"])
        tokenizer = learn.learn(read_source(settings["source"]), options, settings["seed"])
    save_tokenizer(tokenizer, snakemake.output[0])
