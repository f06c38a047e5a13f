"""Dilated: residual convolutions that see further and further, such as find splice sites (Jaganathan et al., Cell 2019).

    tokens ─► letters ─► [norm ─► dilated convolution ─► gate ─► add] × dilations ─► norm ─► head

An output depends on the tokens within a certain reach of it alone; so that of a token is scored incrementally. A prediction
does not depend on padding, which is zero to all convolutions.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoModelForTokenClassification

from rnalm.models import cone
from rnalm.models.body import Body
from rnalm.models.dilated_config import DilatedConfig
from rnalm.models.filling import FillsIn, filling_head
from rnalm.models.letters import Letters
from rnalm.models.making import filler, maker


class Convolution(nn.Module):
    """Reads what stands around a position, at one distance after the other, and gates what it makes of that."""

    def __init__(self, config: DilatedConfig, dilation: int) -> None:
        super().__init__()
        width, taps = config.width, config.kernel_size
        self.norm = nn.LayerNorm(width)
        self.around = nn.Conv1d(width, 2 * width, taps, dilation=dilation, padding=taps // 2 * dilation)
        self.outputs, self.dropout = nn.Linear(width, width), nn.Dropout(config.dropout)

    def before(self, x: Tensor) -> Tensor:
        """Prepare what the convolution reads.

        Parameters
        ----------
        x : Tensor
            States ``(…, width)``.
        """
        return F.gelu(self.norm(x))

    def after(self, y: Tensor) -> Tensor:
        """Make what is added to states.

        Parameters
        ----------
        y : Tensor
            What the convolution puts out ``(…, 2 · width)``.
        """
        return self.outputs(self.dropout(F.glu(y, dim=-1)))

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Add to ``(batch, length, width)`` what stands around each position; ``own`` ``(batch, length, 1)`` is 1 at tokens."""
        y = (self.before(x) * own).transpose(1, 2)
        return x + self.after(self.around(y).transpose(1, 2))


class Dilated(Body):
    """Dilated convolutions for regression and classification of tokens and sequences.

    Parameters
    ----------
    config : DilatedConfig
        Its sizes.

    Examples
    --------
    >>> model = Dilated(DilatedConfig(width=8, dilations=[1, 2])).eval()
    >>> model.reach
    15
    """

    config: DilatedConfig
    config_class = DilatedConfig
    base_model_prefix = "dilated"

    def __init__(self, config: DilatedConfig) -> None:
        super().__init__(config)
        self.letters = Letters(config, config.width)
        self.reading = nn.Linear(self.letters.features, config.width)
        self.convolutions = nn.ModuleList(Convolution(config, dilation) for dilation in config.dilations)
        self.norm, self.head = nn.LayerNorm(config.width), self.make_head()
        self.post_init()

    @property
    def reach(self) -> int:
        """How far a position sees, to either side, in tokens."""
        return self.config.kernel_size // 2 * sum(self.config.dilations)

    def states(self, input_ids: Tensor, mask: Tensor, modifiers: Tensor | None) -> tuple[Tensor, Tensor]:
        """Compute the state of each position.

        Parameters
        ----------
        input_ids, mask, modifiers
            As for :meth:`rnalm.models.body.Body.states`.
        """
        x = self._inputs(input_ids, modifiers)
        own = mask[..., None].to(x.dtype)
        for convolution in self.convolutions:
            x = convolution(x, own)
        return self.norm(x), own

    def _inputs(self, input_ids: Tensor, modifiers: Tensor | None) -> Tensor:
        return self.reading(self.letters(input_ids, modifiers))

    def cone(self) -> cone.Cone:
        """Give the parts by which outputs for tokens are scored incrementally."""
        blocks = tuple(cone.Block(each.around, each.before, each.after) for each in self.convolutions)  # pyright: ignore[reportArgumentType]
        return cone.Cone(self._inputs, blocks, lambda x: self.head(self.norm(x), None))


class DilatedForMaskedLM(FillsIn, Dilated):
    """The same, to fill in tokens that are hidden.

    Parameters
    ----------
    config : DilatedConfig
        Its sizes.
    """

    def make_head(self) -> nn.Module:
        """Make what reads the states."""
        return filling_head(self.config, self.config.width)


create = maker(Dilated)
create_filling = filler(DilatedForMaskedLM)

AutoConfig.register("dilated", DilatedConfig)
AutoModelForSequenceClassification.register(DilatedConfig, Dilated)
AutoModelForTokenClassification.register(DilatedConfig, Dilated)
AutoModelForMaskedLM.register(DilatedConfig, DilatedForMaskedLM)
