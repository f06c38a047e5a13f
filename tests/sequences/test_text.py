import bz2
import errno
import gzip
import lzma
import os

import pyarrow as pa
import pytest

from rnalm import files
from rnalm.sequences import text


def read_text(path) -> str:
    with text.open_text(path) as file:
        return file.read()


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_text_is_read_plain_or_compressed_with_or_without_a_byte_order_mark(tmp_path, name, mark):
    data = mark + "ä\r\nb".encode()
    (tmp_path / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    assert read_text(tmp_path / name) == "ä\r\nb"


@pytest.mark.parametrize("end", [".gz", ".GZ", ".bgz", ".bz2", ".xz", ".zst"])
def test_text_is_read_however_it_is_compressed(tmp_path, end):
    others = {".bz2": bz2.compress, ".xz": lzma.compress, ".zst": lambda text: pa.compress(text, "zstd", asbytes=True)}
    (tmp_path / f"a{end}").write_bytes(others.get(end, gzip.compress)(LONG))
    assert read_text(tmp_path / f"a{end}").encode() == LONG


def test_what_can_be_read_only_once_or_not_at_all_is_told(tmp_path, refusal, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    message = "is a pipe, expected a file, as it is read more than once; write it to one"
    assert refusal(read_text, tmp_path / "pipe") == f"{tmp_path}/pipe: {message}"

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "a.tsv").write_text("a")
    monkeypatch.setattr("builtins.open", refuse)
    for read in (read_text, files.sha256):
        assert refusal(read, tmp_path / "a.tsv") == f"{tmp_path}/a.tsv: no permission to read it"


LONG = "".join(f"{i * 7919 % 104729}\n" for i in range(2000)).encode()
ZEROS = "expected UTF-8 text; perhaps it is UTF-16: iconv -f UTF-16LE -t UTF-8 …"
WHOLE = gzip.compress("".join(f"{i * 7919 % 104729}\n" for i in range(2000)).encode(), mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt.gz", b"plain text", "named .gz but not gzip-compressed; expected a gzip file"),
        ("a.txt.gz", WHOLE[:-20], "the gzip file ends too early; it is damaged or was cut"),
        ("a.txt.gz", WHOLE[:5], "the gzip file ends too early; it is damaged or was cut"),
        ("a.txt", WHOLE, "is gzip-compressed; its name must end in .gz"),
        ("a.txt", b"abc\xe4", "not UTF-8 text (found the byte 0xe4); if it is Latin-1: iconv -f LATIN1 -t UTF-8 a.txt > NEW"),
        ("a.txt.gz", gzip.compress(b"abc\xe4", mtime=0), "not UTF-8 text (found the byte 0xe4)"),
        ("a.tsv.bz2", b"plain text", "named .bz2 but not bzip2-compressed; expected a bzip2 file"),
        ("a.tsv.xz", WHOLE, "named .xz but not xz-compressed; expected a xz file"),
        ("a.tsv.bz2", bz2.compress(LONG)[:-20], "the bzip2 file ends too early; it is damaged or was cut"),
        ("a.tsv.xz", lzma.compress(LONG)[:-20], "the xz file ends too early; it is damaged or was cut"),
        ("a.tsv.zst", pa.compress(LONG, "zstd", asbytes=True)[:-20], "the zstd file ends too early; it is damaged or was cut"),
        ("a.tsv.bz2", bz2.compress(LONG)[:100] + b"?" + bz2.compress(LONG)[101:], "the bzip2 file is damaged"),
        ("a.tsv", bz2.compress(LONG), "is bzip2-compressed; its name must end in .bz2"),
        ("a.csv", b"PK\x03\x04...", "is a zip archive or an Excel workbook, expected text; unpack it, or save it as CSV"),
        ("a.tsv", "id".encode("utf-16"), "is UTF-16 text, expected UTF-8: iconv -f UTF-16 -t UTF-8 a.tsv > NEW"),
        (
            "a.tsv.gz",
            gzip.compress("id".encode("utf-16"), mtime=0),
            "is UTF-16 text, expected UTF-8: iconv -f UTF-16 -t UTF-8 a.tsv.gz > NEW",
        ),
        ("a.tsv", "id".encode("utf-32"), "is UTF-32 text, expected UTF-8: iconv -f UTF-32 -t UTF-8 a.tsv > NEW"),
        ("a.tsv", "id".encode("utf-16-le"), f"has zero bytes, {ZEROS}"),
        ("a.txt.gz", WHOLE[:10] + b"\xff" + WHOLE[11:], "the gzip file is damaged"),  # no such block
        ("a.txt.gz", WHOLE[:-8] + bytes([WHOLE[-8] ^ 1]) + WHOLE[-7:], "the gzip file is damaged"),  # a wrong checksum
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, refusal, name, content, problem):
    (tmp_path / name).write_bytes(content)
    assert refusal(read_text, tmp_path / name) == f"{tmp_path / name}: {problem}"


def test_a_missing_file_and_a_folder_are_named(tmp_path, refusal):
    assert refusal(read_text, tmp_path / "no") == f"{tmp_path / 'no'}: no such file"
    assert refusal(read_text, tmp_path) == f"{tmp_path}: is a folder, expected a file"
