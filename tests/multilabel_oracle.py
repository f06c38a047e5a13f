"""What scikit-learn says of all rows at once, where each may be of any number of classes."""

import math

import numpy as np
from sklearn import metrics as sk

from rnalm.labels.labels import Labels


def each_label(targets: np.ndarray, probabilities: np.ndarray, labels: Labels) -> dict[str, dict[str, float]]:
    """Score each class by itself, over rows of which it is known."""
    found = {}
    for name, truth, own, limit in zip(labels.classes, targets.T, probabilities.T, labels.limits, strict=True):
        known = ~np.isnan(truth)
        truth, own = truth[known] == 1, own[known]
        areas = {"roc_auc": sk.roc_auc_score, "pr_auc": sk.average_precision_score}
        both = 0 < truth.sum() < len(truth)
        found[name] = {key: area(truth, own) if both else math.nan for key, area in areas.items()}
        found[name] |= {"f1": sk.f1_score(truth, own >= limit) if both else math.nan, "threshold": limit}
        found[name] |= {"positives": truth.sum(), "rows": len(truth)}
    return found


def multilabel(targets: np.ndarray, probabilities: np.ndarray, labels: Labels) -> dict[str, float]:
    """Average over classes, and score all known pairs of row and class together."""
    each = each_label(targets, probabilities, labels).values()
    known = ~np.isnan(targets)
    truth, own, told = targets[known] == 1, probabilities[known], (probabilities >= labels.limits)[known]
    both = 0 < truth.sum() < len(truth)

    def mean(name: str) -> float:
        values = [own[name] for own in each if not math.isnan(own[name])]
        return float(np.mean(values)) if values else math.nan

    return {
        "accuracy": np.mean(truth == told) if both else math.nan,
        "f1_macro": mean("f1"),
        "f1_micro": sk.f1_score(truth, told) if both else math.nan,
        "roc_auc": mean("roc_auc"),
        "pr_auc": mean("pr_auc"),
        "roc_auc_micro": sk.roc_auc_score(truth, own) if both else math.nan,
        "pr_auc_micro": sk.average_precision_score(truth, own) if both else math.nan,
    }
