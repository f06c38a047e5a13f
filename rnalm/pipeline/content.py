"""The content of a user's files, read once: a date tells nothing about what is in a file."""

import hashlib
import json
from pathlib import Path
from typing import Any

from rnalm.files import sha256, write_json

#: Characters of a hash: short enough to read, long enough that no two files share one by chance.
LENGTH = 16


class Contents:
    """Hashes of files, noted with size and time of change, so that a file is read again only after it was written to.

    Parameters
    ----------
    ledger : path
        JSON file of what was noted.
    """

    def __init__(self, ledger: str | Path) -> None:
        self.ledger = Path(ledger)
        try:
            self.noted: dict[str, list] = dict(json.loads(self.ledger.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            self.noted = {}
        self.new = False

    def of(self, *paths: str | Path) -> str | None:
        """Hash the content of files.

        Parameters
        ----------
        *paths : path
            The files, in the order that counts.

        Returns
        -------
        str or None
            None if there are no files, or one of them is missing.
        """
        hashes = [self._look(Path(path)) for path in paths]
        known = [content for content in hashes if content is not None]
        return "-".join(known) if known and len(known) == len(hashes) else None

    def save(self) -> None:
        """Write the ledger if there is anything new."""
        if self.new:
            write_json(self.ledger, self.noted)

    def _look(self, path: Path) -> str | None:
        if not path.is_file():
            return None
        status = path.stat()
        # Size and date can be set to those of another file; the time of change and the inode cannot.
        now = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        before = self.noted.get(str(path))
        content = before[-1] if before else None
        if before != [*now, content]:
            content = sha256(path)[:LENGTH]
            self.noted[str(path)] = [*now, content]
            self.new = True
        return content


def combine(*values: Any) -> str:
    """Hash plain values, whatever the order of keys.

    Parameters
    ----------
    *values : plain values
        What JSON can hold.

    Examples
    --------
    >>> combine({"a": 1, "b": 2}) == combine({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:LENGTH]
