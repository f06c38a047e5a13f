from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.config import Encode
from rnalm.sequences.records import Record
from rnalm.sequences.strands import reverse_complement
from rnalm.tokens.tokenize import RecordTokenizer, kept_range
from rnalm.tokens.tokenizer import letters_for_tokens

SUBWORDS = {
    "bpe": {"type": "bpe", "vocab_size": 40},
    "unigram": {"type": "unigram", "vocab_size": 60},
    "kmer": {"type": "kmer", "k": 3},
    "kmer, stride 2": {"type": "kmer", "k": 3, "stride": 2},
}
DNA = st.text("ACGTN", min_size=1, max_size=50)
BOTH_STRANDS = Encode(reverse_complement="augment")


def record(sequence, name: str = "s") -> Record:
    return Record("table.tsv, line 2", name, sequence, None, None, None, None, None)


@pytest.fixture(scope="module")
def subwords(learned):
    """A tokenizer of each kind, of the same random sequences."""
    rows = ["".join(row) for row in np.random.default_rng(0).choice(list("ACGT"), (40, 60))]
    return {name: learned(*rows, **options) for name, options in SUBWORDS.items()}


def spell(tokenizer, ids: np.ndarray) -> str:
    return "".join(tokenizer.id_to_token(index) for index in ids.tolist())


@given(st.sampled_from(sorted(SUBWORDS)), DNA)
def test_positions_are_those_of_the_letters_that_a_token_stands_for(subwords, kind, text):
    tokens = RecordTokenizer(subwords[kind], Encode())(record(text))
    assert tokens.sequence == text
    for index, (start, end) in zip(tokens.input_ids, tokens.offsets, strict=True):
        assert spell(subwords[kind], index[None]).removeprefix("▁") in ("[UNK]", text[start:end], "")
    spans = [(start, end) for start, end in tokens.offsets.tolist() if end > start]
    if kind.startswith("kmer"):
        stride = SUBWORDS[kind].get("stride", 1)
        wanted = [(start, start + 3) for start in range(0, len(text) - 2, stride)]
        # A sequence shorter than a k-mer is one unknown token.
        assert spans == (wanted or [(0, len(text))])
        assert wanted or tokens.input_ids.tolist() == [0]
    else:
        assert (spans[0][0], spans[-1][1]) == (0, len(text))
        assert all(before[1] == after[0] for before, after in pairwise(spans))


@given(st.sampled_from(sorted(SUBWORDS)), DNA, st.integers(1, 12), st.sampled_from(["left", "right", "both"]))
def test_a_cut_sequence_keeps_positions_of_the_whole_and_the_letters_of_its_tokens(subwords, kind, text, size, side):
    whole = RecordTokenizer(subwords[kind], Encode())(record(text))
    cut = RecordTokenizer(subwords[kind], Encode(block_size=size, truncate=side))(record(text))
    more = max(0, whole.total - size)
    start = {"right": 0, "left": more, "both": more // 2}[side]
    kept = slice(start, start + size)
    assert cut.input_ids.tolist() == whole.input_ids[kept].tolist()
    assert cut.offsets.tolist() == whole.offsets[kept].tolist()
    first = cut.offsets[0, 0] if cut.start else 0
    assert cut.sequence == text[first : cut.offsets[-1, 1] if start + size < whole.total else None]


@given(st.sampled_from(sorted(SUBWORDS)), DNA)
def test_the_other_strand_is_tokenized_like_any_sequence(subwords, kind, text):
    both = RecordTokenizer(subwords[kind], Encode(reverse_complement="average"))
    one, other = both(record(text)), both(record(reverse_complement(text, rna=False)))
    assert one.reverse_ids.tolist() == other.input_ids.tolist()
    assert other.reverse_ids.tolist() == one.input_ids.tolist()


@pytest.mark.parametrize(
    ("known", "sequence", "expected"),
    [
        ("ACGU", "AACU", "AGUU"),
        ("ACGUNI.*", "GAUC", "GAUC"),
        ("ACGTNI.*", "GATC", "GATC"),
        ("ACGUNI.*", "GAC", "GUC"),
        ("ACGTU", "GAUC", "GAUC"),
        ("ACGTU", "GATC", "GATC"),
        ("ACGTU", "GAC", "GTC"),
        ("acgtACGU", "GAUc", "gAUC"),
    ],
)
def test_the_letters_of_a_sequence_say_whether_its_other_strand_has_u(learned, known, sequence, expected):
    tokenizer = learned(known)
    assert spell(tokenizer, RecordTokenizer(tokenizer, BOTH_STRANDS)(record(sequence)).reverse_ids) == expected


def test_tokens_of_several_letters_do_not_say_what_an_atomic_vocabulary_is(learned):
    assert RecordTokenizer(learned("A,C,G,U,tRNA", token_sep=","), BOTH_STRANDS).of_rna("GAC")


@pytest.mark.parametrize("truncate", ["left", "right", "both"])
def test_what_is_kept_of_a_sequence_does_not_hold_the_rest_in_memory(subwords, truncate):
    options = Encode(block_size=3, truncate=truncate, reverse_complement="augment")
    tokens = RecordTokenizer(subwords["kmer"], options)(record("ACGT" * 10))
    for array in (tokens.input_ids, tokens.offsets, tokens.reverse_ids):
        assert (len(array), array.base) == (3, None)


def test_the_other_strand_is_that_of_the_letters_that_are_kept(learned):
    tokenizer = learned("ACGT")
    cut = RecordTokenizer(tokenizer, Encode(reverse_complement="augment", block_size=3, truncate="left"))
    assert spell(tokenizer, cut(record("ACGTT")).reverse_ids) == "AAC"


@pytest.mark.parametrize(
    ("sequence", "problem"),
    [
        ("MKLV", "letter 3 of the sequence is 'L', expected a nucleotide code, one of ACGTUWSMKRYBDHVN-"),
        (["a", "gej"], "found the token 'gej', expected single letters"),
    ],
)
def test_what_is_no_nucleic_acid_has_no_other_strand(acgt, refusal, sequence, problem):
    message = refusal(RecordTokenizer(acgt, BOTH_STRANDS), record(sequence))
    hint = "encode.reverse_complement is for DNA and RNA"
    assert message == f"table.tsv, line 2: 's' has no reverse complement, {problem}; {hint}"


def test_tokens_of_several_letters_are_merged_as_the_letters_that_replace_them(learned):
    tokenizer = learned(*["a,gej,a,gej,c"] * 5, token_sep=",", type="bpe", atomic_replacements={"gej": "E"})
    tokens = RecordTokenizer(tokenizer, Encode())(record(["a", "gej", "a", "gej", "c"]))
    assert (tokens.sequence, spell(tokenizer, tokens.input_ids), tokens.offsets.tolist()) == ("aEaEc", "aEaEc", [[0, 5]])
    # In text without separators the same tokens are found where they stand, three letters long.
    assert tokenizer.encode("agejc", add_special_tokens=False).offsets[-1][1] == 5
    assert letters_for_tokens(tokenizer) == {"gej": "E"}


def test_tokens_of_several_letters_are_cut_with_all_their_letters(learned):
    tokenizer = learned(*["gejaggejc"] * 5, type="bpe", max_token_length=1, atomic_replacements={"gej": "E"})
    for truncate, expected in (("right", ("geja", [[0, 3], [3, 4]])), ("left", ("gejc", [[5, 8], [8, 9]]))):
        tokens = RecordTokenizer(tokenizer, Encode(block_size=2, truncate=truncate))(record("gejaggejc"))
        assert (tokens.sequence, tokens.offsets.tolist()) == expected


@pytest.mark.parametrize("sequence", ["aEc", ["a", "E", "c"]])
def test_a_letter_that_replaces_a_token_is_no_letter_of_a_sequence(learned, refusal, sequence):
    tokenizer = learned("agejc", type="bpe", atomic_replacements={"gej": "E"})
    hint = "tokenizer.atomic_replacements must give a letter that the data do not have"
    assert refusal(RecordTokenizer(tokenizer, Encode()), record(sequence)) == (
        f"table.tsv, line 2: found 'E', the letter that replaces 'gej'; {hint}"
    )


def slow_kept_range(ids: list[int], block_size: int, truncate: str, center: int | None) -> tuple[int, int]:
    """Grow a window a token at a time: to the side with less context, left first, as long as there is room."""
    if len(ids) <= block_size:
        return 0, len(ids)
    if center not in ids:
        return (0, block_size) if truncate == "right" else (len(ids) - block_size, len(ids))
    first = ids.index(center)
    start, stop = first, first + 1
    while stop - start < block_size:
        left, right = first - start, stop - first - 1
        if start > 0 and (left <= right or stop == len(ids)):
            start -= 1
        else:
            stop += 1
    return start, stop


@given(
    st.lists(st.integers(7, 9), max_size=25),
    st.integers(1, 30),
    st.sampled_from(["right", "left"]),
    st.sampled_from([None, 7, 10]),
)
def test_the_kept_range_is_that_of_a_window_grown_token_by_token(ids, block_size, truncate, center):
    start, stop = kept_range(np.array(ids, dtype=np.int32), block_size, truncate, center)
    assert (start, stop) == slow_kept_range(ids, block_size, truncate, center)
    assert stop - start == min(len(ids), block_size)
