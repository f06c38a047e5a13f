"""What all kinds of sources tell of themselves."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator

from rnalm.config.section import Section


def _texts(value: Any) -> Any:
    """Take one text for a list of it, and whole numbers for how they are written: ``missing: [NA, -1]``."""
    values = value if isinstance(value, list) else [value]
    return [str(inner) if type(inner) is int else inner for inner in values]


Decimal = Literal[".", ","]
#: What stands for no label.
Missing = Annotated[list[str], BeforeValidator(_texts, json_schema_input_type=str | list[str | int])]
Case = Literal["upper", "keep"]
Unlabelled = Literal["error", "drop"]


class SourceSection(Section):
    """What every kind of source tells of itself."""

    title: ClassVar[str]
    #: What it is called among all kinds (see :data:`rnalm.config.sources.KINDS`).
    kind: ClassVar[str]
    #: Where its columns are named.
    columns_key: ClassVar[str] = "source.columns"
    #: The case in which it is read where nothing is said.
    usual_case: ClassVar[Case]
    #: Whether its records have a description.
    described: ClassVar[bool] = False

    if TYPE_CHECKING:  # A key of some, a property of others.
        token_sep: str | None
        modifier_sep: str | None
        sites: str | None
        case: Case | None
        decimal: Decimal
        unlabelled: Unlabelled

    @classmethod
    def is_meant(cls, value: dict) -> bool:
        """Whether a user means this kind; where none is recognized, it is a table.

        Parameters
        ----------
        value : dict
            What stands in the configuration.
        """
        return False

    @property
    def paths(self) -> list[str]:
        """All files that are read."""
        raise NotImplementedError

    @property
    def missing_key(self) -> str:
        """Where it says what stands for no label."""
        return self.columns_key.removesuffix("columns") + "missing"

    @property
    def files_of_sites(self) -> list[str]:
        """Files of sites that are read."""
        return [self.sites] if self.sites else []

    def like(self, case: Case | None) -> Self:
        """Give it the case of other sequences, where it says nothing of its own.

        Parameters
        ----------
        case : {'upper', 'keep'} or None
            Theirs; None: they say nothing either.
        """
        return self if self.case or case is None else self.model_copy(update={"case": case})

    def gives(self, key: str) -> bool:
        """Whether records have a ``label``, ``weight``, ``group`` or ``split``, or ``sites``.

        Parameters
        ----------
        key : {'label', 'weight', 'group', 'split', 'sites'}
            What a record may have.
        """
        raise NotImplementedError

    @property
    def label_key(self) -> str:
        """Where its labels are named."""
        return f"{self.columns_key}.{'label' if self.gives('label') or not self.gives('sites') else 'sites'}"

    @property
    def label_classes(self) -> list[str]:
        """Names of the classes that have a column each, as far as the configuration tells them."""
        return []

    @property
    def several(self) -> bool:
        """Whether each of several classes has a label of its own."""
        return bool(self.label_classes)

    def of_sequences(self, grouped: bool = False) -> "SourceSection":
        """Leave out what one who reads only the sequences, and perhaps their groups, need not know.

        Parameters
        ----------
        grouped : bool
            Whether to keep the groups.
        """
        raise NotImplementedError


class LetterSource(SourceSection):
    """Sources of which every letter is a token."""

    @property
    def token_sep(self) -> None:
        """Every letter is a token."""

    @property
    def modifier_sep(self) -> None:
        """There are no modifiers."""


class WindowSource(LetterSource):
    """Sources of windows, each with a label of its own or none, which no text tells."""

    @property
    def sites(self) -> None:
        """There are none."""

    @property
    def decimal(self) -> Decimal:
        """No number is read from text."""
        return "."
