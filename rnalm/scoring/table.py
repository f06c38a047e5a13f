"""Outputs for perturbed sequences ─► scores of sites, and their table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from transformers import PreTrainedModel

from rnalm.labels.labels import Labels
from rnalm.scoring.check import class_index
from rnalm.scoring.editors import Sites
from rnalm.tokens.dataset import Encoded


@dataclass(frozen=True)
class Subject:
    """What is explained: some outputs of models of one architecture.

    Attributes
    ----------
    models : sequence of PreTrainedModel
        In evaluation mode; one with ``encode.reverse_complement: average`` gives the mean of its outputs for both strands.
    labels : sequence of Labels
        What the outputs of each mean.
    explained : sequence of int or None
        Outputs to explain; None: the predicted class.
    scale : {'probability', 'logit'}
    """

    models: Sequence[PreTrainedModel]
    labels: Sequence[Labels]
    explained: Sequence[int] | None
    scale: str


@dataclass(frozen=True)
class Contrast:
    """What sites change in the prediction for one sequence.

    Attributes
    ----------
    pred : float or str
        Prediction for the sequence, by the mean over the models.
    classes : list of str
        Names of the explained outputs; one empty name for regression.
    base : list of float
        Mean score of the sequence, or of what it is compared with, for each explained output.
    difference : numpy.ndarray
        Score of each perturbation minus that of the sequence, or what a token adds ``(models, sites, explained outputs)``.
    """

    pred: float | str
    classes: list[str]
    base: list[float]
    difference: np.ndarray


def contrast(outputs: Sequence[np.ndarray], labels: Sequence[Labels], explained: Sequence[int] | None, scale: str) -> Contrast:
    """Compare the outputs for perturbations with those for the sequence.

    Parameters
    ----------
    outputs : sequence of numpy.ndarray
        Of each model, for the perturbations and last for the sequence ``(edits + 1, outputs)``.
    labels : sequence of Labels
        What the outputs of each model mean.
    explained : sequence of int or None
        Outputs to explain; None: the predicted class.
    scale : {'probability', 'logit'}
    """
    scores = np.stack([meaning.to_scores(output, scale) for meaning, output in zip(labels, outputs, strict=True)])
    base = scores[:, -1]  # (models, outputs)
    pred, chosen, classes = predicted([output[-1] for output in outputs], labels, explained)
    return Contrast(pred, classes, base.mean(axis=0)[chosen].tolist(), (scores[:, :-1] - base[:, None])[:, :, chosen])


def predicted(
    outputs: Sequence[np.ndarray], labels: Sequence[Labels], explained: Sequence[int] | None
) -> tuple[float | str, list[int], list[str]]:
    """Give the prediction for a sequence, and the outputs to explain.

    Parameters
    ----------
    outputs : sequence of numpy.ndarray
        Of each model, for the sequence ``(outputs,)``.
    labels : sequence of Labels
    explained : sequence of int or None
        None: the predicted class.

    Returns
    -------
    pred : float or str
    chosen : list of int
        Which outputs are explained.
    classes : list of str
        Their names; one empty name for regression.
    """
    # Predicted is what the mean probability says, as in the predictions, also where logits are explained.
    likely = np.mean([meaning.to_scores(output) for meaning, output in zip(labels, outputs, strict=True)], axis=0)
    best, names = int(likely.argmax()), labels[0].classes
    chosen = [best] if explained is None else list(explained)
    return (names[best] if names else float(likely[0])), chosen, ([names[output] for output in chosen] if names else [""])


def explained_classes(explain: str, labels: Labels) -> list[int] | None:
    """Say which outputs are explained: a list of indices, or None for the predicted class.

    Raises
    ------
    RnalmError
        If the class is unknown.
    """
    if labels.task == "regression":
        return [0]
    if explain == "predicted":
        return None
    if explain == "all":
        return list(range(len(labels.classes)))
    return [class_index(explain, labels.classes)]


def columns(mode: str, task: str, predicted_only: bool, several: bool) -> pa.Schema:
    """Name the columns of the scores; the first eight are those of earlier tools' CSV files.

    Parameters
    ----------
    mode, task : str
    predicted_only : bool
        Whether the class that is explained is the predicted one, which ``pred`` names already.
    several : bool
        Whether rows are scored by several models.
    """
    value = pa.string() if task == "classification" else pa.float64()
    fields = [("sequence", pa.string()), ("token", pa.string())]
    fields += [("replacement", pa.string())] if mode == "replace" else []
    fields += [
        ("label", value),
        ("pred", value),
        ("start_offset", pa.int32()),
        ("end_offset", pa.int32()),
        ("loo", pa.float64()),
    ]
    fields += [("loo_sd", pa.float64())] if several else []
    fields += [("class", pa.string())] if task == "classification" and not predicted_only else []
    return pa.schema(fields)


def tabulate(sequence: Encoded, sites: Sites, found: Contrast, schema: pa.Schema) -> pa.Table:
    """Tabulate the scores of one sequence.

    Parameters
    ----------
    sequence : Encoded
    sites : Sites
    found : Contrast
        Of these sites.
    schema : pyarrow.Schema
        See :func:`columns`.
    """
    site = np.repeat(np.arange(len(sites)), len(found.classes))
    values = {
        "sequence": sequence.id,
        "token": sites.token.take(pa.array(site)),
        "replacement": sites.replacement.take(pa.array(site)) if sites.replacement is not None else None,
        "label": sequence.label,
        "pred": found.pred,
        "start_offset": sites.position[site, 0],
        "end_offset": sites.position[site, 1],
        "loo": found.difference.mean(axis=0).ravel(),
    }
    if "loo_sd" in schema.names:
        several = len(found.difference) > 1
        spread = found.difference.std(axis=0, ddof=1) if several else np.full(found.difference.shape[1:], np.nan)
        values["loo_sd"] = spread.ravel()
    if "class" in schema.names:
        values["class"] = pa.array(found.classes * len(sites))
    return pa.table([_column(values[field.name], field.type, len(site)) for field in schema], schema=schema)


def _column(values: object, kind: pa.DataType, rows: int) -> pa.Array:
    """Make a column of an array, or of one value for all rows."""
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if isinstance(values, np.ndarray):
        return pa.array(values, kind, from_pandas=True)
    return pa.repeat(pa.scalar(values, kind), rows)


def places(frame: pd.DataFrame) -> np.ndarray:
    """Give the tokens to which rows of a table belong numbers, in their order: int64 ``(rows,)``.

    The mark before a sequence has no width and begins where the first letter does; it comes before that.
    """
    start, end = (frame[name].to_numpy(np.int64) for name in ("start_offset", "end_offset"))
    return 2 * start + (end > start)
