"""Configuration of FASTA files, and of tables about their sequences."""

import re
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from rnalm.config.columns import AttributeColumns, check_positions, check_sites
from rnalm.config.section import Section, Separator
from rnalm.config.source import Case, Decimal, LetterSource, Missing, Unlabelled

#: Names by which FASTA files go.
FASTA = re.compile(r"\.(fa|fasta|fas|fna|ffn|faa|frn|fsa|mpfa)(\.(gz|bgz|bz2|xz|zst))?$", re.IGNORECASE)


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


class Fasta(LetterSource):
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
