"""Configuration of sources for training, validation and test, each with files of its own."""

from typing import TYPE_CHECKING, Annotated, Any, Self, Union

from pydantic import Discriminator, Tag, TypeAdapter, model_validator

from rnalm.config.section import Section
from rnalm.config.source import Case, Decimal, SourceSection, Unlabelled
from rnalm.config.sources import KINDS, Single, meant

#: What parts have to agree on, as they are read into one table.
ALIKE = ("token_sep", "modifier_sep", "decimal", "case", "usual_case")


class Partition(Section):
    """A source for each part."""

    train: Single
    """What models learn from."""
    validation: Single
    """By what the best model is chosen."""
    test: Single | None = None
    """What is predicted and evaluated; null: nothing."""


class Parts(SourceSection):
    """Sources for training, validation and test. `split` is the part, and the folds are these where nothing else is said."""

    title = "parts with files of their own"
    kind = "partition"
    columns_key = "source.parts.train.columns"
    parts: Partition
    """A source for each part, of any kind, with the same labels."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        first = self.each["train"]
        for name, part in self.each.items():
            for key in ALIKE:
                own, other = getattr(part, key), getattr(first, key)
                if own != other:
                    raise ValueError(f"parts.{name}: {key} is {own!r}, of train {other!r}; parts are read in the same way")
            if part.label_classes and first.label_classes and (wrong := unlike(part.label_classes, first.label_classes)):
                raise ValueError(f"parts.{name}: {wrong}")
            for key in ("label", "sites", "weight"):
                if part.gives(key) != first.gives(key):
                    which = (name, "train") if part.gives(key) else ("train", name)
                    raise ValueError(f"parts.{which[1]}: has no {key}, but {which[0]} has one; expected all, or none")
        return self

    @classmethod
    def is_meant(cls, value: dict) -> bool:
        """Whether a user means parts: only they have the key.

        Parameters
        ----------
        value : dict
            What stands in the configuration.
        """
        return "parts" in value

    @property
    def each(self) -> dict[str, SourceSection]:
        """The sources by the names of their parts, in the order in which they are read."""
        return {name: part for name, part in self.parts if part is not None}

    @property
    def files_of_sites(self) -> list[str]:
        """Files of sites of the parts."""
        return [part.sites for part in self.each.values() if part.sites]

    def _mapped(self, change: Any) -> Self:
        """Change each part."""
        changed = {name: change(part) for name, part in self.each.items()}
        return self.model_copy(update={"parts": self.parts.model_copy(update=changed)})

    @property
    def paths(self) -> list[str]:
        """All files that are read."""
        return list(dict.fromkeys(path for part in self.each.values() for path in part.paths))

    @property
    def usual_case(self) -> Case:  # pyright: ignore[reportIncompatibleVariableOverride] (of a class elsewhere)
        """The case in which they are read where nothing is said."""
        return self.parts.train.usual_case

    @property
    def described(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether records have a description."""
        return any(part.described for part in self.each.values())

    @property
    def token_sep(self) -> str | None:
        """What separates tokens."""
        return self.parts.train.token_sep

    @property
    def modifier_sep(self) -> str | None:
        """What separates modifiers."""
        return self.parts.train.modifier_sep

    @property
    def sites(self) -> str | None:
        """Parts have files of sites of their own."""
        return None

    @property
    def case(self) -> Case | None:
        """In which case they are read."""
        return self.parts.train.case

    @property
    def decimal(self) -> Decimal:
        """What stands before decimals."""
        return self.parts.train.decimal

    @property
    def unlabelled(self) -> Unlabelled:
        """What is done with sequences without a label: refused, where a part can say so and does."""
        parts = self.each.values()
        said = [part.unlabelled for part in parts if "unlabelled" in type(part).model_fields]
        return "error" if "error" in said or all(part.unlabelled == "error" for part in parts) else "drop"

    def like(self, case: Case | None) -> Self:
        """Give the parts the case of other sequences, where they say nothing of their own.

        Parameters
        ----------
        case : {'upper', 'keep'} or None
            Theirs; None: they say nothing either.
        """
        return self._mapped(lambda part: part.like(case))

    def gives(self, key: str) -> bool:
        """Whether records have a ``label``, ``weight``, ``group`` or ``split``, or ``sites``.

        Parameters
        ----------
        key : {'label', 'weight', 'group', 'split', 'sites'}
            What a record may have.
        """
        return key == "split" or any(part.gives(key) for part in self.each.values())

    @property
    def label_key(self) -> str:
        """Where its labels are named."""
        return self.parts.train.label_key.replace("source", "source.parts.train", 1)

    @property
    def label_classes(self) -> list[str]:
        """Names of the classes, as far as the configuration tells them."""
        return self.parts.train.label_classes

    @property
    def several(self) -> bool:
        """Whether each of several classes has a label of its own."""
        return self.parts.train.several

    def of_sequences(self, grouped: bool = False) -> "Parts":
        """Leave out what one who reads only the sequences, and perhaps their groups, need not know.

        Parameters
        ----------
        grouped : bool
            Whether to keep the groups.
        """
        return self._mapped(lambda part: part.of_sequences(grouped))


def unlike(own: list[str], train: list[str]) -> str:
    """Say which classes a part has that those of train are not, and which it lacks; nothing if they are the same, in any order.

    Parameters
    ----------
    own, train : list of str
        Names of the classes of either.

    Examples
    --------
    >>> unlike(["a", "c"], ["a", "b"])
    'has the class c, which train has not, and lacks b'
    """

    def shown(names: list[str]) -> str:
        return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

    more, fewer = ([name for name in one if name not in set(other)] for one, other in ((own, train), (train, own)))
    has = f"has the class{'es' * (len(more) > 1)} {shown(more)}, which train has not" if more else ""
    return " and ".join(filter(None, [f"{has}," if has and fewer else has, f"lacks {shown(fewer)}" if fewer else ""]))


def source_kind(value: Any) -> str:
    """Tell what kind of source a user means, parts among them.

    Parameters
    ----------
    value : dict or Section
        What stands in the configuration, or a source.
    """
    return Parts.kind if isinstance(value, dict) and Parts.is_meant(value) else meant(value)


if TYPE_CHECKING:
    Source = SourceSection
else:
    Source = Annotated[
        Union[*(Annotated[section, Tag(section.kind)] for section in (*reversed(KINDS), Parts))], Discriminator(source_kind)
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
