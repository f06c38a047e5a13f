"""Pretrained models: their configuration, whether they fit, and their weights."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils.hub import cached_file

from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.models.framed import plain_class
from rnalm.tokens.tokenizer import load_tokenizer

log = logging.getLogger(__name__)

#: Parts of the body that only some classes of an architecture have; they summarize a sequence, as a head does.
POOLER = "pooler"

#: Ends of names under which older files hold what is computed, not learned.
COMPUTED = ("position_ids", "inv_freq", "masked_bias")

#: How many names of weights a message lists.
LISTED = 3


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
        entries, _ = PreTrainedConfig.get_config_dict(pretrained)
        if entries.get("model_type") not in CONFIG_MAPPING and "auto_map" in entries:
            brings = _own_code(entries["auto_map"])
            raise RnalmError(f"model.pretrained: {pretrained} is for {brings}; expected an architecture of transformers")
        return as_data(pretrained)


def as_data(place: str | Path) -> PreTrainedConfig:
    """Read the configuration of a model as data alone: nothing in it can have code run, here or when the model is made.

    Parameters
    ----------
    place : str or path
        A folder, or a name on the Hugging Face hub.
    """
    # Code that comes with a model is not run, nor is anybody asked whether it may be.
    config = AutoConfig.from_pretrained(place, trust_remote_code=False)
    # These can name kernels, which are code from the Hugging Face hub, and libraries that change the weights.
    config._attn_implementation = config._experts_implementation = None
    vars(config).pop("quantization_config", None)
    return config


def _own_code(auto_map: dict[str, Any]) -> str:
    """Say what code a model brings along."""
    names = [", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in auto_map.values()]
    return f"code of its own (auto_map: {', '.join(names)}), which is not run"


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
        If it has a linear part, an id stands for another token in its tokenizer or, where it has none, if it knows another
        number of tokens.
    """
    config = read_config(pretrained)
    if getattr(config, "wide", None):
        raise RnalmError(f"model.pretrained: {pretrained} has a linear part (model.wide), of other rows; expected one without")
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


def load_pretrained(pretrained: str, model_class: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    """Load pretrained weights; a head that is not there, or has other outputs, is new.

    Parameters
    ----------
    pretrained : str
        A folder, or a name on the Hugging Face hub.
    model_class : type
        That of the model to make.
    config : PreTrainedConfig
        That of the model to make. Its ``auto_map`` is told, and left out.

    Raises
    ------
    RnalmError
        If there are no weights in a safetensors file, or those of the body are not those that the model has: then it would be
        random in part, and the file is for other code.
    """
    brings = _own_code(own) if (own := vars(config).pop("auto_map", None)) else ""
    with telling(f"model.pretrained: {pretrained}: its weights cannot be loaded"):
        model, loading = load_weights(pretrained, model_class, config)
    if problems := differences(loading, lambda name: _of_body(name, model)):
        raise RnalmError(
            f"model.pretrained: {pretrained}: its weights are not those of a {config.model_type}: of the body {problems}"
            + (f"; it comes with {brings}" if brings else "")
        )
    if brings:
        log.warning(
            "%s comes with %s; its weights fit a %s, and are taken for those of one", pretrained, brings, config.model_type
        )
    names = set(model.state_dict())
    new = (set(loading["missing_keys"]) | {name for name, *_ in loading["mismatched_keys"]}) & names
    log.info(
        "%s: %d of %d weights are pretrained; new are %s",
        *(pretrained, len(names - new), len(names), ", ".join(sorted(new)) or "none"),
    )
    return model


def load_weights(
    place: str | Path, model_class: type[PreTrainedModel], config: PreTrainedConfig
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Make a model with all saved weights that fit it, in full precision.

    Parameters
    ----------
    place : str or path
        A folder, or a name on the Hugging Face hub.
    model_class : type
        That of the model.
    config : PreTrainedConfig
        That of the model.

    Returns
    -------
    model : PreTrainedModel
        Where weights did not fit, with random ones.
    loading : dict
        What did not fit, for :func:`differences`.
    """
    # Pickles are not read: they may hold any code.
    options = {"dtype": torch.float32, "use_safetensors": True, "ignore_mismatched_sizes": True, "output_loading_info": True}
    loaded: Any = model_class.from_pretrained(place, config=config, **options)
    return loaded


def differences(loading: dict[str, Any], concerns: Callable[[str], bool] = lambda name: True) -> str:
    """Tell which weights a model and its file do not share; nothing where they share all.

    Parameters
    ----------
    loading : dict
        From :func:`load_weights`.
    concerns : callable
        Says of the name of a weight whether it counts.
    """
    shapes = {name: f"{name} {tuple(found)}, expected {tuple(due)}" for name, found, due in loading["mismatched_keys"]}
    kinds = {
        "missing": [name for name in loading["missing_keys"] if concerns(name)],
        "left over": [name for name in loading["unexpected_keys"] if concerns(name) and not name.endswith(COMPUTED)],
        "of another shape": [text for name, text in shapes.items() if concerns(name)],
    }
    return ", ".join(
        f"{len(names)} {'is' if len(names) == 1 else 'are'} {kind} ({', '.join(sorted(names)[:LISTED])}"
        f"{', …' if len(names) > LISTED else ''})"
        for kind, names in kinds.items()
        if names
    )


def _of_body(name: str, model: PreTrainedModel) -> bool:
    """Whether a weight belongs to what is pretrained; files of a body alone have its weights without its name."""
    inside = name.removeprefix(f"{model.base_model_prefix}.")
    first = inside.partition(".")[0]
    own = (
        inside != name or first in dict(model.base_model.named_children()) or first in dict(model.base_model.named_parameters())
    )
    return own and first != POOLER
