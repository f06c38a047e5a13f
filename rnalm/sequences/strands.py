"""The two strands of a nucleic acid: complements of the IUPAC nucleotide codes."""

from collections.abc import Iterable

from rnalm.errors import RnalmError

#: The IUPAC nucleotide codes and the gap, and under each its complement: the code of the complements of its bases.
#: Nomenclature Committee of the IUB, Eur. J. Biochem. 150, 1–5 (1985).
CODES = "ACGTUWSMKRYBDHVN-"
_DNA = "TGCAAWSKMYRVHDBN-"
_RNA = _DNA.replace("T", "U")

_KNOWN = frozenset(CODES + CODES.lower())
_COMPLEMENTS = {rna: str.maketrans(CODES + CODES.lower(), to + to.lower()) for rna, to in ((False, _DNA), (True, _RNA))}


def reverse_complement(sequence: str, rna: bool) -> str:
    """Write the other strand of a sequence, 5′ to 3′.

    Parameters
    ----------
    sequence : str
        IUPAC nucleotide codes and gaps; U and T both pair with A. Upper and lower case are kept.
    rna : bool
        Whether the complement of A is U; otherwise it is T.

    Returns
    -------
    str
        As long as ``sequence``.

    Raises
    ------
    RnalmError
        If a letter is no nucleotide code; it names the first such letter.

    Examples
    --------
    >>> reverse_complement("AACGn", rna=False)
    'nCGTT'
    >>> reverse_complement("AACG", rna=True)
    'CGUU'
    """
    if not is_nucleic(sequence):
        position, letter = next((i, letter) for i, letter in enumerate(sequence, start=1) if letter not in _KNOWN)
        raise RnalmError(f"letter {position} of the sequence is {letter!r}, expected a nucleotide code, one of {CODES}")
    return sequence.translate(_COMPLEMENTS[rna])[::-1]


def is_nucleic(letters: Iterable[str]) -> bool:
    """Say whether letters can be a nucleic acid: all are IUPAC nucleotide codes or gaps, in either case.

    They can be a protein all the same: A, C, G and T are amino acids, too.

    Parameters
    ----------
    letters : iterable of str
        A sequence, or the letters of many. A token of several letters is no nucleotide code.
    """
    return _KNOWN.issuperset(letters)


def mixes(letters: Iterable[str]) -> bool:
    """Say whether letters are nucleotides of which some are of DNA and some of RNA: both T and U are among them.

    Parameters
    ----------
    letters : iterable of str
        As for :func:`is_nucleic`.
    """
    distinct = set(letters)
    return is_nucleic(distinct) and not distinct.isdisjoint("Tt") and not distinct.isdisjoint("Uu")


def is_rna(letters: Iterable[str]) -> bool:
    """Say whether letters are those of RNA: nucleotide codes with a U among them and no T, in either case.

    Parameters
    ----------
    letters : iterable of str
        As for :func:`is_nucleic`.
    """
    distinct = set(letters)
    return is_nucleic(distinct) and not distinct.isdisjoint("Uu") and distinct.isdisjoint("Tt")
