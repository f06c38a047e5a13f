"""The one definition of the configuration: keys, types, defaults, meaning.

The JSON schema in ``workflow/schemas/`` and the tables of ``config/README.md`` are generated from these models.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from rnalm.config.architectures import (
    ARCHITECTURES,
    FILLING,
    Architecture,
    Dilated,
    Frames,
    Given,
    HuggingFace,
    Model,
    OwnModel,
    Performer,
    Saluki,
)
from rnalm.config.columns import Columns
from rnalm.config.data import Cluster, Encode, Folds, Labels, Tokenizer
from rnalm.config.fasta import Attributes, Chunk, Fasta
from rnalm.config.folder import spelled
from rnalm.config.genome import Features, Genome, Sample, placed_genomes
from rnalm.config.learning import METRICS, Finetune, Pretrain
from rnalm.config.matrix import Matrix
from rnalm.config.parts import Parts, Source, read_source
from rnalm.config.results import Evaluate, Interpret, Powerlaw, Predict, Report
from rnalm.config.section import Section
from rnalm.config.source import Case, SourceSection
from rnalm.config.sweep import OptionalSweep
from rnalm.config.table import Table
from rnalm.config.tracks import Tracks
from rnalm.config.variants import Variants
from rnalm.errors import nearest

__all__ = [
    "ARCHITECTURES",
    "FILLING",
    "METRICS",
    "Architecture",
    "Attributes",
    "Case",
    "Chunk",
    "Cluster",
    "Columns",
    "Config",
    "Dilated",
    "Encode",
    "Evaluate",
    "Fasta",
    "Features",
    "Finetune",
    "Folds",
    "Frames",
    "Genome",
    "Given",
    "HuggingFace",
    "Interpret",
    "Labels",
    "Matrix",
    "OwnModel",
    "Parts",
    "Performer",
    "Powerlaw",
    "Predict",
    "Pretrain",
    "Report",
    "Saluki",
    "Sample",
    "Section",
    "Source",
    "SourceSection",
    "Table",
    "Tokenizer",
    "Tracks",
    "Variants",
    "read_source",
]


InferenceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Config(Section):
    """An experiment."""

    output: Annotated[str, Field(pattern=r"^[^{}]+$"), AfterValidator(spelled)]
    """The folder of the experiment; `~` and `$VARIABLE` are expanded."""
    seed: int = Field(default=1, ge=0)
    """Everything random is drawn from this."""
    task: Literal["regression", "classification", "multilabel"] = "regression"
    """What the label is: a number, a class, or, for `multilabel`, any number of classes, each with a column of its own or, of \
sites in a BED file, a name."""
    source: Source | None = None
    """The sequences of the experiment, in a table or FASTA files: trained and tested on, or, with trained models, predicted."""
    inference: dict[InferenceName, Source] = {}
    """More files to predict and interpret with every model, by name."""
    variants: dict[InferenceName, Variants] = {}
    """Files of variants whose effects on the prediction are computed, by name."""
    tokenizer: Tokenizer = Tokenizer()
    encode: Encode = Encode()
    labels: Labels = Labels()
    folds: Folds = Folds()
    model: Model = Saluki()
    """The architecture and its sizes; or the path, or list of paths, of trained models to use without training. \
Then what concerns training (`tokenizer`, `labels`, `folds`, `finetune` but for `gpus`) has no effect, and `encode` is by \
default the models' own."""
    pretrain: Pretrain | None = None
    """Masked language modelling before fine-tuning; null: none."""
    baseline: Literal["auto", "none"] = "auto"
    """What a model has to beat. `auto`: beside each fold's model, a regression on how often runs of 1 to 4 letters occur, on \
in-frame triplets, lengths and, for sequences of one length, runs by position; or gradient boosting; whatever predicts the \
validation rows best. It takes seconds. `none`: no such comparison."""
    finetune: Finetune = Finetune()
    ensemble: Literal["mean", "stack"] = "mean"
    """How models are combined in predictions. `mean`: each of those that did not see a row counts the same. `stack`: those of \
a fold, and its baseline, count so that the loss of its validation rows is least; scores and effects of variants remain means \
over models."""
    sweep: OptionalSweep = None
    """A search for the values with which models train best; null: none. Or the path of a JSON or YAML file with one, also \
as Weights & Biases writes it."""
    predict: Predict = Predict()
    evaluate: Evaluate = Evaluate()
    interpret: Interpret = Interpret()
    tracks: Tracks | None = None
    """Files for genome browsers; null: none."""
    powerlaw: Powerlaw | None = None
    """Compare the spectra of weights in the report too; null: only when asked for by `snakemake powerlaw`."""
    report: Report = Report()

    @model_validator(mode="before")
    @classmethod
    def _place_genomes(cls, given: Any) -> Any:
        """Tell genomes what is the experiment's: the seed, and where it writes."""
        if not isinstance(given, dict):
            return given
        seed, index = given.get("seed", 1), f"{given.get('output', '')}/genome"
        where = {"source", "inference", "tokenizer", "pretrain"} & given.keys()
        placed = {key: placed_genomes(given[key], seed, index) for key in where}
        source, cohorts = given.get("source"), given.get("variants")
        if isinstance(cohorts, dict):
            own = {"length": source.get("length")} if isinstance(source, dict) and Genome.is_meant(source) else {}
            placed["variants"] = {
                name: {"index": index, **own, **cohort} if isinstance(cohort, dict) else cohort
                for name, cohort in cohorts.items()
            }
        return given | placed

    @model_validator(mode="before")
    @classmethod
    def _divide_by_parts(cls, given: Any) -> Any:
        """Let the parts of a source be the folds, where nothing else is said of these."""
        source = given.get("source") if isinstance(given, dict) else None
        if not isinstance(source, dict) or not isinstance(source.get("parts"), dict):
            return given
        if folds := given.get("folds"):
            if isinstance(folds, dict) and "method" not in folds:
                hint = "expected no folds, or a method by which all rows are divided anew"
                raise ValueError(f"folds: source.parts says what trains, validates and tests; {hint}")
            return given
        test = ["test"] if source["parts"].get("test") else []
        return given | {"folds": {"method": "column", "validation": ["validation"], "test": test}}

    @property
    def trains(self) -> bool:
        """Whether models are trained here, rather than given."""
        return not isinstance(self.model, Given)

    @property
    def architecture(self) -> Architecture:
        """What is trained here; not for experiments with given models."""
        assert isinstance(self.model, Architecture)
        return self.model

    @property
    def training_source(self) -> SourceSection:
        """What is learned from; not for experiments that only predict further files."""
        assert self.source is not None
        return self.source

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_sources()
        if self.trains:
            self._check_training()
        self._check_task()
        self._check_tokens()
        if self.tracks:
            self._check_tracks(self.tracks)
        if self.labels.per == "token":
            self._check_positions()
        else:
            self._check_no_positions()
        if self.sweep is not None:
            if not self.trains:
                raise ValueError("sweep is for training; expected null where model gives trained ones")
            sweep = self.sweep.resolve(self.task, self.architecture, self.finetune)
            if self.pretrain and not self.finetune.from_scratch:
                sweep.check_pretrained()
        if self.ensemble == "stack" and not self.trains:
            raise ValueError("ensemble: stack is of models that are trained here, found given ones; expected mean")
        if self.interpret.precision == "tf32" and not self.finetune.gpus:
            raise ValueError("interpret.precision: tf32 needs a GPU, found finetune.gpus: 0; expected float32 or bf16")
        return self

    def _check_sources(self) -> None:
        if self.source is None and (self.trains or not (self.inference or self.variants)):
            raise ValueError("source is missing: the sequences to work on")
        if self.variants and self.trains and self.labels.per == "token":
            raise ValueError("variants: effects are those on whole sequences; expected labels.per: sequence")
        if "parts" in self.variants:
            raise ValueError("variants.parts: the name 'parts' is taken; choose another")
        for name, cohort in self.variants.items():
            if "logits" in cohort.scores and self.task == "regression":
                raise ValueError(f"variants.{name}.scores: logits are of classes, found task: regression")
            if cohort.length is None and cohort.transcripts is None:
                raise ValueError(f"variants.{name}.length is missing: how many bases the models are to see around a variant")
        for name in {"source", "parts", "checked", "pretraining"} & set(self.inference):
            raise ValueError(f"inference.{name}: the name {name!r} is taken; choose another")

    def _check_training(self) -> None:
        source, model = self.training_source, self.architecture
        if not source.gives("label") and not source.gives("sites"):
            also = " (or source.classes)" if "classes" in type(source).model_fields else ""
            raise ValueError(f"{source.label_key}{also} is missing: training needs labels")
        if self.folds.method in ("column", "rotate") and not source.gives("split"):
            key = f"{source.columns_key}.split"
            raise ValueError(f"{key} is missing: folds.method {self.folds.method} reads splits from a column")
        if self.pretrain and model.name not in FILLING:
            raise ValueError(
                f"pretrain is for models that fill in tokens ({', '.join(FILLING)}), found model.name: {model.name}"
            )
        if self.finetune.batch_tokens and not model.per_token:
            able = ", ".join(name for name, section in ARCHITECTURES.items() if section.per_token)
            problem = f"for model.name: {able}, of which a sequence may go alone, found {model.name}"
            raise ValueError(f"finetune.batch_tokens: {problem}; expected batch_size")
        if self.finetune.from_scratch and getattr(model, "pretrained", None):
            raise ValueError("finetune.from_scratch: model.pretrained has weights to start from; expected a model without them")
        # Whether a network of a user's own is local, its code tells.
        if self.interpret.scorer == "incremental" and model.local != self.labels.per and not isinstance(model, OwnModel):
            able = ", ".join(name for name, section in ARCHITECTURES.items() if section.local == self.labels.per)
            raise ValueError(
                f"interpret.scorer: incremental is for local architectures ({able} for labels.per: {self.labels.per}), "
                f"found model.name: {model.name}; expected naive or auto"
            )
        if self.ensemble == "stack" and self.labels.per == "token":
            raise ValueError("ensemble: stack is for labels of sequences, found labels.per: token; expected mean")
        if self.ensemble == "stack" and self.baseline == "none" and self.finetune.replicates < 2:
            raise ValueError(
                "ensemble: stack combines several models of a fold; expected baseline: auto, or finetune.replicates: 2 or more"
            )
        if model.wide and self.labels.per == "token":
            raise ValueError("model.wide: runs of letters are counted in whole sequences; expected labels.per: sequence")
        if model.wide and "integrated_gradients" in self.interpret.method:
            problem = "model.wide counts runs of letters, which have no gradient"
            raise ValueError(f"interpret.method: integrated_gradients: {problem}; expected loo")
        if self.sweep is not None and self.finetune.max_steps:
            raise ValueError("sweep: trials are measured in epochs; expected finetune.epochs rather than max_steps")
        if self.finetune.metric not in METRICS[self.task]:
            hint = nearest(self.finetune.metric, METRICS[self.task])
            raise ValueError(f"finetune.metric: {self.finetune.metric!r} is no metric of {self.task}; {hint}")

    def _check_task(self) -> None:
        for name, source in self._named_sources.items():
            self._check_columns(name, source)
        if "evaluate" in self.model_fields_set and (self.task != "multilabel" or (self.trains and self.labels.per == "token")):
            raise ValueError("evaluate is for task: multilabel and labels of sequences; expected no such section")
        named = {name: self.classes_of(source) for name, source in self._named_sources.items() if self.classes_of(source)}
        for name, classes in named.items() if self.trains and self.task != "classification" else ():
            own = self.classes_of(self.training_source)
            if own and classes != own:
                source = self._named_sources[name]
                key = f"{name}.sites" if source.sites else source.label_key.replace("source", name, 1)
                raise ValueError(f"{key}: found {classes}; expected those of source, in their order: {own}")
        if self.labels.positive_weights and self.task != "multilabel":
            raise ValueError(f"labels.positive_weights is for task: multilabel, found task: {self.task}")
        if self.task == "regression":
            for key in ("class_weights", "positive_weight"):
                if getattr(self.labels, key):
                    raise ValueError(f"labels.{key} is for task: classification, found task: regression")
            if self.predict.sites:
                raise ValueError("predict.sites is for task: classification, found task: regression")
            if self.interpret.explain not in (None, "predicted") and self.trains and not self.training_source.several:
                raise ValueError("interpret.explain is for classes, or several targets; found one number")
            if self.interpret.scale != "probability":
                raise ValueError("interpret.scale is for task: classification, found task: regression")
        else:
            if self.labels.unit:
                raise ValueError(f"labels.unit is for task: regression, found task: {self.task}")
            if self.labels.scaling != "none":
                raise ValueError(f"labels.scaling is for task: regression, found task: {self.task}")
            if self.labels.class_weights and self.labels.positive_weight:
                raise ValueError("labels: class_weights and positive_weight both weigh classes; leave one of them out")
            if self.source is not None and self.source.gives("weight"):
                raise ValueError(f"source: weights are for task: regression, found task: {self.task}")

    def _check_tracks(self, tracks: Tracks) -> None:
        """Refuse tracks of what is not told."""
        for name, cohort in self.variants.items():
            if "diffs" not in cohort.scores:
                raise ValueError(f"variants.{name}.scores: tracks are of diffs; expected these among {cohort.scores}")
            if cohort.phased:
                raise ValueError(f"variants.{name}.phased: tracks are of single alleles, found those of {cohort.phased[0]}")
        if not self.trains:
            return  # classes are those of the models
        if self.variants and self.task == "multilabel" and not tracks.classes:
            raise ValueError("tracks.classes is missing: of which classes effects of variants have tracks")
        explain = [self.interpret.explain] if isinstance(self.interpret.explain, str) else self.interpret.explain
        if tracks.classes and self.labels.per == "sequence" and explain != ["all"]:
            if self.task != "regression" and explain in (None, ["predicted"]):
                raise ValueError(
                    "tracks.classes: only the predicted class is explained; expected interpret.explain: all, or names"
                )
            if other := next((name for name in tracks.classes if explain and name not in explain), None):
                raise ValueError(f"tracks.classes: {other!r} is not among interpret.explain; {nearest(other, explain or [])}")

    def classes_of(self, source: SourceSection) -> list[str]:
        """Name the classes of a source, where sequences or tokens have any number of them.

        Parameters
        ----------
        source : SourceSection
            One of the experiment.
        """
        return source.label_classes or (self.labels.classes or [] if source.files_of_sites else [])

    def _check_columns(self, name: str, source: SourceSection) -> None:
        """Refuse columns that do not name the classes of a task, or name them where there are none."""
        several, listed = self.task == "multilabel", source.label_classes
        key, labelled = source.label_key.replace("source", name, 1), source.gives("label")
        if several and source.sites and self.trains and not self.labels.classes:
            raise ValueError(f"labels.classes is missing: which names of sites in {source.sites} are classes")
        if isinstance(source, Parts):
            for part, own in source.each.items():
                self._check_columns(f"{name}.parts.{part}", own)
        elif isinstance(source, Matrix):
            if labelled and self.task == "classification":
                kinds = "1 or 0 of each class, or numbers; expected task: multilabel or regression"
                raise ValueError(f"{key}: targets are {kinds}, found classification")
        elif isinstance(source, Genome):
            if source.features and source.features.is_signal and self.task != "regression":
                raise ValueError(f"{key}: a signal is a number for each bin; expected task: regression, found {self.task}")
            if source.several and not several and not (source.features and source.features.is_signal):
                raise ValueError(f"{key}: each feature is a class by itself; expected task: multilabel, found {self.task}")
        elif (several and (labelled or source.gives("sites")) and not source.several and not source.sites) or (
            listed and (self.task == "classification" or (self.task == "regression" and self.labels.per == "token"))
        ):
            kind = "a list of columns, one a class" if several else "one column"
            of = " with labels.per: token" if self.task == "regression" else ""
            raise ValueError(f"{key}: found {listed or 'one column'}; task: {self.task}{of} has {kind}")

    def _check_tokens(self) -> None:
        """Refuse what only whole letters, or single strands, can have."""
        sources = [source for source in (self.source, *self.inference.values()) if source is not None]
        modified = any(source.modifier_sep for source in sources)
        if modified and self.tokenizer.type != "atomic":
            raise ValueError(f"source.modifier_sep is for tokenizer.type: atomic, found {self.tokenizer.type}")
        if modified and self.pretrain:
            raise ValueError("pretrain: tokens are filled in, not their modifiers; expected no modifier_sep")
        if modified and self.encode.reverse_complement != "none":
            raise ValueError("encode.reverse_complement: modifiers belong to one strand; expected none beside a modifier_sep")

    @property
    def _named_sources(self) -> dict[str, SourceSection]:
        """All sources by the keys under which they stand."""
        own = {"source": self.source} if self.source is not None else {}
        return own | {f"inference.{name}": source for name, source in self.inference.items()}

    def _check_positions(self) -> None:
        """Refuse what labels of positions cannot have."""
        if self.trains and not self.architecture.per_token:
            able = ", ".join(name for name, section in ARCHITECTURES.items() if section.per_token)
            raise ValueError(f"labels.per: token is for model.name: {able}, found {self.architecture.name}")
        if unfit := self.predict.unfit("token"):
            raise ValueError(f"predict.formats: labels.per: token has no {unfit}")
        if self.tokenizer.type != "atomic":
            problem = "a token must be a position, as with tokenizer.type: atomic"
            raise ValueError(f"labels.per: token: {problem}, found {self.tokenizer.type}")
        if self.encode.reverse_complement != "none":
            raise ValueError("encode.reverse_complement: labels of positions belong to one strand; expected none")
        for key in ("truncate", "center_token"):
            if getattr(self.encode, key) != Encode.model_fields[key].default:
                whole = "long sequences are read in windows of encode.block_size, none is cut"
                raise ValueError(f"encode.{key}: with labels.per: token {whole}; leave it out")
        for name, source in self._named_sources.items():
            if source.gives("sites") and self.task == "regression":
                raise ValueError(f"{name}: sites are for task: classification, found task: regression")
            each = source.each.values() if isinstance(source, Parts) else [source]
            if any(isinstance(part, Matrix | Genome) and part.gives("label") for part in each):
                raise ValueError(f"{name}: with labels.per: token each position has a label; of windows, each has one")
            if source.gives("label") and (getattr(source, "classes", None) or getattr(source, "chunk", None)):
                raise ValueError(
                    f"{name}: with labels.per: token each position has a label; expected neither classes nor chunk"
                )
        marked = any(source.files_of_sites for source in self._named_sources.values())
        if self.labels.classes and not (marked and self.task == "multilabel"):
            raise ValueError("labels.classes is for task: multilabel and sites of a BED file, of which there are none here")
        if self.interpret.method != ["loo"]:
            raise ValueError(f"interpret.method: labels.per: token is interpreted by loo alone, found {self.interpret.method}")
        if self.report.annotations and "interpret" not in self.model_fields_set:
            raise ValueError("report.annotations: compared with scores, which a section interpret asks for; expected one")
        if self.interpret.explain_at == "labels":
            for name, source in self._named_sources.items():
                if not (source.gives("label") or source.gives("sites")):
                    raise ValueError(f"interpret.explain_at: labels explains labelled positions, of which {name} has none")

    def _check_no_positions(self) -> None:
        """Refuse what only labels of positions have; of given models it is not known here."""
        for name, source in self._named_sources.items() if self.trains else ():
            if source.gives("sites"):
                raise ValueError(f"{name}: sites are labels of positions; expected labels.per: token")
        if not self.trains:
            return
        for key in ("sep", "classes"):
            if getattr(self.labels, key) != Labels.model_fields[key].default:
                raise ValueError(f"labels.{key} is for labels.per: token, found sequence")
        if self.predict.sites:
            raise ValueError("predict.sites is for labels.per: token, found sequence")
        if unfit := self.predict.unfit("sequence"):
            raise ValueError(f"predict.formats: labels.per: sequence has no {unfit}")
        if self.interpret.explain_at != Interpret().explain_at:
            raise ValueError("interpret.explain_at is for labels.per: token, found sequence")
