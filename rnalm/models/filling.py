"""Our own architectures as language models: a head that fills in tokens, and what is learned by it as a start."""

from inspect import signature
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput

from rnalm.config import contract
from rnalm.errors import RnalmError
from rnalm.files import read_json
from rnalm.models.token_config import TokenConfig

#: What such a model puts around a sequence: nothing.
FRAME: dict[str, Any] = {"start": [], "end": [], "padding_side": "right"}

#: How the names of the weights of a head begin: all others are those of the body.
HEAD = "head."


class FillsIn:
    """Lets a model of ours, which has ``states`` and a ``head`` of each position, say which token is hidden there."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None, **kwargs
    ) -> MaskedLMOutput:
        """Compute the logits of all tokens.

        Parameters
        ----------
        input_ids : Tensor
            int64 ``(batch, length)``, padded on the right.
        attention_mask : Tensor, optional
            ``(batch, length)``, 1 at tokens; None: no padding.
        labels : Tensor, optional
            int64 ``(batch, length)``: the hidden tokens, and -100 where none is to be found.

        Returns
        -------
        MaskedLMOutput
            With ``logits`` ``(batch, length, vocabulary)`` and, with labels, their mean cross-entropy.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        states, _ = self.states(input_ids, mask, None)  # pyright: ignore[reportAttributeAccessIssue]
        logits = self.head(states[:, : input_ids.shape[1]]).float()  # pyright: ignore[reportAttributeAccessIssue]
        loss = None if labels is None else F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return MaskedLMOutput(loss=loss, logits=logits)


def filling_head(config: TokenConfig, width: int) -> nn.Module:
    """Make the head that says which token is hidden at a position.

    Parameters
    ----------
    config : TokenConfig
        Which tokens there are.
    width : int
        Channels of a position.
    """
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, config.vocab_size))


def start_from(model: PreTrainedModel, folder: str | None) -> None:
    """Give a new model the body of one that was trained before; its head stays as it is.

    Parameters
    ----------
    model : PreTrainedModel
        Of ours.
    folder : str or None
        Of the other model; None: nothing is done.

    Raises
    ------
    RnalmError
        If the folder holds another architecture, or one of other sizes.
    """
    if folder is None:
        return
    theirs = read_json(Path(folder, contract.CONFIG))
    kind = model.config.model_type
    if theirs.get("model_type") != kind:
        raise RnalmError(f"model.pretrained: {folder} is a {theirs.get('model_type')}, expected a {kind}")
    weights = {name: each for name, each in load_file(Path(folder, contract.WEIGHTS)).items() if not name.startswith(HEAD)}
    body = {name: each for name, each in model.state_dict().items() if not name.startswith(HEAD)}
    for name in sorted(weights.keys() ^ body.keys()):
        raise RnalmError(f"model.pretrained: {folder}: the weights {name} are {'left over' if name in weights else 'missing'}")
    for name, each in weights.items():
        if each.shape != body[name].shape:
            sizes = signature(type(model.config)).parameters.keys() & theirs.keys()
            found = ", ".join(f"{key}: {theirs[key]}" for key in sorted(sizes) if theirs[key] != getattr(model.config, key))
            raise RnalmError(f"model.pretrained: {folder} has other sizes than the model ({found}); expected the same")
    model.load_state_dict(weights, strict=False)
