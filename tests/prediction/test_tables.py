import numpy as np
import pandas as pd
import pytest

from rnalm.labels.labels import Labels
from rnalm.prediction import evaluate, tables


def test_rank_deltas_pair_each_rows_own_label_and_prediction():
    frame = pd.DataFrame({"id": list("abcd"), "label": [30.0, 10.0, 40.0, 20.0], "pred": [0.1, 0.4, 0.3, 0.2]})
    ranks = tables.rank_deltas(frame)
    assert ranks[["seqs", "label_rank", "pred_rank", "rank_delta"]].values.tolist() == [
        ["a", 3, 1, 2],
        ["b", 1, 4, -3],
        ["c", 4, 3, 1],
        ["d", 2, 2, 0],
    ]


def test_ties_share_the_mean_rank_and_rows_without_a_label_have_none():
    frame = pd.DataFrame({"id": list("abcd"), "label": [1.0, np.nan, 1.0, 2.0], "pred": [3.0, 9.0, 1.0, 1.0]})
    ranks = tables.rank_deltas(frame)
    assert ranks["seqs"].tolist() == ["a", "c", "d"]
    assert ranks["label_rank"].tolist() == [1.5, 1.5, 3]
    assert ranks["pred_rank"].tolist() == [3, 1.5, 1.5]


def test_a_script_for_the_old_tables_of_predictions_reads_ours():
    labels = Labels("classification", classes=("a", "b"))
    frame = evaluate.describe(labels, ["s1"], np.array(["b"], dtype=object), np.array([[0.25, 0.75]]))
    assert list(tables.predictions(frame).columns) == ["sequence", "label", "prediction", "prob_a", "prob_b"]
    assert tables.predictions(frame)[["sequence", "label", "prediction"]].values.tolist() == [["s1", "b", "b"]]


def test_a_script_for_the_old_tables_of_ranks_reads_ours():
    ranks = tables.rank_deltas(pd.DataFrame({"id": ["s1", "s2"], "label": [7.5, 2.5], "pred": [3.0, 4.0]}))
    assert list(ranks.columns) == ["seqs", "label", "label_rank", "pred", "pred_rank", "rank_delta"]
    assert (ranks["label_rank"] - ranks["pred_rank"]).tolist() == ranks["rank_delta"].tolist() == [1, -1]


def test_a_script_for_the_old_classification_report_reads_ours():
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0]])
    report = tables.classification_report(np.array([0, 1, 1]), probabilities, ("a", "b", "c"))
    assert list(report.columns) == ["precision", "recall", "f1-score", "support"]
    assert list(report.index) == ["a", "b", "c", "accuracy", "macro avg", "weighted avg"]
    assert report.loc["b"].tolist() == pytest.approx([1, 0.5, 2 / 3, 2])
    assert report.loc["c"].tolist() == [0, 0, 0, 0]
    assert report.loc["accuracy"].tolist() == pytest.approx([2 / 3] * 4)
