"""Leave one out, for predictions of tokens: what perturbations of a sequence change at explained positions."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from rnalm.errors import RnalmError
from rnalm.prediction.predict import predict
from rnalm.prediction.sites import begins
from rnalm.scoring.explain import Contrast, Subject
from rnalm.scoring.loo import LeaveOneOut
from rnalm.scoring.sites import Sites
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.windows import cut, divide

#: Outputs of perturbations that are held at once, at most, and scores that are held in memory rather than in a file.
MOST_OUTPUTS, MOST_SCORES = 2**24, 2**26


class AtPositions:
    """Scores the tokens of sequences by perturbing them, and by what that changes in the predictions for explained positions.

    A sequence that is longer than the models read is scored in windows: an explained position in that in which it is predicted,
    of which the tokens are perturbed.

    Parameters
    ----------
    loo : LeaveOneOut
        What perturbs, and computes outputs.
    spell : callable
        Gives the letters for which ids stand.
    where : str or sequence of int
        Which positions are explained: ``sites``, ``labels``, ``all``, or their numbers.
    site : str or None
        The class of sites; None for regression.
    motif : str or None
        Letters that begin at a site; None: any.
    """

    def __init__(
        self,
        loo: LeaveOneOut,
        spell: Callable[[np.ndarray], str],
        where: str | Sequence[int],
        site: str | None,
        motif: str | None,
    ) -> None:
        self.loo, self.spell, self.where, self.site, self.motif = loo, spell, where, site, motif
        self.subject: Subject = loo.subject
        self.sizes = {size for model in self.subject.models if (size := getattr(model.config, "block_size", None)) is not None}
        self.most = min(self.sizes, default=None)
        self.seen, self.unexplained = 0, 0

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate what scoring sequences costs, in any unit ``(sequences,)``; see :meth:`LeaveOneOut.cost`.

        Parameters
        ----------
        lengths : numpy.ndarray
            Tokens of each sequence ``(sequences,)``.
        """
        return self.loo.cost(lengths)

    def launch(self, sequence: Encoded, using: Sequence[int]) -> Callable[[], Iterator[tuple[Sites, Contrast]]]:
        """Score a sequence with some of the models.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        using : sequence of int
            Numbers of the models.

        Returns
        -------
        callable
            Gives the scores for one explained position after the other, from left to right.

        Raises
        ------
        RnalmError
            If the sequence does not fit the models, or into a GPU's memory.
        """
        own = np.arange(len(sequence.input_ids))[:, None] + [0, 1]
        sequence = replace(sequence, offsets=own if sequence.offsets is None else sequence.offsets)
        return lambda: self._explain(sequence, list(using))

    def omitted(self) -> Iterator[str]:
        """Say of how many sequences nothing was explained."""
        if self.unexplained:
            yield f"{self.unexplained} of {self.seen} sequences have no position to explain (interpret.explain_at)"

    def _explain(self, sequence: Encoded, using: list[int]) -> Iterator[tuple[Sites, Contrast]]:
        length = len(sequence.input_ids)
        if len(self.sizes) > 1 and length > min(self.sizes):
            shown = " and ".join(map(str, sorted(self.sizes)))
            problem = f"sequence {sequence.id!r} has {length} tokens, and the models read windows of {shown}"
            raise RnalmError(f"encode.block_size: {problem}; expected models of one size to explain it")
        positions = self._positions(sequence, using)
        self.seen += 1
        self.unexplained += not len(positions)
        for window in divide(length, self.most or max(1, length)):
            inside = positions[(positions >= window.first) & (positions < window.after)]
            if len(inside):
                yield from self._contrasts(cut(sequence, window), inside - window.start, window.start, using)

    def _positions(self, sequence: Encoded, using: list[int]) -> np.ndarray:
        """Choose the positions that are explained, ascending."""
        length = len(sequence.input_ids)
        if self.where == "all" or not length:
            return np.arange(length)
        if self.where == "labels":
            return self._labelled(sequence)
        if self.where != "sites":
            return np.unique([position for position in self.where if int(position) < length]).astype(np.int64)
        known = np.flatnonzero(begins(self.spell(sequence.input_ids), self.motif))
        return known[[self._likely(sequence, using)[known].argmax()]] if len(known) else known

    def _labelled(self, sequence: Encoded) -> np.ndarray:
        label = sequence.label
        if not isinstance(label, np.ndarray):
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(~np.isnan(label) if self.site is None else self.subject.labels[0].truth(label, self.site) == 1)

    def _likely(self, sequence: Encoded, using: list[int]) -> np.ndarray:
        """Predict every position: the mean over the models ``(length,)``."""
        output = 0 if self.site is None else self.subject.labels[0].classes.index(self.site)
        subject = self.subject.by(using)
        given = zip(subject.models, subject.labels, strict=True)
        return np.mean([labels.to_scores(predict(model, [sequence])[0])[:, output] for model, labels in given], axis=0)

    def _contrasts(self, part: Encoded, at: np.ndarray, begin: int, using: list[int]) -> Iterator[tuple[Sites, Contrast]]:
        """Score the tokens of a window, which begins somewhere, for positions of it."""
        changes, subject = self.loo.editor.perturbations(part), self.subject.by(using)
        if not self.loo.measured:
            self.loo.log_error(part, changes, using[0], at)
        scorers, none = [self.loo.scorers[number] for number in using], changes.edits[:0]
        base = [scorer.launch(part, none, at)()[-1] for scorer in scorers]  # (positions, outputs) of each model
        told = [subject.predicted([raw[place] for raw in base]) for place in range(len(at))]
        chosen = np.array([outputs for _, outputs, _ in told])  # (positions, explained outputs)
        scores = np.take_along_axis(subject.scores(base), chosen[None], axis=2)  # (models, positions, explained outputs)
        differences = _array((len(scorers), len(changes.edits), *chosen.shape))
        size = max(1, MOST_OUTPUTS // (len(base) * base[0].size))
        for first in range(0, len(changes.edits), size):
            some = changes.edits[first : first + size]
            perturbed = subject.scores([scorer.launch(part, some, at)()[:-1] for scorer in scorers])
            differences[:, first : first + size] = np.take_along_axis(perturbed, chosen[None, None], axis=3) - scores[:, None]
        for place, (pred, _, classes) in enumerate(told):
            average, each = scores[:, place].mean(axis=0).tolist(), differences[:, :, place].astype(np.float64)
            yield changes.sites, Contrast(pred, classes, average, each, begin + int(at[place]))


def _array(shape: tuple[int, ...]) -> np.ndarray:
    """Make an array of float32, in a file that is gone with it where it is large."""
    if np.prod(shape) <= MOST_SCORES:
        return np.empty(shape, dtype=np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
