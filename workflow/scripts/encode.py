"""Encode a source to Parquet."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config import Encode, Labels, read_source
    from rnalm.tokens.encode import case_of, encode, inherit, inherited_case
    from rnalm.tokens.tokenizer import load_tokenizer

    settings = dict(snakemake.params.job)
    source, options, trained, labels = (settings.pop(name) for name in ("source", "options", "trained", "labels"))
    source, tokenizer = read_source(source), load_tokenizer(snakemake.input.tokenizer)
    if configs := [f"{model}/config.json" for model in trained]:
        options, settings["case"] = inherit(options, configs), inherited_case(configs, source)
    else:
        options = Encode(**options)
        settings["case"] = case_of(tokenizer) if settings["case"] == "vocabulary" else settings["case"]
    encode(source, tokenizer, snakemake.output[0], options, labels=Labels(**labels), **settings)
