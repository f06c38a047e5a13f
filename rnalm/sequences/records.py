"""What every source is read as."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: What people and programs write where they have no value, but for the empty field.
NO_VALUE = {"na", "n/a", "<na>", "#n/a", "nan", "none", "null", "nil", "missing", "unknown"}


def means_missing(text: str) -> bool:
    """Say whether a text probably stands for no value.

    Parameters
    ----------
    text : str
        As it stands in a file.

    Examples
    --------
    >>> means_missing("NA"), means_missing("Na+")
    (True, False)
    """
    return text.casefold() in NO_VALUE


def known(name: str | None) -> str | None:
    """Give a name, or None where it is empty or says that it is missing.

    Parameters
    ----------
    name : str or None
        As it stands in a file, such as that of a group.

    Examples
    --------
    >>> known("g1"), known(" "), known("NA"), known(None)
    ('g1', None, None, None)
    """
    return name if name is not None and name.strip() and not means_missing(name.strip()) else None


def told(fields: dict[str, str], missing: Sequence[str]) -> str | tuple[str | None, ...] | None:
    """Give the label of a row, which may stand in several columns.

    Parameters
    ----------
    fields : dict
        From :func:`rnalm.sequences.fields.read_fields`.
    missing : sequence of str
        What stands for no label beside the empty field.

    Examples
    --------
    >>> told({"id": "s", "label": "2.5"}, []), told({"label.0": "1", "label.1": "NA"}, ["NA"]), told({"id": "s"}, [])
    ('2.5', ('1', None), None)
    """

    def given(text: str | None) -> str | None:
        return None if not text or text in missing else text

    if "label.0" not in fields:
        return given(fields.get("label"))
    several = [given(text) for key, text in fields.items() if key.startswith("label.")]
    return tuple(several) if any(several) else None


@dataclass(frozen=True, slots=True)
class Record:
    """One sequence of a source, as it stands in the file.

    Attributes
    ----------
    place : str
        File and line, for messages.
    id : str
        What the user calls it; unique in its source.
    sequence : str or list of str
        Letters or, where the source separates them, tokens.
    modifiers : numpy.ndarray or None
        float32 ``(channels, length)``; None where the source has no modifiers. A missing modifier is 0.
    label : str, tuple of str, numpy.ndarray or None
        None where the source names no such column or the field is empty; of several columns, that of each, None where empty; or
        float32 1, 0 or NaN ``(classes,)``, or a number ``(1,)``, where the source says so itself.
    weight, group, split : str or None
        None where the source names no such column or the field is empty.
    description : str or None
        What follows the id in the header of a FASTA record.
    sites : tuple of tuple, or None
        Start and end (0-based, half-open) of each site, and its name, which may be empty; None where nothing is said of sites.
    """

    place: str
    id: str
    sequence: Sequence[str]
    modifiers: np.ndarray | None
    label: str | tuple[str | None, ...] | np.ndarray | None
    weight: str | None
    group: str | None
    split: str | None
    description: str | None = None
    sites: tuple[tuple[int, int, str], ...] | None = None
