"""Integrated gradients: what each token adds to the prediction, on the way from a baseline (Sundararajan et al., ICML 2017).

The baseline of a sequence has the same length and the same frame around it, and each of its tokens is ``[PAD]``, without
modifiers: zeros in a one-hot input. What tokens add sums to the score of the sequence minus that of its baseline.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from rnalm.compute import SHARE, allocating, fitting, free_memory, multiplying, without_cudnn
from rnalm.errors import RnalmError
from rnalm.labels.labels import Labels
from rnalm.models.wide import is_wide
from rnalm.prediction.predict import too_long
from rnalm.scoring.check import check_strands
from rnalm.scoring.explain import Contrast, Subject, averages_strands
from rnalm.scoring.interpolate import Interpolation
from rnalm.scoring.precision import EXACT
from rnalm.scoring.sites import Sites, token_names, token_sites
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenizer import special_ids

log = logging.getLogger(__name__)

#: Tokens in one pass forward and back, at most: all that the layers put out is kept until the way back.
MOST_TOKENS = {"cpu": 2**13, "cuda": 2**16}

#: Up to here, in parts of the way, half of the steps are taken: behind normalization most changes are near the baseline.
BEND = 0.1

#: What tokens add may sum to something else than is due by this share of it, before more steps are taken.
TOLERANCE = 0.1

#: By what share of all that tokens add, up or down, their sum is off for other reasons than steps: each precision's own.
NOISE = {"float32": 1e-3, "tf32": 1e-2, "bf16": 3e-2}

#: Where sums are off, so many times as many steps are taken, again and again, up to :data:`MOST_STEPS`.
MORE = 4
MOST_STEPS = 1000


class IntegratedGradients:
    """Attributes predictions to tokens.

    Parameters
    ----------
    subject : Subject
        The models, and which of their outputs are explained.
    tokenizer : tokenizers.Tokenizer
        Names tokens, and says which of them is ``[PAD]``.
    steps : int
        Steps on the way from the baseline, which Gauss-Legendre quadrature places in two parts. Where what tokens add does not
        sum to what is due, more are taken.
    batch_tokens : int, optional
        Tokens in one pass, at most; None: a power of two that free memory allows.
    precision : {'float32', 'tf32', 'bf16'}
        In which to multiply.

    Raises
    ------
    RnalmError
        If both strands are to be explained and tokens are longer than a letter, or a model has a linear part.
    """

    def __init__(
        self,
        subject: Subject,
        tokenizer: Tokenizer,
        steps: int,
        batch_tokens: int | None = None,
        precision: str = EXACT,
    ) -> None:
        if any(map(is_wide, subject.models)):
            raise RnalmError(
                "interpret.method: integrated_gradients: the models count runs of letters (model.wide), and counts have no "
                "gradient; expected loo"
            )
        if any(map(averages_strands, subject.models)):
            check_strands("interpret.method: integrated_gradients", "method: loo and level: base", tokenizer)
        self.subject, self.steps, self.batch_tokens, self.precision = subject, steps, batch_tokens, precision
        self.names, self.pad = token_names(tokenizer), special_ids(tokenizer)["pad"]
        self.memory = SHARE * free_memory(subject.models[0].device)
        for model in subject.models:
            model.requires_grad_(False)  # of the weights; only inputs need one
        log.info("integrated gradients of %s in %d steps, in %s", subject.models[0].config.model_type, steps, precision)

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate what explaining sequences costs, in any unit ``(sequences,)``.

        Parameters
        ----------
        lengths : numpy.ndarray
            Tokens of each sequence ``(sequences,)``.
        """
        return lengths.astype(np.float64)

    def omitted(self) -> Iterable[str]:
        """Say of which sequences something was left out: of none."""
        return ()

    def launch(self, sequence: Encoded, using: Sequence[int]) -> Callable[[], list[tuple[Sites, Contrast]]]:
        """Explain a sequence with some of the models.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        using : sequence of int
            Numbers of the models.

        Returns
        -------
        callable
            Gives what each token adds; ``base`` is the score of the baseline.

        Raises
        ------
        RnalmError
            If the sequence does not fit into a GPU's memory.
        """
        subject = self.subject.by(using)
        try:
            with allocating(), multiplying(self.precision), _differentiable(subject.models[0]):
                ways = [
                    Interpolation(model, sequence, self.pad, self.precision, labels)
                    for model, labels in zip(subject.models, subject.labels, strict=True)
                ]
                outputs = [way.outputs(*way.values).cpu().numpy()[0] for way in ways]
                pred, chosen, classes = subject.predicted(outputs)
                added = [
                    self._explain(way, meaning, chosen, sequence) for way, meaning in zip(ways, subject.labels, strict=True)
                ]
        except torch.OutOfMemoryError:
            raise too_long(sequence) from None
        base = np.mean([base for _, base in added], axis=0).tolist()
        contrast = Contrast(pred, classes, base, np.stack([each for each, _ in added]))
        return lambda: [(token_sites(sequence, self.names), contrast)]

    def _explain(
        self, way: Interpolation, labels: Labels, chosen: list[int], sequence: Encoded
    ) -> tuple[np.ndarray, np.ndarray]:
        """Attribute the outputs of one model: ``(tokens, chosen)``, and the scores of the baseline ``(chosen,)``."""
        from captum.attr import IntegratedGradients as Integral

        with torch.no_grad():
            base, score = (
                labels.to_scores(way.outputs(*values), self.subject.scale)[0].cpu().numpy()[chosen]
                for values in (way.baselines, way.values)
            )
        added = np.zeros((len(way.places[0]), len(chosen)))
        for column, output in enumerate(chosen):
            integral = Integral(
                lambda *values, output=output: labels.to_scores(way.outputs(*values), self.subject.scale)[:, output]
            )
            added[:, column] = self._attribute(integral, way, score[column] - base[column], sequence)
        return added, base

    def _attribute(self, integral: Any, way: Interpolation, due: float, sequence: Encoded) -> np.ndarray:
        """Integrate over the whole way, in more steps where the sum is not what is due: ``(tokens,)``."""
        steps = self.steps
        while True:
            halves = (0, BEND, steps // 2), (BEND, 1, -(-steps // 2))
            added = sum((self._integrate(integral, way, *half) for half in halves), np.zeros(len(way.places[0])))
            wrong = abs(added.sum() - due) - max(TOLERANCE * abs(due), NOISE[self.precision] * np.abs(added).sum())
            if wrong <= 0:
                return added
            if steps >= MOST_STEPS:
                log.warning(
                    "in sequence %r what tokens add sums to %.3g, expected %.3g, in %d steps; look at its scores with care",
                    *(sequence.id, added.sum(), due, steps),
                )
                return added
            steps = min(MORE * steps, MOST_STEPS)

    def _integrate(self, integral: Any, way: Interpolation, start: float, end: float, steps: int) -> np.ndarray:
        """Integrate over a part of the way, so many steps at a time as fit into memory: ``(tokens,)``."""
        rows = self._rows(way)
        while True:
            try:
                with allocating():
                    part = integral.attribute(way.at(end), way.at(start), n_steps=steps, internal_batch_size=rows)
                    return way.by_token(part)
            except torch.OutOfMemoryError:
                if rows == 1:
                    raise
                rows = min(rows, steps) // 2 or 1
                log.warning("out of memory; going on with %d steps at a time", rows)

    def _rows(self, way: Interpolation) -> int:
        """Choose how many steps go together."""
        tokens = self.batch_tokens or MOST_TOKENS[way.model.device.type]
        if not self.batch_tokens and tokens * way.bytes > self.memory:
            tokens = fitting(tokens, way.bytes, self.memory, "tokens")
        return max(1, tokens // way.length)


@contextmanager
def _differentiable(model: PreTrainedModel) -> Iterator[None]:
    """Do without cuDNN where a model is recurrent: it has gradients of that in training mode only."""
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    with without_cudnn() if recurrent else nullcontext():
        yield
