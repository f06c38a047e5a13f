"""Sizes of a network of reading frames."""

from rnalm.models.token_config import TokenConfig


class FramesConfig(TokenConfig):
    """Sizes of a network of reading frames; the defaults are those of the configuration.

    Parameters
    ----------
    width, layers, letter_size, context, kernel_size, dropout
        See :class:`rnalm.config.Frames`.
    **kwargs
        What every model of ours has (see :class:`~rnalm.models.token_config.TokenConfig`), and further entries.
    """

    model_type = "frames"

    def __init__(
        self,
        width: int = 32,
        layers: int = 3,
        letter_size: int = 8,
        context: int = 21,
        kernel_size: int = 9,
        dropout: float = 0.1,
        **kwargs,
    ) -> None:
        self.width = width
        self.layers = layers
        self.letter_size = letter_size
        self.context = context
        self.kernel_size = kernel_size
        self.dropout = dropout
        super().__init__(**kwargs)
