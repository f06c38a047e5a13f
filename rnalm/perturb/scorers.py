"""Which scorer a model gets, and what a lower precision costs it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np
import torch
from transformers import PreTrainedModel

from rnalm.datasets import Encoded
from rnalm.errors import RnalmError
from rnalm.perturb.edits import Edits
from rnalm.perturb.incremental import IncrementalScorer
from rnalm.perturb.naive import NaiveScorer

#: Perturbations by which the error of a precision is measured, at most.
MEASURED = 512

#: Sequences that a GPU works on while the host prepares more and tabulates others.
IN_FLIGHT = 4

Item = TypeVar("Item")
Launched = TypeVar("Launched")


class Scorer(Protocol):
    """Computes a model's outputs for perturbed sequences."""

    name: str

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate what scoring every token of sequences costs, in any unit ``(sequences,)``."""

    def score(self, sequence: Encoded, edits: Edits) -> tuple[np.ndarray, np.ndarray]:
        """Compute outputs for the sequence ``(outputs,)`` and its perturbations ``(edits, outputs)``, float32."""

    def launch(self, sequence: Encoded, edits: Edits) -> Callable[[], np.ndarray]:
        """Begin to; the function returned gives outputs of the perturbations and, last, of the sequence."""


def choose(model: PreTrainedModel, scorer: str = "auto", batch_tokens: int | None = None, precision: str = "float32") -> Scorer:
    """Make the scorer for a model.

    Parameters
    ----------
    model : PreTrainedModel
    scorer : {'auto', 'naive', 'incremental'}
        ``auto``: incremental if the model says how, by a method ``local``.
    batch_tokens : int, optional
    precision : {'float32', 'tf32', 'bf16'}

    Raises
    ------
    RnalmError
        If the model cannot be scored so.
    """
    local = hasattr(model, "local")
    if scorer == "incremental" and not local:
        raise RnalmError(
            f"interpret.scorer: incremental needs a local architecture, which {model.config.model_type} is not; "
            "expected naive or auto"
        )
    if precision == "tf32" and model.device.type != "cuda":
        raise RnalmError("interpret.precision: tf32 needs a GPU, and none is used here; expected float32 or bf16")
    kind = IncrementalScorer if local and scorer != "naive" else NaiveScorer
    return kind(model, batch_tokens, precision)


def precision_error(model: PreTrainedModel, scorer: Scorer, sequence: Encoded, edits: Edits) -> tuple[float, float]:
    """Measure what a scorer's precision costs on one sequence, against float32.

    Returns
    -------
    error : float
        Largest difference of a perturbed output minus the sequence's own, over at most ``MEASURED`` perturbations.
    spread : float
        Standard deviation of these.
    """
    some = edits[np.unique(np.linspace(0, len(edits) - 1, MEASURED).astype(int))] if len(edits) > MEASURED else edits
    exact, found = (perturbed - base for base, perturbed in (by.score(sequence, some) for by in (type(scorer)(model), scorer)))
    return float(np.abs(found - exact).max(initial=0)), float(exact.std()) if exact.size else 0.0


def ahead(items: Iterable[Item], launch: Callable[[Item], Launched], device: torch.device) -> Iterator[tuple[Item, Launched]]:
    """Launch work on items, on a GPU some ahead of what is taken, so that it need not wait for the host."""
    waiting: deque[tuple[Item, Launched]] = deque()
    for item in items:
        waiting.append((item, launch(item)))
        if len(waiting) > (IN_FLIGHT if device.type == "cuda" else 0):
            yield waiting.popleft()
    yield from waiting
