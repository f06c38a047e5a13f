"""The ragged arrays of TIS Transformer ─► a table of sequences and sites, and back, without running what a pickle may hold.

A row of such an array is ``[(length, 2) int16: base A 0, T 1, C 2, G 3, N 4, and 1 where a site is; id of the transcript]``.
"""

import csv
import gzip
import io
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from rnalm.errors import RnalmError, nearest
from rnalm.files import replacing
from rnalm.sequences.text import open_text, unpacked

#: Letters by their number in these files.
LETTERS = "ATCGN"

#: All that the pickle of an array of arrays refers to, under the old and the new name of numpy's own module.
ALLOWED = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0] for core in ("core", "_core")},
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}

#: Columns of the table; sites are 0-based positions, separated by commas.
COLUMNS = ("id", "sequence", "sites", "split")


@dataclass(frozen=True)
class Transcript:
    """A sequence and its sites.

    Attributes
    ----------
    id : str
        What it is called.
    sequence : str
        Its letters.
    sites : numpy.ndarray
        0-based positions, ascending, int64 ``(sites,)``.
    """

    id: str
    sequence: str
    sites: np.ndarray


class _Reader(pickle.Unpickler):
    """Reads arrays of arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Give what arrays are made of; refuse all else before it is looked up."""
        if (module, name) not in ALLOWED:
            raise RnalmError(f"its pickle refers to {module}.{name}; expected arrays of numbers alone, nothing of it was run")
        return ALLOWED[module, name]


def read_arrays(path: str | Path) -> list[Transcript]:
    """Read a file of ragged arrays.

    Parameters
    ----------
    path : path
        ``.npy``; compressed if its name says so, as in ``.npy.gz``.

    Raises
    ------
    RnalmError
        If it is no such file, its pickle refers to anything but arrays, or a row is not as described above; it names the file.
    """
    with unpacked(path) as file:
        rows = _rows(file, path)
    return [_transcript(row, f"{path}, row {number}") for number, row in enumerate(rows, start=1)]


def _rows(file: IO[bytes], path: str | Path) -> Sequence:
    """Read the array of rows."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except ValueError:
        raise RnalmError(f"{path}: no .npy file, expected one that numpy has saved") from None
    if not dtype.hasobject:
        raise RnalmError(f"{path}: an array of {dtype}, expected one of arrays, (length, 2), and ids")
    try:
        rows = _Reader(file).load()
    except RnalmError as error:
        raise RnalmError(f"{path}: {error}") from None
    except Exception as error:  # whatever damaged pickles bring about
        raise RnalmError(f"{path}: its pickle is damaged ({type(error).__name__}: {error})") from None
    if not isinstance(rows, np.ndarray) or rows.shape != shape:
        raise RnalmError(f"{path}: its pickle is not the array of shape {shape} that its header tells of")
    return rows  # pyright: ignore[reportReturnType]


def _transcript(row: Any, place: str) -> Transcript:
    """Take a row apart."""
    try:
        values, name = row
    except (TypeError, ValueError):
        raise RnalmError(f"{place}: expected an array and an id, found {type(row).__name__}") from None
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.shape[1] != 2 or values.dtype.kind not in "iu":
        found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        raise RnalmError(f"{place}, {name}: expected whole numbers of shape (length, 2), found {found}")
    bases, marks = values[:, 0], values[:, 1]
    for what, column, most in (("base", bases, len(LETTERS) - 1), ("label", marks, 1)):
        if len(wrong := column[(column < 0) | (column > most)]):
            raise RnalmError(f"{place}, {name}: a {what} is {wrong[0]}, expected 0 to {most}")
    sequence = np.frombuffer(LETTERS.encode(), dtype=np.uint8)[bases].tobytes().decode()
    return Transcript(str(name), sequence, np.flatnonzero(marks))


def write_table(files: Iterable[str | Path], output: str | Path) -> Iterator[tuple[str, int, int, int]]:
    """Write the transcripts of files into one table, file by file.

    Parameters
    ----------
    files : iterable of path
        Ragged arrays; the name of each, without its endings, is the split of its transcripts.
    output : path
        Tab-separated, with the columns of :data:`COLUMNS`; gzip-compressed if its name ends in ``.gz``.

    Yields
    ------
    tuple
        The split, and how many transcripts, nucleotides and sites it has.

    Raises
    ------
    RnalmError
        If a file cannot be read (see :func:`read_arrays`), two have one name, or the table is named otherwise.
    """
    seen: dict[str, Path] = {}
    if not str(output).endswith((".tsv", ".tsv.gz")):
        raise RnalmError(f"{output}: expected a name in .tsv or .tsv.gz, as columns are separated by tabs")
    with replacing(output) as temporary, _writing(temporary, str(output).endswith(".gz")) as text:
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for path in map(Path, files):
            split = path.name.split(".")[0]
            if split in seen:
                raise RnalmError(f"{path}: {seen[split]} is called {split} too; splits are named after files")
            seen[split] = path
            transcripts = read_arrays(path)
            writer.writerows([one.id, one.sequence, ",".join(map(str, one.sites)), split] for one in transcripts)
            yield (
                split,
                len(transcripts),
                sum(len(one.sequence) for one in transcripts),
                sum(len(one.sites) for one in transcripts),
            )


def _writing(path: Path, compressed: bool) -> IO[str]:
    """Open a file to write text, the same bytes for the same text."""
    if not compressed:
        return open(path, "w", encoding="utf-8", newline="")
    return io.TextIOWrapper(gzip.GzipFile(path, "wb", mtime=0), encoding="utf-8", newline="")


def write_arrays(table: str | Path, folder: str | Path) -> Iterator[tuple[str, int, int, int]]:
    """Write the sequences of a table as ragged arrays, one file a split.

    Parameters
    ----------
    table : path
        With the columns of :data:`COLUMNS`, as :func:`write_table` writes it.
    folder : path
        Where the files go, named after the splits, as in ``chr22.npy``.

    Yields
    ------
    tuple
        The split, and how many transcripts, nucleotides and sites it has.

    Raises
    ------
    RnalmError
        If a column is missing, a split is no name of a file, a sequence has another letter than A, C, G, T or N, or a site is
        no position of it; it names file and line.
    """
    numbers = {letter: number for number, letter in enumerate(LETTERS)} | {"U": LETTERS.index("T")}
    if Path(folder).exists() and not Path(folder).is_dir():
        raise RnalmError(f"{folder}: is there and no folder; expected one for the arrays of {table}")
    splits: dict[str, list[tuple[np.ndarray, str]]] = {}
    with open_text(table) as text:
        reader = csv.DictReader(text, delimiter="\t")
        for name in COLUMNS:
            if name not in (reader.fieldnames or []):
                raise RnalmError(f"{table}: no column {name!r}; {nearest(name, reader.fieldnames or [])}")
        for row in reader:
            place = f"{table}, line {reader.line_num}"
            if not row["split"] or Path(row["split"]).name != row["split"]:
                raise RnalmError(f"{place}: the split is {row['split']!r}; expected the name of a file, which it becomes")
            letters = row["sequence"].upper()
            if other := set(letters) - set(numbers):
                raise RnalmError(f"{place}: {row['id']!r} has the letter {min(other)!r}; expected A, C, G, T (U) or N")
            values = np.zeros((len(letters), 2), dtype=np.int16)
            values[:, 0] = [numbers[letter] for letter in letters]
            for site in filter(None, (row["sites"] or "").split(",")):
                if not site.strip().isdecimal() or int(site) >= len(letters):
                    raise RnalmError(f"{place}: {row['id']!r} has the site {site!r}; expected 0 to {len(letters) - 1}")
                values[int(site), 1] = 1
            splits.setdefault(row["split"], []).append((values, row["id"]))
    for split, rows in splits.items():
        array = np.empty((len(rows), 2), dtype=object)
        for number, (values, name) in enumerate(rows):
            array[number, 0], array[number, 1] = values, name
        path = Path(folder, f"{split}.npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.save(file, array, allow_pickle=True)
        yield split, len(rows), sum(len(values) for values, _ in rows), int(sum(values[:, 1].sum() for values, _ in rows))
