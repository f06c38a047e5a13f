import json
from pathlib import Path

import pytest
import yaml

from rnalm import config
from rnalm.config import load, reference

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("file", "generate"),
    [("config/README.md", reference.keys), ("workflow/schemas/config.schema.json", reference.schema)],
)
def test_what_is_generated_is_up_to_date(file, generate):
    assert (ROOT / file).read_text(encoding="utf-8") == generate(), f"{file} is out of date; run: make docs"


def sections() -> list[type[config.Section]]:
    return config.Section.__subclasses__()


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_key_has_a_type_a_default_and_a_meaning(section):
    lines = reference.keys().splitlines()
    for name in section.model_fields:
        rows = [line for line in lines if line.startswith(f"| `{name}` |")]
        assert rows
        for row in rows:
            cells = [cell.strip() for cell in row.replace(r"\|", "").strip("|").split("|")]
            assert len(cells) == 4
            assert all(cells)


@pytest.mark.parametrize("key", ["source.columns", "folds", "finetune", "interpret"])
def test_every_section_has_a_heading(key):
    assert f"## `{key}`" in reference.keys().splitlines()


@pytest.mark.parametrize("file", sorted((ROOT / "config").rglob("*.yaml")), ids=lambda file: file.name)
def test_the_schema_accepts_the_configurations_that_come_along(file):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(yaml.safe_load(file.read_text(encoding="utf-8")), json.loads(reference.schema()))


@pytest.mark.parametrize("wrong", [{"outptu": "x"}, {"finetune": {"epochs": 0}}, {"source": {"path": 3}}])
def test_the_schema_refuses_what_the_library_refuses(wrong, refusal):
    jsonschema = pytest.importorskip("jsonschema")
    settings = {"output": "o", "source": {"path": "x", "columns": {"id": 1, "sequence": 2, "label": 3}}} | wrong
    refusal(load.load, settings)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(settings, json.loads(reference.schema()))
