"""What training minimizes."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from rnalm.labels.scaling import numbers_like


def per_row(
    task: str, logits: Tensor, targets: Tensor, sd: float | Sequence[float] = 1.0, class_weights: Tensor | None = None
) -> Tensor:
    """Compute the loss of every row or token: squared error in units of the targets' variance, or cross-entropy.

    Parameters
    ----------
    task : {'regression', 'classification', 'multilabel'}
        What is learned.
    logits : Tensor
        Outputs of the model ``(batch, outputs)``, of which there is one for regression, or one a target.
    targets : Tensor
        Scaled labels or class indices ``(batch,)``, all known; for multilabel 1, 0 or NaN ``(batch, classes)``, or several
        scaled labels ``(batch, targets)``, of which the known ones count.
    sd : float or sequence of float
        Standard deviation of the training targets, for regression.
    class_weights : Tensor or None
        For multilabel: of the positives of each class ``(classes,)``; None: all the same.

    Returns
    -------
    Tensor
        ``(batch,)``
    """
    if task == "multilabel":
        known = ~targets.isnan()
        weights = None if class_weights is None else class_weights.to(logits.device)
        each = F.binary_cross_entropy_with_logits(logits.float(), targets.nan_to_num(), pos_weight=weights, reduction="none")
        return (each * known).sum(1) / known.sum(1).clamp(min=1)
    if task == "classification":
        return F.cross_entropy(logits.float(), targets, reduction="none")
    if targets.dim() == 1:
        return ((logits[:, 0].float() - targets) / numbers_like(logits, sd)).square()
    known = ~targets.isnan()
    each = ((logits.float() - targets.nan_to_num()) / numbers_like(logits, sd)).square()
    return (each * known).sum(1) / known.sum(1).clamp(min=1)


def of_batch(
    task: str,
    logits: Tensor,
    targets: Tensor,
    weights: Tensor,
    class_weights: Tensor | None,
    sd: float | Sequence[float] = 1.0,
) -> Tensor:
    """Compute the loss of a batch: the weighted mean over its rows, or over its tokens whose label is known.

    Parameters
    ----------
    task : {'regression', 'classification', 'multilabel'}
        What is learned.
    logits : Tensor
        ``(batch, outputs)``, or ``(batch, length, outputs)`` where tokens have labels.
    targets : Tensor
        ``(batch,)`` or ``(batch, length)``, for multilabel with classes as another dimension; of tokens, NaN or a negative
        class where it is not known.
    weights : Tensor
        Of each row ``(batch,)``.
    class_weights : Tensor or None
        As for :func:`weigh`.
    sd : float or sequence of float
        As for :func:`per_row`.
    """
    if logits.dim() == 3:
        known = ~targets.isnan() if targets.is_floating_point() else targets >= 0
        known = known.any(-1) if task == "multilabel" else known
        weights = weights[:, None].expand(known.shape)[known]
        logits, targets = logits[known], targets[known]
    losses = per_row(task, logits, targets, sd, class_weights) * weigh(weights, targets, class_weights)
    return losses.sum() / max(1, len(losses))


def weigh(weights: Tensor, targets: Tensor, class_weights: Tensor | None) -> Tensor:
    """Combine the weights of rows with those of their classes.

    Parameters
    ----------
    weights : Tensor
        Of each row ``(batch,)``.
    targets : Tensor
        Class indices ``(batch,)``; others, and where there are no weights of classes, are not looked at.
    class_weights : Tensor or None
        Of each class ``(classes,)``; None: all the same.

    Returns
    -------
    Tensor
        ``(batch,)``
    """
    return weights if class_weights is None or targets.is_floating_point() else weights * class_weights.to(weights)[targets]
