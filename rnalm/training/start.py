"""How every training starts: a job, a process and a model that are made ready, and the checkpoints that are there."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel, set_seed

from rnalm import compute
from rnalm.config import Encode
from rnalm.models.framed import check_length
from rnalm.models.pretrained import check_pretrained
from rnalm.tokens import encode
from rnalm.tokens.tokenizer import load_tokenizer
from rnalm.training.checkpoints import Checkpoints, settings_hash
from rnalm.training.loop import Run, epochs, training_arguments


@dataclass(frozen=True, kw_only=True)
class TrainingJob(ABC):
    """Everything that decides one training, whatever it teaches.

    Attributes
    ----------
    encoded, tokenizer : str
        Files.
    output : str
        The model folder to write.
    model, options : dict
        The ``model`` section of the configuration and that of the training, as plain values.
    seed : int
        Of the configuration.
    threads, gpus : int
        What the job may use.
    code : str
        Fingerprint of the code that trains.
    """

    #: Fields that name files whose content decides the training.
    FILES: ClassVar[tuple[str, ...]] = ("encoded", "tokenizer")

    encoded: str
    tokenizer: str
    output: str
    model: dict[str, Any]
    options: dict[str, Any]
    seed: int
    threads: int
    gpus: int = 1
    code: str = ""

    @property
    @abstractmethod
    def run(self) -> Run:
        """What the Trainer needs to know."""

    @property
    def checkpoints_folder(self) -> Path:
        """Where checkpoints are kept."""
        return Path(self.output) / "checkpoints"

    def settings_hash(self) -> str:
        """Hash what decides the course of training, so that only a run of the same is resumed."""
        return settings_hash(self, self.FILES)


def new_model(job: TrainingJob, create: Callable[[Tokenizer, dict[str, Any]], PreTrainedModel]) -> PreTrainedModel:
    """Make the process ready to train, and the model that it trains.

    Parameters
    ----------
    job : TrainingJob
        What to train.
    create : callable
        Makes the model, with random weights or pretrained ones, of the tokenizer and of further entries for ``config.json``.

    Returns
    -------
    PreTrainedModel
        On the CPU.

    Raises
    ------
    RnalmError
        If ids mean other tokens to a pretrained model, or sequences are longer than the model takes.
    """
    torch.set_num_threads(job.threads)
    compute.choose(job.gpus)
    tokenizer, information = load_tokenizer(job.tokenizer), encode.metadata(job.encoded)
    if pretrained := job.model.get("pretrained"):
        check_pretrained(pretrained, tokenizer)
    set_seed(job.run.seed)
    # In what pieces and in which case other sequences are read that the model gets to see.
    model = create(tokenizer, {key: information[key] for key in (*Encode.model_fields, "case")})
    check_length(model.config, min(information["longest"], information["block_size"]))
    return model


def open_checkpoints(job: TrainingJob, extra_epochs: int = 0) -> Checkpoints:
    """Open the checkpoints of a job, without those from which it cannot go on.

    Parameters
    ----------
    job : TrainingJob
        What to train.
    extra_epochs : int
        Epochs asked for beyond the regular ones.
    """
    checkpoints = Checkpoints(job.checkpoints_folder, job.settings_hash())
    # The first of these arguments also start the communication between processes, if there are several.
    with training_arguments(job.run, epochs(job.options)).main_process_first(local=False):
        checkpoints.prepare(extra_epochs)
    return checkpoints
