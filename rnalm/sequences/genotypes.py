"""The genotype of a sample in a record of a VCF file ─► on which of its haplotypes an allele stands."""

import re
from dataclasses import dataclass

#: Alleles by number, 0 that of the reference, ``.`` one that is not known; ``|`` says on which haplotype each is, ``/`` does
#: not. VCF 4.4 may put either before the first.
GENOTYPE = re.compile(r"[|/]?(\.|\d+)([|/](\.|\d+))*")

#: Why it is not known on which haplotype an allele stands, or whether on any.
UNPHASED, MISSING = "heterozygous, and not phased (/)", "no genotype (.)"


@dataclass(frozen=True, slots=True)
class Carried:
    """An allele on a haplotype of a sample.

    Attributes
    ----------
    haplotype : int or None
        Which, from 1 on; None: it is not known which.
    phase : str or None
        The set of records whose haplotypes are told apart in the same way; None: all haplotypes are alike in this record.
    reason : str or None
        Why it is not known whether the haplotype has the allele.
    """

    haplotype: int | None
    phase: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What a record says of a sample.

    Attributes
    ----------
    sample : str
        Its name.
    genotype : str
        As GT has it.
    phase_set : str
        As PS has it; ``.`` where there is none.
    """

    sample: str
    genotype: str = "."
    phase_set: str = "."

    @property
    def alleles(self) -> list[str]:
        """The number of the allele on each haplotype, or ``.``."""
        return re.split(r"[|/]", self.genotype.lstrip("|/"))

    def carried(self, number: int) -> list[Carried]:
        """Say which haplotypes have an allele, and of which that is not known.

        Parameters
        ----------
        number : int
            Of the allele, from 1 on.

        Examples
        --------
        >>> [own.haplotype for own in Call("NA1", "0|1").carried(1)], [own.haplotype for own in Call("NA1", "1/1").carried(1)]
        ([2], [1, 2])
        >>> Call("NA1", "0/1").carried(1)
        [Carried(haplotype=None, phase=None, reason='heterozygous, and not phased (/)')]
        """
        alleles = self.alleles
        if set(alleles) == {"."}:
            return [Carried(None, reason=MISSING)]
        known = [place for place, allele in enumerate(alleles, start=1) if allele == str(number)]
        missing = [place for place, allele in enumerate(alleles, start=1) if allele == "."]
        if len(set(alleles)) == 1:
            return [Carried(place) for place in known]
        if "/" in self.genotype.lstrip("|/"):
            return [Carried(None, reason=UNPHASED)] if known else [Carried(None, reason=MISSING)] if missing else []
        told = {place: Carried(place, self.phase_set) for place in known}
        told |= {place: Carried(place, self.phase_set, MISSING) for place in missing}
        return [told[place] for place in sorted(told)]
