"""A small network for windows of 500 bp: what stands in the middle, and what is anywhere around it.

It is written as networks for Selene are. It has no loss and no optimizer of its own: those of the configuration apply.
"""

import torch
from torch import Tensor, nn


class Factors(nn.Module):
    """Gives each class a logit.

    Parameters
    ----------
    n_genomic_features : int
        Classes.
    width : int
        Channels of the convolutions.
    dropout : float
        Before the last layer.
    """

    def __init__(self, n_genomic_features: int, width: int = 48, dropout: float = 0.3) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *(nn.Conv1d(4, width, 15, padding=7), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(5), nn.Dropout1d(0.1)),
            *(nn.Conv1d(width, width, 9, padding=4), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(5)),
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(8 * width, n_genomic_features)
        # Classes are rare, about one window in eighty.
        nn.init.constant_(self.classifier.bias, -4.4)

    def forward(self, x: Tensor) -> Tensor:
        """Take letters ``(batch, 4, length)`` to logits ``(batch, classes)``."""
        states = self.convolutions(x)  # each of 25 bases
        center = states.shape[2] // 2
        middle = states[:, :, center - 3 : center + 3].flatten(1)
        return self.classifier(self.dropout(torch.cat([middle, states.mean(2), states.amax(2)], dim=1)))
