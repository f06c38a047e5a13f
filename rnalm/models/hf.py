"""Any architecture of transformers that classifies sequences, from random weights or from pretrained ones."""

import copy
import dataclasses
import inspect
import re

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
)

from rnalm.errors import RnalmError, nearest
from rnalm.models.framed import choose_frame, framed_class, limit
from rnalm.models.pretrained import check_shapes, load_pretrained, read_config, telling
from rnalm.models.token_config import by_token

#: Architectures by what they classify.
CLASSIFY = {
    "sequences": MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "tokens": MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
}

#: Entries without which predictions would depend on padding: sparse attention is only for batches that are long enough.
NEEDED = {kind: {"attention_type": "original_full"} for kind in ("big_bird", "bigbird_pegasus")}

#: Entries that follow from tokenizer, task and labels, or that belong to the library.
OURS = {
    *("vocab_size", "num_labels", "use_cache", "modifier_channels", "frame", "output_mean", "output_sd"),
    *(field.name for field in dataclasses.fields(PreTrainedConfig) if field.name != "chunk_size_feed_forward"),
}

#: Entries that go into ``rope_parameters``, as they are still found in configurations.
ROTARY = {"rope_theta", "rope_scaling", "partial_rotary_factor"}

#: How far an output may move with padding before a model is refused, relative to how much it differs between sequences: in
#: float32 it moves by 1e-5 of that, or by a tenth and more where padding matters.
TOLERANCE = 1e-3

#: Tokens of the longest sequence on which that is tried: some architectures treat only short sequences exactly. Where tokens
#: have outputs it is more than two of the windows or blocks in which a model may read.
LONGEST = 200
READ_IN = ("attention_window", "local_attention", "window_size")


def create(
    options: dict, vocab_size: int, modifier_channels: int, n_outputs: int, special: dict[str, int], **extra
) -> PreTrainedModel:
    """Make a new model; random weights are drawn from torch's global generator.

    Parameters
    ----------
    options : dict
        The ``model`` section: ``type`` or ``pretrained``, and ``config``.
    vocab_size : int
        Tokens, special tokens included.
    modifier_channels : int
        Refused if there are any: these architectures take tokens alone.
    n_outputs : int
        Values or classes to predict.
    special : dict
        Ids of special tokens by their role, ``pad`` among them.
    **extra
        Further entries for the model's ``config.json``; with ``output_mean`` and ``output_sd``, what the model computes is in
        units of these.

    Raises
    ------
    RnalmError
        If the configuration is not one of a model, pretrained weights do not fit, or predictions would depend on padding.
    """
    if modifier_channels:
        hint = f"{modifier_channels} (source.modifier_sep); expected saluki, frames or performer"
        raise RnalmError(f"model.name: hf has no modifiers, but tokens have {hint}")
    settings, pretrained = options["config"], options["pretrained"]
    theirs = None if pretrained is None else read_config(pretrained)
    tokens = extra.get("per") == "token"
    named = (options["type"], "model.type") if theirs is None else (theirs.model_type, "model.pretrained")
    kind = check_type(*named, "tokens" if tokens else "sequences")
    config_class = CONFIG_MAPPING[kind]
    check_keys(config_class, kind, settings, extra)
    entries = settings | NEEDED.get(kind, {}) | _entries(n_outputs, special, extra)
    if pretrained is None or theirs is None:
        with telling(f"model.config: no {kind} can be made of it"):
            config = _with_frame(config_class(**entries | {"vocab_size": vocab_size}), special)
            model = framed_class(config)(config)
    else:
        check_shapes(pretrained, theirs, settings)
        if vocab_size > theirs.vocab_size:
            raise RnalmError(f"model.pretrained: {pretrained} knows {theirs.vocab_size} tokens, the tokenizer has {vocab_size}")
        config = _with_frame(config_class.from_dict(theirs.to_dict() | entries | {"dtype": "float32"}), special)
        model = load_pretrained(pretrained, framed_class(config), config)
    plain = [index for index in range(vocab_size) if index not in special.values()]
    check_padding(_enlarged(copy.deepcopy(model)), plain)
    return model


def _entries(n_outputs: int, special: dict[str, int], extra: dict) -> dict:
    """Gather the entries of a configuration that are not the user's."""
    names = {index: f"LABEL_{index}" for index in range(n_outputs)}
    regression = n_outputs == 1 or "output_sd" in extra
    return {
        **{f"{role}_token_id": special.get(role) for role in ("pad", "mask", "cls", "sep", "bos", "eos")},
        "problem_type": "regression" if regression else "single_label_classification",
        "modifier_channels": 0,
        "output_mean": 0.0,
        "output_sd": 1.0,
        "id2label": names,
        "label2id": {name: index for index, name in names.items()},
        **extra,
    }


def _with_frame(config: PreTrainedConfig, special: dict[str, int]) -> PreTrainedConfig:
    """Add the frame, and what models with encoder and decoder need of it: they summarize a sequence at its end token."""
    config.frame = choose_frame(config, special)
    if config.is_encoder_decoder:
        if not config.frame["end"]:
            raise RnalmError(f"tokenizer.special_tokens: {config.model_type} needs [EOS] or [SEP], which are not there")
        [config.eos_token_id] = config.frame["end"]
        start = getattr(config, "decoder_start_token_id", None)
        if start is None or start not in special.values():
            config.decoder_start_token_id = config.eos_token_id
    return config


def check_type(kind: str, key: str, what: str = "sequences") -> str:
    """Refuse what is no architecture of transformers that classifies sequences of tokens, or tokens, and nothing else.

    Parameters
    ----------
    kind : str
        What should be the ``model_type`` of an architecture.
    key : str
        Of the configuration, where it stands.
    what : {'sequences', 'tokens'}
        What it classifies.

    Returns
    -------
    str
        The same.

    Raises
    ------
    RnalmError
        If there is no such architecture, or it is put together of several.
    """
    known = CLASSIFY[what]
    if kind not in known:
        raise RnalmError(f"{key}: {kind!r} is no architecture of transformers that classifies {what}; {nearest(kind, known)}")
    if parts := CONFIG_MAPPING[kind].sub_configs_defaults:
        raise RnalmError(f"{key}: {kind} is put together of {', '.join(parts)}; expected an architecture for sequences alone")
    return kind


def check_keys(config_class: type[PreTrainedConfig], kind: str, settings: dict, extra: dict) -> None:
    """Refuse entries of a configuration that mean nothing, which transformers would keep quiet about, or that are not free.

    Parameters
    ----------
    config_class : type
        Class of the configuration.
    kind : str
        Its ``model_type``.
    settings : dict
        The entries of the user.
    extra : dict
        Our own further entries.

    Raises
    ------
    RnalmError
        If an entry of the user is not there or not free, or one of ours has the name of one that the class has.
    """
    fields = {field.name for field in dataclasses.fields(config_class)}
    # A name of transformers stands for that of the architecture, as num_hidden_layers for n_layer; both are understood.
    known = fields | {name for name, own in config_class.attribute_map.items() if own in fields}
    known |= ROTARY if "rope_parameters" in fields else set()
    # A class may understand older names too, which only its source tells.
    known |= set(re.findall(r'kwargs\.(?:get|pop)\("(\w+)"', inspect.getsource(config_class)))
    needed = NEEDED.get(kind, {})
    for key, value in settings.items():
        if key in OURS or key in extra or key.endswith("_token_id"):
            raise RnalmError(f"model.config.{key}: it is set here, from tokenizer, task and labels; leave it out")
        if key not in known:
            free = {name for name in known - OURS if not name.endswith("_token_id")}
            raise RnalmError(f"model.config.{key}: {kind} has no such entry; {nearest(key, sorted(free))}")
        if value != needed.get(key, value):
            raise RnalmError(f"model.config.{key}: {value!r} makes predictions depend on padding; expected {needed[key]!r}")
    for key in (extra.keys() & fields) - OURS:
        if not needed:
            raise RnalmError(f"model.type: {kind} has an entry {key} of its own, which is ours here; expected another type")


def _enlarged(model: PreTrainedModel) -> PreTrainedModel:
    """Draw weights of a size that makes each part of a model matter to its outputs, as those to start training from do not."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        # The row of an embedding that is for padding does not change in training.
        fixed = module.padding_idx if isinstance(module, torch.nn.Embedding) else None
        for weight in module.parameters(recurse=False):
            if weight.ndim > 1:
                kept = weight.data[fixed].clone() if fixed is not None else None
                torch.nn.init.normal_(weight, std=weight.shape[-1] ** -0.5, generator=generator)
                if kept is not None:
                    weight.data[fixed] = kept
    return model


def check_padding(model: PreTrainedModel, tokens: list[int]) -> None:
    """Refuse a model whose outputs for a sequence depend on its padding or on other sequences of a batch, or not on itself.

    The model itself is asked, with three sequences, twice: some of more than a hundred architectures mix all positions, or draw
    some at random, and none says so.

    Parameters
    ----------
    model : PreTrainedModel
        On the CPU.
    tokens : list of int
        Ids to make sequences of.

    Raises
    ------
    RnalmError
        If the outputs are the same for all sequences, differ from one time to the next, or change with padding.
    """
    kind = model.config.model_type
    most = limit(model.config)
    if most is not None and most < 2:
        raise RnalmError(f"model.config.max_position_embeddings: too small; {kind} would take {max(0, most)} tokens")
    longest = min(_longest(model.config), most or _longest(model.config))
    lengths = [1, max(1, longest // 3), max(1, longest // 2)]  # also odd ones, which pooling does not divide
    drawn = torch.randint(len(tokens), (len(lengths), longest), generator=torch.Generator().manual_seed(0))
    ids, mask = torch.tensor(tokens)[drawn], (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    was_training = model.training
    with telling(f"model: a {kind} does not read sequences"), torch.inference_mode(), torch.random.fork_rng(devices=[]):
        model.eval()
        alone, again = (  # (3, outputs), or of each token
            torch.cat([_own(model(row[None, :length]).logits) for row, length in zip(ids, lengths, strict=True)])
            for _ in range(2)
        )
        widths = (max(lengths) + 1, longest)
        padded = torch.stack([_own(model(ids[:, :width], mask[:, :width]).logits, lengths) for width in widths])
    model.train(was_training)
    spread = alone.std(dim=0)
    wrong = None
    if not (spread > 1e-5 * alone.abs()).all():
        wrong = "does not depend on it"  # as where its kernels are for another machine
    elif not ((again - alone).abs() <= TOLERANCE * spread).all():
        wrong = "differs from one time to the next"
    elif not ((padded - alone).abs() <= TOLERANCE * spread).all():
        wrong = "depends on its padding"
    if wrong:
        raise RnalmError(
            f"model: what a {kind} says of a sequence {wrong}; expected one of which this is not so, such as bert, "
            "distilbert, modernbert or roformer"
        )


def _longest(config: PreTrainedConfig) -> int:
    """Count the tokens of the longest sequence on which a model is tried."""
    if not by_token(config):
        return LONGEST
    sizes = [getattr(config, name, 0) for name in READ_IN]
    return max([LONGEST, *(2 * size + 50 for size in sizes if isinstance(size, int))])


def _own(logits: torch.Tensor, lengths: list[int] | None = None) -> torch.Tensor:
    """Give outputs ``(rows, outputs)``: those for sequences, or those of each token that is no padding, one after the other."""
    if logits.dim() == 2:
        return logits
    return torch.cat([row[:length] for row, length in zip(logits, lengths or [logits.shape[1]], strict=True)])
