"""Predictions of several classes ─► the files in which Selene evaluates them: metrics of each class, matrices, curves."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from rnalm.config import contract
from rnalm.config.results import Evaluate
from rnalm.files import replacing
from rnalm.labels.check import evaluated
from rnalm.labels.labels import Labels
from rnalm.prediction.columns import label_columns, score_columns
from rnalm.prediction.measure import GRID, measure_class
from rnalm.report import figures

#: Numbers that are read at a time, at most.
NUMBERS = 2**22
#: What is measured, by the names that it has in Selene; its picture, and the axes of that.
MEASURED = {
    "roc": ("roc_auc", "roc_curves.svg", "false positive rate", "true positive rate"),
    "pr": ("average_precision", "precision_recall_curves.svg", "recall", "precision"),
}


def write(predictions: str | Path, labels: Labels, options: Evaluate, folder: str | Path) -> None:
    """Write what Selene's evaluation does, of the rows of which a class is known.

    Matrices are float32 ``(rows, classes)`` under the key ``data``, NaN where it is not known whether a row is of a class. A
    class of no more positives than are asked for, or without negatives, is ``NA``, and has no curve.

    Parameters
    ----------
    predictions : path
        ``predictions.parquet``, from :func:`rnalm.prediction.evaluate.merge`.
    labels : Labels
        What the outputs of the models mean.
    options : Evaluate
        Which classes, in which order, and how many positives are not enough.
    folder : path
        Where the files of :data:`rnalm.config.contract.PERFORMANCE` go.

    Raises
    ------
    RnalmError
        If the models do not know a class.
    """
    folder, names = Path(folder), evaluated(options, labels.classes)
    numbers = [labels.classes.index(name) for name in names]
    truth, scores = ([columns(labels)[number] for number in numbers] for columns in (label_columns, score_columns))
    known = np.concatenate([~np.isnan(batch).all(axis=1) for batch in _batches(predictions, truth)])
    for name, columns in ((contract.TEST_TARGETS, truth), (contract.TEST_SCORES, scores)):
        _save(folder / name, _kept(_batches(predictions, columns), known), (int(known.sum()), len(names)))
    file = pq.ParquetFile(predictions)  # once: of many classes its footer is long
    lines: dict[str, list[np.ndarray]] = {kind: [] for kind in MEASURED}
    table = ["\t".join(["class", *(metric for metric, *_ in MEASURED.values())])]
    for name, *columns in zip(names, truth, scores, strict=True):
        own, probability = (file.read([column])[column].to_numpy() for column in columns)
        positive, probability = own[~np.isnan(own)] == 1, probability[~np.isnan(own)]
        values = ["NA"] * len(MEASURED)
        if options.min_positives < positive.sum() < len(positive):
            heights, areas, _ = measure_class(positive, probability)
            values = [f"{areas[kind]:.4f}" for kind in MEASURED]
            for kind, drawn in lines.items():
                drawn.append(heights[kind])
        table.append("\t".join([name, *values]))
    with replacing(folder / contract.PERFORMANCE_TABLE) as temporary:
        Path(temporary).write_text("\n".join(table) + "\n", encoding="utf-8")
    for kind, drawn in lines.items():
        _draw(kind, drawn, folder)


def _batches(predictions: str | Path, columns: Sequence[str]) -> Iterator[np.ndarray]:
    """Read columns, some rows at a time: float32 ``(rows, columns)``."""
    rows = max(1, NUMBERS // len(columns))
    for batch in pq.ParquetFile(predictions).iter_batches(batch_size=rows, columns=list(columns)):
        yield np.stack([batch.column(name).to_numpy(zero_copy_only=False) for name in columns], axis=1).astype(np.float32)


def _kept(batches: Iterator[np.ndarray], known: np.ndarray) -> Iterator[np.ndarray]:
    """Leave out rows of which nothing is known."""
    first = 0
    for batch in batches:
        yield batch[known[first : first + len(batch)]]
        first += len(batch)


def _save(path: Path, batches: Iterator[np.ndarray], shape: tuple[int, int]) -> None:
    """Write a matrix as ``numpy.savez_compressed`` does, under the key ``data``, without ever holding all of it."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        # Without a date: the same content has the same bytes.
        archive.open(zipfile.ZipInfo("data.npy"), "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_2_0(file, header)
        for batch in batches:
            file.write(batch.astype("<f4").tobytes())


def _draw(kind: str, lines: Sequence[np.ndarray], folder: Path) -> None:
    """Draw a curve a class, and their mean."""
    metric, name, across, up = MEASURED[kind]
    figure, axes = figures.canvas(5, 4.5)
    axis = axes[0, 0]
    start = [0.0] if kind == "roc" else []
    for heights in lines:
        axis.plot([*start, *GRID], [*start, *heights], color=figures.GREY, linewidth=0.6)
    title = f"{metric.replace('_', ' ')}: {len(lines)} classes; thick: their mean"
    if lines:
        axis.plot([*start, *GRID], [*start, *np.mean(lines, axis=0)], color="black", linewidth=2)
    else:
        title = "no class has enough positives, and negatives"
    axis.set(title=title, xlabel=across, ylabel=up, xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
    figures.save(figure, folder / name)
