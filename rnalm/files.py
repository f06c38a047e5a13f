"""Files that are whole or not there at all."""

import errno
import fcntl
import glob
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rnalm.errors import RnalmError

log = logging.getLogger(__name__)

#: How a file is compressed, by the end of its name in small letters; bgzip writes gzip files.
COMPRESSIONS = {".gz": "gzip", ".bgz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}

#: What file systems without locks say, such as Lustre where it is mounted without them.
UNLOCKABLE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write beside ``path``, then rename, so that a killed job leaves nothing half-written.

    Parameters
    ----------
    path : path
        The file to make or to replace; folders that are missing on its way are made.

    Yields
    ------
    Path
        The temporary path to write to; it becomes ``path`` when the block ends without an error.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: writers choose compression and format by it.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        # On the disk before it has its name: after a power cut there is no empty file of that name either.
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | Path) -> None:
    """Remove what killed processes were writing beside a file when they died; nobody else may be writing it.

    Parameters
    ----------
    path : path
        The file that they would have made, by :func:`replacing`.
    """
    path = Path(path)
    for left in path.parent.glob(f".*.{glob.escape(path.name)}"):
        if left.name.split(".")[1].isdecimal():
            left.unlink()


def lock(path: str | Path, wait: bool = False) -> IO[str] | None:
    """Take a lock file, which may be another user's.

    The operating system gives the lock back when the returned file is closed or the process ends, however it ends. Processes
    started with ``close_fds=False`` hold it too.

    Parameters
    ----------
    path : path
        The lock file; it is made if it is not there, for all users of its folder. Nothing is written into it.
    wait : bool
        Whether to wait for another process that holds it.

    Returns
    -------
    file or None
        The lock, to be kept; None if another process holds it and we do not wait.

    Raises
    ------
    OSError
        If the file is a link, or cannot be opened or locked for another reason than that its file system has no locks.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _open_lock(path)
    os.set_inheritable(file.fileno(), True)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            file.close()
            return None
        log.warning("%s: another process works on the same files; waiting for it to end", path)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in UNLOCKABLE:
            raise
        log.warning("%s: this file system has no locks; do not start the same work twice", path)
        return file
    if not is_at(file.fileno(), path):
        file.close()
        return lock(path, wait)
    return file


def _open_lock(path: Path) -> IO[str]:
    """Open a lock file, to read it where that is all we may; network file systems lock only what can be written."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except PermissionError:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW))
    with suppress(PermissionError):  # another user's, who let us write
        os.fchmod(file, 0o666)
    return os.fdopen(file, "r+")


def is_at(file: int, path: str | Path) -> bool:
    """Say whether an open file still is what a path names: a lock on one that was removed meanwhile keeps nobody out.

    Parameters
    ----------
    file : int
        Its descriptor.
    path : path
        Where it was opened.
    """
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def is_locked(path: str | Path) -> bool:
    """Say whether a process holds a lock file.

    Parameters
    ----------
    path : path
        The lock file, as for :func:`lock`; it need not be there.
    """
    try:
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:  # there is no such file, or no lock on this file system
        return False


def write_json(path: str | Path, content: Any) -> None:
    """Write a JSON file that people can read, whole or not at all.

    Parameters
    ----------
    path : path
        The file.
    content : object
        What the ``json`` module can write: dictionaries, lists, strings, numbers, booleans and None.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path : path
        The file, in UTF-8.

    Raises
    ------
    RnalmError
        If the file is not there or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise unreadable(path, error) from None
    except ValueError as error:
        raise RnalmError(f"{path}: not a JSON file ({error})") from None


def sha256(*paths: str | Path) -> str:
    """Hash the content of one or several files, in the given order.

    Parameters
    ----------
    *paths : path
        The files; their names do not enter the hash.

    Returns
    -------
    str
        64 hexadecimal digits: the SHA-256 of the SHA-256 digests of the files.

    Raises
    ------
    RnalmError
        If a file is not there or cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        with open_bytes(Path(path)) as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())  # pyright: ignore[reportArgumentType]
    return digest.hexdigest()


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file that can be read again and again.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    RnalmError
        If it is not there, is no file or a pipe, or may not be read.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            kind = "a pipe" if path.is_fifo() else "no regular file"
            raise RnalmError(f"{path}: is {kind}, expected a file, as it is read more than once; write it to one")
        return open(path, "rb")
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: str | Path, error: OSError) -> RnalmError:
    """Say why a file cannot be read.

    Parameters
    ----------
    path : path
        The file.
    error : OSError
        What the system says.
    """
    if isinstance(error, FileNotFoundError):
        return RnalmError(f"{path}: no such file")
    if isinstance(error, IsADirectoryError):
        return RnalmError(f"{path}: is a folder, expected a file")
    if isinstance(error, PermissionError):
        return RnalmError(f"{path}: no permission to read it")
    return RnalmError(f"{path}: cannot be read ({error.strerror})")
