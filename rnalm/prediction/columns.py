"""What the columns of predictions are called."""

from collections.abc import Sequence

from rnalm.labels.labels import Labels


def score_columns(labels: Labels, model: int | None = None) -> list[str]:
    """Name the columns of predictions that hold the score of each output, by all models together or by one of them.

    The number of a model stands behind a dot, or behind more where the names of classes end in dots and numbers themselves.

    Parameters
    ----------
    labels : Labels
        What the outputs of the models mean.
    model : int, optional
        Number of the model; None: all together.

    Examples
    --------
    >>> score_columns(Labels("regression"))
    ['pred']
    >>> score_columns(Labels("classification", classes=("decays", "stays")), model=2)
    ['prob_decays.2', 'prob_stays.2']
    """
    kind = "pred" if labels.task == "regression" else "prob"
    names = [f"{kind}_{name}" for name in labels.classes] or ["pred"]
    dots, rests = ".", _rests(labels.classes)
    while any(rest.startswith(dots) and rest.removeprefix(dots).isdigit() for rest in rests):
        dots += "."
    return names if model is None else [f"{name}{dots}{model}" for name in names]


def label_columns(labels: Labels) -> list[str]:
    """Name the columns that tell which of several classes a row has, or the numbers of its targets; others have none.

    Parameters
    ----------
    labels : Labels
        What the outputs of the models mean.
    """
    return [f"label_{name}" for name in labels.classes] if labels.several else []


def spread_columns(labels: Labels) -> list[str]:
    """Name the columns that hold the standard deviation over models of each score: they end in ``_sd``, or more underscores.

    Parameters
    ----------
    labels : Labels
        What the outputs of the models mean.
    """
    end = "_sd"
    while end in _rests(labels.classes):
        end = f"_{end}"
    return [f"{name}{end}" for name in score_columns(labels)]


def _rests(classes: Sequence[str]) -> set[str]:
    """List what names of classes have more than others with which they begin."""
    return {longer.removeprefix(name) for name in classes for longer in classes if longer != name and longer.startswith(name)}
