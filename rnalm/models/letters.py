"""From ids and modifiers to vectors."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnalm.models.token_config import TokenConfig


class Letters(nn.Module):
    """Turns ids into vectors, to which modifiers are added as further features; special tokens are zero vectors.

    Parameters
    ----------
    config : TokenConfig
        Which tokens there are.
    size : int
        Numbers of a token, without its modifiers.
    """

    def __init__(self, config: TokenConfig, size: int) -> None:
        super().__init__()
        self.config, self.features = config, size + config.modifier_channels
        self.table = nn.Embedding(config.vocab_size, size)

    def forward(self, input_ids: Tensor, modifiers: Tensor | None = None) -> Tensor:
        """Take ids ``(batch, length)`` and modifiers ``(batch, channels, length)`` to ``(batch, length, features)``."""
        plain = self.table.weight.new_zeros(self.config.vocab_size, 1)
        plain[self.config.plain] = 1
        x = F.embedding(input_ids, self.table.weight * plain)
        if not self.config.modifier_channels:
            return x
        if modifiers is None:
            modifiers = x.new_zeros(x.shape[0], self.config.modifier_channels, x.shape[1])
        return torch.cat([x, modifiers.transpose(1, 2).to(x.dtype)], dim=2)
