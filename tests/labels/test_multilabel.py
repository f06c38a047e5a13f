"""Any number of classes a row: what is read, what is learned, and how good predictions are."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from multilabel_oracle import multilabel
from scipy.special import expit, logit
from sklearn import metrics as sk

from rnalm.config import METRICS, Encode, Fasta, Labels, Table
from rnalm.config.load import load
from rnalm.labels import check, losses, metrics, tally
from rnalm.labels import labels as meanings
from rnalm.labels.targets import count, positive_weights
from rnalm.prediction import evaluate
from rnalm.prediction.predict import check_fit
from rnalm.sequences.read import read_written
from rnalm.tokens import dataset, encode, learn
from rnalm.tokens.tokenizer import save_tokenizer
from rnalm.training import fold

CLASSES = ["cap", "exon", "tail"]
COLUMNS = {"id": "id", "sequence": "sequence", "label": CLASSES}
ROWS = [("a", "ACGT", "1", "0", ""), ("b", "GGT", "0", "1.0", "true"), ("c", "TTTT", "", "NA", "0")]
CONFIG = {"output": "out", "task": "multilabel", "source": {"path": "t.tsv", "columns": COLUMNS}}


@pytest.fixture
def table(tmp_path):
    def write(rows=ROWS, **options) -> Table:
        lines = ["\t".join(["id", "sequence", *CLASSES]), *("\t".join(row) for row in rows)]
        (tmp_path / "t.tsv").write_text("\n".join(lines) + "\n")
        return Table(path=str(tmp_path / "t.tsv"), **{"columns": COLUMNS, "missing": ["NA"]} | options)

    return write


def encoded(source, folder) -> str:
    output = folder / "encoded.parquet"
    encode.encode(source, learn.learn(source), output, Encode(), "multilabel", Labels(), require_labels=True)
    return str(output)


def test_each_class_has_a_column_and_what_is_empty_is_not_known(table, tmp_path):
    path = encoded(table(), tmp_path)
    assert encode.metadata(path)["classes"] == CLASSES
    found = [sequence.label for group in dataset.read(path) for sequence in group]
    np.testing.assert_array_equal(found, np.array([[1, 0, np.nan], [0, 1, 1], [np.nan, np.nan, 0]], dtype=np.float32))


def test_columns_may_be_positions_and_stand_in_any_order(table, tmp_path):
    source = table(columns={"id": 1, "sequence": 2, "label": [5, 3]})
    path = encoded(source, tmp_path)
    assert encode.metadata(path)["classes"] == ["5", "3"]
    first = next(dataset.read(path))[0].label
    np.testing.assert_array_equal(first, np.array([np.nan, 1], dtype=np.float32))


def test_two_classes_in_one_column_are_refused(table, tmp_path, refusal):
    message = refusal(encoded, table(columns={"id": "id", "sequence": "sequence", "label": ["cap", "tail", 3]}), tmp_path)
    assert message.endswith("t.tsv: columns.label.0 and columns.label.2 are the same column, 3")
    message = refusal(encoded, table(columns={"id": "id", "sequence": "sequence", "label": ["cap", "id"]}), tmp_path)
    assert message.endswith("t.tsv: columns.id and columns.label.1 are the same column, 'id'")


def test_classes_of_fasta_stand_in_a_table(tmp_path):
    (tmp_path / "s.fa").write_text(">a\nACGT\n>b\nGG\n")
    (tmp_path / "k.tsv").write_text("id\tx\ty\na\t1\t0\nb\t\t1\n")
    attributes = {"path": str(tmp_path / "k.tsv"), "columns": {"id": "id", "label": ["x", "y"]}}
    path = encoded(Fasta(path=[str(tmp_path / "s.fa")], attributes=attributes), tmp_path)
    found = [sequence.label for group in dataset.read(path) for sequence in group]
    np.testing.assert_array_equal(found, np.array([[1, 0], [np.nan, 1]], dtype=np.float32))


def test_a_row_of_which_no_class_is_known_has_no_label(table, tmp_path, refusal):
    source = table([*ROWS, ("d", "ACG", "", "NA", "")])
    assert [record.label for record in read_written(source)][-1] is None
    assert "'d' has no label, but training needs one" in refusal(encoded, source, tmp_path)
    dropped = source.model_copy(update={"unlabelled": "drop"})
    assert len(dataset.lengths(encoded(dropped, tmp_path))) == 3


def test_what_is_neither_1_nor_0_is_refused(table, tmp_path, refusal):
    message = refusal(encoded, table([*ROWS, ("d", "ACG", "1", "maybe", "")]), tmp_path)
    assert message.endswith(
        "t.tsv, line 5: 'd' has 'maybe' for the class 'exon', expected 1, 0 or, where it is not known, nothing"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"task": "classification"},
            "columns.label: found ['cap', 'exon', 'tail']; task: classification has one",
        ),
        (
            {"source": {"path": "t.tsv", "columns": COLUMNS | {"label": "cap"}}},
            "label: found one column; task: multilabel has a",
        ),
        ({"source": {"path": "t.tsv", "columns": COLUMNS | {"label": ["cap", "cap"]}}}, "the column 'cap' is named twice"),
        ({"labels": {"classes": ["cap"]}}, "labels.classes is for labels.per: token, found sequence"),
        (
            {"inference": {"more": {"path": "m.tsv", "columns": COLUMNS | {"label": ["exon", "cap", "tail"]}}}},
            "inference.more.columns.label: found ['exon', 'cap', 'tail']; expected those of source, in their order: ['cap',",
        ),
        ({"labels": {"scaling": "log"}}, "labels.scaling is for task: regression, found task: multilabel"),
        (
            {"finetune": {"metric": "f1_weighted"}},
            "finetune.metric: 'f1_weighted' is no metric of multilabel; valid: loss",
        ),
        (
            {"source": {"path": "t.tsv", "columns": COLUMNS | {"weight": "w"}}},
            "weights are for task: regression, found task:",
        ),
    ],
)
def test_what_several_classes_cannot_have_is_refused(refusal, changes, message):
    assert message in refusal(load, CONFIG | changes)


def test_rows_are_checked_before_a_run(table):
    settings = load(CONFIG | {"source": {"path": table().path, "columns": COLUMNS, "missing": ["NA"]}})
    found = check.check(settings.training_source, settings, trains=True)
    assert (found.sequences, found.labelled, found.classes) == (3, 3, 3)


def test_classes_to_evaluate_that_are_none_are_told_before_a_run(table):
    source = {"path": table().path, "columns": COLUMNS, "missing": ["NA"]}
    settings = load(CONFIG | {"source": source, "evaluate": {"classes": ["tail", "exons"]}})
    [problem] = check.check(settings.training_source, settings, trains=True).problems.lines
    assert problem.startswith("evaluate.classes: the models do not know the class 'exons'; did you mean 'exon'?")


def test_a_probability_is_that_of_a_class_by_itself():
    labels = meanings.fit("multilabel", "none", np.empty(0), CLASSES)
    assert (labels.classes, labels.n_outputs) == (("cap", "exon", "tail"), 3)
    outputs = np.array([[0.0, 2.0, -900.0]])
    np.testing.assert_allclose(labels.to_scores(outputs), expit(outputs), atol=1e-12)
    np.testing.assert_allclose(labels.to_scores(torch.tensor(outputs)), expit(outputs), atol=1e-12)
    assert labels.to_scores(outputs, "logit").tolist() == outputs.tolist()
    mean = labels.average([outputs[:, :2], outputs[:, :2] + 1])
    np.testing.assert_allclose(expit(mean), (expit(outputs[:, :2]) + expit(outputs[:, :2] + 1)) / 2)


def test_labels_are_written_by_the_names_of_classes():
    labels = meanings.Labels("multilabel", classes=tuple(CLASSES))
    assert labels.written(np.array([1, 0, 1])) == "cap;tail"
    assert labels.written(np.array([0, np.nan, 0])) == ""
    assert labels.written(None) is None
    assert meanings.Labels("regression").written(2.5) == 2.5


def test_the_loss_of_a_row_is_the_mean_over_its_known_classes():
    logits = torch.randn(3, 3, requires_grad=True, generator=torch.manual_seed(0))
    targets = torch.tensor([[1, 0, np.nan], [0, 1, 1], [np.nan, np.nan, 0]])
    weights, positive = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([1.0, 3.0, 1.0])
    p = logits.detach().sigmoid().double()
    each = -torch.where(targets == 1, positive * p.log(), (1 - p).log())
    rows = [each[row][~targets[row].isnan()].mean() for row in range(3)]
    loss = losses.of_batch("multilabel", logits, targets, weights, positive)
    assert loss.item() == pytest.approx(sum(w * r for w, r in zip(weights, rows, strict=True)).item() / 3, rel=1e-5)
    loss.backward()
    assert torch.equal(logits.grad != 0, ~targets.isnan())


def test_positives_of_a_class_weigh_as_much_as_its_negatives():
    targets = np.array([[1, 0, np.nan], [0, 0, 1], [0, 0, 1], [0, np.nan, 0]])
    counts = count(meanings.Labels("multilabel", classes=tuple("abc")), [(targets[:1], np.ones(1)), (targets[1:], np.ones(3))])
    assert positive_weights(counts).tolist() == [3, 1, 0.5]


def drawn(rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    probabilities = draw.random((rows, 4)).round(2)  # with ties
    targets = (draw.random((rows, 4)) < probabilities).astype(float)
    targets[draw.random((rows, 4)) < 0.2] = np.nan
    targets[:, 3] = np.where(np.isnan(targets[:, 3]), np.nan, 0)  # a class without positives
    return targets, probabilities


def test_a_class_is_told_from_the_threshold_on_that_is_best_on_validation_rows(tmp_path):
    targets, probabilities = drawn()
    labels = meanings.Labels("multilabel", classes=("a", "b", "c", "d"))
    chosen = metrics.choose_thresholds(labels, targets, logit(np.clip(probabilities, 1e-9, 1 - 1e-9)))
    for number in range(3):
        known = ~np.isnan(targets[:, number])
        truth, own = targets[known, number], probabilities[known, number]
        best = max(sk.f1_score(truth, own >= limit) for limit in np.unique(own))
        assert sk.f1_score(truth, own >= chosen.thresholds[number]) == pytest.approx(best)
    assert chosen.thresholds[3] == 0.5  # of a class without positives
    assert multilabel(targets, probabilities, chosen)["f1_macro"] > multilabel(targets, probabilities, labels)["f1_macro"]
    frame = evaluate.describe(chosen, ["s"], np.ones((1, 4)), chosen.limits[None] - [[0, 1e-9, 0, 1e-9]])
    assert frame["pred"][0] == "a;c"
    chosen.save(tmp_path / "labels.json")
    assert meanings.Labels.load(tmp_path / "labels.json") == chosen


def test_models_together_tell_a_class_from_the_mean_of_their_thresholds():
    one, other = (meanings.Labels("multilabel", classes=("a", "b"), thresholds=own) for own in [(0.25, 0.5), ()])
    assert meanings.together([one, other]).thresholds == (0.375, 0.5)
    assert meanings.together([other, other]) == other


def test_the_threshold_lies_between_rows_that_are_taken_and_others():
    labels = meanings.Labels("multilabel", classes=("a",))
    outputs = logit(np.array([[0.1], [0.2], [0.4], [0.6]]))
    assert metrics.choose_thresholds(labels, np.array([[0], [0], [1], [1.0]]), outputs).thresholds == pytest.approx((0.3,))
    assert metrics.choose_thresholds(labels, np.array([[0], [0], [0], [0.0]]), outputs).thresholds == (0.5,)
    numbers = meanings.Labels("regression")
    assert metrics.choose_thresholds(numbers, np.array([1.0]), np.array([[1.0]])) is numbers


def test_every_metric_can_select_a_model():
    labels = meanings.Labels("multilabel", classes=("a", "b"))
    found = tally.score(labels, np.zeros((3, 2)), np.zeros((3, 2), dtype=np.float32))
    assert set(found) == set(METRICS["multilabel"]) - {"loss"}
    assert all(np.isnan(value) for value in found.values()), "no class has positives"


def test_models_and_files_must_have_the_same_classes(table, tmp_path, refusal):
    source = table()
    path = encoded(source, tmp_path)
    save_tokenizer(learn.learn(source), tmp_path / "tokenizer.json")
    (tmp_path / "config.json").write_text("{}")
    check_fit(tmp_path, path, meanings.Labels("multilabel", classes=("cap", "exon", "tail")))
    other = meanings.Labels("multilabel", classes=("cap", "tail", "exon"))
    message = refusal(check_fit, tmp_path, path, other)
    assert "columns.label has the classes cap, exon, tail, but the model" in message
    assert message.endswith("has cap, tail, exon; expected these, in this order")


def test_classes_of_which_nothing_can_be_learned_are_told(caplog):
    labels = meanings.Labels("multilabel", classes=("all", "none", "some", "unknown"))
    counts = np.array([[0, 2], [1, 0], [1, 1], [0, 0]])
    fold._tell_unlearned(SimpleNamespace(fold=2), labels, counts.all(axis=1))
    assert "fold 2: no training row has these classes, or all have: all, none, unknown; nothing is learned" in caplog.text
    caplog.clear()
    fold._tell_unlearned(SimpleNamespace(fold=2), labels, np.ones(4, dtype=bool))
    assert not caplog.text


def test_many_classes_are_described_without_a_warning(recwarn):
    labels = meanings.Labels("multilabel", classes=tuple(f"class{k}" for k in range(200)))
    truth, scores = np.ones((3, 200)), np.full((3, 200), 0.25)
    frame = evaluate.describe(labels, ["a", "b", "c"], truth, scores)
    assert frame.shape == (3, 3 + 400)
    assert frame["prob_class7"].tolist() == [0.25] * 3
    assert not recwarn.list
