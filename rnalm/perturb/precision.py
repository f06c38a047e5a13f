"""What a lower precision costs."""

import numpy as np
from transformers import PreTrainedModel

from rnalm.datasets import Encoded
from rnalm.perturb.edits import Edits
from rnalm.perturb.scorer import Scorer

#: Perturbations by which the error of a precision is measured, at most.
MEASURED = 512


def precision_error(model: PreTrainedModel, scorer: Scorer, sequence: Encoded, edits: Edits) -> tuple[float, float]:
    """Measure what a scorer's precision costs on one sequence, against float32.

    Returns
    -------
    error : float
        Largest error of a difference, a perturbed output minus the sequence's own, over at most ``MEASURED`` perturbations.
    spread : float
        Standard deviation of the differences.
    """
    some = edits[np.unique(np.linspace(0, len(edits) - 1, MEASURED).astype(int))] if len(edits) > MEASURED else edits
    exact, found = (perturbed - base for base, perturbed in (by.score(sequence, some) for by in (type(scorer)(model), scorer)))
    return float(np.abs(found - exact).max(initial=0)), float(exact.std()) if exact.size else 0.0
