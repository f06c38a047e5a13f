"""From the states of all positions to the outputs for a sequence, or for each position."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from rnalm.labels.scaling import numbers_like
from rnalm.models.token_config import TokenConfig

#: In how many ways a summary attends to positions.
WAYS = 4


def mean(x: Tensor, own: Tensor) -> Tensor:
    """Average the positions of each sequence.

    Parameters
    ----------
    x : Tensor
        ``(batch, length, width)``, 0 at padding.
    own : Tensor
        ``(batch, length, 1)``, 1 at tokens.
    """
    return x.sum(1) / own.sum(1).clamp(min=1)


def in_units(standard: Tensor, config: PreTrainedConfig) -> Tensor:
    """Give outputs in the units of the targets: what a network computes counts in their standard deviations, from their mean.

    Parameters
    ----------
    standard : Tensor
        ``(..., outputs)``
    config : PreTrainedConfig
        With ``output_mean`` and ``output_sd``: a number, or one for each of several targets.
    """
    sd, mean = (numbers_like(standard, numbers) for numbers in (config.output_sd, config.output_mean))
    return standard * sd + mean


class SequenceHead(nn.Module):
    """Reads the positions that it attends to, the mean of all, and how many there are.

    Parameters
    ----------
    config : TokenConfig
        How many outputs there are, and in which unit.
    width : int
        Channels of a position.
    dropout : float
        Between the two layers.
    """

    def __init__(self, config: TokenConfig, width: int, dropout: float) -> None:
        super().__init__()
        self.config = config
        self.attention = nn.Linear(width, WAYS)
        self.layers = nn.Sequential(
            nn.Linear((WAYS + 1) * width + 1, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, config.num_labels or 1),
        )

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Take ``(batch, length, width)`` to ``(batch, outputs)``; ``own`` ``(batch, length, 1)`` is 1 at tokens."""
        scores = self.attention(x)  # (batch, length, ways)
        # Of a sequence without a token, all is 0.
        scores = scores.masked_fill(own == 0, torch.finfo(scores.dtype).min).softmax(dim=1) * own
        attended = (scores.transpose(1, 2) @ x).flatten(1)
        # The logarithm of a length of 1 to 100,000 tokens, as a number of the size of the others.
        length = own.sum(1).clamp(min=1).log() / 5 - 1
        return in_units(self.layers(torch.cat([attended, mean(x * own, own), length], dim=1)).float(), self.config)


class TokenHead(nn.Module):
    """Reads each position by itself.

    Parameters
    ----------
    config : TokenConfig
        How many outputs there are, and in which unit.
    width : int
        Channels of a position.
    dropout : float
        Between the two layers.
    """

    def __init__(self, config: TokenConfig, width: int, dropout: float) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, config.num_labels or 1)
        )

    @torch.no_grad()
    def expect(self, outputs: Tensor) -> None:
        """Begin near outputs that say how frequent classes are: of rare ones, nothing else would be learned at first.

        Parameters
        ----------
        outputs : Tensor
            ``(outputs,)``
        """
        self.layers[-1].bias.copy_(outputs)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Take ``(batch, length, width)`` to ``(batch, length, outputs)``."""
        return in_units(self.layers(x).float(), self.config)
