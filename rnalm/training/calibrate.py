"""Running statistics of normalizations, as prediction meets them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rnalm.labels.labels import Labels
from rnalm.prediction.predict import predict
from rnalm.tokens.dataset import Encoded

#: Sequences of which means and variances are taken: more would cost time and hardly change them.
SAMPLE = 1024


def calibrate(model: PreTrainedModel, sequences: Sequence[Encoded], batch_tokens: int, labels: Labels) -> None:
    """Let batch normalization use means and variances of training sequences as they are predicted, without dropout.

    What batch normalization collects in training is scattered by dropout, many times as much as by the sequences themselves
    where these are long; with it a model that has learned its training rows would predict them at chance. Models without
    such a normalization stay as they are.

    Parameters
    ----------
    model : PreTrainedModel
        With a module ``head`` and a method ``calibrate``, as :class:`~rnalm.models.saluki.Saluki` has; or any other.
    sequences : sequence of Encoded
        The training rows; of many, evenly spaced ones.
    batch_tokens : int
        Tokens in one forward pass, at most.
    labels : Labels
        What the model's outputs mean.

    Raises
    ------
    RnalmError
        If an output is not finite, or one sequence alone is too long for a GPU.
    """
    if not hasattr(model, "calibrate"):
        return
    features: list[Tensor] = []
    network: Any = model
    hook = network.head.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    try:
        predict(model, sequences[:: -(-len(sequences) // SAMPLE)], batch_tokens, labels)
    finally:
        hook.remove()
    with torch.no_grad():
        network.calibrate(torch.cat(features))
