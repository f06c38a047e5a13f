"""Architectures: one file each, registered with the Auto classes of transformers."""

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging as transformers_logging

from rnalm.errors import RnalmError
from rnalm.folder import check
from rnalm.models.saluki import Saluki, SalukiConfig

# Its bars over weight files would end up in the logs.
transformers_logging.disable_progress_bar()

#: Architectures by the name they have in the configuration.
ARCHITECTURES = {"saluki": (SalukiConfig, Saluki)}


def create(options: dict, vocab_size: int, modifier_channels: int, n_outputs: int, **extra) -> PreTrainedModel:
    """Make a new model with random weights, drawn from torch's global generator.

    Parameters
    ----------
    options : dict
        The ``model`` section of the configuration.
    vocab_size : int
        Tokens, special tokens included.
    modifier_channels, n_outputs : int
    **extra
        Further entries for the model's ``config.json``.
    """
    sizes = dict(options)
    name = sizes.pop("name")
    config_class, model_class = ARCHITECTURES[name]
    return model_class(
        config_class(vocab_size=vocab_size, modifier_channels=modifier_channels, num_labels=n_outputs, **sizes, **extra)
    )


def load(folder: str | Path, device: str | torch.device = "cpu") -> PreTrainedModel:
    """Load a trained model in evaluation mode.

    Raises
    ------
    RnalmError
        If the folder holds no whole model.
    """
    folder = check(folder)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError) as error:
        raise RnalmError(f"{folder}: the model cannot be loaded ({str(error).splitlines()[0]})") from None
    return model.to(device).eval()
