"""The naive scorer: one whole forward pass a perturbation. The reference for every faster one."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rnalm.compute import SHARE, allocating, fetch, fitting, free_memory, multiplying, send
from rnalm.models.registry import pad_id
from rnalm.prediction.predict import too_long
from rnalm.scoring.edits import NOWHERE, Edits, distinct
from rnalm.scoring.precision import EXACT
from rnalm.scoring.scorers.base import Scorer
from rnalm.scoring.scorers.material import Material, apply
from rnalm.tokens.dataset import Encoded

log = logging.getLogger(__name__)

#: Tokens in one forward pass, at most. On a CPU more only spills its caches, on a GPU more is no faster.
MOST_TOKENS = {"cpu": 2**15, "cuda": 2**20}


class NaiveScorer(Scorer):
    """Scores perturbed sequences by running the model on each.

    Perturbed sequences are made on the device; those of one length go together, so nothing is padded.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode; work is done on its device.
    batch_tokens : int, optional
        Tokens in one forward pass, at most; None: a power of two that free memory allows.
    precision : {'float32', 'tf32', 'bf16'}
        In which to multiply.
    """

    name = "naive"

    def __init__(self, model: PreTrainedModel, batch_tokens: int | None = None, precision: str = EXACT) -> None:
        self.model, self.device, self.precision = model, model.device, precision
        self.modifier_channels = getattr(model.config, "modifier_channels", 0)
        self.vocab_size = getattr(model.config, "vocab_size", None)
        self.batch_tokens, self.memory = batch_tokens, SHARE * free_memory(model.device)

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate the cost of scoring every token: as many passes as tokens, times their length; see :meth:`Scorer.cost`.

        Parameters
        ----------
        lengths : numpy.ndarray
            Tokens of each sequence ``(sequences,)``.
        """
        return lengths.astype(np.float64) ** 2

    @torch.inference_mode()
    def launch(self, sequence: Encoded, edits: Edits, at: np.ndarray | None = None) -> Callable[[], np.ndarray]:
        """Begin to score; see :meth:`Scorer.launch`.

        Parameters
        ----------
        sequence, edits, at
            The sequence, its perturbations, and whose outputs are asked for.
        """
        edits.check(sequence, self.vocab_size)
        try:
            with allocating():
                return fetch(self._outputs(sequence, edits, at))
        except torch.OutOfMemoryError:
            raise too_long(sequence) from None

    def _outputs(self, sequence: Encoded, edits: Edits, at: np.ndarray | None) -> Tensor:
        """Compute the outputs of every perturbation, and last of the sequence ``(edits + 1, …, outputs)``."""
        material = Material(sequence, edits, self.modifier_channels, self.device, pad_id(self.model))
        with multiplying(self.precision), counting(self.model) as activations:
            base = self._run(material, torch.arange(material.length, device=self.device)[None], at if at is None else at[None])
        tokens = self.batch_tokens or MOST_TOKENS[self.device.type]
        if not self.batch_tokens and len(edits) * sum(activations) > self.memory:
            tokens = fitting(tokens, sum(activations) / max(1, material.length), self.memory, "tokens")
        outputs = base.repeat(len(edits) + 1, *[1] * (base.ndim - 1))
        with multiplying(self.precision):
            for growth in distinct(edits.growth).tolist():
                alike = np.flatnonzero(edits.growth == growth)
                self._score(material, edits, alike, max(1, tokens // max(1, material.length + growth)), outputs, at)
        return outputs

    def _score(
        self, material: Material, edits: Edits, chosen: np.ndarray, size: int, outputs: Tensor, wanted: np.ndarray | None
    ) -> None:
        """Score some perturbations, all of one length, in batches."""
        at = 0
        while at < len(chosen):
            part = chosen[at : at + size]
            try:
                with allocating():
                    index = apply(material, edits, part)
                    places = None if wanted is None else edits[part].moved(wanted)
                    outputs[send(part, self.device)] = self._run(material, index, places)
                at += size
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
                size = len(part) // 2
                log.warning("out of memory; going on with %d sequences at a time", size)

    def _run(self, material: Material, index: Tensor, places: np.ndarray | None) -> Tensor:
        """Run the model on sequences of one length: float32 ``(rows, outputs)``, or those of places in each, if there are."""
        ids, modifiers = material.take(index)
        inputs = {} if modifiers is None else {"modifiers": modifiers}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.model(input_ids=ids, **inputs).logits.float()
        return logits if places is None else at_places(logits, places)


def at_places(logits: Tensor, places: np.ndarray) -> Tensor:
    """Take the outputs of some tokens of each row.

    Parameters
    ----------
    logits : Tensor
        ``(rows, length, outputs)``
    places : numpy.ndarray
        Where they stand in it, or :data:`rnalm.scoring.edits.NOWHERE` ``(rows, places)``.

    Returns
    -------
    Tensor
        ``(rows, places, outputs)``, NaN where a token is nowhere.
    """
    at = send(places, logits.device)[:, :, None]
    if not logits.shape[1]:  # of an empty sequence, there is nothing that could be taken
        return logits.new_full((*places.shape, logits.shape[2]), torch.nan)
    found = logits.gather(1, at.clamp(min=0).expand(-1, -1, logits.shape[2]))
    return found.masked_fill_(at == NOWHERE, torch.nan)


@contextmanager
def counting(model: nn.Module) -> Iterator[list[int]]:
    """Count the bytes that the layers of a model put out, all together: more than a forward pass holds at once.

    Parameters
    ----------
    model : torch.nn.Module
        The model, to be run inside the block.

    Yields
    ------
    list of int
        Bytes of each output so far.
    """
    sizes: list[int] = []

    def count(module: nn.Module, inputs: tuple, output: object) -> None:
        sizes.extend(
            x.numel() * x.element_size() for x in (output if isinstance(output, tuple) else [output]) if torch.is_tensor(x)
        )

    hooks = [module.register_forward_hook(count) for module in model.modules() if not list(module.children())]
    try:
        yield sizes
    finally:
        for hook in hooks:
            hook.remove()
