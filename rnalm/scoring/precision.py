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


def precision_error(
    exact: Scorer, scorer: Scorer, sequence: Encoded, edits: Edits, at: np.ndarray | None = None
) -> tuple[float, float]:
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
    at : numpy.ndarray, optional
        Of a model with outputs for tokens: the explained positions ``(positions,)``.

    Returns
    -------
    error : float
        Largest error of a difference, a perturbed output minus the sequence's own.
    spread : float
        Standard deviation of the differences.
    """
    some = edits[np.unique(np.linspace(0, len(edits) - 1, MEASURED).astype(int))] if len(edits) > MEASURED else edits
    outputs = (by.launch(sequence, some, at)() for by in (exact, scorer))
    expected, rough = (own[:-1] - own[-1] for own in outputs)
    known = ~np.isnan(expected)
    error, differences = np.abs(rough - expected)[known], expected[known]
    return float(error.max(initial=0)), float(differences.std()) if differences.size else 0.0
