"""Scores of sites ─► their table."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from rnalm.labels.labels import Labels
from rnalm.scoring.editors import EXCHANGING
from rnalm.scoring.explain import Contrast
from rnalm.scoring.sites import Sites
from rnalm.tokens.dataset import Encoded

#: The column that says which positions are changed together.
PLACES = "positions"


def columns(
    mode: str, labels: Labels, predicted_only: bool, several: bool, tokens: bool = False, together: bool = False
) -> pa.Schema:
    """Name the columns of the scores; the first eight are those of earlier tools' CSV files.

    Parameters
    ----------
    mode : {'remove', 'mask', 'replace', 'mutate', 'integrated_gradients'}
        What is computed; only ``replace`` and ``mutate`` have replacements.
    labels : Labels
        What the outputs of the models mean: numbers, or names of classes.
    predicted_only : bool
        Whether the class that is explained is the predicted one, which ``pred`` names already.
    several : bool
        Whether rows are scored by several models.
    tokens : bool
        Whether predictions of tokens are explained.
    together : bool
        Whether several tokens are changed at a time.

    Examples
    --------
    >>> columns("remove", Labels("regression"), predicted_only=False, several=True).names
    ['sequence', 'token', 'label', 'pred', 'start_offset', 'end_offset', 'loo', 'loo_sd']
    """
    value = pa.float64() if labels.task == "regression" else pa.string()
    fields = [("sequence", pa.string()), ("token", pa.string())]
    fields += [("replacement", pa.string())] if mode in EXCHANGING else []
    fields += [
        ("label", value),
        ("pred", value),
        ("start_offset", pa.int32()),
        ("end_offset", pa.int32()),
        ("loo", pa.float64()),
    ]
    fields += [("loo_sd", pa.float64())] if several else []
    fields += [("class", pa.string())] if labels.classes and not predicted_only else []
    fields += [("explained_position", pa.int32())] if tokens else []
    fields += [(PLACES, pa.string())] if together else []
    return pa.schema(fields)


def tabulate(sequence: Encoded, labels: Labels, sites: Sites, contrast: Contrast, schema: pa.Schema) -> pa.Table:
    """Tabulate the scores of one sequence.

    Parameters
    ----------
    sequence : Encoded
        The sequence, for its name, its label and the places of its tokens.
    labels : Labels
        What its label means.
    sites : Sites
        What was scored.
    contrast : Contrast
        The scores of these sites.
    schema : pyarrow.Schema
        The columns, from :func:`columns`.
    """
    site = np.repeat(np.arange(len(sites)), len(contrast.classes))
    values = {
        "sequence": sequence.id,
        "token": sites.token.take(pa.array(site)),
        "replacement": sites.replacement.take(pa.array(site)) if sites.replacement is not None else None,
        "label": _known(sequence, labels, contrast),
        "pred": contrast.pred,
        "start_offset": sites.position[site, 0],
        "end_offset": sites.position[site, 1],
        "loo": contrast.difference.mean(axis=0).ravel(),
        "class": pa.array(contrast.classes * len(sites)),
        PLACES: sites.places.take(pa.array(site)) if sites.places is not None else None,
        "explained_position": None if contrast.token is None else position_of(sequence, contrast.token),
    }
    if "loo_sd" in schema.names:
        several = len(contrast.difference) > 1
        spread = contrast.difference.std(axis=0, ddof=1) if several else np.full(contrast.difference.shape[1:], np.nan)
        values["loo_sd"] = spread.ravel()
    return pa.table([_column(values[field.name], field.type, len(site)) for field in schema], schema=schema)


def _known(sequence: Encoded, labels: Labels, contrast: Contrast) -> float | str | list[float] | None:
    """Give the label of a sequence or of its explained token, of several targets those that are explained; None: unknown."""
    label = sequence.label
    if contrast.token is not None:
        label = label[contrast.token] if isinstance(label, np.ndarray) else None
    if isinstance(label, np.ndarray):
        own = [labels.classes.index(name) for name in contrast.classes]
        return label[own].tolist() if labels.task == "regression" else labels.written(label)
    return label if label is not None and label != "" and label == label else None


def position_of(sequence: Encoded, token: int) -> int:
    """Give the place of a token in the whole sequence.

    Parameters
    ----------
    sequence : Encoded
        The sequence.
    token : int
        Its number.
    """
    return token if sequence.offsets is None else int(sequence.offsets[token, 0])


def _column(values: Any, kind: pa.DataType, rows: int) -> pa.Array:
    """Make a column of an array, of one value for all rows, or of one for each class of a site."""
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if isinstance(values, list):
        values = np.tile(values, rows // len(values))
    if isinstance(values, np.ndarray):
        return pa.array(values, kind, from_pandas=True)
    return pa.repeat(pa.scalar(values, kind), rows)


def prediction(frame: pd.DataFrame) -> list[str]:
    """Name the columns by which rows of one explained prediction are told from those of others.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows of scores.
    """
    return [name for name in ("sequence", "explained_position") if name in frame]


def named(frame: pd.DataFrame) -> str:
    """Name the prediction that is explained: by its sequence and, if there is one, the position.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its rows.

    Examples
    --------
    >>> named(pd.DataFrame({"sequence": ["tx"], "explained_position": [120]}))
    'tx at 120'
    """
    return " at ".join(map(str, frame[prediction(frame)].iloc[0]))


def places(frame: pd.DataFrame) -> np.ndarray:
    """Give the tokens to which rows of a table belong numbers, in their order: int64 ``(rows,)``.

    The mark that some tokenizers put before a sequence has no width and begins where the first letter does; it comes before
    that letter.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows with ``start_offset`` and ``end_offset``.

    Examples
    --------
    >>> places(pd.DataFrame({"start_offset": [0, 0, 1], "end_offset": [0, 1, 2]})).tolist()
    [0, 1, 3]
    """
    start, end = (frame[name].to_numpy(np.int64) for name in ("start_offset", "end_offset"))
    return 2 * start + (end > start)
