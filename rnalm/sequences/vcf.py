"""VCF, BCF or a table ─► alleles, each with the place where it stands."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pysam

from rnalm.errors import RnalmError, nearest
from rnalm.files import open_bytes
from rnalm.sequences.genotypes import GENOTYPE, Call
from rnalm.sequences.silence import silence
from rnalm.sequences.text import open_text

#: Letters of alleles; others, such as the codes of several bases, are told.
LETTERS = frozenset("ACGTN")
#: How a table names its columns, and how VCF does.
COLUMNS = ("chrom", "pos", "ref", "alt")
#: The column before those of samples.
FORMAT = "format"


@dataclass(frozen=True, slots=True)
class Allele:
    """One alternative allele of one record.

    Attributes
    ----------
    place : str
        File and line.
    chrom, name : str
        Contig and identifier as they are written.
    pos : int
        As it is written: 1-based.
    ref, alt : str
        As they are written; ``alt`` is one of the alleles of the record.
    strand : {'+', '-', '.'}
        Which strand is read, ``.`` if that is not said; letters are those of the forward strand all the same.
    number : int
        Which of the alternative alleles of the record it is, from 1 on.
    calls : tuple of Call
        What the record says of the samples that are read.
    """

    place: str
    chrom: str
    pos: int
    name: str
    ref: str
    alt: str
    strand: str = "."
    number: int = 1
    calls: tuple[Call, ...] = ()

    @property
    def change(self) -> tuple[int, str, str]:
        """Where it begins, 0-based, what goes and what comes, as DNA in capital letters; ``-`` is nothing.

        Where nothing goes, the letters come behind the position, as in MAF files and those of ANNOVAR.
        """
        ref, alt = ("" if letters == "-" else letters.upper().replace("U", "T") for letters in (self.ref, self.alt))
        return (self.pos if not ref else self.pos - 1), ref, alt

    @property
    def problem(self) -> str | None:
        """Why nothing can be said of it, whatever the genome is; None: something can."""
        if self.alt.startswith("<"):
            return "symbolic allele"
        if "[" in self.alt or "]" in self.alt:
            return "breakend"
        if self.alt == "*":
            return "allele of a deletion further left (*)"
        if self.alt == ".":
            return "no alternative allele (.)"
        _, ref, alt = self.change
        if other := (set(ref) | set(alt)) - LETTERS:
            return f"letters other than A, C, G, T and N ({', '.join(sorted(other))})"
        return None


def read(path: str | Path, strand_column: str | int | None = None, samples: Sequence[str] = ()) -> Iterator[Allele]:
    """Read the alleles of a file, in its order, a line at a time.

    Parameters
    ----------
    path : path
        VCF, plain or compressed; BCF (``.bcf``); or a table, whose first line names ``chrom``, ``pos``, ``ref``, ``alt``.
    strand_column : str or int, optional
        Name of the column with the strand, or its number from 0; None: that which is named ``strand``, if there is one.
    samples : sequence of str
        Those whose genotypes are read.

    Yields
    ------
    Allele
        Each alternative allele.

    Raises
    ------
    RnalmError
        If the file cannot be read, has no such columns or samples, or a line of it is no record; it names file and line.
    """
    yield from _alleles(path, lines(path), strand_column, samples)


def lines(path: str | Path) -> Iterator[str]:
    """Read the lines of a file, those of its header among them, as text.

    Parameters
    ----------
    path : path
        As for :func:`read`.

    Yields
    ------
    str
        A line, without its end.

    Raises
    ------
    RnalmError
        If the file cannot be read.
    """
    if str(path).endswith(".bcf"):
        yield from (line.rstrip("\r\n") for line in _lines_of_bcf(path))
        return
    with open_text(path) as text:
        yield from (line.rstrip("\r\n") for line in text)


def is_vcf(path: str | Path) -> bool:
    """Say whether a file is VCF or BCF with its header, or a table, by its first line.

    Parameters
    ----------
    path : path
        As for :func:`read`.
    """
    if str(path).endswith(".bcf"):
        return True
    first = next((line for line in lines(path) if line.strip()), "")
    return first.startswith(("##fileformat=VCF", "#CHROM\tPOS\tID\tREF\tALT"))


def place(path: str | Path, line: int) -> str:
    """Say where an allele stands.

    Parameters
    ----------
    path : path
        The file.
    line : int
        Counted from 1.
    """
    return f"{path}, line {line}"


def _lines_of_bcf(path: str | Path) -> Iterator[str]:
    """Write the records of a binary file as lines of VCF."""
    with open_bytes(Path(path)):
        pass  # which tells why it cannot be read
    try:
        with silence(), pysam.VariantFile(str(path)) as file:
            yield from str(file.header).splitlines()
            for record in file:
                yield str(record)
    except (OSError, ValueError) as error:
        raise RnalmError(f"{path}: cannot be read as BCF ({error})") from None


def _alleles(
    path: str | Path, lines: Iterator[str], strand_column: str | int | None, samples: Sequence[str]
) -> Iterator[Allele]:
    """Take lines apart."""
    numbered = iter(enumerate(lines, start=1))
    header = next(((number, line) for number, line in numbered if line and not line.startswith("##")), None)
    if header is None:
        return
    number, line = header
    separator = "," if "\t" not in line and "," in line else "\t"
    titles = [name.strip().removeprefix("#") for name in next(csv.reader([line], delimiter=separator))]
    names = [title.lower() for title in titles]
    if not set(COLUMNS) <= set(names):
        if len(names) >= 5 and names[1].isdecimal():
            # A VCF without a header, as people cut them out of others.
            names, numbered = ["chrom", "pos", "id", "ref", "alt"], chain([header], numbered)
            titles = names
        else:
            missing = next(name for name in COLUMNS if name not in names)
            raise RnalmError(
                f"{path}, line {number}: no column {missing!r}; expected VCF, or a table with {', '.join(COLUMNS)}"
            )
    columns = {name: names.index(name) for name in COLUMNS}
    strand = _strand_at(path, names, strand_column)
    named = next((names.index(name) for name in ("id", "name") if name in names), None)
    calls = _calls_at(path, titles, samples)
    # A quotation mark means nothing in VCF.
    quoted = '"' in header[1]
    for number, line in numbered:
        if not line or line.startswith("#"):
            continue
        fields = next(csv.reader([line], delimiter=separator)) if quoted else line.split(separator)
        where = place(path, number)
        if len(fields) <= max(columns.values()):
            raise RnalmError(f"{where}: has {len(fields)} fields, expected {max(columns.values()) + 1} or more")
        chrom, pos, ref, alts = (fields[column].strip() for column in columns.values())
        if not pos.isdecimal():
            raise RnalmError(f"{where}: the position is {pos!r}, expected a whole number")
        given = {"place": where, "chrom": chrom, "pos": int(pos), "ref": ref}
        name = fields[named].strip() if named is not None and named < len(fields) else "."
        if strand is not None and strand >= len(fields):
            raise RnalmError(f"{where}: has {len(fields)} fields, expected a strand in column {strand} (from 0)")
        on = (fields[strand].strip() or ".") if strand is not None else "."
        if on not in ("+", "-", "."):
            raise RnalmError(f"{where}: the strand is {on!r}, expected + or -, or . where it is not known")
        if "" in (ref, *alts.split(",")):
            raise RnalmError(f"{where}: an allele is empty (REF {ref!r}, ALT {alts!r}), expected letters, or - for none")
        each = alts.split(",")
        own = calls(fields, where, len(each))
        for count, alt in enumerate(each, start=1):
            yield Allele(**given, name=name, alt=alt, strand=on, number=count, calls=own)


def _strand_at(path: str | Path, names: list[str], wanted: str | int | None) -> int | None:
    """Find the column with the strand."""
    if isinstance(wanted, int):
        return wanted
    if wanted is None:
        return names.index("strand") if "strand" in names else None
    if wanted.lower() not in names:
        raise RnalmError(f"{path}: no column {wanted!r} with the strand; {nearest(wanted.lower(), names)}")
    return names.index(wanted.lower())


def _calls_at(path: str | Path, titles: list[str], samples: Sequence[str]) -> Callable[[list[str], str, int], tuple[Call, ...]]:
    """Find the columns of samples, and give what reads their genotypes in the fields of a line."""
    if not samples:
        return lambda fields, where, alleles: ()
    before = [title.lower() for title in titles].index(FORMAT) if FORMAT in (title.lower() for title in titles) else None
    if before is None or not titles[before + 1 :]:
        raise RnalmError(f"{path}: phased: has no samples; expected a VCF file with genotypes of {', '.join(samples)}")
    known = {title: place for place, title in enumerate(titles) if place > before}
    if absent := next((sample for sample in samples if sample not in known), None):
        raise RnalmError(f"{path}: phased: has no sample {absent!r}; {nearest(absent, known)}")

    def calls(fields: list[str], where: str, alleles: int) -> tuple[Call, ...]:
        if len(fields) <= (last := max(known[sample] for sample in samples)):
            raise RnalmError(f"{where}: has {len(fields)} fields, expected {last + 1} or more, for its samples")
        keys = fields[before].split(":")
        return tuple(_call(sample, keys, fields[known[sample]].split(":"), where, alleles) for sample in samples)

    return calls


def _call(sample: str, keys: list[str], values: list[str], where: str, alleles: int) -> Call:
    """Read what a line says of a sample; values at its end may be left out."""
    told = dict(zip(keys, (value.strip() for value in values), strict=False))
    call = Call(sample, told.get("GT", "."), told.get("PS", "."))
    if not GENOTYPE.fullmatch(call.genotype):
        raise RnalmError(f"{where}: the genotype of {sample} is {call.genotype!r}, expected numbers between | or /, as 0|1")
    if any(number != "." and int(number) > alleles for number in call.alleles):
        found = f"the genotype of {sample} is {call.genotype!r}"
        raise RnalmError(f"{where}: {found}, and the record has alleles 0 to {alleles}")
    return call
