"""Any architecture of transformers that fills in masked tokens, from random weights or from pretrained ones."""

from transformers import AutoModelForMaskedLM, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from rnalm.errors import RnalmError, nearest
from rnalm.models.framed import choose_frame
from rnalm.models.hf import NEEDED
from rnalm.models.hf import create as create_classifier
from rnalm.models.pretrained import load_pretrained, read_config, telling


def create(options: dict, vocab_size: int, special: dict[str, int], **extra) -> PreTrainedModel:
    """Make a model to pretrain; random weights are drawn from torch's global generator.

    Parameters
    ----------
    options : dict
        The ``model`` section of the configuration.
    vocab_size : int
        Tokens, special tokens included.
    special : dict
        Ids of special tokens by their role.
    **extra
        Further entries for the model's ``config.json``.

    Raises
    ------
    RnalmError
        If the architecture has no masked language model, or one that could not be fine-tuned after it.
    """
    # An architecture that fine-tuning would refuse is refused here, before hours of pretraining.
    create_classifier(options, vocab_size, modifier_channels=0, n_outputs=2, special=special)
    settings, pretrained = options["config"], options["pretrained"]
    theirs = None if pretrained is None else read_config(pretrained)
    kind = options["type"] if theirs is None else theirs.model_type
    if kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        known = sorted(set(MODEL_FOR_MASKED_LM_MAPPING_NAMES) & set(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES))
        raise RnalmError(f"pretrain: {kind} has no masked language model; {nearest(kind, known)}")
    # Weights are in full precision, also where the pretrained ones are saved in half of it.
    entries = settings | NEEDED.get(kind, {}) | extra | {"dtype": "float32"}
    entries |= {f"{role}_token_id": special.get(role) for role in ("pad", "mask", "cls", "sep", "bos", "eos")}
    if theirs is None:
        config = CONFIG_MAPPING[kind](**entries | {"vocab_size": vocab_size})
    else:
        config = type(theirs).from_dict(theirs.to_dict() | entries)
    if config.is_encoder_decoder:
        raise RnalmError(f"pretrain: {kind} writes tokens one after the other; expected an encoder, such as bert or modernbert")
    config.frame = choose_frame(config, special)
    with telling(f"pretrain: no {kind} can be made"):
        if pretrained is None:
            return AutoModelForMaskedLM.from_config(config)
        return load_pretrained(pretrained, MODEL_FOR_MASKED_LM_MAPPING[type(config)], config)  # pyright: ignore[reportArgumentType]
