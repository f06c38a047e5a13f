"""Run trials of a fold's sweep."""

from pathlib import Path

from rnalm.pipeline.jobs import gpus, job


@job(snakemake)
def work():
    from rnalm.config.sweep import Sweep
    from rnalm.training.sweep import search
    from rnalm.training.trainer import Job

    files = {name: snakemake.input[name] for name in ("encoded", "folds", "tokenizer")}
    files["output"] = str(Path(snakemake.output[0]).parent)
    means = {"threads": snakemake.threads, "gpus": gpus(snakemake.resources)}
    training = Job(**files, **means, **snakemake.params.job["training"], code=snakemake.params.code)
    search.run_trials(training, Sweep(**snakemake.params.job["sweep"]), int(snakemake.wildcards.worker))
