"""The configuration's reference, generated from its models: JSON schema and ``config/README.md``."""

import json
from collections import Counter
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rnalm.config import Config, Section, SourceSection

INTRODUCTION = """\
# The configuration

One YAML file describes an experiment. `config.yaml` is the demo; `examples/` has one for each of several real studies.
A run takes it by name, and nothing else is mixed in:

    snakemake --cores 8 --configfile config/examples/utr3_mpra.yaml

Only `output` and `source` (its `path`, and the columns of id, sequence and label) must be set; everything else has a
default. An unknown key is an error that names the nearest valid one. `rnalm check FILE` looks a file over without running
anything. Single values can be set on the command line: `--config output=results/try seed=2`.

To predict and interpret without training, give `model` the folder of a trained model, or a list of them, and the new file
as `source` (labels are then optional). With `inference`, further files go through every model, trained here or given.

This page is generated from `rnalm/config/` (`make docs`).
"""


def schema() -> str:
    """Give the JSON schema of the configuration."""
    content = Config.model_json_schema(mode="validation")
    return (
        json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"} | content, indent=2, ensure_ascii=False) + "\n"
    )


def keys() -> str:
    """Describe every key, as Markdown."""
    sections = list(_sections(Config, ""))
    choices = Counter(path for path, _ in sections)
    tables = [_table(path, section, choices[path] > 1) for path, section in sections]
    return "\n".join([INTRODUCTION, *tables])


def _sections(section: type[Section], path: str) -> Iterator[tuple[str, type[Section]]]:
    """Walk the sections, each once."""
    yield path, section
    for name, info in section.model_fields.items():
        for inner in _sections_of(info.annotation):
            # A source looks the same wherever it stands; it is described once.
            if not (issubclass(inner, SourceSection) and (path, name) != ("", "source")):
                yield from _sections(inner, f"{path}.{name}".lstrip("."))


def _sections_of(annotation: Any) -> list[type[Section]]:
    """List the sections that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections_of(part)]


def _table(path: str, section: type[Section], one_of_several: bool) -> str:
    kind = f" ({vars(section)['title']})" if one_of_several else ""
    title = f"## `{path}`{kind}" if path else "## Top level"
    fields = [(info.alias or name, info) for name, info in section.model_fields.items()]
    rows = [f"| `{name}` | {_kind(info)} | {_default(info)} | {_meaning(info)} |" for name, info in fields]
    head = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([title, "", f"{section.__doc__}", "", *head, *rows, ""])


def _meaning(info: FieldInfo) -> str:
    if info.description:
        return info.description
    inner = _sections_of(info.annotation)
    return f"{' Or: '.join(f'{section.__doc__}' for section in inner)} See below." if inner else ""


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "required"
    if isinstance(info.default, Section):
        return "see below"
    return f"`{json.dumps(info.default, ensure_ascii=False)}`"


def _kind(info: FieldInfo) -> str:
    bounds = [text for bound in info.metadata for text in _bound(bound)]
    return " ".join([_name(info.annotation), *bounds])


def _bound(bound: Any) -> list[str]:
    for kind, sign, value in ((Ge, "≥", "ge"), (Gt, ">", "gt"), (Le, "≤", "le"), (Lt, "<", "lt")):
        if isinstance(bound, kind):
            return [f"{sign} {getattr(bound, value):g}"]
    return []


def _name(annotation: Any) -> str:
    """Name a type as a biologist would."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _name(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_name(part) for part in inner))
    if origin is list:
        return f"list of {_name(inner[0])}"
    if origin is tuple:
        return f"{len(inner)} numbers"
    if origin is dict:
        return f"mapping of {_name(inner[0])} to {_name(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "section"
    return {str: "text", int: "integer", float: "number", bool: "true or false", NoneType: "null", Any: "any value"}[annotation]
