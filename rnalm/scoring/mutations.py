"""Scores of a mutagenesis ─► an archive of the files that Selene writes of each sequence."""

import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

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

#: Letters of a name that no file should have.
UNSAFE = re.compile(r"[\s/\\\0]")


def write_archive(parts: Sequence[str | Path], output: str | Path, scale: str) -> None:
    """Write tables of differences and predictions for each sequence, a row an exchange and a column a class; and matrices.

    Tables have the columns ``pos``, ``ref`` and ``alt``, and one for each class that is explained. Letters are those of DNA, in
    capitals. Of one position at a time there is ``<id>_matrix.npz``, too: ``data`` is ``(classes, positions, letters)``, 0
    where a letter stands already; ``features``, ``positions`` and ``letters`` name its axes.

    Parameters
    ----------
    parts : sequence of path
        Shards in order, from :func:`rnalm.scoring.shard.score_shard`, of mode ``mutate``.
    output : path
        The archive (zip).
    scale : {'probability', 'logit'}
        What of a class is explained: of logits, only their differences are told.

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
            if f"{stem}_{kinds[0]}.tsv" in archive.NameToInfo:
                problem = f"{name!r} and another sequence would have files called {stem}_{kinds[0]}.tsv"
                raise RnalmError(f"interpret.formats: selene: {problem}; give one of them another id")
            _write(archive, stem, kinds, blocks, letters)


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


def _write(archive: ZipFile, stem: str, kinds: Sequence[str], blocks: Iterable[_Block], letters: list[str] | None) -> None:
    """Write the files of a sequence, some exchanges at a time."""
    kept: list[_Block] = []
    with ExitStack() as stack:
        files: dict[str, IO[str]] = {
            kind: stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", newline="")) for kind in kinds
        }
        for number, block in enumerate(blocks):
            rows = block.rows.assign(ref=_spelled(block.rows.loc[:, "ref"]), alt=_spelled(block.rows.loc[:, "alt"]))
            for kind, file in files.items():
                if number == 0:
                    file.write("\t".join(["pos", "ref", "alt", *block.features]) + "\n")
                if number == 0 and kind == "predictions":
                    file.write("\t".join(["input_sequence", "NA", "NA", *map(repr, block.base.tolist())]) + "\n")
                values = pd.DataFrame(block.values(kind), columns=block.features)
                pd.concat([rows, values], axis=1).to_csv(file, sep="\t", index=False, header=False, lineterminator="\n")
            kept += [block] if letters else []
        for kind, file in files.items():
            file.seek(0)
            with archive.open(_entry(f"{stem}_{kind}.tsv"), "w", force_zip64=True) as entry:
                while text := file.read(2**20):
                    entry.write(text.encode())
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
