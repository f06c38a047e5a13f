"""Scores of a mutagenesis ─► an archive of the files that Selene writes of each sequence."""

import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.scoring.merge import Scores
from rnalm.scoring.shard import SEQUENCES
from rnalm.scoring.table import PLACES
from rnalm.sequences.strands import is_nucleic
from rnalm.tokens.tokenizer import SPECIAL_ROLES

#: Probabilities this close to 0 and 1 are as far as a logit is taken of them: float32 has no closer one below 1.
CLOSEST = 2.0**-24

#: What tells an exchange from others, as Selene calls it.
LABELS = ("pos", "ref", "alt")

#: Letters of a name that no file should have.
UNSAFE = re.compile(r"[\s/\\\0]")


def write_archive(parts: Sequence[str | Path], output: str | Path, scale: str, kind: str = "selene") -> None:
    """Write tables of differences and predictions for each sequence, a row an exchange and a column a class; and matrices.

    Tables have the columns ``pos``, ``ref`` and ``alt``, and one for each class that is explained. Letters are those of DNA, in
    capitals. As ``hdf5``, the classes of each table are float64 ``data`` ``(exchanges, classes)``, and the other columns stand
    in ``<id>_row_labels.txt``, once; what is predicted of the sequence itself, the first row of that table as text, is in
    ``<id>_ref_predictions.h5``. Of one position at a time there is ``<id>_matrix.npz``, too: ``data`` is
    ``(classes, positions, letters)``, 0 where a letter stands already; ``features``, ``positions`` and ``letters`` name its
    axes.

    Parameters
    ----------
    parts : sequence of path
        Shards in order, from :func:`rnalm.scoring.shard.score_shard`, of mode ``mutate``.
    output : path
        The archive (zip).
    scale : {'probability', 'logit'}
        What of a class is explained: of logits, only their differences are told.
    kind : {'selene', 'hdf5'}
        Whether tables are text or matrices.

    Raises
    ------
    RnalmError
        If two sequences would have files of one name.
    """
    scores = Scores(parts, empty=True)
    regression = pa.types.is_floating(scores.schema.field("pred").type)
    letters = scores.values("replacement") if PLACES not in scores.schema.names else None
    kinds = ["logits"] if scale == "logit" and not regression else ["diffs", "abs_diffs", "predictions"]
    kinds += [] if regression or scale == "logit" else ["logits"]
    with replacing(output) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        for name, blocks in _sequences(scores):
            stem = UNSAFE.sub("_", name)
            first = f"{stem}_{kinds[0]}.{'tsv' if kind == 'selene' else 'h5'}"
            if first in archive.NameToInfo:
                problem = f"{name!r} and another sequence would have files called {first}"
                raise RnalmError(f"interpret.formats: {kind}: {problem}; give one of them another id")
            _write(archive, stem, (_Texts if kind == "selene" else _Matrices)(kinds), blocks, letters)


def _sequences(scores: Scores) -> Iterator[tuple[str, Iterable["_Block"]]]:
    """Go through sequences and the blocks of their scores; those of one are to be taken before the next comes."""
    blocks = _Blocks(scores)
    while blocks.ahead is not None:
        yield blocks.ahead.name, blocks.of(blocks.ahead.name)


class _Block:
    """Some exchanges in a sequence.

    Attributes
    ----------
    name : str
        Its id.
    rows : pandas.DataFrame
        ``pos``, ``ref`` and ``alt`` of each exchange.
    features : list of str
        What is explained.
    base, loo : numpy.ndarray
        Score of the sequence ``(features,)``, and by how much each exchange changes it ``(exchanges, features)``.
    """

    def __init__(self, frame: pd.DataFrame, base: list[float]) -> None:
        one = frame.iloc[:: len(base)]
        self.name = str(one["sequence"].iat[0])
        place = one[PLACES] if PLACES in one else one["start_offset"].astype(str)
        self.rows = pd.DataFrame({"pos": place, "ref": one["token"], "alt": one["replacement"]}).reset_index(drop=True)
        named = frame["class"].iloc[: len(base)] if "class" in frame else frame["pred"].iloc[:1]
        self.features = [name if isinstance(name, str) else "prediction" for name in named]
        self.base, self.loo = np.array(base), frame["loo"].to_numpy().reshape(-1, len(base))

    def values(self, kind: str) -> np.ndarray:
        """Give what a file of a kind has of each exchange ``(exchanges, features)``."""
        if kind == "predictions":
            return self.base + self.loo
        if kind == "abs_diffs":
            return np.abs(self.loo)
        if kind == "diffs":
            return self.loo
        return _logit(self.base + self.loo) - _logit(self.base)


class _Blocks:
    """Reads blocks of scores, with one of them ahead."""

    def __init__(self, scores: Scores) -> None:
        self.blocks = _read(scores)
        self.ahead: _Block | None = next(self.blocks, None)

    def of(self, name: str) -> Iterator[_Block]:
        """Give the blocks of a sequence."""
        while self.ahead is not None and self.ahead.name == name:
            yield self.ahead
            self.ahead = next(self.blocks, None)


def _read(scores: Scores) -> Iterator[_Block]:
    """Read scores in blocks of whole exchanges, with the score of the sequence itself."""
    known = (entry for part in scores.parts for entry in json.loads(pq.read_metadata(part).metadata[SEQUENCES]))
    name, base = "", [0.0]
    held = scores.schema.empty_table().to_pandas()
    for group in scores.groups():
        frame = pd.concat([held, group.to_pandas()], ignore_index=True) if len(held) else group.to_pandas()
        held = frame.iloc[:0]
        names = frame["sequence"].to_numpy()
        for start, stop in pairwise([0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]):
            while name != names[start]:
                name, base, *_ = next(known)
            whole = stop - (stop - start) % len(base)
            if whole > start:
                yield _Block(frame.iloc[start:whole], base)
            held = frame.iloc[whole:stop]


class _Texts:
    """Tables of a sequence as text; while they are written they lie in a folder of their own.

    Parameters
    ----------
    kinds : sequence of str
        What they tell.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self.kinds = kinds

    def begin(self, folder: Path, block: _Block) -> None:
        """Write what stands above the exchanges."""
        self.files = {kind: folder / f"{kind}.tsv" for kind in self.kinds}
        for kind, file in self.files.items():
            own = ["\t".join(["input_sequence", "NA", "NA", *map(repr, block.base.tolist())])] if kind == "predictions" else []
            file.write_text("".join(f"{line}\n" for line in ["\t".join([*LABELS, *block.features]), *own]), encoding="utf-8")

    def add(self, block: _Block, rows: pd.DataFrame) -> None:
        """Write further exchanges."""
        for kind, file in self.files.items():
            values = pd.DataFrame(block.values(kind), columns=block.features)
            table = pd.concat([rows, values], axis=1)
            table.to_csv(file, mode="a", sep="\t", index=False, header=False, lineterminator="\n")


class _Matrices:
    """Tables of a sequence as HDF5, and what the rows of all are called; see :class:`_Texts`.

    Parameters
    ----------
    kinds : sequence of str
        What they tell.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self.kinds = kinds

    def begin(self, folder: Path, block: _Block) -> None:
        """Make tables without a row, and write what is predicted of the sequence itself."""
        self.labels, self.files = folder / "row_labels.txt", {kind: folder / f"{kind}.h5" for kind in self.kinds}
        self.labels.write_text("\t".join(LABELS) + "\n")
        for path in self.files.values():
            with h5py.File(path, "w") as file:
                size = len(block.features)
                file.create_dataset("data", (0, size), np.float64, maxshape=(None, size), chunks=(2**10, size))
        if "predictions" in self.kinds:
            (folder / "ref_row_labels.txt").write_text("name\ninput_sequence\n")
            with h5py.File(folder / "ref_predictions.h5", "w") as file:
                file.create_dataset("data", data=block.base[None])

    def add(self, block: _Block, rows: pd.DataFrame) -> None:
        """Write further exchanges."""
        rows.to_csv(self.labels, mode="a", sep="\t", index=False, header=False, lineterminator="\n")
        for kind, path in self.files.items():
            with h5py.File(path, "a") as file:
                data = file["data"]
                assert isinstance(data, h5py.Dataset)
                data.resize(len(data) + len(rows), axis=0)
                data[-len(rows) :] = block.values(kind)


def _write(
    archive: ZipFile, stem: str, tables: _Texts | _Matrices, blocks: Iterable[_Block], letters: list[str] | None
) -> None:
    """Write the files of a sequence, some exchanges at a time."""
    kept: list[_Block] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, block in enumerate(blocks):
            if number == 0:
                tables.begin(Path(folder), block)
            rows = block.rows.assign(ref=_spelled(block.rows.loc[:, "ref"]), alt=_spelled(block.rows.loc[:, "alt"]))
            tables.add(block, rows)
            kept += [block] if letters else []
        for path in sorted(Path(folder).iterdir()):
            with path.open("rb") as file, archive.open(_entry(f"{stem}_{path.name}"), "w", force_zip64=True) as entry:
                shutil.copyfileobj(file, entry)
    if letters:
        with io.BytesIO() as file:
            np.savez(file, allow_pickle=False, **_matrix(kept, letters))
            archive.writestr(_entry(f"{stem}_matrix.npz"), file.getvalue())


def _entry(name: str) -> ZipInfo:
    """Describe a file of an archive; without a date, so that the same scores are the same bytes."""
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    return entry


def _matrix(blocks: Sequence[_Block], letters: list[str]) -> dict[str, np.ndarray]:
    """Lay the differences out by class, position and letter."""
    rows = pd.concat([block.rows for block in blocks])
    positions, row = np.unique(rows["pos"].astype(np.int64), return_inverse=True)
    data = np.zeros((len(blocks[0].features), len(positions), len(letters)))
    data[:, row, np.searchsorted(letters, rows["alt"].astype(str))] = np.concatenate([block.loo for block in blocks]).T
    named = {"features": blocks[0].features, "letters": _spelled(pd.Series(letters)).tolist()}
    return {"data": data, "positions": positions} | {name: np.array(values) for name, values in named.items()}


def _spelled(letters: pd.Series) -> pd.Series:
    """Write letters as Selene does: in capitals, those of RNA as DNA, and what is not known as N, or X among amino acids."""
    every = {letter for text in letters.unique() for letter in text.split(";")} - set(SPECIAL_ROLES["unk"])
    if any(len(letter) > 1 for letter in every):
        return letters
    nucleic = is_nucleic(every)
    for name in SPECIAL_ROLES["unk"]:
        letters = letters.str.replace(name, "N" if nucleic else "X", regex=False)
    letters = letters.str.upper()
    return letters.str.replace("U", "T", regex=False) if nucleic else letters


def _logit(probability: np.ndarray) -> np.ndarray:
    """Take the logarithm of the odds of probabilities."""
    kept = np.clip(probability, CLOSEST, 1 - CLOSEST)
    return np.log(kept / (1 - kept))
