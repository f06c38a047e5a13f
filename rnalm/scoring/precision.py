"""In which precision scores are computed, and what a lower one costs."""

import numpy as np

from rnalm.config import Interpret
from rnalm.scoring.edits import Edits
from rnalm.scoring.scorers.base import Scorer
from rnalm.tokens.dataset import Encoded

#: The precision of the configuration's default, against which lower ones are measured.
EXACT: str = Interpret.model_fields["precision"].default

#: Perturbations by which the error of a precision is measured, at most.
MEASURED = 512


def precision_error(exact: Scorer, scorer: Scorer, sequence: Encoded, edits: Edits) -> tuple[float, float]:
    """Measure what a scorer's precision costs on one sequence.

    Parameters
    ----------
    exact : Scorer
        A scorer of the same model in the precision ``EXACT``.
    scorer : Scorer
        The scorer that is measured.
    sequence : Encoded
        The sequence on which both are compared.
    edits : Edits
        Its perturbations, of which at most ``MEASURED``, evenly spread, are scored.

    Returns
    -------
    error : float
        Largest error of a difference, a perturbed output minus the sequence's own.
    spread : float
        Standard deviation of the differences.
    """
    some = edits[np.unique(np.linspace(0, len(edits) - 1, MEASURED).astype(int))] if len(edits) > MEASURED else edits
    expected, rough = (perturbed - base for base, perturbed in (by.score(sequence, some) for by in (exact, scorer)))
    return float(np.abs(rough - expected).max(initial=0)), float(expected.std()) if expected.size else 0.0
