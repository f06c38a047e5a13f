"""What is explained: some outputs of models, and what sites of a sequence change in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedModel

from rnalm.labels.labels import Labels
from rnalm.scoring.check import class_index, named_classes


@dataclass(frozen=True)
class Contrast:
    """What sites change in the prediction for one sequence.

    Attributes
    ----------
    pred : float, str or list of float
        Prediction for the sequence, by the mean over the models; of several targets, that of each explained output.
    classes : list of str
        Names of the explained outputs; one empty name for a regression of one target.
    base : list of float
        Mean score of the sequence, or of what it is compared with, for each explained output.
    difference : numpy.ndarray
        Score of each perturbation minus that of the sequence, or what a token adds ``(models, sites, explained outputs)``.
    token : int or None
        The token whose prediction it is; None: that of the sequence.
    """

    pred: float | str | list[float]
    classes: list[str]
    base: list[float]
    difference: np.ndarray
    token: int | None = None


@dataclass(frozen=True)
class Subject:
    """What is explained: some outputs of models of one architecture.

    Attributes
    ----------
    models : sequence of PreTrainedModel
        In evaluation mode; one with ``encode.reverse_complement: average`` gives what reports the mean over both strands.
    labels : sequence of Labels
        What the outputs of each model mean.
    explained : sequence of int or None
        Outputs to explain; None: the predicted class.
    scale : {'probability', 'logit'}
        What of a class is explained; regression is explained in the units of the labels.
    """

    models: Sequence[PreTrainedModel]
    labels: Sequence[Labels]
    explained: Sequence[int] | None
    scale: str

    def by(self, using: Sequence[int]) -> "Subject":
        """Explain by some of the models only.

        Parameters
        ----------
        using : sequence of int
            Numbers of these models.
        """
        models, labels = [self.models[number] for number in using], [self.labels[number] for number in using]
        return Subject(models, labels, self.explained, self.scale)

    def scores(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Turn outputs into what is explained.

        Parameters
        ----------
        outputs : sequence of numpy.ndarray
            Raw outputs of each model ``(…, outputs)``.

        Returns
        -------
        numpy.ndarray
            float64 ``(models, …, outputs)``
        """
        return np.stack([meaning.to_scores(raw, self.scale) for meaning, raw in zip(self.labels, outputs, strict=True)])

    def predicted(self, outputs: Sequence[np.ndarray]) -> tuple[float | str | list[float], list[int], list[str]]:
        """Give the prediction for a sequence, and the outputs to explain.

        Parameters
        ----------
        outputs : sequence of numpy.ndarray
            Raw outputs of each model for the sequence ``(outputs,)``.

        Returns
        -------
        pred : float, str or list of float
            The value or class that the models predict together, or of several targets the values of those that are explained.
        chosen : list of int
            Which outputs are explained.
        classes : list of str
            Their names; one empty name for a regression of one target.
        """
        # Predicted is what the mean probability says, as in the predictions, also where logits are explained.
        likely = np.mean([meaning.to_scores(raw) for meaning, raw in zip(self.labels, outputs, strict=True)], axis=0)
        best, meaning = int(likely.argmax()), self.labels[0]
        names, chosen = meaning.classes, [best] if self.explained is None else list(self.explained)
        if not names:
            return float(likely[0]), chosen, [""]
        pred = likely[chosen].tolist() if meaning.task == "regression" else names[best]
        return pred, chosen, [names[output] for output in chosen]

    def contrast(self, outputs: Sequence[np.ndarray]) -> Contrast:
        """Compare the outputs for perturbations with those for the sequence.

        Parameters
        ----------
        outputs : sequence of numpy.ndarray
            Raw outputs of each model for the perturbations and, last, for the sequence ``(edits + 1, outputs)``.
        """
        scores = self.scores(outputs)  # (models, edits + 1, outputs)
        base = scores[:, -1]  # (models, outputs)
        pred, chosen, classes = self.predicted([raw[-1] for raw in outputs])
        return Contrast(pred, classes, base.mean(axis=0)[chosen].tolist(), (scores[:, :-1] - base[:, None])[:, :, chosen])


def explained_classes(explain: str | Sequence[str] | None, labels: Labels) -> list[int] | None:
    """Say which outputs are explained: their numbers, or None for the predicted class.

    Parameters
    ----------
    explain : str, sequence of str or None
        ``predicted`` (as None), ``all``, the name of a class or target, or names of several; of several targets, of which none
        is the predicted one, None is all.
    labels : Labels
        What the outputs mean.

    Raises
    ------
    RnalmError
        If there is no such class.

    Examples
    --------
    >>> explained_classes("all", Labels("classification", classes=("early", "late")))
    [0, 1]
    """
    if labels.task == "regression" and not labels.several:
        return [0]
    if explain in (None, "predicted") and labels.task != "regression":
        return None
    if explain in (None, "predicted", "all"):
        return list(range(len(labels.classes)))
    return [class_index(name, labels.classes) for name in named_classes(explain)]


def averages_strands(model: PreTrainedModel) -> bool:
    """Whether a model's prediction is the mean over both strands.

    Parameters
    ----------
    model : PreTrainedModel
        Its configuration says so.
    """
    return getattr(model.config, "reverse_complement", "none") == "average"
