"""Encode a source to Parquet."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config import Encode, read_source
    from rnalm.tokens.encode import encode, inherit
    from rnalm.tokens.tokenizer import load_tokenizer

    settings = dict(snakemake.params.job)
    source, options, trained = (settings.pop(name) for name in ("source", "options", "trained"))
    options = inherit(options, [f"{model}/config.json" for model in trained]) if trained else Encode(**options)
    encode(read_source(source), load_tokenizer(snakemake.input.tokenizer), snakemake.output[0], options, **settings)
