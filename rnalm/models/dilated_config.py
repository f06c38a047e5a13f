"""Sizes of a network of dilated convolutions."""

from collections.abc import Sequence

from rnalm.models.token_config import TokenConfig


class DilatedConfig(TokenConfig):
    """Sizes of a network of dilated convolutions; the defaults are those of the configuration.

    Parameters
    ----------
    width, kernel_size, dilations, dropout
        See :class:`rnalm.config.Dilated`.
    **kwargs
        What every model of ours has (see :class:`~rnalm.models.token_config.TokenConfig`), and further entries.
    """

    model_type = "dilated"

    def __init__(
        self,
        width: int = 32,
        kernel_size: int = 11,
        dilations: Sequence[int] = (1, 1, 1, 1, 4, 4, 4, 4),
        dropout: float = 0.1,
        **kwargs,
    ) -> None:
        self.width = width
        self.kernel_size = kernel_size
        self.dilations = list(dilations)
        self.dropout = dropout
        super().__init__(**kwargs)
