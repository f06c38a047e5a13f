"""Write predictions of sequences as Selene writes them."""

from pathlib import Path

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.config import contract, read_source
    from rnalm.labels.labels import Labels
    from rnalm.prediction import export

    files, asked, output = snakemake.input, snakemake.params.job, snakemake.output[0]
    source = read_source(asked["source"]) if asked["source"] else None
    if asked["kind"] == "missing":
        export.write_missing(files.encoded, source, output)
    else:
        labels = Labels.load(Path(asked["model"]) / contract.LABELS)
        export.write(files.predictions, source, labels, asked["kind"], output)
