"""What models see of an allele: a window around it, or the transcript in which it is."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from string import ascii_uppercase
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from rnalm.config import Encode
from rnalm.config.variants import OnTranscripts, Variants
from rnalm.errors import RnalmError, nearest
from rnalm.sequences.contigs import Reference
from rnalm.sequences.edited import Change, NoWindow, Window, windows
from rnalm.sequences.spliced import Exons
from rnalm.sequences.transcripts import Transcript
from rnalm.tokens.tokenize import kept_range
from rnalm.tokens.tokenizer import plain_tokens, special_ids

#: Transcripts whose marks are kept.
KEPT = 2**10


def change_of(allele: Mapping[str, Any]) -> Change:
    """Read what an allele changes.

    Parameters
    ----------
    allele : mapping
        A row of the list of alleles.
    """
    return Change(allele["start"], allele["goes"], allele["comes"])


class GenomeView:
    """Windows of a genome.

    Parameters
    ----------
    options : Variants
        The genome.
    length : int
        Bases of a window.
    anchor : str
        Which windows of the edited chromosome, as for :func:`rnalm.sequences.edited.windows`.
    """

    def __init__(self, options: Variants, length: int, anchor: str) -> None:
        self.genome, self.length, self.anchor = Reference(options), length, anchor

    def prepare(self, alleles: pa.RecordBatch) -> None:
        """Say of which alleles windows are asked for next.

        Parameters
        ----------
        alleles : pyarrow.RecordBatch
            Rows of the list of alleles.
        """

    def windows(self, allele: Mapping[str, Any]) -> tuple[list[Window], dict[str, int]]:
        """Find the window of the genome, and those of the edited chromosome.

        Parameters
        ----------
        allele : mapping
            A row of the list of alleles.

        Returns
        -------
        windows : list of Window
            That of the genome first.
        beside : dict of str to int
            What else is told of the allele.

        Raises
        ------
        NoWindow
            If there is none.
        """
        return windows(change_of(allele), self.length, self.genome.lengths[allele["contig"]], self.anchor), {}

    def letters(self, contig: str, first: int, after: int) -> str:
        """Read letters, as DNA in capitals.

        Parameters
        ----------
        contig : str
            Of which contig.
        first, after : int
            Half-open, 0-based.
        """
        return self.genome.bases(contig, first, after)

    def strand(self, given: str) -> str:
        """Say which strand is read.

        Parameters
        ----------
        given : str
            As the file of variants says.
        """
        return given


class TranscriptView:
    """Whole transcripts, as far as models see them.

    Parameters
    ----------
    options : Variants
        The transcripts.
    cut : Encode
        How sequences were cut with which the models were trained.
    laid : str or None
        Where they lie, as for :class:`rnalm.sequences.spliced.Exons`.
    """

    def __init__(self, options: Variants, cut: Encode, laid: str | None) -> None:
        self.exons, self.cut = Exons(options, laid), cut

    def prepare(self, alleles: pa.RecordBatch) -> None:
        """Say of which alleles windows are asked for next; see :meth:`GenomeView.prepare`.

        Parameters
        ----------
        alleles : pyarrow.RecordBatch
            Rows of the list of alleles.
        """

    def windows(self, allele: Mapping[str, Any]) -> tuple[list[Window], dict[str, int]]:
        """Give the transcript as it is, and as it is edited; see :meth:`GenomeView.windows`.

        Parameters
        ----------
        allele : mapping
            A row of the list of alleles, whose contig is a transcript.

        Raises
        ------
        NoWindow
            If the models do not see it.
        """
        contig, change = allele["contig"], change_of(allele)
        first, after = kept_range(range(self.exons.letters_of.lengths[contig]), self.cut.block_size, self.cut.truncate)
        seen = first <= change.start and change.end <= after
        if not change.ref:  # what comes at a cut stands beyond it
            size = self.exons.letters_of.lengths[contig]
            seen = (change.start > first or not first) and (change.start < after or after == size)
        if not seen:
            raise NoWindow("outside of what the models see (encode.block_size)")
        growth, at = len(change.alt) - len(change.ref), change.start - first
        size = after - first
        edited = Window(first, first - growth, at, change.alt, size + growth)
        return [Window(first, first, at, change.ref, size), edited], {}

    def letters(self, contig: str, first: int, after: int) -> str:
        """Read letters, as DNA in capitals; see :meth:`GenomeView.letters`.

        Parameters
        ----------
        contig : str
            Of which transcript.
        first, after : int
            Half-open, 0-based.
        """
        return self.exons.letters_of.bases(contig, first, after)

    def strand(self, given: str) -> str:
        """Read transcripts from 5′ to 3′, whatever a file of variants says.

        Parameters
        ----------
        given : str
            As it says.
        """
        return "+"


class Marks:
    """Writes transcripts with what marks codons and junctions of exons, as tokens or as modifiers.

    Parameters
    ----------
    options : OnTranscripts
        How they are marked.
    transcripts : dict of str to Transcript
        By what their letters are called.
    tokenizer : tokenizers.Tokenizer
        That of the models.
    rna : bool
        Whether the models know U, not T.

    Raises
    ------
    RnalmError
        If the models do not know letters that are marked so, or know letters in both cases and none is asked for.
    """

    def __init__(self, options: OnTranscripts, transcripts: dict[str, Transcript], tokenizer: Tokenizer, rna: bool) -> None:
        self.options, self.transcripts = options, transcripts
        known, vocabulary = set(plain_tokens(tokenizer)), tokenizer.get_vocab()
        small = options.codons is not None or not known.isdisjoint("acgtu")
        if small and not known.isdisjoint("ACGTU") and options.codons is None:
            raise RnalmError(
                "variants: transcripts.codons is missing: the models know letters in both cases; expected upper, if the first "
                "base of each codon is in upper case"
            )
        self.ids = np.full((4, 128), special_ids(tokenizer)["unk"], dtype=np.int64)
        for kind in range(4):
            for letter in ascii_uppercase:
                token = self._spelled(letter, bool(kind & 1), bool(kind & 2), small, rna)
                plain = self._spelled(letter, False, False, small, rna)
                if token in known or (letter not in "ACGT" and plain in known):
                    self.ids[kind, ord(letter)] = vocabulary[token if token in known else plain]
                elif letter in "ACGT" and kind in (0, *([1] if options.codons else []), *([2] if options.junctions else [])):
                    problem = f"the models have no token {token!r}, as letters are written there"
                    raise RnalmError(f"variants: transcripts: {problem}; {nearest(token, sorted(known))}")
        self.kinds_of = lru_cache(KEPT)(self._kinds_of)

    def _spelled(self, letter: str, codon: bool, junction: bool, small: bool, rna: bool) -> str:
        """Write a letter with its marks."""
        letter = "U" if rna and letter == "T" else letter
        letter = letter.lower() if small and not (codon and self.options.codons) else letter
        return letter + (self.options.junctions or "") if junction else letter

    def _kinds_of(self, name: str) -> np.ndarray:
        """Mark a transcript: 1 for the first base of a codon, 2 for the first behind a junction, 4 for the last of an exon."""
        transcript = self.transcripts[name]
        last = transcript.junctions().astype(np.int64)
        behind = np.concatenate([[0], last[:-1]])
        return transcript.coding_starts() + 2 * behind + 4 * last

    def kinds(self, parts: Sequence[tuple[str, int, int]]) -> np.ndarray:
        """Mark parts of transcripts, one behind the other ``(bases,)``.

        Parameters
        ----------
        parts : sequence of tuple
            What each transcript is called, and from where to where.
        """
        return np.concatenate([self.kinds_of(name)[first:after] for name, first, after in parts])

    def tokens(self, text: str, kinds: np.ndarray) -> np.ndarray:
        """Give the ids of letters that are marked, int64 ``(bases,)``.

        Parameters
        ----------
        text : str
            Capitals, of DNA.
        kinds : numpy.ndarray
            From :meth:`kinds`.
        """
        return self.ids[kinds & 3, np.minimum(np.frombuffer(text.encode(), dtype=np.uint8), 127)]

    def modifiers(self, kinds: np.ndarray) -> np.ndarray | None:
        """Give what the modifiers of bases are: float32 ``(channels, bases)``; None: there are none.

        Parameters
        ----------
        kinds : numpy.ndarray
            From :meth:`kinds`.
        """
        signals: dict[str, Any] = {"codons": kinds & 1, "junctions": (kinds & 4) > 0}
        channels = [signals[name] for name in self.options.modifiers]
        return np.array(channels, dtype=np.float32) if channels else None
