"""What our own architectures for long sequences have in common: letters go in, a head reads the states of positions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from rnalm.models.heads import SequenceHead, TokenHead
from rnalm.models.letters import Letters
from rnalm.models.token_config import by_token
from rnalm.models.wide import MayBeWide


class Body(MayBeWide, PreTrainedModel):
    """A network that gives each position a state, and a head for regression and classification of sequences or tokens."""

    main_input_name = "input_ids"
    #: Whatever forward accepts, the loss is the Trainer's to scale.
    accepts_loss_kwargs = False

    letters: Letters
    head: nn.Module

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Leave torch's own initialization as it is."""

    def make_head(self) -> nn.Module:
        """Make what reads the states."""
        head = TokenHead if by_token(self.config) else SequenceHead
        return head(self.config, self.config.width, self.config.dropout)  # pyright: ignore[reportArgumentType]

    def get_input_embeddings(self) -> nn.Module:
        """Give what turns ids into vectors."""
        return self.letters

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, modifiers: Tensor | None = None, **kwargs
    ) -> SequenceClassifierOutput:
        """Compute the outputs.

        Parameters
        ----------
        input_ids : Tensor
            int64 ``(batch, length)``, padded on the right.
        attention_mask : Tensor, optional
            ``(batch, length)``, 1 at tokens; None: no padding.
        modifiers : Tensor, optional
            float32 ``(batch, modifier_channels, length)``; None: zeros.

        Returns
        -------
        SequenceClassifierOutput
            With ``logits`` ``(batch, outputs)`` or, with ``per: token`` in its configuration, ``(batch, length, outputs)``.
        """
        length = input_ids.shape[1]
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        if not input_ids.shape[1]:  # as when the only token is deleted
            input_ids, mask = (F.pad(x, (0, 1)) for x in (input_ids, mask))
            modifiers = None if modifiers is None else F.pad(modifiers, (0, 1))
        logits = self.head(*self.states(input_ids, mask, modifiers))
        return SequenceClassifierOutput(logits=logits[:, :length] if by_token(self.config) else logits)

    def states(self, input_ids: Tensor, mask: Tensor, modifiers: Tensor | None) -> tuple[Tensor, Tensor]:
        """Compute the state of each position.

        Parameters
        ----------
        input_ids : Tensor
            int64 ``(batch, length)``, of at least one position.
        mask : Tensor
            ``(batch, length)``, 1 at tokens.
        modifiers : Tensor or None
            As for :meth:`forward`.

        Returns
        -------
        states : Tensor
            ``(batch, positions, width)``: positions are at least as many as the length.
        own : Tensor
            float32 ``(batch, positions, 1)``, 1 at tokens.
        """
        raise NotImplementedError
