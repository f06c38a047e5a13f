import os
import re
import subprocess
import sys
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given, reject
from hypothesis import strategies as st

from rnalm.config import Folds
from rnalm.errors import RnalmError
from rnalm.labels import folds
from rnalm.labels.folds import TEST, TRAIN, VALIDATION
from rnalm.tokens import encode, learn

ROTATION = list("dacb")
GROUPS = st.lists(st.none() | st.integers(0, 12).map(str), min_size=25, max_size=80)
SEEDS = st.integers(0, 2**31)


def assign(options: Folds, n_rows: int, **columns) -> np.ndarray:
    """Assign, and take an empty part, which few and large groups can cause, for no example."""
    try:
        return folds.assign(options, n_rows, **columns)
    except RnalmError as error:
        if "is empty" in str(error) or "cannot make" in str(error):
            reject()
        raise


def assert_groups_are_whole(parts: np.ndarray, groups: list) -> None:
    for part in parts:
        sides = pd.Series(part).groupby(pd.Series(groups, dtype=object)).nunique()
        assert (sides == 1).all()


def assert_rotates(parts: np.ndarray) -> None:
    """Every row tests once and validates in the fold before."""
    assert (np.sum(parts == TEST, axis=0) == 1).all()
    np.testing.assert_array_equal(np.roll(parts, -1, axis=0) == TEST, parts == VALIDATION)


# What holds for every method


@st.composite
def every_method(draw):
    """An option, a number of rows, and columns that go with it."""
    groups = draw(GROUPS)
    method = draw(st.sampled_from(["ratio", "kfold"]))
    if method == "ratio":
        ratio = draw(st.sampled_from([[70, 15, 15], [80, 20], [34, 33, 33], [90, 5, 5]]))
        options = Folds(method=method, n=draw(st.integers(1, 4)), ratio=ratio)
    else:
        options = Folds(method=method, n=draw(st.integers(3, 5)), validation_percent=draw(st.sampled_from([None, 10, 50])))
    labels = draw(st.none() | st.lists(st.sampled_from("xyz"), min_size=len(groups), max_size=len(groups)))
    return options, {"groups": draw(st.sampled_from([None, groups])), "labels": labels}, len(groups)


@pytest.mark.filterwarnings("ignore:The least populated class")
@examples(60)
@given(every_method(), SEEDS)
def test_no_part_is_empty_groups_never_straddle_parts_and_the_same_seed_gives_the_same_folds(case, seed):
    options, columns, n_rows = case
    parts = assign(options, n_rows, seed=seed, **columns)
    assert parts.shape == (options.count, n_rows)
    for part in parts:
        assert set(part) == ({TRAIN, VALIDATION, TEST} if options.tested else {TRAIN, VALIDATION})
    assert_groups_are_whole(parts, columns["groups"] or [None] * n_rows)
    if options.method == "kfold" and options.validation_percent is None:
        assert_rotates(parts)
    np.testing.assert_array_equal(parts, assign(options, n_rows, seed=seed, **columns))


@pytest.mark.parametrize("options", [Folds(n=3), Folds(method="kfold", n=4)], ids=["ratio", "kfold"])
def test_another_seed_gives_other_folds_and_every_fold_is_shuffled_anew(options):
    one, other = (folds.assign(options, 100, seed=seed) for seed in (1, 2))
    assert (one != other).any()
    assert len({part.tobytes() for part in one}) == options.n


# ratio


@given(st.integers(3, 200), st.sampled_from([[70, 15, 15], [80, 20], [34, 33, 33], [98, 1, 1]]), SEEDS)
def test_parts_have_the_sizes_that_were_asked_for(n_rows, ratio, seed):
    (part,) = assign(Folds(ratio=ratio), n_rows, seed=seed)
    for number, share in enumerate(ratio):
        assert abs(np.sum(part == number) - n_rows * share / 100) <= 1 + (number == TRAIN)


@examples(50)
@given(GROUPS, SEEDS)
def test_parts_of_whole_groups_come_close_to_the_sizes_that_were_asked_for(groups, seed):
    (part,) = assign(Folds(ratio=[60, 20, 20]), len(groups), groups=groups, seed=seed)
    largest = max(Counter(group for group in groups if group is not None).values(), default=1)
    for number in (VALIDATION, TEST):
        assert abs(np.sum(part == number) - 0.2 * len(groups)) <= largest + 0.5


@pytest.mark.parametrize(
    ("ratio", "n_rows", "groups"), [([70, 15, 15], 9, ["g"] * 9), ([80, 20], 9, ["g"] * 9), ([70, 15, 15], 2, None)]
)
def test_too_few_rows_or_groups_leave_a_part_empty(refusal, ratio, n_rows, groups):
    message = refusal(folds.assign, Folds(ratio=ratio), n_rows, groups=groups)
    assert "part of fold 0 is empty; too few rows, groups or splits" in message


@given(seed=SEEDS)
def test_a_group_too_large_for_a_part_trains(seed):
    [part] = folds.assign(Folds(), 100, groups=["big"] * 60 + [None] * 40, seed=seed)
    assert (part[:60] == TRAIN).all()
    assert np.bincount(part).tolist() == [70, 15, 15]


# kfold and rotate


@given(st.integers(3, 6), st.integers(6, 60), SEEDS)
def test_in_kfold_every_row_tests_once_and_validates_in_the_fold_before(n, n_rows, seed):
    parts = folds.assign(Folds(method="kfold", n=n), n_rows, seed=seed)
    assert_rotates(parts)
    sizes = np.sum(parts == TEST, axis=1)
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.filterwarnings("ignore:The least populated class")
@examples(50)
@given(st.lists(st.sampled_from("xxxyyz"), min_size=20, max_size=60), st.sampled_from([10, 25, 50]), SEEDS)
def test_of_each_class_every_part_gets_its_share_and_a_percentage_validates(labels, percent, seed):
    options, classes = {"method": "kfold", "n": 3}, np.array(labels)
    parts = assign(Folds(**options, validation_percent=percent), len(labels), labels=labels, seed=seed)
    np.testing.assert_array_equal(parts == TEST, assign(Folds(**options), len(labels), labels=labels, seed=seed) == TEST)
    for name in set(labels):
        counts = np.sum((parts == TEST) & (classes == name), axis=1)
        assert counts.max() - counts.min() <= 1
        for part in parts:
            others = part[(classes == name) & (part != TEST)]
            if len(others) > 1:
                assert np.sum(others == VALIDATION) == max(1, round(len(others) * percent / 100))


def test_two_parts_do_where_the_rest_is_divided():
    parts = assign(Folds(method="kfold", n=2, validation_percent=20), 40)
    assert [np.bincount(part).tolist() for part in parts] == [[16, 4, 20]] * 2


def test_kfold_warns_of_nothing_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds.assign(Folds(method="kfold", n=3), 12)
        folds.assign(Folds(method="kfold", n=3), 12, labels=list("xy" * 6))


@pytest.mark.parametrize(
    ("n_rows", "columns"),
    [(2, {}), (9, {"groups": list("aaaabbbbb")}), (4, {"labels": list("xxyy")})],
    ids=["rows", "groups", "rows of a class"],
)
def test_more_parts_than_there_is_data_for_are_refused(refusal, n_rows, columns):
    message = refusal(folds.assign, Folds(method="kfold", n=3), n_rows, **columns)
    assert message.startswith("folds.n: cannot make 3 parts (")


@given(st.lists(st.sampled_from(ROTATION), min_size=4, max_size=40), st.booleans())
def test_in_rotate_the_following_split_validates(splits, listed):
    splits = [*splits, *ROTATION]
    order = ROTATION if listed else sorted(ROTATION)
    options = Folds(method="rotate", splits=ROTATION) if listed else Folds(method="rotate", n=4)
    parts = folds.assign(options, len(splits), splits=splits)
    assert_rotates(parts)
    for fold, part in enumerate(parts):
        assert {split for split, p in zip(splits, part, strict=True) if p == TEST} == {order[fold]}
        assert {split for split, p in zip(splits, part, strict=True) if p == VALIDATION} == {order[(fold + 1) % 4]}


def test_splits_are_in_natural_order_and_rows_without_a_group_go_with_them():
    parts = folds.assign(Folds(method="rotate", n=4), 4, splits=["fold10", "fold2", "fold1", "b"], groups=[None] * 4)
    assert [np.flatnonzero(part == TEST).tolist() for part in parts] == [[3], [2], [1], [0]]


# column


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"validation": ["b"], "test": ["3"]}, [[0, 1, 2, 0]]),
        ({"validation": ["b"], "test": [3]}, [[0, 1, 2, 0]]),
        ({"validation": ["b", "a"], "test": [3]}, [[1, 1, 2, 0]]),
        ({"validation": ["b"]}, [[0, 1, 0, 0]]),
        ({"validation": [["a"], ["b"]], "test": [["b"], [3]]}, [[1, 2, 0, 0], [0, 1, 2, 0]]),
        ({"validation": [["a"], ["b", 3]]}, [[1, 0, 0, 0], [0, 1, 1, 0]]),
    ],
)
def test_named_splits_validate_and_test_and_the_others_train(options, expected):
    parts = folds.assign(Folds(method="column", **options), 4, splits=["a", "b", "3", "other"])
    assert parts.tolist() == expected


# Messages


@pytest.mark.parametrize(
    ("options", "splits", "problem"),
    [
        (
            {"method": "column", "validation": ["dev"], "test": ["test"]},
            ["train", "devel", "test"],
            "folds.validation: no row is in split 'dev'; did you mean 'devel'? (valid: devel, test, train)",
        ),
        (
            {"method": "column", "validation": [1], "test": [4]},
            list("123"),
            "folds.test: no row is in split '4'; valid: 1, 2, 3",
        ),
        (
            {"method": "column", "validation": [["b"], ["c", "a"]], "test": [["a"], ["a"]]},
            list("abc"),
            "folds: split 'a' is in both validation and test of fold 1; expected one of them",
        ),
        (
            {"method": "column", "validation": ["a"], "test": ["b"]},
            list("abb"),
            "folds: the train part of fold 0 is empty; too few rows, groups or splits",
        ),
        (
            {"method": "column", "validation": ["a"]},
            ["a", None, "b"],
            "columns.split: some rows name no split, expected one in every row",
        ),
        ({"method": "rotate", "n": 3}, None, "columns.split: some rows name no split, expected one in every row"),
        ({"method": "rotate", "n": 4}, ["s10", "s9", "s1"], "folds.n is 4, but columns.split has 3 splits: s1, s9, s10"),
        (
            {"method": "rotate", "splits": list("abC")},
            list("abc"),
            "folds.splits: no row is in split 'C'; did you mean 'c'? (valid: a, b, c)",
        ),
        (
            {"method": "rotate", "splits": list("abc")},
            list("abcd"),
            "folds.splits: split 'd' is in the data but not in the list ['a', 'b', 'c']",
        ),
    ],
)
def test_splits_that_do_not_fit_the_data_are_refused(refusal, options, splits, problem):
    assert refusal(folds.assign, Folds(**options), len(splits or "abc"), splits=splits) == problem


@pytest.mark.parametrize(
    ("options", "sides"),
    [
        ({"method": "column", "validation": ["b"], "test": ["c"]}, "test and train of fold 0"),
        ({"method": "column", "validation": [["b"], ["c"]]}, "validation and train of fold 1"),
        ({"method": "rotate", "n": 3}, "train and test of fold 0"),
    ],
)
def test_a_group_that_predefined_splits_tear_apart_is_refused(refusal, options, sides):
    message = refusal(folds.assign, Folds(**options), 4, splits=list("abca"), groups=["g", None, "h", "h"])
    assert message == f"folds: group 'h' is in both {sides}; the rows of a group must be in one part"


# Files


CONTENT = "id\tsequence\ty\tg\ts\n" + "".join(
    f"r{i}\t{'acgt'[i % 4] * (i % 5 + 1)}\t{i % 9}\t{'' if i % 3 else i // 6}\t{'abc'[i % 3]}\n" for i in range(40)
)
EVERY_COLUMN = {"id": "id", "sequence": "sequence", "label": "y", "group": "g", "split": "s"}


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.parametrize(
    ("options", "task"),
    [
        ({"n": 2}, "regression"),
        ({"method": "kfold", "n": 4}, "regression"),
        ({"method": "kfold", "n": 3, "group": "none"}, "classification"),
        ({"method": "column", "validation": ["b"], "group": "none"}, "regression"),
        ({"ratio": [80, 20]}, "regression"),
    ],
)
def test_a_file_names_the_part_of_every_row_in_every_fold(write_source, tmp_path, options, task):
    source, encoded, output = write_source(CONTENT, columns=EVERY_COLUMN), tmp_path / "e.parquet", tmp_path / "f.parquet"
    encode.encode(source, learn.learn(source), encoded, task=task)
    folds.assign_file(encoded, output, Folds(**options), task, seed=3)
    columns = pq.read_table(encoded).to_pydict()
    labels = columns["label"] if task == "classification" else None
    groups = None if options.get("group") == "none" else columns["group"]
    parts = folds.assign(Folds(**options), 40, labels, groups, columns["split"], seed=3)
    np.testing.assert_array_equal(folds.read(output), parts)
    table = pd.read_parquet(output)
    assert table.columns.tolist() == ["fold", "id", "part"]
    assert table["fold"].tolist() == np.arange(len(parts)).repeat(40).tolist()
    assert table["id"].tolist() == [f"r{i}" for i in range(40)] * len(parts)
    assert table["part"].tolist() == [folds.PARTS[number] for number in parts.ravel()]
    for fold, part in enumerate(parts):
        assert folds.test_rows(output, fold).tolist() == np.flatnonzero(part == TEST).tolist()


CHAIN = """
import sys
from rnalm.config import Encode, Folds, Table, Tokenizer
from rnalm.labels import folds
from rnalm.tokens import encode, learn
from rnalm.tokens.tokenizer import load_tokenizer, save_tokenizer
table, out = sys.argv[1:]
source = Table(path=table, columns={"id": "id", "sequence": "sequence", "label": "y", "group": "g", "split": "s"})
save_tokenizer(learn.learn(source, Tokenizer(sample_size=30)), out + "/tokenizer.json")
encode.encode(source, load_tokenizer(out + "/tokenizer.json"), out + "/encoded.parquet", Encode(block_size=3))
folds.assign_file(out + "/encoded.parquet", out + "/folds.parquet", Folds(n=3), "regression", 5)
"""


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(write_source, tmp_path):
    source = write_source(CONTENT)
    for hash_seed in ("1", "2"):
        (tmp_path / hash_seed).mkdir()
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        subprocess.run([sys.executable, "-c", CHAIN, source.path, str(tmp_path / hash_seed)], env=environment, check=True)
    for name in ("tokenizer.json", "encoded.parquet", "folds.parquet"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


# Clusters


@examples(50)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 5)), min_size=1, max_size=30))
def test_rows_of_a_group_or_of_a_cluster_are_joined_and_no_others(rows):
    groups, clusters = [group for group, _ in rows], np.array([cluster for _, cluster in rows])
    joined = folds.join(groups, clusters)
    # Grow the set of what belongs to the first row, link by link.
    for row in range(len(rows)):
        linked = {row}
        while True:
            names, numbers = {groups[i] for i in linked} - {None}, {clusters[i] for i in linked}
            more = linked | {i for i in range(len(rows)) if groups[i] in names or clusters[i] in numbers}
            if more == linked:
                break
            linked = more
        assert {i for i in range(len(rows)) if joined[i] == joined[row]} == linked


@pytest.mark.parametrize("group", ["column", "cluster", "none"])
def test_groups_are_kept_as_configured(write_source, tmp_path, group):
    rows = "".join(f"s{i}\tacgt\t{i}\tg{i // 2}\n" for i in range(40))
    source = write_source("id\tsequence\ty\tg\n" + rows, columns={"id": 1, "sequence": 2, "label": 3, "group": 4})
    encode.encode(source, learn.learn(source), tmp_path / "e.parquet")
    # In another order, and with one sequence more: those without a label may have been left out since.
    clusters = pa.table({"id": [f"s{i}" for i in range(40, -1, -1)], "cluster": [i // 4 for i in range(40, -1, -1)]})
    pq.write_table(clusters, tmp_path / "c.parquet")
    options = Folds(method="kfold", n=4, group=group)
    named = tmp_path / "c.parquet" if group == "cluster" else None
    folds.assign_file(tmp_path / "e.parquet", tmp_path / "f.parquet", options, "regression", 1, named)
    parts = folds.read(tmp_path / "f.parquet")

    def whole(size: int) -> bool:
        return all(len(set(part[start : start + size])) == 1 for part in parts for start in range(0, 40, size))

    assert (whole(2), whole(4)) == {"column": (True, False), "cluster": (True, True), "none": (False, False)}[group]


# What is told


@examples(60)
@given(st.lists(st.integers(1, 9), min_size=3, max_size=8), st.sampled_from([[60, 20, 20], [34, 33, 33], [80, 10, 10]]), SEEDS)
def test_three_groups_are_enough_for_three_parts_however_large_they_are(sizes, ratio, seed):
    groups = [name for name, size in zip("abcdefgh", sizes, strict=False) for _ in range(size)]
    [part] = assign(Folds(ratio=ratio), len(groups), groups=groups, seed=seed)
    assert set(part) == {TRAIN, VALIDATION, TEST}


@pytest.mark.parametrize("options", [Folds(), Folds(method="kfold", n=5)], ids=["ratio", "kfold"])
def test_a_group_larger_than_a_part_is_named(caplog, options):
    groups = ["big"] * 60 + [f"g{row}" for row in range(40)]
    folds.assign(options, 100, groups=groups)
    wanted = 15 if options.method == "ratio" else 20
    assert caplog.messages == [f"folds: group 'big' has 60 of 100 rows, more than a part of {wanted}"]


def test_values_that_mean_missing_form_no_group_and_are_counted(caplog):
    groups = ["g1", "NA", "nan", "NA", None, "None", " ", "g1", "nanog"]
    assert folds.named(groups) == ["g1", None, None, None, None, None, None, "g1", "nanog"]
    [message] = caplog.messages
    assert message == (
        "columns.group: some names say that it is missing: 'NA' (2), 'nan' (1), 'None' (1), ' ' (1); "
        "each of these rows is a group of its own"
    )
    assert folds.named(None) is None


def encoded_rows(path, sequences: list[list[int]], weights: list[float] | None = None, twins: list | None = None):
    columns = {"id": [f"r{row}" for row in range(len(sequences))], "input_ids": sequences}
    columns |= {"label": [1.0] * len(sequences), "weight": weights or [1.0] * len(sequences)}
    columns |= {name: pa.nulls(len(sequences), pa.string()) for name in ("group", "split")}
    pq.write_table(pa.table(columns | ({"reverse_ids": twins} if twins else {})), path)
    return path


@pytest.mark.parametrize("strands", [1, 2])
def test_copies_of_sequences_that_train_among_those_that_test_are_counted(tmp_path, caplog, strands):
    forward, back = [7, 8, 9], [10, 9, 10]
    rows = [forward if row % 2 else back for row in range(20)] if strands == 2 else [forward] * 20
    twins = [back if row % 2 else forward for row in range(20)] if strands == 2 else None
    folds.assign_file(encoded_rows(tmp_path / "e", rows, twins=twins), tmp_path / "f", Folds(), "regression", 1)
    assert caplog.messages == [
        "folds: of 3 rows that test, 3 have a copy of their sequence among the rows that train; "
        "with folds.group: cluster copies stay together"
    ]


def test_nothing_is_said_where_no_sequence_occurs_twice(tmp_path, caplog):
    rows = [[7, 8, row] for row in range(20)]
    folds.assign_file(encoded_rows(tmp_path / "e", rows), tmp_path / "f", Folds(), "regression", 1)
    assert caplog.messages == []


def test_a_part_whose_rows_all_weigh_nothing_is_refused(tmp_path, refusal):
    encoded = encoded_rows(tmp_path / "e", [[row] for row in range(20)], weights=[0.0] * 19 + [1.0])
    message = refusal(folds.assign_file, encoded, tmp_path / "f", Folds(), "regression", 1)
    assert re.fullmatch(
        r"columns\.weight: all \d+ rows of the \w+ part of fold 0 weigh 0; expected one at least that weighs more", message
    )
    assert not (tmp_path / "f").exists()


def test_rows_whose_split_is_missing_do_not_train_unnoticed(refusal):
    options, splits = Folds(method="column", validation=["b"]), ["a", "b", "NA", "a", "NA"]
    assert refusal(folds.assign, options, 5, splits=splits) == (
        "columns.split: the split of 2 rows is 'NA', which says that it is missing; expected the name of a split in every row"
    )
