"""The report says what the alleles of a file do, which do most, and why others have no effect."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnalm.config.load import load
from rnalm.files import write_json
from rnalm.labels.labels import Labels
from rnalm.report import effects
from rnalm.report.alleles import CUT, FLANK, GAP, MOST_LETTERS, Letters
from rnalm.report.effects import DIFFERS, EDGES, KINDS, Measure, reasons, summarize
from rnalm.report.job import Cohort, Job
from rnalm.report.write import write
from rnalm.scoring.effects import columns, score_names
from rnalm.sequences.contigs import Reference
from rnalm.sequences.edited import Change

GENOME = "".join(np.random.default_rng(0).choice(list("ACGT"), 400))
OTHER = dict(zip("ACGT", "CGTA", strict=True))
ONE, THREE = Labels("regression"), Labels("multilabel", classes=("a", "b <i>", "$c$"))


def allele(pos: int, **changes) -> dict:
    """Write the row of an SNV, or of what differs from it."""
    letter = GENOME[pos - 1]
    known = {"chrom": "chrz", "pos": pos, "name": ".", "ref": letter, "alt": OTHER[letter], "strand": "+", "kind": "SNV"}
    return known | {"ref_match": True, "alt_is_reference": False, "contains_unk": False} | changes


@pytest.fixture
def report(tmp_path):
    """Write the tables of a file of variants and their report; the page comes back as text without character references."""

    def make(alleles: list[dict], labels: Labels = ONE, missing: list[str] = (), **options) -> str:
        (tmp_path / "g.fa").write_text(f">z\n{GENOME}\n")
        if "transcripts" not in options:
            options = {"genome": str(tmp_path / "g.fa"), "length": 61} | options
        options = {"path": "v.vcf", "index": str(tmp_path)} | options
        settings = load({"output": "out", "task": labels.task, "model": ["a trained model"], "variants": {"mine": options}})
        folder = tmp_path / "variants" / "mine"
        folder.mkdir(parents=True, exist_ok=True)
        schema = columns(labels, settings.variants["mine"].scores, bool(settings.variants["mine"].phased))
        schema = pa.schema([column for column in schema if column.name not in ("place", "reason")])
        pq.write_table(pa.Table.from_pylist(alleles, schema), folder / "variants.parquet")
        pd.DataFrame({"place": "v.vcf, line 9", "reason": missing}).to_csv(folder / "NA.tsv", sep="\t", index=False)
        model = tmp_path / "models" / "0"
        model.mkdir(parents=True, exist_ok=True)
        labels.save(model / "labels.json")
        write_json(model / "config.json", {"model_type": "saluki"})
        tables = [str(folder / name) for name in ("variants.parquet", "NA.tsv")]
        cohort = Cohort(name="mine", table=tables[0], unscored=tables[1], tables=tables)
        places = {"source": None, "models": [str(model)], "summary": None, "queries": [], "figures": str(tmp_path / "figures")}
        write(Job(config=settings.model_dump(mode="json"), cohorts=[cohort], **places), tmp_path / "report.html")
        return (tmp_path / "report.html").read_text()

    return make


def table(text: str, heading: str) -> list[list[str]]:
    """Read the table below a heading, its first row that of the columns."""
    found = text.split(f"<h3>{heading}</h3>")[1]
    rows = re.findall("<tr>(.*?)</tr>", found[: found.index("</table>")])
    return [[unescape(cell) for cell in re.findall("<t[hd]>(.*?)</t[hd]>", row)] for row in rows]


def test_alleles_of_haplotypes_are_told_with_whose_they_are_and_how_many_stand_together(report):
    own = {"sample": "NA1", "haplotype": 2, "alleles": 3, "left_out": 0}
    rows = [allele(50, diff=0.5, **own), allele(60, diff=-0.25, **own | {"haplotype": 1, "alleles": 1, "left_out": 2})]
    text = report(rows, missing=["heterozygous, and not phased (/)"], phased=["NA1"])
    assert "Of 3 alleles of the haplotypes of NA1 in v.vcf, 2 have an effect, and 1 have none. ALT stands together with" in text
    letters = [GENOME[pos - 1] for pos in (50, 60)]
    assert table(text, "The strongest effects") == [
        ["allele", "kind", "together", "effect", ""],
        [f"chrz:50 {letters[0]}>{OTHER[letters[0]]}, NA1 2", "SNV", "3", "+0.500", ""],
        [f"chrz:60 {letters[1]}>{OTHER[letters[1]]}, NA1 1", "SNV", "1", "−0.250", "without 2 whose haplotype is not known"],
    ]
    assert "Other alleles of the haplotype are not drawn." in text
    text = report(rows, phased=[f"NA{number}" for number in range(1, 9)])
    assert "of the haplotypes of NA1, NA2, NA3, NA4, NA5 and 3 other samples in v.vcf" in text


def test_counts_are_told_by_kind_and_alleles_of_another_ref_by_themselves(report):
    rows = [
        *(allele(pos, diff=value) for pos, value in ((50, 0.5), (60, -0.25), (70, 0.0))),
        allele(80, kind="deletion", ref=GENOME[79:82], alt=GENOME[79], diff=-0.125),
        allele(90, ref_match=False, alt_is_reference=True, diff=2.0),
    ]
    text = report(rows, missing=["symbolic allele", "breakend", "symbolic allele"])
    assert "Of 8 alleles in v.vcf, 5 have an effect, and 3 have none." in text
    assert "REF of 1 alleles is not what the genome has there" in text
    assert table(text, "By kind") == [
        ["", "alleles", "raise the prediction", "lower it", "mean size", "largest"],
        ["SNV", "3", "1", "1", "0.250", "0.500"],
        ["deletion", "1", "0", "1", "0.125", "0.125"],
        ["REF differs", "1", "1", "0", "2", "2"],
    ]
    assert table(text, "Alleles without an effect") == [["reason", "alleles"], ["symbolic allele", "2"], ["breakend", "1"]]
    assert "<b>5</b><span>alleles with an effect</span>" in text


def test_the_strongest_come_first_however_they_are_signed_and_what_is_unusual_is_noted(report):
    draw = np.random.default_rng(1)
    values = draw.permutation(np.linspace(-1, 0.9, 40))
    rows = [allele(50 + 5 * number, name=f"rs{number}", diff=value) for number, value in enumerate(values)]
    rows[int(values.argmin())] |= {"ref_match": False, "alt_is_reference": True, "contains_unk": True}
    [names, *told] = table(report(rows), "The strongest effects")
    assert names == ["allele", "name", "kind", "effect", ""]
    order = np.argsort(-np.abs(values), kind="stable")[: effects.STRONGEST]
    assert [row[1] for row in told] == [f"rs{number}" for number in order]
    assert [row[3] for row in told] == [f"{values[number]:+#.3g}".replace("-", "−") for number in order]
    assert told[0][4] == "ALT is what the genome has, unknown letters nearby"
    first = rows[int(order[1])]
    assert told[1][0] == f"chrz:{first['pos']} {first['ref']}>{first['alt']}"


def test_of_several_classes_that_counts_which_changes_most(report):
    names = [name for score in ("diffs", "predictions") for name in score_names(THREE, score)]
    first = dict(zip(names, (0.1, -0.3, 0.2, 0.5, 0.6, 0.5, 0.6, 0.3, 0.7), strict=True))
    rows = [allele(50, **first), allele(60, **first | {"diff_$c$": 0.7, "diff_a": None})]
    text = report(rows, THREE, scores=["diffs", "predictions"])
    assert "of the 3 classes, that one counts for each allele whose prediction changes most" in text
    told = table(text, "The strongest effects")
    assert told[0] == ["allele", "kind", "class", "with REF", "with ALT", "effect"]
    assert [row[2:] for row in told[1:]] == [["$c$", "0.500", "0.700", "+0.700"], ["b <i>", "0.600", "0.300", "−0.300"]]
    assert "b <i>" not in text.replace("b &lt;i&gt;", "")


@pytest.mark.parametrize(
    ("scores", "shown", "value"),
    [
        (["predictions"], "effect", "+0.200"),
        (["logits", "abs_diffs"], "size of the effect", "0.200"),
        (["logits"], "change of the logit", "−1.50"),
    ],
)
def test_what_is_shown_is_what_the_table_has(report, scores, shown, value):
    labels = Labels("classification", classes=("no", "yes"))
    known = {"ref_pred_yes": 0.3, "alt_pred_yes": 0.5, "abs_diff_yes": 0.2, "logit_diff_yes": -1.5}
    text = report([allele(50, **known)], labels, scores=scores)
    names, told = table(text, "The strongest effects")
    assert dict(zip(names, told, strict=True))[shown] == value
    assert "the prediction is that of 'yes'" in unescape(text)
    assert ("lower it" in text) == (shown != "size of the effect")


def test_names_are_text_never_markup_and_long_alleles_are_cut(report):
    text = report([allele(50, name="<b>$x$", alt=GENOME[49] + 30 * "AC", kind="insertion", diff=1.0)])
    assert "<b>$x$" not in text
    told = table(text, "The strongest effects")[1]
    assert told[1] == "<b>$x$"
    assert told[0].endswith("… (61 bases)")


def test_without_an_effect_the_section_says_so_and_the_pictures_are_there(report, tmp_path):
    text = report([], missing=["no alternative allele (.)"])
    assert "Of 1 alleles in v.vcf, 0 have an effect, and 1 have none." in text
    assert "<svg" not in text
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"effects_mine.svg", "letters_mine.svg"}


def test_alleles_that_change_nothing_are_counted(report):
    text = report([allele(50, diff=0.0), allele(60, diff=None)])
    assert "Of 1 the effect is not a number." in text
    assert "The strongest effects" not in text


def test_links_lead_to_the_tables(report, tmp_path):
    text = report([allele(50, diff=1.0)])
    links = re.findall(r'<a href="([^"#]+)">', text)
    assert links == ["variants/mine/variants.parquet", "variants/mine/NA.tsv"]
    assert all((tmp_path / link).is_file() for link in links)


def test_regions_are_named_in_the_order_of_their_file(report, tmp_path):
    (tmp_path / "genes.bed").write_text("z\t40\t60\tG1\nz\t45\t50\tG2\nz\t200\t210\n")
    rows = [allele(50, diff=3.0), allele(180, diff=2.0), allele(61, diff=1.0)]
    told = table(report(rows, regions=str(tmp_path / "genes.bed")), "The strongest effects")
    assert [row[-1] for row in told] == ["region", "G1, G2", "z:201–210 (21 bases away)", "G1 (next to it)"]


@pytest.mark.parametrize(
    ("change", "ref", "alt"),
    [
        (Change(50, GENOME[50], "N"), GENOME[50], "N"),
        (Change(50, GENOME[50:53], ""), GENOME[50:53], 3 * GAP),
        (Change(50, "", "ACG"), 3 * GAP, "ACG"),
        (Change(50, GENOME[50:52], "A"), GENOME[50:52], f"A{GAP}"),
        (Change(50, "", 40 * "AC"), f"{12 * GAP}{CUT}{12 * GAP}", f"{6 * 'AC'}{CUT}{6 * 'AC'}"),
    ],
)
def test_letters_stand_above_each_other(report, tmp_path, change, ref, alt):
    report([])
    genome = reference(tmp_path)
    lines = Letters.read("z", change, "+", genome).lines
    left, right = GENOME[40:50], GENOME[change.end : change.end + FLANK]
    assert lines == (f"{left}{ref}{right}", f"{left}{alt}{right}")
    assert max(map(len, lines)) <= 2 * FLANK + MOST_LETTERS + 1


def reference(folder: Path) -> Reference:
    settings = {"path": "v.vcf", "genome": str(folder / "g.fa"), "index": str(folder), "length": 61}
    given = {"output": "out", "model": ["a trained model"], "variants": {"mine": settings}}
    return Reference(load(given).variants["mine"])


def test_letters_of_the_other_strand_are_its_own(report, tmp_path):
    report([])
    pair = dict(zip("ACGT", "TGCA", strict=True))
    own = Letters.read("z", Change(50, GENOME[50:52], ""), "-", reference(tmp_path)).lines[0]
    assert own == "".join(pair[letter] for letter in reversed(GENOME[40:62]))


def test_letters_of_an_allele_in_a_transcript_are_those_of_its_exons_and_strand(report, tmp_path):
    pair = str.maketrans("ACGT", "TGCA")
    text = (GENOME[40:60] + GENOME[80:120])[::-1].translate(pair)
    (tmp_path / "t.fa").write_text(f">t|gene\n{text.lower().replace('t', 'u')}\n")
    (tmp_path / "t.bed").write_text("z\t40\t120\tt\t0\t-\t40\t40\t0\t2\t20,40\t0,40\n")
    page = report(
        [allele(82, transcript="t", strand=".", diff=1.0), allele(50, transcript="t", diff=0.5)],
        transcripts={"fasta": str(tmp_path / "t.fa"), "bed": str(tmp_path / "t.bed")},
    )
    assert [row[2] for row in table(page, "The strongest effects")] == ["transcript", "t", "t"]
    drawn = (tmp_path / "figures" / "letters_mine.svg").read_text()
    # The title of a picture is drawn after what is in it.
    first, rest = drawn.split(f">chrz:82 {GENOME[81]}&gt;{OTHER[GENOME[81]]} in t: +1.00<")
    assert f">chrz:50 {GENOME[49]}&gt;{OTHER[GENOME[49]]} in t: +0.500<" in rest
    letters = "".join(re.findall(r">([ACGT])</text>", first))
    at = 40 - 2  # the second base of the right exon, from the other end
    around = text[at - FLANK : at], text[at + 1 : at + 1 + FLANK]
    assert letters == "".join(f"{around[0]}{letter.translate(pair)}{around[1]}" for letter in (GENOME[81], OTHER[GENOME[81]]))


def test_letters_end_with_the_contig(report, tmp_path):
    report([])
    genome = reference(tmp_path)
    assert Letters.read("z", Change(3, GENOME[3], "N"), "+", genome).left == GENOME[:3]
    assert Letters.read("z", Change(398, GENOME[398], "N"), "+", genome).right == GENOME[399:]


def test_letters_are_drawn_for_the_strongest_alone(report, tmp_path):
    report([allele(50 + 10 * number, diff=1.0 + number) for number in range(9)])
    drawn = (tmp_path / "figures" / "letters_mine.svg").read_text()
    titles = re.findall(r">(chrz:\d+ [^<]*)</text>", drawn)
    assert [unescape(title).partition(" ")[0] for title in titles] == [f"chrz:{50 + 10 * number}" for number in range(8, 2, -1)]


def test_summaries_do_not_depend_on_how_many_rows_are_read_at_once(report, tmp_path, monkeypatch):
    draw = np.random.default_rng(2)
    names = score_names(THREE, "diffs")
    values = draw.normal(size=(200, 3)) * 10.0 ** draw.integers(-14, 11, (200, 1))
    rows = [
        allele(50 + number, kind=KINDS[number % 6], ref_match=bool(number % 7), **dict(zip(names, own, strict=True)))
        for number, own in enumerate(values.tolist())
    ]
    report(rows, THREE)
    file, measure = str(tmp_path / "variants/mine/variants.parquet"), Measure(THREE, ("diffs",))
    whole = summarize(file, measure)
    monkeypatch.setattr(effects, "NUMBERS", 100)
    parts = summarize(file, measure)
    assert parts.strongest == whole.strongest
    largest = [max(own, key=abs) for own in values.tolist()]
    for kind, counts in whole.kinds.items():
        own = [
            value for row, value in zip(rows, largest, strict=True) if kind == (row["kind"] if row["ref_match"] else DIFFERS)
        ]
        assert counts.alleles == parts.kinds[kind].alleles == len(own)
        assert counts.raised == counts.up.sum() == sum(value > 0 for value in own)
        assert counts.lowered == counts.down.sum() == sum(value < 0 for value in own)
        assert counts.mean == pytest.approx(np.mean(np.abs(own)))
        assert counts.up.tolist() == parts.kinds[kind].up.tolist()
        for place in range(1, len(EDGES) - 2):
            assert counts.up[place] == sum(EDGES[place] <= value < EDGES[place + 1] for value in own)
    assert sum(counts.alleles for counts in whole.kinds.values()) == whole.alleles == 200


def test_reasons_that_differ_in_a_length_are_one(tmp_path):
    told = ["REF, of 70 bases, is wider than the window of 61", "REF, of 80 bases, is wider than the window of 61", 'a "b"']
    pd.DataFrame({"reason": told}).to_csv(tmp_path / "NA.tsv", sep="\t", index=False)
    assert reasons(str(tmp_path / "NA.tsv")) == {"REF, of many bases, is wider than the window of 61": 2, 'a "b"': 1}


def test_of_very_many_reasons_the_first_are_told_and_all_are_counted(report):
    told = table(report([], missing=[f"reason {number}" for number in range(30)]), "Alleles without an effect")
    assert told[-1] == ["18 other reasons", "18"]
    assert len(told) == 14


def test_the_same_report_is_the_same_bytes(report):
    rows = [allele(50 + number, diff=0.1) for number in range(30)]
    assert report(rows) == report(rows)
