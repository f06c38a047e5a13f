"""Alleles are read as they stand, whatever the file looks like, and what cannot be read is told in one line."""

import gzip

import pytest

from rnalm.config import Variants
from rnalm.sequences.alleles import SCHEMA, list_file
from rnalm.sequences.vcf import Allele, read

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
RECORDS = "1\t3\trs1\tA\tG\t.\t.\t.\n1\t5\t.\tCA\tC,CAA,<DEL>\t.\t.\t.\n"
GENOME = ">chr1\nTTAGCAGGTTACCA\nGTTTT\n"


def written(tmp_path, text: str, name: str = "a.vcf") -> str:
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(tmp_path / name)


def told(path: str, **options) -> list[tuple]:
    return [(one.chrom, one.pos, one.name, one.ref, one.alt, one.strand) for one in read(path, **options)]


@pytest.mark.parametrize("name", ["a.vcf", "a.vcf.gz"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_each_alternative_is_an_allele(tmp_path, name, ends):
    path = written(tmp_path, (HEADER + RECORDS).replace("\n", ends), name)
    assert told(path) == [
        ("1", 3, "rs1", "A", "G", "."),
        *(("1", 5, ".", "CA", alt, ".") for alt in ("C", "CAA", "<DEL>")),
    ]
    assert [one.place for one in read(path)][:2] == [f"{path}, line 4", f"{path}, line 5"]


def test_a_table_names_its_columns_and_a_cut_of_a_vcf_has_those_of_vcf(tmp_path):
    table = written(tmp_path, "pos,chrom,alt,ref,strand\n3,1,G,A,-\n", "a.csv")
    assert told(table) == [("1", 3, ".", "A", "G", "-")]
    assert told(written(tmp_path, RECORDS)) == told(written(tmp_path, HEADER + RECORDS, "b.vcf"))
    named = written(tmp_path, "chrom\tpos\tref\talt\tname\tsense\n1\t3\tA\tG\tx\t-\n", "c.tsv")
    assert told(named, strand_column="Sense") == told(named, strand_column=5) == [("1", 3, "x", "A", "G", "-")]


@pytest.mark.parametrize("separator", ["\t", ","])
def test_a_table_may_be_quoted(tmp_path, separator):
    lines = (["chrom", "pos", "ref", "alt", "name"], ["1", "3", "A", "G,T", 'a "b"'], ["1", "4", "C", "T", "x"])
    text = "".join(separator.join(f'"{field.replace(chr(34), chr(34) * 2)}"' for field in line) + "\n" for line in lines)
    expected = [("1", 3, 'a "b"', "A", "G", "."), ("1", 3, 'a "b"', "A", "T", "."), ("1", 4, "x", "C", "T", ".")]
    assert told(written(tmp_path, text, "a.tsv")) == expected
    # Numbers are not always.
    assert told(written(tmp_path, text.replace('"3"', "3").replace('"4"', "4"), "b.tsv")) == expected


def test_a_binary_file_is_read_as_its_text(tmp_path):
    pysam = pytest.importorskip("pysam")
    path = written(tmp_path, HEADER.replace("ID=1", "ID=1,length=99") + RECORDS.replace(",<DEL>", ""))
    with pysam.VariantFile(path) as text, pysam.VariantFile(f"{path}.bcf", "wb", header=text.header) as binary:
        for record in text:
            binary.write(record)
    assert told(f"{path}.bcf") == told(path)


def test_a_damaged_binary_file_is_told_in_one_line(tmp_path, refusal, capfd):
    (tmp_path / "a.bcf").write_bytes(bytes(range(200)))
    assert refusal(lambda: list(read(tmp_path / "a.bcf"))).startswith(f"{tmp_path}/a.bcf: cannot be read as BCF (")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("chrom\tpos\tref\n1\t3\tA\n", "a.vcf, line 1: no column 'alt'; expected VCF, or a table with chrom, pos, ref, alt"),
        (HEADER + "1\tthree\t.\tA\tG\t.\t.\t.\n", "a.vcf, line 4: the position is 'three', expected a whole number"),
        (HEADER + "1\t3\t.\tA\tG,\n", "a.vcf, line 4: an allele is empty (REF 'A', ALT 'G,'), expected letters, or - for none"),
        (HEADER + "1\t3\t.\t\tG\n", "a.vcf, line 4: an allele is empty (REF '', ALT 'G'), expected letters, or - for none"),
        (HEADER + "1\t3\t.\tA\n", "a.vcf, line 4: has 4 fields, expected 5 or more"),
    ],
)
def test_what_is_no_record_is_told_with_its_line(tmp_path, refusal, text, problem):
    path = written(tmp_path, text)
    assert refusal(lambda: list(read(path))) == f"{tmp_path}/{problem}"


@pytest.mark.parametrize(
    ("row", "options", "problem"),
    [
        ("1\t3\tA\tG\t-1", {}, "line 2: the strand is '-1', expected + or -, or . where it is not known"),
        ("1\t3\tA\tG", {}, "line 2: has 4 fields, expected a strand in column 4 (from 0)"),
        ("1\t3\tA\tG\t+", {"strand_column": 9}, "line 2: has 5 fields, expected a strand in column 9 (from 0)"),
    ],
)
def test_a_strand_is_not_guessed(tmp_path, refusal, row, options, problem):
    path = written(tmp_path, f"chrom\tpos\tref\talt\tstrand\n{row}\n", "a.tsv")
    assert refusal(lambda: list(read(path, **options))) == f"{path}, {problem}"


def test_a_column_that_is_not_there_is_told_and_so_is_a_file_that_was_cut(tmp_path, refusal):
    path = written(tmp_path, HEADER + RECORDS)
    assert f"{path}: no column 'sense' with the strand; " in refusal(lambda: list(read(path, "sense")))
    whole = gzip.compress((HEADER + RECORDS * 2000).encode())
    (tmp_path / "cut.vcf.gz").write_bytes(whole[:-40])
    assert refusal(lambda: list(read(tmp_path / "cut.vcf.gz"))).endswith("ends too early; it is damaged or was cut")


@pytest.mark.parametrize(
    ("alt", "why"),
    [
        ("<CN0>", "symbolic allele"),
        ("G]17:198982]", "breakend"),
        ("*", "allele of a deletion further left (*)"),
        (".", "no alternative allele (.)"),
        ("R", "letters other than A, C, G, T and N (R)"),
        ("acgn", None),
    ],
)
def test_alleles_without_letters_say_why_they_have_no_effect(alt, why):
    assert Allele("f, line 1", "1", 3, ".", "A", alt).problem == why


@pytest.fixture
def listed(tmp_path):
    def make(text: str, **options) -> list[dict]:
        import pyarrow.parquet as pq

        (tmp_path / "g.fa").write_text(GENOME)
        settings = Variants(path=written(tmp_path, text), genome=str(tmp_path / "g.fa"), index=str(tmp_path / "ix"), **options)
        list_file(settings, tmp_path / "alleles.parquet")
        table = pq.read_table(tmp_path / "alleles.parquet")
        assert table.schema.names == SCHEMA.names
        return table.to_pylist()

    return make


def test_alleles_are_held_against_the_genome_in_their_order(listed, caplog):
    rows = listed(f"{HEADER}1\t5\t.\tCA\tC,<DEL>\n1\t3\tx\tc\ta\n1\t90\t.\tA\tC\n7\t1\t.\tA\tC\n")
    assert [row["reason"] for row in rows] == [
        *(None, "symbolic allele", None),
        *("beyond the contig", "contig '7' is not in the genome"),
    ]
    assert [rows[0][key] for key in ("contig", "start", "goes", "comes", "kind")] == ["chr1", 5, "A", "", "deletion"]
    assert [rows[2][key] for key in ("ref_match", "alt_is_reference")] == [False, True]
    assert "REF of 1 of 2 alleles is not what" in caplog.text
    assert "2 of 5 alleles are not scored (NA.tsv)" in caplog.text
    assert "1 alleles are on contig '7'" in caplog.text


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ("7\t3\t.\tA\tG\n", "none of the contigs (7) is in"),
        ("1\t3\t.\tG\tA\n1\t4\t.\tT\tG\n", "in 2 of them ALT is; is the file turned round?"),
        ("1\t3\t.\tG\tC\n1\t4\t.\tT\tC\n", "found G, the genome has A); is it of another assembly, or turned round?"),
        ("", "no variants; expected records"),
    ],
)
def test_a_file_of_another_genome_is_refused(listed, refusal, records, problem):
    assert problem in refusal(listed, HEADER + records)


def test_an_allele_without_a_strand_is_left_out_on_request(listed):
    text = "chrom\tpos\tref\talt\tstrand\n1\t3\tA\tG\t.\n1\t3\tA\tG\t-\n"
    assert [row["reason"] for row in listed(text, require_strand=True)] == ["no strand (require_strand)", None]
