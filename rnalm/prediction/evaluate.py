"""Predictions of single models ─► results, tables and ensembles."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import csv

from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.files import read_json, replacing, write_json
from rnalm.labels import metrics
from rnalm.labels.labels import Labels, check_same, together
from rnalm.labels.tally import Batch, LabelTally
from rnalm.labels.targets import any_known
from rnalm.prediction import positions, tables
from rnalm.prediction.columns import label_columns, score_columns, spread_columns
from rnalm.prediction.stacked import Stacked

log = logging.getLogger(__name__)

#: Rows of the source that are merged at a time, at most, and so many outputs of all models.
WINDOW, NUMBERS = 2**16, 2**22
#: A row group of predictions holds at least so many rows, but for the last: of many columns, more of them take long to find.
GROUP_ROWS = 2**14
#: Where squared shares of models are 1 but for so little, one of them counts alone.
ALONE = 1e-9
#: More columns make a wide table.
WIDE = 100


def evaluate_fold(part: str | Path, model_folder: str | Path) -> None:
    """Write what a fold's model achieves on its test rows into its folder.

    Writes ``test_predictions.csv``, ``test_results.json``, ``all_results.json`` and, for regression, ``rank_deltas.csv``; for
    classification, ``classification_report.csv``.

    Parameters
    ----------
    part : path
        The model's predictions, from :func:`rnalm.prediction.predict.predict_file`.
    model_folder : path
        Of the model.
    """
    folder = Path(model_folder)
    labels = Labels.load(folder / contract.LABELS)
    if labels.per == "token":
        positions.evaluate_fold(part, model_folder)
        return
    results = _classes(part, labels, folder) if labels.task == "multilabel" else _one(part, labels, folder)
    results = metrics.finite({f"test_{name}": value for name, value in results.items()})
    write_json(folder / contract.TEST_RESULTS, results)
    earlier = read_json(folder / contract.TRAIN_RESULTS) | read_json(folder / contract.EVAL_RESULTS)
    write_json(folder / contract.ALL_RESULTS, earlier | results)


def _one(part: str | Path, labels: Labels, folder: Path) -> dict[str, Any]:
    """Write tables of a model's predictions of numbers, or of one class a row; give metrics."""
    table = pq.read_table(part)
    outputs = stack(table["outputs"])
    truth = truth_of(labels, table["label"].to_pandas())
    frame = describe(labels, table["id"].to_pylist(), truth, labels.to_scores(outputs))
    results: dict[str, Any] = metrics.score(labels, truth, outputs) | {"rows": len(frame)}
    if labels.task == "classification":
        compared = labels.to_targets(truth), labels.to_scores(outputs), labels.classes
        results["per_class"] = metrics.per_class(*compared)
        write_csv(tables.classification_report(*compared), folder / contract.CLASSIFICATION_REPORT, index=True)
    else:
        results |= _per_target(labels, truth, labels.to_scores(outputs))
        write_csv(pd.concat(_ranks(labels, frame)), folder / contract.RANK_DELTAS)
    write_csv(tables.predictions(frame), folder / contract.TEST_PREDICTIONS)
    return results


def _per_target(labels: Labels, truth: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Give the metrics of each of several targets by its name; of one, nothing more than those of all."""
    each = metrics.each_target(truth, scores) if labels.several else []
    return {"per_target": dict(zip(labels.classes, each, strict=True))} if each else {}


def _ranks(labels: Labels, frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Compare ranks of labels and predictions, of each target by itself."""
    if not labels.several:
        return [tables.rank_deltas(frame)]
    ids = frame[["id"]] if "id" in frame else frame[[]]
    each = zip(labels.classes, label_columns(labels), score_columns(labels), strict=True)
    return [tables.rank_deltas(ids.join(frame[own].set_axis(["label", "pred"], axis=1)), name) for name, *own in each]


def _classes(part: str | Path, labels: Labels, folder: Path) -> dict[str, Any]:
    """Do the same where a row has any number of classes, some rows at a time: there may be a thousand classes."""

    def batches() -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
        for batch in pq.ParquetFile(part).iter_batches(batch_size=_rows(labels, 1), columns=["id", "label", "outputs"]):
            scores = labels.to_scores(np.stack(batch.column("outputs").to_numpy(zero_copy_only=False)))
            yield batch.column("id").to_pylist(), truth_of(labels, batch.column("label").to_pandas()), scores

    rows = 0
    with replacing(folder / contract.TEST_PREDICTIONS) as path, open(path, "wb") as file:
        for described in batches():
            append_csv(tables.predictions(describe(labels, *described)), file)
            rows += len(described[0])
    return _compare(labels, lambda: (batch[1:] for batch in batches()), folder) | {"rows": rows}


def _compare(labels: Labels, batches: Callable[[], Iterator[Batch]], folder: Path) -> dict[str, Any]:
    """Count predictions of several classes, write the table of classes, and give metrics."""
    tally = LabelTally(LabelTally.thresholds(batches(), labels), labels)
    for batch in batches():
        tally.add(*batch)
    each = tally.per_class()
    write_csv(tables.label_report(each), folder / contract.CLASSIFICATION_REPORT, index=True)
    return {**tally.scores(), "per_class": each} if tally.rows else {}


def _rows(labels: Labels, models: int) -> int:
    """Say how many rows are looked at together: fewer of many classes and models."""
    return max(1, min(WINDOW, NUMBERS // (labels.n_outputs * models)))


def truth_of(labels: Labels, column: pd.Series) -> np.ndarray:
    """Give the labels of rows as an array.

    Parameters
    ----------
    labels : Labels
        What they mean.
    column : pandas.Series
        As predictions of single models have it.

    Returns
    -------
    numpy.ndarray
        ``(rows,)``, or of several classes or targets float64 ``(rows, classes)``, NaN where none is known.
    """
    if not labels.several:
        return column.to_numpy()
    none = np.full(len(labels.classes), np.nan)
    # A file without any labels has a column of numbers, all missing.
    return np.array([none if np.ndim(one) == 0 else one for one in column], dtype=float).reshape(len(column), -1)


def stack(outputs: pa.ChunkedArray) -> np.ndarray:
    """Turn a column of lists into an array.

    Parameters
    ----------
    outputs : pyarrow.ChunkedArray
        As many numbers in each row.

    Returns
    -------
    numpy.ndarray
        float32 ``(rows, outputs)``
    """
    return np.stack(outputs.to_numpy())


def describe(labels: Labels, ids: Sequence[str], truth: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
    """Tabulate what is predicted: ``id``, ``label``, ``pred`` and, for classes, ``prob_<class>``.

    For multilabel ``label`` and ``pred`` name the classes that a row has, and those that are told of it (see
    :attr:`rnalm.labels.labels.Labels.thresholds`), separated by ``;``; and ``label_<class>`` is 1, 0 or nothing. Of several
    targets ``label`` and ``pred`` are their numbers, separated so, which ``label_<target>`` and ``pred_<target>`` have each.

    Parameters
    ----------
    labels : Labels
        What the outputs of the model mean.
    ids : sequence of str
        Of the rows.
    truth : numpy.ndarray
        Labels ``(rows,)``, of which some may be missing; of several classes or targets ``(rows, classes)``.
    scores : numpy.ndarray
        Predicted labels ``(rows, 1)`` or ``(rows, targets)``, or probabilities ``(rows, classes)``.

    Examples
    --------
    >>> labels = Labels("classification", classes=("decays", "stays"))
    >>> describe(labels, ["s1"], np.array(["stays"]), np.array([[0.25, 0.75]]))
       id  label   pred  prob_decays  prob_stays
    0  s1  stays  stays         0.25        0.75
    """
    if labels.several:
        names = [labels.written(own) for own in truth]
        predicted = (scores >= labels.limits).astype(float) if labels.task == "multilabel" else scores
        told = [labels.written(own) for own in predicted]
        frame = pd.DataFrame({"id": ids, "label": pd.Series(names, dtype=object), "pred": told})
        return _beside(frame, [*label_columns(labels), *score_columns(labels)], np.concatenate([truth, scores], axis=1))
    frame = pd.DataFrame({"id": ids, "label": truth})
    if labels.task == "regression":
        return frame.assign(pred=scores[:, 0])
    frame["pred"] = np.array(labels.classes, dtype=object)[scores.argmax(axis=1)]
    return _beside(frame, score_columns(labels), scores)


def _beside(frame: pd.DataFrame, columns: Sequence[str], values: np.ndarray) -> pd.DataFrame:
    """Put columns beside those that are there, all at once: one by one, a thousand classes would take long."""
    return pd.concat([frame, pd.DataFrame(values, columns=list(columns), index=frame.index)], axis=1)


def write_csv(frame: pd.DataFrame, path: str | Path, index: bool = False) -> None:
    """Write a table as CSV, whole or not at all.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table.
    path : path
        The file.
    index : bool
        Whether it begins with a column, without a name, of what the rows are called.
    """
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=index)


def append_csv(frame: pd.DataFrame, file: BinaryIO) -> None:
    """Append rows to a CSV file, with a header where it is empty.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows.
    file : file
        Open for writing.
    """
    first = file.tell() == 0
    if frame.shape[1] <= WIDE:
        file.write(frame.to_csv(index=False, header=first).encode())
    else:  # of many columns in a tenth of the time
        csv.write_csv(pa.Table.from_pandas(frame, preserve_index=False), file, csv.WriteOptions(include_header=first))


def merge(
    parts: Sequence[str | Path], model_folders: Sequence[str | Path], output: str | Path, stacked: Stacked | None = None
) -> None:
    """Combine the predictions of several models, in input order, holding no more of all rows than their numbers.

    Every row is predicted by the mean over the models that saw it in ``parts``, by weight where they have some: of label-unit
    predictions, or of class probabilities.

    Parameters
    ----------
    parts : sequence of path
        One a model, from :func:`rnalm.prediction.predict.predict_file`.
    model_folders : sequence of path
        The models, in the same order.
    output : path
        Folder for ``predictions.parquet`` (mean, standard deviation and each model's own prediction),
        ``test_predictions.csv``; and, over the rows with labels, ``results.json`` and, for regression, ``rank_deltas.csv``, for
        classification ``classification_report.csv``.
    stacked : Stacked, optional
        What each model counts; None: all the same.

    Raises
    ------
    RnalmError
        If the models do not predict the same thing.
    """
    output = Path(output)
    labels = [Labels.load(Path(folder) / contract.LABELS) for folder in model_folders]
    check_same(labels, model_folders)
    meaning = stacked.meaning if stacked else together(labels)
    weights = np.array(stacked.weights if stacked else [1.0] * len(labels))
    with (
        replacing(output / contract.PREDICTIONS) as parquet,
        replacing(output / contract.TEST_PREDICTIONS) as table,
        open(table, "wb") as text,
    ):
        writer, schema, held = None, None, []
        for window in _windows(parts, _rows(meaning, len(parts))):
            frame, own = _ensemble(window, labels, meaning, weights)
            if writer is None:
                schema = _schema([*frame.columns, *own.columns], meaning)
                writer = pq.ParquetWriter(parquet, schema, compression="zstd")
            whole = pd.concat([frame, own], axis=1)
            held.append(pa.Table.from_pandas(whole, schema=schema, preserve_index=False))
            if sum(map(len, held)) >= GROUP_ROWS:
                writer.write_table(pa.concat_tables(held).combine_chunks())
                held.clear()
            append_csv(tables.predictions(frame), text)
        if writer is None:
            raise RnalmError(f"{output}: there are no predictions to merge")
        if held:
            writer.write_table(pa.concat_tables(held).combine_chunks())
        writer.close()
    _write_results(output / contract.PREDICTIONS, meaning, output)


def _windows(parts: Sequence[str | Path], rows: int) -> Iterator[list[pd.DataFrame]]:
    """Yield, for consecutive ranges of source rows, what each model predicted there."""
    sources = [ds.dataset(part) for part in parts]
    bounds = [_last_row(part) for part in parts]
    for start in range(0, max(bounds) + 1, rows):
        field = ds.field("row")
        inside = (field >= start) & (field < start + rows)
        window = [source.to_table(filter=inside).to_pandas() for source in sources]
        if any(len(frame) for frame in window):
            yield window


def _last_row(part: str | Path) -> int:
    """Give the number of the last row that a model predicted, from the statistics of the file alone; -1 without any."""
    metadata = pq.read_metadata(part)
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    return max((group.column(0).statistics.max for group in groups if group.num_rows), default=-1)


def _ensemble(
    window: list[pd.DataFrame], labels: Sequence[Labels], meaning: Labels, weights: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Average what models predicted for a range of rows; in the second table, columns ``<name>.<k>`` are model k's own."""
    rows = np.unique(np.concatenate([frame["row"].to_numpy() for frame in window]))
    outputs = meaning.n_outputs
    scores = np.full((len(window), len(rows), outputs), np.nan)
    known = pd.concat(window).drop_duplicates("row").set_index("row").loc[rows]
    for model, frame in enumerate(window):
        if len(frame):
            positions = np.searchsorted(rows, frame["row"])
            scores[model, positions] = labels[model].to_scores(np.stack(list(frame["outputs"])))
    seen = ~np.isnan(scores)
    shares = weights[:, None, None] * seen
    total = shares.sum(axis=0)
    shares = shares / np.where(total > 0, total, np.nan)
    mean = np.where(total > 0, np.nansum(shares * scores, axis=0), np.nan)
    # Of the same weights these are the squared deviations, divided by one less than there are models.
    left = 1 - np.sum(shares**2, axis=0)
    variance = np.nansum(shares * (scores - mean) ** 2, axis=0) / np.where(left > ALONE, left, np.nan)
    count, deviation = np.sum(seen[:, :, 0], axis=0), np.sqrt(variance)
    frame = describe(meaning, known["id"].to_numpy(), truth_of(meaning, known["label"]), mean)
    frame = _beside(frame, spread_columns(meaning), deviation).assign(models=count)
    own = [pd.DataFrame(each, columns=score_columns(meaning, model)) for model, each in enumerate(scores)]
    return frame, pd.concat(own, axis=1)


def _schema(columns: Sequence[str], labels: Labels) -> pa.Schema:
    """Fix the types of the columns, which the first range of rows alone may not tell."""
    text = {"id"} if labels.task == "regression" and not labels.several else {"id", "label", "pred"}
    kinds = {True: pa.string(), False: pa.float64()}
    return pa.schema([(name, pa.int32() if name == "models" else kinds[name in text]) for name in columns])


def _write_results(predictions: Path, labels: Labels, output: Path) -> None:
    """Write metrics and ranks of the labelled rows; without any, files that say so."""
    if labels.task == "multilabel":

        def batches() -> Iterator[Batch]:
            columns = label_columns(labels), score_columns(labels)
            file = pq.ParquetFile(predictions)
            for batch in file.iter_batches(batch_size=_rows(labels, 2), columns=[name for each in columns for name in each]):
                truth, scores = (batch.select(list(each)).to_pandas().to_numpy() for each in columns)
                known = any_known(truth)
                yield truth[known], scores[known]

        results = _compare(labels, batches, output) | {"rows": sum(len(truth) for truth, _ in batches())}
        write_json(output / contract.RESULTS, metrics.finite(results))
        return
    # Numbers fit into memory for any number of rows, ids may not: these are read in batches.
    columns = ["label", "pred", *label_columns(labels), *score_columns(labels)]
    frame = pd.read_parquet(predictions, columns=list(dict.fromkeys(columns)))
    known = frame.dropna(subset=["label"])
    results: dict[str, Any] = {}
    if labels.task == "regression":
        _write_rank_deltas(predictions, _ranks(labels, frame), output / contract.RANK_DELTAS)
        if len(known):
            # Of one target numbers are in a column each, of several in as many as there are.
            columns = (label_columns(labels), score_columns(labels)) if labels.several else ("label", "pred")
            truth, scores = (known[own].to_numpy(float) for own in columns)
            results = metrics.regression(truth, metrics.check_finite(scores)) | _per_target(labels, truth, scores)
    else:
        targets, probabilities = labels.to_targets(known["label"].to_numpy()), known[score_columns(labels)].to_numpy()
        report = tables.classification_report(targets, probabilities, labels.classes)
        write_csv(report, output / contract.CLASSIFICATION_REPORT, index=True)
        if len(known):
            results = metrics.classification(targets, probabilities)
            results["per_class"] = metrics.per_class(targets, probabilities, labels.classes)
    results["rows"] = len(known)
    write_json(output / contract.RESULTS, metrics.finite(results))


def _write_rank_deltas(predictions: Path, each: Sequence[pd.DataFrame], path: Path) -> None:
    """Write ranks, of one target after the other, with the ids of their rows, a batch of ids at a time."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as text:
        for ranks in each:
            start = 0
            for batch in pq.ParquetFile(predictions).iter_batches(batch_size=WINDOW, columns=["id"]):
                ids = batch.to_pandas().set_axis(range(start, start + len(batch))).rename(columns=tables.RANKED)
                ids.join(ranks, how="inner").to_csv(text, index=False, header=text.tell() == 0)
                start += len(batch)


def summarize(
    results: Mapping[str, str | Path],
    output: str | Path,
    baselines: Mapping[str, str | Path] | None = None,
    stacks: Mapping[str, str | Path] | None = None,
    lacking: bool = False,
) -> None:
    """Write each metric for each model, and mean ± standard deviation over them, as ``summary.csv``.

    Metrics of baselines follow, under the names of those of models with ``baseline_`` before them, and those of models and
    baseline together, with ``stack_``: each in the column of the first model of its fold, mean and deviation over folds.

    Parameters
    ----------
    results : mapping of str to path
        ``all_results.json`` or, without test rows, ``eval_results.json`` of each model. Models are named after their fold and,
        from its second model on, the replicate: ``3`` and ``3.1``.
    output : path
        The CSV file.
    baselines : mapping of str to path, optional
        Such files of the baselines, by fold.
    stacks : mapping of str to path, optional
        ``results.json`` of what models and baseline of each fold predict together of its test rows, by fold.
    lacking : bool
        Whether there are none although they were asked for, which is told.
    """
    if lacking:
        log.info("no baseline: tokens have labels, and runs of letters are counted in whole sequences")
    table = _by_metric(results)
    beside = {"baseline_": baselines, "stack_test_": stacks}
    further = [_by_metric(files).add_prefix(name, axis=0) for name, files in beside.items() if files]
    frame = pd.concat([table, *(own.reindex(columns=table.columns) for own in further)])
    spread = frame.std(axis=1, ddof=1)
    frame = frame.assign(mean=frame.mean(axis=1), sd=spread).rename_axis("metric").reset_index()
    write_csv(frame, output)


def _by_metric(results: Mapping[str, str | Path]) -> pd.DataFrame:
    """Read the metrics of models, each in a column: ``(metrics, models)``."""
    contents = {f"fold_{name}": read_json(path) for name, path in results.items()}
    names = [name for name, value in next(iter(contents.values())).items() if not isinstance(value, dict)]
    return pd.DataFrame({fold: pd.Series({name: of[name] for name in names}, dtype=float) for fold, of in contents.items()})
