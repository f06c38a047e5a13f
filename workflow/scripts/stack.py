"""Say how much each model of a fold, and its baseline, counts."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.training.stack import weigh
    from rnalm.training.trainer import Job

    files = {name: snakemake.input[name] for name in ("encoded", "folds", "tokenizer")}
    files["output"], asked = str(Path(snakemake.output[0]).parent), snakemake.params.job
    weigh(Job(**files, **asked["job"], replicate=0, model={}, options={}, threads=1, gpus=0), asked["members"])
