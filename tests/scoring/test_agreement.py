"""Scores of two experiments are correlated over the tokens that both have."""

import numpy as np
import pandas as pd
import pytest

from rnalm.scoring.agreement import agreement


def write(path, scores: dict[str, list[tuple[int, float]]]):
    """Write scores of single tokens: for each sequence, positions and scores."""
    rows = [(name, "a", place, place + 1, loo) for name, own in scores.items() for place, loo in own]
    pd.DataFrame(rows, columns=["sequence", "token", "start_offset", "end_offset", "loo"]).to_parquet(path)
    return path


def test_correlations_are_over_the_tokens_in_common_whatever_the_order(tmp_path):
    random = np.random.default_rng(0)
    values = random.standard_normal((2, 8))
    first = write(
        tmp_path / "a.parquet",
        {
            "x": list(enumerate(values[0])),
            "alone": [(0, 1.0)],
            "flat": [(k, 1.0) for k in range(5)],
            "few": [(0, 1.0), (1, 2.0)],
        },
    )
    others = {"few": [(0, 1.0), (1, 3.0)], "flat": [(k, float(k)) for k in range(5)], "x": list(enumerate(values[1]))[7:1:-1]}
    found = agreement(first, write(tmp_path / "b.parquet", others)).set_index("sequence")
    assert set(found.index) == {"x", "flat", "few"}
    assert found.loc["x", "scores"] == 6
    assert found.loc["x", "pearson"] == pytest.approx(np.corrcoef(values[:, 2:])[0, 1])
    ranks = values[:, 2:].argsort(axis=1).argsort(axis=1)
    assert found.loc["x", "spearman"] == pytest.approx(np.corrcoef(ranks)[0, 1])
    assert found.loc[["flat", "few"], "pearson"].isna().all()
