"""Hide tokens of sequences, for a model to fill them in."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import Dataset

from rnalm.tokens import store
from rnalm.tokens.dataset import Encoded

#: What the loss of transformers' models leaves out.
IGNORED = -100


@dataclass(frozen=True)
class Masking:
    """How tokens are hidden (Devlin et al. 2019).

    Attributes
    ----------
    mask_prob : float
        Share of tokens that have to be filled in.
    random_prob, keep_prob : float
        Shares of these that the model sees as a token drawn at random, or as they are; the others are masked.
    special : tuple of int
        Ids that are neither hidden nor drawn.
    mask : int
        Id of the mask token.
    vocab_size : int
        Tokens, special tokens included.
    span : int
        Neighbours that are hidden together. Of overlapping k-mers, one could be read off those beside it (Ji et al.,
        Bioinformatics 2021).
    """

    mask_prob: float
    random_prob: float
    keep_prob: float
    special: tuple[int, ...]
    mask: int
    vocab_size: int
    span: int = 1

    @cached_property
    def plain(self) -> np.ndarray:
        """All ids but those of special tokens."""
        return np.setdiff1d(np.arange(self.vocab_size), self.special)

    def able(self, ids: np.ndarray) -> np.ndarray:
        """Say which tokens of a sequence can be hidden: bool ``(length,)``.

        Parameters
        ----------
        ids : numpy.ndarray
            Tokens of the sequence, int64 ``(length,)``.
        """
        return ~np.isin(ids, self.special)

    def hide(self, ids: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Hide tokens of a sequence, at least one if there is any that can be.

        Parameters
        ----------
        ids : numpy.ndarray
            int ``(length,)``
        draw : numpy.random.Generator
            Decides which tokens are hidden, and how.

        Returns
        -------
        shown : numpy.ndarray
            What the model sees, int64 ``(length,)``.
        wanted : numpy.ndarray
            The hidden tokens, and ``IGNORED`` everywhere else, int64 ``(length,)``.
        """
        able = self.able(ids)
        # A token is hidden if a span begins at it or at one of the ``span - 1`` places before it. That at least one of these
        # ``span`` places begins a span has the probability ``mask_prob``.
        begins = draw.random(len(ids) + self.span - 1) < 1 - (1 - self.mask_prob) ** (1 / self.span)
        chosen = np.flatnonzero(able & np.convolve(begins, np.ones(self.span), "valid").astype(bool))
        if not len(chosen) and able.any():
            first = draw.choice(np.flatnonzero(able))
            chosen = first + np.flatnonzero(able[first : first + self.span])
        shown, wanted = ids.astype(np.int64), np.full(len(ids), IGNORED, dtype=np.int64)
        wanted[chosen] = ids[chosen]
        fate = draw.random(len(chosen))
        exchanged = chosen[fate < self.random_prob]
        shown[exchanged] = draw.choice(self.plain, len(exchanged))
        shown[chosen[fate >= self.random_prob + self.keep_prob]] = self.mask
        return shown, wanted


@dataclass(frozen=True)
class Blanking:
    """Masks tokens of training rows, so that a model relies on none of them alone.

    Attributes
    ----------
    prob : float
        Share of tokens.
    special : tuple of int
        Ids that stay.
    mask : int
        Id of the mask token.
    seed : int
        What is masked is drawn from.
    """

    prob: float
    special: tuple[int, ...]
    mask: int
    seed: int

    def __call__(self, ids: torch.Tensor, rows: Sequence[int], epoch: int) -> torch.Tensor:
        """Mask tokens of a batch, each row by a draw of its own, whatever batch it is in.

        Parameters
        ----------
        ids : torch.Tensor
            int64 ``(batch, length)``, on the CPU.
        rows : sequence of int
            Numbers of the training rows ``(batch,)``.
        epoch : int
            In which other tokens are masked than in the one before.

        Returns
        -------
        torch.Tensor
            int64 ``(batch, length)``
        """
        shown = ids.numpy().copy()
        for line, row in zip(shown, rows, strict=True):
            hidden = np.random.default_rng([self.seed, epoch, row]).random(len(line)) < self.prob
            line[hidden & ~np.isin(line, self.special)] = self.mask
        return torch.from_numpy(shown)


class MaskedSet(Dataset):
    """Sequences of which tokens are hidden anew in each epoch, drawn from seed, epoch and row.

    Parameters
    ----------
    sequences : sequence of Encoded
        The rows, in memory or on disk.
    masking : Masking
        How tokens are hidden.
    frame : dict
        ``start`` and ``end``, ids of special tokens that the model is given around a sequence.
    pad : int
        Id that fills up shorter sequences of a batch.
    seed : int
        What is hidden is drawn from.
    """

    def __init__(self, sequences: Sequence[Encoded], masking: Masking, frame: dict, pad: int, seed: int) -> None:
        self.sequences, self.masking, self.frame, self.pad, self.seed = sequences, masking, frame, pad, seed
        self.lengths = store.lengths(sequences)

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: int) -> int:
        """Hand out the index; :meth:`batch` does the work for a whole batch."""
        return index

    def batch(self, indices: Sequence[int], epoch: int = 0) -> dict[str, torch.Tensor]:
        """Collate sequences.

        Parameters
        ----------
        indices : sequence of int
            Which ones.
        epoch : int
            In which other tokens are hidden than in the one before.

        Returns
        -------
        dict of str to torch.Tensor
            ``input_ids``, ``attention_mask`` and ``labels``, int64 ``(batch, length)``.
        """
        shown, wanted = zip(*(self.hidden(index, epoch) for index in indices), strict=True)
        longest = max(map(len, shown))
        rows = {"input_ids": (shown, self.pad), "attention_mask": (map(np.ones_like, shown), 0), "labels": (wanted, IGNORED)}
        return {
            name: torch.from_numpy(np.stack([np.pad(row, (0, longest - len(row)), constant_values=fill) for row in each]))
            for name, (each, fill) in rows.items()
        }

    def hidden(self, index: int, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Hide tokens of a sequence, and put its frame around it.

        Parameters
        ----------
        index : int
            Which one.
        epoch : int
            In which other tokens are hidden than in the one before.

        Returns
        -------
        shown : numpy.ndarray
            What the model is given, int64 ``(length + frame,)``.
        wanted : numpy.ndarray
            The hidden tokens, and ``IGNORED`` everywhere else, int64 ``(length + frame,)``.
        """
        sequence, start, end = self.sequences[index], self.frame["start"], self.frame["end"]
        shown, wanted = self.masking.hide(sequence.input_ids, np.random.default_rng([self.seed, epoch, index]))
        framed = np.concatenate([start, shown, end]).astype(np.int64)
        return framed, np.pad(wanted, (len(start), len(end)), constant_values=IGNORED)
