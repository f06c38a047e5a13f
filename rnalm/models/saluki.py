"""Saluki: a convolutional-recurrent network for mRNA (Agarwal & Kelley, Genome Biology 2022).

    tokens ─► one-hot + modifiers ─► convolution ─► [norm, ReLU, convolution, dropout, pool] × layers
           ─► norm, ReLU ─► GRU from the 3′ end ─► last state, or mean of all ─► dense head ─► outputs

The prediction for a sequence does not depend on padding: every layer up to the GRU is local and without implicit padding,
so what a sequence yields stands at the left of its row, whatever follows; and the GRU starts at the sequence's own end.
"""

from collections.abc import Iterable, Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from rnalm.models.heads import in_units
from rnalm.models.local import Layer, Local, MeanState, Recurrent
from rnalm.models.making import maker
from rnalm.models.saluki_config import SalukiConfig
from rnalm.models.wide import MayBeWide

#: Sequences go through the convolutions together if the shortest is at least so long, as a share of the longest, or if fewer
#: positions than these are padding: a part more costs as much as some thousands of them or, on a GPU, for which each operation
#: takes a while to begin, as a million.
ALIKE, WORTH = 0.8, {"cpu": 2**13, "cuda": 2**20}

#: So many kinds of tokens, at most, a GPU multiplies: what it looks up for each it would have to sort for the gradient.
FEW = 32


class LayerNorm(nn.LayerNorm):
    """Layer normalization over channels, position by position."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(batch, channels, length)``."""
        return self.rows(x.transpose(1, 2)).transpose(1, 2)

    def rows(self, x: Tensor) -> Tensor:
        """Normalize ``(…, channels)``.

        Parameters
        ----------
        x : Tensor
            ``(…, channels)``
        """
        return super().forward(x)


class Block(nn.Module):
    """Norm, ReLU, valid convolution, dropout, and pooling by 2."""

    def __init__(self, config: SalukiConfig) -> None:
        super().__init__()
        self.norm = LayerNorm(config.filters, eps=config.layer_norm_eps)
        self.convolution = nn.Conv1d(config.filters, config.filters, config.kernel_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Take ``(batch, filters, length)`` to ``(batch, filters, (length - kernel + 1) // 2)``."""
        x = self.convolution(F.relu(self.norm(x)))
        return F.max_pool1d(self.dropout(x), 2)


class Saluki(MayBeWide, PreTrainedModel):
    """Saluki for regression and classification.

    Parameters
    ----------
    config : SalukiConfig
        Its sizes.

    Examples
    --------
    Special tokens, such as id 1, are zero vectors; so is what follows the end of a sequence:

    >>> model = Saluki(SalukiConfig(vocab_size=9, filters=4, layers=1))
    >>> model.channels(torch.tensor([[7, 8, 1]]))
    tensor([[[1., 0., 0.],
             [0., 1., 0.]]])
    """

    config_class = SalukiConfig
    base_model_prefix = "saluki"
    main_input_name = "input_ids"
    #: Whatever forward accepts, the loss is the Trainer's to scale.
    accepts_loss_kwargs = False
    #: Training mixes sequences of all lengths in a batch, over which its normalization takes means and variances.
    any_lengths = True

    def __init__(self, config: SalukiConfig) -> None:
        super().__init__(config)
        filters = config.filters
        self.plain = config.plain
        self.stem = nn.Conv1d(config.channels, filters, config.kernel_size, bias=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = LayerNorm(filters, eps=config.layer_norm_eps)
        self.gru = nn.GRU(filters, filters, batch_first=True)
        self.head = nn.Sequential(
            nn.BatchNorm1d(filters, momentum=config.batch_norm_momentum),
            nn.ReLU(),
            nn.Linear(filters, filters),
            nn.Dropout(config.dropout),
            nn.BatchNorm1d(filters, momentum=config.batch_norm_momentum),
            nn.ReLU(),
            nn.Linear(filters, config.num_labels or 1),
        )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """He initialization of kernels, orthogonal recurrent kernels, zero biases (Keras' defaults for the rest)."""
        if isinstance(module, (nn.Conv1d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.GRU):
            [[input_weight, recurrent_weight, *biases]] = module.all_weights
            nn.init.kaiming_normal_(input_weight, nonlinearity="relu")
            for gate in recurrent_weight.chunk(3):
                nn.init.orthogonal_(gate)
            for bias in biases:
                nn.init.zeros_(bias)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        modifiers: Tensor | None = None,
        **kwargs,
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
            With ``logits`` ``(batch, outputs)``.
        """
        lengths = input_ids.new_full((len(input_ids),), input_ids.shape[1]) if attention_mask is None else attention_mask.sum(1)
        if self.training and self.config.shift:
            input_ids, modifiers, lengths = self.shift(input_ids, modifiers, lengths)
        short = (0, self._padded(input_ids) - input_ids.shape[1])
        input_ids = F.pad(input_ids, short, value=self.config.pad_token_id)
        modifiers = None if modifiers is None else F.pad(modifiers, short)
        lengths = lengths.clamp(min=self.config.minimum_length)
        # To see which lengths are alike, bins() waits for the GPU.
        bins, counts = (self.convolve if attention_mask is None else self.bins)(input_ids, modifiers, lengths)
        # In full precision: in bfloat16, which mixed precision brings, a large mean would swallow the rest.
        standard = self.head(self.features(bins, counts)).float()
        return SequenceClassifierOutput(logits=in_units(standard, self.config))

    def _padded(self, input_ids: Tensor) -> int:
        """Say to how many positions a batch is padded: on a GPU to one of eight lengths an octave.

        For each shape that cuDNN has not met it looks for the best way to convolve, which takes longer than to convolve.
        """
        length = max(self.config.minimum_length, input_ids.shape[1])
        step = 1 if input_ids.device.type == "cpu" else max(1, 2 ** (length.bit_length() - 4))
        return -(-length // step) * step

    def channels(self, input_ids: Tensor, modifiers: Tensor | None = None) -> Tensor:
        """Make the model input of ids and modifiers: one-hot rows of the tokens that are not special, then modifiers.

        Parameters
        ----------
        input_ids : Tensor
            int64 ``(batch, length)``
        modifiers : Tensor, optional
            float32 ``(batch, modifier_channels, length)``; None: zeros.

        Returns
        -------
        Tensor
            float32 ``(batch, channels, length)``
        """
        config = self.config
        eye = torch.eye(config.vocab_size, dtype=self.stem.weight.dtype, device=input_ids.device)[:, self.plain]
        x = F.embedding(input_ids, eye).transpose(1, 2)  # (batch, plain tokens, length)
        if config.modifier_channels:
            if modifiers is None:
                modifiers = x.new_zeros(x.shape[0], config.modifier_channels, x.shape[2])
            x = torch.cat([x, modifiers.to(x.dtype)], dim=1)
        return x

    def shift(self, input_ids: Tensor, modifiers: Tensor | None, lengths: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Move every sequence to the right by 0 to ``shift`` positions of padding, each by its own draw.

        Parameters
        ----------
        input_ids : Tensor
            int64 ``(batch, length)``
        modifiers : Tensor or None
            ``(batch, modifier_channels, length)``
        lengths : Tensor
            Positions that belong to each sequence ``(batch,)``.

        Returns
        -------
        input_ids : Tensor
            ``(batch, length + shift)``
        modifiers : Tensor or None
            ``(batch, modifier_channels, length + shift)``
        lengths : Tensor
            Positions that belong to each sequence now ``(batch,)``.
        """
        most, length = self.config.shift, input_ids.shape[1]
        steps = torch.randint(most + 1, (len(input_ids),)).to(input_ids.device)
        position = torch.arange(length + most, device=input_ids.device) + (most - steps)[:, None]  # (batch, length + shift)
        input_ids = F.pad(input_ids, (most, most), value=self.config.pad_token_id).gather(1, position)
        if modifiers is not None:
            places = position[:, None, :].expand(-1, modifiers.shape[1], -1)
            modifiers = F.pad(modifiers, (most, most)).gather(2, places)
        return input_ids, modifiers, lengths + steps

    def bins(self, input_ids: Tensor, modifiers: Tensor | None, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the bins of a batch, sequences of like length together: what pads one to another would cost as much as it.

        Parameters
        ----------
        input_ids, modifiers, lengths
            As for :meth:`convolve`.

        Returns
        -------
        bins, counts
            As those of :meth:`convolve`; right of a sequence's own bins stand zeros.
        """
        worth = WORTH.get(input_ids.device.type, WORTH["cpu"])
        if input_ids.numel() - lengths.sum() < worth:
            return self.convolve(input_ids, modifiers, lengths)
        order = lengths.argsort(descending=True, stable=True)
        bins, counts = [], []
        for rows in self._alike(lengths, order, worth):
            longest = int(lengths[rows[0]])
            some = None if modifiers is None else modifiers[rows, :, :longest]
            part, own = self.convolve(input_ids[rows, :longest], some, lengths[rows])
            bins.append(F.pad(part, (0, bins[0].shape[2] - part.shape[2])) if bins else part)
            counts.append(own)
        back = order.argsort()
        return torch.cat(bins)[back], torch.cat(counts)[back]

    @staticmethod
    def _alike(lengths: Tensor, order: Tensor, worth: int) -> Iterator[Tensor]:
        """Cut rows, in the order given, the longest first, where one is much shorter than the first of its part."""
        start, sizes = 0, lengths[order].tolist()
        for stop in range(1, len(sizes) + 1):
            saved = (sizes[start] - sizes[stop]) * (len(sizes) - stop) if stop < len(sizes) else worth
            if saved >= worth and (stop == len(sizes) or sizes[stop] < ALIKE * sizes[start]):
                yield order[start:stop]
                start = stop

    def stemmed(self, input_ids: Tensor, modifiers: Tensor | None) -> Tensor:
        """Convolve the model input with the stem: of one-hot rows that is a sum of columns of its kernel, looked up by id.

        Parameters
        ----------
        input_ids : Tensor
            int64 ``(batch, length)``
        modifiers : Tensor or None
            ``(batch, modifier_channels, length)``

        Returns
        -------
        Tensor
            ``(batch, filters, length - kernel_size + 1)``
        """
        varied = self.stem._forward_pre_hooks  # by one who varies what enters, such as integrated gradients
        if varied or (input_ids.device.type == "cuda" and self.config.vocab_size <= FEW):
            return self.stem(self.channels(input_ids, modifiers))
        config, kernel = self.config, self.stem.weight  # (filters, channels, taps)
        plain = config.channels - config.modifier_channels
        columns = kernel.new_zeros(config.kernel_size, config.vocab_size, config.filters)
        columns[:, self.plain] = kernel[:, :plain].permute(2, 1, 0)
        length = input_ids.shape[1] - config.kernel_size + 1
        x = F.embedding(input_ids[:, :length], columns[0])
        for tap in range(1, config.kernel_size):
            x = x + F.embedding(input_ids[:, tap : tap + length], columns[tap])
        x = x.transpose(1, 2)
        return (
            x if modifiers is None or not config.modifier_channels else x + F.conv1d(modifiers.to(x.dtype), kernel[:, plain:])
        )

    def convolve(self, input_ids: Tensor, modifiers: Tensor | None, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the bins that the GRU reads.

        Parameters
        ----------
        input_ids : Tensor
            int64 ``(batch, length)``
        modifiers : Tensor or None
            ``(batch, modifier_channels, length)``
        lengths : Tensor
            Positions that belong to each sequence ``(batch,)``, at least ``minimum_length``.

        Returns
        -------
        bins : Tensor
            ``(batch, filters, bins)``; right of a sequence's own bins stands what padding left.
        counts : Tensor
            A sequence's own bins ``(batch,)``.
        """
        overhang = self.config.kernel_size - 1
        x = self.stemmed(input_ids, modifiers)  # (batch, filters, length - overhang)
        counts = lengths - overhang
        for block in self.blocks:
            x = block(x)  # (batch, filters, (length - overhang) // 2)
            counts = (counts - overhang) // 2
        return F.relu(self.norm(x)), counts

    def features(self, bins: Tensor, counts: Tensor) -> Tensor:
        """Read bins from each sequence's own 3′ end.

        Parameters
        ----------
        bins : Tensor
            ``(batch, filters, bins)``
        counts : Tensor
            A sequence's own bins ``(batch,)``.

        Returns
        -------
        Tensor
            ``(batch, filters)``: the last state of the GRU, or the mean of all its states.
        """
        place = torch.arange(bins.shape[2], device=bins.device)
        backwards = (counts[:, None] - 1 - place).clamp(min=0)
        x = bins.gather(2, backwards[:, None, :].expand_as(bins))  # (batch, filters, bins), 3′ end first
        # Mixed precision would run it in float16, whose gradients vanish without a scaling of the loss.
        with torch.autocast(x.device.type, enabled=False):
            states, _ = self.gru(x.transpose(1, 2).to(self.stem.weight.dtype))  # (batch, bins, filters)
        if self.config.readout == "mean":
            own = (place < counts[:, None])[..., None]  # (batch, bins, 1)
            return (states * own).sum(1) / counts[:, None]
        return states[torch.arange(len(states), device=states.device), counts - 1]

    def calibrate(self, features: Tensor) -> None:
        """Set the running statistics of the head's normalizations to those of features that are read without dropout.

        Parameters
        ----------
        features : Tensor
            ``(sequences, filters)``, at least two.
        """
        was_training = self.training
        self.eval()
        for layer in self.head:
            if isinstance(layer, nn.BatchNorm1d):
                variance, mean = torch.var_mean(features, dim=0)
                # In place: processes that train together share these tensors.
                cast(Tensor, layer.running_mean).copy_(mean)
                cast(Tensor, layer.running_var).copy_(variance)
            features = layer(features)
        self.train(was_training)

    def local(self) -> Local:
        """Describe the model in evaluation mode by its parts, for incremental scoring."""
        config = self.config
        blocks = [
            Layer(block.convolution, before=lambda x, norm=block.norm: F.relu_(norm.rows(x)), pool=2)
            for block in cast(Iterable[Block], self.blocks)
        ]
        return Local(
            inputs=self.channels,
            layers=(Layer(self.stem), *blocks),
            last=lambda x: F.relu_(self.norm.rows(x)),
            readout=(MeanState if config.readout == "mean" else Recurrent)(self.gru),
            head=lambda state: in_units(self.head(state).float(), config),
            minimum_length=config.minimum_length,
            alike=True,
        )

    def penalty(self) -> Tensor:
        """Sum of squared weights of all kernels but the recurrent one, times ``l2``."""
        kernels = [m.weight for m in self.modules() if isinstance(m, (nn.Conv1d, nn.Linear))] + [self.gru.all_weights[0][0]]
        return self.config.l2 * sum(kernel.square().sum() for kernel in kernels)


create = maker(Saluki)

AutoConfig.register("saluki", SalukiConfig)
AutoModelForSequenceClassification.register(SalukiConfig, Saluki)
