"""What computes the scores of each mode: the one registry of methods of interpretation."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from tokenizers import Tokenizer

from rnalm.config import Encode
from rnalm.models.framed import limit
from rnalm.prediction.tracks import speller
from rnalm.scoring import editors
from rnalm.scoring.alphabet import alphabet
from rnalm.scoring.check import check_mutation
from rnalm.scoring.explain import Contrast, Subject, averages_strands
from rnalm.scoring.gradients import IntegratedGradients
from rnalm.scoring.job import Job
from rnalm.scoring.loo import LeaveOneOut
from rnalm.scoring.mutagenesis import Mutagenesis, Mutator, named_rows, read_regions
from rnalm.scoring.positions import AtPositions
from rnalm.scoring.sites import Sites
from rnalm.tokens import encode
from rnalm.tokens.dataset import Encoded


class Method(Protocol):
    """Computes the scores of sequences, one by one; see :class:`rnalm.scoring.loo.LeaveOneOut`."""

    #: The models, and which of their outputs are explained.
    subject: Subject

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate what scoring sequences costs, in any unit ``(sequences,)``.

        Parameters
        ----------
        lengths : numpy.ndarray
            Tokens of each sequence ``(sequences,)``.
        """
        ...

    def omitted(self) -> Iterable[str]:
        """Say in sentences of which sequences something was left out so far; each is logged at the end of a shard."""
        ...

    def launch(self, sequence: Encoded, using: Sequence[int]) -> Callable[[], Iterable[tuple[Sites, Contrast]]]:
        """Begin to score a sequence; what is returned waits for the scores, one set for each prediction that is explained.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        using : sequence of int
            Numbers of the models that score it.
        """
        ...


def _leave_one_out(job: Job, subject: Subject, tokenizer: Tokenizer) -> LeaveOneOut | AtPositions:
    """Prepare perturbations of the job's mode."""
    return _perturbing(job, subject, tokenizer, _editor(job, subject, tokenizer))


def _mutagenesis(job: Job, subject: Subject, tokenizer: Tokenizer) -> Mutagenesis:
    """Prepare exchanges of letters in regions."""
    options = job.mutation
    check_mutation(options, job.level, subject.labels[0].per, _averages(subject), tokenizer)
    regions = read_regions(options)
    named = None if regions is None else named_rows(job.encoded, regions, options)
    mutator = Mutator(_editor(job, subject, tokenizer), options, regions)
    return Mutagenesis(_perturbing(job, subject, tokenizer, mutator), mutator, named)


def _averages(subject: Subject) -> bool:
    """Whether predictions are the mean over both strands."""
    return any(map(averages_strands, subject.models))


def _editor(job: Job, subject: Subject, tokenizer: Tokenizer) -> editors.Editor:
    """Make what lists the perturbations of the job's mode."""
    stored, both_strands = encode.metadata(job.encoded), _averages(subject)
    mutated = job.mode == "mutate"
    return editors.choose(
        job.mode,
        job.level,
        tokenizer,
        Encode(**{key: stored[key] for key in Encode.model_fields}),
        job.replacements,
        job.replace_modifiers,
        both_strands=both_strands,
        most=min((most for model in subject.models if (most := limit(model.config)) is not None), default=None),
        letters=alphabet(job.mutation.letters, tokenizer, job.level, both_strands) if mutated else (),
    )


def _perturbing(job: Job, subject: Subject, tokenizer: Tokenizer, editor: editors.Editor) -> LeaveOneOut | AtPositions:
    """Prepare to score perturbations by what they change in predictions for sequences, or for tokens."""
    loo = LeaveOneOut(subject, editor, job.scorer, job.batch_tokens, job.precision)
    if subject.labels[0].per == "sequence":
        return loo
    site, motif = job.site_of(subject.labels[0]), (job.sites or {}).get("motif")
    return AtPositions(loo, speller(tokenizer), job.explain_at, site, motif)


def _integrated_gradients(job: Job, subject: Subject, tokenizer: Tokenizer) -> IntegratedGradients:
    """Prepare integrals from a baseline."""
    return IntegratedGradients(subject, tokenizer, job.steps, job.batch_tokens, job.precision)


#: By mode, as the configuration and names of files have it: from a job, what is explained, and the models' tokenizer to what
#: computes the scores. :data:`rnalm.report.modes.MODES` has the words for each.
MODES: dict[str, Callable[[Job, Subject, Tokenizer], Method]] = {
    "remove": _leave_one_out,
    "mask": _leave_one_out,
    "replace": _leave_one_out,
    "mutate": _mutagenesis,
    "integrated_gradients": _integrated_gradients,
}
