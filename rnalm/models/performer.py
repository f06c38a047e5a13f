"""Performer: a transformer with linear attention (Choromanski et al., ICLR 2021), for sequences of tens of thousands of tokens.

    tokens ─► letters and positions ─► [attention ─► feed-forward] × layers ─► head

Some heads attend to all of a sequence, by random features; the others within windows. Time and memory grow as the length. The
directions of the random features are stored with the model, and drawn again in training only.
"""

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoModelForTokenClassification

from rnalm.models.attention import draw_projection, linear_attention, local_attention, turn, waves
from rnalm.models.body import Body
from rnalm.models.filling import FillsIn, filling_head
from rnalm.models.letters import Letters
from rnalm.models.making import filler, maker
from rnalm.models.performer_config import PerformerConfig

#: Widening of the feed-forward layers.
WIDER = 4


class ScaleNorm(nn.Module):
    """Normalizes the length of a state (Nguyen & Salazar, 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(width) ** 0.5))

    def forward(self, x: Tensor) -> Tensor:
        """Take ``(…, width)`` to states of one learned length."""
        return self.scale * F.normalize(x, dim=-1, eps=1e-5)


class Residual(nn.Module):
    """Adds to a state what a layer makes of it: normalized before, or weighed by a number that begins at 0 (ReZero)."""

    def __init__(self, layer: nn.Module, config: PerformerConfig) -> None:
        super().__init__()
        self.layer = layer
        self.norm = {"layer": nn.LayerNorm, "scale": ScaleNorm}.get(config.norm, nn.Identity)(config.width)
        self.weight = nn.Parameter(torch.zeros(())) if config.norm == "rezero" else 1.0

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """Take ``(batch, length, width)`` to the same; the layer is given what follows, too."""
        return x + self.weight * self.layer(self.norm(x), *more)


class Attention(nn.Module):
    """Attention with linear heads and local ones, of turned queries and keys."""

    projection: Tensor

    def __init__(self, config: PerformerConfig) -> None:
        super().__init__()
        self.config = config
        inner = config.heads * config.head_size
        self.inputs = nn.Linear(config.width, 3 * inner, bias=False)
        self.outputs, self.dropout = nn.Linear(inner, config.width), nn.Dropout(config.dropout)
        self.register_buffer("projection", torch.zeros(config.features, config.head_size))

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Take ``(batch, length, width)`` to the same; ``own`` ``(batch, length)`` is 1 at tokens."""
        config, (batch, length, _) = self.config, x.shape
        query, key, value = (
            y.view(batch, length, config.heads, config.head_size).transpose(1, 2) for y in self.inputs(x).chunk(3, dim=2)
        )
        angles = waves(length, config.head_size, x.device)
        query, key = turn(query, angles), turn(key, angles)
        far = config.heads - config.local_heads
        attended = []
        if far:
            mine = (query[:, :far], key[:, :far], value[:, :far])
            attended.append(linear_attention(*mine, own, self.projection, config.kernel).to(x.dtype))
        if config.local_heads:
            attended.append(local_attention(query[:, far:], key[:, far:], value[:, far:], own, config.window).to(x.dtype))
        joined = torch.cat(attended, dim=1).transpose(1, 2).reshape(batch, length, -1)
        return self.dropout(self.outputs(joined))


class FeedForward(nn.Module):
    """A layer at each position, gated or not."""

    def __init__(self, config: PerformerConfig) -> None:
        super().__init__()
        inner = WIDER * config.width
        self.glu = config.glu
        self.inputs, self.outputs = nn.Linear(config.width, (1 + config.glu) * inner), nn.Linear(inner, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Take ``(batch, length, width)`` to the same."""
        x = self.inputs(x)
        if self.glu:
            x, gate = x.chunk(2, dim=-1)
            x = F.gelu(x) * gate
        else:
            x = F.gelu(x)
        return self.outputs(self.dropout(x))


class Performer(Body):
    """A Performer for regression and classification of sequences.

    Parameters
    ----------
    config : PerformerConfig
        Its sizes.

    Examples
    --------
    >>> model = Performer(PerformerConfig(width=8, layers=1, heads=2, local_heads=1, head_size=4)).eval()
    >>> alone, beside = torch.tensor([[7, 8, 9]]), torch.tensor([[7, 8, 9, 1, 1]])
    >>> mask = torch.tensor([[1, 1, 1, 0, 0]])
    >>> torch.allclose(model(alone).logits, model(beside, mask).logits, atol=1e-6)
    True
    """

    config: PerformerConfig
    config_class = PerformerConfig
    base_model_prefix = "performer"

    drawn: Tensor

    def __init__(self, config: PerformerConfig) -> None:
        super().__init__(config)
        self.letters = Letters(config, config.width)
        self.inputs = nn.Linear(self.letters.features, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            Residual(layer(config), config) for _ in range(config.layers) for layer in (Attention, FeedForward)
        )
        self.norm, self.head = nn.LayerNorm(config.width), self.make_head()
        # How often the model has been called in training, and the seed of its features: stored, so that a training that was
        # killed goes on with the same.
        self.register_buffer("drawn", torch.tensor([0, torch.initial_seed() % 2**31]))
        self.post_init()
        if self.drawn.device.type != "meta":  # where a stored model is about to be filled in
            self.draw()

    @torch.no_grad()
    def draw(self) -> None:
        """Draw the directions of all linear heads, from what is stored."""
        calls, seed = self.drawn.tolist()
        for number, layer in enumerate(self.layers):
            if isinstance(attention := cast(Residual, layer).layer, Attention):
                own_seed = int(np.random.SeedSequence([seed, number, calls]).generate_state(1)[0])
                sizes = self.config.features, self.config.head_size
                attention.projection.copy_(draw_projection(*sizes, own_seed))

    def states(self, input_ids: Tensor, mask: Tensor, modifiers: Tensor | None) -> tuple[Tensor, Tensor]:
        """Compute the state of each position.

        Parameters
        ----------
        input_ids, mask, modifiers
            As for :meth:`rnalm.models.body.Body.states`.
        """
        if self.training and self.config.redraw:
            if self.drawn[0] and self.drawn[0] % self.config.redraw == 0:
                self.draw()
            self.drawn[0] += 1
        x = self.inputs(self.letters(input_ids, modifiers))
        angles = waves(x.shape[1], x.shape[2] + x.shape[2] % 2, x.device)
        x = self.dropout(x + torch.cat([angles.sin(), angles.cos()], dim=1)[:, : x.shape[2]].to(x.dtype))
        for layer in self.layers:
            if self.config.recompute and self.training:
                x = cast(Tensor, checkpoint(layer, x, mask, use_reentrant=False))
            else:
                x = layer(x, mask)
        return self.norm(x), mask[..., None].to(x.dtype)


class PerformerForMaskedLM(FillsIn, Performer):
    """The same, to fill in tokens that are hidden.

    Parameters
    ----------
    config : PerformerConfig
        Its sizes.
    """

    def make_head(self) -> nn.Module:
        """Make what reads the states."""
        return filling_head(self.config, self.config.width)


create = maker(Performer)
create_filling = filler(PerformerForMaskedLM)

AutoConfig.register("performer", PerformerConfig)
AutoModelForSequenceClassification.register(PerformerConfig, Performer)
AutoModelForTokenClassification.register(PerformerConfig, Performer)
AutoModelForMaskedLM.register(PerformerConfig, PerformerForMaskedLM)
