"""The text of files, however they are compressed."""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rnalm.errors import RnalmError
from rnalm.files import COMPRESSIONS, open_bytes

#: How files begin that are no text, and what to do with them where their name does not say what they are.
KINDS = {
    "gzip": (b"\x1f\x8b", "is gzip-compressed; its name must end in .gz"),
    "bzip2": (b"BZh", "is bzip2-compressed; its name must end in .bz2"),
    "xz": (b"\xfd7zXZ\0", "is xz-compressed; its name must end in .xz"),
    "zstd": (b"\x28\xb5\x2f\xfd", "is zstd-compressed; its name must end in .zst"),
    "zip": (b"PK\x03\x04", "is a zip archive or an Excel workbook, expected text; unpack it, or save it as CSV"),
    "Excel": (b"\xd0\xcf\x11\xe0", "is an Excel workbook, expected text; save it as CSV"),
    "Parquet": (b"PAR1", "is a Parquet file, expected text; save it as CSV"),
}


def read_names(given: Sequence[str] | str, key: str) -> tuple[list[str], str]:
    """Read names of classes: a list, or a file with one in each line.

    Parameters
    ----------
    given : sequence of str or str
        The names, or the file.
    key : str
        What a list of them is called, for messages.

    Returns
    -------
    names : list of str
        Each once.
    where : str
        Where they stand, for messages.

    Raises
    ------
    RnalmError
        If a class is named twice.
    """
    names, where = given, key
    if isinstance(given, str):
        where = given
        with open_text(given) as text:
            names = [line.strip() for line in text if line.strip()]
    if repeated := next((name for number, name in enumerate(names) if name in names[:number]), None):
        raise RnalmError(f"{where}: the class {repeated!r} is named twice")
    return list(names), where


@contextmanager
def open_text(path: str | Path) -> Iterator[IO[str]]:
    """Open a plain or, by its extension, a compressed UTF-8 text file for reading.

    Parameters
    ----------
    path : path
        The file; a byte order mark at its beginning is left out. What is compressed in which way says
        :data:`rnalm.files.COMPRESSIONS`.

    Yields
    ------
    file
        The open text, with line ends as they are in the file.

    Raises
    ------
    RnalmError
        If the file is not there or cannot be read, is not what its name says, or is not UTF-8 text.
    """
    path = Path(path)
    with unpacked(path) as content:
        _check_encoding(path, content.peek(4096))
        try:
            # newline="" leaves line ends to the csv module, which knows CRLF and quoted line breaks.
            yield io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
        except UnicodeDecodeError as error:
            found = f"not UTF-8 text (found the byte 0x{error.object[error.start]:02x})"
            hint = f"if it is Latin-1: iconv -f LATIN1 -t UTF-8 {path.name} > NEW"
            raise RnalmError(f"{path}: {f'{found}; {hint}' if _compression(path) is None else found}") from None


@contextmanager
def unpacked(path: str | Path) -> Iterator[io.BufferedReader]:
    """Open a file that may be compressed, as its name says.

    Parameters
    ----------
    path : path
        The file.

    Yields
    ------
    file
        Its content.

    Raises
    ------
    RnalmError
        If the file is not there or cannot be read, or is not what its name says.
    """
    path = Path(path)
    compression = _compression(path)
    with open_bytes(path) as file:
        beginning = file.read(8)
    kind = next((name for name, (mark, _) in KINDS.items() if beginning.startswith(mark)), None)
    if compression and kind != compression:
        raise RnalmError(f"{path}: named {path.suffix} but not {compression}-compressed; expected a {compression} file")
    if kind and not compression:
        raise RnalmError(f"{path}: {KINDS[kind][1]}")
    try:
        with open_bytes(path) as file, io.BufferedReader(_unpack(file, compression)) as content:
            yield content
    except EOFError:
        raise RnalmError(f"{path}: the {compression} file ends too early; it is damaged or was cut") from None
    except (zlib.error, lzma.LZMAError, OSError) as error:
        # What the system says of a disk has a number; what is said of the content has none.
        if compression is None or getattr(error, "errno", None) is not None:
            raise
        cut = "ends too early; it is damaged or was cut" if "runcated" in str(error) else "is damaged"
        raise RnalmError(f"{path}: the {compression} file {cut}") from None


def _compression(path: Path) -> str | None:
    """Say how a file is compressed, by the end of its name."""
    return COMPRESSIONS.get(path.suffix.lower())


def _unpack(file: IO[bytes], compression: str | None) -> Any:
    """Give the content of a file that may be compressed."""
    if compression == "zstd":
        from pyarrow import CompressedInputStream  # only here, as planning needs no pyarrow

        return CompressedInputStream(file, "zstd")
    unpack = {"gzip": lambda file: gzip.GzipFile(fileobj=file), "bzip2": bz2.BZ2File, "xz": lzma.LZMAFile}
    return unpack[compression](file) if compression else file


def _check_encoding(path: Path, beginning: bytes) -> None:
    """Refuse a text of which each letter takes two bytes or four, and what is no text at all."""
    marks = {"UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)}
    found = next((name for name, known in marks.items() if beginning.startswith(known)), None)
    if found:
        raise RnalmError(f"{path}: is {found} text, expected UTF-8: iconv -f {found} -t UTF-8 {path.name} > NEW")
    if b"\0" in beginning[:2]:
        raise RnalmError(f"{path}: has zero bytes, expected UTF-8 text; perhaps it is UTF-16: iconv -f UTF-16LE -t UTF-8 …")
