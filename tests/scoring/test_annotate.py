"""A VCF file is written again with the scores of each allele, and read by what reads VCF."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pysam
import pytest

from rnalm.labels.labels import Labels
from rnalm.scoring import annotate
from rnalm.scoring.effects import columns
from rnalm.sequences import vcf

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=1>\n##contig=<ID=2>\n"
NAMED = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
LABELS = Labels("multilabel", classes=("A b", "A-b", 'x"y'))


@pytest.fixture
def scored(tmp_path):
    """Write a file, and scores of its alleles: those of letters have numbers that tell the allele and the class."""

    def make(text: str, labels: Labels = LABELS, scores=("diffs",), parts: int = 1) -> tuple[list[Path], str]:
        path = str(tmp_path / "a.vcf")
        Path(path).write_text(text)
        schema, rows = columns(labels, scores), []
        for number, allele in enumerate(vcf.read(path)):
            row = dict.fromkeys(schema.names) | {
                name: getattr(allele, name) for name in ("chrom", "pos", "ref", "alt", "place")
            }
            told = allele.problem is None
            start = schema.names.index("reason") + 1
            row |= {name: number + k / 10 + 1e-7 if told else None for k, name in enumerate(schema.names[start:])}
            rows.append(row | {"reason": allele.problem})
        size = -(-len(rows) // parts)
        files = [tmp_path / f"{part}.parquet" for part in range(parts)]
        for part, file in enumerate(files):
            pq.write_table(pa.Table.from_pylist(rows[part * size : (part + 1) * size], schema), file)
        return files, path

    return make


def lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def test_each_allele_has_its_score_and_what_was_there_stays(scored, tmp_path):
    records = ["1\t5\trs1\tA\tC,<DEL>,G\t9\tPASS\tDP=3;DB\tGT\t0/1", "1\t9\t.\tA\t<DUP>\t.\t.\t.\tGT\t1/1"]
    more = ["1\t9\t.\tA\tT\t.\t.\t.\tGT\t1/1", "2\t1\t.\tG\t.\t.\t.\t.\tGT\t0/0"]
    flags = '##INFO=<ID=DP,Number=1,Type=Integer,Description="d">\n##INFO=<ID=DB,Number=0,Type=Flag,Description="d">\n'
    flags += '##FILTER=<ID=PASS,Description="d">\n##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
    parts, path = scored(f"{HEADER}{flags}{NAMED}\tFORMAT\tme\n" + "\n".join([*records, *more]) + "\n", parts=3)
    annotate.write(parts, path, tmp_path / "out.vcf.gz")
    written = lines(tmp_path / "out.vcf.gz")
    before = Path(path).read_text().splitlines()
    assert [line for line in written if line not in before and line.startswith("#")] == [
        f'##INFO=<ID={key},Number=A,Type=Float,Description="Prediction of {of} with ALT minus that with REF",Source="rnalm">'
        for key, of in (("RNALM_diff_A_b", "A b"), ("RNALM_diff_A_b_2", "A-b"), ("RNALM_diff_x_y", 'x\\"y'))
    ]
    # Every column but INFO is as it was.
    rows = [line.split("\t") for line in written if not line.startswith("#")]
    assert ["\t".join([*row[:7], *row[8:]]) for row in rows] == [
        "\t".join([*row[:7], *row[8:]]) for row in (line.split("\t") for line in [*records, *more])
    ]
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        first, dup, third, none = file
        assert first.info["DP"] == 3
        assert first.info["DB"]
        assert first.info["RNALM_diff_A_b"] == pytest.approx((0.0, None, 2.0), abs=1e-6)
        assert first.info["RNALM_diff_x_y"] == pytest.approx((0.2, None, 2.2), abs=1e-6)
        assert dup.info["RNALM_diff_A_b"] == (None,)
        assert third.info["RNALM_diff_A_b_2"] == pytest.approx((4.1,))
        assert none.alts in (None, (".",))
        # The index finds them.
        assert [record.pos for record in file.fetch("1", 8, 9)] == [9, 9]
    assert (tmp_path / "out.vcf.gz.csi").is_file()


def test_numbers_have_all_digits_of_float32(scored, tmp_path):
    parts, path = scored(f"{HEADER}{NAMED}\n1\t5\t.\tA\tC\t.\t.\t.\n", Labels("regression"))
    annotate.write(parts, path, tmp_path / "out.vcf.gz")
    assert lines(tmp_path / "out.vcf.gz")[-1] == "1\t5\t.\tA\tC\t.\t.\tRNALM_diff=1e-7"


def test_fields_that_are_there_already_are_neither_replaced_nor_named_twice(scored, tmp_path):
    old = '##INFO=<ID=RNALM_diff,Number=A,Type=Float,Description="d">\n'
    parts, path = scored(f"{HEADER}{old}{NAMED}\n1\t5\t.\tA\tC\t.\t.\tRNALM_diff=7\n", Labels("regression"))
    annotate.write(parts, path, tmp_path / "out.vcf.gz")
    assert lines(tmp_path / "out.vcf.gz")[-1].endswith("\tRNALM_diff=7;RNALM_diff_2=1e-7")


def test_what_is_out_of_order_has_no_index(scored, tmp_path, caplog):
    for records in ("1\t9\t.\tA\tC\n1\t5\t.\tA\tC\n", "1\t9\t.\tA\tC\n2\t5\t.\tA\tC\n1\t10\t.\tA\tC\n"):
        (tmp_path / "out.vcf.gz.csi").write_text("of an earlier file")
        # As few columns as Selene needs.
        parts, path = scored("#CHROM\tPOS\tID\tREF\tALT\n" + records)
        annotate.write(parts, path, tmp_path / "out.vcf.gz")
        assert f"no index, as the records of {path} are not in order" in caplog.text
        assert not (tmp_path / "out.vcf.gz.csi").exists()
        with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
            assert [f"{record.chrom}\t{record.pos}" for record in file] == [
                line.split("\t.")[0] for line in records.splitlines()
            ]


def test_columns_that_vcf_has_not_are_left_out_and_told(scored, tmp_path, caplog):
    parts, path = scored(f"{HEADER}{NAMED}\tSTRAND\n1\t5\t.\tA\tC\t.\t.\t.\t-\n", Labels("regression"))
    annotate.write(parts, path, tmp_path / "out.vcf.gz")
    assert f"{path}: columns that VCF has not are left out: STRAND" in caplog.text
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        assert len(list(file)) == 1


def test_a_file_that_is_not_what_was_scored_is_refused(scored, tmp_path, refusal):
    records = "1\t5\t.\tA\tC\n1\t6\t.\tA\tC\n"
    parts, path = scored(f"{NAMED}\n{records}")
    output = tmp_path / "out.vcf.gz"
    for text, problem in (
        (f"##fileformat=VCFv4.2\n{NAMED}\n{records}", "line 3: is not what was scored"),
        (f"{NAMED}\n{records.replace('C', 'G')}", "line 2: is not what was scored"),
        (f"{NAMED}\n1\t5\t.\tA\tC\n", "line 3: was scored, and is not there any more"),
        (records, "line 1: no header comes before the first record"),
        ("#CHROM\tPOS\tREF\tALT\tID\n", "line 1: the columns are"),
        ("", "has no header"),
    ):
        Path(path).write_text(text)
        assert problem in refusal(annotate.write, parts, path, output)
        assert not output.exists()


def test_each_transcript_of_an_allele_has_an_entry_that_says_its_scores_in_the_order_of_the_header(tmp_path):
    records = ["1\t5\t.\tA\tC,G,C\t.\t.\tDP=3.", "1\t9\t.\tA\tT\t.\t.\t.", "1\t12\t.\tA\tT\t.\t.\t."]
    path, part = tmp_path / "a.vcf", tmp_path / "0.parquet"
    depth = '##INFO=<ID=DP,Number=1,Type=String,Description="d">\n'
    path.write_text(f"{HEADER}{depth}{NAMED}\n" + "\n".join(records) + "\n")
    schema = columns(LABELS, ["diffs"])
    scored = [name for name in schema.names if name.startswith("diff_")]
    laid = {"C": ["t|1", "t2"], "G": ["t2"], "T": [None]}
    rows = []
    for number, allele in enumerate(vcf.read(path)):
        for transcript in laid[allele.alt] if allele.pos < 12 else ["t2"]:
            row = {name: getattr(allele, name) for name in ("chrom", "pos", "ref", "alt", "place")}
            reason = {None: "in no transcript", "t|1": "in an intron"}.get(transcript)
            numbers = {} if reason else {name: number + k / 10 for k, name in enumerate(scored)}
            rows.append(row | {"transcript": transcript, "reason": reason} | numbers)
    rows[-1]["diff_A-b"] = None
    pq.write_table(pa.Table.from_pylist(rows, schema), part)
    annotate.write([part], str(path), tmp_path / "out.vcf.gz", spliced=True)
    header, *told = [line for line in lines(tmp_path / "out.vcf.gz") if not line.startswith("#") or "RNALM" in line]
    assert header == (
        '##INFO=<ID=RNALM,Number=.,Type=String,Description="Predictions of transcripts with ALT and with REF. '
        'Format: Allele|Transcript|diff_A_b|diff_A_b_2|diff_x_y",Source="rnalm">'
    )
    assert [line.split("\t")[7] for line in told] == [
        "DP=3.;RNALM=C|t2|0|0.1|0.2,G|t2|1|1.1|1.2,C|t2|2|2.1|2.2",
        ".",
        "RNALM=T|t2|4|.|4.2",
    ]
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        assert [len(record.info.get("RNALM", ())) for record in file] == [3, 0, 1]


def test_names_of_transcripts_are_written_so_that_no_sign_in_them_parts_fields():
    schema = columns(Labels("regression"), ["diffs"])
    entries = annotate._Entries(schema, set())
    assert entries.info(["C"], [["a|b,c;d=e f"], ["."], ["0.5"]]) == "RNALM=C|a%7Cb%2Cc%3Bd%3De%20f|0.5"
