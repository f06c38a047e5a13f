"""What all parts of the configuration share."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A part of the configuration; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True, allow_inf_nan=False)


def _unescape(value: Any) -> Any:
    r"""Let users write ``\t`` in plain YAML, where it arrives as a backslash and a letter."""
    return value.replace("\\t", "\t") if isinstance(value, str) else value


def _no_separator(value: Any) -> Any:
    """Accept the ways in which people write that there is no separator."""
    return None if value in ("", False) else _unescape(value)


def _all(value: Any) -> Any:
    return None if value == "all" else value


#: Names of classes: a list, or a file with one in each line; None: all.
Names = Annotated[list[str] | str | None, BeforeValidator(_all)]
Separator = Annotated[str, BeforeValidator(_unescape), Field(min_length=1)]
OptionalSeparator = Annotated[str | None, BeforeValidator(_no_separator)]
Position = Annotated[int, Field(ge=1, strict=True)]
Column = Position | str
SplitName = str | Annotated[int, Field(strict=True)]
