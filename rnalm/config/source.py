"""Configuration of sources: tables and FASTA files."""

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, Union

from pydantic import BeforeValidator, Discriminator, Field, Tag, TypeAdapter, model_validator

from rnalm.config.columns import AttributeColumns, Columns, check_positions, check_sites
from rnalm.config.section import OptionalSeparator, Section, Separator


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
    #: Its name in :data:`SOURCES`, and in ``sequences.read.READERS``.
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
    def label_classes(self) -> list[str]:
        """Names of the classes that have a column each."""
        return []

    def of_sequences(self, grouped: bool = False) -> "SourceSection":
        """Leave out what one who reads only the sequences, and perhaps their groups, need not know.

        Parameters
        ----------
        grouped : bool
            Whether to keep the groups.
        """
        raise NotImplementedError


class Table(SourceSection):
    """A separated table with a sequence in each row."""

    title = "a table"
    kind = "table"
    usual_case = "keep"
    path: str
    """The table; compressed if the name ends in `.gz`, `.bgz`, `.bz2`, `.xz` or `.zst`."""
    header: bool = True
    """Whether the first line names the columns."""
    column_sep: Separator = "\t"
    """What separates columns. Quoting works with separators of one character."""
    quote: str | None = Field(default='"', max_length=1)
    """The quoting character, or null where quotes are ordinary characters."""
    token_sep: OptionalSeparator = None
    """What separates the tokens of a sequence; null: every character is a token."""
    modifier_sep: OptionalSeparator = None
    """What separates a token from its float modifiers, as in `a#2.5#0.2`."""
    case: Case | None = None
    """`upper`: lower-case letters are read as upper-case ones; `keep`: as they stand; null: as a model was trained, else \
`keep`."""
    decimal: Decimal = "."
    """What stands before the decimals of a number; no number has separators of thousands."""
    missing: Missing = []
    """What stands for no label beside the empty field, such as `NA`; one text or a list."""
    unlabelled: Unlabelled = "error"
    """What training does with sequences that have no label: `error` refuses them, `drop` leaves them out, and says how many."""
    columns: Columns
    """Where the table holds what."""
    sites: str | None = None
    """For `labels.per: token`, instead of `columns.label`: a BED file of sites in the coordinates of sequences. Names of \
sites are classes, and those without a name are of the class `1`, all other positions of the class `0`; with \
`task: multilabel` a position may have several (`labels.classes`)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_sites(self.columns, self.sites, "columns")
        if self.modifier_sep and not self.token_sep:
            raise ValueError("modifier_sep needs token_sep: in a contiguous sequence no token can carry a modifier")
        separators = [sep for sep in (self.column_sep, self.token_sep, self.modifier_sep, self.quote) if sep]
        if len(set(separators)) < len(separators):
            raise ValueError("column_sep, token_sep, modifier_sep and quote must differ from each other")
        if self.modifier_sep and self.decimal == "," and "," in (self.token_sep, self.modifier_sep):
            raise ValueError("decimal must differ from token_sep and modifier_sep, found ',' for both")
        check_positions(self.header, self.columns)
        return self

    @property
    def paths(self) -> list[str]:
        """All files that are read."""
        return [self.path] + ([self.sites] if self.sites else [])

    def gives(self, key: str) -> bool:
        """Whether records have a ``label``, ``weight``, ``group`` or ``split``, or ``sites``.

        Parameters
        ----------
        key : {'label', 'weight', 'group', 'split', 'sites'}
            What a record may have.
        """
        return getattr(self.columns, key) is not None or (key == "sites" and self.sites is not None)

    @property
    def label_classes(self) -> list[str]:
        """Names of the classes that have a column each."""
        return self.columns.classes

    def of_sequences(self, grouped: bool = False) -> "Table":
        """Leave out what one who reads only the sequences, and perhaps their groups, need not know.

        Parameters
        ----------
        grouped : bool
            Whether to keep the groups.
        """
        kept = {"id": self.columns.id, "sequence": self.columns.sequence, "group": self.columns.group if grouped else None}
        return self.model_copy(update={"columns": Columns(**kept), "sites": None, "missing": [], "unlabelled": "error"})


class Attributes(Section):
    """A table that says more of the sequences of a FASTA file; others are passed over. With `classes`, these are labels."""

    path: str
    """The table; compressed if the name ends in `.gz`, `.bgz`, `.bz2`, `.xz` or `.zst`."""
    header: bool = True
    """Whether the first line names the columns."""
    column_sep: Separator = "\t"
    """What separates columns."""
    quote: str | None = Field(default='"', max_length=1)
    """The quoting character, or null where quotes are ordinary characters."""
    decimal: Decimal = "."
    """What stands before the decimals of a number; no number has separators of thousands."""
    missing: Missing = []
    """What stands for no label beside the empty field, such as `NA`; one text or a list."""
    columns: AttributeColumns
    """Where the table holds what."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_positions(self.header, self.columns)
        return self


class Chunk(Section):
    """How long sequences are divided; each chunk is a row of its own, in the group of the whole."""

    length: int = Field(ge=1)
    """Letters of a chunk, at most."""
    overlap: int = Field(default=0, ge=0)
    """Letters that two neighbours share."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.overlap >= self.length:
            raise ValueError(f"overlap must be less than length, {self.length}, found {self.overlap}")
        return self


def _files(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _named(value: Any) -> Any:
    """Take numbers for names, as YAML reads them: ``classes: {0: a.fa, 1: b.fa}``."""
    whole = isinstance(value, dict) and all(type(name) in (str, int) for name in value)
    return {str(name): files for name, files in value.items()} if whole else value


Files = Annotated[list[str], Field(min_length=1), BeforeValidator(_files, json_schema_input_type=str | list[str])]


class Fasta(SourceSection):
    """FASTA files, of which the first word of a header is the id. They may be compressed, with names in `.gz` and the like."""

    title = "FASTA"
    kind = "fasta"
    usual_case = "upper"
    columns_key = "source.attributes.columns"
    described = True
    path: Files | None = None
    """The file, or a list of files."""
    classes: Annotated[dict[str, Files], Field(min_length=1), BeforeValidator(_named)] | None = None
    """Instead of `path`: for each class its file, or a list of files. They are read in the order of the names of classes."""
    attributes: Attributes | None = None
    """A table with labels, or weights, groups and splits, by id."""
    case: Case | None = None
    """`upper`: lower-case letters, which often only mark repeats, are read as upper-case ones; `keep`: as they stand; null: \
as a model was trained, else `upper`."""
    unlabelled: Unlabelled = "error"
    """What training does with sequences that have no label: `error` refuses them, `drop` leaves them out, and says how many."""
    chunk: Chunk | None = None
    """Divide long sequences; null: do not."""
    sites: str | None = None
    """For `labels.per: token`, instead of `attributes.columns.label`: a BED file of sites in the coordinates of sequences. \
Names of sites are classes, and those without a name are of the class `1`, all other positions of the class `0`; with \
`task: multilabel` a position may have several (`labels.classes`)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.path is None) == (self.classes is None):
            raise ValueError("expected either path or classes")
        check_sites(self.attributes.columns if self.attributes else None, self.sites, "attributes.columns")
        if self.gives("sites") and self.chunk:
            raise ValueError("chunk: sites are positions of whole sequences; expected none beside sites")
        if self.gives("sites") and self.classes:
            raise ValueError("classes: with sites, these are the labels; expected path")
        if self.classes and self.attributes and self.attributes.columns.label is not None:
            raise ValueError("attributes.columns.label: with classes, the class is the label; leave one of them out")
        if repeated := [path for path in self.fasta if self.fasta.count(path) > 1]:
            raise ValueError(f"{repeated[0]!r} is named twice")
        return self

    @classmethod
    def is_meant(cls, value: dict) -> bool:
        """Whether a user means FASTA: a list of files, a name or a key that only FASTA has says so, and there are no columns.

        Parameters
        ----------
        value : dict
            What stands in the configuration.
        """
        path = value.get("path")
        named = isinstance(path, list) or (isinstance(path, str) and FASTA.search(path))
        return "columns" not in value and bool(named or {"classes", "attributes", "chunk"} & value.keys())

    @property
    def fasta(self) -> list[str]:
        """The FASTA files, in the order in which they are read: that of the list, or of the names of classes."""
        return self.path or [path for _, paths in sorted((self.classes or {}).items()) for path in paths]

    @property
    def paths(self) -> list[str]:
        """All files that are read."""
        return self.fasta + ([self.attributes.path] if self.attributes else []) + ([self.sites] if self.sites else [])

    @property
    def token_sep(self) -> None:
        """Every letter is a token."""

    @property
    def modifier_sep(self) -> None:
        """There are no modifiers."""

    @property
    def decimal(self) -> Decimal:
        """What stands before the decimals of labels and weights."""
        return self.attributes.decimal if self.attributes else "."

    def gives(self, key: str) -> bool:
        """Whether records have a ``label``, ``weight``, ``group`` or ``split``, or ``sites``.

        Parameters
        ----------
        key : {'label', 'weight', 'group', 'split', 'sites'}
            What a record may have.
        """
        chunked = key == "group" and self.chunk is not None
        told = self.attributes is not None and getattr(self.attributes.columns, key) is not None
        classed, marked = key == "label" and self.classes is not None, key == "sites" and self.sites is not None
        return told or chunked or classed or marked

    @property
    def label_classes(self) -> list[str]:
        """Names of the classes that have a column each."""
        return self.attributes.columns.classes if self.attributes else []

    def of_sequences(self, grouped: bool = False) -> "Fasta":
        """Leave out what one who reads only the sequences, and perhaps their groups, need not know.

        Parameters
        ----------
        grouped : bool
            Whether to keep the groups.
        """
        attributes = None
        if grouped and self.attributes and (group := self.attributes.columns.group) is not None:
            columns = AttributeColumns(id=self.attributes.columns.id, group=group)
            attributes = self.attributes.model_copy(update={"columns": columns, "decimal": ".", "missing": []})
        update = {"path": self.fasta, "classes": None, "attributes": attributes, "sites": None, "unlabelled": "error"}
        return self.model_copy(update=update)


#: Names by which FASTA files go.
FASTA = re.compile(r"\.(fa|fasta|fas|fna|ffn|faa|frn|fsa|mpfa)(\.(gz|bgz|bz2|xz|zst))?$", re.IGNORECASE)


#: Kinds of sources. A user means the first that recognizes itself, else a table.
SOURCES: dict[str, type[SourceSection]] = {section.kind: section for section in (Fasta, Table)}


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
