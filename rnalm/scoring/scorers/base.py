"""What a scorer does."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from rnalm.scoring.edits import Edits
from rnalm.tokens.dataset import Encoded


class Scorer(ABC):
    """Computes a model's outputs for perturbed sequences.

    A score depends on its sequence, the model and the sizes of batches, which free memory bounds, and not on what else is
    scored: sequences are mixed only in what computes each number alike, however many there are.
    """

    #: The name that the configuration has for it.
    name: str

    #: In which it multiplies: ``float32``, ``tf32`` or ``bf16``.
    precision: str

    @abstractmethod
    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate what scoring every token of sequences costs, in any unit ``(sequences,)``.

        Parameters
        ----------
        lengths : numpy.ndarray
            Tokens of each sequence ``(sequences,)``.
        """

    @abstractmethod
    def launch(self, sequence: Encoded, edits: Edits, at: np.ndarray | None = None) -> Callable[[], np.ndarray]:
        """Begin to score, without waiting for a GPU; or, where it is best, when there are more sequences or one is waited for.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        edits : Edits
            Its perturbations.
        at : numpy.ndarray, optional
            Of a model with outputs for each token: whose outputs are asked for, ascending int64 ``(positions,)``. They are
            found where these tokens stand after each edit (see :meth:`rnalm.scoring.edits.Edits.moved`).

        Returns
        -------
        callable
            Waits for the outputs of the perturbations and, last, of the sequence: float32 ``(edits + 1, outputs)`` or
            ``(edits + 1, positions, outputs)``, NaN where a token is deleted.

        Raises
        ------
        RnalmError
            If edits do not fit the sequence, the sequence has more modifiers than the model has channels for, or it does not
            fit into a GPU's memory.
        """

    def score(self, sequence: Encoded, edits: Edits) -> tuple[np.ndarray, np.ndarray]:
        """Compute the model's outputs.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        edits : Edits
            Its perturbations.

        Returns
        -------
        base : numpy.ndarray
            For the sequence, float32 ``(outputs,)``.
        perturbed : numpy.ndarray
            For its perturbations, float32 ``(edits, outputs)``.

        Raises
        ------
        RnalmError
            If :meth:`launch` refuses.
        """
        outputs = self.launch(sequence, edits)()
        return outputs[-1], outputs[:-1]
