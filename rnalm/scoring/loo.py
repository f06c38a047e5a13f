"""Leave one out: what perturbations of a sequence change in its prediction."""

import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from rnalm.scoring.editors import Editor, Perturbations
from rnalm.scoring.edits import Edits, surrounded
from rnalm.scoring.explain import Contrast, Subject
from rnalm.scoring.precision import EXACT, precision_error
from rnalm.scoring.scorers.choose import choose
from rnalm.scoring.sites import Sites
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.fill import margin

log = logging.getLogger(__name__)


class LeaveOneOut:
    """Scores the sites of sequences by perturbing them.

    Parameters
    ----------
    subject : Subject
        The models, and which of their outputs are explained.
    editor : Editor
        Lists the perturbations of a sequence.
    scorer : {'auto', 'naive', 'incremental'}
        How outputs for perturbed sequences are computed; see :func:`rnalm.scoring.scorers.choose.choose`.
    batch_tokens : int, optional
        Tokens, or changed positions, computed together, at most; None: as many as free memory allows.
    precision : {'float32', 'tf32', 'bf16'}
        In which to multiply; what a lower one costs is measured on the first sequence, and logged.

    Raises
    ------
    RnalmError
        If the models cannot be scored so on their device.
    """

    def __init__(
        self,
        subject: Subject,
        editor: Editor,
        scorer: str = "auto",
        batch_tokens: int | None = None,
        precision: str = EXACT,
    ) -> None:
        self.subject, self.editor, self.kind, self.batch_tokens = subject, editor, scorer, batch_tokens
        self.scorers = [choose(model, scorer, batch_tokens, precision) for model in subject.models]
        self.measured = precision == EXACT
        log.info("%s scorer for %s, in %s", self.scorers[0].name, subject.models[0].config.model_type, precision)

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate what scoring sequences costs, in any unit ``(sequences,)``.

        Parameters
        ----------
        lengths : numpy.ndarray
            Tokens of each sequence ``(sequences,)``.
        """
        return self.scorers[0].cost(lengths)

    def launch(self, sequence: Encoded, using: Sequence[int]) -> Callable[[], list[tuple[Sites, Contrast]]]:
        """Begin to score a sequence with some of the models.

        Parameters
        ----------
        sequence : Encoded
            The sequence, with its letters where these are edited.
        using : sequence of int
            Numbers of the models.

        Returns
        -------
        callable
            Waits for the scores.

        Raises
        ------
        RnalmError
            If the sequence has more modifiers than the models have channels for, or does not fit into a GPU's memory.
        """
        changes = self.editor.perturbations(sequence)
        if not self.measured:
            self.log_error(sequence, changes, using[0])
        pending = [self.begin(number, sequence, changes) for number in using]
        return lambda: [(changes.sites, self.subject.by(using).contrast([wait() for wait in pending]))]

    def omitted(self) -> Iterable[str]:
        """Say of which sequences something was left out: of none."""
        return ()

    def log_error(self, sequence: Encoded, changes: Perturbations, number: int, at: np.ndarray | None = None) -> None:
        """Log once what a lower precision costs.

        Parameters
        ----------
        sequence : Encoded
            On which it is measured.
        changes : Perturbations
            Of the sequence.
        number : int
            Of the model.
        at : numpy.ndarray, optional
            Of a model with outputs for tokens: the explained positions ``(positions,)``.
        """
        self.measured, scorer = True, self.scorers[number]
        exact = choose(self.subject.models[number], self.kind, self.batch_tokens)
        error, spread = precision_error(exact, scorer, *self._filled(number, sequence, changes.edits), at)
        log.warning(
            "interpret.precision %s: in sequence %r edits change the model's outputs with a standard deviation of %.2g; "
            "%s errs in these changes by up to %.2g",
            *(scorer.precision, sequence.id, spread, scorer.precision, error),
        )

    def begin(self, number: int, sequence: Encoded, changes: Perturbations) -> Callable[[], np.ndarray]:
        """Begin to score perturbations by a model, averaged over both strands if those of the other one are listed.

        Parameters
        ----------
        number : int
            Of the model.
        sequence : Encoded
            The sequence, with both strands where both are scored.
        changes : Perturbations
            Of the sequence.

        Returns
        -------
        callable
            Waits for the outputs of the perturbations and, last, of the sequence ``(edits + 1, outputs)``.
        """
        scorer, labels = self.scorers[number], self.subject.labels[number]
        own = scorer.launch(*self._filled(number, sequence, changes.edits))
        if changes.twin is None:
            return own
        other = scorer.launch(*self._filled(number, sequence.twin(), changes.twin, twin=True))
        return lambda: labels.average([own(), other()])

    def _filled(self, number: int, sequence: Encoded, edits: Edits, twin: bool = False) -> tuple[Encoded, Edits]:
        """Fill a sequence up that is too short for a network of one length, as in prediction; what fills up is not edited."""
        config = self.subject.models[number].config
        left, right = margin(len(sequence.input_ids), getattr(config, "length", None))
        return surrounded(sequence, edits, (right, left) if twin else (left, right), getattr(config, "unknown", 0))
