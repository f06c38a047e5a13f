"""Models of transformers that read encoded sequences: special tokens are put around each inside the model call.

Encoded sequences hold no special tokens and are padded on the right. What a model wants around a sequence stands in its
``config.json`` under ``frame``: ``start`` and ``end``, lists of ids, and ``padding_side``.

========================  ===========================  ============
models                    read                         padded on
========================  ===========================  ============
encoders                  ``[CLS]`` tokens ``[SEP]``   the right
with a decoder            ``[BOS]`` tokens ``[EOS]``   the right
XLNet                     tokens ``[SEP]`` ``[CLS]``   the left
========================  ===========================  ============

Where a tokenizer has only one of ``[CLS]`` and ``[BOS]``, or of ``[SEP]`` and ``[EOS]``, that one is used; where it has none,
nothing is put there.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
)

from rnalm.errors import RnalmError
from rnalm.models.heads import in_units
from rnalm.models.token_config import by_token
from rnalm.models.wide import MayBeWide
from rnalm.tokens.tokenizer import special_ids

#: Types that summarize a sequence at its last position, wherever that is.
PADDED_LEFT = ("xlnet",)

#: Types whose table of positions begins with one row for each id up to that of ``[PAD]``.
FROM_PAD = (
    *("camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke", "markuplm", "mpnet"),
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
)

#: Types that have ``max_position_embeddings`` in their configuration, but no table of so many positions.
WITHOUT_TABLE = ("jamba", "tapas", "zamba")

#: The file that transformers loads instead of ``tokenizer.json`` from version 4.0.0 on, if ``tokenizer_config.json`` names it.
WITH_FRAME = "tokenizer.4.0.0.json"


def choose_frame(config: PreTrainedConfig, special: dict[str, int]) -> dict[str, list[int] | str]:
    """Choose what to put around sequences, by the table above.

    Parameters
    ----------
    config : PreTrainedConfig
        Of the model; its type decides.
    special : dict
        Ids of special tokens by their role: ``cls``, ``sep``, ``bos``, ``eos``.

    Returns
    -------
    dict
        ``start`` and ``end``, lists of ids, and ``padding_side``.
    """

    def pick(*roles: str) -> list[int]:
        return [special[role] for role in roles if role in special][:1]

    kind = config.model_type
    if kind in PADDED_LEFT:
        return {"start": [], "end": pick("sep", "eos") + pick("cls", "bos"), "padding_side": "left"}
    decodes = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if decodes or config.is_encoder_decoder:
        return {"start": pick("bos", "cls"), "end": pick("eos", "sep"), "padding_side": "right"}
    return {"start": pick("cls", "bos"), "end": pick("sep", "eos"), "padding_side": "right"}


def put_frame(input_ids: Tensor, attention_mask: Tensor, config: PreTrainedConfig) -> tuple[Tensor, Tensor]:
    """Put the frame of a model around sequences.

    Parameters
    ----------
    input_ids : Tensor
        int64 ``(batch, length)``, padded on the right with anything.
    attention_mask : Tensor
        ``(batch, length)``, 1 at tokens.
    config : PreTrainedConfig
        Of the model, with ``frame`` and ``pad_token_id``.

    Returns
    -------
    ids : Tensor
        int64 ``(batch, length + frame)``. A sequence that is empty, frame included, is one ``[PAD]`` that counts as a token.
    mask : Tensor
        int64 ``(batch, length + frame)``, 1 at tokens, those of the frame included.
    """
    start, end = config.frame["start"], config.frame["end"]
    ids = input_ids.masked_fill(attention_mask == 0, config.pad_token_id)
    empty = not start and not end and input_ids.shape[1] == 0
    ids = F.pad(ids, (len(start), len(end) + empty), value=config.pad_token_id)  # (batch, length + frame)
    after = len(start) + attention_mask.long().sum(1, keepdim=True)  # (batch, 1)
    for offset, token in enumerate(start):
        ids[:, offset] = token
    for offset, token in enumerate(end):
        ids.scatter_(1, after + offset, token)
    position = torch.arange(ids.shape[1], device=ids.device)
    total = (after + len(end)).clamp(min=1)
    mask = (position < total).long()
    if config.frame["padding_side"] == "left":
        turned = (position + total) % ids.shape[1]  # each row is turned round until its padding, from the right, comes first
        ids, mask = ids.gather(1, turned), mask.gather(1, turned)
    return ids, mask


def take_frame_off(logits: Tensor, mask: Tensor, config: PreTrainedConfig, length: int) -> Tensor:
    """Leave out the outputs for the frame of a model.

    Parameters
    ----------
    logits : Tensor
        ``(batch, length + frame, outputs)``
    mask : Tensor
        ``(batch, length + frame)``, 1 at tokens, those of the frame included.
    config : PreTrainedConfig
        Of the model, with ``frame``.
    length : int
        Of the longest sequence without its frame.

    Returns
    -------
    Tensor
        ``(batch, length, outputs)``, padded on the right with anything.
    """
    first = len(config.frame["start"])
    if config.frame["padding_side"] == "left":
        padding = mask.shape[1] - mask.sum(1, keepdim=True)  # (batch, 1)
        turned = (torch.arange(mask.shape[1], device=mask.device) + padding) % mask.shape[1]
        logits = logits.gather(1, turned[:, :, None].expand_as(logits))
    return logits[:, first : first + length]


class Framed(MayBeWide):
    """What is added to a class of transformers: the frame, the units of the targets, and how weights are kept.

    ``AutoModelForSequenceClassification`` loads its folder without us; then sequences must come with their frame, and for
    regression the logits are in units of ``output_sd``, counted from ``output_mean``, which are in ``config.json``.
    """

    #: Whatever forward accepts, the loss is the Trainer's to scale.
    accepts_loss_kwargs = False

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, modifiers: None = None
    ) -> SequenceClassifierOutput:
        """Compute the outputs.

        Parameters
        ----------
        input_ids : Tensor
            int64 ``(batch, length)``, padded on the right, without a frame.
        attention_mask : Tensor, optional
            ``(batch, length)``, 1 at tokens; None: no padding.
        modifiers : None
            These models have none.

        Returns
        -------
        SequenceClassifierOutput
            With ``logits``, float32 ``(batch, outputs)`` or, with ``per: token`` in the configuration,
            ``(batch, length, outputs)``: those of the frame are left out.

        Raises
        ------
        RnalmError
            If sequences are longer than the model takes.
        """
        check_length(self.config, input_ids.shape[1])
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        ids, mask = put_frame(input_ids, attention_mask, self.config)
        # In full precision: in bfloat16, which mixed precision brings, a large mean would swallow the rest.
        standard = super().forward(input_ids=ids, attention_mask=mask).logits.float()
        if by_token(self.config):
            standard = take_frame_off(standard, mask, self.config, input_ids.shape[1])
        return SequenceClassifierOutput(logits=in_units(standard, self.config))

    def save_pretrained(self, save_directory: str, **options) -> None:
        """Save under the names of the weights in memory, by which a training that goes on looks for them."""
        options.setdefault("save_original_format", False)
        super().save_pretrained(save_directory, **options)

    def load_state_dict(self, state_dict: dict[str, Tensor], *args, **options):
        """Load weights as they were saved: shared ones once."""
        shared = {name: state_dict[kept] for name, kept in self.all_tied_weights_keys.items() if kept in state_dict}
        return super().load_state_dict(shared | dict(state_dict), *args, **options)


def plain_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """Find the class of transformers for a configuration.

    Parameters
    ----------
    config : PreTrainedConfig
        Of a model that classifies sequences or tokens.
    """
    mapping = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING if by_token(config) else MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    classes: Any = mapping[type(config)]
    return classes[0] if isinstance(classes, tuple) else classes


def framed_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """Make the class that does the same as that of transformers, with a frame.

    Parameters
    ----------
    config : PreTrainedConfig
        Of a model that classifies sequences.
    """
    return _with_frame(plain_class(config))


@cache
def _with_frame(model_class: type[PreTrainedModel]) -> type[PreTrainedModel]:
    # The class has the name of the original, because its name goes into config.json.
    """Make the class that puts a frame around what a class of transformers reads."""
    return type(model_class.__name__, (Framed, model_class), {"__module__": model_class.__module__})


def limit(config: PreTrainedConfig) -> int | None:
    """Count the tokens that a model takes, its frame not counted; None: any number.

    The one length of a network of a user's own is its limit. Tables of positions are limits, whether learned or not. Rotary
    positions are none, unless they are scaled by the longest sequence of a batch (``dynamic``, ``longrope``), on which
    predictions must not depend.

    Parameters
    ----------
    config : PreTrainedConfig
        Of any model.
    """
    if length := getattr(config, "length", None):
        return length
    kind = config.model_type
    positions: Any = getattr(config, "max_position_embeddings", None) or getattr(config, "max_seq_len", None)
    rotary = getattr(config, "rope_parameters", None)
    if rotary is not None:
        scaled = [part for part in (rotary, *rotary.values()) if isinstance(part, dict) and _by_length(part)]
        positions = min([part.get("original_max_position_embeddings") or positions for part in scaled], default=None)
    elif kind in WITHOUT_TABLE or _relative(config):
        positions = None
    if positions is None or positions < 0:
        return None
    first = 0
    if kind in FROM_PAD:
        first = 2 if kind == "mpnet" else config.pad_token_id + 1  # mpnet takes 1 for [PAD], whatever the tokenizer says
    return positions - first - _frame_length(config)


def _by_length(rotary: dict) -> bool:
    """Whether the scale of rotary positions depends on the longest sequence."""
    return rotary.get("rope_type") in ("dynamic", "longrope")


def _relative(config: PreTrainedConfig) -> bool:
    """Whether a model has been told to do without its table of positions."""
    return (
        getattr(config, "position_embedding_type", None) == "rotary" or getattr(config, "position_biased_input", None) is False
    )


def _frame_length(config: PreTrainedConfig) -> int:
    """Count the special tokens that are put around a sequence."""
    frame = getattr(config, "frame", {})
    return len(frame.get("start", [])) + len(frame.get("end", []))


def check_length(config: PreTrainedConfig, longest: int) -> None:
    """Refuse sequences that are longer than a model takes.

    Parameters
    ----------
    config : PreTrainedConfig
        Of the model.
    longest : int
        Tokens of the longest sequence, without a frame.

    Raises
    ------
    RnalmError
        If the model takes fewer.
    """
    most = limit(config)
    if most is None or longest <= most:
        return
    frame = _frame_length(config)
    around = f" and {frame} special token{'s' * (frame > 1)} around them" if frame else ""
    found = f"encode.block_size: sequences have up to {longest} tokens, but "
    if getattr(config, "length", None):
        instead = f"encode: {{block_size: {most}, truncate: both}} cuts them to their middle"
        raise RnalmError(f"{found}{getattr(config, 'network', 'the network')} takes {most}; {instead}")
    raise RnalmError(
        f"{found}{config.model_type} takes {most}{around}; "
        f"lower encode.block_size to {most}, or use a model with more positions (model.config.max_position_embeddings)"
    )


def tokenizer_options(config: PreTrainedConfig, tokenizer: Tokenizer) -> dict[str, str | list[str]]:
    """Say what transformers needs to know of a tokenizer: its special tokens and, for models with a frame, what they take.

    Parameters
    ----------
    config : PreTrainedConfig
        Of the model, with a frame or without.
    tokenizer : tokenizers.Tokenizer
        That of the experiment.

    Returns
    -------
    dict
        Arguments of :class:`transformers.PreTrainedTokenizerFast`.
    """
    options: dict[str, str | list[str]] = {}
    for role, index in special_ids(tokenizer).items():
        options[f"{role}_token"] = str(tokenizer.id_to_token(index))
    frame = getattr(config, "frame", None)
    if frame is not None:
        options |= {"padding_side": frame["padding_side"], "model_input_names": ["input_ids", "attention_mask"]}
    return options


def save_tokenizer(config: PreTrainedConfig, tokenizer: Tokenizer, folder: str | Path) -> None:
    """Write the tokenizer of a model, for us and for ``AutoTokenizer``, by which texts get the frame.

    ``tokenizer.json`` is byte for byte that of the experiment. What transformers loads is another file, which adds the frame,
    unless the tokenizer has one of its own, as pretrained ones do.

    Parameters
    ----------
    config : PreTrainedConfig
        Of the model, with a frame or without.
    tokenizer : tokenizers.Tokenizer
        That of the experiment.
    folder : path
        Of the model.
    """
    folder, options = Path(folder), tokenizer_options(config, tokenizer)
    adds = getattr(config, "frame", None) is not None and tokenizer.post_processor is None
    if adds:
        options["fast_tokenizer_files"] = [WITH_FRAME]
        start, end = ([str(tokenizer.id_to_token(index)) for index in config.frame[side]] for side in ("start", "end"))
        special = [(token, tokenizer.token_to_id(token)) for token in (*start, *end)]
        framing = Tokenizer.from_str(tokenizer.to_str())
        framing.post_processor = TemplateProcessing(single=[*start, "$A", *end], special_tokens=special)
        framing.save(str(folder / WITH_FRAME))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **options).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
