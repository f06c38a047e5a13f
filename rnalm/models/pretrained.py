"""Pretrained models: their configuration, whether they fit, and their weights."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.utils.hub import cached_file

from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.models.framed import framed_class, plain_class
from rnalm.tokens.tokenizer import load_tokenizer

log = logging.getLogger(__name__)


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Tell in one line what transformers raises, which can be anything.

    Parameters
    ----------
    what : str
        What failed, for the beginning of the message.

    Raises
    ------
    RnalmError
        If anything is raised inside, with the first line of its message.
    """
    try:
        yield
    except RnalmError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        reason = " ".join(lines[: 2 if lines[0].endswith(":") else 1])
        raise RnalmError(f"{what} ({reason[:300]})") from error


def read_config(pretrained: str) -> PreTrainedConfig:
    """Read the configuration of a pretrained model.

    Parameters
    ----------
    pretrained : str
        A folder, or a name on the Hugging Face hub.

    Raises
    ------
    RnalmError
        If there is none.
    """
    folder = Path(pretrained)
    if folder.is_dir() and not (folder / contract.CONFIG).is_file():
        raise RnalmError(
            f"model.pretrained: {pretrained}: model folder without its config; expected the file config.json in it"
        )
    what = (
        "its config.json cannot be read" if folder.is_dir() else "no folder here, nor does the Hugging Face hub give it to us"
    )
    with telling(f"model.pretrained: {pretrained}: {what}"):
        # Code that comes with a model is not run, nor is anybody asked whether it may be.
        return AutoConfig.from_pretrained(pretrained, trust_remote_code=False)


def check_pretrained(pretrained: str, tokenizer: Tokenizer) -> None:
    """Refuse a pretrained model to which ids mean other tokens.

    Parameters
    ----------
    pretrained : str
        A folder, or a name on the Hugging Face hub.
    tokenizer : tokenizers.Tokenizer
        That of the experiment.

    Raises
    ------
    RnalmError
        If an id stands for another token in the tokenizer of the model or, where it has none, if it knows another number of
        tokens.
    """
    config = read_config(pretrained)
    ours = {index: token for token, index in tokenizer.get_vocab().items()}
    if file := _file_of(pretrained, "tokenizer.json"):
        theirs = {index: token for token, index in load_tokenizer(file).get_vocab().items()}
    elif file := _file_of(pretrained, "vocab.txt"):
        theirs = dict(enumerate(Path(file).read_text(encoding="utf-8").splitlines()))
    else:
        if (known := config.vocab_size) != len(ours):
            raise RnalmError(
                f"model.pretrained: {pretrained} knows {known} tokens, the tokenizer of this experiment has {len(ours)}"
            )
        log.warning("%s: without a tokenizer; that its ids mean the same tokens cannot be checked", pretrained)
        return
    for index in range(max([*theirs, *ours]) + 1):
        if theirs.get(index) != ours.get(index):
            there, here = (repr(one[index]) if index in one else "nothing" for one in (theirs, ours))
            raise RnalmError(
                f"model.pretrained: {pretrained} has another tokenizer than this experiment: id {index} is {there} there, "
                f"{here} here"
            )


def _file_of(pretrained: str, name: str) -> str | None:
    """Find a file of a pretrained model, here or on the Hugging Face hub; None if it has none."""
    try:
        return cached_file(pretrained, name)
    except OSError:
        return None


def check_shapes(pretrained: str, theirs: PreTrainedConfig, settings: dict) -> None:
    """Refuse entries that would change the number or the shapes of pretrained weights.

    Parameters
    ----------
    pretrained : str
        What to call it.
    theirs : PreTrainedConfig
        Its configuration.
    settings : dict
        Entries to change in it.

    Raises
    ------
    RnalmError
        Naming the entry, with which the model would have other weights, or none can be made.
    """
    expected = _shapes(theirs)
    for key, value in settings.items():
        try:
            shapes = _shapes(type(theirs).from_dict(theirs.to_dict() | {key: value}))
        except Exception:  # such as a width that the attention heads do not divide
            shapes = None
        if shapes != expected:
            raise RnalmError(f"model.config.{key}: {value!r} does not fit the weights of {pretrained}; leave it out")


def _shapes(config: PreTrainedConfig) -> dict[str, torch.Size]:
    """Give the shapes of the weights of a model, without making it."""
    with torch.device("meta"):
        return {name: weight.shape for name, weight in plain_class(config)(config).state_dict().items()}


def load_pretrained(pretrained: str, config: PreTrainedConfig) -> PreTrainedModel:
    """Load pretrained weights; a head that is not there, or has other outputs, is new.

    Parameters
    ----------
    pretrained : str
        A folder, or a name on the Hugging Face hub.
    config : PreTrainedConfig
        That of the model to make.

    Raises
    ------
    RnalmError
        If there are none in a safetensors file, or none of this architecture.
    """
    # Pickles are not read: they may hold any code.
    options = {"dtype": torch.float32, "use_safetensors": True, "ignore_mismatched_sizes": True, "output_loading_info": True}
    with telling(f"model.pretrained: {pretrained}: its weights cannot be loaded"):
        loaded: Any = framed_class(config).from_pretrained(pretrained, config=config, **options)
    model, loading = loaded
    names = set(model.state_dict())
    new = (set(loading["missing_keys"]) | {key for key, *_ in loading["mismatched_keys"]}) & names
    body = {name for name in names if name.startswith(f"{model.base_model_prefix}.")}
    if body and body <= new:
        raise RnalmError(f"model.pretrained: {pretrained}: holds no weights of a {config.model_type}")
    log.info(
        "%s: %d of %d weights are pretrained; new are %s", pretrained, len(names - new), len(names), ", ".join(sorted(new))
    )
    return model
