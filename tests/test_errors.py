import pytest

from rnalm.errors import nearest

MANY = [f"column{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("name", "known", "limit", "hint"),
    [
        ("epoch", ["batch_size", "epochs"], 12, "did you mean 'epochs'? (valid: batch_size, epochs)"),
        ("LABEL", ["id", "label"], 12, "did you mean 'label'? (valid: id, label)"),
        ("good", ["GOOD", "WEAK"], 12, "did you mean 'GOOD'? (valid: GOOD, WEAK)"),
        (11, ["1", "2"], 12, "did you mean '1'? (valid: 1, 2)"),
        ("zzz", ["id", "label"], 12, "valid: id, label"),
        ("zzz", [], 12, "valid: none"),
        ("column7", MANY, 12, "did you mean 'column7'?"),
        ("zzz", MANY, 3, "valid: column0, column1, column2, …"),
    ],
)
def test_the_nearest_name_is_suggested_and_valid_names_are_listed_if_they_are_few_or_none_is_close(name, known, limit, hint):
    assert nearest(name, known, limit) == hint
