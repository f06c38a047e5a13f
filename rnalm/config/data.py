"""Configuration of tokenizer, encoding, labels and folds."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from rnalm.config.parts import Source
from rnalm.config.section import Section, Separator, SplitName

#: Names of special tokens by what they are for; a tokenizer needs the first three.
SPECIAL_ROLES: dict[str, tuple[str, ...]] = {
    "unk": ("[UNK]", "<unk>"),
    "pad": ("[PAD]", "<pad>"),
    "mask": ("[MASK]", "<mask>"),
    "cls": ("[CLS]", "<cls>", "<s>"),
    "sep": ("[SEP]", "<sep>", "<eos>", "</s>"),
    "bos": ("[BOS]", "<bos>", "<s>"),
    "eos": ("[EOS]", "<eos>", "</s>"),
}

#: Types of tokenizers: for each, the keys that are for some types only, and their defaults there.
TOKENIZER_DEFAULTS: dict[str, dict[str, Any]] = {
    "atomic": {"min_freq": 1, "vocab_size": None},
    "bpe": {"min_freq": 2, "vocab_size": 20_000, "max_token_length": 10, "atomic_replacements": {}},
    "unigram": {"vocab_size": 32_000, "max_token_length": 16, "atomic_replacements": {}},
    "kmer": {"min_freq": 1, "vocab_size": None, "k": 5, "stride": 1},
}


class Tokenizer(Section):
    """How sequences become tokens."""

    type: Literal[*TOKENIZER_DEFAULTS] = "atomic"  # pyright: ignore[reportInvalidTypeForm]
    """`atomic`: one token a field or character. `bpe`: byte-pair encoding, merges of frequent neighbours. `unigram`: the \
pieces that make the data most probable, as in SentencePiece. `kmer`: every `k` letters."""
    source: Source | None = None
    """Where the vocabulary is learned; null: from `source`."""
    sample_size: int | None = Field(default=None, ge=1)
    """Learn the vocabulary from a random sample of this many sequences; null: from all."""
    min_freq: int | None = Field(default=None, ge=1)
    """Tokens that occur less often become `[UNK]`, and pairs that do are not merged; null: 2 for `bpe`, else 1."""
    vocab_size: int | None = Field(default=None, ge=8)
    """The largest vocabulary, special tokens included; null: 20,000 for `bpe`, 32,000 for `unigram`, else unbounded."""
    max_token_length: int | None = Field(default=None, ge=1)
    """Letters of a token, at most; null: 10 for `bpe`, 16 for `unigram`."""
    atomic_replacements: dict[str, Annotated[str, Field(min_length=1, max_length=1)]] = {}
    """For `bpe` and `unigram`: tokens of several letters and, for each, the one letter as which it is merged with others, as \
in `{gej: E}`; a letter that the data do not have."""
    k: int | None = Field(default=None, ge=1)
    """Letters of a token, for `kmer`; null: 5."""
    stride: int | None = Field(default=None, ge=1)
    """Letters from one token to the next, for `kmer`; null: 1."""
    special_tokens: list[str] = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "[BOS]", "[EOS]"]
    """Special tokens in the order of their ids, from 0. What each is for is told by its name, as in `[MASK]` or `<mask>`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in dict.fromkeys(key for defaults in TOKENIZER_DEFAULTS.values() for key in defaults):
            if getattr(self, key) and key not in TOKENIZER_DEFAULTS[self.type]:
                types = " or ".join(kind for kind, defaults in TOKENIZER_DEFAULTS.items() if key in defaults)
                raise ValueError(f"{key} is for type: {types}, found type: {self.type}")
        letters = list(self.atomic_replacements.values())
        if len(set(letters)) < len(letters):
            raise ValueError("atomic_replacements must give each token a letter of its own")
        if len(set(self.special_tokens)) < len(self.special_tokens):
            raise ValueError("special_tokens must differ from each other")
        for role in ("unk", "pad", "mask"):
            if not set(SPECIAL_ROLES[role]) & set(self.special_tokens):
                raise ValueError(f"special_tokens: none is named {' or '.join(SPECIAL_ROLES[role])}")
        return self

    def special(self, role: str) -> str:
        """Name the special token for a role, such as ``unk``.

        Parameters
        ----------
        role : str
            What the token is for: a key of :data:`SPECIAL_ROLES`.
        """
        return next(name for name in SPECIAL_ROLES[role] if name in self.special_tokens)

    def value(self, key: str) -> Any:
        """Give a key's value, or its default for this type.

        Parameters
        ----------
        key : str
            A key of :data:`TOKENIZER_DEFAULTS`.
        """
        given = getattr(self, key)
        return TOKENIZER_DEFAULTS[self.type].get(key) if given is None else given


class Encode(Section):
    """How much of a sequence the model sees."""

    block_size: int = Field(default=12288, ge=1)
    """Longer sequences are cut to this many tokens."""
    truncate: Literal["right", "left", "both"] = "right"
    """The end that is cut: `right` drops the 3′ end, `left` the 5′ end, `both` as much of either, so that the middle stays."""
    center_token: str | None = None
    """Keep equal context on both sides of the first such token instead."""
    reverse_complement: Literal["none", "augment", "average"] = "none"
    """The other strand of DNA and RNA. `augment`: training sees the reverse complement of each of its sequences too; \
`average`: it does, and predictions and scores are the mean over both strands, of label units or probabilities; \
`none`: sequences as they stand."""


class Labels(Section):
    """How labels enter training."""

    per: Literal["sequence", "token"] = "sequence"
    """What has a label: a `sequence`, or each of its tokens, which are positions then (`tokenizer.type: atomic`)."""
    sep: Separator = ","
    """For `per: token`: what separates the labels of a sequence; an empty one is unknown."""
    classes: Annotated[list[str], Field(min_length=1)] | None = None
    """For `per: token`, `task: multilabel` and sites of a BED file: their names, each a class."""
    scaling: Literal["none", "log", "minmax", "standard"] = "none"
    """Scaling for regression, fitted on the training rows of a fold and inverted in everything reported."""
    unit: Annotated[str, Field(min_length=1)] | None = None
    """Unit of the labels, as `h`, for axes and tables of the report; nothing is converted. Only for regression."""
    quality: dict[str, Annotated[float, Field(ge=0)]] = {"STRONG": 1.0, "GOOD": 0.75, "WEAK": 0.5, "POOR": 0.25}
    """Weights of the quality labels in `columns.weight`."""
    class_weights: bool = False
    """Weigh classes by their inverse frequency in the training rows; with `task: multilabel`, the positives of each class as \
much as its negatives together. Not for regression."""
    positive_weight: float | None = Field(default=None, gt=0)
    """For two classes: what the second of them, in the order of their names, counts in the loss, where the first counts 1; \
with `task: multilabel`, what the positives of every class count."""
    positive_weights: dict[str, Annotated[float, Field(gt=0)]] = {}
    """For `task: multilabel`: what the positives of single classes count, as in `{Reb1: 5}`; those of others as \
`positive_weight` or `class_weights` say, or 1."""


class Cluster(Section):
    """When sequences are alike, for `folds.group: cluster`."""

    k: int | None = Field(default=None, ge=1)
    """Letters of a k-mer; null: 13 for nucleotides, 5 for anything else."""
    shared: float = Field(default=0.3, gt=0, le=1)
    """Sequences that share at least this part of the k-mers of the shorter one are in one cluster, as are those of a chain."""


class Folds(Section):
    """Who trains, validates and tests."""

    method: Literal["ratio", "column", "rotate", "kfold"] = "ratio"
    """`ratio`: random parts; `column`: named splits; `rotate`: each split is the test set once and the following one \
validation; `kfold`: as `rotate`, over n random parts, each with its share of every class."""
    n: int = Field(default=1, ge=1)
    """Number of folds for `ratio` (reshuffled each time), of parts for `kfold`, of splits for `rotate`."""
    ratio: list[Annotated[int, Field(ge=1)]] = Field(default=[70, 15, 15], min_length=2, max_length=3)
    """Percentages of train, validation and, if there are three, test; for `ratio`."""
    validation: list[SplitName] | list[list[SplitName]] = []
    """Splits that validate, for `column`; a list of lists gives one fold each."""
    test: list[SplitName] | list[list[SplitName]] = []
    """Splits that test, for `column`; a list of lists gives one fold each."""
    validation_percent: int | None = Field(default=None, ge=1, le=50)
    """For `kfold`: the percentage of the rows outside of the test part that validate, so that more train; null: all of the \
following part."""
    splits: list[SplitName] | None = None
    """For `rotate`: the splits in the order of rotation; null: the n splits of `columns.split` in natural order."""
    group: Literal["column", "cluster", "none"] = "column"
    """Which rows never straddle parts. `column`: those with the same `columns.group`, if there is such a column, and chunks \
of one sequence; `cluster`: these, and sequences that share much of their k-mer content; `none`: any row may go anywhere."""
    cluster: Cluster = Cluster()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(self.ratio) != 100:
            raise ValueError(f"ratio must sum to 100, found {self.ratio}, which sum to {sum(self.ratio)}")
        if self.validation_percent is not None and self.method != "kfold":
            raise ValueError(f"validation_percent is for kfold, found method {self.method}")
        fewest = 3 if self.validation_percent is None else 2
        if self.method in ("kfold", "rotate") and self.count < fewest:
            key = "splits" if self.splits and self.method == "rotate" else "n"
            raise ValueError(
                f"{key} must be at least {fewest} for {self.method} (train, validation and test differ), found {self.count}"
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
