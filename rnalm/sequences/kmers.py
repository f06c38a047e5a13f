"""Sequences ─► which k-mers they share."""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csr_array

from rnalm.errors import RnalmError
from rnalm.sequences.strands import is_nucleic, reverse_complement

log = logging.getLogger(__name__)

#: Default k of nucleotides and of anything else. Of random letters, two sequences of 10,000 nucleotides share 0.03 % of their
#: 13-mers, two proteins of 1,000 amino acids 0.03 % of their 5-mers.
K_NUCLEIC, K_OTHER = 13, 5

#: Sequences with a larger share of letters that are no nucleotide codes are no nucleic acids. Of the letters of proteins, a
#: quarter are none (E, F, I, L, P and Q).
FOREIGN = 0.05

#: So many letters are spelled as numbers at a time, which bounds memory.
LETTERS = 2**22


def sets(sequences: Sequence[Sequence[str]], k: int | None = None) -> tuple[csr_array, np.ndarray, np.ndarray]:
    """Find the set of k-mers of each sequence.

    Where nearly all letters are IUPAC nucleotide codes, a k-mer and its reverse complement are one, case is ignored and U is T;
    other letters stand for themselves on both strands. Anything else, proteins and tokens of several letters, is taken as it
    is. A sequence shorter than k is one k-mer.

    Parameters
    ----------
    sequences : sequence of str or of lists of str
        Letters or tokens.
    k : int, optional
        Letters or tokens in a k-mer; by default 13 for nucleotides and 5 for anything else, or what fits.

    Returns
    -------
    scipy.sparse.csr_array
        int32 ``(distinct sequences, kmers)``: 1 where a sequence has a k-mer, of those k-mers that several have.
    numpy.ndarray
        int64 ``(distinct sequences,)``: the size of each one's set, with k-mers that no other has.
    numpy.ndarray
        int64 ``(sequences,)``: which distinct sequence each is.

    Raises
    ------
    RnalmError
        If ``k`` is out of range: k-mers must fit into 63 bits, which for A, C, G and T allows k up to 27.
    """
    texts, complement, base = _spell(sequences)
    log.info("k-mers of %s", "letters or tokens, on one strand" if complement is None else "nucleotides, of both strands")
    # 0 is no digit of a letter, so that k-mers shorter than k have numbers of their own.
    most = next(k for k in range(63, 0, -1) if base**k <= 2**63)
    if k is None:
        k = min(K_OTHER if complement is None else K_NUCLEIC, most)
    if not 1 <= k <= most:
        raise RnalmError(f"k: found {k}, expected 1 to {most}, the most that {base - 1} different letters allow")
    first: dict[str, int] = {}
    number = np.array([first.setdefault(text, len(first)) for text in texts], dtype=np.int64)
    return *_content(list(first), complement, base, k), number


def _spell(sequences: Sequence[Sequence[str]]) -> tuple[list[str], np.ndarray | None, int]:
    """Write sequences in characters whose code points are digits, from 1; 0 is free.

    Returns
    -------
    list of str
        The sequences, a character for each of their letters or tokens.
    numpy.ndarray or None
        The digit of each digit's complement ``(base,)``; None where sequences are no nucleic acids.
    int
        The base: one more than the highest digit.
    """
    letters: set[str] = set().union(*sequences)
    nucleic = _nucleic(sequences, letters)
    plain = {letter: letter.upper().replace("U", "T") if nucleic else letter for letter in letters}
    complements = {letter: _complement(letter) for letter in plain.values()} if nucleic else {}
    order = sorted({*plain.values(), *complements.values()})
    digit = {letter: number for number, letter in enumerate(order, start=1)}
    spelling = {letter: chr(digit[same]) for letter, same in plain.items()}
    if all(len(letter) == 1 for letter in letters):
        table = str.maketrans(spelling)
        texts = ["".join(sequence).translate(table) for sequence in sequences]
    else:
        texts = ["".join(map(spelling.__getitem__, sequence)) for sequence in sequences]
    complement = np.array([0, *(digit[_complement(letter)] for letter in order)]) if nucleic else None
    return texts, complement, len(order) + 1


def _nucleic(sequences: Sequence[Sequence[str]], letters: set[str]) -> bool:
    """Say whether sequences are nucleic acids, in which a few letters may be something else, such as X or I."""
    others = [letter for letter in letters if not is_nucleic(letter)]
    if any(len(letter) != 1 for letter in letters):
        return False
    foreign = sum(sequence.count(letter) for letter in others for sequence in sequences)
    return foreign <= FOREIGN * sum(map(len, sequences))


def _complement(letter: str) -> str:
    """Give the complement of a nucleotide, as DNA; any other letter is its own."""
    return reverse_complement(letter, rna=False) if is_nucleic(letter) else letter


def _content(texts: list[str], complement: np.ndarray | None, base: int, k: int) -> tuple[csr_array, np.ndarray]:
    """Find which sequences have which k-mers, of those that several have, and how many distinct ones each has in all.

    Takes what :func:`_spell` gives for distinct sequences, and returns the first two of :func:`sets`.
    """
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    counts = np.maximum(lengths - k, 0) + 1
    blocks = np.split(np.arange(len(texts)), np.flatnonzero(np.diff(np.cumsum(counts) // LETTERS)) + 1)
    words = [_words([texts[i] for i in block], lengths[block], complement, base, k) for block in blocks]
    words, owner = np.concatenate(words), np.repeat(np.arange(len(texts), dtype=np.int32), counts)
    order = np.argsort(words, kind="stable")  # those of one number stay in the order of their sequences
    words, owner = words[order], owner[order]
    del order
    is_new = changes(words)
    distinct = is_new | changes(owner)
    del words
    owner, is_new = owner[distinct], is_new[distinct]
    sizes = np.bincount(owner, minlength=len(texts))
    holders = np.diff(np.flatnonzero(is_new), append=len(owner))
    owner = owner[np.repeat(holders > 1, holders)]
    starts = np.concatenate(([0], np.cumsum(holders[holders > 1])))
    postings = csr_array((np.ones(len(owner), np.int32), owner, starts), shape=(len(starts) - 1, len(texts)))
    return postings.T.tocsr(), sizes


def _words(texts: list[str], lengths: np.ndarray, complement: np.ndarray | None, base: int, k: int) -> np.ndarray:
    """Spell all k-mers, one sequence after the other, as numbers: int64 ``(kmers,)``.

    The first of a sequence shorter than k is the whole of it: zeros before it leave its number as it is.
    """
    text = "".join(text.rjust(k, "\0") for text in texts)
    digits = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
    widths = np.maximum(lengths, k)
    counts = widths - k + 1
    firsts = np.cumsum(counts) - counts
    places = np.arange(counts.sum()) + np.repeat(np.cumsum(widths) - widths - firsts, counts)

    def numbers(digits: np.ndarray, positions: Iterable[int]) -> np.ndarray:
        # Reads k digits at each place as one number, the first of the positions as its highest digit.
        number = np.zeros(max(0, len(digits) - k + 1), dtype=np.int64)
        for position in positions:
            number *= base
            number += digits[position : position + len(number)]
        return number[places]

    forward = numbers(digits, range(k))
    if complement is None:
        return forward
    backward = numbers(complement[digits], reversed(range(k)))
    backward[firsts] //= base ** np.maximum(k - lengths, 0)
    return np.minimum(forward, backward)


def changes(values: np.ndarray) -> np.ndarray:
    """Say of each value whether it differs from the one before; the first does.

    Parameters
    ----------
    values : numpy.ndarray
        ``(n,)``

    Returns
    -------
    numpy.ndarray
        bool ``(n,)``
    """
    return np.append(True, values[1:] != values[:-1])[: len(values)]
