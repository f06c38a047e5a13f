"""Labels as the model sees them: scaled numbers or class indices, and back."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from rnalm.errors import RnalmError, nearest
from rnalm.files import read_json, write_json
from rnalm.labels.scaling import UNSCALED, Numbers, Scaler
from rnalm.tokens.dataset import UNKNOWN


@dataclass(frozen=True)
class Labels:
    """What the outputs of a model mean; stored with it as ``labels.json``.

    Attributes
    ----------
    task : {'regression', 'classification', 'multilabel'}
        Whether there is one output, a scaled number, or a logit for each class, of which one is right, or any number.
    scaler : Scaler
        For regression: how numbers were scaled.
    classes : tuple of str
        The names, sorted or, for multilabel, as their columns stand; a name's position is its index. For regression those of
        several targets; of one, none.
    per : {'sequence', 'token'}
        What has a label, and an output.
    thresholds : tuple of float
        For multilabel: the probability from which on each class is told, from validation rows; empty: 0.5 for all.
    """

    task: str
    scaler: Scaler = UNSCALED
    classes: tuple[str, ...] = ()
    per: str = "sequence"
    thresholds: tuple[float, ...] = ()

    @property
    def n_outputs(self) -> int:
        """Number of outputs of a model."""
        return len(self.classes) or 1

    @property
    def several(self) -> bool:
        """Whether a row has several labels: of classes, of which any may be right, or of targets."""
        return self.task == "multilabel" or (self.task == "regression" and bool(self.classes))

    @property
    def limits(self) -> np.ndarray:
        """The probability from which on each class of multilabel is told: float64 ``(classes,)``."""
        return np.array(self.thresholds or [0.5] * self.n_outputs)

    @property
    def measured(self) -> list[int]:
        """Numbers of the outputs that tell all: of two classes of which one is right, that of the second."""
        return [1] if self.task == "classification" and len(self.classes) == 2 else list(range(self.n_outputs))

    def truth(self, label: np.ndarray, name: str) -> np.ndarray:
        """Say of each token whether it is of a class.

        Parameters
        ----------
        label : numpy.ndarray
            Labels of tokens, as they were encoded: names ``(length,)``, or for multilabel ``(length, classes)``.
        name : str
            The class.

        Returns
        -------
        numpy.ndarray
            float32 1, 0 or, where it is not known, NaN ``(length,)``.
        """
        if self.task == "multilabel":
            return label[:, self.classes.index(name)]
        return np.where(label == "", np.nan, label == name).astype(np.float32)

    def to_targets(self, labels: np.ndarray) -> np.ndarray:
        """Turn labels into what a model is trained on.

        Parameters
        ----------
        labels : numpy.ndarray
            Numbers, or names of classes ``(rows,)``; NaN or an empty name where a token's is not known. Of several targets
            numbers, for multilabel 1 or 0, or NaN, ``(rows, classes)``, of sequences or of tokens.

        Returns
        -------
        numpy.ndarray
            float32 scaled numbers, or int64 class indices ``(rows,)``; NaN or
            :data:`rnalm.tokens.dataset.UNKNOWN` where a label is not known.

        Raises
        ------
        RnalmError
            If a class is none that the model knows.
        """
        if self.task == "regression":
            return self.scaler.transform(labels.astype(np.float64)).astype(np.float32)
        if self.task == "multilabel":
            return labels.astype(np.float32)
        targets = np.full(len(labels), UNKNOWN, dtype=np.int64)
        for index, name in enumerate(self.classes):
            targets[labels == name] = index
        for name in labels[(targets == UNKNOWN) & (labels != "")][:1]:
            raise RnalmError(f"class {str(name)!r} is not among the classes of the model; {nearest(name, self.classes)}")
        return targets

    def to_scores(self, outputs: Numbers, scale: str = "probability") -> Numbers:
        """Turn a model's outputs into what is reported and explained: label units, probabilities or logits.

        Parameters
        ----------
        outputs : numpy.ndarray or Tensor
            ``(..., outputs)``
        scale : {'probability', 'logit'}
            What is wanted for classification.

        Returns
        -------
        numpy.ndarray or Tensor
            float64 ``(..., outputs)``, of the same kind; of a tensor with its gradient.

        Examples
        --------
        >>> labels = Labels("classification", classes=("cytosol", "nucleus"))
        >>> labels.to_scores(np.log([[1.0, 3.0]])).round(6).tolist()
        [[0.25, 0.75]]
        """
        outputs = outputs.astype(np.float64) if isinstance(outputs, np.ndarray) else outputs.double()
        if self.task == "regression":
            return self.scaler.inverse(outputs)
        if scale == "logit":
            return outputs
        return _sigmoid(outputs) if self.task == "multilabel" else _softmax(outputs)

    def average(self, outputs: Sequence[Numbers], weights: Sequence[float] | None = None) -> Numbers:
        """Give the outputs that report the mean of what several report, such as those for both strands.

        Averaged are label units and probabilities (DESIGN, section 5.14): the mean of logarithms or logits is that of another
        quantity.

        Parameters
        ----------
        outputs : sequence of numpy.ndarray or Tensor
            Each ``(..., outputs)``.
        weights : sequence of float, optional
            How much each counts, 1 in all; None: all the same.

        Returns
        -------
        numpy.ndarray or Tensor
            Of the same shape and kind as each.

        Examples
        --------
        >>> labels = Labels("regression", Scaler("log"))
        >>> np.exp(labels.average([np.log([2.0]), np.log([4.0])])).round(6).tolist()
        [3.0]
        """
        shares = [1 / len(outputs)] * len(outputs) if weights is None else weights
        if self.task == "regression" and self.scaler.method != "log":
            each = [share * own for share, own in zip(shares, outputs, strict=True)]
            return sum(each[1:], each[0])
        import torch

        logs = torch.stack([torch.as_tensor(each).double() for each in outputs])  # of labels, which are not scaled further
        counted = torch.tensor(shares, dtype=torch.float64, device=logs.device).view(-1, *[1] * (logs.dim() - 1))
        if self.task == "multilabel":
            mean = torch.logit((logs.sigmoid() * counted).sum(dim=0), eps=1e-15)
            return mean.numpy().astype(outputs[0].dtype) if isinstance(outputs[0], np.ndarray) else mean.to(outputs[0].dtype)
        if self.task == "classification":
            logs = logs.log_softmax(dim=-1)
        mean = (logs + counted.log()).logsumexp(dim=0)
        return mean.numpy().astype(outputs[0].dtype) if isinstance(outputs[0], np.ndarray) else mean.to(outputs[0].dtype)

    def written(self, label: float | str | np.ndarray | None) -> float | str | None:
        """Give a label as tables show it: of several classes the names of those that it has, of several targets their numbers.

        Parameters
        ----------
        label : float, str, numpy.ndarray or None
            As it was encoded; where none of several classes or targets is known, nothing is shown.

        Examples
        --------
        >>> Labels("regression", classes=("liver", "brain", "heart")).written(np.array([0.25, np.nan, 3.0]))
        '0.25;;3'
        >>> Labels("multilabel", classes=("cap", "exon", "tail")).written(np.array([1.0, np.nan, 1.0]))
        'cap;tail'
        """
        if not self.several or not isinstance(label, np.ndarray):
            return label  # pyright: ignore[reportReturnType]
        if np.isnan(label).all():
            return None
        if self.task == "regression":
            return ";".join("" if np.isnan(number) else f"{number:.15g}" for number in label)
        return ";".join(self.classes[number] for number in np.flatnonzero(label == 1))

    def save(self, path: str | Path) -> None:
        """Write ``labels.json``.

        Parameters
        ----------
        path : path
            The file.
        """
        content = asdict(self) | {"classes": list(self.classes), "thresholds": list(self.thresholds)}
        write_json(path, {key: value for key, value in content.items() if value or key != "thresholds"})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read ``labels.json``.

        Parameters
        ----------
        path : path
            The file.

        Raises
        ------
        RnalmError
            If there is no such file, or it holds something else.
        """
        content = read_json(path)
        try:
            scaler = Scaler.read(content["scaler"])
            given = tuple(content["classes"]), content.get("per", "sequence"), tuple(content.get("thresholds", ()))
            return cls(content["task"], scaler, *given)
        except (KeyError, TypeError) as error:
            raise RnalmError(f"{path}: not a labels file of rnalm ({error})") from None


def _sigmoid(logits: Numbers) -> Numbers:
    """Turn logits into probabilities, each by itself."""
    return 1 / (1 + np.exp(-np.clip(logits, -700, 700))) if isinstance(logits, np.ndarray) else logits.sigmoid()


def _softmax(logits: Numbers) -> Numbers:
    """Turn logits ``(..., classes)`` into probabilities, however large they are."""
    if not isinstance(logits, np.ndarray):
        return logits.softmax(dim=-1)
    exponential = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponential / exponential.sum(axis=-1, keepdims=True)


def fit(task: str, scaling: str, training: np.ndarray, classes: Sequence[str] = (), per: str = "sequence") -> Labels:
    """Fix what the outputs of a fold's model mean.

    Parameters
    ----------
    task : {'regression', 'classification'}
        What is learned.
    scaling : {'none', 'log', 'minmax', 'standard'}
        How numbers are scaled, for regression.
    training : numpy.ndarray
        Labels of the training rows ``(rows,)``, or of several targets ``(rows, targets)``; nothing else is looked at for
        regression, and they are not for classification.
    classes : sequence of str
        Names of all classes of the experiment, so that every fold's model has the same outputs; or of several targets.
    per : {'sequence', 'token'}
        What has a label.

    Raises
    ------
    RnalmError
        If there are fewer than two classes, or the labels do not vary, for ``minmax`` and ``standard``.

    Examples
    --------
    >>> fit("classification", "none", np.array([]), classes=["nucleus", "cytosol", "nucleus"]).classes
    ('cytosol', 'nucleus')
    """
    if task == "regression":
        training = training.astype(np.float64)
        scaler = Scaler.fit_each(scaling, training, classes) if classes else Scaler.fit(scaling, training)
        return Labels(task, scaler, tuple(classes), per)
    if task == "multilabel":
        return Labels(task, classes=tuple(classes), per=per)
    names = tuple(sorted(set(classes)))
    if len(names) < 2:
        raise RnalmError(f"classification needs at least 2 classes, found {len(names)}: {', '.join(names)}")
    return Labels(task, classes=names, per=per)


def check_same(labels: Sequence[Labels], model_folders: Sequence[str | Path]) -> None:
    """Refuse models whose outputs cannot be averaged.

    Parameters
    ----------
    labels : sequence of Labels
        What the outputs of each model mean.
    model_folders : sequence of path
        Where each model is, for the message.

    Raises
    ------
    RnalmError
        If a model has another task or other classes than the first one, or labels of something else.
    """
    for other, folder in zip(labels, model_folders, strict=True):
        if (other.task, other.classes, other.per) != (labels[0].task, labels[0].classes, labels[0].per):
            raise RnalmError(
                f"{folder}: predicts {_meaning(other)}, but {model_folders[0]} predicts {_meaning(labels[0])}; "
                "models can be combined only if they predict the same"
            )


def together(labels: Sequence[Labels]) -> Labels:
    """Say what the mean of what several models predict means: thresholds are the means of theirs.

    Parameters
    ----------
    labels : sequence of Labels
        Of models that predict the same (see :func:`check_same`).
    """
    if not any(own.thresholds for own in labels):
        return labels[0]
    return replace(labels[0], thresholds=tuple(np.mean([own.limits for own in labels], axis=0).tolist()))


def _meaning(labels: Labels) -> str:
    """Say what a model predicts."""
    kind = "targets" if labels.task == "regression" else "classes"
    what = f"the {kind} {', '.join(labels.classes)}" if labels.classes else "a number"
    return what if labels.per == "sequence" else f"{what} for each token"
