"""The plan of an experiment: which files and pictures are made, by which jobs, and what each job is given."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnalm.config import Genome, OwnModel, contract
from rnalm.config.contract import place, source_of
from rnalm.pipeline import params
from rnalm.pipeline.experiment import Experiment

#: The stages that can be asked for, in the order in which data flow.
STAGES = (
    "tokenize",
    "encode",
    "pretrain",
    "sweep",
    "baseline",
    "finetune",
    "predict",
    "interpret",
    "variants",
    "tracks",
    "powerlaw",
    "report",
)


@dataclass(frozen=True)
class Picture:
    """A picture of the report.

    Attributes
    ----------
    kind : str
        One of :data:`rnalm.config.contract.PICTURES`.
    source : str or None
        The source whose sequences it shows, or the file of variants; None: it shows the whole experiment.
    mode : str or None
        The mode of the scores that it shows.
    """

    kind: str
    source: str | None = None
    mode: str | None = None

    @property
    def name(self) -> str:
        """Name of its file."""
        return contract.picture_name(self.kind, self.source, self.mode)

    @property
    def category(self) -> str:
        """Chapter of Snakemake's own report."""
        return contract.PICTURES[self.kind]

    @property
    def labels(self) -> dict[str, str]:
        """What Snakemake's own report says of it."""
        labels = {"picture": self.kind.replace("_", " "), "sequences": self.source, "mode": self.mode}
        return {name: value for name, value in labels.items() if value}


class Plan(Experiment):
    """An experiment and what is made of it, as plain data.

    Parameters
    ----------
    settings : Config
        The configuration.
    """

    @property
    def tested(self) -> tuple[str, ...]:
        """Names of what tells how a model does on its test rows."""
        return contract.tested(self.settings.task, self.per)

    @property
    def predicted(self) -> tuple[str, ...]:
        """Names of what is made of the predictions of all models for a source."""
        predict = self.settings.predict
        if self.per == "token":
            return contract.tracked(predict.sites is not None, predict.formats)
        return contract.predicted(self.settings.task)

    def targets(self, stage: str) -> list[str]:
        """List all files of a stage, so that one that is gone is made again.

        Parameters
        ----------
        stage : str
            One of :data:`STAGES`, or ``all``: what the configuration asks for.
        """
        if stage == "all":
            asked = [name for name in STAGES if name != "powerlaw" or self.settings.powerlaw]
            return list(dict.fromkeys(file for name in asked for file in self.targets(name)))
        return [f"{self.out}/{file}" for file in getattr(self, f"_{stage}")()]

    def _tokenize(self) -> list[str]:
        return ["tokenizer.json"]

    def _encode(self) -> list[str]:
        return [f"encoded/{source}.parquet" for source in self.encoded]

    def _pretrain(self) -> list[str]:
        return [f"{folder}/{name}" for folder in self.pretrainings for name in contract.PRETRAINED]

    def _sweep(self) -> list[str]:
        of_folds = [f"sweep/{fold}/{name}" for fold in self.folds for name in contract.SEARCHED]
        return ["sweep/index.html", *of_folds] if self.sweep else []

    @property
    def finetuned(self) -> tuple[str, ...]:
        """Names of what fine-tuning a fold leaves in the folder of its model."""
        return (*contract.FINETUNED, *((contract.VALIDATED_PART,) if self.per == "sequence" else ()))

    @property
    def fitted(self) -> tuple[str, ...]:
        """Names of what is made of the baseline of a fold."""
        return (*contract.FITTED, *((contract.TESTED_PART, *self.tested) if self.held_out else ()))

    def _baseline(self) -> list[str]:
        pooled = self.predicted if self.baselines and self.held_out else ()
        of_folds = [f"baseline/{fold}/{name}" for fold in self.baselines for name in self.fitted]
        return [*of_folds, *(f"baseline/{name}" for name in pooled)]

    @property
    def _stacked(self) -> list[str]:
        """What says how models and baseline of a fold count, and what they predict together of its test rows."""
        names = [*contract.STACKED, *(self.predicted if self.held_out else [])]
        return [f"stack/{fold}/{name}" for fold in self.stacks for name in names]

    def _finetune(self) -> list[str]:
        names = [*self.finetuned, *(self.tested if self.held_out else [])]
        of_models = [f"fine-tune/{model}/{name}" for model in self.trained for name in names]
        return ["folds.parquet", *of_models, *self._stacked, "fine-tune/summary.csv"] if self.trained else []

    def _predict(self) -> list[str]:
        merged = [f"{self.predictions_of(source)}/{name}" for source in self.queries for name in self.predicted]
        evaluated = [f"{self.predictions_of(source)}/{name}" for source in self.evaluated for name in contract.PERFORMANCE]
        further = [
            f"{self.predictions_of(source)}/{name}" for source in self.queries for name in self.further_predictions(source)
        ]
        return [*merged, *evaluated, *further, *(contract.VERDICT for _ in self.verdict)]

    def _interpret(self) -> list[str]:
        parts = [part.removeprefix(f"{self.out}/") for asked in self.asked for part in self.shard_files(*asked)]
        stems = [self.scored(*asked).removeprefix(f"{self.out}/") for asked in self.asked]
        merged = [f"{stem}.{kind}" for stem in stems for kind in (*contract.SCORES, contract.PAGE, *contract.PATTERNS.values())]
        further = [f"{place('interpret', source)}/{name}" for source in self.mutated for name in self.mutations]
        return ["interpret/checked", *parts, *merged, *further] if self.asked else []

    @property
    def mutated(self) -> list[str]:
        """Sources whose letters are exchanged."""
        return [source for source, mode in self.asked if mode == "mutate"]

    @property
    def mutations(self) -> list[str]:
        """Files of what these exchanges change, in further formats."""
        return [contract.MUTATIONS[name] for name in self.settings.interpret.formats]

    def _variants(self) -> list[str]:
        cohorts = self.settings.variants
        files = [file for cohort in cohorts for file in (*self.variant_parts(cohort), *self.variant_tables(cohort))]
        return [file.removeprefix(f"{self.out}/") for file in files]

    def _tracks(self) -> list[str]:
        elements = [f"{stem}{end}" for stem in self._with_elements for end in contract.elements(self.browsed_classes)]
        return [*(f"{stem}{end}" for stem in self.browsed for end in self.browsed_ends), *elements]

    @property
    def _with_elements(self) -> dict[str, dict[str, str]]:
        """Stems of the files of elements, and the wildcards of the jobs that write them."""
        if self.settings.tracks is None or self.settings.tracks.elements is None:
            return {}
        places = [(place("tracks", source), mode) for source, mode in self.asked]
        return {f"{folder}/elements_{mode}": {"tracks": folder, "mode": mode} for folder, mode in places}

    def _powerlaw(self) -> list[str]:
        return [f"powerlaw/{name}" for name in contract.SPECTRA]

    def _report(self) -> list[str]:
        # Its links lead to the pages of scores.
        pages = [f"{self.scored(*asked)}.{contract.PAGE}".removeprefix(f"{self.out}/") for asked in self.asked]
        return ["report.html", *pages] if self.sources or self.settings.variants else []

    def pictures(self) -> list[Picture]:
        """List the pictures of the report."""
        pictures = [Picture("data")] if self.sources else []
        pictures += [Picture("learning_curves")] if self.trained else []
        pictures += [Picture("pretraining")] if self.pretrain else []
        for source in self.queries:
            pictures.append(Picture("predictions", source))
            if self.per == "token":
                pictures.append(Picture("tracks", source))
            elif self.settings.task == "classification" and len(self.models) > 1:
                pictures.append(Picture("confusion", source))
            modes = [mode for asked, mode in self.asked if asked == source]
            pictures += [Picture(kind, source, mode) for mode in modes for kind in ("profiles", "positions")]
        pictures += [Picture(kind, cohort) for cohort in self.settings.variants for kind in ("effects", "letters")]
        return pictures

    def params(self, rule: str, wildcards: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Give what a job is given beside files and fingerprints, as plain values.

        One dict holds them all, as Snakemake compares params as a set of values, in which two that change places are the same.

        Parameters
        ----------
        rule : str
            The job's rule.
        wildcards : mapping, optional
            Values of the rule's wildcards.
        """
        return params.plain(params.RULES[rule](self, **(wildcards or {})))

    def provided(self, rule: str, wildcards: Mapping[str, str] | None = None) -> list[str]:
        """List the files of the user that a job reads: their content counts, their dates do not.

        Parameters
        ----------
        rule : str
            The job's rule.
        wildcards : mapping, optional
            Values of the rule's wildcards.
        """
        values = dict(wildcards or {})
        if rule in ("pretrain_model", "sweep_worker", "finetune_fold"):
            return self.starting_point()
        if rule == "train_tokenizer":
            return self.vocabulary.paths if self.vocabulary else self._lent()
        if rule == "encode_source":
            return [*self.encoded[values["source"]].paths, *self._of_given("config.json")]
        if rule == "score_shard":
            return self.mutated_regions if values["mode"] == "mutate" else []
        if rule == "list_variants":
            return self.settings.variants[values["cohort"]].paths
        if rule == "score_variants":
            return [self.settings.variants[values["cohort"]].letters]
        if rule == "write_variants":
            asked = self.settings.variants[values["cohort"]].files[values["written"]]
            return [asked["path"]] if asked["kind"] in ("vcf", "missing") else []
        if rule == "write_predictions":
            own = self.sources[source_of(values["place"])]
            windows = [path for path in (own.genome, own.sample.path) if path] if isinstance(own, Genome) else []
            return [*windows, *self._of_given("labels.json")]
        if rule == "write_tracks":
            kind, source = self.browsed[values["stem"]]
            return [] if kind == contract.CHANGED else self.transcripts_of(source)
        if rule == "find_elements":
            return self.transcripts_of(contract.source_of(values["tracks"]))
        if rule == "cluster_sequences":
            return self.settings.training_source.of_sequences().paths
        if rule == "predict_source":
            return self.model_files(values["model"]) if self.given else []
        if rule in ("gather_models", "merge_predictions", "merge_tracks"):
            return self.model_files(*self.models) if self.given else []
        if rule == "write_verdict":
            return self._of_given("labels.json")
        if rule == "compare_spectra":
            return [*self._of_given("model.safetensors"), *self.further_weights]
        if rule == "evaluate_classes":
            return [*self.evaluated_classes, *self._of_given("labels.json")]
        if rule == "check_interpretation":
            own = self.starting_point() if isinstance(self.settings.model, OwnModel) else []
            return [*self.beds, *self._of_given("labels.json"), *own]
        if rule == "draw_scores":
            return self.annotations
        if rule == "write_report":
            return [*self.annotations, *self.regions, *(cohort.letters for cohort in self.settings.variants.values())]
        return []

    def all_provided(self) -> list[str]:
        """List all files of the user on which the results depend."""
        sources = [*self.encoded.values(), *filter(None, [self.vocabulary])]
        models = [*(self.model_files(*self.models) if self.given else []), *self.further_weights, *self.starting_point()]
        read = [path for source in (*sources, *self.settings.variants.values()) for path in source.paths]
        transcripts = [path for source in self.queries for path in self.transcripts_of(source)][:1]
        return [*read, *transcripts, *self.evaluated_classes, *self.beds, *self.regions, *models]

    def _lent(self) -> list[str]:
        return [path for path in [f"{self.lender}/tokenizer.json"] if Path(path).is_file()]

    def _of_given(self, name: str) -> list[str]:
        return [f"{folder}/{name}" for folder in self.given]

    def jobs(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Go through all jobs of the whole experiment: the rule, and the values of its wildcards."""
        settings = self.settings
        yield "train_tokenizer", {}
        yield from (("encode_source", {"source": source}) for source in self.encoded)
        if self.trained:
            yield from self._training_jobs()
        for source in self.queries:
            yield from (("predict_source", {"source": source, "model": model}) for model in self.models)
            beside = self.baselines if self.stacks and source != "source" else ()
            yield from (("predict_baseline", {"source": source, "fold": fold}) for fold in beside)
            merging = ("merge_predictions", "place") if self.per == "sequence" else ("merge_tracks", "tracks")
            yield merging[0], {merging[1]: self.predictions_of(source)}
            written = self.further_predictions(source)
            yield from (("write_predictions", {"place": self.predictions_of(source), "predicted": name}) for name in written)
        if self.verdict:
            yield "write_verdict", {}
        yield from (("evaluate_classes", {"place": self.predictions_of(source)}) for source in self.evaluated)
        if self.asked or settings.variants:
            yield "gather_models", {}
        if self.asked:
            yield from self._scoring_jobs()
        for cohort in settings.variants:
            yield from self._variant_jobs(cohort)
        yield from (("write_tracks", {"stem": stem}) for stem in self.browsed)
        yield from (("find_elements", wildcards) for wildcards in self._with_elements.values())
        if settings.powerlaw:
            yield "compare_spectra", {}
        if self._report():
            yield "write_report", {}

    def _training_jobs(self) -> Iterator[tuple[str, dict[str, str]]]:
        if self.settings.folds.group == "cluster":
            yield "cluster_sequences", {}
        yield "assign_folds", {}
        yield from (("pretrain_model", {"pretraining": folder}) for folder in self.pretrainings)
        if self.sweep:
            for fold in map(str, self.folds):
                yield from (("sweep_worker", {"fold": fold, "worker": f"{k}"}) for k in range(self.sweep.workers))
                yield "conclude_sweep", {"fold": fold}
            yield "show_sweeps", {}
        yield from (("fit_baseline", {"fold": fold}) for fold in self.baselines)
        if self.baselines and self.held_out:
            yield "merge_baselines", {}
        for model in self.trained:
            yield "finetune_fold", {"model": model}
            if self.held_out:
                yield "evaluate_fold", {"model": model}
        yield from (("stack_fold", {"fold": fold}) for fold in self.stacks)
        yield from (("merge_stack", {"fold": fold}) for fold in self.tested_stacks)
        yield "summarize_folds", {}

    def _variant_jobs(self, cohort: str) -> Iterator[tuple[str, dict[str, str]]]:
        yield "list_variants", {"cohort": cohort}
        count = len(self.variant_parts(cohort))
        for shard in range(count):
            yield "score_variants", {"cohort": cohort, "shard": f"{shard}", "shards": f"{count}"}
        yield "merge_variants", {"cohort": cohort}
        yield from (("write_variants", {"cohort": cohort, "written": name}) for name in self.settings.variants[cohort].files)

    def _scoring_jobs(self) -> Iterator[tuple[str, dict[str, str]]]:
        yield "check_interpretation", {}
        for source, mode in self.asked:
            count = len(self.shard_files(source, mode))
            shards = {"source": source, "mode": mode, "shards": f"{count}"}
            yield from (("score_shard", shards | {"shard": f"{shard}"}) for shard in range(count))
            merged = {"place": place("interpret", source), "mode": mode}
            yield "merge_scores", merged
            yield "draw_scores", merged
            yield "find_patterns", merged
        for source in self.mutated:
            written = {"place": place("interpret", source)}
            yield from (("write_mutations", written | {"archive": name}) for name in self.settings.interpret.formats)
