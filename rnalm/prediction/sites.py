"""Tracks ─► the most probable sites of each split, and how many of them are true."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rnalm.files import replacing
from rnalm.prediction.tracks import Track

#: The standard genetic code, by codons in the order of TCAG.
CODE = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
CODONS = {
    a + b + c: CODE[16 * i + 4 * j + k]
    for i, a in enumerate("TCAG")
    for j, b in enumerate("TCAG")
    for k, c in enumerate("TCAG")
}
NUCLEIC = frozenset("ACGTNRYSWKMBDHV")

#: Columns of ``sites.csv``; names that TIS Transformer has are its own, in which ``pos_on_tr`` begins at 1.
COLUMNS = (
    *("output_rank", "top_k", "split", "tr_ID", "position", "pos_on_tr", "output", "target", "tr_len", "TIS_on_tr"),
    *("tr_has_target", "dist_from_target", "frame_wrt_target", "codon", "orf_length", "prot_len", "prot"),
)


def begins(letters: str, motif: str | None) -> np.ndarray:
    """Tell at which positions a motif begins.

    Parameters
    ----------
    letters : str
        A sequence.
    motif : str or None
        Letters, of which N is any, and U and T are the same; None: everywhere.

    Returns
    -------
    numpy.ndarray
        bool ``(length,)``

    Examples
    --------
    >>> begins("CATGAUG", "AUG").nonzero()[0].tolist()
    [1, 4]
    """
    found = np.ones(len(letters), dtype=bool)
    if motif is None:
        return found
    coded = np.frombuffer(letters.replace("U", "T").encode("latin-1", "replace"), dtype=np.uint8)
    for offset, letter in enumerate(motif.upper().replace("U", "T")):
        same, left = np.zeros(len(letters), dtype=bool), max(0, len(letters) - offset)
        same[:left] = (coded[offset:] == ord(letter)) | (letter == "N")
        found &= same
    return found


@dataclass
class Site:
    """A position that is listed.

    Attributes
    ----------
    output : float
        Its probability.
    order : tuple of int
        Number of its sequence, and its position: what decides among equals.
    track : Track
        Its sequence.
    truth : numpy.ndarray or None
        Which tokens of that are sites: 1, 0 or NaN ``(length,)``; None where none is known.
    """

    output: float
    order: tuple[int, int]
    track: Track = field(repr=False)
    truth: np.ndarray | None = field(repr=False)

    @property
    def target(self) -> float:
        """Whether it is a true site: 1, 0, or NaN where it is not known."""
        return np.nan if self.truth is None else float(self.truth[self.order[1]])


class Best:
    """Keeps the most probable sites of each split, of sequences that come one after the other.

    Parameters
    ----------
    wanted : mapping of str or None to int
        How many of each split.
    motif : str or None
        What begins at a site; None: anything.
    """

    def __init__(self, wanted: dict[str | None, int], motif: str | None) -> None:
        self.wanted, self.motif = wanted, motif
        self.sites: dict[str | None, list[Site]] = {split: [] for split in wanted}
        self.least = dict.fromkeys(wanted, -np.inf)  # what a further site must have
        self.count = 0

    def add(self, track: Track, own: np.ndarray, truth: np.ndarray | None) -> None:
        """Keep what is among the best of the sequences until now.

        Parameters
        ----------
        track : Track
            The next sequence.
        own : numpy.ndarray
            The probability of each of its tokens to be a site ``(length,)``.
        truth : numpy.ndarray or None
            Which of its tokens are: 1, 0 or NaN ``(length,)``; None where none is known.
        """
        most = self.wanted[track.split]
        at = np.flatnonzero(begins(track.letters, self.motif) & (own >= self.least[track.split]))
        at = at[np.argsort(-own[at], kind="stable")[:most]]
        kept = self.sites[track.split]
        kept += [Site(float(own[position]), (self.count, int(position)), track, truth) for position in at]
        self.count += 1
        if len(kept) > 2 * most + 1000:
            self.sites[track.split] = _first(kept, most)
            self.least[track.split] = self.sites[track.split][-1].output

    def ranked(self) -> Iterator[tuple[str | None, list[Site]]]:
        """Give the sites of each split, the most probable first; of equals, those that come first.

        Yields
        ------
        split : str or None
            Its name.
        sites : list of Site
            As many as are wanted, if there are.
        """
        for split, kept in self.sites.items():
            yield split, _first(kept, self.wanted[split])


def _first(sites: list[Site], most: int) -> list[Site]:
    return sorted(sites, key=lambda site: (-site.output, site.order))[:most]


def write(best: Best, per_split: dict[str | None, int], output: str | Path) -> None:
    """Write ``sites.csv``.

    Parameters
    ----------
    best : Best
        The sites.
    per_split : mapping of str or None to int
        How many sites of each split are taken for one round: its true ones.
    output : path
        The file: one row a site, the most probable of each split first.
    """
    with replacing(output) as temporary, open(temporary, "w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for split, sites in best.ranked():
            on_each = Counter(site.order[0] for site in sites)
            for rank, site in enumerate(sites, start=1):
                writer.writerow(_row(site, rank, -(-rank // per_split[split]), on_each[site.order[0]]))


def _row(site: Site, rank: int, round_of: int, on_sequence: int) -> Iterable:
    """Say of a site what its sequence tells."""
    track, position = site.track, site.order[1]
    targets = np.flatnonzero(site.truth == 1) if site.truth is not None else np.zeros(0, dtype=int)
    label = "" if np.isnan(site.target) else int(site.target)
    distance = frame = ""
    if len(targets):
        distance = int(position - targets[np.abs(targets - position).argmin()])
        frame = distance % 3
    yield from (rank, round_of, track.split or "", track.id, position, position + 1, f"{site.output:.7g}", label)
    yield from (len(track.letters), on_sequence, "" if site.truth is None else int(len(targets) > 0), distance, frame)
    yield from reading(track.letters, position)


def reading(letters: str, position: int) -> tuple[str, int | str, int | str, str]:
    """Translate from a position to the next stop.

    Parameters
    ----------
    letters : str
        A sequence.
    position : int
        Where the first codon begins.

    Returns
    -------
    codon : str
        That at the position.
    orf_length : int or str
        Nucleotides to the stop, which is counted, or else to the last whole codon.
    prot_len : int or str
        Amino acids.
    prot : str
        Letters of these; codons with unknown letters are X. The first codon is M, where it is translated at all. All are empty
        where the sequence is no nucleic acid.

    Examples
    --------
    >>> reading("CATGAAATAAC", 1)
    ('ATG', 9, 2, 'MK')
    """
    written, letters = letters, letters.replace("U", "T")
    if not NUCLEIC.issuperset(letters):
        return "", "", "", ""
    codons = [letters[start : start + 3] for start in range(position, len(letters) - 2, 3)]
    protein = "".join(CODONS.get(codon, "X") for codon in codons)
    whole, stop, _ = protein.partition("*")
    return written[position : position + 3], 3 * (len(whole) + len(stop)), len(whole), "M" + whole[1:] if whole else ""
