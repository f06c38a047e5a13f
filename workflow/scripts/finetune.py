"""Fine-tune a model on one fold."""

from pathlib import Path

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm.train import Job, run

    files = {name: snakemake.input[name] for name in ("encoded", "folds", "tokenizer")}
    output = str(Path(snakemake.output[0]).parent)
    run(Job(**files, **snakemake.params, output=output, threads=snakemake.threads, gpus=snakemake.resources.gpu))
