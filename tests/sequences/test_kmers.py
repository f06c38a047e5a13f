import random
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.sequences import kmers
from rnalm.sequences.strands import CODES

SEQUENCES = st.lists(st.text(alphabet="ACG", max_size=12) | st.text(alphabet=CODES + CODES.lower(), max_size=8), max_size=12)


def assert_are_sets(sequences, k: int, wanted: list[set]) -> None:
    """Compare the sets of sequences, and what every two of them share, with those that are wanted."""
    content, sizes, number = kmers.sets(sequences, k)
    assert sizes[number].tolist() == list(map(len, wanted))
    shared = (content @ content.T).toarray()[number][:, number]
    for one, first in enumerate(wanted):
        for other, second in enumerate(wanted):
            if number[one] != number[other]:
                assert shared[one, other] == len(first & second)
            else:
                assert first == second


@given(SEQUENCES, st.integers(1, 6), st.sampled_from([1, 10, 2**22]))
def test_nucleotides_share_kmers_of_either_strand_and_case(kmers_of, sequences, k, letters):
    with mock.patch.object(kmers, "LETTERS", letters):
        assert_are_sets(sequences, k, [kmers_of(sequence, k, nucleic=True) for sequence in sequences])


@given(SEQUENCES)
def test_a_few_other_letters_leave_nucleotides_nucleotides(sequences):
    content, sizes, number = kmers.sets([*sequences, "ACGT" * 40 + "XACG", "CGTX" + "ACGT" * 40], 4)
    assert content.toarray()[number[-1]].sum() == content.toarray()[number[-2]].sum() == sizes[number[-1]]
    assert (content @ content.T).toarray()[number[-1], number[-2]] == sizes[number[-1]]


PROTEINS = st.lists(st.text(alphabet="ACEef", max_size=12), max_size=12).map(lambda others: ["LEAD", *others])
TOKENS = st.lists(st.lists(st.sampled_from(["a", "g", "gc", "cg", "\0", "\ud800"]), max_size=10), max_size=10)


@given(PROTEINS | TOKENS.map(lambda others: [["gc", "a"], *others]), st.integers(1, 5))
def test_other_letters_and_tokens_of_several_letters_are_taken_as_they_are(kmers_of, sequences, k):
    assert_are_sets(sequences, k, [kmers_of(sequence, k, nucleic=False) for sequence in sequences])


def test_lists_of_nucleotides_are_nucleotides():
    content, _, _ = kmers.sets([list("AACG"), "CGUU"], 3)
    assert (content @ content.T).toarray().tolist() == [[2, 2], [2, 2]]


def test_of_more_tokens_than_there_are_letters_before_the_surrogates_the_k_by_default_is_what_fits():
    tokens = [f"token{number}" for number in range(60_000)]
    for k in (3, None):
        assert kmers.sets([tokens, tokens[::-1]], k)[1].tolist() == [59_998, 59_998]


@pytest.mark.parametrize(("letters", "k"), [("ACGT", 13), (CODES, 13), ("MKVL", 5)])
def test_k_by_default(letters, k):
    sequences = ["".join(random.Random(seed).choices(letters, k=200)) for seed in range(2)]
    np.testing.assert_array_equal(kmers.sets(sequences)[1], kmers.sets(sequences, k)[1])
    assert kmers.sets([letters[-1] * (k + 1), letters[-1] * k])[0].shape == (2, 1)
    assert kmers.sets([letters[-1] * (k + 1), letters[-1] * (k - 1)])[0].shape == (2, 0)


def test_the_largest_k_fits_and_others_are_refused(refusal):
    assert kmers.sets(["ACGT" * 10, "T" * 27], 27)[1].tolist() == [2, 1]
    for k in (0, 28):
        message = refusal(kmers.sets, ["ACGT"], k)
        assert message == f"k: found {k}, expected 1 to 27, the most that 4 different letters allow"
