"""BED12 or GTF ─► transcripts on a genome."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from rnalm.errors import RnalmError
from rnalm.sequences.intervals import PASSED_OVER
from rnalm.sequences.text import COMPRESSIONS, open_text
from rnalm.sequences.transcripts import NOWHERE, Transcript, Transcripts

#: What GTF says of a transcript; the value may stand without quotes. https://mblab.wustl.edu/GTF22.html
ATTRIBUTE = {name: re.compile(rf'\b{name}\s+"?([^";]+)"?') for name in ("transcript_id", "transcript_version")}
#: Features of GTF that are translated. Ensembl and GENCODE leave the stop codon out of ``CDS``.
TRANSLATED = ("CDS", "start_codon", "stop_codon")


def read(path: str | Path) -> Transcripts:
    """Read transcripts.

    Parameters
    ----------
    path : path
        ``.gtf``, as of Ensembl or GENCODE, or ``.bed`` with twelve columns (BED12), plain or compressed.

    Returns
    -------
    Transcripts
        In the order of the file.

    Raises
    ------
    RnalmError
        If the file is neither, has no transcripts, or a line of it cannot be: exons overlap, blocks do not fill their interval,
        the strand is not known, or the coding sequence does not begin and end in exons. The message names file and line.
    """
    kind = kind_of(path)
    transcripts = list(READERS[kind](path))
    if not transcripts:
        raise RnalmError(f"{path}: has no {'line with the feature exon' if kind == '.gtf' else 'line with twelve columns'}")
    return Transcripts(transcripts, str(path))


def kind_of(path: str | Path) -> str:
    """Tell by its name how a file writes transcripts.

    Parameters
    ----------
    path : path
        The file; it need not be there.

    Raises
    ------
    RnalmError
        If the name says nothing that is known.
    """
    plain = Path(path)
    suffix = (plain.with_suffix("") if plain.suffix.lower() in COMPRESSIONS else plain).suffix.lower()
    if suffix in (".gff", ".gff3"):
        raise RnalmError(f"{path}: is GFF, expected GTF or BED12; gffread -T writes GTF of it")
    if suffix not in READERS:
        raise RnalmError(f"{path}: expected a name that ends in .gtf or .bed, or further in .gz")
    return suffix


def _read_bed(path: str | Path) -> Iterator[Transcript]:
    """Read BED12, in which each line is a transcript."""
    with open_text(path) as text:
        for number, line in enumerate(text, start=1):
            if not line.strip() or line.startswith(PASSED_OVER):
                continue
            place, fields = f"{path}, line {number}", line.rstrip("\r\n").split("\t")
            if len(fields) < 12:
                raise RnalmError(f"{place}: has {len(fields)} columns, expected the twelve of BED12, separated by tabs")
            yield _of_blocks(place, fields)


def _of_blocks(place: str, fields: list[str]) -> Transcript:
    """Make a transcript of a line of BED12."""
    try:
        start, end, thick_start, thick_end, count = (int(fields[column]) for column in (1, 2, 6, 7, 9))
        sizes, offsets = (np.array(fields[column].rstrip(",").split(","), dtype=np.int64) for column in (10, 11))
    except ValueError:
        raise RnalmError(f"{place}: expected whole numbers in columns 2, 3, 7, 8, 10, 11 and 12") from None
    if not len(sizes) == len(offsets) == count:
        found = f"{len(sizes)} sizes and {len(offsets)} starts"
        raise RnalmError(f"{place}: has {found}, expected as many as there are blocks, {count} (column 10)")
    if offsets[0] != 0 or offsets[-1] + sizes[-1] != end - start:
        found = f"{start + offsets[0]}-{start + offsets[-1] + sizes[-1]}"
        raise RnalmError(f"{place}: the blocks reach over {found}, expected {start}-{end} (columns 2 and 3)")
    cds = (thick_start, thick_end) if thick_start < thick_end else None
    return _checked(place, Transcript(fields[3], fields[0], fields[5], start + offsets, start + offsets + sizes, cds))


@dataclass
class _Gathered:
    """What lines of GTF say of one transcript.

    Attributes
    ----------
    place : str
        The first of them.
    exons : list of tuple of int
        Start and end.
    translated : list of tuple of int
        Start, end and phase; of the parts of codons at the ends of what is translated the phase is not known: 0.
    """

    place: str
    exons: list[tuple[int, int]] = field(default_factory=list)
    translated: list[tuple[int, int, int]] = field(default_factory=list)


def _read_gtf(path: str | Path) -> Iterator[Transcript]:
    """Read GTF, in which the lines of a transcript need not follow each other."""
    gathered: dict[tuple[str, str, str], _Gathered] = {}
    with open_text(path) as text:
        for number, line in enumerate(text, start=1):
            fields = line.rstrip("\r\n").split("\t")
            if line.startswith("#") or not line.strip() or (len(fields) > 2 and fields[2] not in ("exon", *TRANSLATED)):
                continue
            place = f"{path}, line {number}"
            if len(fields) < 9:
                raise RnalmError(f"{place}: has {len(fields)} columns, expected the nine of GTF, separated by tabs")
            key = (_name(place, fields[8]), fields[0], fields[6])
            if (own := gathered.get(key)) is None:
                own = gathered[key] = _Gathered(place)
            start, end = _bounds(place, fields)
            if fields[2] == "exon":
                own.exons.append((start, end))
            else:
                phase = int(fields[7]) if fields[2] == "CDS" and fields[7] in ("1", "2") else 0
                own.translated.append((start, end, phase))
    for (name, contig, strand), own in gathered.items():
        yield _of_features(name, contig, strand, own)


def _of_features(name: str, contig: str, strand: str, own: _Gathered) -> Transcript:
    """Make a transcript of the lines of GTF that belong to it."""
    if not own.exons:
        raise RnalmError(f"{own.place}: the transcript {name} is translated but has no line with the feature exon")
    starts, ends = np.array(sorted(own.exons), dtype=np.int64).T
    cds, phase = None, 0
    if own.translated:
        cds = (min(start for start, _, _ in own.translated), max(end for _, end, _ in own.translated))
        # Of lines that begin alike one is the start codon, which is whole.
        first = [part for part in own.translated if (part[0] == cds[0] if strand == "+" else part[1] == cds[1])]
        phase = max(part[2] for part in first)
    return _checked(own.place, Transcript(name, contig, strand, starts, ends, cds, phase))


def _name(place: str, attributes: str) -> str:
    """Read what a transcript is called, with its version: Ensembl writes that apart, GENCODE does not."""
    found = {name: pattern.search(attributes) for name, pattern in ATTRIBUTE.items()}
    name, version = found["transcript_id"], found["transcript_version"]
    if name is None:
        raise RnalmError(f"{place}: has no transcript_id; expected one in column 9")
    return f"{name.group(1)}.{version.group(1)}" if version else name.group(1)


def _bounds(place: str, fields: list[str]) -> tuple[int, int]:
    """Read start and end of a line of GTF, which counts from 1 and names the last position."""
    if not (fields[3].isdecimal() and fields[4].isdecimal() and 1 <= int(fields[3]) <= int(fields[4])):
        raise RnalmError(
            f"{place}: from {fields[3]!r} to {fields[4]!r}, expected positions from 1, the first not behind the last"
        )
    return int(fields[3]) - 1, int(fields[4])


def _checked(place: str, transcript: Transcript) -> Transcript:
    """Refuse a transcript that cannot be."""

    def refuse(problem: str) -> NoReturn:
        raise RnalmError(f"{place}: the transcript {transcript.id} {problem}")

    starts, ends = transcript.starts, transcript.ends
    if transcript.strand not in ("+", "-"):
        refuse(f"is on the strand {transcript.strand!r}, expected + or -")
    if starts[0] < 0 or (ends <= starts).any():
        exon = int(np.argmax((ends <= starts) | (starts < 0)))
        refuse(f"has the exon {starts[exon]}-{ends[exon]}, expected one that begins at 0 or later and ends behind its start")
    if len(overlap := np.flatnonzero(starts[1:] < ends[:-1])):
        left, right = overlap[0], overlap[0] + 1
        refuse(f"has exons that overlap or are not in order: {starts[left]}-{ends[left]} and {starts[right]}-{ends[right]}")
    if transcript.cds and NOWHERE in transcript.place(np.array([transcript.cds[0], transcript.cds[1] - 1])):
        refuse(f"is translated from {transcript.cds[0]} to {transcript.cds[1]}, of which an end is in no exon")
    return transcript


#: What reads each kind of file, by the end of its name.
READERS = {".bed": _read_bed, ".bed12": _read_bed, ".gtf": _read_gtf}
