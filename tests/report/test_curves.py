import re
from xml.etree import ElementTree

import numpy as np
import pytest

from rnalm.prediction import measure
from rnalm.report import curves, figures

#: Pictures are drawn, many of them.
pytestmark = pytest.mark.slow

TWO, THREE = ("no", "yes"), ("early", "late", "mid")
HISTORY = [
    {"epoch": 1.0, "loss": 2.0, "grad_norm": 1.0, "learning_rate": 0.1},
    {"epoch": 1.0, "eval_loss": 1.5, "eval_roc_auc": 0.2},
    {"epoch": 2.0, "loss": 1.0, "grad_norm": 1.0, "learning_rate": 0.05},
    {"epoch": 2.0, "eval_loss": 1.2, "eval_roc_auc": 0.4},
    {"epoch": 2.0, "train_runtime": 3.0},
]
OLD_HISTORY = [{key: value for key, value in entry.items() if key != "learning_rate"} for entry in HISTORY]


def answer(name="pooled", classes=TWO, rows=60, seed=0, only=None) -> measure.Measured:
    """Measure random probabilities; the rows may be of some classes only."""
    random = np.random.default_rng(seed)
    targets = random.choice(only or range(len(classes)), rows)
    probabilities = random.dirichlet(np.ones(len(classes)), rows)
    probabilities[np.arange(rows), targets] += 0.2
    return measure.measure(name, targets, probabilities / probabilities.sum(axis=1, keepdims=True))


def folds(count, classes=TWO, **options) -> list[measure.Measured]:
    return [answer(f"fold {fold}", classes, seed=fold, **options) for fold in range(count)]


def histories(count, history=HISTORY) -> dict:
    return {f"fold {fold}": history for fold in range(count)}


def constant(classes=TWO) -> measure.Measured:
    """Measure a model that says the same of every row."""
    return measure.measure("pooled", np.arange(20) % len(classes), np.tile([0.9, *[0.1] * (len(classes) - 1)], (20, 1)))


MANY = tuple(f"a class of ${index}" for index in range(20))
DRAWN = {
    "two classes": lambda: curves.classification(answer(), [], TWO),
    "two classes, three folds": lambda: curves.classification(answer(), folds(3), TWO),
    "three classes": lambda: curves.classification(answer(classes=THREE), [], THREE),
    "three classes, three folds": lambda: curves.classification(answer(classes=THREE), folds(3, THREE), THREE),
    "many classes": lambda: curves.classification(answer(classes=MANY), folds(3, MANY), MANY),
    "one class occurs": lambda: curves.classification(answer(only=[1]), [], TWO),
    "one class of three occurs": lambda: curves.classification(
        answer(classes=THREE, only=[1]), folds(2, THREE, only=[1]), THREE
    ),
    "two classes of three occur": lambda: curves.classification(
        answer(classes=THREE, only=[0, 1]), folds(2, THREE, only=[0, 1]), THREE
    ),
    "a fold of one class": lambda: curves.classification(answer(), [*folds(2), answer("fold 2", only=[0])], TWO),
    "a fold of one class of three": lambda: curves.classification(
        answer(classes=THREE), [*folds(2, THREE), answer("fold 2", THREE, only=[0])], THREE
    ),
    "every fold of one class": lambda: curves.classification(answer(), folds(2, only=[0]), TWO),
    "one class is predicted": lambda: curves.classification(constant(), [constant()], TWO),
    "one class of three is predicted": lambda: curves.classification(constant(THREE), [], THREE),
    "confusions": lambda: curves.confusions(folds(5), TWO),
    "confusions of many folds": lambda: curves.confusions(folds(14), TWO),
    "confusions of many classes": lambda: curves.confusions(folds(2, MANY), MANY),
    "confusions of very many classes": lambda: curves.confusions(folds(2, 3 * MANY), 3 * MANY),
    "no confusions": lambda: curves.confusions([], TWO),
    "without labels": lambda: curves.unlabelled(["no", "no", "yes"], TWO),
    "the loss": lambda: curves.learning_curves(histories(1), "loss"),
    "a metric": lambda: curves.learning_curves(histories(2), "roc_auc"),
    "many folds": lambda: curves.learning_curves(histories(13), "roc_auc"),
    "one epoch": lambda: curves.learning_curves(histories(2, HISTORY[:2]), "roc_auc"),
    "no learning rates": lambda: curves.learning_curves(histories(1, OLD_HISTORY), "loss"),
}


def words(figure, tmp_path) -> str:
    figures.save(figure, tmp_path / "figure.svg")
    return " ".join(ElementTree.parse(tmp_path / "figure.svg").getroot().itertext())


def legends(figure) -> list[list[str]]:
    return [[text.get_text() for text in axis.get_legend().get_texts()] for axis in figure.axes[1:4]]


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_can_be_drawn_without_a_warning(name, tmp_path):
    figures.save(DRAWN[name](), tmp_path / "figure.svg")
    assert ElementTree.parse(tmp_path / "figure.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("name", ["three classes, three folds", "confusions", "a metric"])
def test_the_same_content_is_the_same_bytes(name, tmp_path):
    for path in ("once.svg", "twice.svg"):
        figures.save(DRAWN[name](), tmp_path / path)
    assert (tmp_path / "once.svg").read_bytes() == (tmp_path / "twice.svg").read_bytes()


def test_two_classes_have_one_curve_of_the_last_and_one_thin_one_a_fold():
    pooled, each = answer(), folds(3)
    for panel, kind in zip(curves.classification(pooled, each, TWO).axes[1:], curves.KINDS, strict=True):
        drawn = [line for line in panel.lines if len(line.get_ydata()) > 2]
        assert len(drawn) == 4
        for line, model in zip(drawn, [*each, pooled], strict=True):
            np.testing.assert_array_equal(line.get_ydata()[-501:], model.lines[kind][0])
        assert max(line.get_linewidth() for line in drawn[:3]) < drawn[3].get_linewidth()


def test_legends_tell_pooled_scores_and_mean_and_deviation_over_folds():
    pooled, each = answer(), folds(3)
    for found, kind in zip(legends(curves.classification(pooled, each, TWO)), curves.KINDS, strict=True):
        scores = [model.scores[kind][0] for model in each]
        assert found[0].startswith(f"pooled: {pooled.scores[kind][0]:.3f}")
        assert found[1] == f"3 folds: {np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}"


def test_one_model_has_the_pooled_curve_alone():
    figure = curves.classification(answer("all rows"), [], TWO, "model")
    assert [found[0][:9] for found in legends(figure)] == ["all rows:"] * 3
    assert not any("±" in text for found in legends(figure) for text in found)
    assert all(sum(len(line.get_ydata()) > 2 for line in axis.lines) == 1 for axis in figure.axes[1:])


def test_the_greatest_f1_is_marked_with_its_threshold():
    pooled = answer()
    panel = curves.classification(pooled, folds(2), TWO).axes[3]
    [dot] = [line for line in panel.lines if line.get_marker() == "o"]
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (pooled.thresholds[0], pooled.lines["f1"].max())
    assert panel.get_legend().get_texts()[0].get_text().endswith(f"at {pooled.thresholds[0]:.2f}")


def test_more_classes_have_a_curve_each_and_their_mean():
    pooled, each = answer(classes=THREE), folds(2, THREE)
    figure = curves.classification(pooled, each, THREE)
    for found, kind in zip(legends(figure), curves.KINDS, strict=True):
        means = [model.scores[kind].mean() for model in each]
        assert found[0] == (
            f"mean of classes: {pooled.scores[kind].mean():.3f} ({np.mean(means):.3f} ± {np.std(means, ddof=1):.3f})"
        )
        assert [text.split(":")[0] for text in found[1:]] == list(THREE)
        assert found[1].startswith(f"early: {pooled.scores[kind][0]:.3f} (")
    drawn = [line for line in figure.axes[1].lines if len(line.get_ydata()) > 2]
    assert len(drawn) == 3 * 3 + 1
    np.testing.assert_allclose(drawn[-1].get_ydata()[1:], pooled.lines["roc"].mean(axis=0))


def test_lines_that_could_not_be_told_apart_are_left_to_the_legend():
    for classes, count in ((TWO, curves.MAX_LINES), (THREE, curves.MAX_LINES // 3)):
        pooled = answer(classes=classes)
        few, many = (curves.classification(pooled, folds(n, classes), classes) for n in (count, count + 1))
        assert len(few.axes[1].lines) > count
        assert len(many.axes[1].lines) <= 4
        assert "single folds" in curves.explain(pooled, folds(count, classes), classes)
        assert "single folds" not in curves.explain(pooled, folds(count + 1, classes), classes)
        assert f"{count + 1} folds" in str(legends(many)) + many.axes[1].get_legend().get_title().get_text()


def test_classes_too_many_to_be_named_are_counted():
    figure = DRAWN["many classes"]()
    assert all(found[1:] == ["each of 20 classes"] for found in legends(figure))
    assert "Dots" not in curves.explain(answer(classes=MANY), [], MANY)


def test_a_fold_of_one_class_has_no_curve_and_is_named():
    pooled, each = answer(), [*folds(2), answer("fold 2", only=[0])]
    figure = curves.classification(pooled, each, TWO)
    assert all(found[1].startswith("2 of 3 folds: ") for found in legends(figure))
    assert "nan" not in str(legends(figure))
    assert curves.explain(pooled, each, TWO).endswith("gives no curve there: fold 2.")
    assert "no curve" not in curves.explain(pooled, folds(2), TWO)
    three = [*folds(2, THREE), answer("fold 2", THREE, only=[0, 1])]
    [named, *_] = legends(curves.classification(answer(classes=THREE), three, THREE))
    assert named[3].startswith("mid: ")
    assert named[3].endswith(", 2 of 3)")
    assert not named[1].endswith("of 3)")


def test_labels_of_one_class_leave_the_confusion_alone(tmp_path):
    found = words(DRAWN["one class occurs"](), tmp_path)
    assert "Confusion" in found
    assert found.count("no curve: all labels are of one class") == 3
    assert curves.explain(answer(only=[1]), [], TWO) == "All labels are of one class, so that there are no curves."


def test_a_confusion_tells_counts_and_shares_of_the_true_class():
    pooled = measure.measure("pooled", np.array([0, 0, 0, 1]), np.array([[1, 0], [1, 0], [0, 1], [0, 1.0]]))
    texts = [text.get_text() for text in curves.classification(pooled, [], TWO).axes[0].texts]
    assert texts == ["2\n67%", "1\n33%", "0\n0%", "1\n100%"]
    without = [text.get_text() for text in DRAWN["one class occurs"]().axes[0].texts]
    assert without[:2] == ["0", "0"]
    assert without[3].endswith("%")


def test_confusions_are_of_single_folds_and_of_the_first_where_there_are_many(tmp_path):
    found = words(DRAWN["confusions of many folds"](), tmp_path)
    assert re.findall(r"fold (\d+) \(n = 60\)", found) == [str(fold) for fold in range(curves.MAX_MATRICES)]


def test_numbers_too_small_to_be_read_are_left_to_a_scale():
    figure = DRAWN["confusions of many classes"]()
    assert not any(axis.texts for axis in figure.axes)
    assert len(figure.axes) == 3, "two matrices and one scale"


def test_names_of_classes_are_shortened_at_their_middle_and_are_no_formulas(tmp_path):
    classes = ("costs $1 or $2", "a very long name of class 1")
    found = words(curves.classification(answer(classes=classes), [], classes), tmp_path)
    assert "costs $1 or $2" in found
    assert "a very lo… class 1" in found


def test_many_rows_of_many_folds_make_no_large_file(tmp_path):
    pooled, each = answer(rows=200_000), folds(curves.MAX_LINES, rows=10_000)
    figures.save(curves.classification(pooled, each, TWO), tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size < 750_000


def test_learning_curves_are_of_loss_metric_and_learning_rate():
    figure = curves.learning_curves(histories(2), "roc_auc")
    assert [axis.get_title() for axis in figure.axes] == [
        "Loss (dotted: training, with penalties)",
        "Validation roc auc",
        "Learning rate",
    ]
    drawn = [[line.get_ydata().tolist() for line in axis.lines] for axis in figure.axes]
    assert drawn == [[[2, 1], [1.5, 1.2]] * 2, [[0.2, 0.4]] * 2, [[0.1, 0.05]] * 2]
    assert [line.get_linestyle() for line in figure.axes[0].lines] == [":", "-"] * 2
    assert len(curves.learning_curves(histories(1), "loss").axes) == 2
    assert {line.get_marker() for axis in DRAWN["one epoch"]().axes for line in axis.lines} == {"o"}


def test_models_are_named_while_they_are_few(tmp_path):
    assert "fold 0.1" in words(curves.learning_curves({"fold 0": HISTORY, "fold 0.1": HISTORY}, "loss"), tmp_path)
    assert "fold 12" not in words(DRAWN["many folds"](), tmp_path)


def test_classes_whose_short_names_are_the_same_have_bars_of_their_own():
    classes = ["Saccharomyces_cerevisiae_chr01_XXXXXXXX", "Saccharomyces_pombe_chr01_XXXXXXXX"]
    axis = curves.unlabelled([classes[0], classes[0], classes[1]], classes).axes[0]
    assert [(bar.get_y() + bar.get_height() / 2, bar.get_width()) for bar in axis.patches] == [(0, 2), (1, 1)]
