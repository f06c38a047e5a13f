import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.report.anchor import cover, ends, spread, survey


@given(st.floats(1e-6, 1e6), st.floats(1e-9, 1e9))
def test_a_step_covers_what_it_is_to_cover_and_no_smaller_one_does(unit, largest):
    step = cover(unit, largest)
    assert step * (1 + 1e-6) >= largest
    assert step <= 2.5 * largest * (1 + 1e-6)


@pytest.mark.parametrize("largest", [0.0, float("nan")])
def test_without_effects_the_step_is_the_unit(largest):
    assert cover(3.0, largest) == 3.0


@pytest.mark.parametrize(
    ("labels", "predictions", "expected"),
    [
        ([1.0, 3.0], [5.0, 9.0], (1.0, "labels")),
        ([2.0, 2.0], [5.0, 9.0], (2.0, "predictions")),
        ([], [np.nan, 5.0], (1.0, "")),
    ],
)
def test_effects_are_told_in_deviations_of_labels_or_else_of_predictions(labels, predictions, expected):
    assert spread(np.array(labels), np.array(predictions)) == expected


def test_proteins_have_an_n_and_a_c_end_and_nucleic_acids_with_marks_do_not():
    assert ends(["[UNK]", *"MKLFPQIEN"]) == ("N", "C")
    assert ends(["MKL", "FPE"]) == ("N", "C")
    assert ends(["a", "c", "gej", "[UNK]", "N"]) == ("5′", "3′")


def test_the_scale_is_one_of_all_sequences_and_of_classes_a_step_of_the_score(tmp_path):
    def seen(**columns):
        frame = pd.DataFrame({"sequence": list("ssot"), "token": list("acgt"), "start_offset": [0, 1, 0, 0]})
        frame.assign(end_offset=1, loo=[0.1, -0.3, 0.2, 0.3], **columns).to_parquet(tmp_path / "scores.parquet", index=False)
        return survey(tmp_path / "scores.parquet")

    numbers = seen(label=[1.0, 1.0, 2.0, 3.0], pred=[1.0, 1.0, 5.0, 9.0])
    assert numbers.step == pytest.approx(0.5 * np.std([1, 2, 3]))
    assert numbers.said == "0.5 standard deviations of the labels"
    assert (numbers.sizes.tolist(), numbers.strength.tolist()) == ([2, 1, 1], [0.3, 0.2, 0.3])
    classes = seen(label=None, pred=list("xxyx"))
    assert (classes.step, classes.said, classes.pred.tolist()) == (0.5, "a step of the score", [0, 1, 0])


def test_of_several_targets_the_first_has_the_scale(tmp_path):
    rows = [
        {"sequence": name, "token": "a", "label": label * size, "pred": label * size, "class": target, "loo": size * 0.1}
        for name, label in (("s", 1.0), ("t", 3.0))
        for target, size in (("first", 1.0), ("second", 1000.0))
    ]
    table = pd.DataFrame(rows).assign(start_offset=0, end_offset=1)
    table.to_parquet(tmp_path / "scores.parquet")
    seen = survey(tmp_path / "scores.parquet")
    assert (seen.step, seen.said) == (pytest.approx(0.1), "0.1 standard deviations of the labels")
    assert seen.strength.tolist() == pytest.approx([0.1, 0.1])
