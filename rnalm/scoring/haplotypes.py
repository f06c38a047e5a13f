"""What models see of an allele of a haplotype: a window around it, of the chromosome that all alleles of the haplotype edit."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from rnalm.config.variants import Variants
from rnalm.scoring.views import GenomeView, change_of
from rnalm.sequences import haplotypes
from rnalm.sequences.edited import Change, Window
from rnalm.sequences.neighbours import Neighbour, Neighbours


class HaplotypeView(GenomeView):
    """Windows of a genome, and of the chromosomes of samples.

    Parameters
    ----------
    options : Variants
        The genome.
    length : int
        Bases of a window.
    anchor : str
        Which windows of the chromosome of a sample, as for :func:`rnalm.sequences.haplotypes.windows`.
    listed : str
        From :func:`rnalm.sequences.alleles.list_file`: the alleles on each haplotype.
    """

    def __init__(self, options: Variants, length: int, anchor: str, listed: str) -> None:
        super().__init__(options, length, anchor)
        self.neighbours = Neighbours(listed)

    def prepare(self, alleles: pa.RecordBatch) -> None:
        """Say of which alleles windows are asked for next; see :meth:`GenomeView.prepare`.

        Parameters
        ----------
        alleles : pyarrow.RecordBatch
            Rows of the list of alleles.
        """
        self.neighbours.prepare(alleles, 2 * self.length)

    def windows(self, allele: Mapping[str, Any]) -> tuple[list[Window], dict[str, int]]:
        """Find the window of the genome, and those of the chromosome of a sample; see :meth:`GenomeView.windows`.

        Parameters
        ----------
        allele : mapping
            A row of the list of alleles.

        Raises
        ------
        NoWindow
            If there is none.
        """
        contig, change = allele["contig"], change_of(allele)

        def every(low: int, high: int) -> Sequence[Neighbour]:
            return self.neighbours.near(allele["chrom"], allele["sample"], low, high)

        def letters(first: int, after: int) -> str:
            return self.letters(contig, first, after)

        phase = allele["phase"] or _nearest_phase(every(change.start - self.length, change.end + self.length), change)

        def near(low: int, high: int) -> list[Change]:
            on = [own for own in every(low, high) if own.haplotype == allele["haplotype"] and own.phase in (None, phase)]
            return [own.change for own in on if own.change is not None]

        size = self.genome.lengths[contig]
        found, count = haplotypes.windows(change, near, self.length, size, self.anchor, letters)
        inside = every(found[0].left + 1, found[0].left + self.length - 1)
        # Of what is phased otherwise, or not at all, it is not known whether it stands on this haplotype.
        other = [own for own in inside if own.phase not in (None, phase)]
        lost = [own for own in inside if own.change is None and own not in other]
        left_out = len(other) + sum(own.haplotype in (None, allele["haplotype"]) for own in lost)
        return found, {"alleles": count, "left_out": left_out}


def _nearest_phase(around: Sequence[Neighbour], change: Change) -> str | None:
    """Give the phase set of the nearest allele that has one: an allele on all haplotypes alike stands in any of them."""
    phased = [own for own in around if own.phase is not None]
    return min(phased, key=lambda own: abs(own.start - change.start)).phase if phased else None
