"""Fine-tune a model on one fold."""

from pathlib import Path

from rnalm.pipeline.jobs import gpus, job


@job(snakemake)
def work():
    from rnalm.training.finetune import Job, run

    files = {name: snakemake.input[name] for name in ("encoded", "folds", "tokenizer")}
    files["output"] = str(Path(snakemake.output[0]).parent)
    means = {"threads": snakemake.threads, "gpus": gpus(snakemake.resources)}
    settings = dict(snakemake.params.job)
    for chosen in snakemake.input.best:
        from rnalm.training.sweep import best

        settings |= best.apply(settings["model"], settings["options"], best.read(chosen))
    run(Job(**files, **means, **settings, code=snakemake.params.code))
