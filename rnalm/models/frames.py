"""Frames: gated linear recurrences along the three reading frames of a sequence, from both of its ends.

    tokens ─► letters ─► triplets and neighbours ─► [scan along each frame ─► mix across frames] × layers ─► head

What happens along one frame is what a ribosome would meet; convolutions and a pooled term carry it over to the other two. A
prediction does not depend on padding: it adds nothing to a state, nothing to a mean, and is zero to its neighbours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoModelForTokenClassification

from rnalm.models.body import Body
from rnalm.models.filling import FillsIn, filling_head
from rnalm.models.frames_config import FramesConfig
from rnalm.models.heads import mean
from rnalm.models.letters import Letters
from rnalm.models.making import filler, maker
from rnalm.models.scan import scan

#: Positions of a codon, and so the number of reading frames.
CODON = 3


class Reading(nn.Module):
    """Reads triplets: what stands at a position and the two after it, and the triplets before and after it in its frame."""

    def __init__(self, config: FramesConfig, features: int) -> None:
        super().__init__()
        width = config.width
        self.triplet = nn.Conv1d(features, 2 * width, CODON)
        self.codon = nn.Conv1d(2 * width, width, 1)
        self.codons = nn.Conv1d(width, width, 3, dilation=CODON, padding=CODON)
        self.around = nn.Conv1d(features, width, config.context, padding=config.context // 2)

    def forward(self, letters: Tensor, own: Tensor) -> Tensor:
        """Take ``(batch, length, features)`` to ``(batch, length, width)``; ``own`` ``(batch, length, 1)`` is 1 at tokens."""
        x = (letters * own).transpose(1, 2)
        own = own.transpose(1, 2)
        codon = self.codon(F.gelu(self.triplet(F.pad(x, (0, CODON - 1))))) * own
        return ((codon + F.gelu(self.codons(codon)) + self.around(x)) * own).transpose(1, 2)


class Scan(nn.Module):
    """Goes along each reading frame by itself, from both ends: a position meets what stands 3, 6, 9 … before and after it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inputs = nn.Linear(width, 4 * width)
        self.outputs = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Add to ``(batch, length, width)``, of which the length is a multiple of 3, what is met on the way."""
        batch, length, width = x.shape
        gates, values = self.inputs(self.norm(x)).float().split(2 * width, dim=2)
        keep = torch.sigmoid(gates)
        # What follows the end of a sequence is met first from that side: it adds nothing, so that states are still 0 there.
        new = torch.tanh(values) * (1 - keep) * own
        # Each frame by itself: (batch · 3, length / 3, width), from the left, and from the right.
        keep, new = (y.view(batch, -1, CODON, 2, width).permute(3, 0, 2, 1, 4).flatten(1, 2) for y in (keep, new))
        met = scan(keep[0], new[0]), scan(keep[1], new[1], backwards=True)
        states = torch.cat([y.view(batch, CODON, -1, width) for y in met], dim=3)
        return x + self.outputs(states.transpose(1, 2).reshape(batch, length, 2 * width))


class Mix(nn.Module):
    """Mixes neighbours, whatever their frame, and the mean of the whole sequence."""

    def __init__(self, config: FramesConfig) -> None:
        super().__init__()
        width, taps = config.width, config.kernel_size
        self.norm = nn.LayerNorm(width)
        self.neighbours = nn.Conv1d(width, width, taps, padding=taps // 2, groups=width)
        self.inputs, self.whole = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width)
        self.outputs, self.dropout = nn.Linear(width, width), nn.Dropout(config.dropout)

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Add to ``(batch, length, width)`` what stands around each position."""
        y = self.norm(x) * own
        whole = self.whole(mean(y, own))[:, None]
        value, gate = (self.inputs(self.neighbours(y.transpose(1, 2)).transpose(1, 2)) + whole).chunk(2, dim=2)
        return x + self.outputs(self.dropout(value * torch.sigmoid(gate)))


class Frames(Body):
    """Frames for regression and classification of sequences.

    Parameters
    ----------
    config : FramesConfig
        Its sizes.

    Examples
    --------
    >>> model = Frames(FramesConfig(width=8, layers=1)).eval()
    >>> alone, beside = torch.tensor([[7, 8, 9]]), torch.tensor([[7, 8, 9, 1, 1]])
    >>> mask = torch.tensor([[1, 1, 1, 0, 0]])
    >>> torch.allclose(model(alone).logits, model(beside, mask).logits, atol=1e-6)
    True
    """

    config: FramesConfig
    config_class = FramesConfig
    base_model_prefix = "frames"

    def __init__(self, config: FramesConfig) -> None:
        super().__init__(config)
        width = config.width
        self.letters = Letters(config, config.letter_size)
        self.reading = Reading(config, self.letters.features)
        self.scans = nn.ModuleList(Scan(width) for _ in range(config.layers))
        self.mixes = nn.ModuleList(Mix(config) for _ in range(config.layers))
        self.norm, self.head = nn.LayerNorm(width), self.make_head()
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Torch's own initialization, but for scans: each keeps some channels for a codon, and others for hundreds."""
        if isinstance(module, Scan):
            width = module.norm.normalized_shape[0]
            module.inputs.bias[: 2 * width] = torch.linspace(0, 5, width).repeat(2)

    def states(self, input_ids: Tensor, mask: Tensor, modifiers: Tensor | None) -> tuple[Tensor, Tensor]:
        """Compute the state of each position, of which there are made a multiple of 3.

        Parameters
        ----------
        input_ids, mask, modifiers
            As for :meth:`rnalm.models.body.Body.states`.
        """
        fill = (0, -input_ids.shape[1] % CODON)
        letters = self.letters(input_ids, modifiers)
        x, own = F.pad(letters, (0, 0, *fill)), F.pad(mask, fill)[..., None].to(letters.dtype)
        x = self.reading(x, own)
        for along, across in zip(self.scans, self.mixes, strict=True):
            x = across(along(x, own), own)
        return self.norm(x), own


class FramesForMaskedLM(FillsIn, Frames):
    """The same, to fill in tokens that are hidden.

    Parameters
    ----------
    config : FramesConfig
        Its sizes.
    """

    def make_head(self) -> nn.Module:
        """Make what reads the states."""
        return filling_head(self.config, self.config.width)


create = maker(Frames)
create_filling = filler(FramesForMaskedLM)

AutoConfig.register("frames", FramesConfig)
AutoModelForSequenceClassification.register(FramesConfig, Frames)
AutoModelForTokenClassification.register(FramesConfig, Frames)
AutoModelForMaskedLM.register(FramesConfig, FramesForMaskedLM)
