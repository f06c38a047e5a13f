"""Stored rows and what a model is to make of them ─► batches."""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from rnalm.labels.labels import Labels
from rnalm.labels.targets import any_known
from rnalm.tokens.batches import collate
from rnalm.tokens.dataset import PAD, UNKNOWN, Encoded
from rnalm.tokens.store import Lists, StoredRows

#: Targets that are looked at together.
BLOCK = 2**20


class TrainingSet(Dataset):
    """The rows of one part of a fold, on disk, with their targets and weights.

    Parameters
    ----------
    folder : path
        On whose disk.
    vocab_size : int
        Ids of tokens are smaller.
    meaning : Labels
        What the outputs of the model mean.
    """

    def __init__(self, folder: str | Path, vocab_size: int, meaning: Labels) -> None:
        self.sequences = StoredRows(folder, vocab_size)
        of_tokens, several = meaning.per == "token", meaning.several
        self.kind = np.int64 if meaning.task == "classification" else np.float32
        # Up to 128 classes, or whether each of several is there, take a byte.
        most = 1 if several else meaning.n_outputs
        kind = np.float32 if meaning.task == "regression" else np.min_scalar_type(min(UNKNOWN, -most))
        self._scalar, self.meaning = not (of_tokens or several), meaning
        width = (meaning.n_outputs,) if several and of_tokens else ()
        self._targets = array(np.dtype(kind).char) if self._scalar else Lists(folder, kind, width)

    def extend(self, sequences: Sequence[Encoded]) -> None:
        """Put more rows behind those that are there.

        Parameters
        ----------
        sequences : sequence of Encoded
            With labels; in memory, such as those of a row group.
        """
        if not sequences:
            return
        self.sequences.extend(sequences)
        targets = self.meaning.to_targets(labels_of(sequences, self.meaning))
        if self.meaning.task == "multilabel":
            targets = np.nan_to_num(targets, nan=UNKNOWN)
        if self.meaning.per == "token":
            lengths = [len(sequence.input_ids) for sequence in sequences]
            self._targets.extend(np.split(targets, np.cumsum(lengths)[:-1]))
        else:
            self._targets.extend(targets.tolist() if self._scalar else list(targets))

    def add_twins(self) -> None:
        """Let the reverse complement of each row that has one follow all that are there; it has the same target."""
        self.sequences.add_twins()

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row: int64 ``(rows,)``."""
        return self.sequences.lengths

    @property
    def weights(self) -> np.ndarray:
        """What each row counts in the loss: float32 ``(rows,)``."""
        return self.sequences.weights

    def targets(self, row: int) -> np.ndarray:
        """Read the targets of a row.

        Parameters
        ----------
        row : int
            Its number.

        Returns
        -------
        numpy.ndarray
            float32 scaled labels or int64 class indices ``(1,)``, or of several classes ``(classes,)``; or, where tokens have
            labels, such arrays ``(length,)`` or ``(length, classes)``, in which what is not known is NaN or
            :data:`rnalm.tokens.dataset.UNKNOWN`.
        """
        stored = np.atleast_1d(self._targets[self.sequences.whose[row]])
        targets = stored.astype(self.kind)
        if self.meaning.task == "multilabel":
            targets[stored == UNKNOWN] = np.nan
        return targets

    def known(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Go through the targets of all rows, or those of all their tokens that are known, and their weights.

        Yields
        ------
        targets : numpy.ndarray
            float32 or int64 ``(rows,)``, or of several classes or targets ``(rows, classes)``, of which some may not be known;
            of tokens, those of which any is. Some rows at a time.
        weights : numpy.ndarray
            float32 ``(rows,)``: those of the rows.
        """
        weights, of_tokens = self.weights, self.meaning.per == "token"
        if self._scalar:
            yield np.asarray(self._targets)[np.asarray(self.sequences.whose)].astype(self.kind), weights
            return
        for rows in self._blocks():
            own = [self.targets(row) for row in rows]
            if of_tokens:
                known = any_known(targets := np.concatenate(own))
                yield targets[known], np.repeat(weights[rows], list(map(len, own)))[known]
            else:
                yield np.stack(own), weights[rows]

    def _blocks(self) -> Iterator[np.ndarray]:
        """Divide the rows into runs of about :data:`BLOCK` targets each."""
        width = self.meaning.n_outputs if self.meaning.several else 1
        sizes = self.lengths * width if self.meaning.per == "token" else np.full(len(self), width)
        block = np.cumsum(sizes) // BLOCK
        return iter(np.split(np.arange(len(self)), np.flatnonzero(np.diff(block)) + 1))

    def __getitem__(self, index: int) -> int:
        """Hand out the index; :meth:`batch` does the work for a whole batch."""
        return index

    def batch(self, indices: Sequence[int], modifier_channels: int, pad: int = PAD) -> dict[str, torch.Tensor]:
        """Collate rows with their targets and weights.

        Parameters
        ----------
        indices : sequence of int
            The rows.
        modifier_channels, pad
            As for :func:`rnalm.tokens.batches.collate`.

        Returns
        -------
        dict
            What :func:`~rnalm.tokens.batches.collate` gives, and ``labels`` ``(batch,)`` or, where tokens have them,
            ``(batch, length)``, for multilabel with classes as another dimension, and ``weights`` ``(batch,)``.

        Raises
        ------
        RnalmError
            If a sequence has more modifiers than the model has channels for.
        """
        sequences = [self.sequences[index] for index in indices]
        inputs = collate(sequences, modifier_channels, pad)
        targets = list(map(self.targets, indices))
        if self.meaning.per == "token":
            labels = _padded(targets, inputs["input_ids"].shape[1])
        else:
            labels = np.concatenate(targets) if self._scalar else np.stack(targets)
        weights = np.array([sequence.weight for sequence in sequences], dtype=np.float32)
        return inputs | {"labels": torch.from_numpy(labels), "weights": torch.from_numpy(weights)}


def labels_of(sequences: Sequence[Encoded], meaning: Labels) -> np.ndarray:
    """Give the labels of sequences, or of all their tokens, below each other: a copy, which keeps nothing else in memory.

    Parameters
    ----------
    sequences : sequence of Encoded
        With labels.
    meaning : Labels
        What they are.

    Returns
    -------
    numpy.ndarray
        As :meth:`rnalm.labels.labels.Labels.to_targets` takes them.
    """
    given: list = [sequence.label for sequence in sequences]
    if meaning.per == "token":
        return np.concatenate(given)
    return np.array(given, dtype={"regression": np.float64, "classification": object, "multilabel": np.float32}[meaning.task])


def _padded(targets: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Put targets of tokens below each other ``(rows, length)`` or ``(rows, length, classes)``; at padding none is known."""
    kind, classes = targets[0].dtype, targets[0].shape[1:]
    padded = np.full((len(targets), length, *classes), np.nan if kind.kind == "f" else UNKNOWN, dtype=kind)
    for row, own in enumerate(targets):
        padded[row, : len(own)] = own
    return padded
