import pytest

from rnalm.errors import nearest


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("epoch", ["batch_size", "epochs"], "did you mean 'epochs'? (valid: batch_size, epochs)"),
        ("LABEL", ["id", "label"], "did you mean 'label'? (valid: id, label)"),
        ("good", ["GOOD", "WEAK"], "did you mean 'GOOD'? (valid: GOOD, WEAK)"),
        (11, ["1", "2"], "did you mean '1'? (valid: 1, 2)"),
        ("zzz", ["id", "label"], "valid: id, label"),
        ("zzz", [], "valid: none"),
    ],
)
def test_the_nearest_name_is_suggested_and_all_valid_names_are_listed(name, known, hint):
    assert nearest(name, known) == hint


def test_a_long_list_of_valid_names_is_left_out_when_one_is_close():
    assert nearest("column7", [f"column{i}" for i in range(20)], limit=12) == "did you mean 'column7'?"


def test_a_long_list_of_valid_names_is_cut_when_none_is_close():
    assert nearest("zzz", [f"column{i}" for i in range(20)], limit=3) == "valid: column0, column1, column2, …"
