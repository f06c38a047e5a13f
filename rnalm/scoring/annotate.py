"""Effects of the alleles of a VCF file ─► the same file with the scores in INFO."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pysam

from rnalm.config.variants import SCORES
from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.prediction.selene import rows_at_once
from rnalm.scoring.effects import alleles, outputs
from rnalm.sequences import vcf

log = logging.getLogger(__name__)

#: The columns that every record has, and that which comes before those of samples.
FIXED, SAMPLED = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"), "FORMAT"
#: Which of them holds what is known of a record.
INFO = FIXED.index("INFO")

#: What tells a record from others, in the table of alleles.
WRITTEN = ("chrom", "pos", "ref", "alt")

#: Signs that the name of a transcript may have beside letters and digits; others are written as in addresses (``%7C``).
NAME = ":+*()[]/"

#: What the header says of scores.
MEANINGS = {
    "diff": "Prediction of {of} with ALT minus that with REF",
    "abs_diff": "Size of the difference between the predictions of {of} with ALT and with REF",
    "logit_diff": "Logit of {of} with ALT minus that with REF",
    "ref_pred": "Prediction of {of} with REF",
    "alt_pred": "Prediction of {of} with ALT",
}


def write(parts: Sequence[str | Path], variants: str, output: str | Path, spliced: bool = False) -> None:
    """Write a VCF file again, compressed with bgzip, with a field of INFO for each score of each class.

    On transcripts there is one field alone, ``RNALM``, with an entry for each transcript of an allele that has scores, which is
    written as by Ensembl's VEP, so that what reads its field reads this one: ``bcftools +split-vep -a RNALM``.

    Where its records are in order, an index is written beside it, whose name ends in ``.csi``.

    Parameters
    ----------
    parts : sequence of path
        From :func:`rnalm.scoring.variants.score_shard`, in order.
    variants : str
        The file, as the configuration calls it: VCF or BCF.
    output : path
        The file to write.
    spliced : bool
        Whether an allele has scores for each transcript in which it lies.

    Raises
    ------
    RnalmError
        If it has no header of VCF, or other records than those that were scored.
    """
    index = Path(f"{output}.csi")
    index.unlink(missing_ok=True)
    lines = iter(enumerate(vcf.lines(variants), start=1))
    header, names = _header(lines, variants)
    added = (_Entries if spliced else _Fields)(pq.read_schema(parts[0]), _known(header))
    ordered = _Ordered()
    with replacing(output) as temporary, pysam.BGZFile(str(temporary), "wb", index=None) as file:
        for line in (*header, *added.header, "\t".join(names)):
            file.write(f"{line}\n".encode())
        for record in _records(lines, _scores(parts, variants, added), variants, added, len(names)):
            ordered.add(record)
            file.write(("\t".join(record) + "\n").encode())
    if ordered:
        _index(output, index)
    else:
        log.warning("%s: no index, as the records of %s are not in order; bcftools sort puts them into it", output, variants)


def _header(lines: Iterator[tuple[int, str]], path: str) -> tuple[list[str], list[str]]:
    """Read the lines of the header, and what the columns are called; leave out columns that VCF has not."""
    about = []
    for number, line in lines:
        if not line.startswith("#") and line.strip():
            raise RnalmError(f"{vcf.place(path, number)}: no header comes before the first record; expected {' '.join(FIXED)}")
        if line.startswith("##"):
            about.append(line)
        elif line.strip():
            names = line.split("\t")
            if tuple(names[: len(FIXED)]) != FIXED[: len(names)]:
                raise RnalmError(f"{vcf.place(path, number)}: the columns are {line!r}; expected {' '.join(FIXED)}")
            if other := [] if names[len(FIXED) : len(FIXED) + 1] == [SAMPLED] else names[len(FIXED) :]:
                log.warning("%s: columns that VCF has not are left out: %s", path, ", ".join(other))
                names = names[: len(FIXED)]
            version = [] if about and about[0].startswith("##fileformat=") else ["##fileformat=VCFv4.2"]
            return [*version, *about], [*FIXED, *names[len(FIXED) :]]
    raise RnalmError(f"{path}: has no header; expected {' '.join(FIXED)}")


def _known(header: Sequence[str]) -> set[str]:
    """Name the fields of INFO that there are already."""
    return {found[1] for line in header if (found := re.match(r"##INFO=<ID=([^,>]+)", line))}


def _named(schema: pa.Schema) -> Iterator[tuple[str, str, str]]:
    """Go through the columns of scores: with what each begins, its name, and the class or target that it is of."""
    return ((stem, *named) for stem in chain.from_iterable(SCORES.values()) for named in outputs(schema, stem))


def _call(wanted: str, taken: set[str]) -> str:
    """Name a field, which has not all the signs that names of classes have, and remember its name."""
    key = legal = re.sub(r"[^0-9A-Za-z_.]", "_", wanted)
    number = 1
    while key in taken:
        number += 1
        key = f"{legal}_{number}"
    taken.add(key)
    return key


class _Fields:
    """A field for each score of each class, with a number for each allele."""

    #: Columns that are read beside the scores.
    read = ()

    def __init__(self, schema: pa.Schema, known: set[str]) -> None:
        taken = set(known)
        self.keys: dict[str, str] = {}
        self.header: list[str] = []
        for stem, column, own in _named(schema):
            key = self.keys[column] = _call(f"RNALM_{column}", taken)
            meaning = MEANINGS[stem].format(of=own.replace("\\", "\\\\").replace('"', '\\"'))
            self.header.append(f'##INFO=<ID={key},Number=A,Type=Float,Description="{meaning}",Source="rnalm">')

    def alleles(self, alts: Sequence[str]) -> str:
        """Write the alleles of a record as its line does: each has a row."""
        return ",".join(alts)

    def info(self, alts: Sequence[str], scores: Sequence[Sequence[str]]) -> str:
        """Write what is added to INFO: a number for each allele, a dot where there is none."""
        return ";".join(f"{key}={','.join(told)}" for key, told in zip(self.keys.values(), scores, strict=True))


class _Entries:
    """One field, with an entry for each transcript of an allele: what it is of, and its scores, a bar between them."""

    read = ("transcript", "reason")

    def __init__(self, schema: pa.Schema, known: set[str]) -> None:
        taken = {"Allele", "Transcript"}
        self.keys = {column: _call(column, taken) for _, column, _ in _named(schema)}
        self.key = _call("RNALM", set(known))
        order = "|".join(["Allele", "Transcript", *self.keys.values()])
        means = f"Predictions of transcripts with ALT and with REF. Format: {order}"
        self.header = [f'##INFO=<ID={self.key},Number=.,Type=String,Description="{means}",Source="rnalm">']

    def alleles(self, alts: Sequence[str]) -> str:
        """Write the alleles of a record, which have a row for each transcript, once each."""
        return ",".join(dict.fromkeys(alts))

    def info(self, alts: Sequence[str], scores: Sequence[Sequence[str]]) -> str:
        """Write what is added to INFO; nothing where no allele has a score in any transcript."""
        transcripts, reasons, *numbers = scores
        rows = zip(alts, transcripts, reasons, *numbers, strict=True)
        told = ["|".join([alt, quote(name, safe=NAME), *own]) for alt, name, reason, *own in rows if reason == "."]
        return f"{self.key}={','.join(told)}" if told else ""


@dataclass(frozen=True)
class _Scored:
    """A record whose alleles were scored: its place, the same in the words of its line, and what is added to INFO."""

    place: str
    written: tuple[str, ...]
    added: str


def _scores(parts: Sequence[str | Path], path: str, added: _Fields | _Entries) -> Iterator[_Scored]:
    """Go through what was scored, a record at a time."""
    names = list(added.keys)

    def rows() -> Iterator[tuple[str, ...]]:
        for table in alleles(parts, path, [*WRITTEN, *added.read, *names], rows_at_once(len(names))):
            about = (table[name].cast(pa.string()).fill_null(".").to_pylist() for name in ("place", *WRITTEN, *added.read))
            texts = (table[name].cast(pa.float32()).cast(pa.string()).fill_null(".").to_pylist() for name in names)
            yield from zip(*about, *texts, strict=True)

    for place, own in groupby(rows(), key=lambda row: row[0]):
        _, chrom, pos, ref, alts, *scores = zip(*own, strict=True)
        yield _Scored(place, (chrom[0], pos[0], ref[0], added.alleles(alts)), added.info(alts, scores))


def _records(
    lines: Iterator[tuple[int, str]], scores: Iterator[_Scored], path: str, added: _Fields | _Entries, width: int
) -> Iterator[list[str]]:
    """Put scores into the records to which they belong."""
    changed = "expected the file as it was when the run began"
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        fields, scored = line.split("\t")[:width], next(scores, None)
        chrom, pos, ref, alts = (field.strip() for field in (*fields[:2], *fields[3:5]))
        written = (chrom, pos, ref, added.alleles(alts.split(",")))
        if scored is None or (scored.place, scored.written) != (vcf.place(path, number), written):
            raise RnalmError(f"{vcf.place(path, number)}: is not what was scored; {changed}")
        fields += ["."] * (len(FIXED) - len(fields))
        known = "" if fields[INFO] == "." else fields[INFO]
        fields[INFO] = ";".join(filter(None, [known, scored.added])) or "."
        yield fields
    if left := next(scores, None):
        raise RnalmError(f"{left.place}: was scored, and is not there any more; {changed}")


class _Ordered:
    """Tells whether records are in order: by position, and those of a contig one after the other."""

    def __init__(self) -> None:
        self.so_far, self.contig, self.position = True, "", 0
        self.seen: set[str] = set()

    def add(self, record: Sequence[str]) -> None:
        contig, position = record[0], int(record[1])
        if contig != self.contig:
            self.so_far &= contig not in self.seen
            self.seen.add(contig)
        else:
            self.so_far &= position >= self.position
        self.contig, self.position = contig, position

    def __bool__(self) -> bool:
        return self.so_far


def _index(path: str | Path, index: Path) -> None:
    """Write the index of a file, whole or not at all."""
    with replacing(index) as temporary:
        pysam.tabix_index(str(path), preset="vcf", csi=True, index=str(temporary), force=True)
