"""Configuration of columns: where a table holds what."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from rnalm.config.section import Column, Section


class AttributeColumns(Section):
    """Where a table about the sequences of a FASTA file holds what: header names or 1-based positions."""

    id: Column
    """Identifier of the sequence; must be unique."""
    label: Column | Annotated[list[Column], Field(min_length=1)] | None = None
    """What the model learns; with `labels.per: token` as many as tokens. Needed for training, optional for prediction. A list \
of columns is, with `task: multilabel`, one a class: 1, 0, or nothing where it is not known; with `task: regression`, one a \
target: a number, or nothing."""
    sites: Column | Annotated[list[Column], Field(min_length=1)] | None = None
    """For `labels.per: token`, instead of `label`: 0-based positions of sites, separated by commas; an empty field: none. Of \
a list of columns each is a class by itself."""
    weight: Column | None = None
    """Quality label (see `labels.quality`) or number that weighs the row in the loss; regression only."""
    group: Column | None = None
    """Rows with the same value never straddle train, validation and test."""
    split: Column | None = None
    """Name of the predefined split of the row, for `folds.method` `column` and `rotate`."""

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        for key in ("label", "sites"):
            names = getattr(self, key) if isinstance(getattr(self, key), list) else []
            if repeated := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"{key}: the column {repeated[0]!r} is named twice")
        return self

    @property
    def classes(self) -> list[str]:
        """Names of the classes, of a list of columns: those of the columns."""
        return [str(column) for each in (self.label, self.sites) if isinstance(each, list) for column in each]

    def wanted(self) -> dict[str, str | int]:
        """Give each column by its key; of a list of columns each by one of its own, as in ``label.0``."""
        wanted: dict[str, str | int] = {}
        for key, column in self:
            each = {f"{key}.{number}": one for number, one in enumerate(column)} if isinstance(column, list) else {key: column}
            wanted |= {name: one for name, one in each.items() if one is not None}
        return wanted


class Columns(AttributeColumns):
    """Where a table holds what: header names or 1-based positions."""

    sequence: Column
    """The sequence."""


def check_positions(header: bool, columns: AttributeColumns) -> None:
    """Refuse names of columns where there is no header.

    Parameters
    ----------
    header : bool
        Whether the first line names the columns.
    columns : Section
        Where the table holds what.

    Raises
    ------
    ValueError
        If a column is named although there is no header.
    """
    for key, value in columns.wanted().items():
        if not header and isinstance(value, str):
            raise ValueError(f"columns.{key} is the name {value!r}, but without a header give a 1-based position")


def check_sites(columns: AttributeColumns | None, path: str | None, name: str) -> None:
    """Refuse labels of positions that are told in more than one way.

    Parameters
    ----------
    columns : AttributeColumns or None
        Where a table holds what.
    path : str or None
        The file of sites.
    name : str
        What the columns are called.

    Raises
    ------
    ValueError
        If there is more than one of ``label``, ``sites`` and a file of sites.
    """
    given = {f"{name}.label": columns and columns.label, f"{name}.sites": columns and columns.sites, "sites": path}
    ways = [way for way, value in given.items() if value is not None]
    if len(ways) > 1 and ways != [f"{name}.label"]:
        raise ValueError(f"{' and '.join(ways)} tell the labels of positions each; leave one of them out")
