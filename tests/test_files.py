import errno
import fcntl
import os

import pytest

from rnalm import files


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
