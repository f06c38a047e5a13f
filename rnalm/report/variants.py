"""What alleles change in the predictions."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

from rnalm.config import Variants
from rnalm.config.contract import picture_name
from rnalm.report import alleles
from rnalm.report.blocks import Block, Section, number, picture
from rnalm.report.effects import DIFFERS, Effect, Measure, Summary, reasons, summarize
from rnalm.report.figures import DOWN, UP
from rnalm.report.job import Cohort, Job
from rnalm.sequences.locate import Regions

#: The colour of what changes where it is not known which way.
INK = "#1d2129"
#: Alleles whose letters are shown.
DRAWN = 6
#: Letters of an allele that stand in a table; of a longer one, how many there are.
MOST_LETTERS = 12
#: Reasons that are told; of more, how many alleles they are of.
MOST_REASONS = 12
#: Samples that are named.
MOST_SAMPLES = 5
#: What is shown, by the score that tells it: what it is called, and what it is.
WORDS = {
    "diffs": ("effect", "the prediction with ALT minus that with REF"),
    "predictions": ("effect", "the prediction with ALT minus that with REF"),
    "abs_diffs": ("size of the effect", "by how much the prediction with ALT differs from that with REF, up or down"),
    "logits": ("change of the logit", "the logit with ALT minus that with REF"),
}


def variants(job: Job, cohort: Cohort) -> Section:
    """Show the effects of the alleles of a file.

    Parameters
    ----------
    job : Job
        What the report is made of.
    cohort : Cohort
        The tables of the file.
    """
    options = Variants.model_validate(job.config["variants"][cohort.name])
    measure = Measure(job.meaning, tuple(options.scores), bool(options.phased))
    summary, missing = summarize(cohort.table, measure), reasons(cohort.unscored)
    links = [(Path(path).name, job.place(path)) for path in cohort.tables]
    blocks = [Block(text=_said(job, options, measure, summary, missing.total()), links=links)]
    # Both pictures are saved, whatever there is to see, as the rule has promised them.
    drawn = [_by_kind(job, cohort, summary, measure)]
    places = alleles.Places(options, cohort.laid) if summary.strongest else None
    if places is not None:
        drawn.append(_table(summary.strongest, measure, options, places))
    drawn.append(_letters(job, cohort, summary.strongest[:DRAWN], measure, places))
    blocks += drawn if summary.strongest else []
    if missing:
        blocks.append(_missing(missing))
    return Section(f"Effects of variants: {cohort.name}", blocks, read=True)


def _said(job: Job, options: Variants, measure: Measure, summary: Summary, missing: int) -> str:
    """Say in words how many alleles there are, and what an effect is."""
    what, how = WORDS[measure.score]
    files = ", ".join(Path(path).name for path in options.path)
    of = f" of the haplotypes of {_samples(options.phased)}" if options.phased else ""
    every = f"{summary.alleles + missing:,} alleles{of} in {files}"
    said = f"Of {every}, {summary.alleles:,} have an effect, and {missing:,} have none."
    if options.phased:
        said += " ALT stands together with all other alleles of its haplotype that are in the window."
    if summary.unknown:
        said += f" Of {summary.unknown:,} the effect is not a number."
    of_models = f", of the mean of {len(job.models)} models" if len(job.models) > 1 else ""
    said += f" The {what} is {how}{of_models}"
    if len(measure.outputs) > 1:
        several = "targets" if _output(measure) == "target" else "classes"
        said += f"; of the {len(measure.outputs):,} {several}, that one counts for each allele whose prediction changes most"
    elif measure.outputs[0]:
        said += f"; the prediction is that of {measure.outputs[0]!r}"
    if differ := summary.kinds.get(DIFFERS):
        said += f". REF of {differ.alleles:,} alleles is not what the genome has there; they are counted by themselves"
    return f"{said}."


def _samples(names: list[str]) -> str:
    """Name some samples, and count the others."""
    told = ", ".join(names[:MOST_SAMPLES])
    return told if len(names) <= MOST_SAMPLES else f"{told} and {len(names) - MOST_SAMPLES:,} other samples"


def _output(measure: Measure) -> str:
    return "target" if measure.labels.task == "regression" else "class"


def _by_kind(job: Job, cohort: Cohort, summary: Summary, measure: Measure) -> Block:
    """Show what alleles of each kind do."""
    what, _ = WORDS[measure.score]
    columns = ["", "alleles", *(["raise the prediction", "lower it"] if measure.signed else []), "mean size", "largest"]
    rows = []
    for kind, counts in summary.kinds.items():
        of_signs = [counts.raised, counts.lowered] if measure.signed else []
        rows.append([kind, *map(number, (counts.alleles, *of_signs, counts.mean, counts.largest))])
    caption = "Alleles by the size of their effect, from the smallest that are drawn, or less, to the largest."
    if measure.signed:
        caption += " Up, blue: ALT raises the prediction; down, orange: it lowers it."
    unit = job.unit_of_labels if measure.score != "logits" else ""
    drawn = alleles.distributions(summary, measure.signed, f"{what} ({unit})" if unit else what)
    block = picture(job.figures, picture_name("effects", cohort.name), drawn, caption, heading="By kind")
    return replace(block, table={"columns": columns, "rows": rows})


def _title(effect: Effect) -> str:
    """Write where an allele is, and what it changes."""
    allele = effect.allele
    ref, alt = (_short(allele[name]) for name in ("ref", "alt"))
    strand = " (−)" if allele["strand"] == "-" else ""
    on = f", {allele['sample']} {allele['haplotype']}" if "sample" in allele else ""
    return f"{allele['chrom']}:{allele['pos']:,} {ref}>{alt}{strand}{on}"


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS // 2]}… ({len(text):,} bases)"


def _value(effect: Effect, measure: Measure) -> str:
    """Write an effect with three digits and, where it has one, its sign."""
    digits = ",.0f" if abs(effect.value) >= 1000 else "#.3g"
    return f"{effect.value:{'+' if measure.signed else ''}{digits}}".replace("-", "−")


def _predictions(effect: Effect) -> list[str]:
    """Write predictions with so many digits that they tell the effect, up to six behind the point."""
    places = min(max(2 - math.floor(math.log10(abs(effect.value))), 0), 6)
    return [f"{value:,.{places}f}" for value in effect.predictions or ()]


def _note(effect: Effect) -> str:
    """Say what is unusual about an allele."""
    allele = effect.allele
    turned = "ALT is what the genome has" if allele["alt_is_reference"] else "" if allele["ref_match"] else "REF differs"
    left_out = f"without {count:,} whose haplotype is not known" if (count := allele.get("left_out")) else ""
    return ", ".join(filter(None, [turned, left_out, "unknown letters nearby" if allele["contains_unk"] else ""]))


def _table(strongest: list[Effect], measure: Measure, options: Variants, places: alleles.Places) -> Block:
    """Tabulate the strongest effects; a column in which nothing would stand is left out."""
    what, _ = WORDS[measure.score]
    regions = Regions(options.regions, places.reference) if options.regions else None
    rows = []
    for effect in strongest:
        name = effect.allele["name"]
        row = {"allele": _title(effect), "name": "" if name in (".", None) else name, "kind": effect.allele["kind"]}
        row["transcript"] = effect.allele["transcript"]
        row["together"] = str(effect.allele["alleles"]) if measure.phased else ""
        row |= {_output(measure): effect.output} if len(measure.outputs) > 1 else {}
        row |= dict(zip(("with REF", "with ALT"), _predictions(effect), strict=False))
        row |= {what: _value(effect, measure), "region": "", "": _note(effect)}
        if regions is not None:
            contig, change = places.place(effect)
            row["region"] = regions.name(contig, change.start, change.end)
        rows.append(row)
    columns = [column for column in rows[0] if any(row[column] for row in rows)]
    table = {"columns": columns, "rows": [[row[column] for column in columns] for row in rows]}
    return Block(heading="The strongest effects", table=table)


def _letters(job: Job, cohort: Cohort, shown: list[Effect], measure: Measure, places: alleles.Places | None) -> Block:
    """Show letters before and after the changes."""
    drawn = []
    for effect in shown if places is not None else []:
        assert places is not None
        within = f" in {effect.allele['transcript']}" if places.exons is not None else ""
        of = f" on {effect.output}" if len(measure.outputs) > 1 else ""
        colour = INK if not measure.signed else UP if effect.value > 0 else DOWN
        drawn.append((f"{_title(effect)}{within}: {_value(effect, measure)}{of}", colour, places.letters(effect)))
    caption = "What stands around the strongest effects, 5′ to 3′ on the strand that is read; what changes is coloured."
    if measure.phased:
        caption += " Other alleles of the haplotype are not drawn."
    return picture(job.figures, picture_name("letters", cohort.name), alleles.letters(drawn), caption, heading="Letters")


def _missing(missing: Counter[str]) -> Block:
    """Tabulate why alleles have no effect."""
    told = missing.most_common(MOST_REASONS)
    rows = [[reason, number(count)] for reason, count in told]
    if len(missing) > len(told):
        rows.append([f"{len(missing) - len(told):,} other reasons", number(missing.total() - sum(count for _, count in told))])
    return Block(heading="Alleles without an effect", table={"columns": ["reason", "alleles"], "rows": rows})
