import random
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.sequences import kmers
from rnalm.sequences.strands import CODES, reverse_complement

SEQUENCES = st.lists(st.text(alphabet="ACG", max_size=12) | st.text(alphabet=CODES + CODES.lower(), max_size=8), max_size=12)


def expected(sequence, k: int, nucleic: bool) -> set[tuple[str, ...]]:
    """Spell a set of k-mers, one by one."""
    plain = [letter.upper().replace("U", "T") if nucleic else letter for letter in sequence]
    found = {tuple(plain[start : start + k]) for start in range(max(0, len(plain) - k) + 1)}
    return {min(kmer, tuple(reverse_complement("".join(kmer), rna=False))) for kmer in found} if nucleic else found


def assert_are_sets(sequences, k: int, nucleic: bool) -> None:
    content, sizes, number = kmers.sets(sequences, k)
    wanted = [expected(sequence, k, nucleic) for sequence in sequences]
    assert sizes[number].tolist() == [len(found) for found in wanted]
    shared = (content @ content.T).toarray()[number][:, number]
    for one, first in enumerate(wanted):
        for other, second in enumerate(wanted):
            if number[one] != number[other]:
                assert shared[one, other] == len(first & second)
            else:
                assert first == second


@given(SEQUENCES, st.integers(1, 6), st.sampled_from([1, 10, 2**22]))
def test_nucleotides_share_kmers_of_either_strand_and_case(sequences, k, letters):
    with mock.patch.object(kmers, "LETTERS", letters):
        assert_are_sets(sequences, k, nucleic=True)


@given(SEQUENCES)
def test_a_few_other_letters_leave_nucleotides_nucleotides(sequences):
    content, sizes, number = kmers.sets([*sequences, "ACGT" * 40 + "XACG", "CGTX" + "ACGT" * 40], 4)
    assert content.toarray()[number[-1]].sum() == content.toarray()[number[-2]].sum() == sizes[number[-1]]
    assert (content @ content.T).toarray()[number[-1], number[-2]] == sizes[number[-1]]


@given(st.lists(st.text(alphabet="ACEef", max_size=12), max_size=12), st.integers(1, 6))
def test_other_letters_are_taken_as_they_are(sequences, k):
    assert_are_sets(["LEAD", *sequences], k, nucleic=False)


@given(st.lists(st.lists(st.sampled_from(["a", "g", "gc", "cg", "\0", "\ud800"]), max_size=10), max_size=10), st.integers(1, 4))
def test_tokens_of_several_letters_are_taken_as_they_are(sequences, k):
    assert_are_sets([["gc", "a"], *sequences], k, nucleic=False)


def test_lists_of_nucleotides_are_nucleotides():
    content, _, _ = kmers.sets([list("AACG"), "CGUU"], 3)
    assert (content @ content.T).toarray().tolist() == [[2, 2], [2, 2]]


def test_more_tokens_than_there_are_letters_before_the_surrogates():
    tokens = [f"token{number}" for number in range(60_000)]
    _, sizes, _ = kmers.sets([tokens, tokens[::-1]], 3)
    assert sizes.tolist() == [59_998, 59_998]


@pytest.mark.parametrize(("letters", "k"), [("ACGT", 13), (CODES, 13), ("MKVL", 5)])
def test_k_by_default(letters, k):
    sequences = ["".join(random.Random(seed).choices(letters, k=200)) for seed in range(2)]
    np.testing.assert_array_equal(kmers.sets(sequences)[1], kmers.sets(sequences, k)[1])
    assert kmers.sets([letters[-1] * (k + 1), letters[-1] * k])[0].shape == (2, 1)
    assert kmers.sets([letters[-1] * (k + 1), letters[-1] * (k - 1)])[0].shape == (2, 0)


def test_k_by_default_is_what_fits():
    tokens = [f"token{number}" for number in range(60_000)]
    np.testing.assert_array_equal(kmers.sets([tokens])[1], kmers.sets([tokens], 3)[1])


@pytest.mark.parametrize("k", [0, 28])
def test_a_k_that_does_not_fit_is_refused(refusal, k):
    message = refusal(kmers.sets, ["ACGT"], k)
    assert message == f"k: found {k}, expected 1 to 27, the most that 4 different letters allow"


def test_the_largest_k_fits():
    _, sizes, _ = kmers.sets(["ACGT" * 10, "T" * 27], 27)
    assert sizes.tolist() == [2, 1]
