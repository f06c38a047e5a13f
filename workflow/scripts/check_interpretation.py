"""Refuse, before any training, an interpretation or a report that could not be made after it."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config import Interpret
    from rnalm.labels.labels import Labels
    from rnalm.scoring.check import check
    from rnalm.sequences.bed import read_bed
    from rnalm.tokens import dataset, encode
    from rnalm.tokens.tokenizer import load_tokenizer

    files = snakemake.input
    if files.labels:
        classes = Labels.load(files.labels[0]).classes
    else:
        classes = sorted(dataset.column(files.encoded, "label").drop_null().unique().to_pylist())
    found = encode.metadata(files.encoded)
    both_strands, modifiers = found["reverse_complement"] == "average", found["modifier_channels"]
    check(Interpret(**snakemake.params.job), both_strands, modifiers, load_tokenizer(files.tokenizer), classes)
    if files.annotations:
        read_bed(files.annotations[0])
    Path(snakemake.output[0]).touch()
