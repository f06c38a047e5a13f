"""Predict a source, or the test rows of a fold, with one model."""

from rnalm.pipeline.jobs import gpus, job


@job(snakemake)
def work():
    import torch

    from rnalm import compute
    from rnalm.labels import folds
    from rnalm.prediction.predict import predict_file

    settings = snakemake.params.job
    torch.set_num_threads(snakemake.threads)
    rows = folds.test_rows(snakemake.input.folds, settings["fold"]) if snakemake.input.folds else None
    device = compute.choose(gpus(snakemake.resources))
    options = {name: settings[name] for name in ("batch_tokens", "trust")}
    predict_file(settings["model"], snakemake.input.encoded, snakemake.output[0], rows, device=device, **options)
