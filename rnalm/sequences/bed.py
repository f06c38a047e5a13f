"""BED files ─► known elements of sequences."""

import re
from pathlib import Path

from rnalm.errors import RnalmError
from rnalm.sequences.text import open_text

#: Digits alone: ``int`` would pass over the separator in ``1_000``.
POSITION = re.compile(r"\d+", re.ASCII)

#: Elements of each sequence, by its id: start and end (0-based, half-open) and name.
Elements = dict[str, list[tuple[int, int, str]]]


def read_bed(path: str | Path) -> Elements:
    r"""Read known elements; comments, blank lines and the lines of a genome browser are passed over.

    Parameters
    ----------
    path : path
        Tab-separated sequence, start, end (0-based, half-open) and, optionally, name; compressed if its name ends in ``.gz``.

    Returns
    -------
    dict
        Start, end and name of the elements of each sequence, in the order of the file.

    Raises
    ------
    RnalmError
        If the file is not there or a line has no start and end; the message names file and line.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "known.bed")
    ...     _ = path.write_text("mrna1\t3\t7\tmotif\nmrna1\t9\t11\n")
    ...     read_bed(path)
    {'mrna1': [(3, 7, 'motif'), (9, 11, '')]}
    """
    elements: Elements = {}
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            fields = line.rstrip("\r\n").split("\t")
            if not line.strip() or line.startswith("#"):
                continue
            try:
                start, end = (int(field) for field in fields[1:3] if POSITION.fullmatch(field.strip()))
            except ValueError:
                if line.split()[0] in ("track", "browser"):
                    continue
                raise RnalmError(f"{path}, line {number}: expected sequence, start and end, separated by tabs") from None
            elements.setdefault(fields[0], []).append((start, end, fields[3] if len(fields) > 3 else ""))
    return elements
