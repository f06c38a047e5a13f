"""Encode a source to Parquet."""

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm import tokenizers
    from rnalm.config import Encode, read_source
    from rnalm.encode import encode, inherit

    params = snakemake.params
    encode(
        read_source(params.source),
        tokenizers.load(snakemake.input.tokenizer),
        snakemake.output[0],
        inherit(params.options, snakemake.input.trained) if snakemake.input.trained else Encode(**params.options),
        params.task,
        params.quality,
        params.require_labels,
    )
