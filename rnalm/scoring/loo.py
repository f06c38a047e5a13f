"""Leave one out: what perturbations of a sequence change in its prediction."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from transformers import PreTrainedModel

from rnalm.scoring.editors import Editor, Perturbations, Sites
from rnalm.scoring.precision import precision_error
from rnalm.scoring.scorers.base import Scorer
from rnalm.scoring.scorers.choose import choose
from rnalm.scoring.table import Contrast, Subject, contrast
from rnalm.tokens.dataset import Encoded

log = logging.getLogger(__name__)


class LeaveOneOut:
    """Scores the sites of sequences by perturbing them.

    Parameters
    ----------
    subject : Subject
    editor : Editor
    scorer, batch_tokens, precision
        See :func:`rnalm.scoring.scorers.choose.choose`.
    """

    def __init__(
        self,
        subject: Subject,
        editor: Editor,
        scorer: str = "auto",
        batch_tokens: int | None = None,
        precision: str = "float32",
    ) -> None:
        self.subject, self.editor = subject, editor
        self.scorers = [choose(model, scorer, batch_tokens, precision) for model in subject.models]
        self.exact = None if precision == "float32" else lambda model: choose(model, scorer, batch_tokens)
        log.info("%s scorer for %s, in %s", self.scorers[0].name, subject.models[0].config.model_type, precision)

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate what scoring sequences costs, in any unit ``(sequences,)``."""
        return self.scorers[0].cost(lengths)

    def launch(self, sequence: Encoded, using: Sequence[int]) -> Callable[[], tuple[Sites, Contrast]]:
        """Begin to score a sequence with some of the models.

        Returns
        -------
        callable
            Waits for the scores.
        """
        changes = self.editor.perturbations(sequence)
        if self.exact is not None:
            self._log_error(sequence, changes, using[0])
        subject, labels = self.subject, [self.subject.labels[number] for number in using]
        pending = [launch(self.scorers[number], sequence, changes, averages(subject.models[number])) for number in using]
        return lambda: (changes.sites, contrast([wait() for wait in pending], labels, subject.explained, subject.scale))

    def _log_error(self, sequence: Encoded, changes: Perturbations, number: int) -> None:
        """Log once what a lower precision costs."""
        scorer, exact, self.exact = self.scorers[number], self.exact(self.subject.models[number]), None
        error, spread = precision_error(exact, scorer, sequence, changes.edits)
        log.warning(
            "interpret.precision %s: in sequence %r edits change the model's outputs with a standard deviation of %.2g; "
            "%s errs in these changes by up to %.2g",
            *(scorer.precision, sequence.id, spread, scorer.precision, error),
        )


def averages(model: PreTrainedModel) -> bool:
    """Whether a model's prediction is the mean over both strands."""
    return getattr(model.config, "reverse_complement", "none") == "average"


def launch(scorer: Scorer, sequence: Encoded, changes: Perturbations, both_strands: bool) -> Callable[[], np.ndarray]:
    """Begin to score perturbations, on both strands if so wanted; see :meth:`rnalm.scoring.scorers.base.Scorer.launch`."""
    own = scorer.launch(sequence, changes.edits)
    if not both_strands:
        return own
    other = scorer.launch(sequence.twin(), changes.twin)
    return lambda: (own() + other()) / 2
