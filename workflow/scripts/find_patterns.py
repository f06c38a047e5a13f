"""Find what models read in sequences: k-mers, seqlets and motifs."""

from rnalm.pipeline.jobs import job


@job(snakemake)
def work():
    from rnalm.report.modes import MODES
    from rnalm.scoring.patterns import find_patterns

    given, sense = snakemake.input, MODES[snakemake.params.job["kind"]].sense
    find_patterns(given.scores, given.encoded, given.tokenizer, snakemake.output, sense)
