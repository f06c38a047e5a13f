"""Alleles of files of variants ─► those that samples carry, each on its haplotype."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import pyarrow as pa

from rnalm.errors import RnalmError
from rnalm.sequences.haplotypes import Haplotype
from rnalm.sequences.vcf import Allele

#: What is known of an allele that a sample carries, beside what is known of the allele.
PHASED = pa.schema([("sample", pa.string()), ("haplotype", pa.int16()), ("phase", pa.string())])

#: Why an allele is not on a haplotype that has it.
OVERLAPS = "overlaps an allele of the haplotype that comes before it"
#: What is needed of files.
SORT = "expected records in order, as bcftools sort puts them, and files as bcftools concat would join them"


class Phased:
    """Puts alleles on the haplotypes that have them.

    Parameters
    ----------
    letters : callable
        Reads the letters of a contig, by its name, between two positions.
    """

    def __init__(self, letters: Callable[[str, int, int], str]) -> None:
        self.letters = letters
        self.last: Allele | None = None
        self.seen: set[str] = set()
        self.haplotypes: dict[tuple[str, int], Haplotype] = defaultdict(Haplotype)

    def read(self, allele: Allele, known: Callable[[], dict]) -> Iterator[dict]:
        """Say what an allele changes on each haplotype that has it, or why that is not known.

        Parameters
        ----------
        allele : Allele
            With the calls of the samples.
        known : callable
            Says what it changes by itself, or why that is not known; called where a sample has it, or may have it.

        Yields
        ------
        dict
            One for each haplotype, or for each sample of which it is not known; none, where no sample has the allele.

        Raises
        ------
        RnalmError
            If alleles are not in order: by position, and those of a contig one after the other.
        """
        self._check_order(allele)
        carried = [(call.sample, own) for call in allele.calls for own in call.carried(allele.number)]
        alone = known() if carried else {}
        for sample, own in carried:
            row = alone | {"sample": sample, "haplotype": own.haplotype, "phase": own.phase}
            row["reason"] = own.reason or alone["reason"]
            if row["reason"] is None:
                assert own.haplotype is not None, "a reason says that it is not known"
                row |= self._place(allele, alone["contig"], self.haplotypes[sample, own.haplotype])
            yield row

    def _place(self, allele: Allele, contig: str, haplotype: Haplotype) -> dict:
        """Put an allele on a haplotype, where it stands as far left as the alleles before allow."""
        placed = haplotype.place(*allele.change, lambda first, after: self.letters(contig, first, after))
        if placed is None:
            return {"reason": OVERLAPS}
        return {"start": placed.start, "goes": placed.ref, "comes": placed.alt}

    def _check_order(self, allele: Allele) -> None:
        before, self.last = self.last, allele
        if before is None or before.chrom != allele.chrom:
            if allele.chrom in self.seen:
                raise RnalmError(f"{allele.place}: phased: contig {allele.chrom!r} comes again; {SORT}")
            self.seen.add(allele.chrom)
            self.haplotypes.clear()
        elif allele.pos < before.pos:
            found = f"{allele.chrom}:{allele.pos} comes behind {before.chrom}:{before.pos}"
            raise RnalmError(f"{allele.place}: phased: {found}; {SORT}")
