"""Refuse, before any training, an interpretation or a report that could not be made after it."""

from pathlib import Path

from rnalm.jobs import job


@job(snakemake)
def work():
    from rnalm import datasets, encode, tokenizers
    from rnalm.config import Interpret
    from rnalm.labels import Labels
    from rnalm.perturb.check import check
    from rnalm.perturb.summary import read_bed

    files = snakemake.input
    if files.labels:
        classes = Labels.load(files.labels[0]).classes
    else:
        classes = sorted(datasets.column(files.encoded, "label").drop_null().unique().to_pylist())
    found = encode.metadata(files.encoded)
    both_strands, modifiers = found["reverse_complement"] == "average", found["modifier_channels"]
    check(Interpret(**snakemake.params.job), both_strands, modifiers, tokenizers.load(files.tokenizer), classes)
    if files.annotations:
        read_bed(files.annotations[0])
    Path(snakemake.output[0]).touch()
