"""What an allele of a genome changes in the transcripts that it lies in."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnalm.config.variants import Variants
from rnalm.errors import RnalmError
from rnalm.sequences import annotation
from rnalm.sequences.contigs import Reference
from rnalm.sequences.edited import Change, normalized, trimmed
from rnalm.sequences.laid import read
from rnalm.sequences.strands import reverse_complement
from rnalm.sequences.transcripts import NOWHERE as ABSENT
from rnalm.sequences.transcripts import Transcript

log = logging.getLogger(__name__)

#: Why an allele changes no transcript at all.
NOWHERE = "in no transcript"


@dataclass(frozen=True, slots=True)
class Spliced:
    """What an allele changes in a transcript, or why it changes nothing.

    Attributes
    ----------
    transcript : str or None
        Which; None: the allele lies in none.
    contig : str or None
        What the transcript is called in the file of letters.
    change : Change or None
        What changes, counted from the 5′ end.
    ref_match, alt_is_reference : bool
        Whether REF, or ALT, is what the transcript has there.
    reason : str or None
        Why nothing can be said.
    """

    transcript: str | None
    contig: str | None = None
    change: Change | None = None
    ref_match: bool = False
    alt_is_reference: bool = False
    reason: str | None = None


class Exons:
    """Transcripts, laid on a genome, and their letters.

    Parameters
    ----------
    options : Variants
        Where they are.
    laid : str, optional
        From :func:`rnalm.sequences.laid.write`: what was read of where they lie; None: that is read anew.

    Attributes
    ----------
    letters_of : Reference
        Their letters.
    by_name : dict of str to Transcript
        Transcripts that have letters, by what these are called.

    Raises
    ------
    RnalmError
        If a file cannot be read, or none of the letters is of a transcript.
    """

    def __init__(self, options: Variants, laid: str | None = None) -> None:
        assert options.transcripts is not None, "they are on transcripts"
        self.given = options.transcripts
        self.transcripts = read(laid, self.given.bed) if laid else annotation.read(self.given.bed)
        self.letters_of = Reference(options)
        self.name: dict[str, str] = {}
        for name in self.letters_of.lengths:
            found = self.transcripts.find(bare := name.split("|")[0])
            # The letters of the very version are taken, wherever they stand.
            if found is not None and (found.id == bare or found.id not in self.name):
                self.name[found.id] = name
        # Those that were read before are fewer, or none: only in which an allele lies.
        if not self.name and not laid:
            first = next(iter(self.letters_of.lengths))
            raise RnalmError(
                f"{self.given.fasta}: none of its sequences, such as {first!r}, is a transcript of {self.given.bed}"
            )
        named = {name: self.transcripts.find(transcript) for transcript, name in self.name.items()}
        self.by_name = {name: transcript for name, transcript in named.items() if transcript is not None}
        if missing := len(self.transcripts) - len(self.name):
            given = f"{missing} of the {len(self.transcripts)} transcripts have no letters in {self.given.fasta}"
            log.info("%s: %s, and are passed over", self.given.bed, given)

    def find(self, contig: str, start: int, ref: str, alt: str) -> Iterator[Spliced]:
        """Find what an allele changes, in each transcript that it touches.

        Parameters
        ----------
        contig : str
            Of the genome, with or without ``chr``.
        start : int
            0-based position of the first base of ``ref``.
        ref, alt : str
            On the forward strand, in capital letters.

        Yields
        ------
        Spliced
            One at least.
        """
        own = trimmed(start, ref, alt)
        first, after = (own.start, own.end) if own.ref else (own.start - 1, own.start + 1)
        every = self.transcripts.overlapping(contig, first, after)
        # Of several that are called alike, the first is meant.
        touched = [one for one in every if one.id in self.name and self.transcripts.find(one.id) is one]
        for transcript in touched:
            yield self._in(transcript, own, (start, ref, alt))
        if not touched:
            yield Spliced(None, reason=NOWHERE)

    def _in(self, transcript: Transcript, own: Change, written: tuple[int, str, str]) -> Spliced:
        """Say what a change of the genome is in a transcript."""
        name = self.name[transcript.id]
        size = self.letters_of.lengths[name]
        if size != transcript.length:
            reason = f"the transcript has {size} letters, and its exons have {transcript.length}"
            return Spliced(transcript.id, reason=reason)
        place = _place(transcript, own.start, own.end)
        if isinstance(place, str):
            return Spliced(transcript.id, reason=place)

        def letters(first: int, after: int) -> str:
            return self.letters_of.bases(name, first, after)

        ref, alt = ((_turned(text) if transcript.strand == "-" else text) for text in (own.ref, own.alt))
        # REF as it is written tells more than what is left of it, where all of it lies in the exon.
        start, *texts = written
        whole = _place(transcript, start, start + len(texts[0])) if texts[0] else "nothing"
        at, known, other = place, ref, alt
        if not isinstance(whole, str):
            at, (known, other) = whole, ((_turned(text) if transcript.strand == "-" else text) for text in texts)
        match = letters(at, at + len(known)) == known
        # ALT begins where REF does on the genome, which is its end on the other strand.
        first = at + len(known) - len(other) if transcript.strand == "-" else at
        turned = first >= 0 and letters(first, first + len(other)) == other
        change = normalized(place, ref, alt, letters)
        return Spliced(transcript.id, name, change, match, not match and turned)


def _turned(text: str) -> str:
    return reverse_complement(text, rna=False)


def _place(transcript: Transcript, start: int, end: int) -> int | str:
    """Find where bases of the genome begin in a transcript, or before which place something comes; or say why there is none."""
    places = transcript.place(np.arange(start, end) if end > start else np.array([start - 1, start]))
    if (places == ABSENT).all():
        return "in an intron"
    if (places == ABSENT).any():
        return "across the end of an exon" if end > start else "at the end of an exon"
    if np.ptp(places) != len(places) - 1:
        return "across an intron"
    return int(places.min() if end > start else places.max())
