"""What makes new models of our own architectures."""

from collections.abc import Callable
from typing import Any

from transformers import PreTrainedModel

from rnalm.models.filling import FRAME, start_from


def maker(model_class: type[PreTrainedModel]) -> Callable[..., PreTrainedModel]:
    """Give the function that makes models for regression and classification; what is random is torch's global generator's.

    It takes what :func:`rnalm.models.registry.create` does, the section without its name.

    Parameters
    ----------
    model_class : type
        Of ours.
    """

    def create(
        options: dict, vocab_size: int, modifier_channels: int, n_outputs: int, special: dict[str, int], **extra: Any
    ) -> PreTrainedModel:
        sizes = {"vocab_size": vocab_size, "modifier_channels": modifier_channels, "num_labels": n_outputs}
        return _made(model_class, options, special, sizes | extra)

    return create


def filler(model_class: type[PreTrainedModel]) -> Callable[..., PreTrainedModel]:
    """Give the function that makes models to pretrain (see :func:`rnalm.models.registry.create_filling`).

    Parameters
    ----------
    model_class : type
        Of ours, which fills in tokens.
    """

    def create_filling(options: dict, vocab_size: int, special: dict[str, int], **extra: Any) -> PreTrainedModel:
        return _made(model_class, options, special, {"vocab_size": vocab_size, "frame": FRAME, **extra})

    return create_filling


def _made(model_class: type[PreTrainedModel], options: dict, special: dict[str, int], entries: dict) -> PreTrainedModel:
    """Make a model, from the weights of another if the options name one."""
    sizes = {key: value for key, value in options.items() if key != "pretrained"}
    tokens = {"special_tokens": special.values(), "pad_token_id": special["pad"]}
    model = model_class(model_class.config_class(**tokens, **sizes, **entries))  # pyright: ignore[reportOptionalCall]
    start_from(model, options.get("pretrained"))
    return model
