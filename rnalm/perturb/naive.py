"""The naive scorer: one whole forward pass a perturbation. The reference for every faster one."""

import numpy as np
import torch
from transformers import PreTrainedModel

from rnalm.datasets import Encoded, collate
from rnalm.perturb.edits import Edits, apply


class NaiveScorer:
    """Scores perturbed sequences by running the model on each.

    The perturbations of one sequence have one length, so batches need no padding, and sequences are never mixed: a score
    depends on its sequence and the model alone, not on how the work is divided.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode; work is done on its device.
    batch_tokens : int
        Tokens in one forward pass, at most.
    """

    def __init__(self, model: PreTrainedModel, batch_tokens: int = 2**18) -> None:
        self.model, self.batch_tokens = model, batch_tokens

    @torch.inference_mode()
    def score(self, sequence: Encoded, edits: Edits) -> tuple[np.ndarray, np.ndarray]:
        """Compute the model's outputs for a sequence and its perturbations.

        Returns
        -------
        base : numpy.ndarray
            float32 ``(outputs,)``
        perturbed : numpy.ndarray
            float32 ``(edits, outputs)``
        """
        batch = {
            name: tensor.to(self.model.device)
            for name, tensor in collate([sequence], self.model.config.modifier_channels).items()
        }
        base = self.model(**batch).logits[0].float().cpu().numpy()
        input_ids, modifiers = batch["input_ids"][0], batch["modifiers"][0] if "modifiers" in batch else None
        size = max(1, self.batch_tokens // len(input_ids))
        perturbed = np.empty((len(edits), len(base)), dtype=np.float32)
        for start in range(0, len(edits), size):
            ids, changed = apply(input_ids, modifiers, edits[start : start + size])
            perturbed[start : start + size] = self.model(input_ids=ids, modifiers=changed).logits.float().cpu().numpy()
        return base, perturbed
