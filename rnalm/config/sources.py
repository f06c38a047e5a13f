"""All kinds of sources, and which of them a user means."""

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Discriminator, Tag

from rnalm.config.fasta import Fasta
from rnalm.config.genome import Genome
from rnalm.config.matrix import Matrix
from rnalm.config.source import SourceSection
from rnalm.config.table import Table

#: Kinds of sources. A user means the first that recognizes itself, else a table.
KINDS: tuple[type[SourceSection], ...] = (Genome, Matrix, Fasta, Table)


def meant(value: Any) -> str:
    """Tell what kind of source a user means.

    Parameters
    ----------
    value : dict or Section
        What stands in the configuration, or a source.
    """
    if isinstance(value, dict):
        return next((section.kind for section in KINDS if section.is_meant(value)), "table")
    return getattr(value, "kind", "table")


if TYPE_CHECKING:
    Single = SourceSection
else:
    Single = Annotated[
        Union[*(Annotated[section, Tag(section.kind)] for section in reversed(KINDS))],
        Discriminator(meant),
    ]
