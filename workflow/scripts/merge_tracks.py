"""Combine the predictions of all models for the tokens of a source."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config.results import Sites
    from rnalm.prediction import positions, tracks
    from rnalm.tokens.tokenizer import load_tokenizer

    files, settings, output = snakemake.input, snakemake.params.job, snakemake.output[0]
    labels = tracks.merge(files.parts, settings["models"], files.encoded, load_tokenizer(files.tokenizer), output)
    sites = Sites(**settings["sites"]) if settings["sites"] else None
    positions.evaluate(output, labels, sites, Path(output).parent)
    tracks.export(output, labels, settings["formats"])
