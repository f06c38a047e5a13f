"""Sequences that are shorter than a network takes ─► as long, with unknown tokens on both sides."""

import logging
from dataclasses import replace

import numpy as np

from rnalm.tokens.dataset import Encoded

log = logging.getLogger(__name__)


def margin(tokens: int, length: int | None) -> tuple[int, int]:
    """Count the tokens that a sequence lacks on its left and right; of an odd number the right lacks one more, as in Selene.

    Parameters
    ----------
    tokens : int
        Those of the sequence.
    length : int or None
        Tokens that the network takes; None: any number.

    Examples
    --------
    >>> margin(6, 9), margin(9, 9), margin(6, None)
    ((1, 2), (0, 0), (0, 0))
    """
    missing = max(0, (length or 0) - tokens)
    return missing // 2, missing - missing // 2


def fill(sequence: Encoded, length: int | None, token: int) -> Encoded:
    """Fill a sequence up on both sides; what fills its other strand up is the complement of that.

    Parameters
    ----------
    sequence : Encoded
        Without modifiers.
    length : int or None
        Tokens that the network takes; None: any number.
    token : int
        Id of unknown tokens.

    Returns
    -------
    Encoded
        The sequence itself where it lacks nothing; else a longer one, without positions.
    """
    left, right = margin(len(sequence.input_ids), length)
    if not right:
        return sequence
    ids, other = np.pad(sequence.input_ids, (left, right), constant_values=token), sequence.reverse_ids
    other = None if other is None else np.pad(other, (right, left), constant_values=token)
    return replace(sequence, input_ids=ids, reverse_ids=other, offsets=None)


def tell(where: str, short: int, total: int, length: int | None) -> None:
    """Say how many sequences were filled up.

    Parameters
    ----------
    where : str
        Where they are from.
    short, total : int
        How many are too short, and how many there are.
    length : int or None
        Tokens that the network takes.
    """
    if short:
        log.warning(
            "%s: %d of %d sequences are shorter than the %d letters that the network takes; "
            "unknown letters fill them up on both sides",
            *(where, short, total, length),
        )
