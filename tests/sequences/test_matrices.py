"""One-hot matrices of all kinds are read back to letters; parts with files of their own are told apart."""

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from rnalm.config import Encode, Matrix, Parts
from rnalm.config.load import load
from rnalm.config.parts import read_source
from rnalm.sequences.read import classes, read_records
from rnalm.sequences.size import size
from rnalm.tokens import dataset, encode, learn

TEXTS = ["ACGTN", "TTNAC", "GGGCA"]
TARGETS = np.array([[1, 0], [0, np.nan], [0, 1]])


def one_hot(texts: list[str], alphabet: str = "ACGT") -> np.ndarray:
    return np.array([[[letter == base for letter in text] for base in alphabet] for text in texts], dtype=np.uint8)


@pytest.fixture
def write(tmp_path):
    """Write arrays in a file, by its suffix; ``.h5.mat`` is what MATLAB 7.3 writes."""

    def make(name: str, **arrays: np.ndarray) -> str:
        path = tmp_path / name
        if name.endswith(".npz"):
            np.savez_compressed(path, **arrays)
        elif "h5" in name:
            with h5py.File(path, "w") as file:
                for key, array in arrays.items():
                    file[key] = array
        else:
            savemat(path, arrays)
        return str(path)

    return make


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.h5.mat", "a.mat"])
def test_letters_and_targets_are_read_from_any_kind_of_file(write, name):
    source = Matrix(matrix=write(name, sequences=one_hot(TEXTS), y=TARGETS), targets_key="y")
    records = list(read_records(source))
    assert [record.sequence for record in records] == TEXTS
    assert [record.id for record in records] == [f"{name}:{row}" for row in range(3)]
    np.testing.assert_array_equal([record.label for record in records], TARGETS.astype(np.float32))
    assert classes(source) == ["0", "1"]
    assert size(source) == (3, 5)


@pytest.mark.parametrize("batch", [0, 1, 2])
@pytest.mark.parametrize("alphabet", [0, 1, 2])
def test_axes_may_stand_in_any_order(write, batch, alphabet, monkeypatch):
    if batch == alphabet:
        return
    monkeypatch.setattr("rnalm.sequences.matrices.NUMBERS", 20)  # a sequence at a time
    array = np.moveaxis(one_hot(TEXTS, "AGCT"), [0, 1], [batch, alphabet])
    axes = {"sequence_batch_axis": batch, "sequence_alphabet_axis": alphabet, "targets_batch_axis": 1}
    path = write("a.h5", x=array, y=TARGETS.T)
    source = Matrix(matrix=path, sequence_key="x", targets_key="y", alphabet="AGCT", **axes)
    records = list(read_records(source))
    assert [record.sequence for record in records] == TEXTS
    np.testing.assert_array_equal([record.label for record in records], TARGETS.astype(np.float32))


def test_an_unknown_letter_may_be_a_share_of_each(write):
    array = one_hot(TEXTS).astype(np.float32)
    array[:, :, :] += (array.sum(axis=1, keepdims=True) == 0) * 0.25
    assert [record.sequence for record in read_records(Matrix(matrix=write("a.npz", sequences=array)))] == TEXTS
    proteins = Matrix(matrix=write("p.npz", sequences=one_hot(["MK-", "KKM"], "MK")), alphabet="MK")
    assert [record.sequence for record in read_records(proteins)] == ["MKX", "KKM"]


def test_classes_are_named_by_a_list_or_a_file(write, tmp_path, refusal):
    path = write("a.npz", sequences=one_hot(TEXTS), y=TARGETS)
    (tmp_path / "names.txt").write_text("Reb1\nAbf1\n")
    for named in (["Reb1", "Abf1"], str(tmp_path / "names.txt")):
        assert classes(Matrix(matrix=path, targets_key="y", classes=named)) == ["Reb1", "Abf1"]
    message = refusal(classes, Matrix(matrix=path, targets_key="y", classes=["Reb1"]))
    assert message == f"source.classes: names 1 classes, but 'y' of {path} has 2"
    assert "'a' is named twice" in refusal(classes, Matrix(matrix=path, targets_key="y", classes=["a", "a"]))


def encoded(source, folder, task: str) -> list:
    path = folder / "encoded.parquet"
    encode.encode(source, learn.learn(source), path, Encode(), task)
    return encode.metadata(path), [sequence.label for group in dataset.read(path) for sequence in group]


def test_numbers_are_labels_of_regression_and_classes_of_multilabel(write, tmp_path, refusal):
    path = write("a.npz", sequences=one_hot(TEXTS), y=np.array([[0.5], [np.nan], [2.0]]), z=TARGETS)
    assert encoded(Matrix(matrix=path, targets_key="y"), tmp_path, "regression")[1] == [0.5, None, 2.0]
    information, labels = encoded(Matrix(matrix=path, targets_key="z"), tmp_path, "multilabel")
    assert information["classes"] == ["0", "1"]
    np.testing.assert_array_equal(labels, TARGETS.astype(np.float32))
    assert "row 0: found 0.5 for a class, expected 1, 0 or, where it is not known, NaN" in refusal(
        encoded, Matrix(matrix=path, targets_key="y"), tmp_path, "multilabel"
    )
    information, labels = encoded(Matrix(matrix=path, targets_key="z"), tmp_path, "regression")
    assert information["classes"] == ["0", "1"]
    np.testing.assert_array_equal(labels, TARGETS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequence_key": "sequence"}, "nothing in it is called 'sequence'; did you mean 'sequences'?"),
        ({"targets_key": "words"}, "'words' is <U1 (3, 2); expected numbers of 2 dimensions"),
        ({"targets_key": "sequences"}, "'sequences' is uint8 (3, 4, 5); expected numbers of 2 dimensions"),
        ({"targets_key": "few"}, "'few' is of 2 sequences along axis 0, 'sequences' has 3; expected as many"),
        ({"sequence_alphabet_axis": 2}, "'sequences' has 5 letters along axis 2, (3, 4, 5) in all; expected 4 (ACGT)"),
        ({"sequence_key": "mixed"}, "position 2 of row 1 is 0.5, 0.5, 0, 0; expected 1 for one letter and 0 for the others"),
    ],
)
def test_what_is_no_such_matrix_is_refused(write, refusal, changes, message):
    mixed = one_hot(TEXTS).astype(float)
    mixed[1, :, 2] = [0.5, 0.5, 0, 0]
    arrays = {"sequences": one_hot(TEXTS), "words": np.full((3, 2), "a"), "few": TARGETS[:2], "mixed": mixed}
    source = Matrix(matrix=write("a.npz", **arrays), **changes)
    assert message in refusal(lambda: list(read_records(source)))


@pytest.mark.parametrize("name", ["a.npz", "a.mat", "a.h5"])
def test_files_that_hold_no_arrays_are_refused_and_run_nothing(tmp_path, refusal, name):
    (tmp_path / name).write_text("cos\nsystem\n(S'touch ran'\ntR.")
    message = refusal(lambda: list(read_records(Matrix(matrix=str(tmp_path / name)))))
    assert message.startswith(f"{tmp_path / name}: found no arrays (")
    assert message.endswith("expected .npz, HDF5 or MATLAB's .mat")
    assert "no such file" in refusal(lambda: list(read_records(Matrix(matrix=str(tmp_path / "none.h5")))))


def test_objects_in_a_file_are_not_read(tmp_path, refusal):
    np.savez(tmp_path / "a.npz", sequences=np.array([print], dtype=object))
    message = refusal(lambda: list(read_records(Matrix(matrix=str(tmp_path / "a.npz")))))
    assert "'sequences' is something else; expected numbers of 3 dimensions" in message


# Parts


def test_each_part_is_a_split_and_the_folds_follow(write):
    files = {name: write(f"{name}.npz", sequences=one_hot(TEXTS[k:]), y=TARGETS[k:]) for k, name in enumerate(PARTS)}
    given = {"parts": {name: {"matrix": path, "targets_key": "y"} for name, path in files.items()}}
    source = read_source(given)
    assert isinstance(source, Parts)
    records = list(read_records(source))
    assert [record.split for record in records] == ["train"] * 3 + ["validation"] * 2 + ["test"]
    assert [record.sequence for record in records] == [*TEXTS, *TEXTS[1:], *TEXTS[2:]]
    assert classes(source) == ["0", "1"]
    assert size(source) == (6, 5)
    assert [record.label for record in read_records(source.of_sequences())] == [None] * 6
    settings = load({"output": "o", "task": "multilabel", "source": given})
    assert (settings.folds.method, settings.folds.validation, settings.folds.test) == ("column", ["validation"], ["test"])
    own = load({"output": "o", "task": "multilabel", "source": given, "folds": {"method": "kfold", "n": 3}})
    assert own.folds.method == "kfold"


PARTS = ("train", "validation", "test")


def test_parts_may_be_arrays_of_one_file(write):
    path = write("a.h5", a=one_hot(TEXTS), b=one_hot(TEXTS[::-1]))
    parts = {name: {"matrix": path, "sequence_key": key} for name, key in (("train", "a"), ("validation", "b"))}
    records = list(read_records(read_source({"parts": parts})))
    assert [record.id for record in records] == [f"{name}:a.h5:{row}" for name in parts for row in range(3)]


def test_rows_without_any_target_are_left_out(write, tmp_path):
    path = write("a.npz", sequences=one_hot(TEXTS), y=np.array([[0.5], [np.nan], [2.0]]))
    own = Matrix(matrix=path, targets_key="y")
    summary = encode.encode(own, learn.learn(own), tmp_path / "e.parquet", Encode(), require_labels=True)
    assert (summary.sequences, summary.dropped) == (2, 1)


def test_one_number_a_sequence_needs_one_axis(write, tmp_path):
    path = write("a.h5", sequences=one_hot(TEXTS), y=np.array([0.5, 1.5, 2.0]))
    assert encoded(Matrix(matrix=path, targets_key="y"), tmp_path, "regression")[1] == [0.5, 1.5, 2.0]
    assert classes(Matrix(matrix=path, targets_key="y")) == ["0"]


def test_targets_are_no_labels_of_positions(refusal):
    settings = {"output": "o", "task": "multilabel", "labels": {"per": "token"}, "model": {"name": "dilated"}}
    message = refusal(load, settings | {"source": {"matrix": "a.h5", "targets_key": "y"}})
    assert "with labels.per: token each position has a label; of windows, each has one" in message


def test_parts_may_have_sites_of_their_own():
    parts = {name: {"path": [f"{name}.fa"], "sites": f"{name}.bed"} for name in ("train", "validation")}
    settings = {"output": "o", "task": "multilabel", "labels": {"per": "token", "classes": ["a", "b"]}}
    loaded = load(settings | {"model": {"name": "dilated"}, "source": {"parts": parts}})
    assert loaded.classes_of(loaded.source) == ["a", "b"]


def test_parts_of_tables_and_fasta(tmp_path):
    (tmp_path / "t.csv").write_text("id,s,y\na,AC,1.5\n")
    (tmp_path / "v.csv").write_text("id,s,y\nb,GG,2.5\n")
    columns = {"id": "id", "sequence": "s", "label": "y"}
    parts = {
        name: {"path": str(tmp_path / file), "column_sep": ",", "columns": columns}
        for name, file in (("train", "t.csv"), ("validation", "v.csv"))
    }
    settings = load({"output": "o", "source": {"parts": parts}})
    assert (settings.folds.validation, settings.folds.test) == (["validation"], [])
    records = list(read_records(settings.training_source))
    assert [(record.id, record.label, record.split) for record in records] == [
        ("a", "1.5", "train"),
        ("b", "2.5", "validation"),
    ]


def test_parts_are_the_folds_unless_a_method_is_named(refusal):
    parts = {name: {"path": f"{name}.csv", "columns": {"id": 1, "sequence": 2, "label": 3}} for name in ("train", "validation")}
    settings = {"output": "o", "source": {"parts": parts}}
    assert load(settings | {"folds": {}}).folds == load(settings).folds
    message = "folds: source.parts says what trains, validates and tests; expected no folds, or a method"
    assert message in refusal(load, settings | {"folds": {"ratio": [80, 10, 10]}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": {"path": "c.csv", "columns": {"id": 1, "sequence": 2}}}, "parts.test: has no label, but train has one"),
        (
            {"test": {"path": "c.csv", "token_sep": ",", "columns": {"id": 1, "sequence": 2, "label": 3}}},
            "parts.test: token_sep is ',', of train None; parts are read in the same way",
        ),
        ({"validation": None}, "source.parts.validation: found None"),
        ({"extra": {"path": "c.csv"}}, "unknown key 'source.parts.extra'; "),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(refusal, changes, message):
    columns = {"id": 1, "sequence": 2, "label": 3}
    parts = {name: {"path": f"{name}.csv", "columns": columns} for name in ("train", "validation")}
    assert message in refusal(load, {"output": "o", "source": {"parts": parts | changes}})


def test_classes_of_parts_are_the_same(write, refusal):
    files = {name: write(f"{name}.npz", sequences=one_hot(TEXTS), y=TARGETS[:, k:]) for k, name in enumerate(PARTS[:2])}
    source = read_source({"parts": {name: {"matrix": path, "targets_key": "y"} for name, path in files.items()}})
    assert refusal(classes, source) == "source.parts.validation: lacks 1; expected the classes of train, in any order"
    named = {name: ["a", "b", "c"[:k] or "d"] for k, name in enumerate(PARTS[:2])}
    parts = {name: {"matrix": "m.npz", "targets_key": "y", "classes": own} for name, own in named.items()}
    message = refusal(load, {"output": "o", "task": "multilabel", "source": {"parts": parts}})
    assert "parts.validation: has the class c, which train has not, and lacks d" in message


@pytest.mark.parametrize("listed", [["b", "a"], "classes.txt"])
def test_parts_may_have_their_classes_in_another_order(write, tmp_path, caplog, listed):
    (tmp_path / "classes.txt").write_text("b\na\n")
    files = {name: write(f"{name}.npz", sequences=one_hot(TEXTS), y=TARGETS) for name in PARTS[:2]}
    other = listed if isinstance(listed, list) else str(tmp_path / listed)
    named = {"train": ["a", "b"], "validation": other}
    source = read_source(
        {"parts": {name: {"matrix": path, "targets_key": "y", "classes": named[name]} for name, path in files.items()}}
    )
    assert classes(source) == ["a", "b"]
    labels = np.array([record.label for record in read_records(source)])
    np.testing.assert_array_equal(labels, np.concatenate([TARGETS, TARGETS[:, ::-1]]))
    assert "source.parts.validation: has the classes of train in another order; it is read in that of train" in caplog.text
    tokenizer = learn.learn(source)
    encode.encode(source, tokenizer, tmp_path / "e.parquet", Encode(), "multilabel")
    assert encode.metadata(tmp_path / "e.parquet")["classes"] == ["a", "b"]
    found = [one.label for group in dataset.read(tmp_path / "e.parquet") for one in group]
    np.testing.assert_array_equal(found, labels)


def test_columns_of_parts_may_stand_in_another_order(tmp_path):
    (tmp_path / "t.csv").write_text("id,s,x,y\na,AC,1,0\n")
    (tmp_path / "v.csv").write_text("id,s,y,x\nb,GG,0,1\n")
    parts = {
        name: {"path": str(tmp_path / file), "column_sep": ",", "columns": {"id": "id", "sequence": "s", "label": label}}
        for name, file, label in (("train", "t.csv", ["x", "y"]), ("validation", "v.csv", ["y", "x"]))
    }
    source = read_source({"parts": parts})
    encode.encode(source, learn.learn(source), tmp_path / "e.parquet", Encode(), "multilabel")
    found = [one.label for group in dataset.read(tmp_path / "e.parquet") for one in group]
    np.testing.assert_array_equal(found, [[1, 0], [1, 0]])


def test_targets_are_no_single_class(refusal):
    message = refusal(load, {"output": "o", "task": "classification", "source": {"matrix": "a.mat", "targets_key": "y"}})
    assert "source.targets_key: targets are 1 or 0 of each class, or numbers; expected task: multilabel" in message
