"""Merged scores ─► what models read in sequences: k-mers, seqlets and motifs, as tables."""

import csv
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from rnalm.files import replacing
from rnalm.scoring import meme, seqlets
from rnalm.scoring.kmers import Kmers
from rnalm.scoring.lines import REGIONS, Line, Reader, spelled
from rnalm.scoring.motifs import MOST_SYMBOLS, Motif, Sites
from rnalm.scoring.seqlets import Chance, Seqlet

log = logging.getLogger(__name__)

#: Stands for any nucleotide: motifs are made of the others.
ANY = {"n", "N"}
#: Columns of seqlets, behind those that say what they are of.
SEQLET = ("start", "end", "effect", "p", "letters")


def find_patterns(
    scores: str | Path, encoded: str | Path, tokenizer: str | Path, outputs: Sequence[str | Path], sense: int = -1
) -> None:
    """Write what models read in sequences, the effects on one prediction in memory at a time.

    Parameters
    ----------
    scores, encoded, tokenizer, sense
        As for :class:`rnalm.scoring.lines.Reader`.
    outputs : sequence of path
        Files in the order of :data:`rnalm.config.contract.PATTERNS`.

    Raises
    ------
    RnalmError
        If the sequences are not those of the scores.
    """
    to_kmers, to_seqlets, to_motifs, to_matrices, to_meme = outputs
    reader = Reader(scores, encoded, tokenizer, sense)
    text, found = _Text(reader), reader.survey
    kmers = Kmers(found)
    chance = {name: Chance(found.largest, seqlets.orders(found.rows)) for name in found.classes}
    for _, lines in groupby(_counted(reader, text, chance), lambda line: line.sequence):
        kmers.add(lines)
    with replacing(to_kmers) as temporary:
        kmers.table().to_csv(temporary, index=False)
    sites = Sites(found.classes)
    with replacing(to_seqlets) as temporary:
        _write_seqlets(temporary, reader, text, chance, sites)
    motifs = text.motifs(sites)
    with replacing(to_motifs) as temporary:
        _motifs(motifs, text, kmers.named).to_csv(temporary, index=False)
    with replacing(to_matrices) as temporary:
        _matrices(motifs, text, kmers.named).to_csv(temporary, index=False)
    with replacing(to_meme) as temporary:
        temporary.write_text(meme.write(motifs, text.symbols, text.frequencies), encoding="utf-8")


def _counted(reader: Reader, text: "_Text", chance: dict[str, Chance]) -> Iterator[Line]:
    """Go through lines, and count the spans of each whose effects change places."""
    for line in reader.lines():
        chance[line.explained].add(line, text.spelled)
        yield line


class _Text:
    """What seqlets and motifs consist of: letters where tokens can be spelled, else tokens."""

    def __init__(self, reader: Reader) -> None:
        found = reader.survey
        self.tokens, self.spells = found.symbols, found.spelled and not found.lettered
        self.joint = "" if found.spelled or found.lettered else " "
        letters = sorted({letter for token in self.tokens for letter in token} if self.spells else self.tokens)
        known = [letter for letter in letters if letter not in ANY]
        nucleotides = {letter.upper() for letter in known} <= set("ACGTU")
        self.symbols = known if nucleotides else letters
        self.unknown = next((letter for letter in letters if letter not in self.symbols), "?")
        self.numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        self.renumbered = np.array([self.numbers.get(token, -1) for token in [*self.tokens, ""]])
        self.counts = np.zeros(len(self.symbols))

    @property
    def frequencies(self) -> list[float]:
        """How often each symbol stands in what was counted."""
        return (self.counts / max(1.0, self.counts.sum())).tolist()

    def spelled(self, line: Line) -> Line:
        """Give the effects of tokens to what motifs consist of."""
        if self.spells:
            return spelled(line, self.tokens, self.numbers)
        return replace(line, symbols=self.renumbered[line.symbols])

    def count(self, line: Line) -> None:
        """Count the symbols of a line."""
        self.counts += np.bincount(line.symbols[line.symbols >= 0], minlength=len(self.counts))

    def written(self, line: Line, seqlet: Seqlet) -> str:
        """Write the letters of a seqlet."""
        numbers = line.symbols[seqlet.first : seqlet.after].tolist()
        return self.joint.join(self.symbols[number] if number >= 0 else self.unknown for number in numbers)

    def motifs(self, sites: Sites) -> list[Motif]:
        """Group seqlets, and log how many there are."""
        if len(self.symbols) > MOST_SYMBOLS:
            log.info("motifs are of %d different letters or tokens at most; there are %d, and no motifs", *self._too_many)
            return []
        found = sites.motifs(len(self.symbols))
        grouped = sum(len(motif.sites) for motif in found)
        log.info("%d motifs have %d seqlets in them; %d weaker seqlets were not grouped", len(found), grouped, sites.passed)
        return found

    @property
    def _too_many(self) -> tuple[int, int]:
        return MOST_SYMBOLS, len(self.symbols)


def _write_seqlets(path: Path, reader: Reader, text: _Text, chance: dict[str, Chance], sites: Sites) -> None:
    """Write the seqlets of all lines, and keep the strongest for motifs."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*reader.about, *SEQLET])
        for line in map(text.spelled, reader.lines()):
            text.count(line)
            own = seqlets.find(line, chance[line.explained])
            sites.add(line, own)
            for one in own:
                bounds = line.starts[one.first], line.ends[one.after - 1]
                writer.writerow([*reader.about_line(line), *bounds, one.effect, one.p, text.written(line, one)])


def _motifs(motifs: Sequence[Motif], text: _Text, named: bool) -> pd.DataFrame:
    """Tabulate motifs, one a row."""
    rows = [
        {
            **{"motif": motif.name, "class": motif.explained},
            **{"consensus": meme.consensus(motif, text.symbols, text.joint), "seqlets": len(motif.sites)},
            **{"sequences": motif.sequences, "effect": motif.effect},
            **dict(zip(REGIONS, motif.regions, strict=True)),
        }
        for motif in motifs
    ]
    columns = ["motif", *(["class"] if named else []), "consensus", "seqlets", "sequences", "effect", *REGIONS]
    return pd.DataFrame(rows, columns=columns)


def _matrices(motifs: Sequence[Motif], text: _Text, named: bool) -> pd.DataFrame:
    """Tabulate the matrices of motifs: a row for each place and letter."""
    rows = [
        {
            **{"motif": motif.name, "class": motif.explained, "position": position, "letter": letter},
            **{"share": counts[number] / max(1, counts.sum()), "effect": motif.effects[position, number]},
        }
        for motif in motifs
        for position, counts in enumerate(motif.counts)
        for number, letter in enumerate(text.symbols)
    ]
    columns = ["motif", *(["class"] if named else []), "position", "letter", "share", "effect"]
    return pd.DataFrame(rows, columns=columns)
