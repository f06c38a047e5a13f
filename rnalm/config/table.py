"""Configuration of tables of sequences."""

from typing import Self

from pydantic import Field, model_validator

from rnalm.config.columns import Columns, check_positions, check_sites
from rnalm.config.section import OptionalSeparator, Separator
from rnalm.config.source import Case, Decimal, Missing, SourceSection, Unlabelled


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
