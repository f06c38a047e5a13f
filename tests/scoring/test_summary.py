import numpy as np
import pandas as pd
import pytest

from rnalm.scoring.summary import BINS, profile, recovery, summarize


def scores(sequence: str, letters: str, loo: list[float], first: int = 0, **columns) -> pd.DataFrame:
    starts = np.arange(first, first + len(letters))
    frame = pd.DataFrame({"sequence": sequence, "token": list(letters), "label": 1.0, "pred": 2.0})
    return frame.assign(start_offset=starts, end_offset=starts + 1, loo=loo).assign(**columns)


def test_a_profile_has_one_score_a_token():
    found = profile(scores("s", "cga", [0.1, -0.2, 0.3], first=5))
    assert (found.sequence, found.label, found.pred) == ("s", 1.0, 2.0)
    assert found.tokens == ["c", "g", "a"]
    assert found.starts.tolist() == [5, 6, 7]
    assert found.loo.tolist() == [0.1, -0.2, 0.3]


@pytest.mark.parametrize("label", [np.nan, None])
def test_a_profile_has_no_label_where_there_is_none(label):
    assert profile(scores("s", "ca", [0.1, 0.2], label=label)).label is None


def test_a_profile_of_replacements_is_their_mean():
    frame = scores("s", "aac", [0.5, 0.1, -0.2], replacement=["c", "g", "t"], start_offset=[3, 3, 4])
    found = profile(frame)
    assert found.tokens == ["a", "c"]
    assert found.loo.tolist() == pytest.approx([0.3, -0.2])


def test_a_profile_is_that_of_the_class_explained_or_of_all_the_predicted_one():
    columns = {"start_offset": [0, 0, 1, 1], "class": ["no", "yes"] * 2, "pred": "yes", "label": "no"}
    found = profile(scores("s", "aacc", [-0.1, 0.1, -0.4, 0.4], **columns))
    assert (found.label, found.pred) == ("no", "yes")
    assert found.loo.tolist() == [0.1, 0.4]
    named = {"class": "no", "pred": "yes"}  # which is explained alone
    assert profile(scores("s", "ac", [-0.1, -0.4], **named)).loo.tolist() == [-0.1, -0.4]


def test_of_some_classes_without_the_predicted_one_a_profile_is_that_of_the_first():
    columns = {"start_offset": [0, 0, 1, 1], "class": ["late", "never"] * 2, "pred": "early"}
    assert profile(scores("s", "aacc", [-0.1, 0.1, -0.4, 0.4], **columns)).loo.tolist() == [-0.1, -0.4]


def test_all_is_counted_and_profiles_are_those_asked_for_in_the_order_asked():
    frames = [scores(name, "ca", [1, 2]) for name in "stuv"]
    found = summarize(frames, shown=["v", "missing", "s"])
    assert (found.predictions, found.scores) == (4, 8)
    assert [profile.sequence for profile in found.profiles] == ["v", "s"]
    assert summarize(frames).profiles == []


def test_positions_run_from_the_5_prime_to_the_3_prime_end():
    long = scores("s", "a" * 100, [0.0] * 90 + [-2.0] * 10)
    found = summarize([long]).position
    assert found.shape == (BINS,)
    assert found[:45].tolist() == [0] * 45
    assert found[45:].tolist() == [2] * 5


def test_positions_are_means_of_sizes_over_all_tokens_in_a_bin():
    frames = [scores("s", "a" * BINS, [1.0] * BINS), scores("t", "a" * 2 * BINS, [-4.0] * 2 * BINS)]
    assert summarize(frames).position.tolist() == pytest.approx([3] * BINS)


def test_bins_without_a_token_are_nan():
    found = summarize([scores("s", "c", [1.0])]).position
    assert np.flatnonzero(~np.isnan(found)).tolist() == [BINS // 2]
    assert np.isnan(summarize([]).position).all()


def test_exchanges_are_mean_scores_by_token_and_replacement_of_all_classes_those_of_the_predicted_one():
    frames = [
        scores("s", "aac", [1.0, 2.0, 5.0], replacement=["c", "g", "t"], start_offset=[0, 0, 1]),
        scores("t", "aa", [3.0, 4.0], replacement=["c", "g"], start_offset=[0, 0]),
    ]
    found = summarize(frames).exchanges
    assert found.loc["a"].dropna().to_dict() == {"c": 2.0, "g": 3.0}
    assert found.loc["c"].dropna().to_dict() == {"t": 5.0}
    assert summarize([scores("s", "ca", [1, 2])]).exchanges is None
    # Over all classes, changes of probability cancel out.
    columns = {"start_offset": [0, 0], "replacement": "c", "class": ["no", "yes"], "pred": "yes"}
    assert summarize([scores("s", "aa", [-0.3, 0.3], **columns)]).exchanges.loc["a", "c"] == pytest.approx(0.3)


@pytest.mark.parametrize(("loo", "expected"), [([0.1] * 18 + [5.0, 6.0], 1), ([5.0] * 18 + [0.1, 0.2], 0)])
def test_scores_find_the_elements_or_avoid_them(loo, expected):
    found = recovery(np.array(loo), np.array([False] * 18 + [True] * 2))
    assert (found["auroc"], found["recall_top_decile"], found["tokens"], found["element_tokens"]) == (expected, expected, 20, 2)
    assert found["auroc_top_decile"] == pytest.approx(1 if expected else 8 / 18)


def test_equal_scores_are_chance_and_their_top_decile_is_still_a_tenth():
    inside = np.zeros(100, dtype=bool)
    inside[::2] = True
    found = recovery(np.ones(100), inside)
    assert found["auroc"] == 0.5
    assert found["recall_top_decile"] == 0.1


@pytest.mark.parametrize("inside", [[False] * 4, [True] * 4])
def test_recovery_is_not_defined_without_elements_or_without_anything_else(inside):
    found = recovery(np.arange(4.0), np.array(inside))
    assert np.isnan([found["auroc"], found["auroc_top_decile"], found["recall_top_decile"]]).all()
    assert found["tokens"] == 4
    assert found["element_tokens"] == sum(inside)


def test_elements_are_found_by_position_in_the_uncut_sequence_half_open_whatever_the_sign():
    frames = [scores("s", "a" * 20, [0.0] * 8 + [-3.0, 3.0] + [0.0] * 10, first=30), scores("t", "c" * 20, [0.1] * 20)]
    found = summarize(frames, elements={"s": [(38, 40, "motif")], "other": [(0, 99, "")]}).elements
    assert found["tokens"] == 40
    assert found["element_tokens"] == 2
    assert found["auroc"] == 1


def test_a_token_is_in_an_element_if_one_of_its_letters_is():
    kmers = scores("s", "a" * 20, [0.0] * 20).assign(end_offset=lambda rows: rows["start_offset"] + 6)
    assert summarize([kmers], elements={"s": [(10, 14, "")]}).elements["element_tokens"] == 9


def test_no_elements_are_no_recovery():
    assert summarize([scores("s", "ca", [1, 2])]).elements is None
    found = summarize([scores("s", "ca", [1, 2])], elements={}).elements
    assert np.isnan(found["auroc"])
    assert found["element_tokens"] == 0
