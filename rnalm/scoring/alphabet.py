"""Which letters a mutagenesis exchanges for each other."""

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer

from rnalm.errors import RnalmError, nearest
from rnalm.scoring.sites import JOINT
from rnalm.sequences.strands import is_nucleic
from rnalm.tokens.tokenizer import MARK, is_atomic, is_separated, plain_tokens

#: The bases, of DNA and RNA, and the amino acids of the genetic code.
BASES, AMINO_ACIDS = "ACGTU", "ACDEFGHIKLMNPQRSTVWY"

#: Amino acids that are no nucleotide code; a vocabulary with so many of them is one of proteins.
TELLING, LEAST_TELLING = "EFILPQ", 3


def alphabet(letters: Sequence[str] | None, tokenizer: Tokenizer, level: str, both_strands: bool = False) -> list[str]:
    """List the letters of a mutagenesis.

    Parameters
    ----------
    letters : sequence of str or None
        Those that the user names; None: the bases or amino acids that the vocabulary has, sorted, or all tokens, where these
        are separated from each other.
    tokenizer : tokenizers.Tokenizer
        The vocabulary.
    level : {'token', 'base'}
        What is exchanged.
    both_strands : bool
        Whether both strands are scored, so that each letter needs a complement.

    Raises
    ------
    RnalmError
        If tokens have several letters and are to be exchanged themselves, a letter is in no token or has no complement, or the
        vocabulary does not tell which letters are meant.

    Examples
    --------
    >>> from rnalm import config
    >>> from rnalm.tokens.learn import of_letters
    >>> alphabet(None, of_letters("tgcan", config.Tokenizer()), "token")
    ['a', 'c', 'g', 't']
    """
    tokens = plain_tokens(tokenizer)
    atomic = is_atomic(tokenizer)
    if not atomic and level == "token":
        problem = "interpret.modes: mutate exchanges letters, and tokens have several"
        raise RnalmError(f"{problem}; expected interpret.level: base")
    known = sorted(tokens if atomic else {letter for token in tokens for letter in token} - {MARK})
    chosen = list(letters) if letters else (known if is_separated(tokenizer) else _usual(known))
    for letter in chosen:
        if letter not in known:
            hint = nearest(letter, known, limit=30)
            raise RnalmError(f"interpret.mutate.letters: {letter!r} is not in the vocabulary; {hint}")
        if both_strands and not is_nucleic(letter):
            problem = f"{letter!r} is no nucleotide code, and has no complement"
            raise RnalmError(f"interpret.mutate.letters: {problem} (encode.reverse_complement: average)")
    return chosen


def _usual(known: Sequence[str]) -> list[str]:
    """Choose the bases or amino acids among the letters of a vocabulary."""
    upper = {letter.upper() for letter in known}
    proteins = len(upper.intersection(TELLING)) >= LEAST_TELLING
    chosen = [letter for letter in known if letter.upper() in set(AMINO_ACIDS if proteins else BASES)]
    meant = {letter.upper().replace("U", "T") for letter in chosen}
    if len(chosen) < 2 or len(meant) < len(chosen):
        found = f"found {', '.join(chosen)}" if len(meant) < len(chosen) else f"found {', '.join(known[:30])}"
        raise RnalmError(f"interpret.mutate.letters is missing: the vocabulary does not tell which letters are meant, {found}")
    return chosen


def check_joint(tokens: Iterable[str]) -> None:
    """Refuse tokens that could not be told from what stands between several of them.

    Parameters
    ----------
    tokens : iterable of str
        The vocabulary.

    Raises
    ------
    RnalmError
        If one holds a semicolon.
    """
    for token in tokens:
        if JOINT in token:
            raise RnalmError(f"interpret.mutate.bases: token {token!r} holds {JOINT!r}, which joins several; expected bases: 1")
