"""Configuration of architectures."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, Union

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from rnalm.config.section import Section


class Architecture(Section):
    """What the configuration has to know of every architecture beside its keys."""

    title: ClassVar[str]
    #: Where its models are made, as ``module:function``; see ``rnalm.models.registry``.
    network: ClassVar[str]
    #: What must have labels for its models to be scored incrementally: those of sequences have a method ``local()``, those of
    #: tokens a method ``cone()``.
    local: ClassVar[str | None] = None
    #: Whether its models can give each token an output.
    per_token: ClassVar[bool] = True
    name: str
    wide: bool = False
    """Begin with the linear model of how often runs of letters occur that predicts the validation rows best, as \
`baseline: auto` has it, and let the network learn what is left: predictions are the sum of both. For small data."""

    def started_from(self, folder: str) -> dict[str, Any]:
        """Give what stands in its section where models start from one that was pretrained.

        Parameters
        ----------
        folder : str
            Of that model.
        """
        return {"pretrained": folder}


class Saluki(Architecture):
    """The convolutional-recurrent network of Agarwal & Kelley (Genome Biology 2022)."""

    title = "Saluki"
    network = "rnalm.models.saluki:create"
    local = "sequence"
    per_token = False
    name: Literal["saluki"] = "saluki"
    """The architecture."""
    filters: int = Field(default=64, ge=1)
    """Channels of every convolution and of the GRU."""
    kernel_size: int = Field(default=5, ge=1)
    """Width of every convolution."""
    layers: int = Field(default=6, ge=1)
    """Convolution blocks that halve the length."""
    readout: Literal["mean", "last"] = "mean"
    """What the head reads of the GRU: the `mean` of all its states, or the `last` one, as in the paper, with which it does \
not learn from a thousand transcripts of unlike lengths, but does from short sequences."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout after every block and in the head; 0.3 in the paper. With it a Saluki does not learn from a thousand long \
transcripts; from short sequences it learns more (docs/studies.md)."""
    shift: int = Field(default=3, ge=0)
    """In training, move every sequence to the right by 0 to this many positions, at random."""
    l2: float = Field(default=0.001, ge=0)
    """Penalty on the squared weights of kernels (convolutions, GRU input, dense)."""
    layer_norm_eps: float = Field(default=0.007, gt=0)
    """Added to the variance in layer normalization."""
    batch_norm_momentum: float = Field(default=0.1, gt=0, le=1)
    """Share of the newest batch in the running statistics (torch's convention)."""


class Frames(Architecture):
    """Gated linear recurrences along the three reading frames, from both ends: for mRNAs, some 50,000 parameters."""

    title = "frames"
    network = "rnalm.models.frames:create"
    name: Literal["frames"]
    """`frames`."""
    width: int = Field(default=32, ge=1)
    """Channels of every position."""
    layers: int = Field(default=3, ge=1)
    """Passes along the frames, each followed by a convolution across them."""
    letter_size: int = Field(default=8, ge=1)
    """Numbers that a token is first turned into."""
    context: int = Field(default=21, ge=1)
    """Tokens around a position that it sees at once; odd, so that it stands in their middle."""
    kernel_size: int = Field(default=9, ge=1)
    """Width of the convolutions across frames; odd."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Dropout after every convolution across frames and in the head."""
    pretrained: str | None = None
    """The folder of a model of the same sizes to start from instead of random weights; with its tokenizer."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key in ("context", "kernel_size"):
            if getattr(self, key) % 2 == 0:
                raise ValueError(f"{key} must be odd, found {getattr(self, key)}")
        return self


class Dilated(Architecture):
    """Residual convolutions that see further and further: for what is decided nearby, such as splice sites."""

    title = "dilated"
    network = "rnalm.models.dilated:create"
    local = "token"
    name: Literal["dilated"]
    """`dilated`."""
    width: int = Field(default=32, ge=1)
    """Channels of every position."""
    kernel_size: int = Field(default=11, ge=3)
    """Width of every convolution; odd."""
    dilations: list[Annotated[int, Field(ge=1)]] = Field(default=[1, 1, 1, 1, 4, 4, 4, 4], min_length=1)
    """For each convolution, the distance from one token that it reads to the next. A position sees as many tokens to either \
side as their sum times half of `kernel_size`: 100 by default."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Dropout after every convolution and in the head."""
    pretrained: str | None = None
    """The folder of a model of the same sizes to start from instead of random weights; with its tokenizer."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, found {self.kernel_size}")
        return self


class Performer(Architecture):
    """A transformer with linear attention (Choromanski et al., ICLR 2021), whose time and memory grow as the length."""

    title = "Performer"
    network = "rnalm.models.performer:create"
    name: Literal["performer"]
    """`performer`."""
    width: int = Field(default=30, ge=1)
    """Channels of every position."""
    layers: int = Field(default=6, ge=1)
    """Layers of attention, each followed by one at each position."""
    heads: int = Field(default=6, ge=1)
    """Attention heads of a layer."""
    head_size: int = Field(default=16, ge=2)
    """Channels of a head; even."""
    local_heads: int = Field(default=4, ge=0)
    """How many of the heads attend within windows; the others attend to all, by random features."""
    window: int = Field(default=256, ge=1)
    """Tokens of a window; a local head sees its own window, and those before and after it."""
    kernel: Literal["relu", "softmax"] = "relu"
    """What random features are made of: `relu`, or `softmax`, by which attention comes near to that of softmax (FAVOR+)."""
    features: int = Field(default=80, ge=1)
    """Random features of a head."""
    redraw: int | None = Field(default=1000, ge=1)
    """In training, draw the directions of random features anew after so many batches; null: never."""
    glu: bool = True
    """Gate the layers at each position."""
    norm: Literal["layer", "scale", "rezero"] = "layer"
    """`layer`: LayerNorm; `scale`: one length for all states; `rezero`: none, but weights of layers that begin at 0."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Dropout of letters, of attention's outputs, and within the layers at each position."""
    recompute: bool = True
    """In training, compute each layer again on the way back, instead of keeping what it makes: less memory, more time."""
    pretrained: str | None = None
    """The folder of a model of the same sizes to start from instead of random weights; with its tokenizer."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.local_heads > self.heads:
            raise ValueError(f"local_heads are among the {self.heads} heads, found {self.local_heads}")
        if self.head_size % 2:
            raise ValueError(f"head_size must be even, found {self.head_size}")
        of_linear = ("kernel", "features", "redraw") if self.local_heads == self.heads else ()
        for key in (*of_linear, *(() if self.local_heads else ("window",))):
            if getattr(self, key) != type(self).model_fields[key].default:
                kind = "local" if key == "window" else "linear"
                raise ValueError(f"{key} is of {kind} heads, of which local_heads: {self.local_heads} leaves none")
        return self


class HuggingFace(Architecture):
    """Any architecture of the transformers library that classifies sequences."""

    title = "Hugging Face"
    network = "rnalm.models.hf:create"
    name: Literal["hf"]
    """`hf`."""
    type: str | None = None
    """Its `model_type`, as in `distilbert`, `modernbert`, `roformer` or `longformer`; null: that of `pretrained`."""
    config: dict[str, Any] = {}
    """What of its configuration differs from the defaults of transformers, as in `{hidden_size: 256}`."""
    pretrained: str | None = None
    """A model folder, or a name on the Hugging Face hub, to start from instead of random weights; with its tokenizer, unless \
`tokenizer` gives the same."""

    def started_from(self, folder: str) -> dict[str, Any]:
        """Give what stands in its section where models start from one that was pretrained: it has its architecture, too.

        Parameters
        ----------
        folder : str
            Of that model.
        """
        return {"type": None, "config": {}, "pretrained": folder}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.type is None) == (self.pretrained is None):
            raise ValueError("expected either type, for random weights, or pretrained")
        return self


class OwnModel(Architecture):
    """A network of one's own, in a Python file or package, as Selene takes it."""

    title = "a file"
    network = "rnalm.models.own:create"
    per_token = False
    model_config = ConfigDict(serialize_by_alias=True)
    name: Literal["file"]
    """`file`."""
    path: str
    """The Python file, or the folder of a package. It is run: it may do whatever its author had in mind."""
    class_: str = Field(alias="class")
    """The network in it, a `torch.nn.Module`."""
    args: dict[str, Any] = {}
    """What it is made with."""
    input: Literal["one_hot", "ids"] = "one_hot"
    """What it takes: `one_hot`, `(batch, 4, length)` for A, C, G and T, of which an unknown base has a quarter each; or `ids` \
of tokens, `(batch, length)`."""
    outputs: Literal["probabilities", "logits"] | None = None
    """What it gives for classes; null: `probabilities`, as networks for Selene do. Numbers are what they are."""
    strands: Literal["none", "mean", "max"] = "none"
    """Read both strands, and take the mean or the larger of what is reported of them; for `one_hot`."""
    weights: str | None = None
    """Weights to start from: a file of `torch.save`, a state dict or as Selene writes it (`.pth.tar`), matched by name."""
    by_order: bool = False
    """Match these weights by their order, where they have other names."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.input == "ids" and self.strands != "none":
            raise ValueError("strands: the other strand of ids is not known; expected none, or input: one_hot")
        if self.by_order and self.weights is None:
            raise ValueError("by_order: how weights are matched; expected weights")
        return self


#: All architectures by name: a new one is an entry here, and a file in ``rnalm/models/``.
ARCHITECTURES: dict[str, type[Architecture]] = {
    "saluki": Saluki,
    "frames": Frames,
    "dilated": Dilated,
    "performer": Performer,
    "hf": HuggingFace,
    "file": OwnModel,
}


#: Where models are made that are pretrained to fill in masked tokens, of the architectures that can be. It stands apart, for
#: pretraining not to depend on the others.
FILLING = {
    "frames": "rnalm.models.frames:create_filling",
    "dilated": "rnalm.models.dilated:create_filling",
    "performer": "rnalm.models.performer:create_filling",
    "hf": "rnalm.models.masked:create",
}


def _model_kind(value: Any) -> str:
    if isinstance(value, (str, list, Given)) or (isinstance(value, dict) and "folders" in value):
        return "trained"
    return value.get("name", "saluki") if isinstance(value, dict) else value.name


class Given(Section):
    """Trained models, which are used as they are; a path, or a list of paths, stands for their folders."""

    title: ClassVar[str] = "trained models"
    folders: Annotated[list[str], Field(min_length=1)]
    """Their folders."""
    trust: bool = False
    """Whether to run code of a user's own that a folder holds (`model.name: file`)."""


def _as_given(value: Any) -> Any:
    folders = [value] if isinstance(value, str) else value
    return {"folders": folders} if isinstance(folders, list) else folders


Trained = Annotated[Given, BeforeValidator(_as_given, json_schema_input_type=str | list[str] | Given), Tag("trained")]
if TYPE_CHECKING:
    Model = Architecture | Given
else:
    Model = Annotated[
        Union[*(Annotated[section, Tag(name)] for name, section in ARCHITECTURES.items()), Trained],
        Discriminator(_model_kind),
    ]
