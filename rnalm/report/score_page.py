"""Merged scores ─► one HTML page that lists all sequences and colours their tokens."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rnalm.errors import RnalmError, nearest
from rnalm.files import replacing
from rnalm.report.anchor import survey
from rnalm.report.blocks import template
from rnalm.report.modes import MODES
from rnalm.report.verdict import banner
from rnalm.scoring.merge import read
from rnalm.scoring.summary import of_one_class
from rnalm.scoring.table import named, places
from rnalm.sequences.bed import Elements, read_bed

#: Scores in one page; with the tokens they belong to they take 4 to 8 characters each, up to about 20 MB.
MAX_SCORES = 3_000_000
#: Sequences in one page; without its scores each takes about 150 characters.
MAX_LISTED = 50_000
#: How many of its strongest tokens are listed for each sequence.
STRONGEST = 3
#: A score is stored in 16 bits, as so many of these steps to the largest of its sequence; the lowest number stands for none.
STEPS, MISSING = 2**15 - 1, -(2**15)


def write_page(
    scores: str | Path,
    output: str | Path,
    method: str,
    name: str = "",
    of: str = "class",
    max_scores: int = MAX_SCORES,
    max_listed: int = MAX_LISTED,
    verdict: str | Path | None = None,
    unit: str = "",
    annotations: str | Path | None = None,
) -> None:
    """Write a page that lists the sequences of merged scores and shows their tokens in colours.

    One file that needs no other, nor a network. Where the scores are too many for it, sequences are chosen by :func:`choose`.

    Parameters
    ----------
    scores : path
        Parquet from :func:`rnalm.scoring.merge.merge`: the rows of a sequence together, by position.
    output : path
        The page.
    method : str
        Where the scores come from: a key of :data:`rnalm.report.modes.MODES`.
    name : str
        Of the sequences, for the title.
    of : {'class', 'target'}
        What is explained where there are several.
    max_scores, max_listed : int
        The most scores that are drawn, and the most sequences that are listed.
    verdict : path, optional
        From :func:`rnalm.prediction.verdict.judge`: where it says that scores are not to be read, the page does, in grey.
    unit : str
        Of the effects; empty where it is not known.
    annotations : path, optional
        BED file of known elements, drawn along their sequences.

    Raises
    ------
    RnalmError
        If the method is unknown.
    """
    if method not in MODES:
        raise RnalmError(f"{method!r}: no such method; {nearest(method, MODES)}")
    mode, regression = MODES[method], pa.types.is_floating(pq.read_schema(scores).field("pred").type)
    seen, elements = survey(scores), read_bed(annotations) if annotations else {}
    listed, drawn = choose(seen.sizes, seen.pred, seen.strength, max_scores, max_listed)
    counts = {
        "sequences": len(seen.sizes),
        "scores": int(seen.sizes.sum()),
        "listed": int(listed.sum()),
        "drawn": int(drawn.sum()),
    }
    page = template("report/score_page.html", track="report/track.js").stream(
        title=f"{mode.title}: {name}" if name else mode.title,
        method=mode.done,
        sense=mode.sense,
        regression=regression,
        classes=not regression and of == "class",
        kind=of,
        first=_first_class(scores) if regression else None,
        table=Path(scores).name,
        files=[Path(scores).with_suffix(suffix).name for suffix in (".csv", ".parquet")],
        step=float(f"{seen.step:.3g}"),
        said=seen.said,
        ends=seen.ends,
        unit=unit,
        entry="explained position" if "explained_position" in pq.read_schema(scores).names else "sequence",
        counts=counts,
        numbers={"steps": STEPS, "missing": MISSING},
        banner=banner(verdict),
        records=_records(scores, mode.sense, listed, drawn, elements),
    )
    with replacing(output) as temporary:
        page.dump(str(temporary), encoding="utf-8")


def _first_class(scores: str | Path) -> str | None:
    """Name the target that is explained first; None where there is one number, which has no name."""
    frame = next(read(scores), None)
    return None if frame is None or "class" not in frame else frame["class"].iat[0]


def choose(
    sizes: np.ndarray, pred: np.ndarray, strength: np.ndarray, max_scores: int, max_listed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose sequences spread evenly over the ranks of the prediction, from the lowest to the highest.

    Where predictions are the same, as within a class, ranks go by the strongest token.

    Parameters
    ----------
    sizes : numpy.ndarray
        Number of scores of each sequence, int ``(sequences,)``.
    pred, strength : numpy.ndarray
        Prediction, and largest size of a score, of each sequence, float ``(sequences,)``.
    max_scores, max_listed : int
        The most scores that are drawn, and the most sequences that are listed.

    Returns
    -------
    listed, drawn : numpy.ndarray
        Whether each sequence is listed, at most ``max_listed`` are, and whether its tokens are drawn: of those listed, with
        at most ``max_scores`` scores together. Bool ``(sequences,)``.

    Examples
    --------
    >>> sizes, pred = np.array([10, 10, 10]), np.array([0.5, 2.0, 1.0])
    >>> choose(sizes, pred, strength=np.ones(3), max_scores=20, max_listed=3)[1].tolist()
    [True, True, False]
    """
    listed = _evenly(np.lexsort((strength, pred)), max_listed)
    drawn, count = listed, len(listed)
    while (total := sizes[drawn].sum()) > max_scores:
        count = min(count - 1, int(count * max_scores / total))
        drawn = _evenly(listed, count)
    return np.isin(np.arange(len(sizes)), listed), np.isin(np.arange(len(sizes)), drawn)


def _evenly(ordered: np.ndarray, count: int) -> np.ndarray:
    """Take so many items at even distances, the first and last among them."""
    return ordered[np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)]


def _records(
    scores: str | Path, sense: int, listed: np.ndarray, drawn: np.ndarray, elements: Elements
) -> Iterator[dict[str, Any]]:
    """Describe each listed sequence as the page needs it."""
    for number, frame in enumerate(read(scores)):
        if listed[number]:
            frame = frame.assign(loo=sense * frame["loo"])
            record = listing(frame) | ({"drawn": pack(frame)} if drawn[number] else {})
            own = elements.get(frame["sequence"].iat[0], [])
            yield record | ({"elements": own} if own and drawn[number] else {})


def listing(frame: pd.DataFrame) -> dict[str, Any]:
    """Describe a sequence as it is listed.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its rows, ``loo`` being effects.

    Returns
    -------
    dict
        ``id``, ``label``, ``pred``, number of ``tokens``, and the ``strongest`` of these, each as token, position and mean
        effect. For classes, and several targets, also ``explained``, that to which it is: of several
        the predicted class, or the first target.
    """
    one = of_one_class(frame)
    _, first = np.unique(places(one), return_index=True)
    starts = one["start_offset"].to_numpy()[first]
    scores = one["loo"].to_numpy(float)
    known = np.add.reduceat((~np.isnan(scores)).astype(float), first)
    means = np.add.reduceat(np.nan_to_num(scores, posinf=np.inf, neginf=-np.inf), first) / np.where(known > 0, known, np.nan)
    order = np.argsort(-np.nan_to_num(np.abs(means), posinf=0), kind="stable")[:STRONGEST]
    tokens = one["token"].iloc[first[order]]
    strongest = [[*shown] for shown in zip(tokens, starts[order].tolist(), map(_value, means[order]), strict=True)]
    label, pred = (_value(one[name].iat[0]) for name in ("label", "pred"))
    record = {"id": named(one), "label": label, "pred": pred, "tokens": len(starts), "strongest": strongest}
    explained = one["class"].iat[0] if "class" in one else pred
    return record | ({"explained": explained} if isinstance(explained, str) else {})


def _value(value: Any) -> float | str | None:
    """Shorten a number; None where there is none, which JSON cannot tell otherwise."""
    if isinstance(value, str):
        return value
    return float(f"{value:.6g}") if value is not None and np.isfinite(value) else None


def pack(frame: pd.DataFrame) -> dict[str, Any]:
    """Put the scores of a sequence into few characters.

    Arrays are little-endian integers in base64.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its rows, ``loo`` being effects.

    Returns
    -------
    dict
        ``alphabet``, the distinct tokens; ``tokens``, an index into it for each token, of as few bytes as it needs;
        ``starts`` and ``ends``, int32 offsets of each token, or in place of both ``first``, where each token takes one
        position and none is left out; ``values``, int16 effects as multiples of ``scale / STEPS``, by class and
        within it by token; ``limit``, the largest size of a token's effect, to which colours are scaled. Where there are
        several classes, ``classes``, and where these are targets ``label`` and ``pred`` of each; where there are replacements,
        ``counts``, how many each token has, int32, and ``replacements``, their indices in the alphabet; where there are several
        models, ``sd`` and ``sd_scale``, like ``values`` and ``scale``.
    """
    classes = frame["class"].unique().tolist() if "class" in frame else []
    if len(classes) > 1:
        frame = frame.iloc[np.argsort(pd.Categorical(frame["class"], classes).codes, kind="stable")]
    one = frame.iloc[: len(frame) // max(1, len(classes))]
    _, first, counts = np.unique(places(one), return_index=True, return_counts=True)
    starts, ends = (one[name].to_numpy()[first] for name in ("start_offset", "end_offset"))
    tokens = one["token"].iloc[first]
    replacements = one["replacement"] if "replacement" in one else tokens.iloc[:0]
    indices, alphabet = pd.factorize(pd.concat([tokens, replacements]))
    indices = indices.astype(np.min_scalar_type(len(alphabet) - 1))
    values = frame["loo"].to_numpy()
    limit = np.abs(np.add.reduceat(values.reshape(-1, len(one)), first, axis=1) / counts)
    scale, steps = _quantize(values)
    packed = {"alphabet": alphabet.tolist(), "tokens": _base64(indices[: len(tokens)]), "scale": scale, "values": steps}
    packed["limit"] = _value(limit[np.isfinite(limit)].max(initial=0))
    if np.array_equal(starts, starts[0] + np.arange(len(starts))) and np.array_equal(ends, starts + 1):
        packed["first"] = int(starts[0])
    else:
        packed |= {"starts": _base64(starts.astype(np.int32)), "ends": _base64(ends.astype(np.int32))}
    if len(classes) > 1:
        packed["classes"] = classes
        if pd.api.types.is_float_dtype(frame["pred"]):
            each = frame.iloc[:: len(one)]
            packed |= {name: list(map(_value, each[name])) for name in ("label", "pred")}
    if "replacement" in one:
        packed |= {"counts": _base64(counts.astype(np.int32)), "replacements": _base64(indices[len(tokens) :])}
    if "loo_sd" in frame:
        packed["sd_scale"], packed["sd"] = _quantize(frame["loo_sd"].to_numpy())
    return packed


def _quantize(values: np.ndarray) -> tuple[float, str]:
    """Write numbers as multiples of a fraction of the largest: that, and the multiples."""
    finite = np.isfinite(values)
    scale = float(np.abs(values[finite]).max(initial=0)) or 1.0
    steps = np.full(len(values), MISSING, dtype=np.int16)
    steps[finite] = np.rint(values[finite] / scale * STEPS)
    return scale, _base64(steps)


def _base64(integers: np.ndarray) -> str:
    return base64.b64encode(integers.astype(integers.dtype.newbyteorder("<")).tobytes()).decode()
