"""A network of a user's own, tried: whether it takes sequences of some lengths, and whether it takes others."""

import logging
from collections.abc import Iterable

import torch

from rnalm.errors import RnalmError
from rnalm.models.own import OwnNetwork

log = logging.getLogger(__name__)


@torch.no_grad()
def check(model: OwnNetwork, lengths: Iterable[int]) -> None:
    """Try a network on sequences of some lengths.

    Parameters
    ----------
    model : OwnNetwork
        In any mode, which is restored.
    lengths : iterable of int
        Tokens of these.

    Raises
    ------
    RnalmError
        If it does not take them, gives something of another shape, or numbers that are no probabilities; it names both shapes.
    """
    config, was_training = model.config, model.training
    model.eval()
    for length in sorted(set(lengths)):
        outputs = model.native_of(torch.full((2, length), config.vocab_size - 1))
        if config.gives == "probabilities" and not ((outputs >= 0) & (outputs <= 1)).all():
            value = outputs[(outputs < 0) | (outputs > 1)][0].item()
            hint = "expected numbers from 0 to 1, or model.outputs: logits"
            raise RnalmError(f"{config.origin}: {config.network} gives {value:.3g} as a probability, {hint}")
    model.train(was_training)


def takes(model: OwnNetwork, length: int) -> bool:
    """Say whether a network takes sequences of a length.

    Parameters
    ----------
    model : OwnNetwork
        In any mode, which is restored.
    length : int
        Letters of a sequence.
    """
    was_training = model.training
    try:
        check(model, [length])
    except RnalmError:
        return False
    finally:
        model.train(was_training)
    return True


def settle(model: OwnNetwork, length: int) -> None:
    """Remember the length of sequences with a network that takes one: others are filled up, or cut to their middle.

    One that pools over all positions, or has tables of positions, takes half or twice as much, too, and is left as it is.
    Pooling that drops what is left over lets a few more letters pass, or fewer; such a network has one length all the same.

    Parameters
    ----------
    model : OwnNetwork
        Which takes sequences of this length.
    length : int
        Letters of each sequence with which it is trained.
    """
    config = model.config
    if config.input != "one_hot" or takes(model, length // 2) or takes(model, 2 * length):
        return
    config.length = length
    if getattr(config, "block_size", length) > length:
        config.block_size, config.truncate = length, "both"
    log.info("%s: %s takes sequences of %d letters, and remembers it", config.origin, config.network, length)
