"""From the states of all positions to the outputs for a sequence, or for each position."""

import torch
from torch import Tensor, nn

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
        standard = self.layers(torch.cat([attended, mean(x * own, own), length], dim=1)).float()
        return standard * self.config.output_sd + self.config.output_mean


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
        return self.layers(x).float() * self.config.output_sd + self.config.output_mean
