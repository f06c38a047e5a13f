"""Outputs for perturbed sequences ─► leave-one-out scores, and their table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rnalm.datasets import Encoded
from rnalm.labels import Labels
from rnalm.perturb.check import class_index
from rnalm.perturb.edits import DELETED, Edits


@dataclass(frozen=True)
class Contrast:
    """What changes in the prediction for one sequence.

    Attributes
    ----------
    pred : float or str
        Prediction for the sequence, by the mean over the models.
    classes : list of str
        Names of the explained outputs; one empty name for regression.
    base : list of float
        Mean score of the sequence, for each explained output.
    difference : numpy.ndarray
        Score of each perturbation minus that of the sequence, ``(models, edits, explained outputs)``.
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
    # Predicted is what the mean probability says, as in the predictions, also where logits are explained.
    likely = np.mean([meaning.to_scores(output[-1]) for meaning, output in zip(labels, outputs, strict=True)], axis=0)
    names = labels[0].classes
    chosen = [int(likely.argmax())] if explained is None else list(explained)
    return Contrast(
        pred=names[likely.argmax()] if names else float(likely[0]),
        classes=[names[output] for output in chosen] if names else [""],
        base=base.mean(axis=0)[chosen].tolist(),
        difference=(scores[:, :-1] - base[:, None])[:, :, chosen],
    )


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


def tabulate(sequence: Encoded, edits: Edits, found: Contrast, names: pa.Array, schema: pa.Schema) -> pa.Table:
    """Tabulate the scores of one sequence.

    Parameters
    ----------
    sequence : Encoded
    edits : Edits
        Each of one token.
    found : Contrast
    names : pyarrow.Array
        Tokens by id.
    schema : pyarrow.Schema
        See :func:`columns`.
    """
    offsets = sequence.offsets if sequence.offsets is not None else np.arange(len(sequence.input_ids))[:, None] + [0, 1]
    place = np.repeat(edits.start, len(found.classes))
    came = np.full(len(edits), DELETED)
    came[edits.count > 0] = edits.token
    rows = len(place)
    values = {
        "sequence": sequence.id,
        "token": names.take(pa.array(sequence.input_ids[place])),
        "replacement": names.take(pa.array(np.repeat(came, len(found.classes)))) if "replacement" in schema.names else None,
        "label": sequence.label,
        "pred": found.pred,
        "start_offset": offsets[place, 0],
        "end_offset": offsets[place, 1],
        "loo": found.difference.mean(axis=0).ravel(),
    }
    if "loo_sd" in schema.names:
        several = len(found.difference) > 1
        spread = found.difference.std(axis=0, ddof=1) if several else np.full(found.difference.shape[1:], np.nan)
        values["loo_sd"] = spread.ravel()
    if "class" in schema.names:
        values["class"] = pa.array(found.classes * len(edits))
    return pa.table([_column(values[field.name], field.type, rows) for field in schema], schema=schema)


def _column(values: object, kind: pa.DataType, rows: int) -> pa.Array:
    """Make a column of an array, or of one value for all rows."""
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if isinstance(values, np.ndarray):
        return pa.array(values, kind, from_pandas=True)
    return pa.repeat(pa.scalar(values, kind), rows)
