"""Encode a source to Parquet."""

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm import tokenizers
    from rnalm.config import Encode, Source
    from rnalm.encode import encode, inherit

    params = snakemake.params
    encode(
        Source(**params.source),
        tokenizers.load(snakemake.input.tokenizer),
        snakemake.output[0],
        inherit(params.options, snakemake.input.trained) if snakemake.input.trained else Encode(**params.options),
        params.task,
        params.quality,
        params.require_labels,
    )
