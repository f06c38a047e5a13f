"""Refuse, before any training, an interpretation or a report that could not be made after it."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config.results import Interpret, Sites
    from rnalm.scoring.check import check_files
    from rnalm.sequences.bed import read_bed

    files, asked = snakemake.input, snakemake.params.job
    sites = asked["sites"] and Sites(**asked["sites"])
    check_files(Interpret(**asked["interpret"]), sites, files.encoded, files.tokenizer, files.labels, asked["own"])
    for path in files.beds:
        read_bed(path)
    Path(snakemake.output[0]).touch()
