"""Write a file of what is made of a file of variants beside Parquet."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.scoring import annotate, selene

    parts, output, asked = snakemake.input.parts, snakemake.output[0], snakemake.params.job
    if asked["kind"] == "vcf":
        annotate.write(parts, asked["path"], output, asked["spliced"])
    else:
        selene.write(parts, asked["path"], asked["kind"], asked["column"], output, asked["spliced"])
