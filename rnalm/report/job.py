"""What a report is made of."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rnalm.config import contract
from rnalm.labels.labels import Labels, together


@dataclass(frozen=True, kw_only=True)
class Query:
    """What was predicted and interpreted together.

    Attributes
    ----------
    name : str
        Name of the source.
    encoded, predictions, results : str
        Files of its encoded sequences, of predictions, and of their metrics.
    scores : dict
        Files of merged scores, by mode.
    """

    name: str
    encoded: str
    predictions: str
    results: str
    scores: dict[str, str]

    def title(self, stage: str) -> str:
        """Name a section about it; of the experiment's own source by the stage alone.

        Parameters
        ----------
        stage : str
            What was done.
        """
        return stage if self.name == "source" else f"{stage}: {self.name}"


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """What was made of a file of variants.

    Attributes
    ----------
    name : str
        As the configuration names it.
    table, unscored : str
        Effects of alleles, and the alleles of which there is none.
    tables : list of str
        All files for the user, these among them.
    laid : str or None
        Where the transcripts lie in which an allele does, from :func:`rnalm.sequences.laid.write`.
    """

    name: str
    table: str
    unscored: str
    tables: list[str]
    laid: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a report is made of.

    Attributes
    ----------
    config : dict
        The whole configuration.
    source : str or None
        The encoded source of the experiment.
    models : list of str
        Model folders.
    summary : str or None
        ``summary.csv`` of the folds trained here; None: nothing was trained.
    queries : list of Query
        What was predicted and interpreted.
    figures : str
        Folder for the pictures.
    pretrained : list of str
        Folders of the models that were pretrained here: one, or one for each fold.
    spectra : str or None
        Folder of the comparison of the models' weights.
    cohorts : list of Cohort
        Whose effects were computed.
    baselines : list of str
        Folders of the baselines, one a fold; empty where there is none.
    baseline : str or None
        Folder of their predictions for all rows that were held out; None: there are none.
    stacks : list of str
        Folders of what says how much models and baseline of a fold count; empty where all models count the same.
    verdict : str or None
        From :func:`rnalm.prediction.verdict.judge`; None: there are no predictions of whole sequences with labels.
    """

    config: dict[str, Any]
    source: str | None
    models: list[str]
    summary: str | None
    queries: list[Query]
    figures: str
    pretrained: list[str] = field(default_factory=list)
    spectra: str | None = None
    cohorts: list[Cohort] = field(default_factory=list)
    baselines: list[str] = field(default_factory=list)
    baseline: str | None = None
    stacks: list[str] = field(default_factory=list)
    verdict: str | None = None

    @property
    def sources(self) -> list[str]:
        """The encoded sequences that the report tells of: the experiment's own or else what was predicted; perhaps none."""
        return [self.source] if self.source else [query.encoded for query in self.queries]

    @property
    def meaning(self) -> Labels:
        """What the predictions of all together mean."""
        stacked = [Labels.load(Path(folder) / contract.LABELS) for folder in self.stacks]
        return together(stacked or self.meanings)

    @property
    def meanings(self) -> list[Labels]:
        """What the outputs of each model mean."""
        return [Labels.load(Path(folder) / contract.LABELS) for folder in self.models]

    def compared(self, query: Query) -> tuple[str, Labels] | None:
        """Give the predictions of the baselines, and what their outputs mean together; None where a query has none.

        Parameters
        ----------
        query : Query
            What is predicted.
        """
        if self.baseline is None or query.name != "source":
            return None
        own = [Labels.load(Path(folder) / contract.LABELS) for folder in self.baselines]
        return f"{self.baseline}/{contract.PREDICTIONS}", together(own)

    @property
    def fold_names(self) -> list[str]:
        """Names of the models that were trained here."""
        return [f"fold {Path(model).name}" for model in self.models]

    @property
    def by_fold(self) -> dict[str, list[int]]:
        """Numbers of the models that were trained here, by fold: the replicates of a fold are together."""
        numbers: dict[str, list[int]] = {}
        for number, name in enumerate(self.fold_names):
            numbers.setdefault(name.partition(".")[0], []).append(number)
        return numbers

    def place(self, path: str | Path) -> str:
        """Tell where a file lies beside the report, as a browser takes it.

        Parameters
        ----------
        path : path
            A file of the results.
        """
        return quote(os.path.relpath(path, Path(self.figures).parent))

    @property
    def unit_of_labels(self) -> str:
        """The unit of the labels; empty where none is given."""
        return self.config["labels"]["unit"] or ""

    @property
    def unit_of_effects(self) -> str:
        """The unit of effects: that of labels or, for classes, the scale on which these are explained."""
        return self.unit_of_labels if self.meaning.task == "regression" else self.config["interpret"]["scale"]

    @property
    def label(self) -> str:
        """What is learned, by the name of its column where it has one, with its unit."""
        columns = (self.config["source"] or {}).get("columns") or {}
        attributes = (self.config["source"] or {}).get("attributes") or {}
        name = columns.get("label") or attributes.get("columns", {}).get("label")
        name = name if isinstance(name, str) else "label"
        return f"{name} ({self.unit_of_labels})" if self.unit_of_labels else name

    def unit(self, query: Query) -> str:
        """Name what a model stands for: a fold, where it predicts only what its fold held out.

        Parameters
        ----------
        query : Query
            What is predicted.
        """
        return "fold" if query.name == "source" and self.summary else "model"
