"""Encoded sequences ─► batches of like length."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from rnalm.errors import RnalmError
from rnalm.tokens.dataset import PAD, Encoded


def collate(sequences: Sequence[Encoded], modifier_channels: int = 0, pad: int = PAD) -> dict[str, torch.Tensor]:
    """Pad sequences on the right to the longest among them.

    Parameters
    ----------
    sequences : sequence of Encoded
        At least one.
    modifier_channels : int
        Channels that the model has; a sequence with fewer gets zeros.
    pad : int
        Id that fills up: that of a special token, best that of ``[PAD]`` (see :func:`rnalm.tokens.tokenizer.special_ids`).

    Returns
    -------
    dict
        ``input_ids`` and ``attention_mask``, int64 ``(batch, length)``; with modifier channels also ``modifiers``,
        float32 ``(batch, channels, length)``.

    Raises
    ------
    RnalmError
        If a sequence has more modifiers than the model has channels for.
    """
    longest = max(len(sequence.input_ids) for sequence in sequences)
    input_ids = np.full((len(sequences), longest), pad, dtype=np.int64)
    mask = np.zeros_like(input_ids)
    modifiers = np.zeros((len(sequences), modifier_channels, longest), dtype=np.float32)
    for index, sequence in enumerate(sequences):
        length = len(sequence.input_ids)
        input_ids[index, :length] = sequence.input_ids
        mask[index, :length] = 1
        if sequence.modifiers is not None:
            modifiers[index, :, :length] = fit_modifiers(sequence, modifier_channels)
    batch = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask)}
    return batch | {"modifiers": torch.from_numpy(modifiers)} if modifier_channels else batch


def fit_modifiers(sequence: Encoded, channels: int) -> np.ndarray:
    """Give the modifiers of a sequence as many channels as a model has.

    Parameters
    ----------
    sequence : Encoded
        With modifiers or without.
    channels : int
        Channels that the model has; those that the sequence has not are 0.

    Returns
    -------
    numpy.ndarray
        float32 ``(channels, length)``

    Raises
    ------
    RnalmError
        If the sequence has more modifiers than the model has channels for.
    """
    fitted = np.zeros((channels, len(sequence.input_ids)), dtype=np.float32)
    if sequence.modifiers is not None:
        own = len(sequence.modifiers)
        if own > channels:
            raise RnalmError(
                f"sequence {sequence.id!r} has tokens with {own} modifiers, but the model was trained with {channels}"
            )
        fitted[:own] = sequence.modifiers
    return fitted


def by_length(lengths: Sequence[int] | np.ndarray, batch_tokens: int, least: int = 1) -> Iterator[list[int]]:
    """Batch sequences of similar length.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each sequence, in any order ``(sequences,)``.
    batch_tokens : int
        Tokens of a batch, padding included, at most.
    least : int
        Tokens to which a model pads shorter sequences.

    Yields
    ------
    list of int
        Numbers of sequences: of one, if it has more tokens, or else as many as go together.
    """
    order = np.argsort(lengths, kind="stable")
    batch: list[int] = []
    for index in order:
        # In ascending order the newest sequence is the longest, to which all are padded.
        if batch and (len(batch) + 1) * max(least, lengths[index]) > batch_tokens:
            yield batch
            batch = []
        batch.append(int(index))
    if batch:
        yield batch
