"""Sizes of a Performer."""

from rnalm.models.token_config import TokenConfig


class PerformerConfig(TokenConfig):
    """Sizes of a Performer; the defaults are those of the configuration.

    Parameters
    ----------
    width, layers, heads, head_size, local_heads, window, kernel, features, redraw, glu, norm, dropout, recompute
        See :class:`rnalm.config.Performer`.
    **kwargs
        What every model of ours has (see :class:`~rnalm.models.token_config.TokenConfig`), and further entries.
    """

    model_type = "performer"

    def __init__(
        self,
        width: int = 30,
        layers: int = 6,
        heads: int = 6,
        head_size: int = 16,
        local_heads: int = 4,
        window: int = 256,
        kernel: str = "relu",
        features: int = 80,
        redraw: int | None = 1000,
        glu: bool = True,
        norm: str = "layer",
        dropout: float = 0.1,
        recompute: bool = True,
        **kwargs,
    ) -> None:
        self.width = width
        self.layers = layers
        self.heads = heads
        self.head_size = head_size
        self.local_heads = local_heads
        self.window = window
        self.kernel = kernel
        self.features = features
        self.redraw = redraw
        self.glu = glu
        self.norm = norm
        self.dropout = dropout
        self.recompute = recompute
        super().__init__(**kwargs)
