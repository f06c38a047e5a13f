"""A small network for windows of 500 bp, after DeepSEA (Zhou & Troyanskaya 2015): two convolutions, and a layer that knows where.

It is written as networks for Selene are; a loss and an optimizer of its own it has not, so that those of the configuration apply.
"""

from torch import Tensor, nn


class Factors(nn.Module):
    """Gives each class a logit.

    Parameters
    ----------
    sequence_length : int
        Bases of a window.
    n_genomic_features : int
        Classes.
    width : int
        Channels of the convolutions.
    """

    def __init__(self, sequence_length: int, n_genomic_features: int, width: int = 64) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *(nn.Conv1d(4, width, 15, padding=7), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(5)),
            *(nn.Conv1d(width, width, 7, padding=3), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(5)),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(width * (sequence_length // 25), 128), nn.ReLU(), nn.Linear(128, n_genomic_features)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Take letters ``(batch, 4, length)`` to logits ``(batch, classes)``."""
        return self.classifier(self.convolutions(x).flatten(1))
