"""Predictions of single models for tokens ─► tracks: one row a sequence, in input order, and the same in other formats."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.files import replacing
from rnalm.labels.labels import Labels, check_same, together
from rnalm.prediction.columns import score_columns
from rnalm.sequences.tis import LETTERS
from rnalm.tokens import dataset


@dataclass(frozen=True)
class Track:
    """What was predicted for the tokens of a sequence.

    Attributes
    ----------
    id : str
        What the sequence is called.
    split : str or None
        Its split, where the source has one.
    letters : str
        The first letter of each of its tokens, in upper case; N for what is no letter.
    label : numpy.ndarray or None
        Numbers, or names of classes ``(length,)``, NaN or empty where not known; for multilabel 1, 0 or NaN
        ``(length, classes)``. None where none is known.
    values : numpy.ndarray
        float32 ``(length, columns)``: see :func:`columns`.
    """

    id: str
    split: str | None
    letters: str
    label: np.ndarray | None
    values: np.ndarray


def columns(labels: Labels) -> list[str]:
    """Name the columns that hold the values of tokens: of two classes, that of the second alone.

    Parameters
    ----------
    labels : Labels
        What the outputs of the models mean.

    Examples
    --------
    >>> columns(Labels("classification", classes=("0", "1"), per="token"))
    ['prob_1']
    """
    names = score_columns(labels)
    return [names[index] for index in labels.measured]


def merge(
    parts: Sequence[str | Path],
    model_folders: Sequence[str | Path],
    encoded: str | Path,
    tokenizer: Tokenizer,
    output: str | Path,
) -> Labels:
    """Combine the predictions of several models for tokens, a row group of the source at a time.

    Every token is predicted by the mean over the models that saw its sequence: of label-unit predictions, or of probabilities.

    Parameters
    ----------
    parts : sequence of path
        One a model, from :func:`rnalm.prediction.predict.predict_file`.
    model_folders : sequence of path
        The models, in the same order.
    encoded : path
        The sequences that they predicted.
    tokenizer : tokenizers.Tokenizer
        What their ids mean.
    output : path
        Parquet with ``id``, ``split``, ``sequence`` (the first letter of each token), ``label`` and a column of lists for each
        value; of several models also their standard deviation, with ``_sd``, and ``models``, how many predicted the sequence.

    Returns
    -------
    Labels
        What the values mean.

    Raises
    ------
    RnalmError
        If the models do not predict the same thing, or there are no predictions.
    """
    labels = [Labels.load(Path(folder) / contract.LABELS) for folder in model_folders]
    check_same(labels, model_folders)
    spell, source = speller(tokenizer), pq.ParquetFile(encoded)
    names, several = columns(labels[0]), len(labels) > 1
    text, values = pa.string(), pa.list_(pa.float32())
    kinds = [("id", text), ("split", text), ("sequence", text), ("label", source.schema_arrow.field("label").type)]
    kinds += [(name, values) for name in names] + [(f"{name}_sd", values) for name in names if several]
    schema, first, rows = pa.schema([*kinds, ("models", pa.int32())]), 0, 0
    with replacing(output) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for group in range(source.num_row_groups):
            table = source.read_row_group(group, columns=["id", "split", "input_ids", "label"])
            means, spreads, models = _average(parts, labels, first, table["input_ids"].combine_chunks())
            kept = np.flatnonzero([count > 0 for count in models])
            first, rows = first + len(table), rows + len(kept)
            if not len(kept):
                continue
            table = table.take(kept)
            data = [
                table["id"],
                table["split"],
                pa.array([spell(ids) for ids in table["input_ids"].to_numpy()]),
                table["label"],
            ]
            for each in (means, spreads) if several else (means,):
                data += [pa.array([each[row][:, index] for row in kept], values) for index in range(len(names))]
            writer.write_table(pa.table([*data, pa.array(np.array(models)[kept], pa.int32())], schema=schema))
    if not rows:
        raise RnalmError(f"{output}: there are no predictions to merge")
    return together(labels)


def _average(
    parts: Sequence[str | Path], labels: Sequence[Labels], first: int, ids: pa.ListArray
) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
    """Average what models predicted for some rows: means and standard deviations ``(length, columns)``, how many models."""
    lengths, chosen = ids.value_lengths().to_numpy(), labels[0].measured
    sums = [np.zeros((length, len(chosen))) for length in lengths]
    squares, models = [np.zeros_like(each) for each in sums], [0] * len(lengths)
    for part, meaning in zip(parts, labels, strict=True):
        field = ds.field("row")
        table = ds.dataset(part).to_table(["row", "outputs"], filter=(field >= first) & (field < first + len(lengths)))
        for row, outputs in zip(table["row"].to_numpy() - first, table["outputs"].to_numpy(), strict=True):
            own = meaning.to_scores(outputs.reshape(lengths[row], -1))[:, chosen]
            models[row] += 1
            # Welford's way, by which small spreads are not lost in large means.
            change = own - sums[row]
            sums[row] += change / models[row]
            squares[row] += change * (own - sums[row])
    spreads = [np.sqrt(each / (count - 1)) if count > 1 else each * np.nan for each, count in zip(squares, models, strict=True)]
    return sums, spreads, models


def speller(tokenizer: Tokenizer) -> Callable[[np.ndarray], str]:
    """Make what spells ids by the first letter of each token: N, where it has none.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        The vocabulary.
    """
    vocabulary = tokenizer.get_vocab()
    letters = np.full(max(vocabulary.values()) + 1, "N")
    for token, index in vocabulary.items():
        if token[0].isalpha() or token[0] in "*-.":
            letters[index] = token[0].upper()
    return lambda ids: "".join(letters[ids])


def read(path: str | Path, labels: Labels) -> Iterator[Track]:
    """Read tracks, a row group at a time.

    Parameters
    ----------
    path : path
        From :func:`merge`.
    labels : Labels
        What the outputs of the models mean.

    Yields
    ------
    Track
        In input order.
    """
    file, names = pq.ParquetFile(path), columns(labels)
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=["id", "split", "sequence", "label", *names])
        about = [table[name].to_pylist() for name in ("id", "split", "sequence")]
        known = dataset.tokens_labels(table["label"].combine_chunks())
        values = [np.stack(row, axis=1) for row in zip(*(table[name].to_numpy() for name in names), strict=True)]
        for row in zip(*about, known, values, strict=True):
            yield Track(*row)


def write_bedgraph(path: str | Path, labels: Labels, output: str | Path) -> None:
    """Write a bedGraph file, one track after the other: id, start, end and value of each run of tokens with one value.

    Parameters
    ----------
    path : path
        From :func:`merge`.
    labels : Labels
        What the outputs of the models mean.
    output : path
        The file; its tracks are called like the columns.
    """
    with replacing(output) as temporary, open(temporary, "w", encoding="utf-8") as text:
        for index, name in enumerate(columns(labels)):
            text.write(f'track type=bedGraph name="{name}"\n')
            for track in read(path, labels):
                own = track.values[:, index]
                bounds = [0, *(np.flatnonzero(own[1:] != own[:-1]) + 1), len(own)]
                lines = zip(pairwise(bounds), own[bounds[:-1]], strict=True)
                text.writelines(f"{track.id}\t{start}\t{end}\t{value:.7g}\n" for (start, end), value in lines)


def write_array(path: str | Path, labels: Labels, output: str | Path) -> None:
    """Write the ragged array that TIS Transformer writes: of each sequence its id, its letters as numbers, and its values.

    Parameters
    ----------
    path : path
        From :func:`merge`.
    labels : Labels
        What the outputs of the models mean.
    output : path
        The ``.npy`` file; of several values a token they are ``(length, columns)``, of one ``(length,)``.
    """
    numbers = {letter: number for number, letter in enumerate(LETTERS)} | {"U": LETTERS.index("T")}
    tracks = list(read(path, labels))
    array = np.empty((len(tracks), 3), dtype=object)
    for row, track in enumerate(tracks):
        coded = np.array([numbers.get(letter, numbers["N"]) for letter in track.letters])
        array[row, 0], array[row, 1] = track.id, coded
        array[row, 2] = track.values[:, 0] if track.values.shape[1] == 1 else track.values
    with replacing(output) as temporary, open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=True)


#: What writes each format of :data:`rnalm.config.contract.TRACKS`.
WRITERS: dict[str, Callable[[str | Path, Labels, str | Path], None]] = {"bedgraph": write_bedgraph, "npy": write_array}


def export(path: str | Path, labels: Labels, formats: Sequence[str]) -> None:
    """Write tracks in other formats beside them.

    Parameters
    ----------
    path : path
        From :func:`merge`.
    labels : Labels
        What the outputs of the models mean.
    formats : sequence of str
        Those of :data:`WRITERS` that are wanted.
    """
    for name in formats:
        WRITERS[name](path, labels, Path(path).parent / contract.TRACKS[name])
