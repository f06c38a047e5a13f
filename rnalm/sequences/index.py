"""A genome in FASTA ─► open for reading at any place: with its index, which is made where there is none."""

import gzip
import hashlib
import logging
import shutil
from pathlib import Path

import pysam

from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.sequences.silence import silence
from rnalm.sequences.text import open_text

log = logging.getLogger(__name__)

#: Bytes that are looked at together.
BLOCK = 2**24


def open_indexed(path: Path, folder: Path) -> pysam.FastaFile:
    """Open a FASTA file, with the index beside it or one of our own.

    Parameters
    ----------
    path : Path
        Plain, or compressed.
    folder : Path
        Where an index is made, and files are unpacked of which no part can be read by itself.

    Raises
    ------
    RnalmError
        If there is no such file, it cannot be indexed, or its index is older than it is; it names the line that is in the way.
    """
    if not path.is_file():
        raise RnalmError(f"{path}: no such file")
    if _compression(path) == "gzip":
        path = _unpack(path, folder)
    packed = _compression(path) == "bgzip"
    index, blocks = Path(f"{path}.fai"), Path(f"{path}.gzi")
    if index.is_file() and index.stat().st_mtime < path.stat().st_mtime:
        raise RnalmError(f"{index}: older than {path}; index it anew (samtools faidx), or remove the index")
    if not index.is_file() or (packed and not blocks.is_file()):
        index, blocks = (folder / f"{path.name}.{_mark(path)}.{end}" for end in ("fai", "gzi"))
        if not index.is_file() or (packed and not blocks.is_file()):
            _index(path, index, blocks if packed else None)
    try:
        compressed = {"filepath_index_compressed": str(blocks)} if packed else {}
        with silence():
            return pysam.FastaFile(str(path), filepath_index=str(index), **compressed)
    except (OSError, ValueError) as error:
        raise RnalmError(f"{path}: cannot be read as FASTA with the index {index} ({error})") from None


def _index(path: Path, index: Path, blocks: Path | None) -> None:
    """Write an index, and one of the blocks of a compressed file, whole or not at all."""
    index.parent.mkdir(parents=True, exist_ok=True)
    try:
        with silence(), replacing(index) as temporary:
            if blocks is None:
                pysam.faidx(str(path), "--fai-idx", str(temporary))  # pyright: ignore[reportAttributeAccessIssue]
            else:
                with replacing(blocks) as compressed:
                    pysam.faidx(str(path), "--fai-idx", str(temporary), "--gzi-idx", str(compressed))  # pyright: ignore[reportAttributeAccessIssue]
    except pysam.SamtoolsError as error:  # pyright: ignore[reportAttributeAccessIssue]
        raise RnalmError(f"{path}{_obstacle(path) or f': cannot be indexed ({str(error).splitlines()[0]})'}") from None
    _check_names(path, index)


def _obstacle(path: Path) -> str | None:
    """Find the first line for which a FASTA file cannot be indexed: where a letter is, is counted from lines of one length."""
    width: int | None = None  # of the first line of a contig; None before the first header
    ended = number = 0  # the line that was shorter, and can only be the last one
    with open_text(path) as text:
        for number, line in enumerate(text, start=1):
            length = len(line.rstrip("\r\n"))
            if line.startswith(">"):
                width = ended = 0
            elif width is None and length:
                return f", line {number}: found {line.rstrip()[:20]!r}, expected a header that begins with '>'"
            elif length and (ended or length > (width or length)):
                uneven = f"line {ended} is shorter than others of its contig" if ended else f"line {number} is longer"
                return f": {uneven}, and it cannot be indexed; expected lines of one length but for the last"
            elif width is not None:
                width = width or length
                ended = ended or (number if length < width or not length else 0)
    return None if number else ": there is nothing in it; expected FASTA"


def _check_names(path: Path, index: Path) -> None:
    """Tell contigs that have the name of an earlier one, and so cannot be read."""
    headers, rest = 0, b"\n"
    with (gzip.open if _compression(path) else open)(path, "rb") as file:
        while block := file.read(BLOCK):
            headers += (rest + block).count(b"\n>")
            rest = block[-1:]
    named = sum(1 for _ in index.open())
    if headers > named:
        log.warning("%s: contigs that are called like one before them are not read: %d", path, headers - named)


def _compression(path: Path) -> str | None:
    """Say how a file is compressed; blocks of bgzip have a field of their own in their header (SAM specification, 4.1)."""
    with path.open("rb") as file:
        head = file.read(14)
    if head[:2] != b"\x1f\x8b":
        return None
    return "bgzip" if head[12:14] == b"BC" else "gzip"


def _mark(path: Path) -> str:
    """Tell a file from others of its name, and from what it was before it was changed."""
    status = path.stat()
    return hashlib.sha256(f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {status.st_ino}".encode()).hexdigest()[:8]


def _unpack(path: Path, folder: Path) -> Path:
    """Unpack a file of which no part can be read by itself."""
    whole = folder / f"{Path(path.stem).stem}.{_mark(path)}.fa"
    if not whole.is_file():
        log.info("%s: unpacked into %s; compressed with bgzip, it would be read as it is", path, whole)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(whole) as temporary, gzip.open(path) as packed, open(temporary, "wb") as file:
                shutil.copyfileobj(packed, file)
        except (OSError, EOFError) as error:
            raise RnalmError(f"{path}: cannot be unpacked ({error})") from None
    return whole
