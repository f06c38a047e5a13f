"""Configuration of matrices of sequences that are one-hot already, as programs for genomes keep them."""

from typing import Self

from pydantic import Field, model_validator

from rnalm.config.section import Names
from rnalm.config.source import Case, Unlabelled, WindowSource


class Matrix(WindowSource):
    """A matrix of one-hot letters, `.npz`, `.h5` or `.mat`, which is read back to letters, and perhaps one of targets."""

    title = "a matrix"
    # Not called like its key, with which it would be confused in messages.
    kind = "arrays"
    usual_case = "upper"
    matrix: str
    """The file: NumPy's `.npz`, HDF5, or MATLAB's `.mat` of any version."""
    sequence_key: str = "sequences"
    """What the sequences are called in it."""
    targets_key: str | None = None
    """What the targets are called: of each sequence, 1 or 0 for each class or, for regression, numbers; null: none."""
    sequence_batch_axis: int = Field(default=0, ge=0, le=2)
    """Along which axis of the sequences these lie one after the other. The files of MATLAB 7.3 are HDF5, and have their axes \
the other way round."""
    sequence_alphabet_axis: int = Field(default=1, ge=0, le=2)
    """Along which axis letters do; positions take the third."""
    targets_batch_axis: int = Field(default=0, ge=0, le=1)
    """Along which axis of the targets sequences lie one after the other."""
    alphabet: str = Field(default="ACGT", min_length=2)
    """The letters, in their order there. A position that is all 0, or the same of each letter, is unknown."""
    classes: Names = None
    """Names of the targets: a list, or a file with one in each line; null: their numbers, from 0."""
    case: Case | None = None
    """As for a genome; the letters are those of `alphabet`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.sequence_batch_axis == self.sequence_alphabet_axis:
            raise ValueError("sequence_alphabet_axis: expected another axis than sequence_batch_axis")
        if len(set(self.alphabet)) < len(self.alphabet):
            raise ValueError(f"alphabet: expected each letter once, found {self.alphabet!r}")
        if self.classes is not None and self.targets_key is None:
            raise ValueError("classes: names of targets, of which there are none; expected targets_key, or no classes")
        return self

    @classmethod
    def is_meant(cls, value: dict) -> bool:
        """Whether a user means a matrix: only it has the key.

        Parameters
        ----------
        value : dict
            What stands in the configuration.
        """
        return "matrix" in value

    @property
    def paths(self) -> list[str]:
        """All files that are read."""
        return [self.matrix, *([self.classes] if isinstance(self.classes, str) else [])]

    @property
    def unlabelled(self) -> Unlabelled:
        """A number or class that is not known is NaN; a row without any is left out, as there is no other way to say so."""
        return "drop"

    def gives(self, key: str) -> bool:
        """Whether records have a ``label``, ``weight``, ``group`` or ``split``, or ``sites``.

        Parameters
        ----------
        key : {'label', 'weight', 'group', 'split', 'sites'}
            What a record may have.
        """
        return key == "label" and self.targets_key is not None

    @property
    def label_key(self) -> str:
        """Where its labels are named."""
        return "source.targets_key"

    @property
    def label_classes(self) -> list[str]:
        """Names of the classes, where they are a list."""
        return self.classes if isinstance(self.classes, list) else []

    @property
    def several(self) -> bool:
        """Whether each of several classes has a label of its own; of one number a sequence, the task knows."""
        return self.targets_key is not None

    def of_sequences(self, grouped: bool = False) -> "Matrix":
        """Leave out what one who reads only the sequences, and perhaps their groups, need not know.

        Parameters
        ----------
        grouped : bool
            Whether to keep the groups.
        """
        return self.model_copy(update={"targets_key": None, "targets_batch_axis": 0, "classes": None})
