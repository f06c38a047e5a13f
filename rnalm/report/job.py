"""What a report is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Self

from rnalm.labels.labels import Labels


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
    pretrained : str or None
        Folder of the model that was pretrained here.
    spectra : str or None
        Folder of the comparison of the models' weights.
    """

    config: dict[str, Any]
    source: str | None
    models: list[str]
    summary: str | None
    queries: list[Query]
    figures: str
    pretrained: str | None = None
    spectra: str | None = None

    @classmethod
    def of_files(
        cls,
        *,
        config: dict[str, Any],
        models: list[str],
        queries: Sequence[str],
        modes: Sequence[str],
        encoded: Sequence[str],
        predictions: Sequence[str],
        results: Sequence[str],
        scores: Sequence[str],
        summary: Sequence[str],
        pretraining: Sequence[str],
        spectra: Sequence[str],
        pictures: Sequence[str],
    ) -> Self:
        """Describe a report by the files that the workflow has made; lists are empty where there is no such file.

        Parameters
        ----------
        config : dict
            The whole configuration.
        models : list of str
            Model folders.
        queries, modes : sequence of str
            Names of the sources that were predicted, and what was computed to interpret them.
        encoded : sequence of str
            Encoded sources, each called after its source.
        predictions, results : sequence of str
            Files of each query.
        scores : sequence of str
            Merged scores: all modes of the first query, then those of the next.
        summary : sequence of str
            ``summary.csv`` of the folds.
        pretraining, spectra : sequence of str
            Files in the folders of the pretrained model, and of the comparison of the models' weights.
        pictures : sequence of str
            The pictures to draw, all in one folder.
        """
        by_source = {Path(path).stem: path for path in encoded}
        by_mode = dict(zip(product(queries, modes), scores, strict=True))
        return cls(
            config=config,
            source=by_source.get("source"),
            models=models,
            summary=summary[0] if summary else None,
            queries=[
                Query(
                    name=name,
                    encoded=by_source[name],
                    predictions=predicted,
                    results=measured,
                    scores={mode: by_mode[name, mode] for mode in modes},
                )
                for name, predicted, measured in zip(queries, predictions, results, strict=True)
            ],
            figures=str(Path(pictures[0]).parent),
            pretrained=str(Path(pretraining[0]).parent) if pretraining else None,
            spectra=str(Path(spectra[0]).parent) if spectra else None,
        )

    @property
    def meaning(self) -> Labels:
        """What the outputs of the models mean."""
        return Labels.load(Path(self.models[0]) / "labels.json")

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

    def unit(self, query: Query) -> str:
        """Name what a model stands for: a fold, where it predicts only what its fold held out.

        Parameters
        ----------
        query : Query
            What is predicted.
        """
        return "fold" if query.name == "source" and self.summary else "model"
