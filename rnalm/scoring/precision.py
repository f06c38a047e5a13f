"""What a lower precision costs."""

import numpy as np

from rnalm.scoring.edits import Edits
from rnalm.scoring.scorers.base import Scorer
from rnalm.tokens.dataset import Encoded

#: Perturbations by which the error of a precision is measured, at most.
MEASURED = 512


def precision_error(exact: Scorer, scorer: Scorer, sequence: Encoded, edits: Edits) -> tuple[float, float]:
    """Measure what a scorer's precision costs on one sequence.

    Parameters
    ----------
    exact : Scorer
        Of the same model, in float32.
    scorer : Scorer
    sequence : Encoded
    edits : Edits
        Of which at most ``MEASURED`` are scored.

    Returns
    -------
    error : float
        Largest error of a difference, a perturbed output minus the sequence's own.
    spread : float
        Standard deviation of the differences.
    """
    some = edits[np.unique(np.linspace(0, len(edits) - 1, MEASURED).astype(int))] if len(edits) > MEASURED else edits
    expected, found = (perturbed - base for base, perturbed in (by.score(sequence, some) for by in (exact, scorer)))
    return float(np.abs(found - expected).max(initial=0)), float(expected.std()) if expected.size else 0.0
