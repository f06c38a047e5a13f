"""Effects of the alleles of a VCF file ─► the same file with the scores in INFO."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

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

#: What the header says of scores.
MEANINGS = {
    "diff": "Prediction of {of} with ALT minus that with REF",
    "abs_diff": "Size of the difference between the predictions of {of} with ALT and with REF",
    "logit_diff": "Logit of {of} with ALT minus that with REF",
    "ref_pred": "Prediction of {of} with REF",
    "alt_pred": "Prediction of {of} with ALT",
}


def write(parts: Sequence[str | Path], variants: str, output: str | Path) -> None:
    """Write a VCF file again, compressed with bgzip, with a field of INFO for each score of each class.

    Where its records are in order, an index is written beside it, whose name ends in ``.csi``.

    Parameters
    ----------
    parts : sequence of path
        From :func:`rnalm.scoring.variants.score_shard`, in order.
    variants : str
        The file, as the configuration calls it: VCF or BCF.
    output : path
        The file to write.

    Raises
    ------
    RnalmError
        If it has no header of VCF, or other records than those that were scored.
    """
    index = Path(f"{output}.csi")
    index.unlink(missing_ok=True)
    lines = iter(enumerate(vcf.lines(variants), start=1))
    header, names = _header(lines, variants)
    fields = _fields(pq.read_schema(parts[0]), _known(header))
    ordered = _Ordered()
    with replacing(output) as temporary, pysam.BGZFile(str(temporary), "wb", index=None) as file:
        for line in (*header, *(about for _, about in fields.values()), "\t".join(names)):
            file.write(f"{line}\n".encode())
        for record in _records(lines, _scores(parts, variants, fields), variants, len(names)):
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


def _fields(schema: pa.Schema, known: set[str]) -> dict[str, tuple[str, str]]:
    """Call the fields by column, and say what they mean: names of classes may have signs that those of fields have not."""
    taken, found = set(known), {}
    for stem in chain.from_iterable(SCORES.values()):
        for column, own in outputs(schema, stem):
            key = legal = re.sub(r"[^0-9A-Za-z_.]", "_", f"RNALM_{column}")
            number = 1
            while key in taken:
                number += 1
                key = f"{legal}_{number}"
            taken.add(key)
            of = own.replace("\\", "\\\\").replace('"', '\\"')
            meaning = MEANINGS[stem].format(of=of)
            found[column] = key, f'##INFO=<ID={key},Number=A,Type=Float,Description="{meaning}",Source="rnalm">'
    return found


@dataclass(frozen=True)
class _Scored:
    """A record whose alleles were scored: its place, the same in the words of its line, and what is added to INFO."""

    place: str
    written: tuple[str, ...]
    added: str


def _scores(parts: Sequence[str | Path], path: str, fields: dict[str, tuple[str, str]]) -> Iterator[_Scored]:
    """Go through what was scored, a record at a time: a number for each allele, a dot where there is none."""
    names = list(fields)

    def rows() -> Iterator[tuple[str, ...]]:
        for table in alleles(parts, path, [*WRITTEN, *names], rows_at_once(len(names))):
            texts = (table[name].cast(pa.float32()).cast(pa.string()).fill_null(".").to_pylist() for name in names)
            about = (table[name].cast(pa.string()).to_pylist() for name in ("place", *WRITTEN))
            yield from zip(*about, *texts, strict=True)

    for place, own in groupby(rows(), key=lambda row: row[0]):
        _, chrom, pos, ref, alts, *scores = zip(*own, strict=True)
        added = (f"{fields[name][0]}={','.join(told)}" for name, told in zip(names, scores, strict=True))
        yield _Scored(place, (chrom[0], pos[0], ref[0], ",".join(alts)), ";".join(added))


def _records(lines: Iterator[tuple[int, str]], scores: Iterator[_Scored], path: str, width: int) -> Iterator[list[str]]:
    """Put scores into the records to which they belong."""
    changed = "expected the file as it was when the run began"
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        fields, scored = line.split("\t")[:width], next(scores, None)
        written = tuple(field.strip() for field in (*fields[:2], *fields[3:5]))
        if scored is None or (scored.place, scored.written) != (vcf.place(path, number), written):
            raise RnalmError(f"{vcf.place(path, number)}: is not what was scored; {changed}")
        fields += ["."] * (len(FIXED) - len(fields))
        fields[INFO] = scored.added if fields[INFO] in (".", "") else f"{fields[INFO]};{scored.added}"
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
