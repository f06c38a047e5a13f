"""Sizes of a Saluki, and what follows from them: channels, and the shortest sequence that leaves a bin."""

from collections.abc import Iterable

from transformers import PreTrainedConfig

from rnalm.tokens.dataset import PAD


class SalukiConfig(PreTrainedConfig):
    """Sizes of a Saluki; the defaults are the paper's.

    Parameters
    ----------
    vocab_size : int
        Tokens, special tokens included.
    special_tokens : int or iterable of int
        Ids that have no channel: they are zero vectors. A number stands for the first so many ids; as such they are kept.
    modifier_channels : int
        Channels that follow the one-hot channels.
    filters, kernel_size, layers, readout, dropout, shift, l2, layer_norm_eps, batch_norm_momentum
        See :class:`rnalm.config.Saluki`.
    output_mean, output_sd : float
        Mean and standard deviation of the training targets: what the head computes is in units of these, so that
        initialization, penalty and step size suit any scale of labels.
    pad_token_id : int
        The special token that fills up shorter sequences of a batch; kept where it is not the usual one.
    **kwargs
        Further entries of ``config.json``.

    Examples
    --------
    Six layers of five taps each, as in the paper, need this many nucleotides:

    >>> SalukiConfig().minimum_length
    320
    """

    model_type = "saluki"
    #: Of models whose ``config.json`` names no other.
    pad_token_id = PAD

    def __init__(
        self,
        vocab_size: int = 11,
        special_tokens: int | Iterable[int] = 7,
        modifier_channels: int = 0,
        filters: int = 64,
        kernel_size: int = 5,
        layers: int = 6,
        readout: str = "last",
        dropout: float = 0.3,
        shift: int = 3,
        l2: float = 0.001,
        layer_norm_eps: float = 0.007,
        batch_norm_momentum: float = 0.1,
        output_mean: float = 0.0,
        output_sd: float = 1.0,
        pad_token_id: int = PAD,
        **kwargs,
    ) -> None:
        self.vocab_size = vocab_size
        if not isinstance(special_tokens, int):
            ids = sorted(set(special_tokens))
            special_tokens = len(ids) if ids == list(range(len(ids))) else ids
        self.special_tokens = special_tokens
        if pad_token_id != self.pad_token_id:
            self.pad_token_id = pad_token_id
        self.modifier_channels = modifier_channels
        self.filters = filters
        self.kernel_size = kernel_size
        self.layers = layers
        self.readout = readout
        self.dropout = dropout
        self.shift = shift
        self.l2 = l2
        self.layer_norm_eps = layer_norm_eps
        self.batch_norm_momentum = batch_norm_momentum
        self.output_mean = output_mean
        self.output_sd = output_sd
        super().__init__(**kwargs)

    @property
    def channels(self) -> int:
        """Rows of the model input."""
        special = self.special_tokens if isinstance(self.special_tokens, int) else len(self.special_tokens)
        return self.vocab_size - special + self.modifier_channels

    @property
    def plain(self) -> slice | list[int]:
        """Ids that are not special, each of which has a channel, in this order."""
        if isinstance(self.special_tokens, int):
            return slice(self.special_tokens, None)
        return [index for index in range(self.vocab_size) if index not in self.special_tokens]

    @property
    def minimum_length(self) -> int:
        """Shortest sequence that leaves one bin for the GRU; shorter ones are padded with zeros to it."""
        length = 1
        for _ in range(self.layers):
            length = 2 * length + self.kernel_size - 1
        return length + self.kernel_size - 1
