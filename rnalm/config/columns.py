"""Configuration of columns: where a table holds what."""

from rnalm.config.section import Column, Section


class AttributeColumns(Section):
    """Where a table about the sequences of a FASTA file holds what: header names or 1-based positions."""

    id: Column
    """Identifier of the sequence; must be unique."""
    label: Column | None = None
    """What the model learns; with `labels.per: token` as many as tokens. Needed for training, optional for prediction."""
    sites: Column | None = None
    """For `labels.per: token`, instead of `label`: 0-based positions of sites, separated by commas; an empty field: none."""
    weight: Column | None = None
    """Quality label (see `labels.quality`) or number that weighs the row in the loss; regression only."""
    group: Column | None = None
    """Rows with the same value never straddle train, validation and test."""
    split: Column | None = None
    """Name of the predefined split of the row, for `folds.method` `column` and `rotate`."""


class Columns(AttributeColumns):
    """Where a table holds what: header names or 1-based positions."""

    sequence: Column
    """The sequence."""


def check_positions(header: bool, columns: Section) -> None:
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
    for key, value in columns:
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
