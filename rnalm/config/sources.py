"""All kinds of sources, and which of them a user means."""

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Discriminator, Tag, TypeAdapter

from rnalm.config.fasta import Fasta
from rnalm.config.genome import Genome
from rnalm.config.source import SourceSection
from rnalm.config.table import Table

#: Kinds of sources. A user means the first that recognizes itself, else a table.
SOURCES: dict[str, type[SourceSection]] = {section.kind: section for section in (Genome, Fasta, Table)}


def source_kind(value: Any) -> str:
    """Tell what kind of source a user means.

    Parameters
    ----------
    value : dict or Section
        What stands in the configuration, or a source.
    """
    if isinstance(value, dict):
        return next((kind for kind, section in SOURCES.items() if section.is_meant(value)), "table")
    return getattr(value, "kind", "table")


if TYPE_CHECKING:
    Source = SourceSection
else:
    Source = Annotated[
        Union[*(Annotated[section, Tag(kind)] for kind, section in reversed(SOURCES.items()))],
        Discriminator(source_kind),
    ]


def read_source(values: dict) -> SourceSection:
    """Make a source of plain values, such as a rule gives to its script.

    Parameters
    ----------
    values : dict
        What stands in the configuration.

    Examples
    --------
    >>> read_source({"path": "mrna.fa.gz"}).title
    'FASTA'
    """
    return TypeAdapter(Source).validate_python(values)
