"""Make perturbed sequences, on the device of the model."""

import numpy as np
import torch
from torch import Tensor

from rnalm.compute import send
from rnalm.scoring.edits import NOWHERE, Edits
from rnalm.tokens.batches import fit_modifiers
from rnalm.tokens.dataset import Encoded


class Material:
    """All tokens that perturbed sequences are made of: the sequence, the tokens that come, and one ``[PAD]``.

    Parameters
    ----------
    sequence : Encoded
        The sequence.
    edits : Edits
        Its perturbations.
    modifier_channels : int
        Channels that the model has.
    device : torch.device
        Where the model runs.
    pad : int
        Id of ``[PAD]``.

    Raises
    ------
    RnalmError
        If the sequence has more modifiers than the model has channels for.

    Attributes
    ----------
    length : int
        Tokens of the sequence.
    ids : Tensor
        Ids of the tokens, int64 ``(length + tokens + 1,)``.
    modifiers : Tensor or None
        Their modifiers, float32 ``(modifier_channels, length + tokens + 1)``; None for a model without.
    """

    def __init__(self, sequence: Encoded, edits: Edits, modifier_channels: int, device: torch.device, pad: int) -> None:
        self.length = len(sequence.input_ids)
        self.ids = send(ids_of(sequence, edits, pad), device)
        modifiers = modifiers_of(sequence, edits, modifier_channels)
        self.modifiers = send(modifiers, device) if modifier_channels else None

    def take(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """Look up tokens.

        Parameters
        ----------
        index : Tensor
            Places in the material ``(rows, positions)``.

        Returns
        -------
        ids : Tensor
            Their ids, int64 ``(rows, positions)``.
        modifiers : Tensor or None
            Their modifiers, float32 ``(rows, modifier_channels, positions)``.
        """
        return look_up(self.ids, self.modifiers, index)


def ids_of(sequence: Encoded, edits: Edits, pad: int) -> np.ndarray:
    """List the ids of all tokens, int64 ``(length + tokens + 1,)``.

    Parameters
    ----------
    sequence, edits, pad
        As of :class:`Material`.
    """
    return np.concatenate([sequence.input_ids.astype(np.int64), edits.token, [pad]])


def modifiers_of(sequence: Encoded, edits: Edits, channels: int) -> np.ndarray:
    """List their modifiers, float32 ``(channels, length + tokens + 1)``.

    Parameters
    ----------
    sequence, edits
        As of :class:`Material`.
    channels : int
        Channels that the model has.

    Raises
    ------
    RnalmError
        If the sequence has more modifiers than the model has channels for.
    """
    length = len(sequence.input_ids)
    own = np.pad(fit_modifiers(sequence, channels), ((0, 0), (0, 1)))  # the last column, zeros, is that of NOWHERE
    keep = np.where(edits.keep == NOWHERE, length, edits.keep)
    return np.concatenate([own[:, :length], own[:, keep], own[:, length:]], axis=1)


def look_up(ids: Tensor, modifiers: Tensor | None, index: Tensor) -> tuple[Tensor, Tensor | None]:
    """Look up tokens; see :meth:`Material.take`.

    Parameters
    ----------
    ids : Tensor
        All of them, int64 ``(tokens,)``.
    modifiers : Tensor or None
        Theirs, float32 ``(modifier_channels, tokens)``.
    index : Tensor
        Which ones ``(rows, positions)``.
    """
    return ids[index], None if modifiers is None else modifiers[:, index].transpose(0, 1)


def apply(material: Material, edits: Edits, chosen: np.ndarray, places: Tensor | None = None) -> Tensor:
    """Make perturbed sequences, or parts of them.

    Parameters
    ----------
    material : Material
        All tokens of the sequence and of these edits.
    edits : Edits
        All perturbations of the sequence.
    chosen : numpy.ndarray
        Which of them to make: one at least, all of one growth, so that the results have one length.
    places : Tensor, optional
        Positions in the perturbed sequences that are wanted, int64 ``(chosen, places)``; None: all.

    Returns
    -------
    Tensor
        Index of each token in the material, int64 ``(chosen, length + growth)``, or ``(chosen, places)``.
    """
    length = material.length
    whole = length + int(edits.growth[chosen[0]])
    position = torch.arange(whole, device=material.ids.device) if places is None else places
    index = position.expand(len(chosen), -1)
    first, spans = edits.first[chosen], np.diff(edits.first)[chosen]
    grown = np.zeros(len(chosen), dtype=np.int64)
    for number in range(spans.max()):
        has = number < spans
        span = np.where(has, first + number, 0)
        # Where a perturbation has no such span, it stands at the end and changes nothing.
        begin = np.where(has, edits.start[span] + grown, whole)
        end = np.where(has, begin + edits.count[span], whole)
        grown = np.where(has, grown + edits.shift[span], grown)
        columns = send(np.stack([begin, end, length + edits.offset[span] - begin, grown]), position.device)
        begins, ends, comes, moved = columns[:, :, None]
        index = torch.where(position >= begins, torch.where(position < ends, position + comes, position - moved), index)
    return index
