"""Models without a network: weighted sums of how often runs of letters occur, and decision trees on it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.files import read_json, replacing, write_json
from rnalm.labels.labels import Labels
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.ngrams import Ngrams, groups

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Linear:
    """A weighted sum of features, as they are counted.

    Attributes
    ----------
    weights : numpy.ndarray
        Of the features, block by block ``(features, outputs)``.
    bias : numpy.ndarray
        ``(outputs,)``
    placed : numpy.ndarray
        Weights of runs by position ``(features, outputs)``; without rows where they are not looked at.
    """

    weights: np.ndarray
    bias: np.ndarray
    placed: np.ndarray

    def __call__(self, found: np.ndarray, placed: "csr_array | None") -> np.ndarray:
        """Give outputs ``(rows, outputs)`` for features ``(rows, features)``, and those by position if they are looked at."""
        outputs = found.astype(np.float64) @ self.weights + self.bias
        return outputs if placed is None or not len(self.placed) else outputs + placed @ self.placed


@dataclass(frozen=True)
class Trees:
    """A sum of decision trees.

    Attributes
    ----------
    roots, of : numpy.ndarray
        Of each tree the number of its first node, and the output that it adds to ``(trees,)``.
    feature, left, right : numpy.ndarray
        Of each node which feature it asks for, and which nodes follow, left where it is no greater than the threshold; the
        feature of a leaf is -1 ``(nodes,)``.
    threshold, value : numpy.ndarray
        Of each node by what it divides, and what a leaf adds ``(nodes,)``.
    bias : numpy.ndarray
        ``(outputs,)``
    """

    roots: np.ndarray
    of: np.ndarray
    feature: np.ndarray
    left: np.ndarray
    right: np.ndarray
    threshold: np.ndarray
    value: np.ndarray
    bias: np.ndarray

    def __call__(self, found: np.ndarray, placed: "csr_array | None") -> np.ndarray:
        """Give outputs ``(rows, outputs)`` for features ``(rows, features)``."""
        outputs, rows = np.tile(self.bias, (len(found), 1)), np.arange(len(found))
        for root, output in zip(self.roots.tolist(), self.of.tolist(), strict=True):
            node = np.full(len(found), root)
            while (inner := self.feature[node] >= 0).any():
                below = found[rows, np.maximum(self.feature[node], 0)] <= self.threshold[node]
                node = np.where(inner, np.where(below, self.left[node], self.right[node]), node)
            outputs[:, output] += self.value[node]
        return outputs


#: What predictions can be made of, by its name.
KINDS: dict[str, type[Linear] | type[Trees]] = {"linear": Linear, "boosting": Trees}


@dataclass(frozen=True)
class Baseline:
    """Predicts from counts of runs of letters, by the mean of its parts.

    Attributes
    ----------
    ngrams : Ngrams
        What is counted.
    labels : Labels
        What the outputs mean.
    average : bool
        Whether what is reported is the mean over both strands.
    parts : dict
        Of :data:`KINDS`, by name.
    """

    ngrams: Ngrams
    labels: Labels
    average: bool
    parts: Mapping[str, Linear | Trees]

    def __call__(self, sequences: Sequence[Encoded]) -> np.ndarray:
        """Compute outputs for sequences.

        Parameters
        ----------
        sequences : sequence of Encoded
            Any number, of any lengths.

        Returns
        -------
        numpy.ndarray
            float32 ``(sequences, outputs)``: scaled values or logits, as a network's.
        """
        each = [self._outputs(some) for some in groups(sequences)]
        return np.concatenate(each) if each else np.zeros((0, self.labels.n_outputs), np.float32)

    def _outputs(self, sequences: Sequence[Encoded]) -> np.ndarray:
        own = self._of_strand(sequences)
        if not self.average:
            return own
        return self.labels.average([own, self._of_strand([sequence.twin() for sequence in sequences])])

    def _of_strand(self, sequences: Sequence[Encoded]) -> np.ndarray:
        found, placed = features(self.ngrams, sequences, self.needs_places)
        return mean_of([part(found, placed) for part in self.parts.values()])

    @property
    def needs_places(self) -> bool:
        """Whether a part looks at runs by their position."""
        return any(isinstance(part, Linear) and len(part.placed) for part in self.parts.values())

    def save(self, folder: str | Path, chosen: Mapping[str, Any]) -> None:
        """Write it as numbers and text.

        Parameters
        ----------
        folder : path
            Where ``baseline.json``, ``baseline.npz`` and ``labels.json`` go.
        chosen : mapping
            What else the first of these tells.
        """
        folder = Path(folder)
        arrays = {f"{name}.{key}": value for name, part in self.parts.items() for key, value in asdict(part).items()}
        with replacing(folder / contract.BASELINE_WEIGHTS) as temporary:
            np.savez_compressed(temporary, **arrays)
        self.labels.save(folder / contract.LABELS)
        write_json(folder / contract.BASELINE, dict(chosen) | {"average": self.average, "counted": asdict(self.ngrams)})

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder : path
            The folder.

        Raises
        ------
        RnalmError
            If it holds something else.
        """
        folder = Path(folder)
        content, labels = read_json(folder / contract.BASELINE), Labels.load(folder / contract.LABELS)
        try:
            with np.load(folder / contract.BASELINE_WEIGHTS, allow_pickle=False) as arrays:
                given = {
                    name: {key.partition(".")[2]: arrays[key] for key in arrays if key.startswith(f"{name}.")} for name in KINDS
                }
            parts = {name: KINDS[name](**own) for name, own in given.items() if own}
            return cls(Ngrams.read(content["counted"]), labels, content["average"], parts)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise RnalmError(f"{folder}: no baseline of rnalm ({error})") from None


def features(ngrams: Ngrams, sequences: Sequence[Encoded], placed: bool) -> tuple[np.ndarray, "csr_array | None"]:
    """Count runs of letters in sequences.

    Parameters
    ----------
    ngrams : Ngrams
        What is counted.
    sequences : sequence of Encoded
        Few enough to be in memory.
    placed : bool
        Whether runs are counted by position too.

    Returns
    -------
    numpy.ndarray
        float32 ``(sequences, features)``: all blocks beside each other.
    scipy.sparse.csr_array or None
        Those by position.
    """
    blocks = ngrams.blocks(sequences)
    return np.concatenate(list(blocks.values()), axis=1), ngrams.placed(sequences) if placed else None


def mean_of(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Average the outputs of parts.

    Parameters
    ----------
    outputs : sequence of numpy.ndarray
        ``(rows, outputs)`` each.

    Returns
    -------
    numpy.ndarray
        float32 ``(rows, outputs)``
    """
    return (sum(outputs[1:], outputs[0]) / len(outputs)).astype(np.float32)
