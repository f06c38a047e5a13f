"""What a scorer does."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from rnalm.scoring.edits import Edits
from rnalm.tokens.dataset import Encoded


class Scorer(ABC):
    """Computes a model's outputs for perturbed sequences.

    Sequences are never mixed in a batch: a score depends on its sequence, the model and the sizes of batches, which free memory
    bounds, and not on what else is scored.
    """

    #: By which the configuration calls it.
    name: str

    @abstractmethod
    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate what scoring every token of sequences costs, in any unit ``(sequences,)``."""

    @abstractmethod
    def launch(self, sequence: Encoded, edits: Edits) -> Callable[[], np.ndarray]:
        """Begin to score, without waiting for a GPU.

        Returns
        -------
        callable
            Waits for the outputs of the perturbations and, last, of the sequence: float32 ``(edits + 1, outputs)``.

        Raises
        ------
        RnalmError
            If the sequence has more modifiers than the model has channels for.
        """

    def score(self, sequence: Encoded, edits: Edits) -> tuple[np.ndarray, np.ndarray]:
        """Compute the model's outputs.

        Returns
        -------
        base : numpy.ndarray
            For the sequence, float32 ``(outputs,)``.
        perturbed : numpy.ndarray
            For its perturbations, float32 ``(edits, outputs)``.
        """
        outputs = self.launch(sequence, edits)()
        return outputs[-1], outputs[:-1]
