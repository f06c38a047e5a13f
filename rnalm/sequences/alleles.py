"""Files of variants and a genome ─► one row an allele, ready to be scored, in the order of the files."""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.config.variants import Variants
from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.sequences.contigs import Reference
from rnalm.sequences.edited import normalized
from rnalm.sequences.laid import write as write_laid
from rnalm.sequences.phased import PHASED, Phased
from rnalm.sequences.spliced import NOWHERE, Exons
from rnalm.sequences.transcripts import Transcript
from rnalm.sequences.vcf import Allele, read

log = logging.getLogger(__name__)

#: Rows of a row group.
GROUP = 2**16

#: What is known of an allele: as it is written, and in which transcript; then as it is read, on a contig or in that transcript,
#: where a reason does not say why it is not.
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("place", "chrom")),
        *(("pos", pa.int64()), ("name", pa.string()), ("ref", pa.string()), ("alt", pa.string()), ("strand", pa.string())),
        ("transcript", pa.string()),
        *((name, pa.bool_()) for name in ("ref_match", "alt_is_reference")),
        *(("contig", pa.string()), ("start", pa.int64()), ("goes", pa.string()), ("comes", pa.string())),
        *(("kind", pa.string()), ("reason", pa.string())),
    ]
)


def list_file(options: Variants, output: str | Path, laid: str | Path | None = None) -> None:
    """Write the alleles of files of variants as Parquet.

    Parameters
    ----------
    options : Variants
        The files, and the genome.
    output : path
        The file to write.
    laid : path, optional
        Where to write how transcripts lie on the genome, so that nobody need read that again: those in which an allele lies.

    Raises
    ------
    RnalmError
        If a file cannot be read, has no allele, or does not fit the genome: none of its contigs is there, or most REF differ.
    """
    hold = _holder(options)
    listed, schema = rows(options, hold), pa.schema([*SCHEMA, *(PHASED if options.phased else [])])
    with replacing(output) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        while held := list(islice(listed, GROUP)):
            writer.write_table(pa.Table.from_pylist(held, schema))
    if laid is not None:
        write_laid(hold.touched, laid)


class Tally:
    """Counts alleles, and what is wrong with them."""

    def __init__(self) -> None:
        self.alleles = self.rows = self.known = self.checked = self.turned = 0
        self.differ, self.first = 0, ""
        self.unknown: Counter = Counter()
        self.reasons: Counter = Counter()

    def check(self, allele: Allele, match: bool, turned: bool, there: str) -> None:
        """Count whether REF is what stands there.

        Parameters
        ----------
        allele : Allele
            Whose REF it is.
        match, turned : bool
            Whether REF, or ALT, is.
        there : str
            What stands there, for the message.
        """
        self.checked += 1
        if not match:
            self.differ += 1
            self.turned += turned
            self.first = self.first or f"{allele.place}: found {allele.ref[:20]}, {there}"

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
        if not self.rows:
            samples = ", ".join(options.phased or [])
            raise RnalmError(f"{files}: phased: of {self.alleles} alternative alleles none is carried by {samples}")
        if self.unknown and not self.known:
            names = ", ".join(list(self.unknown)[:5])
            raise RnalmError(f"{files}: none of the contigs ({names}) is in {options.letters}")
        if differ := self.differ:
            found = f"REF of {differ} of {self.checked} alleles is not what {options.letters} has there ({self.first})"
            turned = f"; in {self.turned} of them ALT is" if self.turned else ""
            if 2 * differ > self.checked:
                hint = "is the file turned round" if 2 * self.turned > differ else "is it of another assembly, or turned round"
                raise RnalmError(f"{files}: {found}{turned}; {hint}?")
            log.warning("%s: %s%s; the REF of the file is taken (ref_match)", files, found, turned)
        for name, count in self.unknown.items():
            log.warning("%s: %d alleles are on contig %r, which %s has not (NA.tsv)", files, count, name, options.letters)
        if options.transcripts is not None and self.reasons[NOWHERE] == self.alleles:
            given = f"{options.transcripts.bed} has with letters in {options.letters}"
            raise RnalmError(f"{files}: no allele lies in a transcript that {given}; are they of one assembly?")
        if self.reasons:
            told = ", ".join(f"{reason} ({count})" for reason, count in self.reasons.most_common())
            what = "alleles in transcripts" if options.transcripts else "alleles of haplotypes" if options.phased else "alleles"
            log.warning("%s: %d of %d %s are not scored (NA.tsv): %s", files, self.reasons.total(), self.rows, what, told)


def rows(options: Variants, hold: "_Holder | None" = None) -> Iterator[dict]:
    """Hold the alleles of files against the genome, and tell at the end what is wrong.

    Parameters
    ----------
    options : Variants
        The files, how they are read, and the genome.
    hold : _Holder, optional
        Holds an allele against it, where it is asked for more afterwards.

    Yields
    ------
    dict
        A row of :data:`SCHEMA`, in the order of the files; on transcripts, one for each in which an allele lies; where samples
        are read, one for each haplotype that has it, with what :data:`rnalm.sequences.phased.PHASED` adds.

    Raises
    ------
    RnalmError
        As :func:`list_file` does.
    """
    tally, hold = Tally(), hold or _holder(options)
    for allele in chain.from_iterable(read(path, options.strand_column, options.phased or ()) for path in options.path):
        tally.alleles += 1
        written = {name: getattr(allele, name) for name in ("place", "chrom", "pos", "name", "ref", "alt", "strand")}
        for known in hold.read(allele, tally):
            tally.rows += 1
            if allele.chrom not in tally.unknown:
                tally.known += 1
                tally.reasons.update(filter(None, [known.get("reason")]))
            yield written | known
    tally.tell(options)


class _Holder(ABC):
    """What alleles are held against."""

    @property
    def touched(self) -> Sequence[Transcript]:
        """The transcripts in which an allele lies that was read."""
        return ()

    @abstractmethod
    def read(self, allele: Allele, tally: "Tally") -> Iterator[dict]:
        """Say what an allele changes, or why that is not known."""


class _Genome(_Holder):
    """Holds alleles against a genome."""

    def __init__(self, options: Variants) -> None:
        self.options, self.genome = options, Reference(options)
        self.called: dict[str, str | None] = {}

    def read(self, allele: Allele, tally: Tally) -> Iterator[dict]:
        """Say what an allele changes, or why that is not known."""
        if allele.chrom not in self.called:
            self.called[allele.chrom] = self.genome.call(allele.chrom)
        contig = self.called[allele.chrom]
        if contig is None:
            # Told by contig, not among the reasons.
            tally.unknown[allele.chrom] += 1
            yield {"reason": f"contig {allele.chrom!r} is not in the genome"}
            return
        yield _read(allele, contig, self.options.require_strand, self.genome, tally)


class _Haplotypes(_Holder):
    """Holds alleles that samples carry against a genome."""

    def __init__(self, options: Variants) -> None:
        self.genome = _Genome(options)
        self.phased = Phased(self.genome.genome.bases)

    def read(self, allele: Allele, tally: Tally) -> Iterator[dict]:
        """Say what an allele changes on each haplotype, or why that is not known."""
        yield from self.phased.read(allele, lambda: next(self.genome.read(allele, tally)))


class _Exons(_Holder):
    """Holds alleles against transcripts."""

    def __init__(self, options: Variants) -> None:
        self.options, self.exons = options, Exons(options)
        self.seen: set[str] = set()

    @property
    def touched(self) -> Sequence[Transcript]:
        """The transcripts in which an allele lies that was read."""
        return [one for name, one in self.exons.by_name.items() if name in self.seen]

    def read(self, allele: Allele, tally: Tally) -> Iterator[dict]:
        """Say what an allele changes in each transcript, or why that is not known."""
        if problem := _problem(allele, self.options.require_strand):
            yield {"reason": problem}
            return
        for found in self.exons.find(allele.chrom, *allele.change):
            known: dict = {"transcript": found.transcript, "reason": found.reason}
            if (change := found.change) is not None:
                self.seen.add(str(found.contig))
                there = "" if found.ref_match else f"the transcript {found.transcript} has another"
                tally.check(allele, found.ref_match, found.alt_is_reference, there)
                known |= {"contig": found.contig, "ref_match": found.ref_match, "alt_is_reference": found.alt_is_reference}
                known |= {"start": change.start, "goes": change.ref, "comes": change.alt, "kind": change.kind}
            yield known


def _holder(options: Variants) -> _Holder:
    """Open the genome, or the transcripts."""
    return (_Exons if options.transcripts else _Haplotypes if options.phased else _Genome)(options)


def _problem(allele: Allele, require_strand: bool) -> str | None:
    """Say why nothing can be said of an allele, whatever the genome is."""
    if require_strand and not allele.problem and allele.strand == ".":
        return "no strand (require_strand)"
    return allele.problem


def _read(allele: Allele, contig: str, require_strand: bool, genome: Reference, tally: Tally) -> dict:
    """Say what an allele changes, or why that is not known."""
    if problem := _problem(allele, require_strand):
        return {"reason": problem}
    start, ref, alt = allele.change
    if not 0 <= start <= start + len(ref) <= genome.lengths[contig]:
        return {"reason": "beyond the contig"}

    def letters(first: int, after: int) -> str:
        return genome.bases(contig, first, after)

    match, turned = letters(start, start + len(ref)) == ref, letters(start, start + len(alt)) == alt
    tally.check(allele, match, turned, "" if match else f"the genome has {letters(start, start + len(ref))[:20]}")
    change = normalized(start, ref, alt, letters)
    known = {"ref_match": match, "alt_is_reference": not match and turned, "contig": contig, "kind": change.kind}
    return known | {"start": change.start, "goes": change.ref, "comes": change.alt, "reason": None}
