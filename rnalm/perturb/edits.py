"""What to change: the single-token edits of a sequence, on its encoded form."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from rnalm.datasets import Encoded
from rnalm.perturb.check import replacement_ids
from rnalm.tokenizers import MASK

#: In place of a token: nothing.
DELETED = -1


@dataclass(frozen=True, slots=True)
class Edits:
    """Perturbations of one sequence, each of one token.

    Attributes
    ----------
    position : numpy.ndarray
        Index of the token that changes, int64 ``(edits,)``.
    token : numpy.ndarray
        The id that takes its place, or ``DELETED``, int64 ``(edits,)``.
    clear : numpy.ndarray
        Whether the token's modifiers become 0, bool ``(edits,)``.
    """

    position: np.ndarray
    token: np.ndarray
    clear: np.ndarray

    def __len__(self) -> int:
        return len(self.position)

    def __getitem__(self, part: slice | np.ndarray) -> "Edits":
        return Edits(self.position[part], self.token[part], self.clear[part])


class Editor:
    """Lists the edits of a mode for any sequence.

    Parameters
    ----------
    mode : {'remove', 'mask', 'replace'}
    tokenizer : tokenizers.Tokenizer
    replacements : mapping, optional
        For ``replace``: each token and the tokens that take its place.
    replace_modifiers : bool
        For ``replace``: also keep the token and set its modifiers to 0, where it has any.

    Raises
    ------
    RnalmError
        If a token is not in the vocabulary.
    """

    def __init__(
        self,
        mode: str,
        tokenizer: Tokenizer,
        replacements: Mapping[str, list[str]] | None = None,
        replace_modifiers: bool = False,
    ) -> None:
        self.mode, self.replace_modifiers = mode, replace_modifiers
        self.alternatives = replacement_ids(replacements or {}, tokenizer) if mode == "replace" else {}

    def edits(self, sequence: Encoded) -> Edits:
        """List the edits of a sequence, by position and then in the order of the replacements."""
        length = len(sequence.input_ids)
        if self.mode != "replace":
            token = DELETED if self.mode == "remove" else MASK
            return Edits(np.arange(length), np.full(length, token, dtype=np.int64), np.zeros(length, dtype=bool))
        modified = np.zeros(length, dtype=bool)
        if self.replace_modifiers and sequence.modifiers is not None:
            modified = (sequence.modifiers != 0).any(axis=0)
        found = [
            (position, other, clear)
            for position, token in enumerate(sequence.input_ids.tolist())
            for other, clear in self._exchanges(token, modified[position])
        ]
        columns = np.array(found, dtype=np.int64).reshape(-1, 3)
        return Edits(columns[:, 0], columns[:, 1], columns[:, 2].astype(bool))

    def _exchanges(self, token: int, modified: bool) -> list[tuple[int, bool]]:
        exchanges = [(other, False) for other in self.alternatives.get(token, ())]
        return [*exchanges, (token, True)] if modified else exchanges


def apply(input_ids: Tensor, modifiers: Tensor | None, edits: Edits) -> tuple[Tensor, Tensor | None]:
    """Make the perturbed sequences, on the device of the sequence.

    Parameters
    ----------
    input_ids : Tensor
        One sequence, int64 ``(length,)``.
    modifiers : Tensor or None
        float32 ``(channels, length)``
    edits : Edits
        All deletions, or none: so that all results have one length.

    Returns
    -------
    input_ids : Tensor
        ``(edits, length)``, or ``(edits, length - 1)`` for deletions: what stood right of the token moves up.
    modifiers : Tensor or None
        ``(edits, channels, length)``, likewise.
    """
    position = torch.from_numpy(edits.position).to(input_ids.device)
    rows = torch.arange(len(edits), device=input_ids.device)
    if (edits.token == DELETED).all():
        index = torch.arange(len(input_ids) - 1, device=input_ids.device)
        index = index + (index >= position[:, None])  # (edits, length - 1)
        return input_ids[index], None if modifiers is None else modifiers[:, index].transpose(0, 1)
    perturbed = input_ids.repeat(len(edits), 1)
    perturbed[rows, position] = torch.from_numpy(edits.token).to(input_ids.device)
    if modifiers is None:
        return perturbed, None
    changed = modifiers.repeat(len(edits), 1, 1)
    clear = torch.from_numpy(edits.clear).to(input_ids.device)
    changed[rows[clear], :, position[clear]] = 0.0
    return perturbed, changed
