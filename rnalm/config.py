"""The one definition of the configuration: keys, types, defaults, meaning.

The JSON schema in ``workflow/schemas/`` and the tables of ``config/README.md`` are generated from these models.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from rnalm.errors import nearest

#: Validation metrics that can select a model, and whether greater is better.
METRICS: dict[str, dict[str, bool]] = {
    "regression": {
        "loss": False,
        "mse": False,
        "mae": False,
        "r2": True,
        "pearson": True,
        "spearman": True,
    },
    "classification": {
        "loss": False,
        "accuracy": True,
        "f1_macro": True,
        "f1_weighted": True,
        "precision_macro": True,
        "recall_macro": True,
        "roc_auc": True,
        "pr_auc": True,
    },
}


def _unescape(value: Any) -> Any:
    r"""Let users write ``\t`` in plain YAML, where it arrives as a backslash and a letter."""
    return value.replace("\\t", "\t") if isinstance(value, str) else value


def _no_separator(value: Any) -> Any:
    """Accept the ways in which people write that there is no separator."""
    return None if value in ("", False) else _unescape(value)


Separator = Annotated[str, BeforeValidator(_unescape), Field(min_length=1)]
OptionalSeparator = Annotated[str | None, BeforeValidator(_no_separator)]
Position = Annotated[int, Field(ge=1, strict=True)]
Column = Position | str
SplitName = str | int


class Section(BaseModel):
    """A part of the configuration; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True, allow_inf_nan=False)


class Columns(Section):
    """Where a table holds what: header names or 1-based positions."""

    id: Column
    """Identifier of the sequence; must be unique."""
    sequence: Column
    """The sequence."""
    label: Column | None = None
    """What the model learns. Needed for training, optional for prediction."""
    weight: Column | None = None
    """Quality label (see `labels.quality`) or number that weighs the row in the loss; regression only."""
    group: Column | None = None
    """Rows with the same value never straddle train, validation and test."""
    split: Column | None = None
    """Name of the predefined split of the row, for `folds.method` `column` and `rotate`."""


class Source(Section):
    """A data file and how to read it."""

    path: str
    """A separated table; gzip-compressed if the name ends in `.gz`."""
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
    columns: Columns
    """Where the table holds what."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.modifier_sep and not self.token_sep:
            raise ValueError("modifier_sep needs token_sep: in a contiguous sequence no token can carry a modifier")
        separators = [sep for sep in (self.column_sep, self.token_sep, self.modifier_sep, self.quote) if sep]
        if len(set(separators)) < len(separators):
            raise ValueError("column_sep, token_sep, modifier_sep and quote must differ from each other")
        if not self.header:
            for key, value in self.columns:
                if isinstance(value, str):
                    raise ValueError(f"columns.{key} is the name {value!r}, but without a header give a 1-based position")
        return self


class Tokenizer(Section):
    """How sequences become tokens."""

    type: Literal["atomic"] = "atomic"
    """`atomic`: one token a field or character."""
    source: Source | None = None
    """Where the vocabulary is learned; null: from `source`."""
    sample_size: int | None = Field(default=None, ge=1)
    """Learn the vocabulary from a random sample of this many sequences; null: from all."""
    min_freq: int = Field(default=1, ge=1)
    """Tokens that occur less often become `[UNK]`."""
    vocab_size: int | None = Field(default=None, ge=8)
    """Keep only the most frequent tokens, so that with the 7 special tokens the vocabulary is at most this large."""


class Encode(Section):
    """How much of a sequence the model sees."""

    block_size: int = Field(default=12288, ge=1)
    """Longer sequences are cut to this many tokens."""
    truncate: Literal["right", "left"] = "right"
    """The end that is cut: `right` drops the 3′ end, `left` the 5′ end."""
    center_token: str | None = None
    """Keep equal context on both sides of the first such token instead."""


class Labels(Section):
    """How labels enter training."""

    scaling: Literal["none", "log", "minmax", "standard"] = "none"
    """Scaling for regression, fitted on the training rows of a fold and inverted in everything reported."""
    quality: dict[str, Annotated[float, Field(ge=0)]] = {"STRONG": 1.0, "GOOD": 0.75, "WEAK": 0.5, "POOR": 0.25}
    """Weights of the quality labels in `columns.weight`."""
    class_weights: bool = False
    """Weigh classes by their inverse frequency in the training rows; classification only."""


class Folds(Section):
    """Who trains, validates and tests."""

    method: Literal["ratio", "column", "rotate", "kfold"] = "ratio"
    """`ratio`: random parts; `column`: named splits; `rotate`: each split is the test set once and the following one \
validation; `kfold`: as `rotate`, over n random parts."""
    n: int = Field(default=1, ge=1)
    """Number of folds for `ratio` (reshuffled each time), of parts for `kfold`, of splits for `rotate`."""
    ratio: list[Annotated[int, Field(ge=1)]] = Field(default=[70, 15, 15], min_length=2, max_length=3)
    """Percentages of train, validation and, if there are three, test; for `ratio`."""
    validation: list[SplitName] | list[list[SplitName]] = []
    """Splits that validate, for `column`; a list of lists gives one fold each."""
    test: list[SplitName] | list[list[SplitName]] = []
    """Splits that test, for `column`; a list of lists gives one fold each."""
    splits: list[SplitName] | None = None
    """For `rotate`: the splits in the order of rotation; null: the n splits of `columns.split` in natural order."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(self.ratio) != 100:
            raise ValueError(f"ratio must sum to 100, found {self.ratio}, which sum to {sum(self.ratio)}")
        if self.method in ("kfold", "rotate") and self.count < 3:
            key = "splits" if self.splits and self.method == "rotate" else "n"
            raise ValueError(
                f"{key} must be at least 3 for {self.method} (train, validation and test differ), found {self.count}"
            )
        if self.method == "column":
            nested = {isinstance(part, list) for part in [*self.validation, *self.test]}
            if not self.validation or len(nested) != 1:
                raise ValueError("validation (and test) must be lists of split names, or both lists of such lists")
            if True in nested and self.test and len(self.test) != len(self.validation):
                raise ValueError(f"validation has {len(self.validation)} lists, test has {len(self.test)}; one a fold each")
        return self

    @property
    def count(self) -> int:
        """How many folds there are."""
        if self.method == "rotate" and self.splits:
            return len(self.splits)
        if self.method == "column":
            return len(self.validation) if isinstance(self.validation[0], list) else 1
        return self.n

    @property
    def tested(self) -> bool:
        """Whether folds have test rows."""
        return {"ratio": len(self.ratio) == 3, "column": bool(self.test)}.get(self.method, True)

    @property
    def tests_each(self) -> float:
        """In how many folds a row is a test row, on average, where folds have test rows."""
        return self.n * self.ratio[2] / 100 if self.method == "ratio" else 1


class Saluki(Section):
    """The convolutional-recurrent network of Agarwal & Kelley (Genome Biology 2022)."""

    name: Literal["saluki"] = "saluki"
    """The architecture."""
    filters: int = Field(default=64, ge=1)
    """Channels of every convolution and of the GRU."""
    kernel_size: int = Field(default=5, ge=1)
    """Width of every convolution."""
    layers: int = Field(default=6, ge=1)
    """Convolution blocks that halve the length."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Dropout after every block and in the head."""
    shift: int = Field(default=3, ge=0)
    """In training, move every sequence to the right by 0 to this many positions, at random."""
    l2: float = Field(default=0.001, ge=0)
    """Penalty on the squared weights of kernels (convolutions, GRU input, dense)."""
    layer_norm_eps: float = Field(default=0.007, gt=0)
    """Added to the variance in layer normalization."""
    batch_norm_momentum: float = Field(default=0.1, gt=0, le=1)
    """Share of the newest batch in the running statistics (torch's convention)."""


def _model_kind(value: Any) -> str:
    return "trained" if isinstance(value, (str, list)) else "saluki"


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Model = Annotated[
    Annotated[Saluki, Tag("saluki")]
    | Annotated[
        list[str], Field(min_length=1), BeforeValidator(_as_list, json_schema_input_type=str | list[str]), Tag("trained")
    ],
    Discriminator(_model_kind),
]


Beta = Annotated[float, Field(ge=0, lt=1)]


class Finetune(Section):
    """How a model is trained, once per fold."""

    epochs: int = Field(default=250, ge=1)
    """Passes over the training rows, at most."""
    extra_epochs: int = Field(default=0, ge=0)
    """Train a finished model for this many further epochs."""
    batch_size: int = Field(default=64, ge=2)
    """Sequences a forward pass."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Forward passes an optimizer step. Several GPUs share them, or else each batch, so that the effective batch stays."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Step size of Adam."""
    scheduler: Literal["constant", "linear", "cosine"] = "constant"
    """Course of the learning rate after the warm-up."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of all steps in which the learning rate rises from 0."""
    betas: tuple[Beta, Beta] = (0.9, 0.998)
    """Decay rates of Adam's moments."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay (AdamW), beside the model's own penalty."""
    max_grad_norm: float = Field(default=0.5, ge=0)
    """Gradients are scaled down to this global norm; 0: never."""
    metric: str = "loss"
    """Validation metric that selects the model and stops training early."""
    patience: int | None = Field(default=25, ge=1)
    """Stop after this many epochs without improvement; null: never."""
    replicates: int = Field(default=1, ge=1)
    """Models a fold, each from a seed of its own; predictions and scores are their mean."""
    gpus: int = Field(default=1, ge=0)
    """GPUs a fold. Without a GPU the CPU trains."""
    bf16: bool = False
    """Mixed precision with bfloat16."""


class Predict(Section):
    """How predictions are made."""

    batch_tokens: int = Field(default=262144, ge=1)
    """Tokens in one forward pass, at most (a longer sequence goes alone)."""


class Interpret(Section):
    """Leave-one-out (LOO) scores: how the prediction changes when one token changes."""

    modes: list[Literal["remove", "mask", "replace"]] = Field(default=["remove"], min_length=1)
    """`remove` deletes the token, `mask` makes it `[MASK]`, `replace` exchanges it for each of its replacements."""
    replacements: dict[str, list[str]] = {}
    """For `replace`: each token and the tokens that take its place."""
    replace_modifiers: bool = False
    """For `replace`: also set the modifiers of a token to 0 and keep the token."""
    explain: str = "predicted"
    """For classification: the class whose score is explained; `predicted`, `all`, or the name of a class."""
    scale: Literal["probability", "logit"] = "probability"
    """For classification: what the score is a difference of."""
    sample_size: int | None = Field(default=None, ge=1)
    """Score only a random sample of this many sequences; null: all."""
    shards: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Jobs among which the work of a mode is divided; `auto`: so many that each takes a quarter of an hour or less on one CPU \
core, by a rough estimate from the size of the source."""
    scorer: Literal["auto", "naive", "incremental"] = "auto"
    """`incremental` computes only what an edit changes, with the same scores (local architectures such as Saluki only); \
`naive` runs the whole model for every edit; `auto`: `incremental` where the architecture allows it, else `naive`."""
    precision: Literal["float32", "tf32", "bf16"] = "float32"
    """In which to multiply. Less than float32 is faster on GPUs (`tf32` needs one), but its error can be as large as small \
scores; the log reports it."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens (for `incremental`: changed positions) computed together, at most; null: as free memory allows."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.modes)) < len(self.modes):
            raise ValueError(f"modes must differ from each other, found {self.modes}")
        if self.replace_modifiers and "replace" not in self.modes:
            raise ValueError("replace_modifiers is for mode replace, which is not among modes")
        if "replace" in self.modes and not (self.replacements or self.replace_modifiers):
            raise ValueError("replacements (or replace_modifiers) must be set for mode replace, as in {a: [c, g, t]}")
        return self


class Report(Section):
    """What the HTML report shows."""

    title: str = "rnalm report"
    """Its heading."""
    profiles: int = Field(default=6, ge=0)
    """Number of LOO profiles: the sequences with the most extreme predictions."""
    annotations: str | None = None
    """BED file (sequence, start, end, name) of known elements; the report tells how well LOO scores find them."""


InferenceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Config(Section):
    """An experiment."""

    output: str = Field(pattern=r"^[^{}]+$")
    """The folder of the experiment."""
    seed: int = Field(default=1, ge=0)
    """Everything random is drawn from this."""
    task: Literal["regression", "classification"] = "regression"
    """What the label is: a number or a class."""
    source: Source | None = None
    """The sequences of the experiment: trained and tested on, or, with trained models, predicted."""
    inference: dict[InferenceName, Source] = {}
    """More files to predict and interpret with every model, by name."""
    tokenizer: Tokenizer = Tokenizer()
    encode: Encode = Encode()
    labels: Labels = Labels()
    folds: Folds = Folds()
    model: Model = Saluki()
    """The architecture and its sizes; or the path, or list of paths, of trained models to use without training. \
Then what concerns training (`tokenizer`, `labels`, `folds`, `finetune` but for `gpus`) has no effect, and `encode` is by \
default the models' own."""
    finetune: Finetune = Finetune()
    predict: Predict = Predict()
    interpret: Interpret = Interpret()
    report: Report = Report()

    @property
    def trains(self) -> bool:
        """Whether models are trained here, rather than given."""
        return isinstance(self.model, Saluki)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_sources()
        if self.trains:
            self._check_training()
        self._check_task()
        if self.interpret.precision == "tf32" and not self.finetune.gpus:
            raise ValueError("interpret.precision: tf32 needs a GPU, found finetune.gpus: 0; expected float32 or bf16")
        return self

    def _check_sources(self) -> None:
        if self.source is None and (self.trains or not self.inference):
            raise ValueError("source is missing: the table of sequences to work on")
        for name in {"source", "parts", "checked"} & set(self.inference):
            raise ValueError(f"inference.{name}: the name {name!r} is taken; choose another")

    def _check_training(self) -> None:
        if self.source.columns.label is None:
            raise ValueError("source.columns.label is missing: training needs labels")
        if self.folds.method in ("column", "rotate") and self.source.columns.split is None:
            raise ValueError(f"source.columns.split is missing: folds.method {self.folds.method} reads splits from a column")
        if self.finetune.metric not in METRICS[self.task]:
            hint = nearest(self.finetune.metric, METRICS[self.task])
            raise ValueError(f"finetune.metric: {self.finetune.metric!r} is no metric of {self.task}; {hint}")

    def _check_task(self) -> None:
        if self.task == "regression":
            if self.labels.class_weights:
                raise ValueError("labels.class_weights is for task: classification, found task: regression")
            if self.interpret.explain != "predicted":
                raise ValueError("interpret.explain is for task: classification, found task: regression")
            if self.interpret.scale != "probability":
                raise ValueError("interpret.scale is for task: classification, found task: regression")
        else:
            if self.labels.scaling != "none":
                raise ValueError("labels.scaling is for task: regression, found task: classification")
            if self.source is not None and self.source.columns.weight is not None:
                raise ValueError("source.columns.weight is for task: regression, found task: classification")
