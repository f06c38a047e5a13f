"""Each window is on one stretch, and is there what it is on its contig."""

from hypothesis import given
from hypothesis import strategies as st

from rnalm.scoring.layout import lay
from rnalm.sequences.edited import Window
from rnalm.sequences.strands import reverse_complement

GENOME = {"a": "ACGTTGCANCCGTAGATTACAGGATTACATTTGCAGTACCGATCGATTAGC", "b": "TTGACCAGTNNACGTACCATTGACCAGATACA"}


def letters(contig: str, first: int, after: int) -> str:
    return GENOME[contig][first:after]


@st.composite
def placed(draw) -> tuple[Window, tuple[str, str]]:
    contig, strand = draw(st.sampled_from("ab")), draw(st.sampled_from("+-."))
    length = draw(st.integers(1, 12))
    left = draw(st.integers(0, len(GENOME[contig]) - length))
    at = draw(st.integers(0, length))
    comes = draw(st.text("ACGTN", max_size=length - at))
    grown = draw(st.integers(-3, 3))
    behind = at + len(comes)
    fits = left - grown + behind >= left + at and left - grown + length <= len(GENOME[contig])
    return Window(left, left - grown if fits else left, at, comes, length), (contig, strand)


@given(st.lists(placed(), max_size=12), st.integers(12, 40))
def test_windows_are_on_stretches_what_they_are_on_contigs(given_windows, most):
    windows, places = [own for own, _ in given_windows], [place for _, place in given_windows]
    seen = []
    for stretch in lay(windows, places, letters, most):
        assert len(stretch.text) <= max(most, *(2 * (own.reach[1] - own.reach[0]) for own in windows))
        for number, own, known in zip(stretch.numbers, stretch.windows, stretch.unknown, strict=True):
            contig, strand = places[number]
            expected = windows[number].text(lambda *part, contig=contig: letters(contig, *part))
            expected = reverse_complement(expected, rna=False) if strand == "-" else expected
            assert own.text(lambda *part, text=stretch.text: text[slice(*part)]) == expected
            assert known == ("N" in expected)
            seen.append(number)
    assert sorted(seen) == list(range(len(windows)))


def test_windows_that_overlap_are_read_once_and_equal_ones_are_known():
    windows = [Window(0, 0, 3, "T", 10), Window(0, 0, 3, "", 10), Window(4, 4, 10, "", 10), Window(0, 0, 10, "", 10)]
    windows.append(Window(30, 30, 10, "", 10))
    [stretch] = lay(windows, [("a", "+")] * 5, letters)
    assert stretch.text == GENOME["a"][:14] + GENOME["a"][30:40]
    by_number = dict(zip(stretch.numbers.tolist(), stretch.windows, strict=True))
    assert by_number[0] == by_number[3], "the fourth base is a T"
    assert len(set(stretch.windows)) == 3
