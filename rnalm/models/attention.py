"""Attention in time and memory that grow as the length, not as its square: by random features, or within windows.

Padding changes nothing: its keys have no weight, and are looked at by nobody, in either.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

#: Added to what features are, so that no denominator is 0 (Choromanski et al., ICLR 2021, in their code).
EPSILON = {"relu": 1e-3, "softmax": 1e-4}

#: Base of the wave lengths of positions (Vaswani et al., 2017; Su et al., 2021).
LONGEST = 10_000


def draw_projection(features: int, size: int, seed: int) -> Tensor:
    """Draw directions that are orthogonal, in blocks of as many as a head has numbers, with the lengths of normal ones.

    Parameters
    ----------
    features : int
        How many.
    size : int
        Numbers of a head.
    seed : int
        What they are drawn from, whatever else is drawn.

    Returns
    -------
    Tensor
        float32 ``(features, size)``

    Examples
    --------
    >>> directions = F.normalize(draw_projection(3, 4, seed=1), dim=1)
    >>> torch.allclose(directions @ directions.T, torch.eye(3), atol=1e-6)
    True
    """
    generator = torch.Generator().manual_seed(seed)
    blocks = [
        torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0].T
        for _ in range(-(-features // size))
    ]
    lengths = torch.randn(features, size, generator=generator, dtype=torch.float64).norm(dim=1)
    return (lengths[:, None] * torch.cat(blocks)[:features]).float()


def linear_attention(query: Tensor, key: Tensor, value: Tensor, own: Tensor, projection: Tensor, kernel: str) -> Tensor:
    """Attend by random features (FAVOR+, Choromanski et al., ICLR 2021): ``φ(q) (φ(K)ᵀ V) / φ(q) Σ φ(K)``.

    Parameters
    ----------
    query, key, value : Tensor
        ``(batch, heads, length, size)``
    own : Tensor
        ``(batch, length)``, 1 at tokens: keys elsewhere count nothing.
    projection : Tensor
        ``(features, size)``, from :func:`draw_projection`.
    kernel : {'relu', 'softmax'}
        ``relu``: features are ``max(0, ωx)``; ``softmax``: those by which attention comes near to that of softmax.

    Returns
    -------
    Tensor
        ``(batch, heads, length, size)``
    """
    mask = own[:, None, :, None].bool()
    # In full precision: sums over tens of thousands of positions.
    with torch.autocast(query.device.type, enabled=False):
        scale = query.shape[-1] ** -0.25
        query, key, value = scale * query.float(), scale * key.float(), value.float()
        if kernel == "relu":
            query, key = (F.relu(x @ projection.T) + EPSILON[kernel] for x in (query, key))
        else:
            query, key = _softmax_features(query, None, projection), _softmax_features(key, mask, projection)
        key = key * mask
        summed = key.sum(2)  # (batch, heads, features)
        attended = query @ (key.transpose(2, 3) @ value)
        # Smaller than any denominator, but for a sequence without a token.
        return attended / (query * summed[:, :, None]).sum(3, keepdim=True).clamp(min=1e-12)


def _softmax_features(x: Tensor, mask: Tensor | None, projection: Tensor) -> Tensor:
    """Compute ``exp(ωx − |x|²/2 − c)``; c is the same for all keys of a sequence, its own, or for all features of a query."""
    scores = x @ projection.T
    half = x.square().sum(3, keepdim=True) / 2
    seen = scores if mask is None else scores.masked_fill(~mask, -math.inf)
    most = seen.amax((2, 3) if mask is not None else 3, keepdim=True)
    # Detached: a constant that cancels has no gradient. Only at padding, which is masked, would it not be below 0.
    return torch.exp((scores - half - most.detach()).clamp(max=0)) + EPSILON["softmax"]


def local_attention(query: Tensor, key: Tensor, value: Tensor, own: Tensor, window: int) -> Tensor:
    """Attend to the positions of one's own window, and of the windows before and after it.

    Windows are counted from the 5′ end, so that padding on the right moves none of them.

    Parameters
    ----------
    query, key, value : Tensor
        ``(batch, heads, length, size)``
    own : Tensor
        ``(batch, length)``, 1 at tokens: keys elsewhere are not attended to.
    window : int
        Positions of a window.

    Returns
    -------
    Tensor
        ``(batch, heads, length, size)``
    """
    batch, heads, length, size = query.shape
    fill = -length % window
    windows = (length + fill) // window

    def around(x: Tensor) -> Tensor:
        """Give each window with those beside it: from ``(…, length, channels)`` to ``(…, windows, 3 · window, channels)``."""
        return F.pad(x, (0, 0, window, fill + window)).unfold(-2, 3 * window, window).transpose(-2, -1)

    query = F.pad(query, (0, 0, 0, fill)).view(batch, heads, windows, window, size)
    # (batch, 1, windows, 1, 3 · window); a window of padding alone attends to all of it, as a softmax of nothing is no number.
    seen = around(own[:, None, :, None].float())[..., 0][..., None, :].bool()
    seen = seen | ~seen.any(-1, keepdim=True)
    attended = F.scaled_dot_product_attention(query, around(key), around(value), attn_mask=seen)
    return attended.reshape(batch, heads, windows * window, size)[:, :, :length]


def waves(length: int, size: int, device: torch.device) -> Tensor:
    """Give the angles of positions: float32 ``(length, size / 2)``, of wave lengths from 2π to 20,000π.

    Parameters
    ----------
    length : int
        Positions, from 0.
    size : int
        Numbers that are turned, in pairs.
    device : torch.device
        Where they are wanted.
    """
    rates = LONGEST ** (-torch.arange(0, size, 2, device=device) / size)
    return torch.arange(length, device=device)[:, None] * rates


def turn(x: Tensor, angles: Tensor) -> Tensor:
    """Turn pairs of numbers by the angle of their position, so that products of two depend on how far they are apart.

    Rotary positions, Su et al., 2021.

    Parameters
    ----------
    x : Tensor
        ``(…, length, size)``
    angles : Tensor
        ``(length, size / 2)``, from :func:`waves`.
    """
    first, second = x.chunk(2, dim=-1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
