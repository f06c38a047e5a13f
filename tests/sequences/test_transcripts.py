"""Positions of transcripts and of the genome: the one is found from the other, across introns and on both strands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.sequences.transcripts import NOWHERE, Transcript, Transcripts


@st.composite
def transcripts(draw) -> Transcript:
    """Exons of any lengths, some of which touch; now and then with a coding sequence."""
    gaps = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), min_size=1, max_size=6))
    starts, ends, at = [], [], 0
    for gap, length in gaps:
        starts.append(at + gap)
        at += gap + length
        ends.append(at)
    inside = [position for start, end in zip(starts, ends, strict=True) for position in range(start, end)]
    first, last = sorted(draw(st.tuples(st.sampled_from(inside), st.sampled_from(inside))))
    cds = draw(st.sampled_from([None, (first, last + 1)]))
    return Transcript("t", "1", draw(st.sampled_from("+-")), np.array(starts), np.array(ends), cds, draw(st.integers(0, 2)))


def spelled(transcript: Transcript) -> list[int]:
    """Write down the position on the genome of each nucleotide, 5′ to 3′."""
    exons = zip(transcript.starts, transcript.ends, strict=True)
    positions = [position for start, end in exons for position in range(start, end)]
    return positions if transcript.strand == "+" else positions[::-1]


@given(transcripts())
def test_positions_are_found_both_ways(transcript):
    positions = spelled(transcript)
    assert transcript.length == len(positions)
    assert transcript.genomic(np.arange(len(positions))).tolist() == positions
    everywhere = range(-2, transcript.end + 3)
    expected = [positions.index(position) if position in positions else NOWHERE for position in everywhere]
    assert transcript.place(np.array(everywhere)).tolist() == expected


@given(transcripts(), st.integers(-2, 40), st.integers(-2, 40))
def test_blocks_cover_a_part_and_nothing_else(transcript, start, end):
    blocks = transcript.blocks(start, end)
    covered = [position for first, last in blocks for position in range(first, last)]
    assert covered == sorted(spelled(transcript)[max(start, 0) : max(end, 0)])
    # None reaches across an intron, nor across a junction of exons that touch.
    exons = list(zip(transcript.starts, transcript.ends, strict=True))
    assert all(any(first <= start < end <= last for first, last in exons) for start, end in blocks)


@given(transcripts())
def test_the_other_strand_is_read_the_other_way(transcript):
    turned = Transcript("t", "1", {"+": "-", "-": "+"}[transcript.strand], transcript.starts, transcript.ends, transcript.cds)
    assert turned.genomic(np.arange(turned.length)).tolist() == spelled(transcript)[::-1]


@given(transcripts())
def test_codons_and_ends_of_exons_are_marked_where_saluki_marks_them(transcript):
    codons, ends = [], []
    behind = 0  # nucleotides of the coding sequence so far, less those before its first whole codon
    for position in spelled(transcript):
        inside = transcript.cds is not None and transcript.cds[0] <= position < transcript.cds[1]
        codons.append(int(inside and behind >= transcript.phase and (behind - transcript.phase) % 3 == 0))
        behind += inside
        ends.append(int(position in ((transcript.ends - 1) if transcript.strand == "+" else transcript.starts)))
    assert transcript.coding_starts().tolist() == codons
    assert transcript.junctions().tolist() == ends


def test_a_position_that_is_not_in_a_transcript_is_told():
    with pytest.raises(IndexError, match="t: has no position 3; it has 3 nucleotides"):
        Transcript("t", "1", "+", np.array([0]), np.array([3])).genomic(np.array([0, 3]))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.integers(1, 9)), max_size=20), st.integers(0, 25))
def test_transcripts_that_an_interval_touches_are_found(places, start):
    given = [
        Transcript(str(row), f"chr{contig}", "+", np.array([first]), np.array([first + length]))
        for row, (contig, first, length) in enumerate(places)
    ]
    found = Transcripts(given, "a.gtf").overlapping("a", start, start + 3)
    expected = [each.id for each in given if each.contig == "chra" and each.start < start + 3 and each.end > start]
    assert sorted(each.id for each in found) == sorted(expected)
    assert Transcripts(given, "a.gtf").overlapping("c", 0, 100) == []


def called(*names: str) -> Transcripts:
    return Transcripts(
        [Transcript(name, "1", "+", np.array([at]), np.array([at + 3])) for at, name in enumerate(names)], "a.gtf"
    )


def test_versions_are_passed_over_only_where_they_are_versions_and_that_is_said_once(caplog):
    known = called("ENST00000025301.4", "ENST00000025301.5", "AT1G01010.1", "ENSMUST00000000001", "NM_000014.6")

    def name(asked: str) -> str | None:
        return found.id if (found := known.find(asked)) else None

    assert (name("ENST00000025301.5"), caplog.messages) == ("ENST00000025301.5", [])
    assert name("ENST00000025301") == name("ENST00000025301.9") == "ENST00000025301.4"
    assert (name("ENSMUST00000000001.3"), name("NM_000014")) == ("ENSMUST00000000001", "NM_000014.6")
    assert name("AT1G01010.2") is name("AT1G01010") is name("ENST00000000000") is None
    assert caplog.messages == [
        "a.gtf: has ENST00000025301.4, which is taken for ENST00000025301; versions of further names are passed over too"
    ]


def test_of_transcripts_with_one_name_the_first_is_found_and_that_is_said(caplog):
    known = called("x", "y", "x", "y")
    assert (known.find("x"), len(known)) == (known.all[0], 4)
    assert caplog.messages == ["a.gtf: 2 names are those of several transcripts, such as x: the first is taken"]
