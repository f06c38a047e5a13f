"""BED12 and GTF, as several projects write them, say the same of a transcript; what cannot be is told in one line."""

import gzip

import pytest

from rnalm.sequences.annotation import kind_of, read
from rnalm.sequences.transcripts import Transcript

#: On both strands, spliced, with coding sequences of whole codons.
BED = (
    "track name=genes\n"
    "chr1\t100\t200\tENST00000000001.2\t0\t+\t110\t195\t0\t3\t20,30,10,\t0,40,90,\n"
    "chr2\t50\t90\tENST00000000002.7\t0\t-\t50\t50\t0,0,0\t2\t10,15\t0,25\n"
)
ENSEMBL = """#!genome-build GRCh38
1\thavana\tgene\t101\t200\t.\t+\t.\tgene_id "ENSG1"; gene_version "5";
1\thavana\ttranscript\t101\t200\t.\t+\t.\tgene_id "ENSG1"; transcript_id "ENST00000000001"; transcript_version "2";
1\thavana\texon\t101\t120\t.\t+\t.\tgene_id "ENSG1"; transcript_id "ENST00000000001"; transcript_version "2"; exon_number "1";
1\thavana\tCDS\t111\t120\t.\t+\t0\tgene_id "ENSG1"; transcript_id "ENST00000000001"; transcript_version "2";
1\thavana\tstart_codon\t111\t113\t.\t+\t0\tgene_id "ENSG1"; transcript_id "ENST00000000001"; transcript_version "2";
1\thavana\texon\t191\t200\t.\t+\t.\tgene_id "ENSG1"; transcript_id "ENST00000000001"; transcript_version "2"; exon_number "3";
1\thavana\tCDS\t191\t192\t.\t+\t1\tgene_id "ENSG1"; transcript_id "ENST00000000001"; transcript_version "2";
1\thavana\tstop_codon\t193\t195\t.\t+\t0\tgene_id "ENSG1"; transcript_id "ENST00000000001"; transcript_version "2";
2\thavana\texon\t76\t90\t.\t-\t.\tgene_id "ENSG2"; transcript_id "ENST00000000002"; transcript_version "7"; exon_number "1";
1\thavana\texon\t141\t170\t.\t+\t.\tgene_id "ENSG1"; transcript_id "ENST00000000001"; transcript_version "2"; exon_number "2";
2\thavana\texon\t51\t60\t.\t-\t.\tgene_id "ENSG2"; transcript_id "ENST00000000002"; transcript_version "7"; exon_number "2";
"""
GENCODE = "".join(
    line.replace('00001"; transcript_version "2"', '00001.2"').replace('00002"; transcript_version "7"', '00002.7"')
    for line in ENSEMBL.splitlines(keepends=True)
)


def written(tmp_path, text: str, name: str) -> str:
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(tmp_path / name)


def told(transcript: Transcript) -> tuple:
    exons = list(zip(transcript.starts.tolist(), transcript.ends.tolist(), strict=True))
    return (transcript.id, transcript.contig.removeprefix("chr"), transcript.strand, exons, transcript.cds, transcript.phase)


@pytest.mark.parametrize(
    ("text", "name"),
    [(BED, "a.bed"), (BED.replace("\n", "\r\n"), "a.BED.gz"), (ENSEMBL, "a.gtf"), (ENSEMBL, "a.b.gtf.gz"), (GENCODE, "a.gtf")],
)
def test_every_dialect_says_the_same(tmp_path, text, name):
    assert [told(each) for each in read(written(tmp_path, text, name)).all] == [
        ("ENST00000000001.2", "1", "+", [(100, 120), (140, 170), (190, 200)], (110, 195), 0),
        ("ENST00000000002.7", "2", "-", [(50, 60), (75, 90)], None, 0),
    ]


@pytest.mark.parametrize(("strand", "phase"), [("+", 1), ("-", 2)])
def test_a_coding_sequence_that_is_known_in_part_begins_with_its_first_whole_codon(tmp_path, strand, phase):
    of = f'{strand}\t%s\ttranscript_id "t"'
    lines = [("exon", 1, 9, "."), ("CDS", 1, 9, 1), ("exon", 21, 30, "."), ("CDS", 21, 27, 2), ("stop_codon", 28, 30, 0)]
    if strand == "-":
        lines = [(name, *{28: (21, 23), 21: (24, 30)}.get(first, (first, last)), own) for name, first, last, own in lines]
        lines[2] = ("exon", 21, 30, ".")
    text = "".join(f"1\t.\t{name}\t{first}\t{last}\t.\t{of % own}\n" for name, first, last, own in lines)
    transcript = read(written(tmp_path, text, "a.gtf")).all[0]
    assert (transcript.cds, transcript.phase) == ((0, 30), phase)


GTF = '1\t.\texon\t%s\t%s\t.\t%s\t.\ttranscript_id "t";\n'


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.bed", "1\t0\t9\n", ", line 1: has 3 columns, expected the twelve of BED12, separated by tabs"),
        (
            "a.bed",
            "#\n1\t0\t9\tt\t0\t+\tx\t0\t0\t1\t9\t0\n",
            ", line 2: expected whole numbers in columns 2, 3, 7, 8, 10, 11 and 12",
        ),
        (
            "a.bed",
            "1\t0\t9\tt\t0\t+\t0\t0\t0\t2\t9\t0\n",
            ", line 1: has 1 sizes and 1 starts, expected as many as there are blocks, 2 (column 10)",
        ),
        (
            "a.bed",
            "1\t5\t19\tt\t0\t+\t0\t0\t0\t2\t3,4\t0,8\n",
            ", line 1: the blocks reach over 5-17, expected 5-19 (columns 2 and 3)",
        ),
        (
            "a.bed",
            "1\t5\t19\tt\t0\t+\t0\t0\t0\t2\t9,6\t0,8\n",
            ", line 1: the transcript t has exons that overlap or are not in order: 5-14 and 13-19",
        ),
        (
            "a.bed",
            "1\t5\t19\tt\t0\t.\t0\t0\t0\t1\t14\t0\n",
            ", line 1: the transcript t is on the strand '.', expected + or -",
        ),
        (
            "a.bed",
            "1\t5\t19\tt\t0\t+\t5\t12\t0\t2\t3,4\t0,10\n",
            ", line 1: the transcript t is translated from 5 to 12, of which an end is in no exon",
        ),
        (
            "a.bed",
            "1\t5\t19\tt\t0\t+\t0\t0\t0\t3\t3,0,4\t0,5,10\n",
            ", line 1: the transcript t has the exon 10-10, expected one that begins at 0 or later and ends behind its start",
        ),
        ("a.bed", "track x\n", ": has no line with twelve columns"),
        ("a.gtf", "1\t.\tgene\t1\t9\t.\t+\t.\tgene_id 1\n", ": has no line with the feature exon"),
        ("a.gtf", "1 . exon 1 9\n", ", line 1: has 1 columns, expected the nine of GTF, separated by tabs"),
        ("a.gtf", "1\t.\texon\t1\t9\t.\t+\t.\tgene_id 1\n", ", line 1: has no transcript_id; expected one in column 9"),
        (
            "a.gtf",
            GTF % (0, 9, "+"),
            ", line 1: from '0' to '9', expected positions from 1, the first not behind the last",
        ),
        ("a.gtf", GTF % (1, 9, "."), ", line 1: the transcript t is on the strand '.', expected + or -"),
        (
            "a.gtf",
            GTF % (20, 30, "+") + GTF % (1, 20, "+"),
            ", line 1: the transcript t has exons that overlap or are not in order: 0-20 and 19-30",
        ),
        (
            "a.gtf",
            (GTF % (1, 9, "+")).replace("exon", "CDS"),
            ", line 1: the transcript t is translated but has no line with the feature exon",
        ),
        ("a.gff3.gz", "", ": is GFF, expected GTF or BED12; gffread -T writes GTF of it"),
        ("a.txt", "", ": expected a name that ends in .gtf or .bed, or further in .gz"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(tmp_path, refusal, name, text, problem):
    path = written(tmp_path, text, name)
    assert refusal(read, path) == f"{path}{problem}"


def test_the_kind_of_a_file_is_known_by_its_name():
    assert (kind_of("x.y.GTF.gz"), kind_of("x.bed12"), kind_of("x.bed.bz2")) == (".gtf", ".bed12", ".bed")
