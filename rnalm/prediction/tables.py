"""Tables under the names that scripts read which were written for rna_saluki_cnn and biolm_utils; what is ours comes last."""

import numpy as np
import pandas as pd
from sklearn import metrics as sk

#: Columns of the table of predictions, and of ranks, and what they are called elsewhere here.
PREDICTED = {"id": "sequence", "label": "label", "pred": "prediction"}
RANKED = {"id": "seqs", "label": "label", "label_rank": "label_rank", "pred": "pred", "pred_rank": "pred_rank"}


def predictions(frame: pd.DataFrame) -> pd.DataFrame:
    """Name the columns of predictions as in ``test_predictions.csv``.

    Parameters
    ----------
    frame : pandas.DataFrame
        With ``id``, ``label``, ``pred`` and further columns, from :func:`rnalm.prediction.evaluate.describe`.

    Examples
    --------
    >>> predictions(pd.DataFrame({"id": ["a"], "label": [7.5], "pred": [3.0], "models": [2]}))
      sequence  label  prediction  models
    0        a    7.5         3.0       2
    """
    return frame.rename(columns=PREDICTED)


def rank_deltas(frame: pd.DataFrame, target: str | None = None) -> pd.DataFrame:
    """Compare the rank of each row's label with that of its prediction (1 = lowest, ties share the mean rank).

    Parameters
    ----------
    frame : pandas.DataFrame
        With ``label``, where rows without one are left out, ``pred``, and perhaps ``id``.
    target : str, optional
        Of several targets the one that these are of; it stands in a last column.

    Returns
    -------
    pandas.DataFrame
        As in ``rank_deltas.csv``: for each row ``seqs`` (its id, if there are ids), ``label``, ``label_rank``, ``pred``,
        ``pred_rank``, and ``rank_delta``, the first rank minus the second.

    Examples
    --------
    >>> rank_deltas(pd.DataFrame({"id": ["a", "b"], "label": [7.5, 2.5], "pred": [3.0, 4.0]}))
      seqs  label  label_rank  pred  pred_rank  rank_delta
    0    a    7.5         2.0   3.0        1.0         1.0
    1    b    2.5         1.0   4.0        2.0        -1.0
    """
    frame = frame.dropna(subset=["label"])
    ranks = frame.assign(label_rank=frame["label"].rank(), pred_rank=frame["pred"].rank())
    named = ranks[[name for name in RANKED if name in ranks]].rename(columns=RANKED)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    named = named.assign(rank_delta=ranks["label_rank"] - ranks["pred_rank"])
    return named if target is None else named.assign(target=target)


def label_report(each: dict[str, dict[str, float]]) -> pd.DataFrame:
    """Tabulate how well each of several classes is predicted.

    Parameters
    ----------
    each : dict
        From :meth:`rnalm.labels.tally.LabelTally.per_class`.

    Returns
    -------
    pandas.DataFrame
        As in ``classification_report.csv`` of multilabel: ``roc_auc``, ``pr_auc``, ``f1``, ``threshold``, ``positives`` and
        ``rows`` of each class, then the means of the first three as ``macro avg``.
    """
    frame = pd.DataFrame.from_dict(each, orient="index")
    mean = frame[[name for name in frame if name not in ("threshold", "positives", "rows")]].mean()
    return pd.concat([frame, mean.to_frame("macro avg").T])


def classification_report(targets: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Tabulate how well classes are told apart, as scikit-learn does.

    Parameters
    ----------
    targets : numpy.ndarray
        Class indices ``(rows,)``.
    probabilities : numpy.ndarray
        ``(rows, classes)``
    classes : tuple of str
        Their names.

    Returns
    -------
    pandas.DataFrame
        As in ``classification_report.csv``: ``precision``, ``recall``, ``f1-score`` and ``support`` (rows) of each class, then
        of ``accuracy``, which stands in all four, ``macro avg`` and ``weighted avg``. Without rows, no rows.

    Examples
    --------
    >>> report = classification_report(np.array([0, 1]), np.array([[0.75, 0.25], [0.5, 0.5]]), ("decays", "stays"))
    >>> report.loc["decays"].tolist(), report.index.tolist()
    ([0.5, 1.0, 0.6666666666666666, 1.0], ['decays', 'stays', 'accuracy', 'macro avg', 'weighted avg'])
    """
    if not len(targets):
        return pd.DataFrame(columns=["precision", "recall", "f1-score", "support"])
    options = {"labels": range(len(classes)), "target_names": classes, "zero_division": 0, "output_dict": True}
    return pd.DataFrame(sk.classification_report(targets, probabilities.argmax(axis=1), **options)).transpose()
