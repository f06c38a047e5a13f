"""Sizes of a Saluki, and what follows from them: the shortest sequence that leaves a bin."""

from rnalm.models.token_config import TokenConfig


class SalukiConfig(TokenConfig):
    """Sizes of a Saluki; the defaults are the paper's.

    Parameters
    ----------
    filters, kernel_size, layers, readout, dropout, shift, l2, layer_norm_eps, batch_norm_momentum
        See :class:`rnalm.config.Saluki`.
    **kwargs
        What every model of ours has (see :class:`~rnalm.models.token_config.TokenConfig`), and further entries.

    Examples
    --------
    Six layers of five taps each, as in the paper, need this many nucleotides:

    >>> SalukiConfig().minimum_length
    320
    """

    model_type = "saluki"

    def __init__(
        self,
        filters: int = 64,
        kernel_size: int = 5,
        layers: int = 6,
        readout: str = "last",
        dropout: float = 0.3,
        shift: int = 3,
        l2: float = 0.001,
        layer_norm_eps: float = 0.007,
        batch_norm_momentum: float = 0.1,
        **kwargs,
    ) -> None:
        self.filters = filters
        self.kernel_size = kernel_size
        self.layers = layers
        self.readout = readout
        self.dropout = dropout
        self.shift = shift
        self.l2 = l2
        self.layer_norm_eps = layer_norm_eps
        self.batch_norm_momentum = batch_norm_momentum
        super().__init__(**kwargs)

    @property
    def minimum_length(self) -> int:
        """Shortest sequence that leaves one bin for the GRU; shorter ones are padded with zeros to it."""
        length = 1
        for _ in range(self.layers):
            length = 2 * length + self.kernel_size - 1
        return length + self.kernel_size - 1
