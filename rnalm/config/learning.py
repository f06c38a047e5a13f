"""Configuration of how models are trained."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rnalm.config.parts import Source
from rnalm.config.section import Section

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
        "precision_weighted": True,
        "recall_macro": True,
        "recall_weighted": True,
        "roc_auc": True,
        "pr_auc": True,
    },
    "multilabel": {
        "loss": False,
        "accuracy": True,
        "f1_macro": True,
        "f1_micro": True,
        "roc_auc": True,
        "pr_auc": True,
        "roc_auc_micro": True,
        "pr_auc_micro": True,
    },
}


Beta = Annotated[float, Field(ge=0, lt=1)]


class Optimization(Section):
    """What every training has."""

    batch_size: int = Field(default=64, ge=2)
    """Sequences a forward pass."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens of a forward pass, about, padding included, instead of `batch_size` sequences: for sequences of very unlike \
lengths. A longer one goes alone. null: `batch_size` sequences."""
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
    patience: int | None = Field(default=25, ge=1)
    """Stop after this many epochs without improvement; null: never."""
    max_steps: int | None = Field(default=None, ge=1)
    """Train for so many steps (updates of the weights) instead of `epochs`; rows are passed through as often as that takes."""
    report_every: int | None = Field(default=None, ge=1)
    """With `max_steps`: validate after so many steps, which then count as an epoch for `patience`."""
    save_every: int | None = Field(default=None, ge=1)
    """With `max_steps`: save where training stands after so many steps; null: after each validation."""
    gpus: int = Field(default=1, ge=0)
    """GPUs a training. Without a GPU the CPU trains."""
    bf16: bool = False
    """Mixed precision with bfloat16."""
    torch_compile: bool = False
    """Compile the model first, which takes minutes and makes long trainings faster."""

    @model_validator(mode="after")
    def _check_batches(self) -> Self:
        if self.batch_tokens is not None and self.batch_size != type(self).model_fields["batch_size"].default:
            raise ValueError(f"batch_tokens says how large batches are; expected no batch_size, found {self.batch_size}")
        return self

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.max_steps is None:
            for key in ("report_every", "save_every"):
                if getattr(self, key):
                    raise ValueError(f"{key} is for trainings that are measured in steps; expected max_steps beside it")
            return self
        for key in {"epochs", "extra_epochs"} & self.model_fields_set:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"max_steps and {key} both say how long to train; leave one of them out")
        if self.report_every is None:
            raise ValueError("report_every is missing: after how many of max_steps to validate")
        if self.max_steps % self.report_every:
            raise ValueError(f"max_steps: expected a multiple of report_every ({self.report_every}), found {self.max_steps}")
        if self.save_every and self.report_every % self.save_every:
            raise ValueError(f"save_every: expected a divisor of report_every ({self.report_every}), found {self.save_every}")
        return self


class Finetune(Optimization):
    """How a model is trained, once per fold."""

    epochs: int = Field(default=250, ge=1)
    """Passes over the training rows, at most."""
    extra_epochs: int = Field(default=0, ge=0)
    """Train a finished model for this many further epochs."""
    metric: str = "loss"
    """Validation metric that selects the model and stops training early."""
    mask_prob: float = Field(default=0.0, ge=0, lt=1)
    """Share of tokens that are shown as `[MASK]` in training, others in each epoch, so that the model relies on none alone."""
    replicates: int = Field(default=1, ge=1)
    """Models a fold, each from a seed of its own; predictions and scores are their mean."""
    from_scratch: bool = False
    """Start from random weights although there is a `pretrain`ed model."""


class Pretrain(Optimization):
    """Masked language modelling before fine-tuning: the model learns to fill in tokens that are hidden from it."""

    source: Source | None = None
    """The sequences to learn from, without labels; null: those of `source`."""
    rows: Literal["all", "training"] = "all"
    """Of `source`, `all` sequences, or those for `training` alone: then there is a pretraining for each fold, of no sequence \
that tests it."""
    epochs: int = Field(default=20, ge=1)
    """Passes over the sequences, at most."""
    validation: int = Field(default=5, ge=1, le=50)
    """Percentage of sequences, of whole groups, on which progress is measured."""
    mask_prob: float = Field(default=0.15, gt=0, lt=1)
    """Share of tokens that the model has to find; of k-mers that overlap, as many together as share a letter."""
    random_prob: float = Field(default=0.1, ge=0, le=1)
    """Share of these that stand there as a token drawn at random, not as `[MASK]`."""
    keep_prob: float = Field(default=0.1, ge=0, le=1)
    """Share of these that stand there as they are."""
    learning_rate: float = Field(default=5e-4, gt=0)
    """Step size of Adam."""
    scheduler: Literal["constant", "linear", "cosine"] = "linear"
    """Course of the learning rate after the warm-up."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of all steps in which the learning rate rises from 0."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay (AdamW)."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after this many epochs without improvement; null: never."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.random_prob + self.keep_prob > 1:
            raise ValueError(
                f"random_prob and keep_prob must not exceed 1 together, found {self.random_prob + self.keep_prob:g}"
            )
        if self.rows == "training" and self.source:
            raise ValueError("rows: training is of the experiment's own source, which has folds; expected no pretrain.source")
        return self
