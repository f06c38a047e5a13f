"""What a user reads after a mistake: one clear line, and no traceback."""

import gzip
import shutil

import pytest

from rnalm.labels.labels import Labels


def set_key(path: str, value):
    def change(experiment):
        *sections, last = path.split(".")
        section = experiment.config
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value

    return change


def set_cell(row: int, column: int, value: str, *also):
    def change(experiment):
        def edit(rows):
            rows[row][column] = value
            return rows

        experiment.write_table(edit=edit)
        for more in also:
            more(experiment)

    return change


def named_gzip(experiment):
    shutil.copy(experiment.folder / "table.tsv", experiment.folder / "table.tsv.gz")
    experiment.config["source"]["path"] = "table.tsv.gz"


def cut_gzip(experiment):
    whole = gzip.compress((experiment.folder / "table.tsv").read_bytes())
    (experiment.folder / "table.tsv.gz").write_bytes(whole[:-20])
    experiment.config["source"]["path"] = "table.tsv.gz"


def model_without_tokenizer(experiment):
    model = experiment.folder / "model"
    model.mkdir()
    Labels("regression").save(model / "labels.json")
    for name in ("config.json", "model.safetensors"):
        (model / name).touch()
    experiment.config["model"] = "model"


MISTAKES = {
    "a missing column": (
        set_key("source.columns.label", "labels"),
        "table.tsv: no column 'labels' for columns.label; did you mean 'label'? (valid: id, sequence, label, split)",
    ),
    "a label that is no number": (
        set_cell(4, 2, "high"),
        "table.tsv, line 6: the label of 's4' is 'high', expected a number",
    ),
    "the log of a label that is not positive": (
        set_cell(4, 2, "-1.5", set_key("labels.scaling", "log"), set_key("folds", {"method": "rotate", "n": 4})),
        "labels.scaling: log needs labels > 0, found 1 that are not: s4 (-1.5)",
    ),
    "an unknown key": (
        set_key("finetune.epoch", 3),
        "config: unknown key 'finetune.epoch'; did you mean 'epochs'? (valid: ",
    ),
    "an unknown split": (
        set_key("folds", {"method": "column", "validation": ["b"], "test": ["e"]}),
        "folds.test: no row is in split 'e'; valid: a, b, c, d",
    ),
    "an empty sequence": (
        set_cell(4, 1, ""),
        "table.tsv, line 6: the sequence of 's4' is empty",
    ),
    "a duplicate id": (
        set_cell(4, 0, "s2"),
        "table.tsv, line 6: the id 's2' was already used in line 4; ids must be unique",
    ),
    "a file that is not gzip": (
        named_gzip,
        "table.tsv.gz: named .gz but not gzip-compressed; expected a gzip file",
    ),
    "a gzip file that was cut": (
        cut_gzip,
        "table.tsv.gz: the gzip file ends too early; it is damaged or was cut",
    ),
    "a replacement that is no token": (
        set_key("interpret", {"modes": ["replace"], "replacements": {"A": ["c"]}}),
        "interpret.replacements: token 'c' is not in the vocabulary; did you mean 'C'? (valid: A, C, G, T)",
    ),
    "a model without a tokenizer": (
        model_without_tokenizer,
        "model: model folder without a tokenizer; expected the file tokenizer.json in it",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_one_clear_line(experiment, mistake):
    make, message = MISTAKES[mistake]
    make(experiment)
    found = experiment.run()
    assert found.returncode != 0
    assert "Traceback" not in found.stdout
    assert message in "\n".join(found.stdout.splitlines()[-8:])
    assert not list(experiment.output.glob("fine-tune/*/model.safetensors"))
