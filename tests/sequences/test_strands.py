import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.sequences.strands import CODES, is_nucleic, is_rna, reverse_complement

# What each code stands for, by the definition of 1985.
MEANINGS = ["A", "C", "G", "T", "AG", "CT", "AT", "CG", "AC", "GT", "CGT", "AGT", "ACT", "ACG", "ACGT", ""]
BASES = dict(zip("ACGTRYWSMKBDHVN-", MEANINGS, strict=True))
PAIRED = {"A": "T", "T": "A", "C": "G", "G": "C"}


def either_case(codes: str) -> st.SearchStrategy[str]:
    return st.text(alphabet=codes + codes.lower())


def test_every_code_has_a_complement_that_denotes_the_complements_of_its_bases():
    assert set(CODES) == {*BASES, "U"}
    for code, bases in BASES.items():
        assert set(BASES[reverse_complement(code, rna=False)]) == {PAIRED[base] for base in bases}


@given(either_case(CODES), st.booleans())
def test_twice_the_reverse_complement_is_the_sequence(sequence, rna):
    sequence = sequence.translate(str.maketrans("TtUu", "UuUu" if rna else "TtTt"))
    assert reverse_complement(reverse_complement(sequence, rna), rna) == sequence


@given(either_case(CODES), st.booleans())
def test_the_other_strand_runs_backwards_and_keeps_case(sequence, rna):
    other = reverse_complement(sequence, rna)
    assert other == "".join(reverse_complement(letter, rna) for letter in reversed(sequence))
    assert [letter.islower() for letter in other] == [letter.islower() for letter in reversed(sequence)]
    assert not set(other.upper()) & set("T" if rna else "U")


@pytest.mark.parametrize(("sequence", "rna", "other"), [("AACG", False, "CGTT"), ("AACG", True, "CGUU"), ("uTa", True, "uAa")])
def test_a_pairs_with_u_in_rna_and_with_t_in_dna(sequence, rna, other):
    assert reverse_complement(sequence, rna) == other


def test_the_first_letter_that_is_no_nucleotide_is_named(refusal):
    message = refusal(reverse_complement, "ACGEL", rna=False)
    assert "letter 4 of the sequence is 'E', expected a nucleotide code" in message


@pytest.mark.parametrize(
    ("letters", "nucleic", "rna"),
    [
        ("ACGT", True, False),
        ("acgu", True, True),
        ("AC", True, False),
        ("ACGTU", True, False),
        ("NRY-u", True, True),
        ("MKVL", False, False),
        ("UE", False, False),
        (["a", "c", "gu"], False, False),
        ("", True, False),
    ],
)
def test_letters_tell_what_they_can_be(letters, nucleic, rna):
    assert (is_nucleic(letters), is_rna(letters)) == (nucleic, rna)
