"""Where rows have any number of classes, each part gets its share of every class, in whole groups."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.model_selection import GroupKFold

from rnalm.config import Folds
from rnalm.labels import folds
from rnalm.labels.methods import TEST, TRAIN, VALIDATION
from rnalm.labels.stratify import positives, stratify


def drawn(seed: int, rows: int, rarity: list[float]) -> csr_array:
    draw = np.random.default_rng(seed)
    return csr_array((draw.random((rows, len(rarity))) < rarity).astype(np.int32))


@given(st.integers(0, 999), st.integers(10, 80), st.integers(2, 5), st.integers(1, 4))
def test_groups_stay_whole_and_the_rarest_class_is_everywhere(seed, rows, n, size):
    labels = drawn(seed, rows, [0.1, 0.3, 0.6])
    groups = np.arange(rows) // size
    part = stratify(labels, groups, np.full(n, 1 / n), np.random.default_rng(seed))
    assert len(part) == groups.max() + 1
    assert set(part) <= set(range(n))
    alone = stratify(labels, np.arange(rows), np.full(n, 1 / n), np.random.default_rng(seed))
    counts = labels.sum(axis=0)
    having = np.where(counts > 0, counts, rows + 1).argmin()
    if counts[having]:
        spread = np.bincount(alone[labels[:, [having]].toarray()[:, 0] == 1], minlength=n)
        assert spread.max() - spread.min() <= 1
    assert np.array_equal(part, stratify(labels, groups, np.full(n, 1 / n), np.random.default_rng(seed)))


def test_classes_and_rows_are_shared_more_evenly_than_by_chance():
    rows, n = 3000, 5
    labels = drawn(1, rows, np.geomspace(0.003, 0.5, 40).tolist())
    groups = np.random.default_rng(2).integers(0, 900, rows)
    groups = np.unique(groups, return_inverse=True)[1]
    part = stratify(labels, groups, np.full(n, 1 / n), np.random.default_rng(1))[groups]
    chance = np.empty(rows, dtype=int)
    for number, (_, test) in enumerate(GroupKFold(n, shuffle=True, random_state=1).split(groups, groups=groups)):
        chance[test] = number

    def uneven(of: np.ndarray) -> float:
        counts = np.stack([labels[of == number].sum(axis=0) for number in range(n)])
        return float(np.mean(np.abs(counts - counts.mean(axis=0)) / counts.mean(axis=0)))

    assert uneven(part) < uneven(chance) / 3
    assert np.ptp(np.bincount(part)) <= 0.1 * rows / n
    assert all(labels[part == number].sum(axis=0).min() >= 1 for number in range(n))


def test_shares_may_differ_and_some_groups_be_left_aside():
    labels = drawn(3, 1000, [0.05, 0.2])
    among = np.arange(200, 1000)
    part = stratify(labels, np.arange(1000), np.array([0.9, 0.1]), np.random.default_rng(0), among)
    assert (part[:200] == -1).all()
    assert np.bincount(part[200:]).tolist() == [720, 80]
    counts = labels[200:].sum(axis=0)
    assert np.abs(labels[part == 1].sum(axis=0) - counts / 10).max() <= 1


@given(st.integers(0, 999), st.integers(2, 60), st.integers(1, 50), st.integers(1, 5), st.floats(0, 1))
def test_a_small_part_gets_something_and_hardly_more_than_its_share(seed, rows, percent, size, rarity):
    """However few rows a class has, also if each row is the only one of its class."""
    groups = np.arange(rows) // size
    for labels in (drawn(seed, rows, [rarity, 0.1, 0.1]), csr_array(np.eye(rows, dtype=np.int32))):
        shares = np.array([100 - percent, percent]) / 100
        part = stratify(labels, groups, shares, np.random.default_rng(seed))[groups]
        if groups.max():
            assert 0 < np.sum(part == 1) < rows
        # Of each class, and of rows that have none, a group at most may be too many.
        assert np.sum(part == 1) <= rows * percent / 100 + size * (labels.shape[1] if rarity else 1)


def test_classes_of_few_rows_are_in_a_small_part_together_as_often_as_it_is_small():
    labels = csr_array(np.repeat(np.eye(100, dtype=np.int32), 4, axis=0))
    part = stratify(labels, np.arange(400), np.array([0.9, 0.1]), np.random.default_rng(0))
    assert 38 <= np.sum(part == 1) <= 42
    assert labels[part == 1].sum(axis=0).max() == 1


def test_folds_of_several_classes_are_stratified(tmp_path):
    labels = drawn(5, 400, [0.02, 0.3]).toarray().astype(float)
    labels[7, 1], column = np.nan, [None if row == 9 else list(own) for row, own in enumerate(labels)]
    columns = {"id": [f"s{row}" for row in range(400)], "input_ids": [[7, row % 200] for row in range(400)]}
    blank = pa.array([None] * 400, pa.string())
    table = pa.table(columns | {"label": pa.array(column, pa.list_(pa.float32())), "group": blank, "split": blank})
    pq.write_table(table.append_column("weight", pa.nulls(400, pa.float64())), tmp_path / "e.parquet", row_group_size=90)
    found = positives(tmp_path / "e.parquet").toarray()
    expected = np.nan_to_num(labels)
    expected[9] = 0
    np.testing.assert_array_equal(found, expected)
    for options in (Folds(method="kfold", n=4), Folds(method="kfold", n=4, validation_percent=20)):
        folds.assign_file(tmp_path / "e.parquet", tmp_path / "f.parquet", options, "multilabel", seed=1)
        parts = folds.read(tmp_path / "f.parquet")
        assert (np.sum(parts == TEST, axis=0) == 1).all()
        rare = expected[:, 0] == 1
        for part in parts:
            share = np.array([np.sum(rare & (part == which)) for which in (TRAIN, VALIDATION, TEST)])
            assert abs(share[2] - rare.sum() / 4) <= 1
            assert share[1] >= 1
