"""Pretrain a language model."""

from pathlib import Path

from rnalm.pipeline.jobs import gpus, job


@job(snakemake)
def work():
    from rnalm.training.pretrain import Job, run

    files = {name: snakemake.input[name] for name in ("encoded", "tokenizer")}
    for path in snakemake.input.folds:
        files["folds"] = path
    files["output"] = str(Path(snakemake.output[0]).parent)
    means = {"threads": snakemake.threads, "gpus": gpus(snakemake.resources)}
    run(Job(**files, **means, **snakemake.params.job, code=snakemake.params.code))
