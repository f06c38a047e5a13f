"""What an experiment has: models, sources, what is asked of them, and where their files lie."""

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from rnalm.config import Config, Genome, Given, Interpret, OwnModel, Parts, Pretrain, Source, contract
from rnalm.config.contract import LABELS, LAID, LANGUAGE_MODEL, MODEL, TESTED_PART, UNSCORED, VARIANTS, place
from rnalm.config.sweep import Sweep
from rnalm.errors import RnalmError
from rnalm.files import read_json
from rnalm.models import folder
from rnalm.pipeline import shards
from rnalm.sequences.vcf import is_vcf


class Experiment:
    """The models, sources and files of an experiment, by name.

    Parameters
    ----------
    settings : Config
        The configuration.

    Attributes
    ----------
    out : str
        Folder of the experiment.
    given : list of str
        Folders of models that the user gives; empty where models are trained here.
    folds : list of int
        Numbers of the folds that are trained here.
    trained : list of str
        Names of the models that are trained here: that of their fold and, from the second model on, the replicate, as in
        ``3`` and ``3.1``.
    models : dict of str to str
        Folders of all models, by name.
    sources : dict of str to Source
        What is predicted and, with training, learned from; ``source`` is the experiment's own.
    encoded : dict of str to Source
        All that is encoded: the sources, and sequences for pretraining alone.
    held_out : bool
        Whether models are trained here and their folds have test rows.
    queries : list of str
        Sources that are predicted and interpreted: held-out rows or, with given models, all of ``source``; and further files.
    baselines : dict of str to str
        Folders of the baselines of the folds that are trained here, by fold; none where there is to be none.
    stacks : dict of str to str
        Folders of what says how models and baseline of a fold are combined, by fold; none where all count the same.
    asked : list of tuple
        Source and mode of all scores.
    evaluated : list of str
        Sources of which predictions are evaluated class by class, as Selene does.
    further_weights : list of str
        Weights of further models of the user that are compared by power laws.

    Raises
    ------
    RnalmError
        If a folder given as a model holds none.
    """

    def __init__(self, settings: Config) -> None:
        self.settings, self.out = settings, settings.output
        given = settings.model.folders if isinstance(settings.model, Given) else []
        self.given = [str(folder.check(path)) for path in given]
        self.folds = list(range(settings.folds.count)) if settings.trains else []
        self.replicates = settings.finetune.replicates
        self.trained = [f"{fold}.{k}" if k else f"{fold}" for fold in self.folds for k in range(self.replicates)]
        numbered = {str(number): path for number, path in enumerate(self.given)}
        self.models = numbered or {name: f"{self.out}/fine-tune/{name}" for name in self.trained}
        own = {"source": settings.source} if settings.source else {}
        further = {name: self._like_trained(source) for name, source in settings.inference.items()}
        self.sources: dict[str, Source] = own | further
        # Without labels: but for groups, what a file for pretraining says of its sequences is passed over.
        elsewhere = self.pretrain and self.pretrain.source
        apart = {"pretraining": self._like_trained(elsewhere).of_sequences(grouped=True)} if elsewhere else {}
        self.encoded: dict[str, Source] = self.sources | apart
        self.held_out = settings.trains and settings.folds.tested
        self.queries = [name for name in self.sources if name != "source" or self.held_out or not settings.trains]
        self._check_given()
        fitted = settings.baseline == "auto" and self.per == "sequence"
        self.baselines = {f"{fold}": f"{self.out}/baseline/{fold}" for fold in self.folds if fitted}
        stacked = self.folds if settings.ensemble == "stack" else []
        self.stacks = {f"{fold}": f"{self.out}/stack/{fold}" for fold in stacked}
        self._check_variants()
        # Of long sequences every position of which is predicted, scores are made only where they are asked for.
        modes = settings.interpret.scored if self.per == "sequence" or "interpret" in settings.model_fields_set else []
        self.asked = [(source, mode) for source in self.queries for mode in modes]
        several = settings.task == "multilabel" and self.per == "sequence"
        self.evaluated = [name for name in self.queries if several and self.sources[name].gives("label")]
        self.further_weights = self._find_further_weights()
        if settings.tracks and settings.tracks.transcripts:
            self._check_transcripts(settings.tracks.transcripts)

    def _check_given(self) -> None:
        """Refuse to ask of given models what their outputs do not tell."""
        predict, interpret = self.settings.predict, self.settings.interpret
        if self.given and self.per == "sequence" and predict.sites:
            raise RnalmError(f"predict.sites: {self.given[0]} has no outputs for tokens; expected models that have")
        if self.given and (unfit := predict.unfit(self.per)):
            raise RnalmError(f"predict.formats: {self.given[0]} has outputs for each {self.per}, of which there is no {unfit}")
        if self.given and self.per == "sequence" and interpret.explain_at != Interpret().explain_at:
            raise RnalmError(f"interpret.explain_at: {self.given[0]} has no outputs for tokens; expected models that have")
        if self.given and self.per == "token" and "evaluate" in self.settings.model_fields_set:
            raise RnalmError(f"evaluate: {self.given[0]} has outputs for each token; expected models of whole sequences")
        if self.given and not self.trusts:
            for model in self.given:
                folder.check_trust(model)
        if self.given and self.per == "token" and self.settings.variants:
            raise RnalmError(f"variants: {self.given[0]} has outputs for each token; expected models of whole sequences")
        if self.given and self.per == "token" and interpret.method != ["loo"]:
            raise RnalmError(f"interpret.method: {self.given[0]} has outputs for each token; expected loo")

    def _check_variants(self) -> None:
        """Refuse to write tables as VCF."""
        asked = {name: options for name, options in self.settings.variants.items() if "vcf" in options.formats}
        for name, options in asked.items():
            for path in options.path:
                if Path(path).is_file() and not is_vcf(path):
                    problem = f"vcf writes a file again, and {path} has no header of VCF"
                    raise RnalmError(f"variants.{name}.formats: {problem}; expected VCF or BCF, or formats without vcf")

    def _check_transcripts(self, path: str) -> None:
        """Refuse a file of transcripts that cannot be one, or that nothing needs."""
        from rnalm.sequences.annotation import kind_of  # which needs more than planning usually does

        kind_of(path)
        if all(map(self.of_windows, self.queries)):
            problem = "all sequences are windows of a genome, whose names say where they lie"
            raise RnalmError(f"tracks.transcripts: {problem}; expected null")

    @cached_property
    def labelled(self) -> dict[str, Any]:
        """What has a label and which classes names of sites are, as the section ``labels`` says it; given models tell."""
        if not self.given:
            return self.settings.labels.model_dump(include={"per", "classes"})
        meaning = read_json(f"{self.given[0]}/{LABELS}")
        several = meaning.get("task") == "multilabel" and meaning.get("per") == "token"
        return {"per": meaning.get("per", "sequence"), "classes": meaning["classes"] if several else None}

    @property
    def trusts(self) -> bool:
        """Whether code that models hold may be run: it is that which the configuration names, or it says so."""
        model = self.settings.model
        return model.trust if isinstance(model, Given) else isinstance(model, OwnModel)

    @property
    def per(self) -> str:
        """What has a label, and an output: a ``sequence`` or a ``token``."""
        return self.labelled["per"]

    def predictions_of(self, source: str) -> str:
        """Name the folder of the predictions of all models for a source, within that of the experiment.

        Parameters
        ----------
        source : str
            Its name.
        """
        return place("predict" if self.per == "sequence" else "tracks", source)

    def _find_further_weights(self) -> list[str]:
        further = self.settings.powerlaw.models if self.settings.powerlaw else {}
        try:
            return [str(path) for _, model in sorted(further.items()) for path in folder.weight_files(model)]
        except RnalmError as error:
            raise RnalmError(f"powerlaw.models: {error}") from None

    @property
    def pretrain(self) -> Pretrain | None:
        """How models are pretrained; given ones are not."""
        return self.settings.pretrain if self.settings.trains else None

    @property
    def pretrains_elsewhere(self) -> bool:
        """Whether models are pretrained on sequences of their own."""
        return "pretraining" in self.encoded

    @property
    def pretrains_by_fold(self) -> bool:
        """Whether there is a pretraining for each fold, of the sequences that train it."""
        return self.pretrain is not None and self.pretrain.rows == "training"

    @property
    def pretrainings(self) -> list[str]:
        """Folders of the models that are pretrained here, within that of the experiment."""
        if self.pretrains_by_fold:
            return [f"pretrain/{fold}" for fold in self.folds]
        return ["pretrain"] if self.pretrain else []

    @property
    def starts_pretrained(self) -> bool:
        """Whether fine-tuning starts from a model that is pretrained here."""
        return self.pretrain is not None and not self.settings.finetune.from_scratch

    @cached_property
    def sweep(self) -> Sweep | None:
        """The sweep with all names written out; None where there is none."""
        settings = self.settings
        return settings.sweep and settings.sweep.resolve(settings.task, settings.architecture, settings.finetune)

    @cached_property
    def compared(self) -> dict[str, str]:
        """Folders of the models that are compared by power laws: those of this experiment, and further ones of the user."""
        own = {f"fold_{name}" if self.trained else path: path for name, path in self.models.items()}
        return own | dict(sorted(self.settings.powerlaw.models.items())) if self.settings.powerlaw else own

    @property
    def annotations(self) -> list[str]:
        """The file of known elements, if there is one."""
        return [self.settings.report.annotations] if self.settings.report.annotations else []

    @property
    def regions(self) -> list[str]:
        """The files of regions in which alleles are looked for, of all files of variants."""
        return list(dict.fromkeys(cohort.regions for cohort in self.settings.variants.values() if cohort.regions))

    @property
    def mutated_regions(self) -> list[str]:
        """The file of the regions that are mutated, if there is one."""
        return [self.settings.interpret.regions] if self.settings.interpret.regions else []

    @property
    def beds(self) -> list[str]:
        """The files of places in sequences that are looked at before any training."""
        return [*self.annotations, *self.mutated_regions]

    @property
    def evaluated_classes(self) -> list[str]:
        """The file that names the classes that are evaluated, if there is one."""
        named = self.settings.evaluate.classes
        return [named] if isinstance(named, str) else []

    @property
    def lender(self) -> str | None:
        """The model whose tokenizer is taken: a given one, or one to start from, unless the configuration has another."""
        if self.given:
            return self.given[0]
        start = getattr(self.settings.model, "pretrained", None)
        return start if "tokenizer" not in self.settings.model_fields_set else None

    @property
    def vocabulary(self) -> Source | None:
        """The sequences from which the tokenizer is learned; None where it is taken from a model."""
        source = self.settings.tokenizer.source or self.settings.source
        return self._like_trained(source).of_sequences() if source and self.lender is None else None

    def _like_trained(self, source: Source) -> Source:
        """Read a source that says nothing of its case in that of the sequences that are trained on here."""
        return source.like(self.settings.training_source.case) if self.settings.trains else source

    def case_beside(self, source: str) -> str | None:
        """Say in which case a source is read beside that which is trained on here, where neither names one.

        Parameters
        ----------
        source : str
            Its name.

        Returns
        -------
        {'upper', 'vocabulary'} or None
            ``vocabulary``: that of the vocabulary; None where it is trained on itself, or models are given.
        """
        if source == "source" or not self.settings.trains:
            return None
        return "upper" if self.settings.training_source.usual_case == "upper" else "vocabulary"

    @property
    def architecture(self) -> str:
        """Name of the architecture of the models."""
        return read_json(f"{self.given[0]}/config.json").get("model_type") if self.given else self.settings.architecture.name

    def model_files(self, *models: str, names: tuple[str, ...] = MODEL) -> list[str]:
        """List files of models.

        Parameters
        ----------
        *models : str
            Their names.
        names : tuple of str
            Which files of each; by default all that loading needs.
        """
        return [f"{self.models[model]}/{name}" for model in models for name in names]

    def starting_point(self) -> list[str]:
        """List the files of the user that models are made of: a pretrained model, unless on the hub, code and weights."""
        return [] if self.given else [str(path) for path in folder.starting_files(self.settings.architecture.model_dump())]

    def pretrained_for(self, fold: int) -> str:
        """Give the folder of the model from which the training of a fold starts, where it starts from one pretrained here.

        Parameters
        ----------
        fold : int
            Its number.
        """
        return f"{self.out}/{self.pretrainings[fold if self.pretrains_by_fold else 0]}"

    def first_weights(self, model: str) -> list[str]:
        """List the files of the model that was pretrained here and from which another is trained; else none.

        Parameters
        ----------
        model : str
            Name of a model that is trained here.
        """
        if not self.starts_pretrained:
            return []
        return [f"{self.pretrained_for(fold_of(model))}/{name}" for name in LANGUAGE_MODEL]

    def best_values(self, model: str) -> list[str]:
        """List the file with the values that a model is trained with, where there is a sweep.

        Parameters
        ----------
        model : str
            Name of a model that is trained here.
        """
        return [f"{self.out}/sweep/{fold_of(model)}/best.yaml"] if self.sweep else []

    def folds_of(self, source: str) -> list[str]:
        """Give the folds where a source is predicted by models that held its rows out, else nothing.

        Parameters
        ----------
        source : str
            Its name.
        """
        return [f"{self.out}/folds.parquet"] if source == "source" and self.held_out else []

    @property
    def clusters(self) -> list[str]:
        """The table of which sequences are alike, where these are in one part of a fold."""
        return [f"{self.out}/clusters.parquet"] if self.trained and self.settings.folds.group == "cluster" else []

    @property
    def verdict(self) -> list[str]:
        """The verdict on the predictions, where there are some of whole sequences that have labels."""
        judged = "source" in self.queries and self.per == "sequence" and self.sources["source"].gives("label")
        return [f"{self.out}/{contract.VERDICT}"] if judged else []

    @property
    def compared_predictions(self) -> list[str]:
        """What the baselines predict of all rows that were held out, if they do."""
        return [f"{self.out}/baseline/{contract.PREDICTIONS}"] if self.baselines and self.held_out else []

    @property
    def tested_stacks(self) -> dict[str, str]:
        """Folders of what models and baseline of a fold together predict of its test rows, by fold."""
        return self.stacks if self.held_out else {}

    def members(self, fold: str) -> dict[str, str]:
        """Give the folders of the models of a fold and, where it has one, of its baseline, by name.

        Parameters
        ----------
        fold : str
            Its number.
        """
        models = {name: path for name, path in self.models.items() if str(fold_of(name)) == fold}
        return models | ({f"baseline-{fold}": self.baselines[fold]} if fold in self.baselines else {})

    @property
    def combined(self) -> dict[str, str]:
        """Folders of all whose predictions are combined, by name: the models and, where these are stacked, baselines."""
        # Models come first: their numbers in tables of predictions are those that they have without baselines.
        return self.models | ({f"baseline-{fold}": path for fold, path in self.baselines.items()} if self.stacks else {})

    def parts(self, source: str, members: Iterable[str]) -> list[str]:
        """List the files of what models and baselines predict of a source.

        Parameters
        ----------
        source : str
            Its name.
        members : iterable of str
            Names of models and baselines.
        """
        # The test rows of its own fold a baseline predicts as soon as it is fitted.
        tested = {f"baseline-{fold}": f"{path}/{TESTED_PART}" for fold, path in self.baselines.items() if source == "source"}
        return [tested.get(name, f"{self.out}/predict/parts/{source}/{name}.parquet") for name in members]

    def shard_files(self, source: str, mode: str) -> list[str]:
        """List the shards of the scores of a source in a mode.

        Parameters
        ----------
        source, mode : str
            One of :attr:`asked`.
        """
        settings = self.settings
        # How often a sequence is scored, on average: by how many models, on how many strands.
        own = self.replicates * settings.folds.tests_each if self.folds_of(source) else len(self.models)
        strands = 2 if settings.encode.reverse_complement == "average" else 1
        described = (self.sources[source], settings.interpret, mode, settings.encode.block_size)
        count = shards.count(*described, strands * own, self.architecture, self.per)
        return [f"{self.out}/interpret/parts/{source}/{mode}/{shard}-of-{count}.parquet" for shard in range(count)]

    def variant_parts(self, cohort: str) -> list[str]:
        """List the shards of the effects of variants.

        Parameters
        ----------
        cohort : str
            Name of the file of variants.
        """
        count = shards.count_variants(self.settings.variants[cohort], len(self.models))
        return [f"{self.out}/variants/parts/{cohort}/{shard}-of-{count}.parquet" for shard in range(count)]

    def variant_tables(self, cohort: str) -> list[str]:
        """List what is made of a file of variants: effects, alleles without one, and further formats.

        Parameters
        ----------
        cohort : str
            Name of the file of variants.
        """
        names = (VARIANTS, UNSCORED, *self.settings.variants[cohort].files)
        return [f"{self.out}/variants/{cohort}/{name}" for name in names]

    def variants_laid(self, cohort: str) -> list[str]:
        """Name the table of how transcripts lie on the genome, if variants are scored on transcripts.

        Parameters
        ----------
        cohort : str
            Name of the file of variants.
        """
        on_transcripts = self.settings.variants[cohort].transcripts is not None
        return [f"{self.out}/variants/parts/{cohort}/{LAID}"] if on_transcripts else []

    def further_predictions(self, source: str) -> dict[str, str]:
        """Name what is written of the predictions for a source as Selene does, by its place in their folder: what is in it.

        Files are called after that which is predicted or, where it is none or several, after the source.

        Parameters
        ----------
        source : str
            Its name.
        """
        own = self.sources[source]
        regions = own.sample.path if isinstance(own, Genome) and own.sample.method == "regions" else None
        read = [path for path in ([regions] if isinstance(own, Genome) else own.paths) if path]
        stem = contract.stem(read[0]) if len(read) == 1 and "{" not in read[0] else source
        kinds = [kind for kind in self.settings.predict.formats if kind in contract.ENDS]
        named = (contract.selene(stem, kind, ["pred"], missing=regions is not None) for kind in kinds)
        return {name: kind for files in named for name, (kind, _) in files.items()}

    @property
    def written_predictions(self) -> str:
        """A pattern of what is written of predictions as Selene does, by its place in their folder."""
        return pattern(name for source in self.queries for name in self.further_predictions(source))

    @property
    def further_effects(self) -> str:
        """A pattern of what is written of variants beside Parquet, by its place within the folder of a cohort."""
        return pattern(name for cohort in self.settings.variants.values() for name in cohort.files)

    @cached_property
    def browsed(self) -> dict[str, tuple[str, str]]:
        """Stems of the tracks for genome browsers: what each is of, and the source or file of variants."""
        if self.settings.tracks is None:
            return {}
        own = [(mode, source) for source, mode in self.asked]
        own += [(contract.PREDICTED, source) for source in self.queries if self.per == "token"]
        changed = {f"variants/{cohort}/{contract.CHANGED}": (contract.CHANGED, cohort) for cohort in self.settings.variants}
        return {f"{place('tracks', source)}/{kind}": (kind, source) for kind, source in own} | changed

    @property
    def browsed_classes(self) -> list[str]:
        """The classes that have tracks of their own."""
        return self.settings.tracks.classes if self.settings.tracks else []

    @property
    def browsed_ends(self) -> list[str]:
        """How the names of the files of a track end."""
        return contract.browsed(self.browsed_classes, self.settings.tracks.formats) if self.settings.tracks else [""]

    def browsed_table(self, stem: str) -> list[str]:
        """List the table of which a track is, and the sequences where it does not hold their positions.

        Parameters
        ----------
        stem : str
            One of :attr:`browsed`.
        """
        kind, name = self.browsed[stem]
        if kind == contract.CHANGED:
            return [f"{self.out}/variants/{name}/{contract.VARIANTS}"]
        if kind == contract.PREDICTED:
            return [f"{self.out}/{self.predictions_of(name)}/{contract.PREDICTIONS}", f"{self.out}/encoded/{name}.parquet"]
        return [f"{self.scored(name, kind)}.parquet"]

    def of_windows(self, source: str) -> bool:
        """Say whether the ids of a source tell where its sequences lie on a genome.

        Parameters
        ----------
        source : str
            Its name.
        """
        own = self.sources[source]
        return all(isinstance(part, Genome) for part in (own.each.values() if isinstance(own, Parts) else [own]))

    def transcripts_of(self, source: str) -> list[str]:
        """Give the file that lays the sequences of a source on a genome, if there is one.

        Parameters
        ----------
        source : str
            Its name.
        """
        given = self.settings.tracks.transcripts if self.settings.tracks else None
        return [given] if given and not self.of_windows(source) else []

    def scored(self, source: str, mode: str) -> str:
        """Give the stem of what is made of the scores of a source in a mode.

        Parameters
        ----------
        source, mode : str
            One of :attr:`asked`.
        """
        return f"{self.out}/{place('interpret', source)}/loo_scores_{mode}"


def pattern(names: Iterable[str]) -> str:
    r"""Write a pattern that is met by names and nothing else.

    Parameters
    ----------
    names : iterable of str
        Such as those of files.

    Examples
    --------
    >>> pattern(["a.tsv", "b.h5"]), pattern([])
    ('a\\.tsv|b\\.h5', 'none')
    """
    return "|".join(map(re.escape, dict.fromkeys(names))) or "none"


def fold_of(model: str) -> int:
    """Give the fold of a model that is trained here.

    Parameters
    ----------
    model : str
        Its name, as in ``3`` or ``3.1``.

    Examples
    --------
    >>> fold_of("3.1")
    3
    """
    return int(model.partition(".")[0])
