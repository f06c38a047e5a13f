"""Encode a source to Parquet."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config import Encode, read_source
    from rnalm.tokens.encode import encode, inherit
    from rnalm.tokens.tokenizer import load_tokenizer

    params = snakemake.params
    encode(
        read_source(params.source),
        load_tokenizer(snakemake.input.tokenizer),
        snakemake.output[0],
        inherit(params.options, snakemake.input.trained) if snakemake.input.trained else Encode(**params.options),
        params.task,
        params.quality,
        params.require_labels,
    )
