import pytest

from rnalm.config import document
from rnalm.config.load import load


@pytest.fixture
def write(tmp_path):
    """Write a file and give its path."""

    def path_of(content: str, name: str = "my.yaml") -> str:
        (tmp_path / name).write_text(content)
        return str(tmp_path / name)

    return path_of


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("finetune: {epochs: 2}\nseed: 1\nfinetune:\n  epochs: 3\n", "key 'finetune' stands twice, in lines 1 and 3"),
        ("source:\n  path: a\n  'path': b\n", "key 'source.path' stands twice, in lines 2 and 3"),
        ("model:\n- {a: 1, a: 2}\n", "key 'model.0.a' stands twice, in lines 2 and 2"),
        ('{"seed": 1,\n\t"seed": 2}', "key 'seed' stands twice, in lines 1 and 2"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(content, message, write, refusal):
    path = write(content)
    assert refusal(document.read, path) == f"{path}: {message}; expected it once"


@pytest.mark.parametrize(
    ("content", "place", "written", "means"),
    [
        ("source:\n  classes: {yes: a.fa}", "line 2: source.classes.yes", "yes", "yes or no"),
        ("classes: {No: a.fa}", "line 1: classes.No", "No", "yes or no"),
        ("classes: {null: a.fa}", "line 1: classes.null", "null", "nothing"),
        ("classes: {2024-01-02: a.fa}", "line 1: classes.2024-01-02", "2024-01-02", "a date"),
        ("report: {title: 2024-01-02}", "line 1: report.title", "2024-01-02", "a date"),
        ("test: [09, 010]", "line 1: test.1", "010", "8"),
        ("classes: {12:30: a.fa}", "line 1: classes.12:30", "12:30", "750"),
    ],
)
def test_a_name_that_yaml_takes_for_something_else_is_to_be_put_in_quotes(content, place, written, means, write, refusal):
    path = write(content)
    assert refusal(document.read, path) == (
        f'{path}: {place}: found {written}, which YAML reads as {means}; put it in quotes: "{written}"'
    )


def test_what_is_in_quotes_or_stands_once_in_each_section_is_read_as_it_is(write):
    content = "a: &x {header: no, n: 10, f: 1.5}\nb: *x\nc: {<<: *x, n: 11}\n'yes': '010'\n1: null\n"
    same = {"header": False, "n": 10, "f": 1.5}
    assert document.read(write(content)) == {"a": same, "b": same, "c": same | {"n": 11}, "yes": "010", 1: None}
    assert document.read(write('{\n\t"a": [1,\t2]\n}', "my.json")) == {"a": [1, 2]}
    assert document.read(write("")) is None


@pytest.mark.parametrize("key", ["test", "validation"])
def test_yes_and_no_as_values_of_names_are_told_to_be_put_in_quotes(key, refusal):
    settings = {"output": "out", "source": {"path": "a", "columns": {"id": 1, "sequence": 2, "label": 3, "split": 4}}}
    both = {"validation": ["v"], "test": ["t"]} | {key: [True]}
    message = refusal(load, settings | {"folds": {"method": "column"} | both})
    assert message.startswith(
        f"config: folds.{key}.0: found True, which is how YAML reads yes, no, on and off; put a name in quotes"
    )
    settings["source"]["columns"]["id"] = False
    assert "source.columns.id: found False, which is how YAML reads yes, no, on and off" in refusal(load, settings)


def test_numbers_of_json_are_numbers(tmp_path):
    (tmp_path / "c.json").write_text('{"values":[1e-4,\t1E3],\n"min": 1e-2}')
    assert document.read(tmp_path / "c.json") == {"values": [1e-4, 1e3], "min": 1e-2}
