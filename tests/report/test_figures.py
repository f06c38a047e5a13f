from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from rnalm.report import figures
from rnalm.scoring.summary import Profile

#: Pictures are drawn, many of them.
pytestmark = pytest.mark.slow

CLASSES = ("early", "late", "mid")
RANDOM = np.random.default_rng(0)
NUMBERS = pd.DataFrame({"label": RANDOM.lognormal(size=40), "pred": RANDOM.lognormal(size=40)})
TARGETS = pd.DataFrame({"$liver": NUMBERS["label"], "brain": NUMBERS["pred"].where(RANDOM.random(40) < 0.5)})
NAMES = pd.DataFrame({"label": RANDOM.choice(CLASSES, 40)})
NO_LABELS = pd.Series([np.nan] * 40)
EXCHANGES = pd.DataFrame([[np.nan, 0.5], [-0.25, np.nan]], index=["a", "c"], columns=["a", "c"])


def profile_of(loo, sequence="s1", label: float | str | None = 1.5, pred: float | str = 2.0, first=0) -> Profile:
    loo = np.array(loo, dtype=float)
    return Profile(
        sequence,
        sequence,
        None,
        label,
        pred,
        ["a"] * len(loo),
        first + np.arange(len(loo)),
        first + 1 + np.arange(len(loo)),
        loo,
    )


DRAWN = {
    "numbers as labels": lambda: figures.data(np.arange(1, 41), NUMBERS["label"]),
    "numbers on a log axis": lambda: figures.data(np.arange(1, 41), NUMBERS["label"], log_labels=True),
    "equal labels on a log axis": lambda: figures.data(np.ones(3), pd.Series([2.0] * 3), log_labels=True),
    "classes as labels": lambda: figures.data(np.arange(1, 41), NAMES["label"]),
    "no labels": lambda: figures.data(np.arange(1, 41), NO_LABELS),
    "regression": lambda: figures.regression({"": NUMBERS}, {"": {"pearson": 0.5, "spearman": None}}),
    "regression on log axes": lambda: figures.regression(
        {"": NUMBERS}, {"": {"pearson": 0.5, "spearman": 0.25}}, logarithmic=True
    ),
    "regression without labels": lambda: figures.regression({"": NUMBERS.assign(label=np.nan)}, {}),
    "regression of many points": lambda: figures.regression({"": pd.concat([NUMBERS] * 100)}, {}),
    "several targets": lambda: figures.regression({f"$t{k}": NUMBERS for k in range(5)}, {"$t0": {"pearson": 0.5}}),
    "numbers of several targets": lambda: figures.data(np.ones(40), TARGETS),
    "several targets on a log axis": lambda: figures.data(np.ones(40), TARGETS, log_labels=True),
    "profiles": lambda: figures.profiles([profile_of([0.1, -0.2]), profile_of([0, 0], label=None)]),
    "profiles with elements": lambda: figures.profiles([profile_of([0.1, -0.2])], {"s1": [(0, 1, "motif")]}),
    "a long profile": lambda: figures.profiles([profile_of(RANDOM.normal(size=1001), pred="mid", label="late")]),
    "no profiles": lambda: figures.profiles([]),
    "positions": lambda: figures.positions(np.linspace(0, 1, 50)),
    "positions without scores": lambda: figures.positions(np.full(50, np.nan)),
    "exchanges": lambda: figures.positions(np.linspace(0, 1, 50), EXCHANGES),
}


def words(figure, tmp_path) -> str:
    figures.save(figure, tmp_path / "figure.svg")
    return " ".join(ElementTree.parse(tmp_path / "figure.svg").getroot().itertext())


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_can_be_drawn_without_a_warning(name, tmp_path):
    figures.save(DRAWN[name](), tmp_path / "figure.svg")
    assert ElementTree.parse(tmp_path / "figure.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("name", ["numbers as labels", "regression", "regression of many points", "profiles", "exchanges"])
def test_the_same_content_is_the_same_bytes(name, tmp_path):
    for path in ("once.svg", "twice.svg"):
        figures.save(DRAWN[name](), tmp_path / path)
    assert (tmp_path / "once.svg").read_bytes() == (tmp_path / "twice.svg").read_bytes()


def test_labels_are_named_and_missing_ones_are_left_out_and_said_to_be_missing(tmp_path):
    assert "length (tokens)" in words(DRAWN["numbers as labels"](), tmp_path)
    assert all(name in words(DRAWN["classes as labels"](), tmp_path) for name in CLASSES)
    assert "no labels" in words(DRAWN["no labels"](), tmp_path)
    assert "no labels" not in words(figures.data(np.ones(3), pd.Series([1.0, np.nan, 3.0])), tmp_path)
    frame = NUMBERS.assign(label=NUMBERS["label"].where(np.arange(40) < 30))
    assert "(n = 30)" in words(figures.regression({"": frame}, {}), tmp_path)


def test_correlations_and_the_number_of_points_stand_in_the_title(tmp_path):
    found = words(DRAWN["regression"](), tmp_path)
    assert "Pearson 0.500" in found
    assert "Spearman" not in found
    assert "(n = 40)" in found


def test_many_points_make_no_large_file(tmp_path):
    figures.save(figures.regression({"": pd.concat([NUMBERS] * 500)}, {}), tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size < 300_000


def test_profiles_say_what_was_predicted_and_what_is_true(tmp_path):
    shown = [profile_of([1, -1], "first"), profile_of([1], "second", label=None), profile_of([1], "third", "late", "mid")]
    found = words(figures.profiles(shown), tmp_path)
    assert "first: predicted 2, true 1.5" in found
    assert "second: predicted 2 " in found
    assert "third: predicted mid, true late" in found


def test_elements_are_marked_in_their_own_sequence_only(tmp_path):
    plain = figures.profiles([profile_of([1, -1])], {})
    other = figures.profiles([profile_of([1, -1])], {"another": [(0, 1, "")]})
    marked = figures.profiles([profile_of([1, -1])], {"s1": [(0, 1, "")]})
    assert [len(figure.axes[0].lines) for figure in (plain, other, marked)] == [1, 1, 2]
    assert list(marked.axes[0].lines[1].get_xdata()) == [0, 1]


def test_scores_that_raise_and_that_lower_the_prediction_differ_in_colour():
    bars = figures.profiles([profile_of([0.5, -0.5])]).axes[0].patches
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [figures.UP, figures.DOWN]


def test_a_bar_of_a_long_profile_is_the_largest_change_in_its_stretch(monkeypatch):
    monkeypatch.setattr(figures, "MAX_BARS", 20)
    loo = np.zeros(3 * figures.MAX_BARS)
    loo[[4, 10]] = [-2.0, 3.0]
    bars = figures.profiles([profile_of(loo, first=100)]).axes[0].patches
    assert len(bars) == figures.MAX_BARS
    assert [(round(bar.get_x()), bar.get_height()) for bar in bars if bar.get_height()] == [(103, -2), (109, 3)]


def test_the_axis_of_a_profile_is_the_position_in_the_uncut_sequence():
    axis = figures.profiles([profile_of([1, 2, 3], first=50)]).axes[0]
    assert axis.get_xlim() == (50, 53)


def test_exchanges_name_tokens_and_replacements_and_centre_on_zero():
    figure = figures.positions(np.linspace(0, 1, 50), EXCHANGES)
    axis = figure.axes[1]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "c"]
    assert axis.images[0].get_clim() == (-0.5, 0.5)


def test_of_several_targets_each_has_a_panel_with_its_name_and_figures(tmp_path):
    found = words(figures.regression({"liver": NUMBERS, "brain": NUMBERS}, {"brain": {"pearson": 0.25}}), tmp_path)
    assert "liver" in found
    assert "Pearson 0.250" in found
    assert found.count("predicted") == 2
