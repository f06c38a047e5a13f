"""What training minimizes."""

import torch
import torch.nn.functional as F
from torch import Tensor


def per_row(task: str, logits: Tensor, targets: Tensor, sd: float = 1.0) -> Tensor:
    """Compute the loss of every row: squared error in units of the targets' variance, or cross-entropy.

    Parameters
    ----------
    task : {'regression', 'classification'}
        What is learned.
    logits : Tensor
        Outputs of the model ``(batch, outputs)``, of which there is one for regression.
    targets : Tensor
        Scaled labels or class indices ``(batch,)``.
    sd : float
        Standard deviation of the training targets, for regression.

    Returns
    -------
    Tensor
        ``(batch,)``
    """
    if task == "classification":
        return F.cross_entropy(logits.float(), targets, reduction="none")
    return ((logits[:, 0].float() - targets) / sd).square()


def weigh(weights: Tensor, targets: Tensor, class_weights: Tensor | None) -> Tensor:
    """Combine the weights of rows with those of their classes.

    Parameters
    ----------
    weights : Tensor
        Of each row ``(batch,)``.
    targets : Tensor
        Class indices ``(batch,)``; not looked at without weights of classes.
    class_weights : Tensor or None
        Of each class ``(classes,)``; None: all the same.

    Returns
    -------
    Tensor
        ``(batch,)``
    """
    return weights if class_weights is None else weights * class_weights.to(weights)[targets]


def weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    """Average losses by weight.

    Parameters
    ----------
    losses, weights : Tensor
        ``(rows,)``

    Returns
    -------
    Tensor
        A single number; 0 where all weights are 0.
    """
    total = weights.sum()
    return (losses * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
