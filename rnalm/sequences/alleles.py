"""Files of variants and a genome ─► one row an allele, ready to be scored, in the order of the files."""

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.config.variants import Variants
from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.sequences.contigs import Reference
from rnalm.sequences.edited import normalized
from rnalm.sequences.vcf import Allele, read

log = logging.getLogger(__name__)

#: Rows of a row group.
GROUP = 2**16

#: What is known of an allele: as it is written; then as it is read, where a reason does not say why it is not.
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("place", "chrom")),
        *(("pos", pa.int64()), ("name", pa.string()), ("ref", pa.string()), ("alt", pa.string()), ("strand", pa.string())),
        *((name, pa.bool_()) for name in ("ref_match", "alt_is_reference")),
        *(("contig", pa.string()), ("start", pa.int64()), ("goes", pa.string()), ("comes", pa.string())),
        *(("kind", pa.string()), ("reason", pa.string())),
    ]
)


def list_file(options: Variants, output: str | Path) -> None:
    """Write the alleles of files of variants as Parquet.

    Parameters
    ----------
    options : Variants
        The files, and the genome.
    output : path
        The file to write.

    Raises
    ------
    RnalmError
        If a file cannot be read, has no allele, or does not fit the genome: none of its contigs is there, or most REF differ.
    """
    listed = rows(options)
    with replacing(output) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        while held := list(islice(listed, GROUP)):
            writer.write_table(pa.Table.from_pylist(held, SCHEMA))


class Tally:
    """Counts alleles, and what is wrong with them."""

    def __init__(self) -> None:
        self.alleles = self.checked = self.turned = 0
        self.differ, self.first = 0, ""
        self.unknown: Counter = Counter()
        self.reasons: Counter = Counter()

    def tell(self, options: Variants) -> None:
        """Tell what was found, and refuse files of another genome.

        Parameters
        ----------
        options : Variants
            The files, and the genome.

        Raises
        ------
        RnalmError
            If there is no allele, no contig is known, or most REF differ.
        """
        files = ", ".join(options.path)
        if not self.alleles:
            raise RnalmError(f"{files}: no variants; expected records")
        if self.unknown and self.unknown.total() == self.alleles:
            names = ", ".join(list(self.unknown)[:5])
            raise RnalmError(f"{files}: none of the contigs ({names}) is in {options.genome}")
        if differ := self.differ:
            found = f"REF of {differ} of {self.checked} alleles is not what {options.genome} has there ({self.first})"
            turned = f"; in {self.turned} of them ALT is" if self.turned else ""
            if 2 * differ > self.checked:
                hint = "is the file turned round" if 2 * self.turned > differ else "is it of another assembly, or turned round"
                raise RnalmError(f"{files}: {found}{turned}; {hint}?")
            log.warning("%s: %s%s; the REF of the file is taken (ref_match)", files, found, turned)
        for name, count in self.unknown.items():
            log.warning("%s: %d alleles are on contig %r, which %s has not (NA.tsv)", files, count, name, options.genome)
        if self.reasons:
            told = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())
            log.warning("%s: %d of %d alleles are not scored (NA.tsv): %s", files, self.reasons.total(), self.alleles, told)


def rows(options: Variants) -> Iterator[dict]:
    """Hold the alleles of files against the genome, and tell at the end what is wrong.

    Parameters
    ----------
    options : Variants
        The files, how they are read, and the genome.

    Yields
    ------
    dict
        A row of :data:`SCHEMA`, in the order of the files.

    Raises
    ------
    RnalmError
        As :func:`list_file` does.
    """
    genome, tally = Reference(options), Tally()
    called: dict[str, str | None] = {}
    for allele in chain.from_iterable(read(path, options.strand_column) for path in options.path):
        tally.alleles += 1
        if allele.chrom not in called:
            called[allele.chrom] = genome.call(allele.chrom)
        row = {name: getattr(allele, name) for name in ("place", "chrom", "pos", "name", "ref", "alt", "strand")}
        row |= _read(allele, called[allele.chrom], options.require_strand, genome, tally)
        if reason := row.get("reason"):
            if called[allele.chrom] is not None:
                tally.reasons[reason] += 1
            else:
                tally.unknown[allele.chrom] += 1
        yield row
    tally.tell(options)


def _read(allele: Allele, contig: str | None, require_strand: bool, genome: Reference, tally: Tally) -> dict:
    """Say what an allele changes, or why that is not known."""
    if contig is None:
        return {"reason": f"contig {allele.chrom!r} is not in the genome"}
    if problem := allele.problem:
        return {"reason": problem}
    if require_strand and allele.strand == ".":
        return {"reason": "no strand (require_strand)"}
    start, ref, alt = allele.change
    if not 0 <= start <= start + len(ref) <= genome.lengths[contig]:
        return {"reason": "beyond the contig"}

    def letters(first: int, after: int) -> str:
        return genome.letters(contig, first, after).upper()

    match, turned = letters(start, start + len(ref)) == ref, letters(start, start + len(alt)) == alt
    tally.checked += 1
    if not match:
        tally.turned += turned
        tally.differ += 1
        there = letters(start, start + len(ref))[:20]
        tally.first = tally.first or f"{allele.place}: found {allele.ref[:20]}, the genome has {there}"
    change = normalized(start, ref, alt, letters)
    known = {"ref_match": match, "alt_is_reference": not match and turned, "contig": contig, "kind": change.kind}
    return known | {"start": change.start, "goes": change.ref, "comes": change.alt, "reason": None}
