"""Motifs ─► the minimal format of the MEME suite, which most tools for motifs read."""

import re
from collections.abc import Sequence
from urllib.parse import quote

import numpy as np

from rnalm.scoring.motifs import Motif

#: Alphabets that the format has names for, or letters alone; of other ones each letter stands in a line.
ALPHABETS = ("ACGT", "ACGU", "ACDEFGHIKLMNPQRSTVWY")


def spelling(symbols: Sequence[str]) -> dict[str, str] | None:
    """Say how letters are written in the format, or that they cannot be; None.

    Parameters
    ----------
    symbols : sequence of str
        Letters of motifs; of nucleotides N is none, as it stands for any.

    Returns
    -------
    dict or None
        Alphabet and, for each letter, its own: in upper case where no two letters are alike then.

    Examples
    --------
    >>> spelling(["t", "g"]), spelling(["ac", "g"])
    ({'t': 'T', 'g': 'G'}, None)
    """
    upper = [symbol.upper() for symbol in symbols]
    written = upper if len(set(upper)) == len(upper) else list(symbols)
    fit = all(len(letter) == 1 and letter.isascii() and letter.isalnum() for letter in written)
    return dict(zip(symbols, written, strict=True)) if fit and written else None


def write(motifs: Sequence[Motif], symbols: Sequence[str], frequencies: Sequence[float]) -> str:
    """Write motifs.

    Parameters
    ----------
    motifs : sequence of Motif
        From :func:`rnalm.scoring.motifs.group`.
    symbols : sequence of str
        What the columns of their matrices are.
    frequencies : sequence of float
        How often each stands in the sequences.

    Returns
    -------
    str
        Without motifs, where :func:`spelling` has no letters for the symbols.
    """
    own = spelling(symbols)
    if own is None:
        return "MEME version 4\n"
    letters = [own[symbol] for symbol in symbols]
    alphabet = next((list(known) for known in ALPHABETS if set(letters) <= set(known)), sorted(letters))
    columns = [letters.index(letter) if letter in letters else None for letter in alphabet]
    background = _ordered(np.asarray(frequencies, float)[None], columns)[0]
    lines = ["MEME version 4", "", *_alphabet("".join(alphabet)), "", "strands: +", "", "Background letter frequencies"]
    lines.append(" ".join(f"{letter} {share:.6f}" for letter, share in zip(alphabet, background, strict=True)))
    for motif in motifs:
        table = _ordered(motif.counts.astype(float), columns)
        lines += ["", f"MOTIF {motif.name}{_of(motif.explained)} {consensus(motif, letters)}"]
        lines.append(f"letter-probability matrix: alength= {len(alphabet)} w= {len(table)} nsites= {len(motif.sites)} E= 0")
        lines += [" " + " ".join(f"{share:.6f}" for share in row) for row in table]
    return "\n".join(lines) + "\n"


def consensus(motif: Motif, letters: list[str], joint: str = "") -> str:
    """Write the most frequent letter at each place of a motif.

    Parameters
    ----------
    motif : Motif
        The motif.
    letters : list of str
        What the columns of its matrices are.
    joint : str
        What stands between letters.
    """
    return joint.join(letters[number] for number in motif.counts.argmax(axis=1))


def _alphabet(letters: str) -> list[str]:
    if letters in ALPHABETS:
        return [f"ALPHABET= {letters}"]
    return ['ALPHABET "letters"', *letters, "END ALPHABET"]


def _of(explained: str) -> str:
    """Name the class behind the name of a motif, which must not have spaces: these are escaped as in addresses."""
    return ":" + re.sub(r"[\s%]", lambda found: quote(found[0]), explained) if explained else ""


def _ordered(counts: np.ndarray, columns: Sequence[int | None]) -> np.ndarray:
    """Put shares of letters in the order of the alphabet; where no letter is known, all are alike."""
    table = np.stack([np.zeros(len(counts)) if column is None else counts[:, column] for column in columns], axis=1)
    total = table.sum(axis=1, keepdims=True)
    return np.where(total > 0, table / np.maximum(total, 1e-300), 1 / len(columns))
