import bz2
import errno
import fcntl
import gzip
import lzma
import os

import pyarrow as pa
import pytest

from rnalm import files


def read_text(path) -> str:
    with files.open_text(path) as file:
        return file.read()


@pytest.mark.parametrize("before", [None, "old"])
def test_a_write_that_fails_leaves_everything_as_it_was(tmp_path, before):
    path = tmp_path / "result.txt"
    if before is not None:
        path.write_text(before)

    def killed():
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert [file.read_text() for file in tmp_path.iterdir()] == ([before] if before is not None else [])


def test_a_file_appears_in_its_folder_or_is_replaced_only_when_it_is_whole(tmp_path):
    path, before = tmp_path / "a" / "b" / "table.csv.gz", []
    for content in ("first", "second"):
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            assert (temporary.parent, "".join(temporary.suffixes[-2:])) == (path.parent, ".csv.gz")
            assert [file.read_text() for file in path.parent.glob("table*")] == before
            temporary.write_text(content)
        before = [content]
        assert [(file.name, file.read_text()) for file in path.parent.iterdir()] == [("table.csv.gz", content)]


def test_json_comes_back_as_it_was_written(tmp_path):
    content = {"β": [1, 2.5, None], "a": {"b": "é"}}
    files.write_json(tmp_path / "a.json", content)
    assert files.read_json(tmp_path / "a.json") == content
    assert "β" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "no such file"), (b"{", "not a JSON file ("), (b"\xff\xfe", "not a JSON file (")]
)
def test_a_file_that_is_missing_or_no_json_is_named(tmp_path, refusal, content, problem):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_bytes(content)
    assert refusal(files.read_json, path).startswith(f"{path}: {problem}")


def test_the_hash_depends_on_the_contents_and_their_order(tmp_path):
    one, two, copy = (tmp_path / name for name in "abc")
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    copy.write_bytes(b"1")
    assert files.sha256(one) == files.sha256(copy) != files.sha256(two)
    assert files.sha256(one, two) == files.sha256(copy, two) != files.sha256(two, one)


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


def test_a_lock_file_that_is_removed_meanwhile_keeps_others_out_all_the_same(tmp_path, monkeypatch):
    path, flock = tmp_path / "lock", fcntl.flock

    def removed_once(file, kind) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        flock(file, kind)

    monkeypatch.setattr(fcntl, "flock", removed_once)
    with files.lock(path):
        assert files.is_locked(path)
        assert files.lock(path) is None


def test_where_there_are_no_locks_work_goes_on(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with files.lock(tmp_path / "lock"):
        assert "this file system has no locks; do not start the same work twice" in caplog.text
    assert not files.is_locked(tmp_path / "lock")


def test_a_lock_serves_all_users_of_a_folder(tmp_path, monkeypatch):
    before = os.umask(0o077)
    try:
        files.lock(tmp_path / "lock").close()
    finally:
        os.umask(before)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o666
    ordinary = os.open

    def of_another_user(path, flags, *mode):
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return ordinary(path, flags, *mode)

    monkeypatch.setattr(os, "open", of_another_user)
    with files.lock(tmp_path / "lock"):
        assert files.lock(tmp_path / "lock") is None
    with files.lock(tmp_path / "lock") as lock:
        assert lock


def test_a_lock_file_is_neither_emptied_nor_a_link(tmp_path):
    (tmp_path / "thesis").write_text("years of work")
    files.lock(tmp_path / "thesis").close()
    (tmp_path / "lock").symlink_to("thesis")
    with pytest.raises(OSError, match="symbolic links"):
        files.lock(tmp_path / "lock")
    assert (tmp_path / "thesis").read_text() == "years of work"
