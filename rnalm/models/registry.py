"""Architectures: our own, one file each, registered with the Auto classes of transformers; and any of theirs, in a frame."""

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

import torch
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from rnalm.config import ARCHITECTURES, FILLING
from rnalm.errors import RnalmError
from rnalm.models.folder import check, check_trust
from rnalm.models.framed import framed_class, plain_class
from rnalm.models.pretrained import as_data, differences, load_weights
from rnalm.tokens.dataset import PAD
from rnalm.tokens.tokenizer import SPECIAL_TOKENS

# Its bars over weight files would end up in the logs, and its tables of weights that are new on the terminal.
transformers_logging.disable_progress_bar()
transformers_logging.set_verbosity_error()

#: Ids of special tokens by their role, where the configuration names no others.
USUAL = {name.strip("[]").lower(): index for index, name in enumerate(SPECIAL_TOKENS)}

#: What makes a model of each architecture; their modules register our own with the Auto classes of transformers.
MAKERS: dict[str, Callable[..., PreTrainedModel]] = {
    name: resolve_name(section.network) for name, section in ARCHITECTURES.items()
}

#: What makes a model to pretrain, of those that can be.
FILLERS: dict[str, Callable[..., PreTrainedModel]] = {name: resolve_name(place) for name, place in FILLING.items()}


def create(
    options: dict,
    vocab_size: int,
    modifier_channels: int,
    n_outputs: int,
    special: dict[str, int] | None = None,
    **extra,
) -> PreTrainedModel:
    """Make a new model; what is random is drawn from torch's global generator.

    Parameters
    ----------
    options : dict
        The ``model`` section of the configuration.
    vocab_size : int
        Tokens, special tokens included.
    modifier_channels : int
        Modifiers of a token.
    n_outputs : int
        Values or classes to predict.
    special : dict, optional
        Ids of all special tokens by their role, or by their name where they have none (see
        :func:`rnalm.tokens.tokenizer.all_special_ids`); None: the usual ones.
    **extra
        Further entries for the model's ``config.json``.

    Raises
    ------
    RnalmError
        If the architecture cannot be made so.

    Examples
    --------
    A network of one layer for the four letters of RNA, and what it says of a sequence of 30 of them:

    >>> import torch
    >>> model = create({"name": "saluki", "filters": 4, "layers": 1}, vocab_size=11, modifier_channels=0, n_outputs=1)
    >>> model.eval()(torch.randint(7, 11, (1, 30))).logits.shape
    torch.Size([1, 1])
    """
    # A linear part is fitted to training rows, and put beside what is made here.
    sizes = {key: value for key, value in options.items() if key != "wide"}
    make = MAKERS[sizes.pop("name")]
    return make(sizes, vocab_size, modifier_channels, n_outputs, special or USUAL, **extra)


def create_filling(options: dict, vocab_size: int, special: dict[str, int], **extra) -> PreTrainedModel:
    """Make a model to pretrain; random weights are drawn from torch's global generator.

    Parameters
    ----------
    options : dict
        The ``model`` section of the configuration.
    vocab_size : int
        Tokens, special tokens included.
    special : dict
        Ids of all special tokens, by their role or their name.
    **extra
        Further entries for the model's ``config.json``.

    Raises
    ------
    RnalmError
        If the architecture has no masked language model, or one that could not be fine-tuned after it.
    """
    sizes = {key: value for key, value in options.items() if key != "wide"}
    fill = FILLERS[sizes.pop("name")]
    return fill(sizes, vocab_size, special, **extra)


def load(folder: str | Path, device: str | torch.device = "cpu", trust: bool = False) -> PreTrainedModel:
    """Load a trained model in evaluation mode.

    Parameters
    ----------
    folder : path
        A model folder.
    device : str or torch.device
        Where the model is to be.
    trust : bool
        Whether to run code of a user's own, if the folder holds some.

    Raises
    ------
    RnalmError
        If the folder holds no whole model, weights of another one, or code that is not to be run.
    """
    folder = check(folder)
    if not trust:
        check_trust(folder)
    try:
        config = as_data(folder)
        ours = config.model_type in ARCHITECTURES
        model, loading = load_weights(folder, plain_class(config) if ours else framed_class(config), config)
    except (OSError, ValueError, RuntimeError) as error:
        raise RnalmError(f"{folder}: the model cannot be loaded ({str(error).splitlines()[0]})") from None
    if problems := differences(loading):
        raise RnalmError(f"{folder}: the weights are not those of the model in config.json: {problems}")
    return model.to(torch.device(device)).eval()  # pyright: ignore[reportArgumentType] (its decorator hides self)


def pad_id(model: PreTrainedModel) -> int:
    """Give the id that fills up shorter sequences of a batch: that of ``[PAD]``, which the model's configuration names.

    Parameters
    ----------
    model : PreTrainedModel
        Any model.
    """
    named = getattr(model.config, "pad_token_id", None)
    return PAD if named is None else named
