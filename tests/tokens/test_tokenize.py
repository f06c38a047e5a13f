from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.config import Encode, Table, Tokenizer
from rnalm.sequences.records import Record
from rnalm.sequences.strands import reverse_complement
from rnalm.tokens import learn
from rnalm.tokens.tokenize import RecordTokenizer, kept_range
from rnalm.tokens.tokenizer import letters_for_tokens

SUBWORDS = {
    "bpe": Tokenizer(type="bpe", vocab_size=40),
    "unigram": Tokenizer(type="unigram", vocab_size=60),
    "kmer": Tokenizer(type="kmer", k=3),
    "kmer, stride 2": Tokenizer(type="kmer", k=3, stride=2),
}


def record(sequence, name: str = "s") -> Record:
    return Record("table.tsv, line 2", name, sequence, None, None, None, None, None)


@pytest.fixture(scope="module")
def subwords(tmp_path_factory):
    """A tokenizer of each kind, of the same random sequences."""
    path = tmp_path_factory.mktemp("subwords") / "table.tsv"
    draw = np.random.default_rng(0)
    rows = ["".join(draw.choice(list("ACGT"), 60)) for _ in range(40)]
    path.write_text("id\tsequence\n" + "".join(f"s{i}\t{row}\n" for i, row in enumerate(rows)))
    source = Table(path=str(path), columns={"id": 1, "sequence": 2})
    return {name: learn.learn(source, options) for name, options in SUBWORDS.items()}


DNA = st.text("ACGTN", min_size=1, max_size=50)


@given(st.sampled_from(sorted(SUBWORDS)), DNA)
def test_positions_are_those_of_the_letters_that_a_token_stands_for(subwords, kind, text):
    tokenizer = subwords[kind]
    found = RecordTokenizer(tokenizer, Encode())(record(text))
    assert found.sequence == text
    for index, (start, end) in zip(found.input_ids, found.offsets, strict=True):
        token = tokenizer.id_to_token(int(index)).removeprefix("▁")
        assert token in ("[UNK]", text[start:end], "")


@given(st.sampled_from(["bpe", "unigram"]), DNA)
def test_pieces_side_by_side_cover_the_sequence(subwords, kind, text):
    found = RecordTokenizer(subwords[kind], Encode())(record(text))
    spans = [(start, end) for start, end in found.offsets.tolist() if end > start]
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert all(before[1] == after[0] for before, after in pairwise(spans))


@given(st.integers(3, 50), st.sampled_from([("kmer", 1), ("kmer, stride 2", 2)]))
def test_there_is_a_kmer_wherever_one_fits(subwords, length, kind):
    name, stride = kind
    found = RecordTokenizer(subwords[name], Encode())(record("A" * length))
    assert found.offsets.tolist() == [[start, start + 3] for start in range(0, length - 2, stride)]


def test_a_sequence_shorter_than_a_kmer_is_one_unknown_token(subwords):
    found = RecordTokenizer(subwords["kmer"], Encode())(record("AC"))
    assert (found.input_ids.tolist(), found.offsets.tolist()) == ([0], [[0, 2]])


@given(st.sampled_from(sorted(SUBWORDS)), DNA, st.integers(1, 12), st.sampled_from(["left", "right"]))
def test_a_cut_sequence_keeps_positions_of_the_whole_and_the_letters_of_its_tokens(subwords, kind, text, size, side):
    whole = RecordTokenizer(subwords[kind], Encode())(record(text))
    cut = RecordTokenizer(subwords[kind], Encode(block_size=size, truncate=side))(record(text))
    kept = slice(0, size) if side == "right" else slice(max(0, whole.total - size), None)
    assert cut.input_ids.tolist() == whole.input_ids[kept].tolist()
    assert cut.offsets.tolist() == whole.offsets[kept].tolist()
    first = cut.offsets[0, 0] if side == "left" and cut.start else 0
    assert cut.sequence == text[first : cut.offsets[-1, 1] if size < whole.total and side == "right" else None]


@given(st.sampled_from(sorted(SUBWORDS)), DNA)
def test_the_other_strand_is_tokenized_like_any_sequence(subwords, kind, text):
    both = RecordTokenizer(subwords[kind], Encode(reverse_complement="average"))
    found, other = both(record(text)), both(record(reverse_complement(text, rna=False)))
    assert found.reverse_ids.tolist() == other.input_ids.tolist()
    assert other.reverse_ids.tolist() == found.input_ids.tolist()


def test_the_other_strand_of_rna_is_rna(write_source):
    tokenizer = learn.learn(write_source("id\tsequence\na\tACGU\n"))
    found = RecordTokenizer(tokenizer, Encode(reverse_complement="augment"))(record("AACU"))
    assert [tokenizer.id_to_token(int(index)) for index in found.reverse_ids] == list("AGUU")


@pytest.mark.parametrize(
    ("known", "sequence", "expected"),
    [
        ("ACGUNI.*", "GAUC", "GAUC"),
        ("ACGTNI.*", "GATC", "GATC"),
        ("ACGUNI.*", "GAC", "GUC"),
        ("ACGTU", "GAUC", "GAUC"),
        ("ACGTU", "GATC", "GATC"),
        ("ACGTU", "GAC", "GTC"),
        ("acgtACGU", "GAUc", "gAUC"),
    ],
)
def test_the_letters_of_a_sequence_say_whether_its_other_strand_has_u(write_source, known, sequence, expected):
    tokenizer = learn.learn(write_source(f"id\tsequence\na\t{known}\n"))
    found = RecordTokenizer(tokenizer, Encode(reverse_complement="augment"))(record(sequence))
    assert [tokenizer.id_to_token(int(index)) for index in found.reverse_ids] == list(expected)


def test_tokens_of_several_letters_do_not_say_what_an_atomic_vocabulary_is(write_source):
    tokenizer = learn.learn(write_source("id\tsequence\na\tA,C,G,U,tRNA\n", token_sep=","))
    assert RecordTokenizer(tokenizer, Encode(reverse_complement="augment")).of_rna("GAC")


def test_what_is_kept_of_a_sequence_does_not_hold_the_rest_in_memory(subwords):
    for truncate in ("left", "right"):
        options = Encode(block_size=3, truncate=truncate, reverse_complement="augment")
        found = RecordTokenizer(subwords["kmer"], options)(record("ACGT" * 10))
        for array in (found.input_ids, found.offsets, found.reverse_ids):
            assert len(array) == 3
            assert array.base is None


def test_the_other_strand_is_that_of_the_letters_that_are_kept(write_source):
    tokenizer = learn.learn(write_source("id\tsequence\na\tACGT\n"))
    found = RecordTokenizer(tokenizer, Encode(reverse_complement="augment", block_size=3, truncate="left"))(record("ACGTT"))
    assert [tokenizer.id_to_token(int(index)) for index in found.reverse_ids] == list("AAC")


@pytest.mark.parametrize(
    ("sequence", "problem"),
    [
        ("MKLV", "letter 3 of the sequence is 'L', expected a nucleotide code, one of ACGTUWSMKRYBDHVN-"),
        (["a", "gej"], "found the token 'gej', expected single letters"),
    ],
)
def test_what_is_no_nucleic_acid_has_no_other_strand(write_source, refusal, sequence, problem):
    tokenizer = learn.learn(write_source("id\tsequence\na\tACGT\n"))
    message = refusal(RecordTokenizer(tokenizer, Encode(reverse_complement="augment")), record(sequence))
    hint = "encode.reverse_complement is for DNA and RNA"
    assert message == f"table.tsv, line 2: 's' has no reverse complement, {problem}; {hint}"


def test_tokens_of_several_letters_are_merged_as_the_letters_that_replace_them(write_source):
    rows = "id\tsequence\n" + "".join(f"s{i}\ta,gej,a,gej,c\n" for i in range(5))
    source = write_source(rows, token_sep=",")
    tokenizer = learn.learn(source, Tokenizer(type="bpe", atomic_replacements={"gej": "E"}))
    found = RecordTokenizer(tokenizer, Encode())(record(["a", "gej", "a", "gej", "c"]))
    assert found.sequence == "aEaEc"
    assert [tokenizer.id_to_token(int(index)) for index in found.input_ids] == ["aEaEc"]
    assert found.offsets.tolist() == [[0, 5]]
    # In text without separators the same tokens are found where they stand, three letters long.
    assert tokenizer.encode("agejc", add_special_tokens=False).offsets[-1][1] == 5
    assert letters_for_tokens(tokenizer) == {"gej": "E"}


def test_tokens_of_several_letters_are_cut_with_all_their_letters(write_source):
    source = write_source("id\tsequence\n" + "".join(f"s{i}\tgejaggejc\n" for i in range(5)))
    tokenizer = learn.learn(source, Tokenizer(type="bpe", max_token_length=1, atomic_replacements={"gej": "E"}))
    for truncate, expected in (("right", ("geja", [[0, 3], [3, 4]])), ("left", ("gejc", [[5, 8], [8, 9]]))):
        found = RecordTokenizer(tokenizer, Encode(block_size=2, truncate=truncate))(record("gejaggejc"))
        assert (found.sequence, found.offsets.tolist()) == expected


@pytest.mark.parametrize("sequence", ["aEc", ["a", "E", "c"]])
def test_a_letter_that_replaces_a_token_is_no_letter_of_a_sequence(write_source, refusal, sequence):
    source = write_source("id\tsequence\ns\tagejc\n")
    tokenizer = learn.learn(source, Tokenizer(type="bpe", atomic_replacements={"gej": "E"}))
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
