"""A configuration as the user wrote it ─► the checked models, or one line that says what is wrong."""

import re
from typing import Any, get_args, get_origin

from pydantic import Discriminator, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rnalm.config import ARCHITECTURES, Config, Section
from rnalm.errors import RnalmError, nearest

#: A valid value, as pydantic lists them.
QUOTED = r"'([^']*)'"


def load(settings: dict[str, Any], name: str = "config") -> Config:
    """Check a configuration and fill in defaults.

    Parameters
    ----------
    settings : dict
        The configuration as read from YAML.
    name : str
        What to call it in messages.

    Raises
    ------
    RnalmError
        On the first mistake: the key, what was found, what was expected, the nearest valid key.
    """
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    keys = {_location(problem, settings) for problem in problems}
    more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
    raise RnalmError(f"{name}: {_explain(problems[0], settings)}{more}")


def _location(problem: ErrorDetails, settings: Any) -> tuple[Any, ...]:
    """Find the key that a problem is about: what of pydantic's location is in the settings, and the last new key."""
    location: list[Any] = []
    inner: Any = settings
    for part in problem["loc"]:
        keys: Any = inner if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
        if part in keys:
            location.append(part)
            inner = inner[part]  # pyright: ignore[reportArgumentType, reportCallIssue]
    if problem["type"] == "missing":
        location.append(problem["loc"][-1])
    return tuple(location)


def _explain(problem: ErrorDetails, settings: dict[str, Any]) -> str:
    location = _location(problem, settings)
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'; {nearest(location[-1], _fields(location[:-1], settings), limit=30)}"
    if problem["type"] == "missing":
        # Of sources, only tables need it.
        hint = ": a table needs it; if it is FASTA, path: [FILE] says so" if location[-1] == "columns" else ""
        return f"key '{key}' is missing{hint}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{key}.{message}" if key else message
    context = problem.get("ctx", {})
    if problem["type"] == "union_tag_invalid":
        return f"{key}.name: found {context['tag']!r}; {nearest(context['tag'], ARCHITECTURES)}"
    if problem["type"] == "literal_error":
        return f"{key}: found {problem['input']!r}; {nearest(problem['input'], re.findall(QUOTED, context['expected']))}"
    if isinstance(problem["input"], bool) and problem["type"] != "bool_type":
        return f"{key}: found {problem['input']}, which is how YAML reads yes, no, on and off; put a name in quotes"
    return f"{key}: found {problem['input']!r}; {message[0].lower()}{message[1:]}"


def _fields(location: tuple[Any, ...], settings: Any) -> list[str]:
    """Name the valid keys of the section at ``location``."""
    section: Any = Config
    for part in location:
        settings = settings[part]
        inside = section["*"] if isinstance(section, dict) else section.model_fields[part]
        section = _section(inside, settings)
    return [info.alias or name for name, info in section.model_fields.items()]


def _section(annotation: Any, value: Any) -> type[Section] | dict[str, Any] | None:
    """Find the section that an annotation means: of several, that of the kind of the value; in a mapping, under ``*``."""
    if isinstance(annotation, FieldInfo):
        annotation, marks = annotation.annotation, annotation.metadata
    else:
        marks = getattr(annotation, "__metadata__", ())
        annotation = get_args(annotation)[0] if marks else annotation
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if get_origin(annotation) is dict:
        return {"*": get_args(annotation)[1]}
    choices = get_args(annotation)
    for mark in marks:
        if isinstance(mark, Discriminator):
            assert callable(mark.discriminator)
            kind = str(mark.discriminator(value))
            choices = [choice for choice in choices if Tag(kind) in choice.__metadata__]
    return next(filter(None, (_section(choice, value) for choice in choices)), None)
