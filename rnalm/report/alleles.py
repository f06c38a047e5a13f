"""Pictures of alleles: how their effects are distributed, and their letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from rnalm.config import Variants
from rnalm.report.effects import EDGES, Effect, Summary
from rnalm.report.figures import DOWN, GREY, UP, canvas, plain
from rnalm.sequences.contigs import Reference
from rnalm.sequences.edited import Change, normalized
from rnalm.sequences.spliced import Exons
from rnalm.sequences.strands import reverse_complement
from rnalm.sequences.vcf import Allele

#: Stretches of effects that are drawn, at most: those of five powers of ten.
MOST_STRETCHES = 50
#: Bases that are shown on either side of a change.
FLANK = 10
#: Letters of a change that are shown, at most; of a longer one, as many at its ends.
MOST_LETTERS = 24
#: Stands for letters that are not shown, and where there are none.
CUT, GAP = "…", "–"


def distributions(summary: Summary, signed: bool, what: str) -> Figure:
    """Draw how the effects of each kind of allele are distributed: up what raises the prediction, down what lowers it.

    Parameters
    ----------
    summary : Summary
        From :func:`rnalm.report.effects.summarize`.
    signed : bool
        Whether effects raise or lower the prediction; else only their size is known.
    what : str
        What an effect is.
    """
    drawn = _stretches(summary)
    if not drawn:
        return _nothing()
    figure, axes = canvas(8, 0.6 + 1.1 * len(summary.kinds), len(summary.kinds), sharex=True, sharey=True)
    for axis, (kind, counts) in zip(axes[:, 0], summary.kinds.items(), strict=False):
        ends = EDGES[drawn.start : drawn.stop + 1]
        for bars, colour in ((counts.up, UP if signed else GREY), (-counts.down, DOWN)):
            # Smaller effects than those drawn stand in the first stretch.
            heights = np.concatenate([[bars[: drawn.start + 1].sum()], bars[drawn.start + 1 : drawn.stop]])
            axis.bar(ends[:-1], heights, np.diff(ends), align="edge", color=colour, edgecolor="white", linewidth=0.3)
        # Few alleles have strong effects, and these are looked for: a bar of one is to be seen beside one of many thousands.
        axis.set_yscale("symlog", linthresh=1)
        axis.set(xscale="log", xlim=(ends[0], ends[-1]))
        axis.yaxis.set_major_locator(FixedLocator(_ticks(summary)))
        axis.yaxis.set_major_formatter(lambda count, _: f"{abs(count):,.0f}")
        axis.yaxis.set_minor_locator(NullLocator())
        axis.axhline(0, color=GREY, linewidth=0.5)
        axis.set_title(f"{kind} ({counts.alleles:,})", loc="left")
    axes[-1, 0].set_xlabel(f"size of the {what.removeprefix('size of the ')}")
    figure.supylabel("alleles", fontsize="medium")
    return figure


def _stretches(summary: Summary) -> range:
    """Choose the stretches that are drawn: to the strongest effect of all, and no more powers of ten than can be told apart."""
    there = np.flatnonzero(sum((own.up + own.down for own in summary.kinds.values()), start=np.zeros(len(EDGES) - 1)))
    return range(max(there[0], there[-1] + 1 - MOST_STRETCHES), there[-1] + 1) if len(there) else range(0)


def _ticks(summary: Summary) -> list[int]:
    """Choose ticks for numbers of alleles: powers of ten, as far as they go, and below as above where some lower."""
    highest = max(max(own.up.max(), own.down.max()) for own in summary.kinds.values())
    every = [10**power for power in range(0, len(str(highest)), 2 if highest >= 1000 else 1)]
    signs = (-1, 1) if any(own.lowered for own in summary.kinds.values()) else (1,)
    return [0, *(sign * tick for sign in signs for tick in every)]


@dataclass(frozen=True)
class Letters:
    """The letters around a change, as the strand has them that is read, 5′ to 3′.

    Attributes
    ----------
    left, right : str
        On either side of it.
    ref, alt : str
        What goes and what comes.
    """

    left: str
    ref: str
    alt: str
    right: str

    @classmethod
    def read(cls, contig: str, change: Change, strand: str, genome: Reference) -> Self:
        """Read them from the genome.

        Parameters
        ----------
        contig : str
            As the genome calls it.
        change : Change
            What an allele changes.
        strand : {'+', '-', '.'}
            Which strand is read.
        genome : Reference
            The genome.
        """
        left = genome.bases(contig, max(0, change.start - FLANK), change.start)
        right = genome.bases(contig, change.end, min(genome.lengths[contig], change.end + FLANK))
        every = (left, change.ref, change.alt, right)
        if strand == "-":
            right, ref, alt, left = (reverse_complement(letters, rna=False) for letters in every)
            return cls(left, ref, alt, right)
        return cls(*every)

    @property
    def lines(self) -> tuple[str, str]:
        """What stands above each other, REF above ALT: letters, :data:`GAP` and :data:`CUT`, as many of one as of the other."""
        width = max(len(self.ref), len(self.alt))
        ref, alt = (letters + GAP * (width - len(letters)) for letters in (self.ref, self.alt))
        if width > MOST_LETTERS:
            half = MOST_LETTERS // 2
            ref, alt = (f"{letters[:half]}{CUT}{letters[-half:]}" for letters in (ref, alt))
        return f"{self.left}{ref}{self.right}", f"{self.left}{alt}{self.right}"


class Places:
    """Says where alleles are: on a genome, or in the transcripts in which they were scored.

    Parameters
    ----------
    options : Variants
        The genome, or the transcripts.
    laid : str or None
        Where transcripts lie, as for :class:`rnalm.sequences.spliced.Exons`.

    Attributes
    ----------
    reference : Reference
        The letters.
    """

    def __init__(self, options: Variants, laid: str | None) -> None:
        self.exons = Exons(options, laid) if options.transcripts is not None else None
        self.reference = self.exons.letters_of if self.exons else Reference(options)

    def place(self, effect: Effect) -> tuple[str, Change]:
        """Say where an allele is: the contig, or transcript, as the file of letters calls it, and what changes there.

        Parameters
        ----------
        effect : Effect
            Of the allele.
        """
        allele = Allele("", *(effect.allele[name] for name in ("chrom", "pos", "name", "ref", "alt", "strand")))
        if self.exons is not None:
            every = self.exons.find(allele.chrom, *allele.change)
            contig, change = next((one.contig, one.change) for one in every if one.transcript == effect.allele["transcript"])
            assert contig is not None, "alleles with an effect are in a transcript"
            assert change is not None, "and change it"
            return contig, change
        contig = self.reference.call(allele.chrom)
        assert contig is not None, "alleles with an effect are on contigs of the genome"
        return contig, normalized(*allele.change, lambda first, after: self.reference.bases(contig, first, after))

    def letters(self, effect: Effect) -> Letters:
        """Read the letters around an allele.

        Parameters
        ----------
        effect : Effect
            Of the allele.
        """
        # Those of transcripts are read from 5′ to 3′ as they stand.
        return Letters.read(*self.place(effect), "+" if self.exons is not None else effect.allele["strand"], self.reference)


def letters(shown: Sequence[tuple[str, str, Letters]]) -> Figure:
    """Draw the letters of alleles, before and after the change.

    Parameters
    ----------
    shown : sequence of tuple
        Of each allele its title, the colour of what changes, and its letters.
    """
    if not shown:
        return _nothing()
    figure, axes = canvas(10, 0.85 * len(shown), len(shown))
    for axis, (title, colour, own) in zip(axes[:, 0], shown, strict=False):
        axis.set_title(plain(title), loc="left")
        _lines(axis, own, colour)
    return figure


def _lines(axis: Axes, own: Letters, colour: str) -> None:
    """Write REF above ALT, the changed letters on a ground of their own."""
    first, width = len(own.left), len(own.lines[0])
    changed = range(first, width - len(own.right))
    axis.axvspan(first - 0.5, changed.stop - 0.5, color=colour, alpha=0.15, linewidth=0)
    for height, line in zip((1, 0), own.lines, strict=True):
        for place, letter in enumerate(line):
            differs = place in changed and own.lines[0][place] != own.lines[1][place]
            ink, weight = (colour, "bold") if differs else ("#555b66", "normal")
            axis.text(place, height, letter, ha="center", va="center", family="monospace", color=ink, weight=weight)
    axis.set(xlim=(-1, 2 * FLANK + MOST_LETTERS + 1), ylim=(-0.6, 1.6), xticks=[], yticks=[0, 1], yticklabels=["ALT", "REF"])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _nothing() -> Figure:
    figure, axes = canvas(8, 1)
    axes[0, 0].text(0.5, 0.5, "no effects", ha="center", color=GREY)
    axes[0, 0].set_axis_off()
    return figure
