"""How a model with outputs for each token says that it can be scored incrementally: as a chain of residual convolutions.

    model input ─► x ─► [x + after(convolution(before(x)))] × blocks ─► head

A model whose forward pass is this chain gives the parts as a :class:`Cone` from its method ``cone()``. What one token says
reaches as far as all convolutions together, and no further. All functions in it work position by position, on
``(…, channels)``; beyond the ends of a sequence, convolutions read zeros.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from rnalm.models.local import Positionwise


@dataclass(frozen=True)
class Block:
    """A convolution whose output stands in the middle of what it reads, and what is done at each position before and after it.

    Attributes
    ----------
    convolution : torch.nn.Conv1d
        An odd kernel, any dilation; stride 1, one group, padded with as many zeros as keep the length.
    before, after : callable
        On ``(…, channels)``, position by position.

    Raises
    ------
    ValueError
        If the convolution is another one.
    """

    convolution: nn.Conv1d
    before: Positionwise
    after: Positionwise

    def __post_init__(self) -> None:
        layer = self.convolution
        if (layer.stride, layer.groups, layer.padding) != ((1,), 1, (self.reach,)) or layer.kernel_size[0] % 2 == 0:
            raise ValueError(f"expected a convolution of odd width that keeps the length, in one group, found {layer}")

    @property
    def dilation(self) -> int:
        """Positions from one tap of the kernel to the next."""
        return self.convolution.dilation[0]

    @property
    def reach(self) -> int:
        """How far an output sees, to either side."""
        return (self.convolution.kernel_size[0] - 1) // 2 * self.dilation


@dataclass(frozen=True)
class Cone:
    """A chain of residual convolutions, in parts.

    Attributes
    ----------
    inputs : callable
        Ids ``(batch, length)`` and modifiers ``(batch, modifier channels, length)`` or None ─► model input
        ``(batch, length, channels)``, each position by itself.
    blocks : tuple of Block
        In the order in which they are applied.
    head : callable
        ``(…, channels)`` ─► the model's logits ``(…, outputs)``.
    """

    inputs: Callable[[Tensor, Tensor | None], Tensor]
    blocks: tuple[Block, ...]
    head: Positionwise

    @property
    def reach(self) -> int:
        """How far an output of the whole chain sees, to either side."""
        return sum(block.reach for block in self.blocks)
