"""Merged scores ─► what their pictures have in common: the scale of colours and heights, and what the ends are called."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnalm.scoring.merge import read
from rnalm.scoring.summary import of_one_class

#: Letters that stand for amino acids alone, never for nucleotides, even ambiguous ones.
AMINO_ACIDS = frozenset("EFILPQ")
#: How many of these make a protein: tokens of nucleotides may carry a mark or two.
FEWEST = 4
#: Of so many sequences in a hundred the strongest token fits into the scale; of others it is cut.
FITTING = 95


@dataclass(frozen=True)
class Survey:
    """What is known of merged scores before they are drawn.

    Attributes
    ----------
    sizes, pred, strength : numpy.ndarray
        Number of scores, prediction (a number for each class) and largest size of a score of every sequence ``(sequences,)``.
    step : float
        The size of an effect that has full colour and height, the same for all sequences.
    said : str
        What that amounts to.
    ends : tuple of str
        What the first and the last end of a sequence are called.
    """

    sizes: np.ndarray
    pred: np.ndarray
    strength: np.ndarray
    step: float
    said: str
    ends: tuple[str, str]


def survey(scores: str | Path) -> Survey:
    """Go through merged scores once.

    Parameters
    ----------
    scores : path
        Parquet from :func:`rnalm.scoring.merge.merge`.
    """
    sizes, pred, strength, label = array("q"), array("d"), array("d"), array("d")
    numbers: dict[str, int] = {}
    tokens: set[str] = set()
    for frame in read(scores):
        sizes.append(len(frame))
        # Of several targets, which may differ by orders of magnitude, the first one has the scale.
        one = of_one_class(frame)
        value, known = one["pred"].iat[0], one["label"].iat[0]
        pred.append(numbers.setdefault(value, len(numbers)) if isinstance(value, str) else value)
        label.append(np.nan if known is None or isinstance(known, str) else known)
        strength.append(np.fmax.reduce(np.abs(one["loo"].to_numpy())))  # of the scores that are numbers
        tokens.update(frame["token"].unique())
    known = np.array(label)[np.isfinite(label)]
    unit, of = spread(known, np.array([] if numbers else pred))
    finite = np.array(strength)[np.isfinite(strength)]
    step = cover(unit, float(np.percentile(finite, FITTING)) if len(finite) else 0)
    said = f"{step / unit:g} standard deviation{'' if step == unit else 's'} of the {of}" if of else "a step of the score"
    return Survey(np.array(sizes), np.array(pred), np.array(strength), step, said, ends(tokens))


def spread(labels: np.ndarray, predictions: np.ndarray) -> tuple[float, str]:
    """Give the unit in which effects are told, and of what it is the standard deviation.

    Parameters
    ----------
    labels, predictions : numpy.ndarray
        Numbers, as far as they are known ``(sequences,)``.

    Returns
    -------
    unit : float
        Of labels or, where they do not differ, of predictions; else 1, as for probabilities.
    of : str
        ``labels``, ``predictions``, or empty.
    """
    for of, values in (("labels", labels), ("predictions", predictions[np.isfinite(predictions)])):
        if len(values) > 1 and np.isfinite(sd := float(values.std())) and sd > 0:
            return sd, of
    return 1.0, ""


def cover(unit: float, largest: float) -> float:
    """Find the smallest of 1, 2 and 5 times a power of ten of the unit that is not below a size.

    Parameters
    ----------
    unit : float
        What effects are told in, above 0.
    largest : float
        What is to be covered; of 0, the unit itself does.

    Examples
    --------
    >>> cover(1.0, 0.03), cover(2.0, 0.3), cover(1.0, 0.5)
    (0.05, 0.4, 0.5)
    """
    if not np.isfinite(largest) or largest <= 0:
        return unit
    power = 10.0 ** np.floor(np.log10(largest / unit))
    # A factor of rounding, so that 0.5 is covered by 0.5.
    return float(next(unit * power * step for step in (1, 2, 5, 10) if power * step * (1 + 1e-9) >= largest / unit))


def ends(tokens: Iterable[str]) -> tuple[str, str]:
    """Name the ends of sequences: of proteins N and C, of nucleic acids 5′ and 3′.

    Parameters
    ----------
    tokens : iterable of str
        What sequences are made of; special tokens in brackets do not count.

    Examples
    --------
    >>> ends("acgt"), ends("ACDEFGHIKLMNPQRSTVWY")
    (('5′', '3′'), ('N', 'C'))
    """
    letters = {letter for token in tokens if not token.startswith("[") for letter in token.upper()}
    return ("N", "C") if len(letters & AMINO_ACIDS) >= FEWEST else ("5′", "3′")
